//! What requests are about: its ARNs in a policy, and examples of it in requests.

use std::collections::BTreeMap;

use super::{Keeping, Layout};

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Target {
    /// The names in the bucket that states and records have, or would have.
    Names,
    /// The names in the bucket that tell the workspaces.
    Workspaces,
    /// The objects of the states.
    State,
    /// All of a stateward store in a bucket.
    Store,
    /// A stateward store's own records in a bucket.
    Records,
    Lockfile,
    StateTable,
    /// The items of the states.
    StateItem,
    LockTable,
    LockItem,
    DigestItem,
    Key,
    /// The key, where lock files are encrypted with it.
    LockfileKey,
    /// The key of the lock table.
    LockTableKey,
}

/// By operator, then by key.
pub(crate) type Conditions = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// A resource and what a request about it says.
pub(crate) struct Sample {
    pub(crate) resource: String,
    pub(crate) context: Vec<(&'static str, Values)>,
}

pub(crate) enum Values {
    One(String),
    Several(Vec<String>),
}

impl Values {
    pub(crate) fn into_list(self) -> Vec<String> {
        match self {
            Self::One(value) => vec![value],
            Self::Several(values) => values,
        }
    }
}

const LEADING: &str = "dynamodb:LeadingKeys";
const PREFIX: &str = "s3:prefix";
/// A workspace as requests may name it.
const WORKSPACE: &str = "dev";
/// Behind the name of a state.
const LOCKFILE: &str = ".tflock";

impl Target {
    pub(crate) fn applies(self, keeping: &Keeping) -> bool {
        match self {
            Self::Lockfile => keeping.use_lockfile,
            Self::LockTable | Self::LockItem | Self::DigestItem => keeping.lock_table.is_some(),
            Self::Key => keeping.kms_key.is_some(),
            Self::LockfileKey => keeping.kms_key.is_some() && keeping.use_lockfile,
            Self::LockTableKey => keeping.lock_table_key.is_some(),
            _ => true,
        }
    }

    /// What a policy calls it; targets of one name are granted together.
    pub(crate) fn sid(self) -> &'static str {
        match self {
            Self::Names => "Names",
            Self::Workspaces => "Workspaces",
            Self::State => "States",
            Self::Store => "Store",
            Self::Records => "Records",
            Self::Lockfile => "Lockfiles",
            Self::StateTable => "StateTable",
            Self::StateItem => "StateItems",
            Self::LockTable => "LockTable",
            Self::LockItem => "LockItems",
            Self::DigestItem => "DigestItems",
            Self::Key | Self::LockfileKey => "Key",
            Self::LockTableKey => "LockTableKey",
        }
    }

    /// Whether all of it belongs to the other, which it is not itself.
    pub(crate) fn lies_within(self, other: Self, keeping: &Keeping) -> bool {
        let any_name = keeping.has_any_names();
        match (self, other) {
            (Self::Records, Self::Store) => true,
            // The states of a store have any name, also one that ends like a lock file's or a digest's.
            (Self::Lockfile, Self::Store) | (Self::DigestItem, Self::LockItem) => any_name,
            (Self::Lockfile, Self::State) => keeping.below,
            (Self::Workspaces, Self::Names) => any_name && !keeping.has_workspaces_beside(),
            (Self::LockTableKey, Self::Key) => keeping.layout.in_table() && keeping.kms_key == keeping.lock_table_key,
            _ => false,
        }
    }

    /// Its ARNs, with wildcards.
    pub(crate) fn resources(self, keeping: &Keeping) -> Vec<String> {
        let names = |suffix: &str| names(keeping, "*", suffix);
        match self {
            Self::State | Self::Store => names("").iter().map(|key| object(keeping, key)).collect(),
            Self::Lockfile => names(LOCKFILE).iter().map(|key| object(keeping, key)).collect(),
            Self::Records => vec![object(keeping, &below(keeping, ".stateward/*"))],
            other => vec![other.only(keeping, &keeping.region, &keeping.account)],
        }
    }

    /// The ARN of what there is one of.
    fn only(self, keeping: &Keeping, region: &str, account: &str) -> String {
        let table = |name: &str| format!("arn:{}:dynamodb:{region}:{account}:table/{name}", keeping.partition);
        match self {
            Self::LockTable | Self::LockItem | Self::DigestItem => {
                table(keeping.lock_table.as_deref().unwrap_or_default())
            }
            Self::StateTable | Self::StateItem => table(&keeping.place),
            Self::Key | Self::LockfileKey => keeping.kms_key.clone().unwrap_or_default(),
            Self::LockTableKey => keeping.lock_table_key.clone().unwrap_or_default(),
            _ => format!("arn:{}:s3:::{}", keeping.partition, keeping.place),
        }
    }

    /// What limits it further.
    pub(crate) fn conditions(self, keeping: &Keeping) -> Conditions {
        let one = |operator: &str, key: &str, values: Vec<String>| {
            (operator.to_owned(), BTreeMap::from([(key.to_owned(), values)]))
        };
        // A workspace has no `/` in its name, and `*` does not know that.
        let other = |operator: &str, key: &str, values: Vec<String>| {
            keeping.covers_workspaces_of_others().then(|| one(operator, key, values))
        };
        match self {
            Self::LockItem | Self::DigestItem | Self::StateItem => [
                one("ForAllValues:StringLike", LEADING, self.leading(keeping, "*")),
                // Without it the condition would hold where a request names no item.
                one("Null", LEADING, vec!["false".to_owned()]),
            ]
            .into_iter()
            .chain(other("ForAllValues:StringNotLike", LEADING, self.nested_leading(keeping)))
            .collect(),
            Self::Names if keeping.has_any_names() && keeping.key.is_empty() => Conditions::new(),
            Self::Names => {
                let suffixes = suffixes_of_patterns(keeping).iter();
                let own = suffixes.clone().flat_map(|suffix| names(keeping, "*", suffix)).collect();
                let own = one("StringLike", PREFIX, own);
                let others = suffixes.flat_map(|suffix| nested(keeping, suffix)).collect();
                [own].into_iter().chain(other("StringNotLike", PREFIX, others)).collect()
            }
            Self::Workspaces => Conditions::from([one("StringEquals", PREFIX, vec![workspaces(keeping)])]),
            Self::Key | Self::LockfileKey | Self::LockTableKey => {
                Conditions::from([one("StringLike", "kms:ViaService", vec![self.via(keeping, "*")])])
            }
            _ => Conditions::new(),
        }
    }

    fn leading(self, keeping: &Keeping, workspace: &str) -> Vec<String> {
        match self {
            Self::StateItem => {
                let heads = names(keeping, workspace, "");
                // A long state goes on under names that begin like its own.
                let rests = heads.iter().map(|name| format!("{name}-{}", if workspace == "*" { "*" } else { "1f" }));
                heads.iter().cloned().chain(rests).collect()
            }
            other => {
                let suffix = if other == Self::DigestItem { "-md5" } else { "" };
                let ids = names(keeping, workspace, suffix);
                ids.into_iter().map(|name| format!("{}/{name}", keeping.place)).collect()
            }
        }
    }

    /// The items of other states that [`leading`](Self::leading) would cover, too.
    fn nested_leading(self, keeping: &Keeping) -> Vec<String> {
        match self {
            Self::StateItem => {
                let heads = nested(keeping, "");
                let rests = nested(keeping, "-*");
                heads.into_iter().chain(rests).collect()
            }
            other => {
                let suffix = if other == Self::DigestItem { "-md5" } else { "" };
                nested(keeping, suffix).into_iter().map(|name| format!("{}/{name}", keeping.place)).collect()
            }
        }
    }

    /// The service that uses a key for whoever makes a request.
    fn via(self, keeping: &Keeping, region: &str) -> String {
        let region = if keeping.region == "*" { region } else { &keeping.region };
        let in_table = self == Self::LockTableKey || keeping.layout.in_table();
        let service = if in_table { "dynamodb" } else { "s3" };
        let domain = if keeping.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
        format!("{service}.{region}.{domain}")
    }

    /// Requests about it, as AWS sees them; tables are in `account` unless the keeping says otherwise.
    pub(crate) fn samples(self, keeping: &Keeping, account: &str) -> Vec<Sample> {
        let account = if keeping.account == "*" { account } else { &keeping.account };
        let region = if keeping.region == "*" { "eu-west-1" } else { &keeping.region };
        let plain = |resource| Sample { resource, context: Vec::new() };
        let objects = |keys: Vec<String>| keys.iter().map(|key| plain(object(keeping, key))).collect();
        match self {
            Self::State => objects(names(keeping, WORKSPACE, "")),
            Self::Lockfile => objects(names(keeping, WORKSPACE, LOCKFILE)),
            Self::Store => objects([names(keeping, WORKSPACE, ""), vec![below(keeping, ".stateward/x")]].concat()),
            Self::Records => objects(vec![below(keeping, ".stateward/x")]),
            Self::StateItem | Self::LockItem | Self::DigestItem => {
                let of = |id: String| Sample {
                    resource: self.only(keeping, region, account),
                    context: vec![(LEADING_LOWER, Values::Several(vec![id]))],
                };
                self.leading(keeping, WORKSPACE).into_iter().map(of).collect()
            }
            Self::Key | Self::LockfileKey | Self::LockTableKey => {
                let context = vec![(VIA_LOWER, Values::One(self.via(keeping, region)))];
                vec![Sample { resource: self.only(keeping, region, account), context }]
            }
            // S3 takes the name of an object that is not there for a prefix.
            Self::Names | Self::Workspaces => {
                let prefixes: Vec<String> = match self {
                    Self::Workspaces => vec![workspaces(keeping)],
                    _ => suffixes(keeping).iter().flat_map(|suffix| names(keeping, WORKSPACE, suffix)).collect(),
                };
                let of = |prefix| Sample {
                    resource: self.only(keeping, region, account),
                    context: vec![(PREFIX, Values::One(prefix))],
                };
                prefixes.into_iter().map(of).collect()
            }
            Self::StateTable | Self::LockTable => vec![plain(self.only(keeping, region, account))],
        }
    }
}

/// The key of a request's context that names its items.
pub(crate) const LEADING_LOWER: &str = "dynamodb:leadingkeys";
const VIA_LOWER: &str = "kms:viaservice";

fn object(keeping: &Keeping, key: &str) -> String {
    format!("arn:{}:s3:::{}/{key}", keeping.partition, keeping.place)
}

/// A name below the prefix of a stateward store.
fn below(keeping: &Keeping, name: &str) -> String {
    if keeping.key.is_empty() { name.to_owned() } else { format!("{}/{name}", keeping.key) }
}

/// What stands behind the names that are asked for: of states, and of lock files, where whoever may not list such a name is not told
/// that there is none.
fn suffixes(keeping: &Keeping) -> &'static [&'static str] {
    if keeping.use_lockfile { &["", LOCKFILE] } else { &[""] }
}

/// The same behind the wildcards of a policy: what stands for any name stands for a lock file's, too.
fn suffixes_of_patterns(keeping: &Keeping) -> &'static [&'static str] {
    if keeping.has_any_names() { &[""] } else { suffixes(keeping) }
}

/// Where the `s3` backend looks for workspaces.
fn workspaces(keeping: &Keeping) -> String {
    match keeping.workspace_prefix() {
        "" => String::new(),
        prefix => format!("{prefix}/"),
    }
}

/// The names of the default workspace's state and of another one's, as the layout forms them.
fn names(keeping: &Keeping, workspace: &str, suffix: &str) -> Vec<String> {
    // A store holds states of any name, and so does a prefix.
    if keeping.has_any_names() {
        let own = below(keeping, if workspace == "*" { "*" } else { "network" });
        let beside = keeping.has_workspaces_beside().then(|| in_workspace(keeping, workspace, &own));
        return [own].into_iter().chain(beside).map(|name| name + suffix).collect();
    }
    let key = &keeping.key;
    if let (true, Some(own)) = (keeping.workspaces && workspace != "*", &keeping.workspace) {
        return vec![in_workspace(keeping, own, key) + suffix];
    }
    let other = in_workspace(keeping, workspace, key);
    let all = [key.clone(), other].into_iter().take(if keeping.workspaces { 2 } else { 1 });
    all.map(|name| format!("{name}{suffix}")).collect()
}

/// The names that look like those of workspaces and are those of other states, whose own end with the state's.
fn nested(keeping: &Keeping, suffix: &str) -> Vec<String> {
    let own = if keeping.has_any_names() { below(keeping, "*") } else { keeping.key.clone() };
    vec![in_workspace(keeping, "*/*", &own) + suffix]
}

fn in_workspace(keeping: &Keeping, workspace: &str, key: &str) -> String {
    match keeping.layout {
        Layout::Dynamodb => format!("workspace={workspace}/{key}"),
        _ => format!("{}{workspace}/{key}", workspaces(keeping)),
    }
}

/// The objects that the policies' wildcards for workspaces cover and that belong to other states.
pub(crate) fn objects_of_others(keeping: &Keeping) -> Vec<String> {
    if keeping.layout.in_table() || !keeping.covers_workspaces_of_others() {
        return Vec::new();
    }
    let names = suffixes_of_patterns(keeping).iter().flat_map(|suffix| nested(keeping, suffix));
    names.map(|name| object(keeping, &name)).collect()
}
