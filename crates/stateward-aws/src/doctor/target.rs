//! What is looked at: where a state is kept, and how it is reached.

use stateward_iam::{Keeping, Layout, names};
use stateward_store_aws::{Access, Encryption, Objects};

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
    /// Who one is.
    pub access: Access,
    /// URLs of services other than AWS's.
    pub endpoints: Endpoints,
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
    /// Of STS.
    pub sts: Option<String>,
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
            objects: Objects::default(),
            unused_key: None,
            accounts: Accounts::default(),
            unlooked: Vec::new(),
            access: Access::default(),
            endpoints: Endpoints::default(),
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

    /// The state as `state repair` and `lock inspect` take it: a URL, without secrets, and the workspace.
    pub(crate) fn argument(&self) -> String {
        let Self { access, endpoints, .. } = self;
        let role = access.role.as_ref();
        let file = access.shared_credentials_files.first().map(|file| file.display().to_string());
        let pairs = [
            ("region", access.region.clone()),
            ("profile", access.profile.clone()),
            ("shared_credentials_file", file),
            ("role_arn", role.map(|role| role.arn.clone())),
            ("session_name", role.and_then(|role| role.session_name.clone())),
            ("external_id", role.and_then(|role| role.external_id.clone())),
            ("endpoint", endpoints.s3.clone()),
            ("dynamodb_endpoint", endpoints.dynamodb.clone()),
            ("sts_endpoint", endpoints.sts.clone()),
            ("use_path_style", self.objects.path_style.then(|| "true".to_owned())),
            ("workspace_key_prefix", Some(self.workspace_key_prefix.clone()).filter(|prefix| prefix != "env:")),
            ("lock_table", self.lock_table.clone()),
            ("use_lockfile", self.use_lockfile.then(|| "true".to_owned())),
        ];
        let pairs = pairs.into_iter().filter_map(|(name, text)| Some(format!("{name}={}", escaped(&text?))));
        let query = pairs.collect::<Vec<_>>().join("&");
        let mark = if query.is_empty() { "" } else { "?" };
        let workspace = match self.workspace.as_str() {
            DEFAULT_WORKSPACE => String::new(),
            workspace => format!(" --workspace {workspace}"),
        };
        format!("'s3://{}/{}{mark}{query}'{workspace}", self.place, escaped(&self.key))
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

    /// The names that are listed: those of the state, or all of a store. Policies may allow these alone.
    pub(crate) fn listed(&self) -> String {
        match (self.layout, self.key.as_str()) {
            (Layout::S3, key) => key.to_owned(),
            (_, "") => String::new(),
            (_, prefix) => format!("{prefix}/"),
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
        let key = given.or(kms_key).filter(|key| key.starts_with("arn:") && key.contains(":key/"));
        Keeping {
            workspaces: self.workspace != DEFAULT_WORKSPACE,
            workspace_prefix: Some(self.workspace_key_prefix.clone()),
            lock_table: self.lock_table.clone(),
            use_lockfile: self.use_lockfile,
            kms_key: key.map(str::to_owned),
            partition: names::partition_of(region).to_owned(),
            // Other makers of S3 have Regions of their own, of which no policy tells.
            region: if names::region(region).is_ok() { region } else { "*" }.to_owned(),
            account: account.to_owned(),
            ..Keeping::new(self.layout, self.place.as_str(), self.key.as_str())
        }
    }
}

/// Whether a name is one of [`Target::probe`].
pub(crate) fn is_probe(name: &str) -> bool {
    let marks = ["stateward-doctor-", ".stateward/doctor/"];
    marks.iter().any(|mark| name.contains(mark))
}

/// As it stands in a URL within single quotes.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:@".contains(&byte);
    let sign = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(sign).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_as_other_commands_take_it() {
        let mut target = Target::new("states", "net/prod.tfstate");
        assert_eq!(target.argument(), "'s3://states/net/prod.tfstate'");
        target.workspace = "dev".to_owned();
        target.lock_table = Some("locks".to_owned());
        target.access.region = Some("eu-west-1".to_owned());
        target.access.profile = Some("a b&c".to_owned());
        target.endpoints.s3 = Some("http://127.0.0.1:9000".to_owned());
        assert_eq!(
            target.argument(),
            "'s3://states/net/prod.tfstate?region=eu-west-1&profile=a%20b%26c&endpoint=http://127.0.0.1:9000&lock_table=locks' --workspace dev"
        );
        let url = target.argument();
        let url = url.trim_start_matches('\'').split('\'').next().unwrap();
        let options = stateward_store_s3::Options::from_url(url).unwrap();
        assert_eq!(options.access.profile.as_deref(), Some("a b&c"));
        assert_eq!(options.sharing.unwrap().lock_table.as_deref(), Some("locks"));
    }
}
