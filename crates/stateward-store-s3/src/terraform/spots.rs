//! Where Terraform's `s3` backend keeps which state.

use stateward_store::outside::Spot;
use stateward_store::{Result, StoreError};

const DEFAULT_WORKSPACE: &str = "default";
/// What the lock file's name has behind the state's.
pub(super) const LOCK_FILE: &str = ".tflock";
/// What the item of a digest has behind that of the lock.
pub(super) const DIGEST: &str = "-md5";
/// Where this engine, or another one of a store further down, keeps its own.
const OURS: &str = ".stateward/";

/// Names of objects and items in one bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spots {
    pub(super) bucket: String,
    pub(super) prefix: String,
    pub(super) workspace_key_prefix: String,
}

/// What an object is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    State(Spot),
    Lock(Spot),
}

impl Spots {
    /// The object of a state.
    pub(super) fn object(&self, at: &Spot) -> String {
        let key = self.key(&at.name);
        match (at.workspace.as_str(), self.workspace_key_prefix.as_str()) {
            (DEFAULT_WORKSPACE, _) => key,
            (workspace, "") => format!("{workspace}/{key}"),
            (workspace, prefix) => format!("{prefix}/{workspace}/{key}"),
        }
    }

    /// The lock file of a state.
    pub(super) fn lock_file(&self, at: &Spot) -> String {
        self.object(at) + LOCK_FILE
    }

    /// A state's `LockID` in the table, and the `Path` in its lock information.
    pub(super) fn lock_id(&self, at: &Spot) -> String {
        format!("{}/{}", self.bucket, self.object(at))
    }

    /// The `key` in the configuration of the backend.
    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.states())
    }

    /// What the objects of the default workspace begin with.
    pub(super) fn states(&self) -> String {
        if self.prefix.is_empty() { String::new() } else { format!("{}/", self.prefix) }
    }

    /// What the objects of the other workspaces begin with.
    pub(super) fn workspaces(&self) -> String {
        if self.workspace_key_prefix.is_empty() { String::new() } else { format!("{}/", self.workspace_key_prefix) }
    }

    /// Below what everything is listed: once, where one of the two lies within the other.
    pub(super) fn listings(&self) -> Vec<String> {
        let (states, workspaces) = (self.states(), self.workspaces());
        if workspaces.starts_with(&states) {
            vec![states]
        } else if states.starts_with(&workspaces) {
            vec![workspaces]
        } else {
            vec![states, workspaces]
        }
    }

    /// What an object is; `None` where it is nothing of Terraform's. What looks like a workspace's is one's: where the workspaces lie among
    /// the states of the default one, `dev/blue/dev/net` is `net` in `blue` to whoever has the key `dev/net`.
    pub(super) fn of(&self, object: &str) -> Option<Kind> {
        self.in_workspace(object).or_else(|| kind(object.strip_prefix(&self.states())?, DEFAULT_WORKSPACE))
    }

    fn in_workspace(&self, object: &str) -> Option<Kind> {
        let (workspace, key) = object.strip_prefix(&self.workspaces())?.split_once('/')?;
        if workspace.is_empty() || workspace == DEFAULT_WORKSPACE || OURS.strip_suffix('/') == Some(workspace) {
            return None;
        }
        kind(key.strip_prefix(&self.states())?, workspace)
    }

    /// Refuses a state whose object is another's, a lock file, or ours.
    pub(super) fn check(&self, at: &Spot) -> Result<()> {
        let object = self.object(at);
        let is = match self.of(&object) {
            Some(Kind::State(own)) if own == *at => return Ok(()),
            Some(Kind::State(own)) => format!(
                "is that of `{0}` in the workspace `{1}`: it is called `{0}@{1}` here, and another state takes another name",
                own.name, own.workspace
            ),
            Some(Kind::Lock(own)) => {
                format!("is the lock file of `{}`: give the state another name", own.name)
            }
            None => "is one of stateward's own: give the state another name".to_owned(),
        };
        let reason = format!("its object, s3://{}/{object}, {is}", self.bucket);
        Err(StoreError::Unsupported { what: format!("a state called `{}`", at.name), reason })
    }

    /// Refuses to lock a state whose lock in the table would be the digest of another: who takes the one writes over the other.
    pub(super) fn check_item(&self, at: &Spot) -> Result<()> {
        let lock_id = self.lock_id(at);
        let other = lock_id.strip_suffix(DIGEST).and_then(|other| self.of_lock_id(other));
        let Some(other) = other else { return Ok(()) };
        let reason = format!(
            "its lock in the lock table, the item `{lock_id}`, is the digest of `{}` to Terraform: give the state another name, or \
             lock by files alone (`use_lockfile=true` without `lock_table`)",
            other.name
        );
        Err(StoreError::Unsupported { what: format!("a lock on a state called `{}`", at.name), reason })
    }

    /// Whose lock an item of the table is.
    pub(super) fn of_lock_id(&self, lock_id: &str) -> Option<Spot> {
        let object = lock_id.strip_prefix(&self.bucket)?.strip_prefix('/')?;
        match self.of(object)? {
            Kind::State(at) => Some(at),
            Kind::Lock(_) => None,
        }
    }
}

pub(super) fn is_default(at: &Spot) -> bool {
    at.workspace == DEFAULT_WORKSPACE
}

fn kind(name: &str, workspace: &str) -> Option<Kind> {
    if name.starts_with(OURS) || name.contains(&format!("/{OURS}")) {
        return None;
    }
    let spot = |name: &str| Spot { name: name.to_owned(), workspace: workspace.to_owned() };
    let (name, kind) = match name.strip_suffix(LOCK_FILE) {
        Some(name) => (name, Kind::Lock(spot(name))),
        None => (name, Kind::State(spot(name))),
    };
    (!name.is_empty() && !name.ends_with('/')).then_some(kind)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spots(prefix: &str, workspaces: &str) -> Spots {
        Spots { bucket: "states".into(), prefix: prefix.into(), workspace_key_prefix: workspaces.into() }
    }

    fn at(name: &str, workspace: &str) -> Spot {
        Spot { name: name.into(), workspace: workspace.into() }
    }

    #[test]
    fn objects_are_where_terraform_looks() {
        for (prefix, workspaces, spot, object) in [
            ("", "env:", at("net/prod", "default"), "net/prod"),
            ("team/a", "env:", at("net/prod", "default"), "team/a/net/prod"),
            ("team/a", "env:", at("net/prod", "blue"), "env:/blue/team/a/net/prod"),
            ("", "env:", at("net/prod", "blue"), "env:/blue/net/prod"),
            ("team/a", "", at("net/prod", "blue"), "blue/team/a/net/prod"),
            ("a", "ws/x", at("net", "blue"), "ws/x/blue/a/net"),
        ] {
            let spots = spots(prefix, workspaces);
            assert_eq!(spots.object(&spot), object);
            assert_eq!(spots.lock_file(&spot), format!("{object}.tflock"));
            assert_eq!(spots.lock_id(&spot), format!("states/{object}"));
            assert_eq!(spots.of_lock_id(&spots.lock_id(&spot)), Some(spot.clone()));
            assert_eq!(spots.of(object), Some(Kind::State(spot.clone())));
            assert!(spots.check(&spot).is_ok());
        }
    }

    #[test]
    fn what_is_not_a_state_is_told_apart() {
        for (prefix, workspaces) in [("", "env:"), ("", ""), ("", "team")] {
            let spots = spots(prefix, workspaces);
            assert_eq!(spots.of("net.tflock"), Some(Kind::Lock(at("net", "default"))));
            for other in [".stateward/records/a!", "team/.stateward/records/a!", "folder/", ".tflock", ""] {
                assert_eq!(spots.of(other), None, "{other} in {spots:?}");
            }
        }
        let spots = spots("dev", "env:");
        for other in ["net", "env:/blue", "env:/blue/net", "env:/default/dev/net", "env://dev/net", "prod/net"] {
            assert_eq!(spots.of(other), None, "{other}");
        }
        assert_eq!(spots.of_lock_id("states-2/dev/net"), None);
        let of_digest = spots.of_lock_id("states/dev/net-md5");
        assert_eq!(of_digest, Some(at("net-md5", "default")), "told apart by what it holds");
    }

    /// As `setup aws --environments` prints it, and further within.
    #[test]
    fn workspaces_may_lie_among_the_states() {
        for (prefix, workspaces, object, spot) in [
            ("dev", "dev", "dev/net", at("net", "default")),
            ("dev", "dev", "dev/net/prod", at("net/prod", "default")),
            ("dev", "dev", "dev/blue/dev/net", at("net", "blue")),
            ("dev", "dev", "dev/blue/dev/net/prod", at("net/prod", "blue")),
            ("dev", "dev", "dev/blue/devel/net", at("blue/devel/net", "default")),
            ("dev", "dev", "dev/dev/net", at("dev/net", "default")),
            ("dev", "dev", "dev/default/dev/net", at("default/dev/net", "default")),
            ("dev", "dev/ws", "dev/ws/blue/dev/net", at("net", "blue")),
            ("dev", "dev/ws", "dev/ws/net", at("ws/net", "default")),
            ("team/dev", "team", "team/blue/team/dev/net", at("net", "blue")),
            ("team/dev", "team", "team/dev/net", at("net", "default")),
            ("", "ws", "ws/net", at("ws/net", "default")),
            ("", "ws", "ws/blue/net", at("net", "blue")),
        ] {
            let spots = spots(prefix, workspaces);
            assert_eq!(spots.of(object), Some(Kind::State(spot.clone())), "{object} in {spots:?}");
            assert_eq!(spots.of(&format!("{object}.tflock")), Some(Kind::Lock(spot.clone())));
            assert_eq!(spots.object(&spot), object);
            assert!(spots.check(&spot).is_ok(), "{object}");
            assert_eq!(spots.listings().iter().filter(|listing| object.starts_with(*listing)).count(), 1, "{object}");
        }
    }

    #[test]
    fn a_state_whose_object_is_another_s_is_refused() {
        for (prefix, workspaces, spot, expected) in [
            (
                "dev",
                "dev",
                at("blue/dev/net", "default"),
                "s3://states/dev/blue/dev/net, is that of `net` in the workspace `blue`: it is called `net@blue`",
            ),
            ("", "", at("net/prod", "default"), "it is called `prod@net`"),
            ("dev", "env:", at("net.tflock", "default"), "is the lock file of `net`"),
            ("dev", "env:", at("net.tflock", "blue"), "is the lock file of `net`"),
            ("", "env:", at(".stateward/net", "default"), "is one of stateward's own"),
            ("", "", at("net", ".stateward"), "is one of stateward's own"),
        ] {
            let error = spots(prefix, workspaces).check(&spot).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_state_whose_lock_is_a_digest_is_not_locked() {
        let spots = spots("dev", "env:");
        for (spot, is_fine) in [
            (at("net", "default"), true),
            (at("-md5", "default"), true),
            (at("net/-md5", "default"), true),
            (at("md5", "blue"), true),
            (at("net-md5", "default"), false),
            (at("net-md5", "blue"), false),
            (at("net-md5-md5", "default"), false),
        ] {
            assert_eq!(spots.check_item(&spot).is_ok(), is_fine, "{spot:?}");
        }
    }

    fn path() -> impl Strategy<Value = String> {
        proptest::collection::vec("a|b|ab|default|[.]stateward|a[.]tflock", 1..4).prop_map(|parts| parts.join("/"))
    }

    fn prefix() -> impl Strategy<Value = String> {
        proptest::collection::vec("a|b|ab|ws:", 0..3).prop_map(|parts| parts.join("/"))
    }

    proptest! {
        /// No two states have one object, none that is refused is found, and everything is listed once.
        #[test]
        fn an_object_is_one_state_s(
            prefix in prefix(), workspaces in prefix(), name in path(), workspace in "a|b|default|[.]stateward", object in path()
        ) {
            let spots = spots(&prefix, &workspaces);
            let spot = at(&name, &workspace);
            let found = spots.of(&spots.object(&spot));
            prop_assert_eq!(spots.check(&spot).is_ok(), found == Some(Kind::State(spot)));
            for object in [object.clone(), format!("{prefix}/{object}"), format!("{workspaces}/{object}")] {
                let listed = spots.listings().iter().filter(|listing| object.starts_with(*listing)).count();
                match spots.of(&object) {
                    Some(Kind::State(at)) => {
                        prop_assert_eq!(spots.object(&at), &*object);
                        prop_assert!(spots.check(&at).is_ok());
                        prop_assert_eq!(listed, 1);
                    }
                    Some(Kind::Lock(at)) => {
                        prop_assert_eq!(spots.lock_file(&at), &*object);
                        prop_assert_eq!(listed, 1);
                    }
                    None => {}
                }
            }
        }
    }
}
