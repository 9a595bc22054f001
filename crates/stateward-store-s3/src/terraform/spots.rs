//! Where Terraform's `s3` backend keeps which state.

use stateward_store::outside::Spot;

const DEFAULT_WORKSPACE: &str = "default";
/// What the lock file's name has behind the state's.
pub(super) const LOCK_FILE: &str = ".tflock";
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

    /// What an object of the default workspace is; `None` where it is nothing of Terraform's.
    pub(super) fn in_default(&self, object: &str) -> Option<Kind> {
        let workspaces = self.workspaces();
        if !workspaces.is_empty() && object.starts_with(&workspaces) {
            return None;
        }
        kind(object.strip_prefix(&self.states())?, DEFAULT_WORKSPACE)
    }

    /// What an object of another workspace is.
    pub(super) fn in_workspace(&self, object: &str) -> Option<Kind> {
        let (workspace, key) = object.strip_prefix(&self.workspaces())?.split_once('/')?;
        if workspace.is_empty() || workspace == DEFAULT_WORKSPACE {
            return None;
        }
        kind(key.strip_prefix(&self.states())?, workspace)
    }

    /// Whose lock an item of the table is.
    pub(super) fn of_lock_id(&self, lock_id: &str) -> Option<Spot> {
        let object = lock_id.strip_prefix(&self.bucket)?.strip_prefix('/')?;
        match self.in_workspace(object).or_else(|| self.in_default(object))? {
            Kind::State(at) => Some(at),
            Kind::Lock(_) => None,
        }
    }
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
            let read = spots.in_workspace(object).or_else(|| spots.in_default(object));
            assert_eq!(read, Some(Kind::State(spot)));
        }
    }

    #[test]
    fn what_is_not_a_state_is_told_apart() {
        let spots = spots("", "env:");
        assert_eq!(spots.in_default("net.tflock"), Some(Kind::Lock(at("net", "default"))));
        for other in [".stateward/records/a!", "team/.stateward/records/a!", "env:/blue/net", "folder/", ".tflock", ""]
        {
            assert_eq!(spots.in_default(other), None, "{other}");
        }
        for other in ["net", "env:/blue", "env:/default/net", "env://net"] {
            assert_eq!(spots.in_workspace(other), None, "{other}");
        }
        assert_eq!(spots.of_lock_id("states-2/net"), None);
        assert_eq!(spots.of_lock_id("states/net-md5"), Some(at("net-md5", "default")), "told apart by what it holds");
    }
}
