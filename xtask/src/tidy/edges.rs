//! Which crate may depend on which. The rooms and their reasons are in `ARCHITECTURE.md`.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, PackageId};

use super::Finding;

/// For each crate: the crates of this workspace that it may depend on (`*`: all but the testkit), and the groups of
/// crates from outside that it may not reach, not even through others. Development dependencies are free.
const ROOMS: &str = "
    crate                    | may depend on                                                                              | never reaches
    stateward-state          |                                                                                            | async io http engines
    stateward-iam            |                                                                                            | async io http engines
    stateward-denial         |                                                                                            | async io http engines
    stateward-knowledge      | stateward-denial stateward-iam                                                             | async io http engines
    stateward-store          |                                                                                            | http engines
    stateward-store-sqlite   | stateward-store                                                                            | http
    stateward-store-aws      | stateward-store                                                                            | engines
    stateward-store-s3       | stateward-store stateward-store-aws                                                        | engines
    stateward-store-dynamodb | stateward-store stateward-store-aws                                                        | engines
    stateward-core           | stateward-state stateward-store                                                            | http engines
    stateward-terraform      | stateward-state                                                                            | http engines
    stateward-aws            | stateward-denial stateward-iam stateward-knowledge stateward-state stateward-store stateward-store-aws stateward-store-s3 stateward-terraform | engines
    stateward-lab            | stateward-iam                                                                              | engines
    stateward-server         | stateward-core stateward-knowledge stateward-state stateward-store                         | engines
    stateward-client         | stateward-core stateward-state stateward-store                                             | engines
    stateward                | *                                                                                          |
    stateward-testkit        |                                                                                            |
    xtask                    | * stateward-testkit                                                                        |
";

const GROUPS: &[(&str, &[&str])] = &[
    ("async", &["async-trait", "futures", "futures-util", "mio", "tokio"]),
    ("io", &["rustix", "tempfile"]),
    ("http", &["axum", "http", "hyper", "reqwest"]),
    ("engines", &["rusqlite"]),
];

/// Crates from outside that one crate of ours alone may name.
const SINGLE_USER: &[(&str, &str)] = &[
    ("anstream", "stateward"),
    ("anstyle", "stateward"),
    ("clap", "stateward"),
    ("clap_complete", "stateward"),
    ("clap_mangen", "stateward"),
    ("comfy-table", "stateward"),
    ("indicatif", "stateward"),
    ("tracing-subscriber", "stateward"),
    ("axum", "stateward-server"),
    ("prometheus-client", "stateward-server"),
    ("rusqlite", "stateward-store-sqlite"),
];
/// Not shipped, so free to use what they like.
const FREE: &[&str] = &["stateward-testkit", "xtask"];

struct Room<'a> {
    name: &'a str,
    on: Vec<&'a str>,
    never: Vec<&'a str>,
}

/// The rows of a table, less its heading.
fn rooms(table: &str) -> Vec<Room<'_>> {
    let row = |line| {
        let mut columns = str::split(line, '|').map(|column| column.split_whitespace().collect::<Vec<_>>());
        Some(Room { name: columns.next()?.first()?, on: columns.next()?, never: columns.next()? })
    };
    table.lines().filter_map(row).skip(1).collect()
}

impl Room<'_> {
    fn may_depend_on(&self, sibling: &str) -> bool {
        self.on.contains(&sibling) || self.on.contains(&"*") && sibling != "stateward-testkit"
    }

    fn never_reaches(&self) -> impl Iterator<Item = &'static str> {
        GROUPS.iter().filter(|(group, _)| self.never.contains(group)).flat_map(|(_, crates)| *crates).copied()
    }
}

/// The dependency graph: for every crate the names it directly depends on, development dependencies apart.
pub(super) struct Workspace {
    members: BTreeSet<String>,
    edges: BTreeMap<String, BTreeSet<String>>,
}

impl From<&Metadata> for Workspace {
    fn from(metadata: &Metadata) -> Self {
        let names: BTreeMap<&PackageId, &str> =
            metadata.packages.iter().map(|package| (&package.id, package.name.as_str())).collect();
        let name = |id: &PackageId| names.get(id).map_or_else(|| id.repr.clone(), ToString::to_string);
        let mut edges = BTreeMap::<String, BTreeSet<String>>::new();
        for node in metadata.resolve.iter().flat_map(|resolve| &resolve.nodes) {
            // Two versions of one crate become one entry, with what either of them needs.
            let from = edges.entry(name(&node.id)).or_default();
            let ours = node
                .deps
                .iter()
                .filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development));
            from.extend(ours.map(|dep| name(&dep.pkg)));
        }
        let members = metadata.workspace_members.iter().map(name).collect();
        Self { members, edges }
    }
}

impl Workspace {
    fn direct(&self, name: &str) -> impl Iterator<Item = &str> {
        self.edges.get(name).into_iter().flatten().map(String::as_str)
    }

    /// The shortest way from one crate to another, both ends included.
    fn path(&self, from: &str, to: &str) -> Option<Vec<String>> {
        let mut ways = vec![vec![from.to_owned()]];
        let mut seen = BTreeSet::from([from]);
        let mut next = 0;
        while let Some(way) = ways.get(next).cloned() {
            next += 1;
            let end = way.last()?;
            if end == to {
                return Some(way);
            }
            let (end, _) = self.edges.get_key_value(end)?;
            for step in self.direct(end).filter(|step| !way.iter().any(|seen| seen == step)).collect::<Vec<_>>() {
                if seen.insert(step) {
                    ways.push(way.iter().cloned().chain([step.to_owned()]).collect());
                }
            }
        }
        None
    }
}

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    check_against(workspace, &rooms(ROOMS))
}

fn check_against(workspace: &Workspace, rooms: &[Room<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in &workspace.members {
        let place = format!("crate {member}");
        let Some(room) = rooms.iter().find(|room| room.name == member) else {
            findings.push(Finding::new(
                place,
                "has no row in xtask/src/tidy/edges.rs: add one that says what it may rest on",
            ));
            continue;
        };
        for sibling in workspace.direct(member).filter(|dep| workspace.members.contains(*dep)) {
            if !room.may_depend_on(sibling) {
                findings.push(Finding::new(
                    &place,
                    format!("depends on {sibling}, which xtask/src/tidy/edges.rs does not allow: move the code, or the boundary with a docs/design note"),
                ));
            }
        }
        for never in room.never_reaches() {
            if let Some(way) = workspace.path(member, never) {
                findings.push(Finding::new(&place, format!("must not reach {never}: {}", way.join(" -> "))));
            }
        }
        if FREE.contains(&room.name) {
            continue;
        }
        for (external, user) in SINGLE_USER {
            if member != user && workspace.direct(member).any(|dep| dep == *external) {
                findings.push(Finding::new(&place, format!("depends on {external}, which is for {user} alone")));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST_ROOMS: &str = "
        crate  | may depend on | never reaches
        pure   |               | async
        server | pure          |
        all    | *             |
        stateward-testkit |    |
    ";

    /// Edges as `from: to to, from: to`; the rooms' names and `other` are members.
    fn findings(edges: &str) -> Vec<String> {
        let edges: BTreeMap<String, BTreeSet<String>> = edges
            .split(',')
            .filter_map(|edge| edge.trim().split_once(':'))
            .map(|(from, to)| (from.to_owned(), to.split_whitespace().map(str::to_owned).collect()))
            .collect();
        let rooms = rooms(TEST_ROOMS);
        let is_member = |name: &&String| rooms.iter().any(|room| room.name == name.as_str()) || *name == "other";
        let members = edges.keys().filter(is_member).cloned().collect();
        check_against(&Workspace { members, edges }, &rooms).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn allowed_edges_pass() {
        assert!(
            findings("pure: serde, server: pure tokio, all: pure server, stateward-testkit: tempfile clap").is_empty()
        );
    }

    #[test]
    fn a_sibling_that_is_not_named_is_found() {
        let found = findings("server: all, all: stateward-testkit, stateward-testkit:");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("crate all: depends on stateward-testkit, which"), "{found:?}");
        assert!(found[1].starts_with("crate server: depends on all, which"), "{found:?}");
    }

    #[test]
    fn a_forbidden_crate_is_found_through_others_with_its_way() {
        let found = findings("pure: a, a: b, b: tokio a");
        assert_eq!(found, ["crate pure: must not reach tokio: pure -> a -> b -> tokio"]);
    }

    #[test]
    fn what_one_crate_owns_is_found_elsewhere() {
        assert_eq!(findings("server: clap"), ["crate server: depends on clap, which is for stateward alone"]);
    }

    #[test]
    fn a_crate_without_a_row_is_found() {
        let found = findings("other:");
        assert!(found.len() == 1 && found[0].starts_with("crate other: has no row"), "{found:?}");
    }

    #[test]
    fn the_tables_name_only_what_they_define() {
        let rooms = rooms(ROOMS);
        assert_eq!(rooms.len(), ROOMS.trim().lines().count() - 1, "a row is malformed");
        let known = |name: &&str| *name == "*" || rooms.iter().any(|room| room.name == *name);
        let named = rooms.iter().flat_map(|room| &room.on).copied().chain(SINGLE_USER.iter().map(|(_, user)| *user));
        assert_eq!(named.filter(|name| !known(name)).collect::<Vec<_>>(), Vec::<&str>::new());
        let groups = rooms.iter().flat_map(|room| &room.never).copied();
        let unknown: Vec<&str> = groups.filter(|group| !GROUPS.iter().any(|(name, _)| name == group)).collect();
        assert_eq!(unknown, Vec::<&str>::new());
    }
}
