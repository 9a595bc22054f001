//! What must not be seen by whoever a report is shared with: accounts, sessions, people, keys, IDs that open doors.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::principal::is_account;
use crate::problem::Problem;

/// Masks reports: the same thing by the same name throughout, so that what belongs together is still seen.
///
/// Account IDs become `000000000001` and so on, so that an ARN stays an ARN; sessions and people `session-1`, `who-1`. Access
/// keys, unique IDs and authorization IDs become stars.
#[derive(Debug, Default)]
pub struct Mask {
    accounts: HashMap<String, String>,
    sessions: HashMap<String, String>,
    people: HashMap<String, String>,
}

/// What access keys and unique IDs of IAM begin with.
const ID_PREFIXES: &[&str] =
    &["AKIA", "ASIA", "AROA", "AIDA", "AGPA", "AIPA", "ANPA", "ANVA", "APKA", "ASCA", "ABIA", "ACCA"];
/// What session names stand behind, with something between.
const SESSIONS: &[(&str, usize)] = &[(":assumed-role/", 1), (":federated-user/", 0)];
/// What authorization IDs stand behind.
const AUTHORIZATIONS: &[&str] = &["authorization-details/", "authorization id: "];
const HIDDEN: &str = "****";

impl Mask {
    /// A mask for one report.
    pub fn new() -> Self {
        Self::default()
    }

    /// Masks all that a problem holds.
    pub fn problem(&mut self, problem: &mut Problem) {
        if let Some(denial) = &mut problem.denial {
            let principal = &mut denial.principal;
            for text in [&mut principal.arn, &mut principal.name, &mut denial.resource, &mut denial.policy_arn] {
                self.replace(text);
            }
            if let Some(account) = &mut principal.account {
                *account = self.account(account);
            }
            if let Some(session) = &mut principal.session {
                *session = self.session(session);
            }
            denial.authorization_id = None;
            denial.encoded_message = None;
        }
        if let Some(failure) = &mut problem.failure {
            self.replace(&mut failure.subject);
        }
        if let Some(lock) = &mut problem.lock {
            for text in [&mut lock.path, &mut lock.info] {
                self.replace(text);
            }
            if let Some(who) = &mut lock.who {
                *who = numbered(&mut self.people, "who", who);
            }
        }
        if let Some(digest) = &mut problem.digest {
            for text in [&mut digest.bucket, &mut digest.key] {
                self.replace(text);
            }
        }
        if let Some(event) = &mut problem.event
            && let Some(address) = event.source_ip.as_mut().filter(|address| address.parse::<IpAddr>().is_ok())
        {
            HIDDEN.clone_into(address);
        }
    }

    /// Masks any text: a policy, a sentence, a line of a report.
    pub fn text(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let Some((masked, length)) = self.masked(rest, out.bytes().next_back()) else {
                let end = rest.chars().next().map_or(rest.len(), char::len_utf8);
                let (plain, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
                out.push_str(plain);
                rest = after;
                continue;
            };
            out.push_str(&masked);
            rest = rest.get(length..).unwrap_or_default();
        }
        out
    }

    fn replace(&mut self, text: &mut Option<String>) {
        if let Some(text) = text {
            *text = self.text(text);
        }
    }

    /// What stands for the start of a text, and how long that start is; `None` where it may be seen.
    fn masked(&mut self, text: &str, before: Option<u8>) -> Option<(String, usize)> {
        let first = text.bytes().next()?;
        let in_word = before.is_some_and(|before| before.is_ascii_alphanumeric());
        match first {
            b'0'..=b'9' if !in_word => {
                let id = run(text, |byte| byte.is_ascii_alphanumeric());
                is_account(id).then(|| (self.account(id), id.len()))
            }
            b'A' if !in_word => {
                let id = run(text, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
                let prefix = ID_PREFIXES.iter().find(|prefix| id.len() >= 16 && id.starts_with(**prefix))?;
                Some((format!("{prefix}{HIDDEN}"), id.len()))
            }
            b':' => SESSIONS.iter().find_map(|(marker, between)| {
                let mut at = marker.len();
                let rest = text.strip_prefix(marker)?;
                for part in rest.split('/').take(*between) {
                    at += part.len() + 1;
                }
                let session = run(text.get(at..)?, is_session);
                let kept = text.get(..at)?;
                (!session.is_empty()).then(|| (format!("{kept}{}", self.session(session)), at + session.len()))
            }),
            b'a' => AUTHORIZATIONS.iter().find_map(|marker| {
                let id = run(text.strip_prefix(marker)?, |byte| byte.is_ascii_alphanumeric());
                (!id.is_empty()).then(|| (format!("{marker}{HIDDEN}"), marker.len() + id.len()))
            }),
            _ => None,
        }
    }

    fn account(&mut self, id: &str) -> String {
        if is_account(id) && id.starts_with("0000000") {
            return id.to_owned();
        }
        let next = self.accounts.len() + 1;
        self.accounts.entry(id.to_owned()).or_insert_with(|| format!("{next:012}")).clone()
    }

    fn session(&mut self, name: &str) -> String {
        numbered(&mut self.sessions, "session", name)
    }
}

fn numbered(known: &mut HashMap<String, String>, kind: &str, name: &str) -> String {
    // What is masked already is not masked again.
    if known.values().any(|masked| masked == name) {
        return name.to_owned();
    }
    let next = known.len() + 1;
    known.entry(name.to_owned()).or_insert_with(|| format!("{kind}-{next}")).clone()
}

fn is_session(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+' | b'=' | b',' | b'.' | b'@' | b'-')
}

/// The bytes that a text starts with, as long as they are such ones.
fn run(text: &str, part: impl Fn(u8) -> bool) -> &str {
    let end = text.bytes().position(|byte| !part(byte)).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_and_sessions_keep_apart_and_together() {
        let mut mask = Mask::new();
        let text = "User: arn:aws:sts::111122223333:assumed-role/ci/ana@example.com on arn:aws:kms:eu-west-1:444455556666:key/1 \
                    of 111122223333, arn:aws:sts::111122223333:federated-user/bo";
        let masked = "User: arn:aws:sts::000000000001:assumed-role/ci/session-1 on arn:aws:kms:eu-west-1:000000000002:key/1 \
                      of 000000000001, arn:aws:sts::000000000001:federated-user/session-2";
        assert_eq!(mask.text(text), masked);
        assert_eq!(mask.text(masked), masked, "twice is once");
        assert_eq!(
            mask.text("arn:aws:sts::111122223333:assumed-role/x/bo"),
            "arn:aws:sts::000000000001:assumed-role/x/session-2"
        );
    }

    #[test]
    fn keys_and_ids_go() {
        let mut mask = Mask::new();
        assert_eq!(mask.text("key AKIAIOSFODNN7EXAMPLE, AROAEXAMPLEROLEID1:x"), "key AKIA****, AROA****:x");
        assert_eq!(
            mask.text("#/authorization-details/abc123 … authorization id: abc123."),
            "#/authorization-details/**** … authorization id: ****."
        );
        for text in
            ["AKIA", "ASIATIC LILY", "1111222233334", "x111122223333", "0a1111222233", "assumed-role/x/y", "né 🙂"]
        {
            assert_eq!(mask.text(text), text);
        }
    }

    #[test]
    fn a_problem_is_masked_in_all_its_parts() {
        let text = r#"{"eventSource":"s3.amazonaws.com","eventName":"GetObject","errorCode":"AccessDenied",
            "errorMessage":"User: arn:aws:sts::111122223333:assumed-role/ci/run-7 is not authorized to perform: s3:GetObject on resource: \"arn:aws:s3:::state-111122223333/k\" with an explicit deny in a service control policy: arn:aws:organizations::999988887777:policy/o-a/service_control_policy/p-b",
            "sourceIPAddress":"203.0.113.7","eventID":"1"}"#;
        let mut problem = crate::read(text.as_bytes()).remove(0);
        Mask::new().problem(&mut problem);
        let json = serde_json::to_string(&problem).expect("JSON");
        for secret in ["111122223333", "999988887777", "run-7", "203.0.113.7"] {
            assert!(!json.contains(secret), "{secret} in {json}");
        }
        let denial = problem.denial.expect("a denial");
        assert_eq!(denial.resource.as_deref(), Some("arn:aws:s3:::state-000000000001/k"));
        assert_eq!(denial.principal.session.as_deref(), Some("session-1"));
    }

    #[test]
    fn who_holds_a_lock_is_nobody_by_name() {
        let text = "Lock Info:\n  ID:        1\n  Path:      b/k\n  Who:       ana@laptop\n";
        let mut problem = crate::read(text.as_bytes()).remove(0);
        Mask::new().problem(&mut problem);
        assert_eq!(problem.lock.expect("a lock").who.as_deref(), Some("who-1"));
    }
}
