//! Names of states and workspaces.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const NAME_BYTES_MAX: usize = 512;
const DEFAULT_WORKSPACE: &str = "default";

/// A state's name: `segment(/segment)*` of letters, digits, `.`, `_` and `-`, at most 512 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StateName(String);

/// A workspace: one segment; `default` unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Workspace(String);

/// One state: a name in a workspace, written `name` or `name@workspace`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StateId {
    /// The name.
    pub name: StateName,
    /// The workspace.
    pub workspace: Workspace,
}

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{subject} {fault}")]
pub struct NameError {
    subject: &'static str,
    fault: &'static str,
}

impl NameError {
    /// The shape that is wanted, for the "what next" of a message.
    pub const SHAPE: &'static str =
        "use segments of letters, digits, `.`, `_` and `-`, joined by `/`, at most 512 bytes, such as `network/prod`";
}

impl StateName {
    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Workspace {
    /// The workspace's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for the workspace that is meant when none is named.
    pub fn is_default(&self) -> bool {
        self.0 == DEFAULT_WORKSPACE
    }
}

impl Default for Workspace {
    fn default() -> Self {
        Self(DEFAULT_WORKSPACE.to_owned())
    }
}

fn check_segment(subject: &'static str, segment: &str) -> Result<(), NameError> {
    let fault = match segment {
        "" => "has an empty segment",
        "." | ".." => "has a segment `.` or `..`",
        _ if segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) => return Ok(()),
        _ => "has a character other than letters, digits, `.`, `_` and `-`",
    };
    Err(NameError { subject, fault })
}

impl FromStr for StateName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let subject = "a state's name";
        if text.len() > NAME_BYTES_MAX {
            return Err(NameError { subject, fault: "is longer than 512 bytes" });
        }
        text.split('/').try_for_each(|segment| check_segment(subject, segment))?;
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for Workspace {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let subject = "a workspace's name";
        if text.len() > 128 {
            return Err(NameError { subject, fault: "is longer than 128 bytes" });
        }
        check_segment(subject, text)?;
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for StateId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (name, workspace) = text.split_once('@').unwrap_or((text, DEFAULT_WORKSPACE));
        Ok(Self { name: name.parse()?, workspace: workspace.parse()? })
    }
}

impl From<StateName> for StateId {
    fn from(name: StateName) -> Self {
        Self { name, workspace: Workspace::default() }
    }
}

impl fmt::Display for StateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for StateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.workspace.is_default() {
            true => write!(f, "{}", self.name),
            false => write!(f, "{}@{}", self.name, self.workspace),
        }
    }
}

macro_rules! text_conversions {
    ($($kind:ty),*) => {$(
        impl TryFrom<String> for $kind {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }
        impl From<$kind> for String {
            fn from(value: $kind) -> Self {
                value.to_string()
            }
        }
    )*};
}
text_conversions!(StateName, Workspace, StateId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_good() {
        for good in ["a", "network/prod", "a.b_c-d/E9", "...", "..a", &"x".repeat(512)] {
            assert_eq!(good.parse::<StateName>().unwrap().as_str(), good);
        }
        assert_eq!("a/b@dev".parse::<StateId>().unwrap().to_string(), "a/b@dev");
        assert_eq!("a/b@default".parse::<StateId>().unwrap().to_string(), "a/b");
    }

    #[test]
    fn names_that_are_refused() {
        for bad in
            ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "a b", "a%2Fb", "a\0b", "ä", "a@b", "a#b", &"x".repeat(513)]
        {
            assert!(bad.parse::<StateName>().is_err(), "{bad:?}");
        }
        for bad in ["a@", "a@..", "a@b/c", "a@b@c", "@b"] {
            assert!(bad.parse::<StateId>().is_err(), "{bad:?}");
        }
    }
}
