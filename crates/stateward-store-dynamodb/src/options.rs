//! Where a store is and how to talk to it.

use std::collections::BTreeMap;
use std::time::Duration;

use stateward_store_aws::{Access, KeyQuery, Objects, Place, RoleQuery, UrlError, endpoint, parse};
use url::Url;

/// How long a move of the home waits, unless told otherwise.
const HOME_LEASE: Duration = Duration::from_secs(10);
/// Under which other workspaces are locked, unless told otherwise.
const WORKSPACE_KEY_PREFIX: &str = "workspace";

/// How to open a store in `DynamoDB`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option that is on or off by itself")]
pub struct Options {
    /// The table that holds everything.
    pub state_table: String,
    /// The table in which other programs look for locks.
    pub lock_table: Option<String>,
    /// How the lock of another workspace is called there: `PREFIX=WORKSPACE/NAME`.
    pub workspace_key_prefix: String,
    /// A store of its own for each Region, in the same (global) table.
    pub region_suffix: bool,
    /// Days for which old versions are kept. `Some(0)`: for ever. `None`: as the settings of the server say.
    pub keep_days: Option<u64>,
    /// The bucket into which the bytes of states go instead of the table.
    pub blobs: Option<Blobs>,
    /// Make the tables if they are not there.
    pub create_tables: bool,
    /// Do not look at the tables before they are used.
    pub skip_table_check: bool,
    /// Read from the replica in this Region, which may be behind; writes are refused.
    pub read_replica: bool,
    /// For how long a former home may still be read by those who have not noticed that it moved; a move waits for so long.
    pub home_lease: Duration,
    /// The URL of the service in each Region, where there are several and they are not AWS's.
    pub endpoints: BTreeMap<String, String>,
    /// Who one is, and where the service is.
    pub access: Access,
}

/// The bucket into which the bytes of states go. Who one is holds for it, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blobs {
    /// Which bucket, and where in it.
    pub place: Place,
    /// Its Region, where that is another one than the table's.
    pub region: Option<String>,
    /// The URL of an S3 service other than AWS's.
    pub endpoint: Option<String>,
    /// How the bucket is addressed, and how objects are written.
    pub objects: Objects,
}

impl Options {
    /// A store in a table, all else as usual.
    pub fn new(state_table: impl Into<String>) -> Self {
        Self {
            state_table: state_table.into(),
            lock_table: None,
            workspace_key_prefix: WORKSPACE_KEY_PREFIX.into(),
            region_suffix: false,
            keep_days: None,
            blobs: None,
            create_tables: false,
            skip_table_check: false,
            read_replica: false,
            home_lease: HOME_LEASE,
            endpoints: BTreeMap::new(),
            access: Access::default(),
        }
    }

    /// Reads `dynamodb://STATE_TABLE?lock_table=…&region=…`. Reads nothing but the text: no file, no environment.
    pub fn from_url(text: &str) -> Result<Self, UrlError> {
        let shown = text.split(['?', '#']).next().unwrap_or_default();
        // What stands before an `@` may be a secret.
        let shown = if shown.contains('@') { "dynamodb://…" } else { shown };
        let refused = |why: String| UrlError { url: shown.to_owned(), why };
        let url = Url::parse(text).map_err(|error| refused(format!("is no URL: {error}")))?;
        if url.scheme() != "dynamodb" {
            return Err(refused("is no store in DynamoDB: write it as `dynamodb://TABLE`".into()));
        }
        let more = url.port().is_some() || !matches!(url.path(), "" | "/") || url.fragment().is_some();
        if more || !url.username().is_empty() || url.password().is_some() {
            let why = "has more than the name of a table before the `?`: write it as `dynamodb://TABLE`; credentials come from the AWS configuration";
            return Err(refused(why.into()));
        }
        let table = url.host_str().unwrap_or_default();
        check_table(table).map_err(&refused)?;
        let mut options = Self::new(table);
        let mut query = Query::default();
        for (name, value) in url.query_pairs() {
            options.set(&mut query, &name, &value).map_err(&refused)?;
        }
        options.access.role = query.role.finish().map_err(&refused)?;
        options.blobs = query.blobs.finish().map_err(&refused)?;
        Ok(options)
    }

    fn set(&mut self, query: &mut Query, name: &str, value: &str) -> Result<(), String> {
        if let Some(why) = without_equal(name) {
            return Err(format!("has the option `{name}`, which does not exist here: {why}"));
        }
        if value.is_empty() {
            return Err(format!("has no value for `{name}`"));
        }
        let text = || Some(value.to_owned());
        match name {
            "state_table" if value == self.state_table => {}
            "state_table" => return Err(format!("names two tables: `{}` and `{value}`", self.state_table)),
            "lock_table" => {
                check_table(value)?;
                self.lock_table = text();
            }
            // Names have slashes here: without a prefix, or with one that has slashes, a workspace could not be told from a name.
            "workspace_key_prefix" if value.contains(['/', '=']) => {
                return Err("has a slash or `=` in `workspace_key_prefix`".into());
            }
            "workspace_key_prefix" => value.clone_into(&mut self.workspace_key_prefix),
            "region_suffix" => self.region_suffix = parse(name, value)?,
            "compression" if parse(name, value)? => {}
            "compression" => return Err("says `compression=false`, but states are always stored compressed".into()),
            "state_days_ttl" => self.keep_days = keep_days(value)?,
            "blobs" => query.blobs.place = Some(place(value)?),
            "create_tables" => self.create_tables = parse(name, value)?,
            "skip_table_check" => self.skip_table_check = parse(name, value)?,
            "read_replica" => self.read_replica = parse(name, value)?,
            // No request of that kind is ever made.
            "skip_credentials_validation" | "skip_region_validation" => drop(parse::<bool>(name, value)?),
            "dynamodb_endpoint" => self.access.endpoint = Some(endpoint(name, value)?),
            _ if self.access.set(&mut query.role, name, value)? => {}
            _ if query.blobs.set(name, value)? => {}
            _ => match name.strip_prefix("endpoints.") {
                Some(region) if !region.is_empty() => {
                    drop(self.endpoints.insert(region.to_owned(), endpoint(name, value)?));
                }
                _ => {
                    let (access, objects) = (Access::KNOWN, Objects::KNOWN);
                    return Err(format!(
                        "has the option `{name}`, which is not known; known are {access}, {KNOWN}; and about the bucket, each \
                         with `blobs.` before it: `region`, `endpoint`, {objects}"
                    ));
                }
            },
        }
        Ok(())
    }

    /// The URL of the service in a Region, where it is not AWS's.
    pub(crate) fn endpoint_in(&self, region: &str) -> Option<&str> {
        self.endpoints.get(region).or(self.access.endpoint.as_ref()).map(String::as_str)
    }

    /// The URL of this store, with nothing in it that is secret.
    pub fn location(&self) -> String {
        let mut location = format!("dynamodb://{}", self.state_table);
        let access = &self.access;
        let blobs = self.blobs.as_ref().map(|blobs| blobs.place.url());
        let parts = [
            ("lock_table", &self.lock_table),
            ("region", &access.region),
            ("endpoint", &access.endpoint),
            ("blobs", &blobs),
        ];
        for (n, (name, value)) in parts.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))).enumerate() {
            location = format!("{location}{}{name}={value}", if n == 0 { '?' } else { '&' });
        }
        location
    }
}

const KNOWN: &str = "`state_table`, `lock_table`, `workspace_key_prefix`, `compression`, `state_days_ttl`, `blobs`, \
                     `create_tables`, `skip_table_check`, `read_replica`, `region_suffix`, `endpoints.REGION`, \
                     `skip_credentials_validation` and `skip_region_validation`";

/// Options of the `dynamodb` backend for Terraform that was never released, for which there is no need here, and why.
fn without_equal(name: &str) -> Option<&'static str> {
    Some(match name {
        "hash" => "the name of the state takes its place (`/state/NAME`, `--state NAME`)",
        "access_key" | "secret_key" | "token" => {
            "lists of processes would show it; set `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, or `profile`"
        }
        "iam_endpoint" => "nothing is asked of IAM",
        "force_path_style" => "DynamoDB has no buckets in its host names",
        "global_table_health_check" => {
            "a lock that leaves out a Region which does not answer lets two in; writes go to the home Region, and `stateward failover` moves it"
        }
        _ => return None,
    })
}

/// Options that only together make sense.
#[derive(Default)]
struct Query {
    role: RoleQuery,
    blobs: BlobsQuery,
}

#[derive(Default)]
struct BlobsQuery {
    place: Option<Place>,
    region: Option<String>,
    endpoint: Option<String>,
    objects: Objects,
    key: KeyQuery,
    /// One of the options that need a bucket.
    named: Option<String>,
}

impl BlobsQuery {
    /// Takes an option about the bucket; false where it is none.
    fn set(&mut self, name: &str, value: &str) -> Result<bool, String> {
        let Some(own) = name.strip_prefix("blobs.") else { return Ok(false) };
        self.named = Some(name.to_owned());
        match own {
            "region" => self.region = Some(value.to_owned()),
            "endpoint" => self.endpoint = Some(endpoint(name, value)?),
            _ => return self.objects.set(&mut self.key, own, value),
        }
        Ok(true)
    }

    fn finish(self) -> Result<Option<Blobs>, String> {
        let Self { place, region, endpoint, mut objects, key, named } = self;
        objects.encryption = key.finish()?;
        match (place, named) {
            (Some(place), _) => Ok(Some(Blobs { place, region, endpoint, objects })),
            (None, Some(named)) => Err(format!("has `{named}` without `blobs`, which names the bucket")),
            (None, None) => Ok(None),
        }
    }
}

/// Where the bytes of states go.
fn place(value: &str) -> Result<Place, String> {
    let refused = |why: &str| format!("has a `blobs` that {why}");
    let url = Url::parse(value)
        .ok()
        .filter(|url| url.scheme() == "s3")
        .ok_or_else(|| refused("is not `s3://BUCKET/PREFIX`"))?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refused("has options of its own: write them beside it, as `blobs.region=…`"));
    }
    Place::of(&url).map_err(|why| refused(&why))
}

/// `-1` was the default there and meant that nothing is kept. Here the history is kept unless a rule lets it go.
fn keep_days(value: &str) -> Result<Option<u64>, String> {
    match value.parse::<i64>() {
        Ok(-1) => Ok(None),
        Ok(days) if days >= 0 => Ok(Some(days.unsigned_abs())),
        _ => Err(format!("has `state_days_ttl={value}`, which should be a number of days, 0 for ever, or -1")),
    }
}

fn check_table(table: &str) -> Result<(), String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    match table {
        "" => Err("names no table: write it as `dynamodb://TABLE`".into()),
        _ if table.bytes().all(fits) && (3..=255).contains(&table.len()) => Ok(()),
        _ => Err(format!("names the table `{table}`, and no table can be called so")),
    }
}

#[cfg(test)]
mod tests {
    use stateward_store_aws::{Encryption, Role};

    use super::*;

    fn read(url: &str) -> Options {
        Options::from_url(url).unwrap()
    }

    #[test]
    fn a_table() {
        for url in ["dynamodb://states", "dynamodb://states/", "dynamodb://states?state_table=states"] {
            assert_eq!(read(url), Options::new("states"), "{url}");
        }
        assert_eq!(read("dynamodb://My_States.v2").state_table, "My_States.v2");
        assert_eq!(
            read("dynamodb://states?region=eu-west-1&lock_table=locks").location(),
            "dynamodb://states?lock_table=locks&region=eu-west-1"
        );
    }

    #[test]
    fn every_option() {
        let options = read(
            "dynamodb://states?lock_table=locks&workspace_key_prefix=ws&region_suffix=true&compression=true&state_days_ttl=30\
             &blobs=s3://bytes/p/q&blobs.region=eu-west-2&blobs.endpoint=http://127.0.0.1:9/&blobs.use_path_style=true\
             &blobs.kms_key_id=k&create_tables=true&skip_table_check=true&read_replica=true&region=eu-west-1\
             &endpoint=http://127.0.0.1:8000/&endpoints.us-east-1=https://d&sts_endpoint=https://s&profile=ci\
             &shared_credentials_file=/tmp/c&role_arn=arn:aws:iam::1:role/x&session_name=s&external_id=e\
             &assume_role_policy=%7B%7D&max_retries=2&skip_credentials_validation=true&skip_region_validation=true\
             &skip_metadata_api_check=true",
        );
        let role = Role {
            arn: "arn:aws:iam::1:role/x".into(),
            session_name: Some("s".into()),
            external_id: Some("e".into()),
            policy: Some("{}".into()),
            ..Role::default()
        };
        let objects =
            Objects { path_style: true, encryption: Encryption::Kms { key: "k".into() }, ..Objects::default() };
        let blobs = Blobs {
            place: Place { bucket: "bytes".into(), prefix: "p/q".into() },
            region: Some("eu-west-2".into()),
            endpoint: Some("http://127.0.0.1:9".into()),
            objects,
        };
        let access = Access {
            region: Some("eu-west-1".into()),
            endpoint: Some("http://127.0.0.1:8000".into()),
            sts_endpoint: Some("https://s".into()),
            profile: Some("ci".into()),
            shared_credentials_files: vec!["/tmp/c".into()],
            role: Some(role),
            skip_metadata_api_check: true,
            max_retries: 2,
            ..Access::default()
        };
        assert_eq!(options.endpoint_in("us-east-1"), Some("https://d"));
        assert_eq!(options.endpoint_in("eu-west-1"), Some("http://127.0.0.1:8000"));
        let expected = Options {
            lock_table: Some("locks".into()),
            workspace_key_prefix: "ws".into(),
            region_suffix: true,
            keep_days: Some(30),
            blobs: Some(blobs),
            create_tables: true,
            skip_table_check: true,
            read_replica: true,
            endpoints: [("us-east-1".to_owned(), "https://d".to_owned())].into(),
            access,
            ..Options::new("states")
        };
        assert_eq!(options, expected);
    }

    #[test]
    fn all_known_options_are_named() {
        for name in [KNOWN, Access::KNOWN].join(" ").split('`').skip(1).step_by(2) {
            let name = name.replace("REGION", "eu-west-1");
            let error = Options::from_url(&format!("dynamodb://states?{name}=%21"))
                .map_or_else(|error| error.why, |_| String::new());
            assert!(!error.contains("not known"), "`{name}`: {error}");
        }
    }

    #[test]
    fn days_of_the_past() {
        for (value, days) in [("-1", None), ("0", Some(0)), ("7", Some(7))] {
            assert_eq!(read(&format!("dynamodb://states?state_days_ttl={value}")).keep_days, days);
        }
    }

    #[test]
    fn what_names_no_store() {
        for (url, why) in [
            ("dynamodb:", "names no table"),
            ("dynamodb://", "names no table"),
            ("s3://states", "is no store in DynamoDB"),
            ("dynamodb://ab", "no table can be called so"),
            ("dynamodb://states/x", "has more than the name of a table"),
            ("dynamodb://user:secret@states", "has more than the name of a table"),
            ("dynamodb://states?state_table=other", "names two tables"),
            ("dynamodb://states?colour=blue", "is not known; known are `region`"),
            ("dynamodb://states?hash=x", "the name of the state takes its place"),
            ("dynamodb://states?token=secret", "lists of processes would show it"),
            ("dynamodb://states?global_table_health_check=true", "lets two in"),
            ("dynamodb://states?compression=false", "always stored compressed"),
            ("dynamodb://states?state_days_ttl=-2", "should be a number of days"),
            ("dynamodb://states?create_tables=yes", "should be `true` or `false`"),
            ("dynamodb://states?endpoint=ftp://x", "is not `http://HOST`"),
            ("dynamodb://states?session_name=x", "without `role_arn`"),
            ("dynamodb://states?blobs=/tmp", "is not `s3://BUCKET/PREFIX`"),
            ("dynamodb://states?blobs=gs://bytes", "is not `s3://BUCKET/PREFIX`"),
            ("dynamodb://states?blobs=s3://b", "names the bucket `b`, and no bucket can be called so"),
            ("dynamodb://states?blobs=s3://key:secret@bytes", "credentials come from"),
            ("dynamodb://states?blobs=s3://bytes%3Fregion=x", "write them beside it, as `blobs.region=…`"),
            ("dynamodb://states?blobs.region=x", "has `blobs.region` without `blobs`"),
            ("dynamodb://states?blobs=s3://bytes&blobs.colour=x", "`blobs.colour`, which is not known"),
            ("dynamodb://states?blobs=s3://bytes&blobs.sse_customer_key=secret", "put it in a file"),
            ("dynamodb://states?region=", "has no value for `region`"),
        ] {
            let error = Options::from_url(url).unwrap_err();
            assert!(error.why.contains(why), "{url}: {error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
