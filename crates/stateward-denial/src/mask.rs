//! What must not be seen by whoever a report is shared with: accounts, sessions, people, keys, IDs that open doors.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use crate::principal::{Principal, PrincipalType, is_account};
use crate::problem::{Problem, Reason};

/// Masks reports: the same thing by the same name throughout, so that what belongs together is still seen.
///
/// Account IDs become `000000000001` and so on, so that an ARN stays an ARN; users, roles, groups, sessions and people `user-1`,
/// `role-1` and so on, without their paths. Access keys, unique IDs and authorization IDs become stars. A name that was
/// [learnt](Self::learn), or stood in an ARN before, is masked wherever it stands as a word: in a key, a sentence, a policy.
#[derive(Debug, Default)]
pub struct Mask {
    accounts: HashMap<String, String>,
    names: HashMap<String, String>,
    /// How many names of each kind there are.
    kinds: HashMap<&'static str, usize>,
    /// What stands for a name.
    given: HashSet<String>,
}

/// What access keys and unique IDs of IAM begin with.
const ID_PREFIXES: &[&str] =
    &["AKIA", "ASIA", "AROA", "AIDA", "AGPA", "AIPA", "ANPA", "ANVA", "APKA", "ASCA", "ABIA", "ACCA"];
/// What names stand behind in ARNs, and what they are names of.
const NAMED: &[(&str, &str)] = &[
    (":assumed-role/", "role"),
    (":federated-user/", "session"),
    (":user/", "user"),
    (":role/", "role"),
    (":group/", "group"),
    (":instance-profile/", "profile"),
    (":mfa/", "device"),
];
/// What the names of roles that IAM Identity Center makes begin with.
const PERMISSION_SET: &str = "AWSReservedSSO_";
/// What authorization IDs stand behind.
const AUTHORIZATIONS: &[&str] = &["authorization-details/", "authorization id: "];
const HIDDEN: &str = "****";

impl Mask {
    /// A mask for one report.
    pub fn new() -> Self {
        Self::default()
    }

    /// Learns the names in a problem, so that they are masked in what is said before them, too.
    pub fn learn(&mut self, problem: &Problem) {
        if let Some(denial) = &problem.denial {
            self.learn_principal(&denial.principal);
            // IAM names what it guards by its kind and name.
            let named = denial.resource.as_deref().and_then(|resource| resource.split_once(' '));
            match named {
                Some(("user", name)) => drop(self.name("user", name)),
                Some(("role", name)) => drop(self.name("role", name)),
                Some(("group", name)) => drop(self.name("group", name)),
                _ => {}
            }
            for text in [&denial.resource, &denial.policy_arn].into_iter().flatten() {
                self.text(text);
            }
        }
        if let Some(failure) = problem.failure.as_ref().filter(|failure| failure.reason == Some(Reason::Entity))
            && let Some(subject) = failure.subject.as_deref().filter(|subject| !subject.contains(':'))
        {
            self.name("name", subject);
        }
        if let Some(who) = problem.lock.as_ref().and_then(|lock| lock.who.as_deref()) {
            self.name("who", who);
        }
    }

    fn learn_principal(&mut self, principal: &Principal) {
        if let Some(arn) = &principal.arn {
            self.text(arn);
        }
        if let Some(session) = &principal.session {
            self.name("session", session);
        }
        if let (Some(name), PrincipalType::Unknown) = (&principal.name, principal.kind) {
            self.name("who", name);
        }
    }

    /// Masks all that a problem holds.
    pub fn problem(&mut self, problem: &mut Problem) {
        self.learn(problem);
        if let Some(denial) = &mut problem.denial {
            let principal = &mut denial.principal;
            let texts = [&mut principal.arn, &mut principal.name, &mut principal.session];
            for text in texts.into_iter().chain([&mut denial.resource, &mut denial.prefix, &mut denial.policy_arn]) {
                self.replace(text);
            }
            if let Some(account) = &mut principal.account {
                *account = self.account(account);
            }
            denial.authorization_id = None;
            denial.encoded_message = None;
        }
        if let Some(failure) = &mut problem.failure {
            self.replace(&mut failure.subject);
        }
        if let Some(lock) = &mut problem.lock {
            for text in [&mut lock.path, &mut lock.info, &mut lock.who] {
                self.replace(text);
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
            let (masked, length) = self.masked(rest, &out).unwrap_or_else(|| {
                let end = rest.chars().next().map_or(rest.len(), char::len_utf8);
                (rest.get(..end).unwrap_or_default().to_owned(), end)
            });
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
    fn masked(&mut self, text: &str, before: &str) -> Option<(String, usize)> {
        let first = text.bytes().next()?;
        let last = before.bytes().next_back();
        let in_word = last.is_some_and(|last| last.is_ascii_alphanumeric());
        let special = match first {
            b'0'..=b'9' if !in_word => {
                let id = run(text, |byte| byte.is_ascii_alphanumeric());
                is_account(id).then(|| (self.account(id), id.len()))
            }
            b'A' if !in_word => unique_id(text),
            b':' => self.named(text),
            b'a' => arn_head(text).filter(|_| !in_word).map(|head| (head.to_owned(), head.len())).or_else(|| {
                AUTHORIZATIONS.iter().find_map(|marker| {
                    let id = run(text.strip_prefix(marker)?, |byte| byte.is_ascii_alphanumeric());
                    (!id.is_empty()).then(|| (format!("{marker}{HIDDEN}"), marker.len() + id.len()))
                })
            }),
            _ => None,
        };
        special.or_else(|| self.known(text, before))
    }

    /// The name in an ARN of IAM or STS, of a session that of its role, too.
    fn named(&mut self, text: &str) -> Option<(String, usize)> {
        let (marker, kind) = NAMED.iter().find(|(marker, _)| text.starts_with(marker))?;
        let path =
            run(text.get(marker.len()..)?, |byte| is_name(byte) || byte == b'/').trim_end_matches(['.', ',', '/']);
        if path.is_empty() || path.starts_with("aws-service-role/") || path == "aws-reserved/sso.amazonaws.com" {
            return None;
        }
        let length = marker.len() + path.len();
        if *marker == ":assumed-role/" {
            let (role, session) = path.split_once('/').unwrap_or((path, ""));
            let session =
                if session.is_empty() { String::new() } else { format!("/{}", self.name("session", session)) };
            return Some((format!("{marker}{}{session}", self.name("role", role)), length));
        }
        let name = path.rsplit('/').next()?;
        Some((format!("{marker}{}", self.name(kind, name)), length))
    }

    /// A name that is known, where it stands as a word and is no part of an ARN's grammar.
    fn known(&self, text: &str, before: &str) -> Option<(String, usize)> {
        if before.bytes().next_back().is_some_and(is_name) {
            return None;
        }
        let word = run(text, is_name);
        let is_kind = before.ends_with(':') && !before.ends_with("::") && text.get(word.len()..)?.starts_with('/');
        let word = [word, word.trim_end_matches(['.', ','])].into_iter().find(|word| self.names.contains_key(*word));
        let word = word.filter(|word| !is_kind && !word.is_empty())?;
        Some((self.names.get(word)?.clone(), word.len()))
    }

    fn account(&mut self, id: &str) -> String {
        if is_account(id) && id.starts_with("0000000") {
            return id.to_owned();
        }
        let next = self.accounts.len() + 1;
        self.accounts.entry(id.to_owned()).or_insert_with(|| format!("{next:012}")).clone()
    }

    /// What stands for a name; what does already stands for itself.
    fn name(&mut self, kind: &'static str, name: &str) -> String {
        if let Some(masked) = self.names.get(name) {
            return masked.clone();
        }
        if self.given.contains(name) || name.is_empty() {
            return name.to_owned();
        }
        let number = self.kinds.entry(kind).or_default();
        *number += 1;
        // It stays the role of a permission set, which is not changed in IAM.
        let masked = match name.strip_prefix(PERMISSION_SET) {
            Some(set) => format!("{PERMISSION_SET}{kind}-{number}_{}", set.rsplit('_').next().unwrap_or_default()),
            None => format!("{kind}-{number}"),
        };
        self.given.insert(masked.clone());
        self.names.insert(name.to_owned(), masked.clone());
        masked
    }
}

/// The stars for an access key or a unique ID, and how long that is.
fn unique_id(text: &str) -> Option<(String, usize)> {
    let id = run(text, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    let prefix = ID_PREFIXES.iter().find(|prefix| id.len() >= 16 && id.starts_with(**prefix))?;
    Some((format!("{prefix}{HIDDEN}"), id.len()))
}

/// The partition, service and Region of the ARN that begins there: no name stands in them.
fn arn_head(text: &str) -> Option<&str> {
    let mut end = "arn:".len();
    let mut rest = text.strip_prefix("arn:")?;
    for _ in 0..3 {
        let part = run(rest, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
        rest = rest.get(part.len()..)?.strip_prefix(':')?;
        end += part.len() + 1;
    }
    // The last colon may begin the marker of a name.
    text.get(..end - 1)
}

fn is_name(byte: u8) -> bool {
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
        let masked = "User: arn:aws:sts::000000000001:assumed-role/role-1/session-1 on arn:aws:kms:eu-west-1:000000000002:key/1 \
                      of 000000000001, arn:aws:sts::000000000001:federated-user/session-2";
        assert_eq!(mask.text(text), masked);
        assert_eq!(mask.text(masked), masked, "twice is once");
        assert_eq!(
            mask.text("arn:aws:sts::111122223333:assumed-role/x/bo"),
            "arn:aws:sts::000000000001:assumed-role/role-2/session-2"
        );
    }

    #[test]
    fn names_go_wherever_they_stand() {
        let mut mask = Mask::new();
        let text = "User: arn:aws:iam::111122223333:user/team/bob.smith is not authorized to perform: iam:GetRole on resource: \
                    arn:aws:iam::111122223333:role/Admin because no identity-based policy allows the iam:GetRole action";
        let mut problem = crate::read(text.as_bytes()).remove(0);
        mask.problem(&mut problem);
        let denial = problem.denial.expect("a denial");
        assert_eq!(denial.principal.arn.as_deref(), Some("arn:aws:iam::000000000001:user/user-1"));
        assert_eq!(denial.resource.as_deref(), Some("arn:aws:iam::000000000001:role/role-1"));
        for (text, masked) in [
            ("arn:aws:s3:::homes/bob.smith/x", "arn:aws:s3:::homes/user-1/x"),
            ("arn:aws:s3:::Admin/x", "arn:aws:s3:::role-1/x"),
            ("user bob.smith, bob.smith. Admins", "user user-1, user-1. Admins"),
            (
                "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Dev_0a1b/ana",
                "arn:aws:sts::000000000001:assumed-role/AWSReservedSSO_role-2_0a1b/session-1",
            ),
            (
                "arn:aws:iam::111122223333:role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX",
                "arn:aws:iam::000000000001:role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX",
            ),
        ] {
            assert_eq!(mask.text(text), masked);
            assert_eq!(mask.text(masked), masked, "twice is once");
        }
        // A name that is a word of ARNs, too.
        let mut mask = Mask::new();
        mask.text("arn:aws:iam::111122223333:role/table arn:aws:iam::111122223333:user/dynamodb");
        assert_eq!(
            mask.text("arn:aws:dynamodb:eu-west-1:111122223333:table/t"),
            "arn:aws:dynamodb:eu-west-1:000000000001:table/t"
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
