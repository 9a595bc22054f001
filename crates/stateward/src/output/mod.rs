//! What people and scripts get to see. Data goes to standard output, all else to standard error.

pub(crate) mod changes;
pub(crate) mod human;
pub(crate) mod progress;
pub(crate) mod table;

use std::io::{ErrorKind, IsTerminal, Write};
use std::panic::Location;

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use serde_json::{Map, Value};
use stateward_core::view::{List, SCHEMA};

use crate::exit::Exit;
use crate::failure::{Message, Result};
use crate::output::table::Column;

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default();
pub(crate) const RED: Style = AnsiColor::Red.on_default();

/// Standard output and error, and how to write to them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// One JSON document instead of text.
    pub(crate) json: bool,
    /// Standard output is a terminal: times are told in relation to now.
    pub(crate) terminal: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, terminal: std::io::stdout().is_terminal() }
    }

    /// Answers either way.
    pub(crate) fn answer(self, object: &impl Serialize, told: impl FnOnce() -> String) -> Result<Exit> {
        if self.json {
            document(object)?;
        } else {
            text(&told())?;
        }
        Ok(Exit::Done)
    }

    /// Answers with a list either way; an empty table is said in words, beside the data.
    pub(crate) fn list<T: Serialize>(
        self,
        list: &List<T>,
        none: &str,
        columns: &[Column],
        row: impl Fn(&T) -> Vec<String>,
    ) -> Result<Exit> {
        if self.json {
            json(list)?;
        } else if list.items.is_empty() {
            note(&format!("{none}\n"));
        } else {
            text(&table::draw(columns, list.items.iter().map(row)))?;
        }
        Ok(Exit::Done)
    }
}

/// Writes text, with the styles in it where standard output takes them.
pub(crate) fn text(text: &str) -> Result<()> {
    let mut stdout = anstream::stdout().lock();
    unless_gone(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

/// Writes exact bytes, of which there may be more: where nobody reads them any more the command ends.
pub(crate) fn bytes(bytes: &[u8]) -> Result<()> {
    Ok(write(bytes)?)
}

fn write(bytes: &[u8]) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// Whoever reads an answer may have seen enough (`… | head -1`). That hides nothing of what was found, which the exit code tells, and
/// stops nothing of what is to be done.
fn unless_gone(written: std::io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Writes a document as it is.
pub(crate) fn json(document: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(document).map_err(unserializable)?;
    text.push('\n');
    unless_gone(write(text.as_bytes()))
}

/// Writes an object as a document: with the version of its shape before all else.
fn document(object: &impl Serialize) -> Result<()> {
    let mut document = Map::from_iter([("schema".to_owned(), Value::from(SCHEMA))]);
    if let Value::Object(fields) = serde_json::to_value(object).map_err(unserializable)? {
        document.extend(fields);
    }
    json(&document)
}

/// Says something beside the data.
pub(crate) fn note(text: &str) {
    let mut stderr = anstream::stderr().lock();
    // Nobody may be listening, which is no reason to stop.
    drop(stderr.write_all(text.as_bytes()));
}

/// Only a map with other keys than texts could fail, and there is none.
fn unserializable(error: serde_json::Error) -> std::io::Error {
    std::io::Error::other(error)
}

/// Prints why a command failed.
pub(crate) fn error(message: &Message) {
    let Message { what, why, next } = message;
    let bold_red = RED.bold();
    let text = format!(
        "{bold_red}error{bold_red:#}: {}\n  {BOLD}why{BOLD:#}: {}\n  {BOLD}next{BOLD:#}: {}\n",
        human::one_line(what),
        human::one_line(why),
        human::one_line(next)
    );
    note(&text);
}

/// Prints that there is a bug. A panic's own message may hold what it choked on, so that only its place is told.
pub(crate) fn bug(location: Option<&Location<'_>>) {
    let place = location.map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    error(&Message::new(
        "this is a bug in stateward",
        format!("version {} panicked at {place}", env!("CARGO_PKG_VERSION")),
        "please report it with the command that you ran; what was committed to the store is safe",
    ));
}
