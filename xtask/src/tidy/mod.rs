//! Checks of what the compiler and clippy do not see.
//!
//! Each check is a pure function from texts to findings; this module reads the texts and prints the findings.

mod code;
mod docs;
mod edges;
mod manifests;
mod text;

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use cargo_metadata::{CargoOpt, Metadata, MetadataCommand};

/// Something to put right.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    /// `path` or `path:line`.
    place: String,
    /// What is wrong and what to do.
    what: String,
}

impl Finding {
    fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { place: place.into(), what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// A file of the repository, with its path from the root.
struct File {
    path: String,
    text: String,
}

/// Runs every check and reports all findings at once.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let fix = match arguments {
        [] => false,
        [flag] if flag == "--fix" => true,
        _ => return Err("usage: cargo xtask tidy [--fix]".to_owned()),
    };
    let root = crate::root();
    let files = tracked_files(&root)?;
    let metadata = metadata(&root)?;
    let crates: Vec<&str> = metadata.workspace_packages().iter().map(|package| package.name.as_str()).collect();

    let mut findings = edges::check(&edges::Workspace::from(&metadata));
    findings.extend(manifests::check(&files));
    findings.extend(code::check(&files));
    findings.extend(text::check(&files));
    findings.extend(docs::check_listed(&files, &crates));
    findings.extend(docs::check_links(&files, |path| root.join(path).exists()));
    findings.extend(docs::check_generated(&root, fix)?);

    for finding in &findings {
        eprintln!("{finding}");
    }
    match findings.len() {
        0 => {
            println!("tidy: {} files and {} crates in order", files.len(), crates.len());
            Ok(())
        }
        count => Err(format!("tidy: {count} to put right")),
    }
}

/// What git tracks or would track, as far as it is text.
fn tracked_files(root: &Path) -> Result<Vec<File>, String> {
    let listed = Command::new("git")
        .current_dir(root)
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .output()
        .map_err(|error| format!("cannot run git, which knows the files to check: {error}"))?;
    if !listed.status.success() {
        return Err(format!("git cannot list the files to check: {}", String::from_utf8_lossy(&listed.stderr)));
    }
    let listed = String::from_utf8(listed.stdout).map_err(|error| format!("a file's name is not UTF-8: {error}"))?;
    let mut paths: Vec<&str> = listed.split_terminator('\0').collect();
    paths.sort_unstable();
    paths.dedup();
    // Not there: deleted, but not yet from the index. Not UTF-8: no text.
    let read = |path: &str| Some(File { path: path.to_owned(), text: fs::read_to_string(root.join(path)).ok()? });
    Ok(paths.into_iter().filter_map(read).collect())
}

fn metadata(root: &Path) -> Result<Metadata, String> {
    MetadataCommand::new()
        .current_dir(root)
        .features(CargoOpt::AllFeatures)
        // Without what only other platforms need, which a build here has not downloaded.
        .other_options(["--filter-platform".to_owned(), "host-tuple".to_owned()])
        .exec()
        .map_err(|error| format!("cargo metadata: {error}"))
}
