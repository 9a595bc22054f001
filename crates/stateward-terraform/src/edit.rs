//! Writing backend blocks: putting one in the place of another, and changing single arguments of one. Everything else in the file stays
//! as it is, to the byte.
//!
//! The functions on texts are pure. A file is replaced in one step, and only if it still says what was read.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use hcl_edit::Span;
use hcl_edit::structure::{Block, BlockLabel, Body};

use crate::backend::{Configuration, is_override};
use crate::hcl;
use crate::rights::{can_replace, directory_of};
use crate::tool::Tool;

/// The file that a block is written to where there is none.
const NEW_FILE: &str = "backend.tf";
/// Where OpenTofu has a `backend.tofu` in place of that one.
const OTHER_FILE: &str = "state_backend.tf";
/// What a file is called until it is whole, with something behind it.
const UNFINISHED: &str = ".stateward_backend.";
const INDENT: &str = "  ";

/// A value of an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// `true` or `false`.
    Flag(bool),
    /// A number, as it is written.
    Number(u32),
    /// A list of texts.
    List(Vec<String>),
    /// An object of texts.
    Texts(Vec<(String, String)>),
}

impl Value {
    /// In HCL, for an argument that is indented so.
    fn to_hcl(&self, indent: &str) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::Flag(flag) => flag.to_string(),
            Self::Number(number) => number.to_string(),
            Self::List(texts) => {
                let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
                format!("[{}]", texts.join(", "))
            }
            Self::Texts(pairs) => {
                let pairs: Vec<_> = pairs.iter().map(|(name, text)| (name.as_str(), quoted(text))).collect();
                format!("{{\n{}{indent}}}", aligned(&pairs, &format!("{indent}{INDENT}")))
            }
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other => out.push(other),
        }
    }
    // What would begin a template stands for itself.
    out.replace("${", "$${").replace("%{", "%%{") + "\""
}

/// Lines of `name = value`, as `terraform fmt` lays them out.
fn aligned(pairs: &[(&str, String)], indent: &str) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    pairs.iter().fold(String::new(), |mut lines, (name, value)| {
        // Into memory: there is no way to fail.
        let _always = writeln!(lines, "{indent}{name:width$} = {value}");
        lines
    })
}

/// A backend block to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// `s3`, `http`, `local`, …
    pub kind: String,
    /// Its arguments, in this order.
    pub arguments: Vec<(String, Value)>,
}

impl Written {
    /// The block, for a place that is indented so: without an indentation before it and a line's end behind it.
    fn to_hcl(&self, indent: &str) -> String {
        if self.arguments.is_empty() {
            return format!("backend {} {{}}", quoted(&self.kind));
        }
        let within = format!("{indent}{INDENT}");
        let (mut body, mut run) = (String::new(), Vec::new());
        // Arguments of several lines are aligned with none.
        for (name, value) in &self.arguments {
            let value_hcl = value.to_hcl(&within);
            if value_hcl.contains('\n') {
                body.push_str(&aligned(&std::mem::take(&mut run), &within));
                body.push_str(&aligned(&[(name, value_hcl)], &within));
            } else {
                run.push((name.as_str(), value_hcl));
            }
        }
        body.push_str(&aligned(&run, &within));
        format!("backend {} {{\n{body}{indent}}}", quoted(&self.kind))
    }

    /// The block within a `terraform` block of its own: a file of it, or for a person to paste.
    pub fn to_file(&self) -> String {
        format!("terraform {{\n{INDENT}{}\n}}\n", self.to_hcl(INDENT))
    }
}

/// What is to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The backend becomes this one.
    Replace(Written),
    /// Arguments of the backend get a value, or go.
    Arguments(Vec<(String, Option<Value>)>),
}

/// Why a block cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The system refused.
    #[error("`{}`: {error}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// It is no HCL.
    #[error("`{}`: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// It is in JSON, whose layout is somebody else's.
    #[error("`{}` is in JSON, which is not written to", path.display())]
    Json {
        /// The file.
        path: PathBuf,
    },
    /// There is no block whose arguments could be changed.
    #[error("there is no `backend` block in `{}`", path.display())]
    NoBlock {
        /// The file or directory.
        path: PathBuf,
    },
    /// It is a link to a file of another directory, which may be the file of others, too.
    #[error("`{}` is a link to `{}`, and whoever shares that file would get the same block", path.display(), target.display())]
    Shared {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// Another tool writes it, and would write it anew.
    #[error("`{}` is written by Terragrunt, which would write it anew", path.display())]
    Generated {
        /// The file.
        path: PathBuf,
    },
    /// Somebody else wrote it in the meantime.
    #[error("`{}` was changed by somebody else in the meantime", path.display())]
    Overtaken {
        /// The file.
        path: PathBuf,
    },
}

/// A file of a configuration before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The file.
    pub path: PathBuf,
    /// What it says; `None` where there is none.
    pub before: Option<String>,
    /// What it is to say.
    pub after: String,
}

impl Edit {
    /// Works out what a change makes of the files of a directory. Nothing is written.
    pub fn plan(directory: &Path, configuration: &Configuration, change: &Change) -> Result<Self, EditError> {
        let edit = Self::of(directory, configuration, change)?;
        let path = &edit.path;
        let home = fs::canonicalize(directory).map_err(|error| EditError::Io { path: path.clone(), error })?;
        match fs::canonicalize(path) {
            Ok(target) if target.parent() != Some(&home) => Err(EditError::Shared { path: path.clone(), target }),
            _ if edit.before.as_deref().is_some_and(is_generated) => Err(EditError::Generated { path: path.clone() }),
            _ => Ok(edit),
        }
    }

    fn of(directory: &Path, configuration: &Configuration, change: &Change) -> Result<Self, EditError> {
        if let Some(declared) = &configuration.declared {
            let path = directory.join(&declared.place.file);
            let before = read(&path)?;
            if has_extension(&path, "json") {
                return Err(EditError::Json { path });
            }
            let unreadable = |why| EditError::Unreadable { path: path.clone(), why };
            let after = changed(&before, change).map_err(unreadable)?;
            let after = after.ok_or_else(|| EditError::NoBlock { path: path.clone() })?;
            return Ok(Self { path, before: Some(before), after });
        }
        let Change::Replace(written) = change else {
            return Err(EditError::NoBlock { path: directory.to_path_buf() });
        };
        for name in hcl_files(directory)? {
            let path = directory.join(name);
            let before = read(&path)?;
            if let Ok(Some(after)) = inserted(&before, written) {
                return Ok(Self { path, before: Some(before), after });
            }
        }
        let is_hidden = directory.join(NEW_FILE).with_extension("tofu").exists();
        let path = directory.join(if is_hidden { OTHER_FILE } else { NEW_FILE });
        match fs::read_to_string(&path) {
            Ok(before) => {
                let gap = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
                let after = with_ends_of(&before, format!("{before}{gap}{}", written.to_file()));
                Ok(Self { path, before: Some(before), after })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Self { path, before: None, after: written.to_file() })
            }
            Err(error) => Err(EditError::Io { path, error }),
        }
    }

    /// True where the file says so already.
    pub fn is_done(&self) -> bool {
        self.before.as_deref() == Some(self.after.as_str())
    }

    /// Refuses where the file could not be written, as far as that can be known without writing.
    pub fn can_be_written(&self) -> Result<(), EditError> {
        if self.is_done() {
            return Ok(());
        }
        can_replace(&self.target()).map_err(|error| EditError::Io { path: self.path.clone(), error })
    }

    /// A link stays one, and leads to what is written.
    fn target(&self) -> PathBuf {
        fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone())
    }

    /// Writes the file: whole, or not at all. Refused where it no longer says what was read.
    pub fn write(&self) -> Result<(), EditError> {
        let failed = |error| EditError::Io { path: self.path.clone(), error };
        let target = self.target();
        let now = match fs::read_to_string(&target) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        if now != self.before {
            return Err(EditError::Overtaken { path: self.path.clone() });
        }
        let directory = directory_of(&target);
        self.clean(directory);
        let mut made = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(directory).map_err(failed)?;
        made.write_all(self.after.as_bytes()).map_err(failed)?;
        let permissions = match fs::metadata(&target) {
            Ok(found) => found.permissions(),
            Err(_) => std::os::unix::fs::PermissionsExt::from_mode(0o644),
        };
        made.as_file().set_permissions(permissions).map_err(failed)?;
        made.as_file().sync_all().map_err(failed)?;
        made.persist(&target).map(drop).map_err(|error| failed(error.error))
    }

    /// Removes what runs that were killed have left of what is now to be written. What stays is in nobody's way.
    fn clean(&self, directory: &Path) {
        let Ok(entries) = fs::read_dir(directory) else { return };
        for entry in entries.flatten() {
            let is_ours = entry.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes());
            if is_ours && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                let text = fs::read(entry.path()).unwrap_or_default();
                if self.after.as_bytes().starts_with(&text) {
                    let _stays = fs::remove_file(entry.path());
                }
            }
        }
    }
}

fn read(path: &Path) -> Result<String, EditError> {
    fs::read_to_string(path).map_err(|error| EditError::Io { path: path.to_path_buf(), error })
}

/// The files in HCL's own syntax that both tools read and that override nothing.
fn hcl_files(directory: &Path) -> Result<Vec<String>, EditError> {
    let read = |tool| {
        Configuration::files(directory, tool).map_err(|error| EditError::Io { path: directory.to_path_buf(), error })
    };
    // OpenTofu does not read `a.tf` where there is `a.tofu`.
    let of_tofu = read(Tool::OpenTofu)?;
    let is_own = |name: &String| has_extension(Path::new(name), "tf") && !is_override(name) && of_tofu.contains(name);
    Ok(read(Tool::Terraform)?.into_iter().filter(is_own).collect())
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

/// The text with the change made; `None` where it has no backend.
fn changed(text: &str, change: &Change) -> Result<Option<String>, String> {
    let body = hcl::parse(text)?;
    let Some((block, span)) = backend(&body) else { return Ok(None) };
    let after = match change {
        Change::Replace(written) => spliced(text, span.clone(), &written.to_hcl(indent_at(text, span.start))),
        Change::Arguments(changes) => with_arguments(text, block, &span, changes),
    };
    let after = with_ends_of(text, after);
    // Comments go by lines and by parts of lines: what was written is read once more before anybody relies on it.
    match says(&after, change) {
        true => Ok(Some(after)),
        false => Err("its backend block is laid out, or commented, in a way that cannot be changed safely".to_owned()),
    }
}

/// Whether the text's backend is as the change has it.
fn says(text: &str, change: &Change) -> bool {
    let Ok(body) = hcl::parse(text) else { return false };
    let Some((block, _)) = backend(&body) else { return false };
    let is = |name: &str, value: &Value| {
        let there = block.body.get_attribute(name).and_then(|attribute| text.get(attribute.value.span()?));
        let words = |hcl: &str| hcl.split_whitespace().collect::<String>();
        there.is_some_and(|there| words(there) == words(&value.to_hcl("")))
    };
    match change {
        Change::Replace(written) => {
            let kind = block.labels.first().map(BlockLabel::as_str);
            kind == Some(written.kind.as_str()) && written.arguments.iter().all(|(name, value)| is(name, value))
        }
        Change::Arguments(changes) => changes.iter().all(|(name, value)| match value {
            Some(value) => is(name, value),
            None => block.body.get_attribute(name).is_none(),
        }),
    }
}

/// The last `backend` or `cloud` block, and where it stands.
fn backend(body: &Body) -> Option<(&Block, Range<usize>)> {
    let settings = body.get_blocks("terraform").flat_map(|block| block.body.blocks());
    let block = settings.filter(|block| matches!(block.ident.as_str(), "backend" | "cloud")).last()?;
    Some((block, block.span()?))
}

/// The text with a block at the beginning of its first `terraform` block; `None` where it has none.
fn inserted(text: &str, written: &Written) -> Result<Option<String>, String> {
    let body = hcl::parse(text)?;
    let Some(span) = body.get_blocks("terraform").next().and_then(Span::span) else { return Ok(None) };
    let Some(open) = text.get(span.clone()).and_then(|block| block.find('{')) else { return Ok(None) };
    let (at, indent) = (span.start + open + 1, indent_at(text, span.start));
    let within = format!("{indent}{INDENT}");
    let block = format!("\n{within}{}", written.to_hcl(&within));
    // `terraform {}` gets lines of its own; what stands in it already stays apart.
    let rest = text.get(at..).unwrap_or_default();
    let behind = match rest.trim_start_matches([' ', '\t']) {
        rest if rest.starts_with('}') => format!("\n{indent}"),
        rest if rest.starts_with(['\n', '\r']) => match rest.trim_start().starts_with('}') {
            true => String::new(),
            false => "\n".to_owned(),
        },
        // On the line of the brace: an argument, which has to stay alone on its line.
        _ => return Ok(None),
    };
    let from = at + (rest.len() - rest.trim_start_matches([' ', '\t']).len());
    Ok(Some(with_ends_of(text, spliced(text, at..from, &format!("{block}{behind}")))))
}

fn with_arguments(text: &str, block: &Block, span: &Range<usize>, changes: &[(String, Option<Value>)]) -> String {
    let indent = indent_at(text, span.start);
    let within = format!("{indent}{INDENT}");
    let source = text.get(span.clone()).unwrap_or_default();
    if !source.contains('\n') {
        return spliced(text, span.clone(), &on_lines(text, block, indent, changes));
    }
    let mut splices: Vec<(Range<usize>, String)> = Vec::new();
    let mut added: Vec<(&str, String)> = Vec::new();
    for (name, value) in changes {
        let attribute = block.body.get_attribute(name);
        match (attribute, value) {
            (Some(attribute), Some(value)) => {
                splices.extend(attribute.value.span().map(|at| (at, value.to_hcl(&within))));
            }
            (Some(attribute), None) => {
                splices.extend(attribute.span().map(|at| (whole_lines(text, at), String::new())));
            }
            (None, Some(value)) => added.push((name, value.to_hcl(&within))),
            (None, None) => {}
        }
    }
    // Behind the last argument that stays; that may be none.
    let stays = |key: &str| changes.iter().all(|(name, value)| name != key || value.is_some());
    let last = block.body.attributes().filter(|attribute| stays(attribute.key.as_str())).last();
    let lines = match last {
        Some(last) => aligned_with(text, last.span(), &added, &within),
        None => aligned(&added, &within),
    };
    let at = match last.and_then(Span::span) {
        Some(last) => line_end(text, last.end),
        None => span.start + source.find('\n').map_or(0, |at| at + 1),
    };
    splices.push((at..at, lines));
    splices.sort_by_key(|(at, _)| (at.start, at.end));
    splices.into_iter().rev().fold(text.to_owned(), |text, (at, new)| spliced(&text, at, &new))
}

/// A block that stands on one line, which has room for one argument only, on lines of its own.
fn on_lines(text: &str, block: &Block, indent: &str, changes: &[(String, Option<Value>)]) -> String {
    let within = format!("{indent}{INDENT}");
    let changed = |name: &str| changes.iter().any(|(changed, _)| changed == name);
    let kept = block.body.attributes().filter(|attribute| !changed(attribute.key.as_str()));
    let value = |at: Option<Range<usize>>| at.and_then(|at| text.get(at)).unwrap_or_default().trim().to_owned();
    let mut pairs: Vec<_> = kept.map(|kept| (kept.key.as_str(), value(kept.value.span()))).collect();
    let set = changes.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_ref()?.to_hcl(&within))));
    pairs.extend(set);
    let head = value(block.span());
    let head = head.split('{').next().unwrap_or_default().trim_end().to_owned();
    format!("{head} {{\n{}{indent}}}", aligned(&pairs, &within))
}

/// Lines whose signs stand below that of an argument, as far as their names leave room.
fn aligned_with(text: &str, argument: Option<Range<usize>>, pairs: &[(&str, String)], indent: &str) -> String {
    let source = argument.and_then(|at| text.get(at)).unwrap_or_default();
    let width = source.find('=').map_or(0, |at| at.saturating_sub(1));
    pairs.iter().fold(String::new(), |mut lines, (name, value)| {
        let _always = writeln!(lines, "{indent}{name:width$} = {value}");
        lines
    })
}

/// With the ends of lines that the text had before, where all of them were of Windows.
fn with_ends_of(before: &str, after: String) -> String {
    let ends = before.matches('\n').count();
    if ends == 0 || before.matches("\r\n").count() != ends {
        return after;
    }
    after.replace("\r\n", "\n").replace('\n', "\r\n")
}

/// Whether a file says of itself that a tool writes it.
fn is_generated(text: &str) -> bool {
    text.lines().next().is_some_and(|line| line.contains("Generated by Terragrunt"))
}

fn spliced(text: &str, at: Range<usize>, new: &str) -> String {
    let (before, behind) = (text.get(..at.start).unwrap_or_default(), text.get(at.end..).unwrap_or_default());
    format!("{before}{new}{behind}")
}

/// What stands before something on its line, as far as it is blank.
fn indent_at(text: &str, at: usize) -> &str {
    let start = line_start(text, at);
    let line = text.get(start..at).unwrap_or_default();
    let blank = line.len() - line.trim_start_matches([' ', '\t']).len();
    line.get(..blank).unwrap_or_default()
}

fn line_start(text: &str, at: usize) -> usize {
    text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1)
}

/// Where the next line begins.
fn line_end(text: &str, at: usize) -> usize {
    text.get(at..).and_then(|behind| behind.find('\n')).map_or(text.len(), |end| at + end + 1)
}

/// The lines of an argument, with what is said about it behind it.
fn whole_lines(text: &str, at: Range<usize>) -> Range<usize> {
    line_start(text, at.start)..line_end(text, at.end)
}

#[cfg(test)]
mod tests;
