//! `stateward explain`: what an error text means, and what to do.

mod told;

pub(super) use told::document as policy_document;

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;
use stateward_denial::{Findings, Mask, Reader};
use stateward_iam::PolicyKind;
use stateward_knowledge::advice::{Explanation, Given, MalformedPolicy, explain};
use stateward_knowledge::entry_for;

use super::Context;
use super::policy::files;
use crate::cli::ExplainArgs;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output;

/// Bytes read at a time.
const PIECE: usize = 256 << 10;

/// The answer.
#[derive(Debug, Serialize)]
struct Answer {
    problems: Vec<Explanation>,
    /// How many more different problems there are than are told.
    left_out: u64,
}

pub(super) fn run(context: &Context, args: &ExplainArgs) -> Result<Exit> {
    let given = given(args)?;
    let Findings { problems, left_out } = read(args.file.as_deref().unwrap_or(Path::new("-")), args.whole)?;
    let mut mask = args.share.then(Mask::new);
    if let Some(mask) = &mut mask {
        problems.iter().for_each(|problem| mask.learn(problem));
    }
    let problems: Vec<Explanation> = problems
        .into_iter()
        .map(|problem| {
            let entry = entry_for(&problem).map(|entry| entry.id.as_str());
            explain(problem, entry, given.as_ref(), mask.as_mut())
        })
        .collect();
    let answer = Answer { problems, left_out };
    if answer.problems.is_empty() && !context.out.json {
        output::note(told::NOTHING);
        return Ok(Exit::Failed);
    }
    let exit = context.out.answer(&answer, || told::all(&answer.problems, answer.left_out))?;
    Ok(if answer.problems.is_empty() { Exit::Failed } else { exit })
}

/// Reads a text of any length in bounded memory.
fn read(path: &Path, is_whole: bool) -> Result<Findings> {
    let failed = |error: io::Error| {
        let is_text = error.kind() != io::ErrorKind::PermissionDenied && path.to_string_lossy().contains(": ");
        let next = if is_text {
            "to have a text read that is in no file, pipe it into `stateward explain`"
        } else {
            "check its path, and that you may read it"
        };
        Failure::file("the text cannot be read", path, &error, next)
    };
    let mut from: Box<dyn Read> = if path == Path::new("-") {
        let stdin = io::stdin();
        if stdin.is_terminal() {
            output::note("paste the text, and end it with Ctrl-D on a line of its own\n");
        }
        Box::new(stdin.lock())
    } else {
        Box::new(File::open(path).map_err(failed)?)
    };
    let mut reader = if is_whole { Reader::of_whole() } else { Reader::new() };
    let mut piece = vec![0; PIECE];
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(reader.finish()),
            Ok(length) => reader.push(piece.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

/// The policies that were given; `None` where there are none.
fn given(args: &ExplainArgs) -> Result<Option<Given>> {
    let mut given = None;
    let lists = [
        (PolicyKind::Identity, &args.policy),
        (PolicyKind::Boundary, &args.boundary),
        (PolicyKind::Session, &args.session),
        (PolicyKind::VpcEndpoint, &args.vpc_endpoint),
    ];
    for (kind, paths) in lists.into_iter().filter(|(_, paths)| !paths.is_empty()) {
        add(given.get_or_insert_default(), kind, paths)?;
    }
    for (kind, levels) in [(PolicyKind::Scp, &args.scp), (PolicyKind::Rcp, &args.rcp)] {
        for level in levels {
            let paths: Vec<PathBuf> = level.split(',').map(PathBuf::from).collect();
            add(given.get_or_insert_default(), kind, &paths)?;
        }
    }
    if let Some(path) = &args.resource_policy {
        // A trust policy names no resource.
        let kind = match PolicyKind::of(&document(path)?) {
            PolicyKind::Trust => PolicyKind::Trust,
            _ => PolicyKind::Resource,
        };
        add(given.get_or_insert_default(), kind, std::slice::from_ref(path))?;
    }
    Ok(given)
}

fn add(given: &mut Given, kind: PolicyKind, paths: &[PathBuf]) -> Result<()> {
    let documents = paths.iter().map(|path| Ok((path.display().to_string(), document(path)?)));
    let documents = documents.collect::<Result<Vec<_>>>()?;
    let named: Vec<(&str, &str)> = documents
        .iter()
        .filter(|(_, text)| kind != PolicyKind::Identity || !given.add_details(text))
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    given.add(kind, &named).map_err(|MalformedPolicy { name, error }| {
        let next = "`stateward policy lint` shows every place that is wrong; give the document as AWS has it";
        Failure::usage(format!("`{name}` is no policy that AWS would take"), error.to_string(), next)
    })
}

fn document(path: &Path) -> Result<String> {
    files::file(path, "a policy cannot be read")
}
