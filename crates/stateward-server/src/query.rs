//! Query strings, strictly: what is not known is refused, because a mistyped `workspace` would otherwise mean another state.

use std::str::FromStr;
use std::time::Duration;

use serde::de::DeserializeOwned;
use stateward_core::{Error, Kind, Result};

#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query that may have these parameters, each once.
    pub(crate) fn parse(raw: Option<&str>, known: &[&str]) -> Result<Self> {
        let mut query = Self::default();
        for pair in raw.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decoded = percent_decoded(name).zip(percent_decoded(value));
            let (name, value) = decoded.ok_or_else(|| refused("it has a bad percent-encoding".to_owned(), known))?;
            if !known.contains(&name.as_str()) {
                return Err(refused(
                    format!("it has a parameter `{}`, which is not known here", name.escape_debug()),
                    known,
                ));
            }
            if query.get(&name).is_some() {
                return Err(refused(format!("the parameter `{name}` stands twice"), known));
            }
            query.0.push((name, value));
        }
        Ok(query)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// A parameter in its own type.
    pub(crate) fn parsed<T: FromStr<Err: ToString>>(&self, name: &str) -> Result<Option<T>> {
        let parsed =
            self.get(name).map(|value| value.parse().map_err(|error: T::Err| bad_value(name, &error.to_string())));
        parsed.transpose()
    }

    /// A parameter that has to be there, in its own type.
    pub(crate) fn required<T: FromStr<Err: ToString>>(&self, name: &str) -> Result<T> {
        self.parsed(name)?.ok_or_else(|| bad_value(name, "it is missing"))
    }

    /// A parameter that has to be there, written in JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let text = self.get(name).ok_or_else(|| bad_value(name, "it is missing"))?;
        serde_json::from_str(text).map_err(|error| bad_value(name, &error.to_string()))
    }

    /// How long to wait: `10m`, `90s`, `1h30m`, `0s`, or seconds.
    pub(crate) fn duration(&self, name: &str) -> Result<Option<Duration>> {
        let parsed = self.get(name).map(|value| {
            duration(value).ok_or_else(|| bad_value(name, "it is no time such as `10m`, `90s` or `1h30m`"))
        });
        parsed.transpose()
    }
}

fn refused(why: String, known: &[&str]) -> Error {
    let next = match known {
        [] => "leave the query out".to_owned(),
        known => format!("what is known here: {}", known.join(", ")),
    };
    Error::new(Kind::Invalid, "the query cannot be read", why, next)
}

pub(crate) fn bad_value(name: &str, why: &str) -> Error {
    Error::new(
        Kind::Invalid,
        format!("the parameter `{name}` cannot be used"),
        why,
        "correct it; see docs/reference/http.md",
    )
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
                u8::try_from(high * 16 + low).ok()?
            }
            b'+' => b' ',
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

fn duration(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let mut seconds = 0u64;
    let mut rest = text;
    while !rest.is_empty() {
        let unit = rest.find(|c: char| !c.is_ascii_digit())?;
        let factor = match rest.as_bytes()[unit] {
            b'h' => 3600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        seconds = rest[..unit].parse::<u64>().ok()?.checked_mul(factor)?.checked_add(seconds)?;
        rest = &rest[unit + 1..];
    }
    (!text.is_empty()).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, seconds) in
            [("10m", 600), ("90s", 90), ("1h30m", 5400), ("0s", 0), ("0", 0), ("45", 45), ("2h", 7200)]
        {
            assert_eq!(duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for bad in
            ["", "m", "10x", "-1s", "1.5h", "10 m", "1h30", "99999999999999999999s", "9999999999999999999h", "1é"]
        {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_known_and_well_encoded_is_read() {
        let query = Query::parse(Some("ID=a%2Fb+c&workspace=&x"), &["ID", "workspace", "x"]).unwrap();
        assert_eq!((query.get("ID"), query.get("workspace"), query.get("x")), (Some("a/b c"), Some(""), Some("")));
        assert!(Query::parse(None, &[]).is_ok() && Query::parse(Some(""), &[]).is_ok());
    }

    #[test]
    fn what_is_not_is_refused() {
        for bad in ["id=a", "worksapce=dev", "ID=a&ID=b", "ID=%", "ID=%z1", "ID=%f", "ID=%ff", "%=1"] {
            assert!(Query::parse(Some(bad), &["ID", "workspace"]).is_err(), "{bad}");
        }
    }
}
