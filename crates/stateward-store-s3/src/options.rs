//! Where a store is and how to talk to it.

use stateward_store_aws::{Access, KeyQuery, Objects, Place, RoleQuery, UrlError, endpoint, parse, query};
use url::Url;

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
    /// The URL of a `DynamoDB` service other than AWS's, for the lock table.
    pub dynamodb_endpoint: Option<String>,
    /// How the bucket is addressed, and how objects are written.
    pub objects: Objects,
    /// Bytes of small blobs that one write keeps in its records instead of in an object of their own: 32 KiB.
    pub keep_bytes: usize,
    /// The place of Terraform's own `s3` backend that is kept true, too: shared unless told otherwise, without its locks.
    pub sharing: Option<Sharing>,
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

impl Default for Sharing {
    fn default() -> Self {
        Self { workspace_key_prefix: "env:".into(), lock_table: None, use_lockfile: false }
    }
}

impl Options {
    /// A store in a bucket, all else as usual.
    pub fn new(bucket: impl Into<String>, prefix: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            prefix: prefix.into(),
            access: Access::default(),
            dynamodb_endpoint: None,
            objects: Objects::default(),
            keep_bytes: KEEP_BYTES,
            sharing: Some(Sharing::default()),
        }
    }

    /// Reads `s3://BUCKET/PREFIX?region=…`. Reads nothing but the text: no file, no environment.
    pub fn from_url(text: &str) -> Result<Self, UrlError> {
        let shown = text.split('?').next().unwrap_or_default();
        // What stands before an `@` may be a secret, which may itself hold a `/`.
        let shown = if shown.contains('@') { "s3://…" } else { shown };
        let refused = |why: String| UrlError { url: shown.to_owned(), why };
        let url = Url::parse(text).map_err(|error| refused(format!("is no URL: {error}")))?;
        let Place { bucket, prefix } = Place::of(&url).map_err(&refused)?;
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
        if self.access.set(&mut query.role, name, value)? || self.objects.set(&mut query.key, name, value)? {
            return Ok(());
        }
        match name {
            "dynamodb_endpoint" => self.dynamodb_endpoint = Some(endpoint(name, value)?),
            "share" => query.share = Some(parse(name, value)?),
            "lock_table" | "dynamodb_table" => query.sharing().lock_table = text(),
            "use_lockfile" => query.sharing().use_lockfile = parse(name, value)?,
            "workspace_key_prefix" if value.trim_matches('/') != value => {
                return Err("has a slash at an end of `workspace_key_prefix`".into());
            }
            "workspace_key_prefix" => value.clone_into(&mut query.sharing().workspace_key_prefix),
            _ => {
                let (access, objects) = (Access::KNOWN, Objects::KNOWN);
                return Err(format!(
                    "has the option `{name}`, which is not known; known are {access}, {objects}, {KNOWN}"
                ));
            }
        }
        Ok(())
    }

    /// The URL that [reads](Self::from_url) as this, but for what is secret; it can stand within single quotes.
    pub fn url(&self) -> String {
        let usual = Sharing::default();
        let text = |name: &str, text: String| (name.to_owned(), text);
        let mut options = self.access.options();
        options.extend(self.dynamodb_endpoint.clone().map(|url| text("dynamodb_endpoint", url)));
        options.extend(self.objects.options());
        match &self.sharing {
            None => options.push(text("share", "false".to_owned())),
            Some(Sharing { workspace_key_prefix, lock_table, use_lockfile }) => {
                let prefix = Some(workspace_key_prefix).filter(|prefix| **prefix != usual.workspace_key_prefix);
                options.extend(prefix.map(|prefix| text("workspace_key_prefix", prefix.clone())));
                options.extend(lock_table.clone().map(|table| text("lock_table", table)));
                options.extend(use_lockfile.then(|| text("use_lockfile", "true".to_owned())));
            }
        }
        let place = Place { bucket: self.bucket.clone(), prefix: self.prefix.clone() }.url();
        place + &query(&options)
    }

    /// The URL of this store, with nothing in it that is secret.
    pub fn location(&self) -> String {
        let location = Place { bucket: self.bucket.clone(), prefix: self.prefix.clone() }.url();
        let parts = [("region", &self.access.region), ("endpoint", &self.access.endpoint)];
        let parts: Vec<String> =
            parts.iter().filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}={value}"))).collect();
        if parts.is_empty() { location } else { format!("{location}?{}", parts.join("&")) }
    }
}

const KNOWN: &str = "`dynamodb_endpoint`, `share`, `lock_table`, `use_lockfile` and `workspace_key_prefix`";

/// Options that only together make sense.
#[derive(Default)]
struct Query {
    role: RoleQuery,
    key: KeyQuery,
    share: Option<bool>,
    sharing: Option<Sharing>,
}

impl Query {
    fn sharing(&mut self) -> &mut Sharing {
        self.sharing.get_or_insert_default()
    }

    fn finish(self, options: &mut Options) -> Result<(), String> {
        options.sharing = match (self.share, self.sharing) {
            (Some(false), Some(_)) => {
                return Err("says `share=false` and how to share: leave one of them out".into());
            }
            (Some(false), None) => None,
            (_, sharing) => Some(sharing.unwrap_or_default()),
        };
        options.access.role = self.role.finish()?;
        options.objects.encryption = self.key.finish()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use stateward_store_aws::{CustomerKey, Encryption, Role};

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
            assert_eq!(read(&options.url()), options, "{url}");
            assert_eq!(options.location().trim_end_matches('/'), url.trim_end_matches('/'));
        }
    }

    #[test]
    fn every_option() {
        let options = read(
            "s3://states/a?region=eu-west-1&endpoint=http://127.0.0.1:9000/&dynamodb_endpoint=https://d&use_path_style=true\
             &profile=ci&shared_credentials_file=/tmp/c&shared_config_file=/tmp/a&shared_config_file=/tmp/b&role_arn=arn:aws:iam::1:role/x&session_name=s&external_id=e&assume_role_policy=%7B%7D\
             &sts_endpoint=https://s&skip_metadata_api_check=true&max_retries=2&kms_key_id=alias/k\
             &acl=private&tag.team=net%26ops&skip_s3_checksum=true&lock_table=locks&use_lockfile=true&workspace_key_prefix=ws",
        );
        let role = Role {
            arn: "arn:aws:iam::1:role/x".into(),
            session_name: Some("s".into()),
            external_id: Some("e".into()),
            policy: Some("{}".into()),
            ..Role::default()
        };
        let access = Access {
            region: Some("eu-west-1".into()),
            endpoint: Some("http://127.0.0.1:9000".into()),
            sts_endpoint: Some("https://s".into()),
            profile: Some("ci".into()),
            shared_credentials_files: vec!["/tmp/c".into()],
            shared_config_files: vec!["/tmp/a".into(), "/tmp/b".into()],
            role: Some(role),
            skip_metadata_api_check: true,
            max_retries: 2,
            ..Access::default()
        };
        let sharing =
            Sharing { workspace_key_prefix: "ws".into(), lock_table: Some("locks".into()), use_lockfile: true };
        let objects = Objects {
            path_style: true,
            encryption: Encryption::Kms { key: "alias/k".into() },
            acl: Some("private".into()),
            tags: vec![("team".into(), "net&ops".into())],
            skip_checksum: true,
        };
        let expected = Options {
            access,
            dynamodb_endpoint: Some("https://d".into()),
            objects,
            sharing: Some(sharing),
            ..Options::new("states", "a")
        };
        assert_eq!(options, expected);
        assert_eq!(read(&options.url()), expected);
        assert_eq!(options.location(), "s3://states/a?region=eu-west-1&endpoint=http://127.0.0.1:9000");
    }

    #[test]
    fn the_bytes_are_shared_unless_told_otherwise_and_locks_where_they_are_named() {
        assert_eq!(read("s3://states").sharing, Some(Sharing::default()));
        assert_eq!(read("s3://states?share=false").sharing, None);
        assert_eq!(read("s3://states?share=false").url(), "s3://states?share=false");
        assert_eq!(read("s3://states?share=true").sharing, Some(Sharing::default()));
        assert_eq!(
            read("s3://states?dynamodb_table=t").sharing,
            Some(Sharing { lock_table: Some("t".into()), ..Sharing::default() })
        );
        assert_eq!(
            read("s3://states?workspace_key_prefix=").sharing,
            Some(Sharing { workspace_key_prefix: String::new(), ..Sharing::default() })
        );
        assert_eq!(read("s3://states?workspace_key_prefix=").url(), "s3://states?workspace_key_prefix=");
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
            let options = read(&format!("s3://states{query}"));
            assert_eq!(read(&options.url()), options, "{query}");
            assert_eq!(options.objects.encryption, expected, "{query}");
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
        for url in [
            "s3://id:c2VjcmV0@states",
            "s3://id:a/c2VjcmV0@states",
            "s3://states?endpoint=http://id:c2VjcmV0@h",
            "s3://states?endpoint=http://:c2VjcmV0@h",
        ] {
            let error = Options::from_url(url).unwrap_err().to_string();
            assert!(!error.contains("c2VjcmV0"), "{error}");
        }
        let mut options = Options::new("states", "");
        options.objects.encryption = Encryption::Customer(CustomerKey::Given("c2VjcmV0".into()));
        assert!(!format!("{options:?}").contains("c2VjcmV0"));
        assert!(!options.location().contains("c2VjcmV0"));
        assert_eq!(options.url(), "s3://states");
    }
}
