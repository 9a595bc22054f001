//! Terraform's lock information as it stands in places that Terraform's own backends read.

use serde::Deserialize;

/// The fields that are passed on.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct LockInfo {
    operation: String,
    info: String,
    who: String,
    version: String,
    created: String,
}

/// What Terraform's own backends write for the lock information `sent`: byte for byte what Go makes of it, with the path filled in.
///
/// `OpenTofu` gives an item in a lock table back only if its text is what it makes of it itself. Whoever is not Terraform may have
/// sent anything, or nothing: what is missing stands there empty.
pub fn lock_info_at(path: &str, id: &str, sent: &[u8]) -> String {
    let sent: LockInfo = serde_json::from_slice(sent).unwrap_or_default();
    let created = go_time(&sent.created);
    let fields = [
        ("ID", id),
        ("Operation", &sent.operation),
        ("Info", &sent.info),
        ("Who", &sent.who),
        ("Version", &sent.version),
        ("Created", &created),
        ("Path", path),
    ];
    let fields = fields.map(|(name, value)| format!("\"{name}\":{}", go_string(value)));
    format!("{{{}}}", fields.join(","))
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

fn go_string(text: &str) -> String {
    // Text into memory: there is no way to fail.
    let json = serde_json::to_string(text).unwrap_or_default();
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
    use super::*;

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
}
