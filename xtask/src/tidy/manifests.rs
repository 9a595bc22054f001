//! Every crate inherits the workspace's lints, among which `unsafe` is forbidden.

use super::{File, Finding};

pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.path == "Cargo.toml" || file.path.ends_with("/Cargo.toml")) {
        let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
        // The fuzz targets: a workspace of its own, for another toolchain, and nothing of it is shipped.
        let is_apart = lines.contains(&"[workspace]") && file.path != "Cargo.toml";
        if lines.contains(&"[package]") && !is_apart && setting(&lines, "[lints]", "workspace") != Some("true") {
            findings
                .push(Finding::new(&file.path, "does not inherit the lints: add `[lints]` with `workspace = true`"));
        }
        let is_root = lines.contains(&"[workspace]") && file.path == "Cargo.toml";
        if is_root && setting(&lines, "[workspace.lints.rust]", "unsafe_code") != Some("\"forbid\"") {
            findings.push(Finding::new(
                &file.path,
                "must forbid unsafe code: `unsafe_code = \"forbid\"` in `[workspace.lints.rust]`",
            ));
        }
    }
    findings
}

/// The value of a key in a section, as it is written.
fn setting<'a>(lines: &[&'a str], section: &str, key: &str) -> Option<&'a str> {
    let body = lines.iter().skip_while(|line| **line != section).skip(1).take_while(|line| !line.starts_with('['));
    body.filter_map(|line| line.split_once('=')).find(|(found, _)| found.trim() == key).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(path: &str, text: &str) -> usize {
        check(&[File { path: path.to_owned(), text: text.to_owned() }]).len()
    }

    #[test]
    fn a_crate_must_inherit() {
        assert_eq!(places("crates/a/Cargo.toml", "[package]\nname = \"a\"\n[lints]\nworkspace = true\n"), 0);
        assert_eq!(places("crates/a/Cargo.toml", "[package]\nname = \"a\"\n"), 1);
        assert_eq!(places("fuzz/Cargo.toml", "[package]\nname = \"a\"\n[workspace]\n"), 0);
        assert_eq!(places("crates/a/Cargo.toml", "[package]\n[lints]\n[other]\nworkspace = true\n"), 1);
    }

    #[test]
    fn the_root_must_forbid_unsafe() {
        assert_eq!(places("Cargo.toml", "[workspace]\n[workspace.lints.rust]\nunsafe_code = \"forbid\"\n"), 0);
        assert_eq!(places("Cargo.toml", "[workspace]\n[workspace.lints.rust]\nunsafe_code = \"deny\"\n"), 1);
    }
}
