//! `stateward kb …`: the knowledge base, which is part of the binary.

use std::fs;
use std::io::Read;
use std::path::Path;

use serde::Serialize;
use stateward_core::view::List;
use stateward_core::{Error, Kind};
use stateward_knowledge::{Entry, Language, entries, find, html, markdown, search, site};

use super::Context;
use crate::cli::{Format, KbCommand};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output;
use crate::output::table::text;

/// More of a text than this is not read.
const TEXT_MAX: u64 = 16 << 20;

pub(super) fn run(context: &Context, command: &KbCommand) -> Result<Exit> {
    match command {
        KbCommand::List { prefix } => {
            let chosen = entries().iter().filter(|entry| entry.id.starts_with(prefix)).collect();
            list(context, chosen, "no entry has such an ID")
        }
        KbCommand::Show { id, lang, format } => {
            let format = if context.out.json { Format::Json } else { *format };
            show(id, (*lang).into(), format)
        }
        KbCommand::Search { text } => {
            let found = search(&given(text)?);
            let exit = if found.is_empty() { Exit::Failed } else { Exit::Done };
            list(context, found, "no entry tells of this").map(|_| exit)
        }
        KbCommand::Build { dir } => build(context, dir),
    }
}

fn list(context: &Context, entries: Vec<&'static Entry>, none: &str) -> Result<Exit> {
    let list = List::new(entries.into_iter().map(site::item).collect());
    let columns = [text("ID"), text("TITLE")];
    let row = |item: &site::Item| vec![item.id.clone(), item.title.clone()];
    context.out.list(&list, none, &columns, row)
}

fn show(id: &str, language: Language, format: Format) -> Result<Exit> {
    let Some(entry) = find(id) else {
        let what = format!("there is no entry `{id}`");
        let next = "`stateward kb list` lists them, `stateward kb search TEXT` finds them by words or by an error";
        return Err(Error::new(Kind::NotFound, what, "IDs are DOMAIN/SLUG, in full", next).into());
    };
    let shown = match format {
        Format::Md => markdown(entry, language),
        Format::Json => site::json(entry),
        Format::Html => html(entry, language),
    };
    output::bytes(shown.as_bytes())?;
    Ok(Exit::Done)
}

/// What is to be searched for: the words, or standard input.
fn given(words: &[String]) -> Result<String> {
    if words != ["-"] {
        return Ok(words.join(" "));
    }
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(TEXT_MAX).read_to_end(&mut bytes);
    read.map_err(|error| Failure::file("the text was not read", Path::new("-"), &error, "try again"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What was written.
#[derive(Serialize)]
struct Built<'a> {
    dir: &'a Path,
    entries: usize,
    files: usize,
}

fn build(context: &Context, dir: &Path) -> Result<Exit> {
    for (path, file) in site::files() {
        let path = dir.join(path);
        let made = path.parent().map_or(Ok(()), fs::create_dir_all);
        made.and_then(|()| fs::write(&path, &file.text)).map_err(|error| {
            Failure::file("the site was not written", &path, &error, "name a directory that can be written")
        })?;
    }
    let built = Built { dir, entries: entries().len(), files: site::files().len() };
    context.out.answer(&built, || {
        format!("{} entries in {} files; begin with {}\n", built.entries, built.files, dir.join("index.html").display())
    })
}
