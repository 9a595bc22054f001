//! Terraform's lock information: what it sends, and what stands in places that its own backends read.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The fields of Terraform's `LockInfo`, in its order. Where they are passed on, the bytes themselves are kept as they came.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LockInfo {
    /// Whatever the client chose, often in the form of a UUID.
    #[serde(rename = "ID")]
    pub id: String,
    /// `OperationTypePlan`, `OperationTypeApply`, `init`, `state-push`, …
    pub operation: String,
    /// Free text; empty in practice.
    pub info: String,
    /// `user@host`.
    pub who: String,
    /// The tool's version.
    pub version: String,
    /// When the client asked, RFC 3339.
    pub created: String,
    /// Filled in by some backends.
    pub path: String,
}

/// Terraform's word for a plan in [`LockInfo::operation`].
pub const OPERATION_PLAN: &str = "OperationTypePlan";

const ID_BYTES_MAX: usize = 1024;

impl LockInfo {
    /// Reads lock information. The error says what is wrong with it, without its content.
    pub fn parse(raw: &[u8]) -> Result<Self, String> {
        let info: Self = serde_json::from_slice(raw).map_err(|error| {
            format!(
                "the body is not Terraform's lock information in JSON (line {}, column {})",
                error.line(),
                error.column()
            )
        })?;
        match info.id.len() {
            0 => Err("the lock information has no `ID`".to_owned()),
            1..=ID_BYTES_MAX => Ok(info),
            _ => Err("the lock's `ID` is longer than 1024 bytes".to_owned()),
        }
    }

    /// The text that Terraform would write: compact, and with `<>&` escaped as Go does.
    pub fn to_json(&self) -> String {
        // Serialising plain data into memory has no way to fail.
        as_go_writes(&serde_json::to_string(self).unwrap_or_default())
    }

    /// True where only the ID is set, which is how OpenTofu's `force-unlock` asks.
    pub fn is_id_only(&self) -> bool {
        self.who.is_empty()
            && self.operation.is_empty()
            && (self.created.is_empty() || self.created.starts_with("0001-01-01"))
    }
}

/// What Terraform's own backends write for the lock information `sent`: byte for byte what Go makes of it, with the path filled in.
///
/// `OpenTofu` gives an item in a lock table back only if its text is what it makes of it itself. Whoever is not Terraform may have
/// sent anything, or nothing: what is missing stands there empty.
pub fn lock_info_at(path: &str, id: &str, sent: &[u8]) -> String {
    let sent: LockInfo = serde_json::from_slice(sent).unwrap_or_default();
    let created = go_time(&sent.created);
    LockInfo { id: id.to_owned(), path: path.to_owned(), created, ..sent }.to_json()
}

/// The same lock information with another `Who`, and all that is in it beside that, in the form in which Go writes it.
/// `None` where the text is no lock information.
pub fn with_who(raw: &[u8], who: &str) -> Option<Vec<u8>> {
    let mut fields: Map<String, Value> = serde_json::from_slice(raw).ok()?;
    fields.get("ID")?.as_str()?;
    fields.insert("Who".to_owned(), Value::from(who));
    let text = serde_json::to_string(&fields).ok()?;
    Some(as_go_writes(&text).into_bytes())
}

/// The ID in lock information as it stands somewhere.
pub fn lock_id_in(info: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct OnlyId {
        #[serde(rename = "ID")]
        id: String,
    }
    serde_json::from_slice::<OnlyId>(info).ok().map(|info| info.id)
}

/// Outside of strings, compact JSON has none of these characters.
fn as_go_writes(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            other => out.push(other),
        }
    }
    out
}

/// Go writes no zeros at the end of a fraction, and the year 1 for a time that was never set.
fn go_time(created: &str) -> String {
    if created.is_empty() {
        return "0001-01-01T00:00:00Z".to_owned();
    }
    let Some((seconds, rest)) = created.split_once('.') else { return created.to_owned() };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (fraction, zone) = rest.split_at(digits);
    match fraction.trim_end_matches('0') {
        "" => format!("{seconds}{zone}"),
        fraction => format!("{seconds}.{fraction}{zone}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn terraform_s_own_bytes() {
        let raw = br#"{"ID":"f108b30f-8c7b-b79e-433f-91f4236138ae","Operation":"OperationTypeApply","Info":"","Who":"root@vm","Version":"1.11.4","Created":"2026-11-20T15:34:51.102410368Z","Path":""}"#;
        let info = LockInfo::parse(raw).unwrap();
        assert_eq!((info.who.as_str(), info.is_id_only()), ("root@vm", false));
    }

    #[test]
    fn an_id_alone_is_a_verified_force_unlock() {
        let raw =
            br#"{"ID":"x","Operation":"","Info":"","Who":"","Version":"","Created":"0001-01-01T00:00:00Z","Path":""}"#;
        assert!(LockInfo::parse(raw).unwrap().is_id_only());
        assert!(LockInfo::parse(br#"{"ID":"x"}"#).unwrap().is_id_only());
    }

    #[test]
    fn what_is_no_lock_information() {
        for bad in [
            &b""[..],
            b"{}",
            b"[]",
            b"\"x\"",
            br#"{"ID":""}"#,
            br#"{"ID":7}"#,
            b"{\"ID\":\"x\"",
            &[b"{\"ID\":\"", &[b'x'; 2000][..], b"\"}"].concat(),
        ] {
            assert!(LockInfo::parse(bad).is_err());
        }
    }

    #[test]
    fn information_is_as_go_writes_it() {
        let sent = br#"{"Path":"", "ID":"x","Who":"a<b>&c@vm","Operation":"OperationTypeApply","Info":"","Version":"1.11.4","More":1,"Created":"2026-11-20T15:41:12.866721390Z"}"#;
        assert_eq!(
            lock_info_at("states/net", "x", sent),
            r#"{"ID":"x","Operation":"OperationTypeApply","Info":"","Who":"a\u003cb\u003e\u0026c@vm","Version":"1.11.4","Created":"2026-11-20T15:41:12.86672139Z","Path":"states/net"}"#
        );
        assert_eq!(
            lock_info_at("states/net", "y", b""),
            r#"{"ID":"y","Operation":"","Info":"","Who":"","Version":"","Created":"0001-01-01T00:00:00Z","Path":"states/net"}"#
        );
    }

    #[test]
    fn times_are_as_go_writes_them() {
        for (given, written) in [
            ("2026-11-20T15:41:12Z", "2026-11-20T15:41:12Z"),
            ("2026-11-20T15:41:12.000Z", "2026-11-20T15:41:12Z"),
            ("2026-11-20T15:41:12.120+02:00", "2026-11-20T15:41:12.12+02:00"),
        ] {
            assert_eq!(go_time(given), written);
        }
    }

    #[test]
    fn the_id_is_read_back() {
        assert_eq!(lock_id_in(lock_info_at("p", "a\"<b", b"{}").as_bytes()).as_deref(), Some("a\"<b"));
        assert_eq!(lock_id_in(b"garbage"), None);
    }

    #[test]
    fn what_is_no_lock_information_is_nobody_s() {
        for raw in ["", "{}", "[]", r#"{"ID":7}"#, "{"] {
            assert_eq!(with_who(raw.as_bytes(), "ana"), None, "{raw}");
        }
        assert_eq!(with_who(br#"{"ID":"x"}"#, "ana").unwrap(), br#"{"ID":"x","Who":"ana"}"#);
    }

    proptest! {
        #[test]
        fn it_is_what_terraform_would_have_written(id in "\\PC{1,20}", operation in "\\PC{0,20}", who in "\\PC{0,20}") {
            let info = stateward_testkit::LockInfo::new(&id, &operation);
            let expected = stateward_testkit::LockInfo { who: who.clone(), ..info.clone() };
            let changed = with_who(&info.to_bytes(), &who).unwrap();
            prop_assert_eq!(String::from_utf8(changed).unwrap(), String::from_utf8(expected.to_bytes()).unwrap());
        }
    }
}
