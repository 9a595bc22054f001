//! What AWS has: actions, resource types, condition keys and services, as of the day the data was taken.
//!
//! `data/iam-data.txt` holds it, one fact a line; `scripts/refresh-iam-data` takes it anew. Services that are not in it
//! are known by name alone, and nothing is said about their actions and keys.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

const TEXT: &str = include_str!("../data/iam-data.txt");

static DATA: LazyLock<Data> = LazyLock::new(|| Data::read(TEXT));

/// An action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Its service, such as `s3`.
    pub service: &'static str,
    /// Its name as AWS spells it, such as `GetObject`.
    pub name: &'static str,
    /// `List`, `Read`, `Write`, `Tagging` or `Permissions-management`.
    pub level: &'static str,
    /// The types of resources it can be limited to; none where it needs `Resource: "*"`.
    pub resources: Vec<&'static str>,
}

/// How values of a condition key look, and whether a request has several of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyType {
    /// `String`, `ARN`, `Bool`, `Numeric`, `Date` or `IPAddress`.
    pub value: &'static str,
    /// Several values: conditions on it need `ForAllValues:` or `ForAnyValue:`.
    pub multivalued: bool,
}

/// What is known about a condition key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// AWS has it.
    Known(KeyType),
    /// AWS had no such key in a service whose keys are all known.
    Unknown,
    /// The key belongs to a service whose keys are not in the data.
    Unjudged,
}

struct Data {
    names: HashSet<&'static str>,
    rcp: HashSet<&'static str>,
    /// Services whose actions and keys are all there.
    whole: HashSet<&'static str>,
    /// By `service:action` in lower case.
    actions: HashMap<String, Action>,
    /// In lower case; those that end with `/` or `:` stand for all keys that begin so.
    keys: HashMap<String, KeyType>,
    /// ARN formats by service and type.
    resources: HashMap<(&'static str, &'static str), &'static str>,
}

impl Data {
    fn read(text: &'static str) -> Self {
        let mut data = Self {
            names: HashSet::new(),
            rcp: HashSet::new(),
            whole: HashSet::from(["aws"]),
            actions: HashMap::new(),
            keys: HashMap::new(),
            resources: HashMap::new(),
        };
        let mut service = "aws";
        for line in text.lines() {
            let mut words = line.split(' ');
            match words.next() {
                Some("names") => data.names.extend(words),
                Some("rcp") => data.rcp.extend(words),
                Some("service") => {
                    service = words.next().unwrap_or_default();
                    if words.next().is_none() {
                        data.whole.insert(service);
                    }
                }
                Some("key") => data.key(words.next().unwrap_or_default(), words.next().unwrap_or_default()),
                Some("resource") => {
                    let key = (service, words.next().unwrap_or_default());
                    data.resources.insert(key, words.next().unwrap_or_default());
                }
                Some("action") => {
                    let name = words.next().unwrap_or_default();
                    let level = words.next().unwrap_or_default();
                    let resources = words.map(|kind| kind.trim_end_matches('*')).collect();
                    let action = Action { service, name, level, resources };
                    data.actions.insert(format!("{service}:{}", name.to_ascii_lowercase()), action);
                }
                _ => {}
            }
        }
        data
    }

    fn key(&mut self, name: &str, kind: &'static str) {
        let multivalued = kind.strip_prefix("ArrayOf");
        let kind = KeyType { value: multivalued.unwrap_or(kind), multivalued: multivalued.is_some() };
        self.keys.insert(name.to_ascii_lowercase(), kind);
    }
}

/// The version and the day of the data, for messages: its first lines.
pub fn origin() -> impl Iterator<Item = &'static str> {
    TEXT.lines().map_while(|line| line.strip_prefix("# "))
}

/// An action by `service:Name`, whatever its case.
pub fn action(name: &str) -> Option<&'static Action> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return DATA.actions.get(&name.to_ascii_lowercase());
    }
    DATA.actions.get(name)
}

/// All actions of a service, in no order.
pub fn actions(service: &str) -> impl Iterator<Item = &'static Action> {
    DATA.actions.values().filter(move |action| action.service.eq_ignore_ascii_case(service))
}

/// Whether all actions and keys of a service are in the data.
pub fn is_whole(service: &str) -> bool {
    DATA.whole.contains(service.to_ascii_lowercase().as_str())
}

/// Whether AWS has a service of this prefix.
pub fn is_service(name: &str) -> bool {
    DATA.names.contains(name.to_ascii_lowercase().as_str())
}

/// Whether resource control policies apply to a service; its name in lower case.
pub fn has_rcps(service: &str) -> bool {
    DATA.rcp.contains(service)
}

/// The ARN format of a resource type, with `${…}` where values stand.
pub fn arn_format(service: &str, kind: &str) -> Option<&'static str> {
    DATA.resources.iter().find(|((of, name), _)| *of == service && *name == kind).map(|(_, format)| *format)
}

/// The ARN formats of a service; its name in lower case.
pub fn arn_formats(service: &str) -> impl Iterator<Item = &'static str> {
    DATA.resources.iter().filter(move |((of, _), _)| *of == service).map(|(_, format)| *format)
}

/// A condition key, whatever its case.
pub fn key(name: &str) -> Key {
    key_in_lower_case(&name.to_ascii_lowercase())
}

pub(crate) fn key_in_lower_case(lower: &str) -> Key {
    let is_prefix = lower.ends_with(['/', ':']);
    if let Some(kind) = DATA.keys.get(lower).filter(|_| !is_prefix) {
        return Key::Known(*kind);
    }
    let ends = lower.match_indices(['/', ':']).map(|(at, _)| at + 1);
    if let Some(kind) = ends.filter(|end| *end < lower.len()).find_map(|end| DATA.keys.get(lower.get(..end)?)) {
        return Key::Known(*kind);
    }
    match lower.split_once(':') {
        Some((service, _)) if !DATA.whole.contains(service) => Key::Unjudged,
        _ => Key::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str) -> Option<(&'static str, bool)> {
        match key(name) {
            Key::Known(kind) => Some((kind.value, kind.multivalued)),
            _ => None,
        }
    }

    #[test]
    fn actions_are_found_whatever_their_case() {
        let get = action("DynamoDB:getitem").expect("there");
        assert_eq!((get.name, get.level, get.resources.as_slice()), ("GetItem", "Read", &["table"][..]));
        assert!(action("dynamodb:ListTables").expect("there").resources.is_empty());
        for missing in ["dynamodb:TransactWriteItems", "s3:HeadObject", "s3:ListObjectsV2", "kms:ReEncrypt", "dynamodb"]
        {
            assert_eq!(action(missing), None, "{missing}");
        }
        assert!(actions("ec2").all(|action| action.name.contains("VpcEndpoint") || action.name.contains("PrefixList")));
    }

    #[test]
    fn keys_are_found_with_what_users_choose() {
        for (name, expected) in [
            ("aws:sourceip", Some(("IPAddress", false))),
            ("dynamodb:LeadingKeys", Some(("String", true))),
            ("aws:PrincipalTag/team", Some(("String", false))),
            ("aws:PrincipalTag/", None),
            ("s3:ExistingObjectTag/a/b", Some(("String", false))),
            ("kms:EncryptionContext:aws:s3:arn", Some(("String", false))),
        ] {
            assert_eq!(kind(name), expected, "{name}");
        }
        assert_eq!(key("aws:NoSuchKey"), Key::Unknown);
        assert_eq!(key("s3:nosuchkey"), Key::Unknown);
        assert_eq!(key("nocolon"), Key::Unknown);
        assert_eq!(key("lambda:FunctionArn"), Key::Unjudged);
    }

    #[test]
    fn services_are_known_by_name() {
        assert!(is_service("Lambda") && !is_service("lambada"));
        assert!(is_whole("s3") && !is_whole("ec2") && !is_whole("lambda"));
        assert!(has_rcps("dynamodb") && has_rcps("sts") && !has_rcps("ec2"));
        assert_eq!(arn_format("s3", "bucket"), Some("arn:${Partition}:s3:::${BucketName}"));
        assert_eq!(origin().count(), 3);
    }
}
