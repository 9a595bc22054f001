//! Nothing in the repository depends on one machine, or goes around the ordinary package clients.

use super::{File, Finding};

/// Hosts of package registries, in pieces, so that this file does not hold what it forbids.
const REGISTRY_HOSTS: &[&[&str]] = &[
    &["index", "crates", "io"],
    &["static", "crates", "io"],
    &["pypi", "org"],
    &["files", "pythonhosted", "org"],
    &["registry", "npmjs", "org"],
    &["proxy", "golang", "org"],
    &["repo1", "maven", "org"],
    &["repo", "maven", "apache", "org"],
    &["deb", "debian", "org"],
];

/// Directories of the machines it was developed on.
const MACHINE_PATHS: &[&[&str]] = &[&["", "work", ""]];

pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let hosts =
        REGISTRY_HOSTS.iter().map(|pieces| (pieces.join("."), "a registry's host: let the package client choose"));
    let paths = MACHINE_PATHS.iter().map(|pieces| (pieces.join("/"), "a path of one machine: make it relative"));
    let forbidden: Vec<(String, &str)> = hosts.chain(paths).collect();
    let mut findings = Vec::new();
    for file in files {
        for (number, line) in (1..).zip(file.text.lines()) {
            for (word, why) in forbidden.iter().filter(|(word, _)| stands_alone(line, word)) {
                findings.push(Finding::new(format!("{}:{number}", file.path), format!("`{word}`: {why}")));
            }
        }
    }
    findings
}

/// Whether the word begins a name or path in the line, rather than continuing a longer one.
fn stands_alone(line: &str, word: &str) -> bool {
    let continues = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '~' | '$' | '}' | ']' | '*');
    line.match_indices(word).any(|(at, _)| !line[..at].chars().next_back().is_some_and(continues))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> usize {
        check(&[File { path: "a.md".to_owned(), text: text.to_owned() }]).len()
    }

    #[test]
    fn finds_hosts_and_paths() {
        let host = REGISTRY_HOSTS[0].join(".");
        let path = MACHINE_PATHS[0].join("/");
        assert_eq!(count(&format!("see https://{host}/a\ncd {path}main\n\"{path}x\"")), 3);
    }

    #[test]
    fn leaves_other_words_alone() {
        assert_eq!(count("crates from crates.io; see a/work/b, ./work/c and $DIR/work/d; network"), 0);
    }
}
