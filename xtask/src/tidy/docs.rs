//! Documents: every crate is listed, links lead somewhere, generated files are current.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{File, Finding};

/// A file that is the standard output of a command, run in the root: (file, command).
const GENERATED: &[(&str, &[&str])] = &[("crates/stateward-knowledge/lab.json", &["cargo", "xtask", "kb-lab"])];

/// Documents in which every crate has a line.
const LISTS: &[&str] = &["ARCHITECTURE.md", "crates/README.md"];

pub(super) fn check_listed(files: &[File], crates: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for list in LISTS {
        let Some(file) = files.iter().find(|file| file.path == *list) else {
            findings.push(Finding::new(*list, "is missing: write it, with a line for every crate"));
            continue;
        };
        for name in crates.iter().filter(|name| !names(&file.text, name)) {
            findings.push(Finding::new(*list, format!("does not name `{name}`: add a line that says what it holds")));
        }
    }
    findings
}

/// Whether the text has the name by itself in code type.
fn names(text: &str, name: &str) -> bool {
    text.contains(&format!("`{name}`"))
}

pub(super) fn check_links(files: &[File], exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.path.rsplit_once('.').is_some_and(|(_, extension)| extension == "md")) {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (line, target) in links(&file.text) {
            let is_local = !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:");
            if is_local && !resolve(folder, target).is_some_and(|path| exists(&path)) {
                findings.push(Finding::new(
                    format!("{}:{line}", file.path),
                    format!("links to `{target}`, which is not there"),
                ));
            }
        }
    }
    findings
}

/// The targets of `[text](target)` and `[label]: target` outside code, less fragments and titles, with their lines.
fn links(markdown: &str) -> Vec<(usize, &str)> {
    let mut links = Vec::new();
    let mut fence = None;
    for (number, line) in (1..).zip(markdown.lines()) {
        let text = line.trim_start();
        let marker = ["```", "~~~"].into_iter().find(|marker| text.starts_with(marker));
        match (fence, marker) {
            (None, Some(marker)) => fence = Some(marker),
            (Some(open), Some(marker)) if open == marker => fence = None,
            (None, None) => links.extend(links_in_line(text).into_iter().map(|target| (number, target))),
            _ => {}
        }
    }
    links
}

fn links_in_line(line: &str) -> Vec<&str> {
    let definition = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target);
    // Every other piece between backticks is code.
    let prose = line.split('`').step_by(2);
    let inline = prose.flat_map(|piece| piece.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0)));
    // A link whose text is code is cut in two by the backticks, so its target follows directly.
    definition.into_iter().chain(inline).map(target_only).collect()
}

fn target_only(target: &str) -> &str {
    let target = target.split_whitespace().next().unwrap_or("").trim_matches(['<', '>']);
    target.split('#').next().unwrap_or("")
}

/// The path from the root; `None` where it leads out of the repository.
fn resolve(folder: &str, target: &str) -> Option<String> {
    let (folder, target) = target.strip_prefix('/').map_or((folder, target), |target| ("", target));
    let mut path: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                path.pop()?;
            }
            _ => path.push(part),
        }
    }
    Some(path.join("/"))
}

/// Compares, or with `fix` rewrites.
pub(super) fn check_generated(root: &Path, fix: bool) -> Result<Vec<Finding>, String> {
    let mut findings = Vec::new();
    for (path, command) in GENERATED {
        let wanted = output(root, command)?;
        let found = fs::read(root.join(path)).unwrap_or_default();
        if wanted == found {
            continue;
        }
        if fix {
            fs::write(root.join(path), &wanted).map_err(|error| format!("cannot write {path}: {error}"))?;
        } else {
            findings.push(Finding::new(*path, "is not what the code generates: run `cargo xtask tidy --fix`"));
        }
    }
    Ok(findings)
}

fn output(root: &Path, command: &[&str]) -> Result<Vec<u8>, String> {
    let (program, arguments) = command.split_first().ok_or("a generated document without a command")?;
    let failed = |why: String| format!("cannot generate a document with `{}`: {why}", command.join(" "));
    let output = Command::new(program).args(arguments).current_dir(root).output();
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_missing_list_and_a_missing_crate_are_found() {
        let files = [file("crates/README.md", "| `stateward-core` | the backend |")];
        let found: Vec<String> =
            check_listed(&files, &["stateward", "stateward-core"]).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "ARCHITECTURE.md: is missing: write it, with a line for every crate",
                "crates/README.md: does not name `stateward`: add a line that says what it holds"
            ]
        );
    }

    #[test]
    fn links_are_taken_from_prose_only() {
        let text = "see [a](b.md#c), [`code`](d.rs) and [t](<e.md> \"title\")\n[f]: g.md\n```\n[no](no.md)\n```\n`[no](no.md)` [h](i)\n";
        assert_eq!(links(text), [(1, "b.md"), (1, "d.rs"), (1, "e.md"), (2, "g.md"), (6, "i")]);
    }

    #[test]
    fn links_resolve_from_their_document() {
        assert_eq!(resolve("docs/design", "../guide.md").as_deref(), Some("docs/guide.md"));
        assert_eq!(resolve("docs", "/LICENSE").as_deref(), Some("LICENSE"));
        assert_eq!(resolve("docs", "../../secret"), None);
        let files = [file("docs/a.md", "[x](b.md) [y](../LICENSE) [z](https://example.com) [w](#here)")];
        let found: Vec<String> =
            check_links(&files, |path| path == "LICENSE").iter().map(ToString::to_string).collect();
        assert_eq!(found, ["docs/a.md:1: links to `b.md`, which is not there"]);
    }
}
