//! Reading the URLs that name stores.

use std::str::FromStr;

use url::Url;

/// The longest prefix: names below it need the rest of the 1024 bytes of an object's name.
const PREFIX_BYTES_MAX: usize = 256;

/// The directory below a prefix in which everything of ours lies.
pub const ROOT: &str = ".stateward/";
/// The object in it that every store in S3 has.
pub const S3_STORE_MARK: &str = "meta/proof!";
/// The object in it that says whose blobs lie there, where they are a store's that keeps its records elsewhere.
pub const BLOBS_MARK: &str = "blobs/store";

/// Why a URL names no store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` {why}")]
pub struct UrlError {
    /// The URL, less what stands in its query.
    pub url: String,
    /// What is wrong with it, and how it should be.
    pub why: String,
}

/// A bucket, and what all names in it begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The bucket.
    pub bucket: String,
    /// Without a slash at either end; may be empty.
    pub prefix: String,
}

impl Place {
    /// Reads what stands before the query of `s3://BUCKET/PREFIX`.
    pub fn of(url: &Url) -> Result<Self, String> {
        if url.scheme() != "s3" {
            return Err("is no store in S3: write it as `s3://BUCKET/PREFIX`".into());
        }
        if !url.username().is_empty() || url.password().is_some() || url.port().is_some() {
            return Err("has more than a bucket before the path: credentials come from the AWS configuration".into());
        }
        if url.fragment().is_some() {
            return Err("has a `#`, at which the path of a URL ends".into());
        }
        let bucket = url.host_str().unwrap_or_default();
        check_bucket(bucket)?;
        let prefix = url.path().trim_start_matches('/');
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        check_prefix(prefix)?;
        Ok(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }

    /// `s3://BUCKET/PREFIX`.
    pub fn url(&self) -> String {
        let Self { bucket, prefix } = self;
        if prefix.is_empty() { format!("s3://{bucket}") } else { format!("s3://{bucket}/{prefix}") }
    }
}

/// The query of a URL with these options, question mark and all. It can stand within single quotes.
pub fn query(options: &[(String, String)]) -> String {
    let pairs: Vec<String> =
        options.iter().map(|(name, text)| format!("{}={}", escaped(name), escaped(text))).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:@".contains(&byte);
    let sign = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(sign).collect()
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

/// Reads the value of an option.
pub fn parse<T: FromStr>(name: &str, value: &str) -> Result<T, String> {
    let shape = if std::any::type_name::<T>() == "bool" { "`true` or `false`" } else { "a number" };
    value.parse().map_err(|_| format!("has `{name}={value}`, which should be {shape}"))
}

/// Reads the URL of a service, without a slash at its end.
pub fn endpoint(name: &str, value: &str) -> Result<String, String> {
    match Url::parse(value) {
        Ok(url)
            if matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none() =>
        {
            Ok(value.trim_end_matches('/').to_owned())
        }
        _ => Err(format!("has `{name}`, which is not `http://HOST` or `https://HOST`")),
    }
}
