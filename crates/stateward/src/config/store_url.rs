//! Where states are kept: `sqlite:PATH`, `s3://BUCKET/PREFIX`, `dynamodb://TABLE` or `memory:`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A store's URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StoreUrl {
    /// One file, in which the embedded engine keeps everything.
    Sqlite(PathBuf),
    /// Nothing outlives the process.
    Memory,
    /// None is named, and there is no directory of the user's own for one.
    Nowhere,
    /// A bucket, and how to talk to it: as it was written, which is known to be right.
    S3(String),
    /// A table, likewise.
    DynamoDb(String),
}

impl StoreUrl {
    /// The same with a relative path taken from `directory`.
    #[must_use]
    pub(crate) fn anchored(self, directory: &Path) -> Self {
        match self {
            // Cleaned of `.` so that it reads well; `..` has to stay, for a symbolic link may precede it.
            Self::Sqlite(path) => Self::Sqlite(directory.join(path).components().collect()),
            other => other,
        }
    }
}

impl FromStr for StoreUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shape = "write it as `sqlite:PATH`, `s3://BUCKET/PREFIX`, `dynamodb://TABLE` or `memory:`";
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(format!("is no store: {shape}"));
        };
        match (scheme, rest) {
            ("sqlite", "") => Err("names no file: write it as `sqlite:PATH`".to_owned()),
            ("sqlite", path) if path.starts_with("//") && !path.starts_with("///") => {
                Err("has `//` before its path: write it as `sqlite:PATH`, or `sqlite:/PATH` from the root".to_owned())
            }
            ("sqlite", path) => Ok(Self::Sqlite(Path::new(path.strip_prefix("//").unwrap_or(path)).to_path_buf())),
            ("memory", "") => Ok(Self::Memory),
            ("memory", _) => Err("has something after `memory:`".to_owned()),
            ("s3", _) => match stateward_store_s3::Options::from_url(text) {
                Ok(_) => Ok(Self::S3(text.to_owned())),
                Err(error) => Err(error.why),
            },
            ("dynamodb", _) => match stateward_store_dynamodb::Options::from_url(text) {
                Ok(_) => Ok(Self::DynamoDb(text.to_owned())),
                Err(error) => Err(error.why),
            },
            ("http" | "https", _) => Err("is a server: give it with `--server`".to_owned()),
            _ => Err(format!("is no store: {shape}")),
        }
    }
}

/// A store's URL as it may be shown. One that is wrong may hold credentials, which belong neither before an `@` nor behind the `?`.
pub(crate) fn shown(text: &str) -> String {
    if text.parse::<StoreUrl>().is_ok() {
        return text.to_owned();
    }
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
    let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
    match rest.split_once('?') {
        Some((_, options)) if options.contains('@') => format!("{scheme}…"),
        found => {
            let (place, options) = found.map_or((rest, ""), |(place, _)| (place, "?…"));
            let place = place.rsplit_once('@').map_or_else(|| place.to_owned(), |(_, place)| format!("…@{place}"));
            format!("{scheme}{place}{options}")
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Memory => f.write_str("memory:"),
            Self::Nowhere => f.write_str("no store"),
            Self::S3(url) | Self::DynamoDb(url) => f.write_str(url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores() {
        for (text, path) in [
            ("sqlite:a.db", "a.db"),
            ("sqlite:/var/a.db", "/var/a.db"),
            ("sqlite:///var/a.db", "/var/a.db"),
            ("sqlite:a:b", "a:b"),
        ] {
            assert_eq!(text.parse(), Ok(StoreUrl::Sqlite(path.into())), "{text}");
        }
        assert_eq!("memory:".parse(), Ok(StoreUrl::Memory));
        let s3 = "s3://bucket/prefix?region=eu-west-1";
        assert_eq!(s3.parse(), Ok(StoreUrl::S3(s3.to_owned())));
        assert_eq!(s3.parse::<StoreUrl>().unwrap().to_string(), s3);
        assert_eq!("dynamodb://table".parse(), Ok(StoreUrl::DynamoDb("dynamodb://table".to_owned())));
    }

    #[test]
    fn what_is_no_store() {
        for (text, why) in [
            ("", "write it as"),
            ("/var/a.db", "write it as"),
            ("sqlite:", "names no file"),
            ("sqlite://a.db", "`//` before"),
            ("memory:x", "after `memory:`"),
            ("https://h", "`--server`"),
            ("redis://h", "is no store"),
        ] {
            let error = text.parse::<StoreUrl>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_wrong_is_shown_without_what_may_be_secret() {
        for (text, expected) in [
            ("s3://bucket/p?region=eu-west-1", "s3://bucket/p?region=eu-west-1"),
            ("s3://AKIA:se/cret@b/p", "s3://…@b/p"),
            ("s3://AKIA:se?cret@b/p", "s3://…"),
            ("s3://bucket/p?secret_key=secret", "s3://bucket/p?…"),
            ("s3://bucket/p?endpoint=http://ana:secret@h", "s3://…"),
            ("dynamodb://AKIA:secret@t", "dynamodb://…@t"),
            ("redis://ana:secret@h:1/0", "redis://…@h:1/0"),
            ("a.db", "a.db"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn relative_paths_are_taken_from_a_directory() {
        let anchored = |text: &str| text.parse::<StoreUrl>().unwrap().anchored(Path::new("/etc/x")).to_string();
        assert_eq!(anchored("sqlite:./a.db"), "sqlite:/etc/x/a.db");
        assert_eq!(anchored("sqlite:../a.db"), "sqlite:/etc/x/../a.db");
        assert_eq!(anchored("sqlite:/a.db"), "sqlite:/a.db");
        assert_eq!(anchored("memory:"), "memory:");
    }
}
