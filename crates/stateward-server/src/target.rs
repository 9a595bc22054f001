//! Which state a path of Terraform's protocol means. The path is taken as it was sent: nothing is decoded, resolved or tidied up, so
//! that no two spellings mean one state, and no spelling means another state than a proxy thinks.

use stateward_core::{Error, Kind, NameError, Result, StateId, StateName, Workspace};

use crate::query::bad_value;

/// The state that `path` (raw, after `/state` or `/lock`) and `?workspace=` name.
pub(crate) fn state_of(path: &str, workspace: Option<&str>) -> Result<StateId> {
    let name = name_of(path.strip_prefix('/').unwrap_or(path))?;
    let workspace = workspace
        .map(|workspace| workspace.parse::<Workspace>().map_err(|error| bad_value("workspace", &error.to_string())));
    Ok(StateId { name, workspace: workspace.transpose()?.unwrap_or_default() })
}

fn name_of(path: &str) -> Result<StateName> {
    let bad = |why: &str, next: &str| Error::new(Kind::Invalid, "the path names no state", why, next);
    if path.contains('@') {
        return Err(bad("it has an `@`", "name the workspace in the query: `?workspace=NAME`"));
    }
    if let Some((_, encoded)) = path.split_once('%') {
        return Err(bad(encoded_fault(encoded), NameError::SHAPE));
    }
    path.parse().map_err(|error: NameError| bad(&error.to_string(), NameError::SHAPE))
}

/// No character of a name needs a percent-encoding, so each is a mistake or an attempt.
fn encoded_fault(encoded: &str) -> &'static str {
    match encoded.get(..2).map(|digits| u8::from_str_radix(digits, 16)) {
        Some(Ok(b'/' | b'\\')) => "it has an encoded slash",
        Some(Ok(0)) => "it has a NUL byte",
        Some(Ok(_)) => "it has a percent-encoded character, and no name needs one",
        Some(Err(_)) | None => "it has a bad percent-encoding",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_workspaces() {
        assert_eq!(state_of("/network/prod", None).unwrap().to_string(), "network/prod");
        assert_eq!(state_of("/a", Some("dev")).unwrap().to_string(), "a@dev");
        assert_eq!(state_of("/a", Some("default")).unwrap().to_string(), "a");
        assert!(state_of("/a", Some("")).is_err() && state_of("/a", Some("x/y")).is_err());
    }

    #[test]
    fn each_bad_path_is_told_apart() {
        for (path, why) in [
            ("", "empty segment"),
            ("/", "empty segment"),
            ("//a", "empty segment"),
            ("/a/", "empty segment"),
            ("/a//b", "empty segment"),
            ("/..", "`..`"),
            ("/a/../b", "`..`"),
            ("/./a", "`.`"),
            ("/a%2Fb", "encoded slash"),
            ("/a%2fb", "encoded slash"),
            ("/a%00", "NUL"),
            ("/%2e%2e", "percent-encoded"),
            ("/a%", "bad percent-encoding"),
            ("/a%2", "bad percent-encoding"),
            ("/a%zz", "bad percent-encoding"),
            ("/a%é", "bad percent-encoding"),
            ("/a@dev", "`@`"),
            ("/a b", "character"),
            ("/é", "character"),
        ] {
            let error = state_of(path, None).unwrap_err();
            assert!(error.why().contains(why), "{path}: {}", error.why());
        }
        assert!(state_of(&format!("/{}", "x".repeat(512)), None).is_ok());
        assert!(state_of(&format!("/{}", "x".repeat(513)), None).unwrap_err().why().contains("512"));
    }
}
