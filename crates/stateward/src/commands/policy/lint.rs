//! `stateward policy lint`.

use std::fmt::Write;

use serde::Serialize;
use stateward_core::view::List;
use stateward_iam::{Finding, PolicyKind, Severity, lint};

use super::files;
use crate::cli::LintArgs;
use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::Result;
use crate::output::{self, BOLD, DIM, RED, YELLOW, human};

/// A finding in `policy lint --json`.
#[derive(Debug, Serialize)]
struct Item {
    file: String,
    #[serde(flatten)]
    finding: Finding,
}

pub(super) fn run(context: &Context, args: &LintArgs) -> Result<Exit> {
    let mut items = Vec::new();
    for path in &args.file {
        let text = files::read(path)?;
        let kind = args.kind.map_or_else(|| PolicyKind::of(&text), PolicyKind::from);
        let file = path.display().to_string();
        items.extend(lint(&text, kind).into_iter().map(|finding| Item { file: file.clone(), finding }));
    }
    let errors = items.iter().filter(|item| item.finding.severity == Severity::Error).count();
    let warnings = items.len() - errors;
    if context.out.json {
        output::json(&List::new(items))?;
    } else {
        output::text(&told(&items))?;
        output::note(&summary(args.file.len(), errors, warnings));
    }
    Ok(if errors > 0 { Exit::Failed } else { Exit::Done })
}

/// Each on its place, as editors know it from compilers.
fn told(items: &[Item]) -> String {
    let mut text = String::new();
    for Item { file, finding } in items {
        let (style, word) = match finding.severity {
            Severity::Error => (RED, "error"),
            Severity::Warning => (YELLOW, "warning"),
        };
        let rule = serde_json::to_value(finding.rule).unwrap_or_default();
        let (file, place) = (human::one_line(file), finding.place);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{BOLD}{file}:{}:{}{BOLD:#}: {style}{word}{style:#} {DIM}{}{DIM:#}",
            place.line,
            place.column,
            rule.as_str().unwrap_or_default(),
        );
        text.push_str(&human::hanging("  ", 2, &finding.message));
    }
    text
}

fn summary(files: usize, errors: usize, warnings: usize) -> String {
    let of = human::counted(files as u64, "file");
    if errors + warnings == 0 {
        return format!("nothing is wrong in {of}\n");
    }
    let (errors, warnings) = (human::counted(errors as u64, "error"), human::counted(warnings as u64, "warning"));
    format!("{errors} and {warnings} in {of}\n")
}
