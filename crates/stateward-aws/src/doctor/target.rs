//! What is looked at: where a state is kept, and how it is reached.

use aws_credential_types::Credentials;
use stateward_iam::{Keeping, Layout, names};
use stateward_store_aws::{Access, CustomerKey, Encryption, Objects};
use stateward_store_s3::{Options, Sharing};

use super::arguments::Refused;
use super::basics::account_of;

/// The workspace that every state has.
pub const DEFAULT_WORKSPACE: &str = "default";

/// Where a state is kept, and how it is reached.
#[derive(Debug, Clone)]
pub struct Target {
    /// By whom it is kept.
    pub layout: Layout,
    /// The bucket; where state is kept in a table, the table.
    pub place: String,
    /// `key` of the `s3` backend; the prefix of a store.
    pub key: String,
    /// The workspace.
    pub workspace: String,
    /// Under which other workspaces lie.
    pub workspace_key_prefix: String,
    /// Whether a store in a bucket keeps Terraform's own place there true, workspaces and all.
    pub shares: bool,
    /// The table of locks and digests.
    pub lock_table: Option<String>,
    /// Whether locks are objects beside the states.
    pub use_lockfile: bool,
    /// How objects are written.
    pub objects: Objects,
    /// The argument that names a key which nothing is written with.
    pub unused_key: Option<&'static str>,
    /// The accounts in which the backend may be used.
    pub accounts: Accounts,
    /// Arguments of the backend that have no part in what is looked at.
    pub unlooked: Vec<&'static str>,
    /// For what Terraform refuses the backend.
    pub refused: Vec<Refused>,
    /// Who one is.
    pub access: Access,
    /// URLs of services other than AWS's.
    pub endpoints: Endpoints,
    /// The URL of a store where the blobs of a store in a table lie, if not in the table.
    pub blobs: Option<String>,
}

/// URLs of services other than AWS's; what is `None` is AWS's, or what the standard configuration says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Of S3.
    pub s3: Option<String>,
    /// Of `DynamoDB`.
    pub dynamodb: Option<String>,
    /// Of IAM.
    pub iam: Option<String>,
    /// Of KMS.
    pub kms: Option<String>,
}

/// The accounts in which the backend may be used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounts {
    /// These alone, where there are any.
    pub allowed: Vec<String>,
    /// Any but these.
    pub forbidden: Vec<String>,
    /// Terraform does not ask in which one it is, so there may be nobody who knows.
    pub unasked: bool,
}

impl Accounts {
    /// Whether Terraform goes on in this one.
    pub(crate) fn allow(&self, account: &str) -> bool {
        let has = |list: &[String]| list.iter().any(|listed| listed == account);
        !has(&self.forbidden) && (self.allowed.is_empty() || has(&self.allowed))
    }
}

impl Target {
    /// A state of Terraform's `s3` backend, in the default workspace, without locks.
    pub fn new(bucket: impl Into<String>, key: impl Into<String>) -> Self {
        Self {
            layout: Layout::S3,
            place: bucket.into(),
            key: key.into(),
            workspace: DEFAULT_WORKSPACE.to_owned(),
            workspace_key_prefix: "env:".to_owned(),
            lock_table: None,
            use_lockfile: false,
            shares: true,
            objects: Objects::default(),
            unused_key: None,
            accounts: Accounts::default(),
            unlooked: Vec::new(),
            refused: Vec::new(),
            access: Access::default(),
            endpoints: Endpoints::default(),
            blobs: None,
        }
    }

    /// What said where and who, in messages.
    pub(crate) fn said_by(&self) -> &'static str {
        match self.layout {
            Layout::S3 => "the backend",
            _ => "the store's URL",
        }
    }

    /// The bucket, where there is one.
    pub fn bucket(&self) -> Option<&str> {
        matches!(self.layout, Layout::S3 | Layout::Stateward).then_some(self.place.as_str())
    }

    /// The table that holds all of a store.
    pub(crate) fn state_table(&self) -> Option<&str> {
        self.bucket().is_none().then_some(self.place.as_str())
    }

    /// The state's object; `None` where the target is a store, which has many.
    pub(crate) fn object(&self) -> Option<String> {
        (self.layout == Layout::S3).then(|| self.in_workspace(&self.workspace))
    }

    /// The lock file of that object.
    pub(crate) fn lock_file(&self) -> Option<String> {
        Some(self.object()? + ".tflock")
    }

    /// How other commands reach it: with the key in place of a store's prefix.
    pub fn options(&self) -> Options {
        let url = |url: &Option<String>| url.as_deref().map(|url| url.trim_end_matches('/').to_owned());
        let mut options = Options::new(self.place.as_str(), self.key.as_str());
        options.access = self.access.clone();
        options.access.endpoint = url(&self.endpoints.s3);
        options.access.sts_endpoint = url(&self.access.sts_endpoint);
        options.dynamodb_endpoint = url(&self.endpoints.dynamodb);
        options.objects = self.objects.clone();
        options.sharing = Some(Sharing {
            workspace_key_prefix: self.workspace_key_prefix.clone(),
            lock_table: self.lock_table.clone(),
            use_lockfile: self.use_lockfile,
        });
        options
    }

    /// The state as `state repair` and `lock inspect` take it: a URL, without secrets, and the workspace.
    pub(crate) fn argument(&self) -> String {
        let workspace = match self.workspace.as_str() {
            DEFAULT_WORKSPACE => String::new(),
            workspace => format!(" --workspace {}", typed(workspace)),
        };
        format!("'{}'{workspace}", self.options().url())
    }

    /// What [`Self::argument`] does not say, and where it is to be said.
    pub(crate) fn unsaid(&self) -> Option<String> {
        let Self { access, objects, .. } = self;
        let mut unsaid = Vec::new();
        let mut options = self.options();
        if options.access.keys.take().is_some() {
            options.access.profile = None;
            let names = "`AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`";
            let token = access.keys.as_ref().and_then(Credentials::session_token);
            let token = token.map(|_| ", `AWS_SESSION_TOKEN`").unwrap_or_default();
            unsaid.push(format!("set {names}{token} to those of the backend before it"));
        }
        if matches!(objects.encryption, Encryption::Customer(CustomerKey::Given(_))) {
            options.objects.encryption = Encryption::Bucket;
            unsaid
                .push("put `sse_customer_key` into a file and add `sse_customer_key_file=FILE` to the URL".to_owned());
        }
        let mut why = (!unsaid.is_empty()).then(|| format!("a URL holds no secrets: {}", unsaid.join("; ")));
        if Options::from_url(&options.url()).as_ref() != Ok(&options) {
            why = Some(
                "not all of the backend can be said in a URL: name a directory with its block in place of the URL"
                    .to_owned(),
            );
        }
        why
    }

    /// The object of a state of Terraform in a workspace, or one of our own in a store.
    fn in_workspace(&self, workspace: &str) -> String {
        let Self { key, workspace_key_prefix: prefix, .. } = self;
        match (workspace, prefix.as_str()) {
            (DEFAULT_WORKSPACE, _) => key.clone(),
            (workspace, "") => format!("{workspace}/{key}"),
            (workspace, prefix) => format!("{prefix}/{workspace}/{key}"),
        }
    }

    /// An object that nobody else has: as the state of a workspace of its own, which policies for the state cover, too.
    pub(crate) fn probe(&self, id: &str) -> String {
        match (self.layout, self.key.as_str()) {
            (Layout::S3, _) => self.in_workspace(&format!("stateward-doctor-{id}")),
            (_, "") => format!(".stateward/doctor/{id}"),
            (_, prefix) => format!("{prefix}/.stateward/doctor/{id}"),
        }
    }

    /// The same beside an object: a store's own records and the states that others read lie apart.
    pub(crate) fn probe_beside(&self, object: &str, id: &str) -> String {
        match (self.layout, self.key.as_str()) {
            (Layout::S3, _) => self.probe(id),
            (_, "") if !object.starts_with(".stateward/") => format!("stateward-doctor-{id}"),
            (_, prefix) if !object.starts_with(&format!("{prefix}/")) && !prefix.is_empty() => {
                let own = format!("stateward-doctor-{id}");
                format!("{}/{own}", self.in_workspace(&own))
            }
            (_, prefix) if !object.starts_with(&format!("{prefix}/.stateward/")) && !prefix.is_empty() => {
                format!("{prefix}/stateward-doctor-{id}")
            }
            _ => self.probe(id),
        }
    }

    /// The names of all objects of ours that this is part of: among a store's own, among the states, among those of workspaces.
    pub(crate) fn probes(&self, id: &str) -> Vec<String> {
        let beside = [Some(self.listed()), self.listed_beside()].into_iter().flatten();
        let mut names = vec![self.probe(id)];
        names.extend(beside.map(|prefix| self.probe_beside(&format!("{prefix}{id}"), id)));
        names.dedup();
        names
    }

    /// How those names begin, before what makes each its own.
    pub(crate) fn probe_rooms(&self) -> Vec<String> {
        const ID: &str = "000000000000000000000000";
        self.probes(ID).iter().filter_map(|name| Some(name.split_once(ID)?.0.to_owned())).collect()
    }

    /// Whether nothing but the doctor's own begins so.
    pub(crate) fn is_probes(&self, prefix: &str) -> bool {
        self.probe_rooms().iter().any(|room| prefix.starts_with(room))
    }

    /// The names that are listed: those of the state, or all of a store. Policies may allow these alone.
    pub(crate) fn listed(&self) -> String {
        match (self.layout, self.key.as_str()) {
            (Layout::S3, _) => self.in_workspace(&self.workspace),
            (_, "") => String::new(),
            (_, prefix) => format!("{prefix}/"),
        }
    }

    /// The names that a store lists beside: those of the workspaces of Terraform, unless they lie among the others.
    pub(crate) fn listed_beside(&self) -> Option<String> {
        let workspaces = format!("{}/", self.workspace_key_prefix);
        let workspaces = if workspaces == "/" { String::new() } else { workspaces };
        (self.has_workspaces() && !workspaces.starts_with(&self.listed())).then_some(workspaces)
    }

    /// Whether rights are needed for more than the default workspace.
    fn has_workspaces(&self) -> bool {
        match self.layout {
            Layout::Stateward => self.shares,
            _ => self.workspace != DEFAULT_WORKSPACE,
        }
    }

    /// The `LockID` of an object.
    pub(crate) fn lock_id(&self, object: &str) -> String {
        format!("{}/{object}", self.place)
    }

    /// The services that are asked for the state and its lock.
    pub fn services(&self) -> Vec<&'static str> {
        self.keeping("*", "*", None).services()
    }

    /// The same for policies.
    pub(crate) fn keeping(&self, region: &str, account: &str, kms_key: Option<&str>) -> Keeping {
        let given = match &self.objects.encryption {
            Encryption::Kms { key } => Some(key.as_str()),
            _ => None,
        };
        let place = self.state_table().map_or(self.place.as_str(), table_name);
        // A table that is named by its ARN may be another account's.
        let tables = [self.lock_table.as_deref(), self.state_table()].into_iter().flatten();
        let owner = tables.filter(|table| table.starts_with("arn:")).find_map(account_of);
        // A key may be given by another name, and is then known by its own.
        let is_own = |key: &&str| key.starts_with("arn:") && key.contains(":key/");
        let key = [given, kms_key].into_iter().flatten().find(is_own);
        Keeping {
            workspaces: self.has_workspaces(),
            workspace: Some(self.workspace.clone()),
            workspace_prefix: Some(self.workspace_key_prefix.clone()),
            lock_table: self.lock_table.as_deref().map(table_name).map(str::to_owned),
            use_lockfile: self.use_lockfile,
            kms_key: key.map(str::to_owned),
            partition: names::partition_of(region).to_owned(),
            // Other makers of S3 have Regions of their own, of which no policy tells.
            region: if names::region(region).is_ok() { region } else { "*" }.to_owned(),
            account: owner.unwrap_or(account).to_owned(),
            ..Keeping::new(self.layout, place, self.key.as_str())
        }
    }
}

/// The name of a table that may be given as its ARN.
pub(crate) fn table_name(table: &str) -> &str {
    table.rsplit('/').next().unwrap_or_default()
}

/// A word as a shell takes it.
pub fn typed(word: &str) -> String {
    let is_plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._/=:".contains(&byte));
    if is_plain && !word.is_empty() { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_as_other_commands_take_it() {
        let mut target = Target::new("states", "net/prod.tfstate");
        assert_eq!(target.argument(), "'s3://states/net/prod.tfstate'");
        target.workspace = "a$b".to_owned();
        target.lock_table = Some("locks".to_owned());
        target.access.region = Some("eu-west-1".to_owned());
        target.access.profile = Some("a b&c'd".to_owned());
        target.endpoints.s3 = Some("http://127.0.0.1:9000/".to_owned());
        let url = "s3://states/net/prod.tfstate?region=eu-west-1&profile=a%20b%26c%27d&endpoint=http://127.0.0.1:9000&lock_table=locks";
        assert_eq!(target.argument(), format!("'{url}' --workspace 'a$b'"));
        assert_eq!(Options::from_url(url).unwrap(), target.options());
        assert_eq!(target.unsaid(), None);
    }

    #[test]
    fn a_store_lists_and_writes_where_workspaces_are() {
        let store = |prefix: &str, workspaces: &str| Target {
            layout: Layout::Stateward,
            workspace_key_prefix: workspaces.to_owned(),
            shares: true,
            ..Target::new("states", prefix)
        };
        for (prefix, workspaces, beside) in [
            ("dev", "env:", Some("env:/")),
            ("dev", "", Some("")),
            ("dev", "dev", None),
            ("dev", "dev/ws", None),
            ("dev", "development", Some("development/")),
            ("", "env:", None),
        ] {
            let store = store(prefix, workspaces);
            assert_eq!(store.listed_beside().as_deref(), beside, "`{prefix}` `{workspaces}`");
            assert!(store.keeping("*", "*", None).workspaces);
            let alone = Target { shares: false, ..store };
            assert!(alone.listed_beside().is_none() && !alone.keeping("*", "*", None).workspaces);
        }
        let store = store("dev", "env:");
        assert_eq!(store.probe_beside("dev/network", "7"), "dev/stateward-doctor-7");
        assert_eq!(store.probe_beside("dev/.stateward/x", "7"), "dev/.stateward/doctor/7");
        let in_workspace = "env:/stateward-doctor-7/dev/stateward-doctor-7";
        assert_eq!(store.probe_beside("env:/blue/dev/network", "7"), in_workspace);
    }

    #[test]
    fn what_a_url_does_not_say_is_told() {
        let mut target = Target::new("states", "net/prod.tfstate");
        target.access.keys = Some(Credentials::new("AKIA1", "hidden", Some("hidden".to_owned()), None, "test"));
        target.access.profile = Some("ci".to_owned());
        target.objects.encryption = Encryption::Customer(CustomerKey::Given("hidden".to_owned()));
        assert_eq!(target.argument(), "'s3://states/net/prod.tfstate'");
        let told = target.unsaid().unwrap();
        for words in ["`AWS_SESSION_TOKEN`", "`sse_customer_key_file=FILE`"] {
            assert!(told.contains(words) && !told.contains("hidden"), "{told}");
        }
        for key in ["env=prod/a.tfstate", "a b", &"k".repeat(300)] {
            let told = Target::new("states", key).unsaid().unwrap();
            assert!(told.contains("name a directory with its block"), "{told}");
        }
    }
}
