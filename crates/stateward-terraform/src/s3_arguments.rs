//! The arguments of the `s3` backend, and what Terraform refuses of a block before it does anything. Pure.
//!
//! They are those of Terraform 1.15 and OpenTofu 1.11 (`internal/backend/remote-state/s3/backend.go` of both). What only one of the two
//! knows, or an older one, is known here.

use std::fmt;

use crate::backend::{Arguments, flag};
use crate::nearest::nearest;

/// What stands in a block, as far as it is written out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Written {
    Null,
    Text(String),
    Flag,
    Number,
    List(Vec<Written>),
    Object(Vec<Entry>),
    /// A block of its own, and no value.
    Block,
    /// Computed, or of a kind that is not looked into.
    Open,
}

/// An argument as it is written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// From 1 on.
    pub(crate) line: usize,
    pub(crate) value: Written,
}

/// Something for which Terraform refuses a block, and the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// From 1 on.
    pub line: usize,
    /// What it is.
    pub fault: Fault,
}

/// What is wrong with an argument. Its value is not told: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// There is none of this name.
    Unknown {
        /// With the name of what it stands in: `assume_role.arn`.
        name: String,
        /// What may be meant.
        nearest: Option<String>,
    },
    /// `OpenTofu` knows it, and Terraform did.
    OpenTofu(String),
    /// Its value is of another kind.
    Kind {
        /// With the name of what it stands in.
        name: String,
        /// What Terraform wants.
        wanted: &'static str,
    },
    /// It is written as a block.
    Block(String),
    /// What it stands in needs it.
    Missing {
        /// Its name.
        name: &'static str,
        /// What it stands in.
        within: String,
    },
}

impl Fault {
    /// Whether every tool refuses it.
    pub fn is_certain(&self) -> bool {
        !matches!(self, Self::OpenTofu(_))
    }

    /// Why it is refused.
    pub fn why(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "Terraform knows no argument of this name, and refuses the whole block",
            Self::OpenTofu(_) => "OpenTofu and older Terraform take it; Terraform today refuses the whole block",
            Self::Kind { .. } => "Terraform converts no such value, and refuses the whole block",
            Self::Block(_) => "Terraform expects an argument of this name, and refuses a block",
            Self::Missing { .. } => "Terraform refuses the block without it",
        }
    }

    /// What to do.
    pub fn advice(&self) -> String {
        match self {
            Self::Unknown { name, nearest: Some(nearest) } => format!("write `{nearest}` in place of `{name}`"),
            Self::Unknown { name, nearest: None } | Self::OpenTofu(name) => format!("take `{name}` out"),
            Self::Kind { name, wanted } => format!("give `{name}` {wanted}"),
            Self::Block(name) => format!("put an equals sign behind it: `{name} = {{`"),
            Self::Missing { name, within } => format!("add `{name}` to `{within}`"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name, .. } => write!(f, "the `s3` backend has no argument `{name}`"),
            Self::OpenTofu(name) => write!(f, "Terraform today has no argument `{name}`"),
            Self::Kind { name, wanted } => write!(f, "`{name}` is not {wanted}"),
            Self::Block(name) => write!(f, "`{name}` is written as a block"),
            Self::Missing { name, within } => write!(f, "`{within}` has no `{name}`"),
        }
    }
}

/// What a value has to be.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    Flag,
    Number,
    Texts,
    Map,
    Object(&'static [Argument]),
}

#[derive(Debug, Clone, Copy)]
struct Argument {
    name: &'static str,
    kind: Kind,
    is_needed: bool,
    /// Terraform does not know it.
    is_opentofu: bool,
}

const fn all(name: &'static str, kind: Kind) -> Argument {
    Argument { name, kind, is_needed: false, is_opentofu: false }
}

const fn text(name: &'static str) -> Argument {
    all(name, Kind::Text)
}

const fn switch(name: &'static str) -> Argument {
    all(name, Kind::Flag)
}

const fn needed(name: &'static str) -> Argument {
    Argument { is_needed: true, ..text(name) }
}

const fn opentofu(name: &'static str, kind: Kind) -> Argument {
    Argument { is_opentofu: true, ..all(name, kind) }
}

const ROLE: &[Argument] = &[
    needed("role_arn"),
    text("duration"),
    text("external_id"),
    text("policy"),
    all("policy_arns", Kind::Texts),
    text("session_name"),
    text("source_identity"),
    all("tags", Kind::Map),
    all("transitive_tag_keys", Kind::Texts),
];

const WEB_IDENTITY: &[Argument] = &[
    needed("role_arn"),
    text("duration"),
    text("policy"),
    all("policy_arns", Kind::Texts),
    text("session_name"),
    text("web_identity_token"),
    text("web_identity_token_file"),
];

const ENDPOINTS: &[Argument] = &[text("dynamodb"), text("iam"), text("s3"), text("sso"), text("sts")];

/// `bucket` and `key` are needed too, and may come from `-backend-config`.
const ARGUMENTS: &[Argument] = &[
    text("bucket"),
    text("key"),
    text("region"),
    text("access_key"),
    text("acl"),
    all("allowed_account_ids", Kind::Texts),
    all("assume_role", Kind::Object(ROLE)),
    all("assume_role_with_web_identity", Kind::Object(WEB_IDENTITY)),
    text("custom_ca_bundle"),
    text("dynamodb_endpoint"),
    text("dynamodb_table"),
    text("ec2_metadata_service_endpoint"),
    text("ec2_metadata_service_endpoint_mode"),
    switch("encrypt"),
    text("endpoint"),
    all("endpoints", Kind::Object(ENDPOINTS)),
    all("forbidden_account_ids", Kind::Texts),
    switch("force_path_style"),
    text("http_proxy"),
    text("https_proxy"),
    text("iam_endpoint"),
    switch("insecure"),
    text("kms_key_id"),
    all("max_retries", Kind::Number),
    text("no_proxy"),
    text("profile"),
    text("retry_mode"),
    text("secret_key"),
    all("shared_config_files", Kind::Texts),
    text("shared_credentials_file"),
    all("shared_credentials_files", Kind::Texts),
    switch("skip_credentials_validation"),
    switch("skip_metadata_api_check"),
    switch("skip_region_validation"),
    switch("skip_requesting_account_id"),
    switch("skip_s3_checksum"),
    text("sse_customer_key"),
    text("sts_endpoint"),
    text("sts_region"),
    text("token"),
    switch("use_dualstack_endpoint"),
    switch("use_fips_endpoint"),
    switch("use_lockfile"),
    switch("use_path_style"),
    text("workspace_key_prefix"),
    opentofu("assume_role_duration_seconds", Kind::Number),
    opentofu("assume_role_policy", Kind::Text),
    opentofu("assume_role_policy_arns", Kind::Texts),
    opentofu("assume_role_tags", Kind::Map),
    opentofu("assume_role_transitive_tag_keys", Kind::Texts),
    opentofu("external_id", Kind::Text),
    opentofu("lock_tags", Kind::Map),
    opentofu("role_arn", Kind::Text),
    opentofu("session_name", Kind::Text),
    opentofu("state_tags", Kind::Map),
];

/// What is wrong with a block.
pub(crate) fn complaints(entries: &[Entry]) -> Vec<Complaint> {
    let mut found = Vec::new();
    look("", ARGUMENTS, entries, &mut found);
    found
}

/// The names among these that no tool knows, with what may be meant: of `-backend-config`, which has no lines.
pub fn unknown_names(arguments: &Arguments) -> Vec<Fault> {
    let mut names: Vec<&str> = arguments.keys().filter_map(|name| name.split('.').next()).collect();
    names.dedup();
    let unknown = names.into_iter().filter(|name| ARGUMENTS.iter().all(|argument| argument.name != *name));
    unknown.map(|name| unknown_in("", ARGUMENTS, name)).collect()
}

fn unknown_in(within: &str, known: &[Argument], name: &str) -> Fault {
    let known = known.iter().filter(|argument| !argument.is_opentofu).map(|argument| argument.name);
    Fault::Unknown { name: format!("{within}{name}"), nearest: nearest(name, known).map(str::to_owned) }
}

/// `within` is the name of the object with a dot behind it.
fn look(within: &str, known: &[Argument], entries: &[Entry], found: &mut Vec<Complaint>) {
    for Entry { name, line, value } in entries {
        let mut complain = |fault| found.push(Complaint { line: *line, fault });
        let full = format!("{within}{name}");
        let Some(argument) = known.iter().find(|argument| argument.name == name) else {
            complain(unknown_in(within, known, name));
            continue;
        };
        if argument.is_opentofu {
            complain(Fault::OpenTofu(full.clone()));
        }
        match (argument.kind, value) {
            (_, Written::Block) => complain(Fault::Block(full)),
            (Kind::Object(inner), Written::Object(entries)) => {
                let is_there = |argument: &&Argument| entries.iter().all(|entry| entry.name != argument.name);
                for argument in inner.iter().filter(|argument| argument.is_needed).filter(is_there) {
                    complain(Fault::Missing { name: argument.name, within: full.clone() });
                }
                look(&format!("{full}."), inner, entries, found);
            }
            (kind, value) => {
                if let Some(wanted) = unlike(kind, value) {
                    complain(Fault::Kind { name: full, wanted });
                }
            }
        }
    }
}

/// What is wanted in place of a value; `None` where it does, or cannot be known. Terraform makes texts of numbers and flags, and the
/// other way round where the text is one.
fn unlike(kind: Kind, value: &Written) -> Option<&'static str> {
    let (wanted, is_like) = match (kind, value) {
        (_, Written::Null | Written::Open | Written::Block) => return None,
        (Kind::Text, value) => ("a text", is_plain(value)),
        (Kind::Flag, Written::Text(text)) => ("`true` or `false`", flag(text).is_some()),
        (Kind::Flag, value) => ("`true` or `false`", *value == Written::Flag),
        (Kind::Number, Written::Text(text)) => ("a number", text.parse::<f64>().is_ok()),
        (Kind::Number, value) => ("a number", *value == Written::Number),
        (Kind::Texts, Written::List(items)) => ("a list of texts", items.iter().all(is_plain)),
        (Kind::Texts, _) => ("a list of texts", false),
        (Kind::Map, Written::Object(entries)) => ("a map of texts", entries.iter().all(|entry| is_plain(&entry.value))),
        (Kind::Map, _) => ("a map of texts", false),
        (Kind::Object(_), _) => ("an object in braces", false),
    };
    (!is_like).then_some(wanted)
}

fn is_plain(value: &Written) -> bool {
    matches!(value, Written::Text(_) | Written::Flag | Written::Number | Written::Open | Written::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a block in both syntaxes.
    fn told(body: &str) -> Vec<String> {
        let text = format!("terraform {{\n  backend \"s3\" {{\n{body}\n  }}\n}}\n");
        let said = crate::hcl::read(&text).unwrap();
        let tell = |one: &Complaint| format!("{}: {}; {}", one.line, one.fault, one.fault.advice());
        said.backends[0].complaints.iter().map(tell).collect()
    }

    #[track_caller]
    fn check(body: &str, expected: &[&str]) {
        assert_eq!(told(body), expected, "{body}");
    }

    #[test]
    fn blocks_that_terraform_takes() {
        for body in [
            "bucket = \"b\"\nkey = \"k\"\nregion = var.region\nencrypt = \"true\"\nmax_retries = \"5\"",
            "encrypt = true\nuse_lockfile = \"0\"\nmax_retries = 5\nkey = 7\nprofile = null",
            "allowed_account_ids = [111122223333, \"444455556666\"]\nshared_config_files = []\nmax_retries = -1",
            "assume_role = {\n role_arn = \"a\"\n tags = { Team = \"x\", n = 1 }\n policy_arns = [\"p\"]\n}\nendpoints = { s3 = \"u\" }",
            "assume_role = null\nendpoints = local.endpoints\nacl = \"${var.acl}\"",
        ] {
            check(body, &[]);
        }
    }

    #[test]
    fn blocks_that_terraform_refuses() {
        check(
            "bucket = \"b\"\nregoin = \"eu-west-1\"",
            &["4: the `s3` backend has no argument `regoin`; write `region` in place of `regoin`"],
        );
        check("colour = 1", &["3: the `s3` backend has no argument `colour`; take `colour` out"]);
        check("encrypt = \"maybe\"", &["3: `encrypt` is not `true` or `false`; give `encrypt` `true` or `false`"]);
        check(
            "use_lockfile = 1",
            &["3: `use_lockfile` is not `true` or `false`; give `use_lockfile` `true` or `false`"],
        );
        check("bucket = [\"b\"]", &["3: `bucket` is not a text; give `bucket` a text"]);
        check("max_retries = \"many\"", &["3: `max_retries` is not a number; give `max_retries` a number"]);
        let list = "`allowed_account_ids` is not a list of texts; give `allowed_account_ids` a list of texts";
        check("allowed_account_ids = \"111122223333\"", &[&format!("3: {list}")]);
        check("\nallowed_account_ids = [[\"111122223333\"]]", &[&format!("4: {list}")]);
        check(
            "assume_role {\n}\n",
            &["3: `assume_role` is written as a block; put an equals sign behind it: `assume_role = {`"],
        );
        check("assume_role = {}", &["3: `assume_role` has no `role_arn`; add `role_arn` to `assume_role`"]);
        check(
            "assume_role = \"arn\"",
            &["3: `assume_role` is not an object in braces; give `assume_role` an object in braces"],
        );
        check(
            "assume_role = {\n  role_arn = \"a\"\n  external_di = \"x\"\n}",
            &[
                "5: the `s3` backend has no argument `assume_role.external_di`; write `external_id` in place of `assume_role.external_di`",
            ],
        );
        check("dynamo {}", &["3: the `s3` backend has no argument `dynamo`; take `dynamo` out"]);
        check("lock_tags = { a = \"b\" }", &["3: Terraform today has no argument `lock_tags`; take `lock_tags` out"]);
    }

    #[test]
    fn nothing_that_is_told_is_a_value() {
        for body in ["secret_key = [\"s3cret\"]", "token = { s3cret = 1 }", "encrypt = \"s3cret\""] {
            assert!(told(body).iter().all(|text| !text.contains("s3cret")), "{body}");
        }
    }

    #[test]
    fn names_of_backend_config() {
        let arguments =
            Arguments::from(["regoin", "bucket", "endpoints.s3", "x.y"].map(|name| (name.to_owned(), None)));
        let told: Vec<String> = unknown_names(&arguments).iter().map(Fault::to_string).collect();
        assert_eq!(told, ["the `s3` backend has no argument `regoin`", "the `s3` backend has no argument `x`"]);
    }
}
