//! Where a store is and how to talk to it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use url::Url;

/// The longest prefix: names below it need the rest of the 1024 bytes of an object's name.
const PREFIX_BYTES_MAX: usize = 256;
/// How often Terraform tries again, unless told otherwise.
const RETRIES: u32 = 5;
/// Bytes of small blobs that the records of one session keep.
const KEEP_BYTES: usize = 32 << 10;

/// How to open a store in S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The bucket.
    pub bucket: String,
    /// What all names begin with: without a slash at either end; may be empty.
    pub prefix: String,
    /// Who one is, and where the service is.
    pub access: Access,
    /// How what is written is encrypted.
    pub encryption: Encryption,
    /// A canned ACL for what is written (`bucket-owner-full-control`).
    pub acl: Option<String>,
    /// Tags on what is written.
    pub tags: Vec<(String, String)>,
    /// Do not send or check checksums, for stores that do not know them.
    pub skip_checksum: bool,
    /// Bytes of small blobs that one write keeps in its records instead of in an object of their own: 32 KiB.
    pub keep_bytes: usize,
    /// The place of Terraform's own `s3` backend that is kept true, too: shared unless told otherwise, without its locks.
    pub sharing: Option<Sharing>,
}

/// Who one is, and where the service is. What is `None` comes from the standard AWS configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The Region.
    pub region: Option<String>,
    /// The URL of an S3 service other than AWS's.
    pub endpoint: Option<String>,
    /// The URL of a `DynamoDB` service other than AWS's.
    pub dynamodb_endpoint: Option<String>,
    /// The bucket's name goes in the path, not in the host.
    pub path_style: bool,
    /// The profile in the shared configuration.
    pub profile: Option<String>,
    /// A file of credentials instead of `~/.aws/credentials`.
    pub shared_credentials_file: Option<PathBuf>,
    /// A role to assume.
    pub role: Option<Role>,
    /// How often a request is tried again.
    pub max_retries: u32,
}

/// A role to assume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// What the session is called; `stateward` unless told.
    pub session_name: Option<String>,
    /// What its trust policy asks for.
    pub external_id: Option<String>,
}

/// How what is written is encrypted at rest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Encryption {
    /// As the bucket says.
    #[default]
    Bucket,
    /// With S3's own key.
    S3,
    /// With a key in KMS.
    Kms {
        /// The key's ARN, id or alias.
        key: String,
    },
    /// With a key that the customer keeps.
    Customer(CustomerKey),
}

/// Where the customer's own key is: 32 bytes in base64.
#[derive(Clone, PartialEq, Eq)]
pub enum CustomerKey {
    /// In this file.
    File(PathBuf),
    /// This is it.
    Given(String),
}

/// Terraform's `s3` backend on the same bucket: the current bytes of each state stand where it looks for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sharing {
    /// Under which other workspaces lie: `env:`.
    pub workspace_key_prefix: String,
    /// The `DynamoDB` table with Terraform's locks and digests.
    pub lock_table: Option<String>,
    /// Take Terraform's lock file.
    pub use_lockfile: bool,
}

impl fmt::Debug for CustomerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Given(_) => f.write_str("Given(..)"),
        }
    }
}

impl Default for Access {
    fn default() -> Self {
        Self {
            region: None,
            endpoint: None,
            dynamodb_endpoint: None,
            path_style: false,
            profile: None,
            shared_credentials_file: None,
            role: None,
            max_retries: RETRIES,
        }
    }
}

impl Default for Sharing {
    fn default() -> Self {
        Self { workspace_key_prefix: "env:".into(), lock_table: None, use_lockfile: false }
    }
}

/// Why a URL names no store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` {why}")]
pub struct UrlError {
    /// The URL, less what stands in its query.
    pub url: String,
    /// What is wrong with it, and how it should be.
    pub why: String,
}

impl Options {
    /// A store in a bucket, all else as usual.
    pub fn new(bucket: impl Into<String>, prefix: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            prefix: prefix.into(),
            access: Access::default(),
            encryption: Encryption::default(),
            acl: None,
            tags: Vec::new(),
            skip_checksum: false,
            keep_bytes: KEEP_BYTES,
            sharing: Some(Sharing::default()),
        }
    }

    /// Reads `s3://BUCKET/PREFIX?region=…`. Reads nothing but the text: no file, no environment.
    pub fn from_url(text: &str) -> Result<Self, UrlError> {
        let shown = text.split('?').next().unwrap_or_default();
        let authority = shown.split('/').nth(2).unwrap_or_default();
        // What stands before an `@` may be a secret.
        let shown = if authority.contains('@') { "s3://…" } else { shown };
        let refused = |why: String| UrlError { url: shown.to_owned(), why };
        let url = Url::parse(text).map_err(|error| refused(format!("is no URL: {error}")))?;
        if url.scheme() != "s3" {
            return Err(refused("is no store in S3: write it as `s3://BUCKET/PREFIX`".into()));
        }
        if !url.username().is_empty() || url.password().is_some() || url.port().is_some() {
            return Err(refused(
                "has more than a bucket before the path: credentials come from the AWS configuration".into(),
            ));
        }
        let bucket = url.host_str().unwrap_or_default();
        check_bucket(bucket).map_err(&refused)?;
        let prefix = url.path().trim_start_matches('/');
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        check_prefix(prefix).map_err(&refused)?;

        let mut options = Self::new(bucket, prefix);
        let mut query = Query::default();
        for (name, value) in url.query_pairs() {
            options.set(&mut query, &name, &value).map_err(&refused)?;
        }
        query.finish(&mut options).map_err(&refused)?;
        Ok(options)
    }

    fn set(&mut self, query: &mut Query, name: &str, value: &str) -> Result<(), String> {
        if value.is_empty() && name != "workspace_key_prefix" {
            return Err(format!("has no value for `{name}`"));
        }
        let text = || Some(value.to_owned());
        match name {
            "region" => self.access.region = text(),
            "endpoint" => self.access.endpoint = Some(endpoint(name, value)?),
            "dynamodb_endpoint" => self.access.dynamodb_endpoint = Some(endpoint(name, value)?),
            "use_path_style" => self.access.path_style = parse(name, value)?,
            "profile" => self.access.profile = text(),
            "shared_credentials_file" => self.access.shared_credentials_file = Some(value.into()),
            "max_retries" => self.access.max_retries = parse(name, value)?,
            "role_arn" => query.role_arn = text(),
            "session_name" => query.session_name = text(),
            "external_id" => query.external_id = text(),
            "encrypt" => query.encrypt = Some(parse(name, value)?),
            "kms_key_id" => query.kms_key = text(),
            "sse_customer_key_file" => query.customer_key = Some(value.into()),
            "sse_customer_key" => {
                return Err("holds a key, which lists of processes would show: put it in a file and name that with `sse_customer_key_file`".into());
            }
            "acl" => self.acl = text(),
            "skip_s3_checksum" => self.skip_checksum = parse(name, value)?,
            "share" => query.share = Some(parse(name, value)?),
            "lock_table" | "dynamodb_table" => query.sharing().lock_table = text(),
            "use_lockfile" => query.sharing().use_lockfile = parse(name, value)?,
            "workspace_key_prefix" if value.trim_matches('/') != value => {
                return Err("has a slash at an end of `workspace_key_prefix`".into());
            }
            "workspace_key_prefix" => value.clone_into(&mut query.sharing().workspace_key_prefix),
            _ => match name.strip_prefix("tag.") {
                Some(tag) if !tag.is_empty() => self.tags.push((tag.to_owned(), value.to_owned())),
                _ => return Err(format!("has the option `{name}`, which is not known; known are {KNOWN}")),
            },
        }
        Ok(())
    }

    /// The URL of this store, with nothing in it that is secret.
    pub fn location(&self) -> String {
        let mut location = format!("s3://{}", self.bucket);
        if !self.prefix.is_empty() {
            location = format!("{location}/{}", self.prefix);
        }
        let parts = [("region", &self.access.region), ("endpoint", &self.access.endpoint)];
        let parts: Vec<String> =
            parts.iter().filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}={value}"))).collect();
        if parts.is_empty() { location } else { format!("{location}?{}", parts.join("&")) }
    }
}

const KNOWN: &str = "`region`, `endpoint`, `dynamodb_endpoint`, `use_path_style`, `profile`, \
                     `shared_credentials_file`, `role_arn`, `session_name`, `external_id`, `max_retries`, `encrypt`, `kms_key_id`, `sse_customer_key_file`, `acl`, `tag.NAME`, \
                     `skip_s3_checksum`, `share`, `lock_table`, `use_lockfile` and `workspace_key_prefix`";

/// Options that only together make sense.
#[derive(Default)]
struct Query {
    role_arn: Option<String>,
    session_name: Option<String>,
    external_id: Option<String>,
    encrypt: Option<bool>,
    kms_key: Option<String>,
    customer_key: Option<PathBuf>,
    share: Option<bool>,
    sharing: Option<Sharing>,
}

impl Query {
    fn sharing(&mut self) -> &mut Sharing {
        self.sharing.get_or_insert_default()
    }

    fn finish(self, options: &mut Options) -> Result<(), String> {
        let Self { role_arn, session_name, external_id, encrypt, kms_key, customer_key, share, sharing } = self;
        options.sharing = match (share, sharing) {
            (Some(false), Some(_)) => {
                return Err("says `share=false` and how to share: leave one of them out".into());
            }
            (Some(false), None) => None,
            (_, sharing) => Some(sharing.unwrap_or_default()),
        };
        options.access.role = match role_arn {
            Some(arn) => Some(Role { arn, session_name, external_id }),
            None if session_name.is_some() || external_id.is_some() => {
                return Err("has `session_name` or `external_id` without `role_arn`".into());
            }
            None => None,
        };
        options.encryption = match (encrypt, kms_key, customer_key) {
            (_, Some(_), Some(_)) => return Err("has both `kms_key_id` and `sse_customer_key_file`: choose one".into()),
            (Some(false), Some(_), _) | (Some(false), _, Some(_)) => {
                return Err("says `encrypt=false` and names a key: leave one of them out".into());
            }
            (_, Some(key), None) => Encryption::Kms { key },
            (_, None, Some(file)) => Encryption::Customer(CustomerKey::File(file)),
            (Some(true), None, None) => Encryption::S3,
            (_, None, None) => Encryption::Bucket,
        };
        Ok(())
    }
}

fn parse<T: FromStr>(name: &str, value: &str) -> Result<T, String> {
    let shape = if std::any::type_name::<T>() == "bool" { "`true` or `false`" } else { "a number" };
    value.parse().map_err(|_| format!("has `{name}={value}`, which should be {shape}"))
}

fn endpoint(name: &str, value: &str) -> Result<String, String> {
    match Url::parse(value) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() && url.username().is_empty() => {
            Ok(value.trim_end_matches('/').to_owned())
        }
        _ => Err(format!("has a `{name}` that is not `http://HOST` or `https://HOST`")),
    }
}

fn check_bucket(bucket: &str) -> Result<(), String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    match bucket {
        "" => Err("names no bucket: write it as `s3://BUCKET/PREFIX`".into()),
        _ if bucket.bytes().all(fits) && (3..=255).contains(&bucket.len()) => Ok(()),
        _ => Err(format!("names the bucket `{bucket}`, and no bucket can be called so")),
    }
}

fn check_prefix(prefix: &str) -> Result<(), String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"/.-_@".contains(&byte);
    if !prefix.bytes().all(fits) {
        return Err("has a prefix with other characters than letters, digits, `.`, `_`, `-`, `@` and `/`".into());
    }
    let odd = |part: &str| part.is_empty() || part.bytes().all(|byte| byte == b'.') || part == ".stateward";
    if !prefix.is_empty() && prefix.split('/').any(odd) {
        return Err("has a prefix with a part that is empty, dots, or `.stateward`".into());
    }
    if prefix.len() > PREFIX_BYTES_MAX {
        return Err(format!("has a prefix of {} bytes; at most {PREFIX_BYTES_MAX} leave room for names", prefix.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Options {
        Options::from_url(url).unwrap()
    }

    #[test]
    fn a_bucket_and_a_prefix() {
        for (url, bucket, prefix) in [
            ("s3://states/", "states", ""),
            ("s3://states", "states", ""),
            ("s3://states/team/prod", "states", "team/prod"),
            ("s3://My_Bucket.x/a/", "My_Bucket.x", "a"),
        ] {
            let options = read(url);
            assert_eq!(options, Options::new(bucket, prefix), "{url}");
            assert_eq!(options.location().trim_end_matches('/'), url.trim_end_matches('/'));
        }
    }

    #[test]
    fn every_option() {
        let options = read(
            "s3://states/a?region=eu-west-1&endpoint=http://127.0.0.1:9000/&dynamodb_endpoint=https://d&use_path_style=true\
             &profile=ci&shared_credentials_file=/tmp/c&role_arn=arn:aws:iam::1:role/x&session_name=s&external_id=e&max_retries=2&kms_key_id=alias/k\
             &acl=private&tag.team=net%26ops&skip_s3_checksum=true&lock_table=locks&use_lockfile=true&workspace_key_prefix=ws",
        );
        let role =
            Role { arn: "arn:aws:iam::1:role/x".into(), session_name: Some("s".into()), external_id: Some("e".into()) };
        let access = Access {
            region: Some("eu-west-1".into()),
            endpoint: Some("http://127.0.0.1:9000".into()),
            dynamodb_endpoint: Some("https://d".into()),
            path_style: true,
            profile: Some("ci".into()),
            shared_credentials_file: Some("/tmp/c".into()),
            role: Some(role),
            max_retries: 2,
        };
        let sharing =
            Sharing { workspace_key_prefix: "ws".into(), lock_table: Some("locks".into()), use_lockfile: true };
        let expected = Options {
            access,
            encryption: Encryption::Kms { key: "alias/k".into() },
            acl: Some("private".into()),
            tags: vec![("team".into(), "net&ops".into())],
            skip_checksum: true,
            sharing: Some(sharing),
            ..Options::new("states", "a")
        };
        assert_eq!(options, expected);
        assert_eq!(options.location(), "s3://states/a?region=eu-west-1&endpoint=http://127.0.0.1:9000");
    }

    #[test]
    fn the_bytes_are_shared_unless_told_otherwise_and_locks_where_they_are_named() {
        assert_eq!(read("s3://states").sharing, Some(Sharing::default()));
        assert_eq!(read("s3://states?share=false").sharing, None);
        assert_eq!(read("s3://states?share=true").sharing, Some(Sharing::default()));
        assert_eq!(
            read("s3://states?dynamodb_table=t").sharing,
            Some(Sharing { lock_table: Some("t".into()), ..Sharing::default() })
        );
        assert_eq!(
            read("s3://states?workspace_key_prefix=").sharing,
            Some(Sharing { workspace_key_prefix: String::new(), ..Sharing::default() })
        );
    }

    #[test]
    fn encryption() {
        for (query, expected) in [
            ("", Encryption::Bucket),
            ("?encrypt=false", Encryption::Bucket),
            ("?encrypt=true", Encryption::S3),
            ("?encrypt=true&kms_key_id=k", Encryption::Kms { key: "k".into() }),
            ("?sse_customer_key_file=/k", Encryption::Customer(CustomerKey::File("/k".into()))),
        ] {
            assert_eq!(read(&format!("s3://states{query}")).encryption, expected, "{query}");
        }
    }

    #[test]
    fn what_is_no_store_is_told_why() {
        let long = format!("s3://states/{}", "p".repeat(257));
        for (url, why) in [
            ("states", "is no URL"),
            ("http://states", "is no store in S3"),
            ("s3:///a", "names no bucket"),
            ("s3://a", "no bucket can be called so"),
            ("s3://key:secret@states/a", "credentials come from"),
            ("s3://states/a//b", "empty, dots"),
            ("s3://states/.stateward", "empty, dots"),
            ("s3://states/a%20b", "other characters"),
            (&long, "at most 256"),
            ("s3://states?regoin=x", "`regoin`, which is not known; known are `region`"),
            ("s3://states?region=", "no value for `region`"),
            ("s3://states?use_lockfile=yes", "`true` or `false`"),
            ("s3://states?max_retries=many", "a number"),
            ("s3://states?endpoint=localhost:9000", "is not `http://HOST`"),
            ("s3://states?external_id=e", "without `role_arn`"),
            ("s3://states?kms_key_id=a&sse_customer_key_file=b", "choose one"),
            ("s3://states?encrypt=false&kms_key_id=a", "leave one of them out"),
            ("s3://states?share=false&use_lockfile=true", "leave one of them out"),
            ("s3://states?workspace_key_prefix=/a", "slash at an end"),
        ] {
            let error = Options::from_url(url).unwrap_err().to_string();
            assert!(error.contains(why), "{url}: {error}");
        }
    }

    #[test]
    fn a_key_is_never_shown() {
        let error = Options::from_url("s3://states?sse_customer_key=c2VjcmV0").unwrap_err().to_string();
        assert!(error.contains("put it in a file") && !error.contains("c2VjcmV0"), "{error}");
        let error = Options::from_url("s3://id:c2VjcmV0@states").unwrap_err().to_string();
        assert!(!error.contains("c2VjcmV0"), "{error}");
        let options = Options {
            encryption: Encryption::Customer(CustomerKey::Given("c2VjcmV0".into())),
            ..Options::new("states", "")
        };
        assert!(!format!("{options:?}").contains("c2VjcmV0"));
        assert!(!options.location().contains("c2VjcmV0"));
    }
}
