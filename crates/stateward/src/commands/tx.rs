//! `stateward tx`.

use std::path::Path;

use stateward_client::Source;
use stateward_core::view::{Phase, TxItem};
use stateward_core::{Clock, Ending, Error, Kind, LockInfo, Recover, StateId};

use super::{Context, confirm};
use crate::cli::TxCommand;
use crate::exit::Exit;
use crate::failure::Result;
use crate::input::Input;
use crate::output;
use crate::output::human;
use crate::output::table::{self, number, text};
use crate::system::{SystemClock, new_id};

pub(super) async fn run(context: &Context, command: &TxCommand) -> Result<Exit> {
    match command {
        TxCommand::List { name, all } => list(context, name.as_ref(), *all).await,
        TxCommand::Show { name, id } => show(context, name, id).await,
        TxCommand::Abort { name, id, yes } => abort(context, name, id, *yes).await,
        TxCommand::Recover { name, file, tx, force } => Box::pin(recover(context, name, file, tx, *force)).await,
    }
}

async fn list(context: &Context, name: Option<&StateId>, all: bool) -> Result<Exit> {
    let list = context.open().await?.transactions(name, all).await?;
    let times = context.times();
    let columns =
        [text("STATE"), text("PHASE"), text("WHO"), text("SINCE"), number("WRITES"), number("READS"), text("TX")];
    let none = if all { "there were no transactions in the last seven days" } else { "no transaction is open" };
    context.out.list(&list, none, &columns, |item: &TxItem| {
        vec![
            state_of(item).to_string(),
            phase(item.phase).to_owned(),
            item.who.clone(),
            times.tell(item.since),
            item.write.len().to_string(),
            item.read.len().to_string(),
            item.tx.clone(),
        ]
    })
}

async fn show(context: &Context, name: &StateId, id: &str) -> Result<Exit> {
    let item = find(context, name, id).await?;
    let times = context.times();
    let version = |version: Option<stateward_core::Version>| version.map(|version| version.to_string());
    let listed = |texts: &[String]| Some(texts.join("\n")).filter(|text| !text.is_empty());
    context.out.answer(&item, || {
        table::facts(&[
            ("state", Some(state_of(&item).to_string())),
            ("tx", Some(item.tx.clone())),
            ("phase", Some(phase(item.phase).to_owned())),
            ("who", Some(item.who.clone())),
            ("operation", Some(item.operation.clone())),
            ("since", Some(times.tell(item.since))),
            ("lease until", item.lease_until.map(|until| until.to_string())),
            ("ended", item.ended.map(|ended| times.tell(ended))),
            ("why", Some(item.why.clone()).filter(|why| !why.is_empty())),
            ("planned on", version(item.base)),
            ("last wrote", version(item.last)),
            ("waits for", listed(&item.waits_for)),
            ("writes", listed(&item.write)),
            ("reads", listed(&item.read)),
        ])
    })
}

async fn abort(context: &Context, name: &StateId, id: &str, yes: bool) -> Result<Exit> {
    let item = find(context, name, id).await?;
    if item.ended.is_some() {
        output::note(&format!("it has ended already: {}\n", phase(item.phase)));
        return Ok(Exit::Done);
    }
    let who = human::one_line(&item.who);
    let question = format!("Give up the transaction {} of {who} ({})?", item.tx, item.operation);
    if !yes && !confirm(&question, "--yes")? {
        output::note("nothing was done\n");
        return Ok(Exit::Failed);
    }
    context.open().await?.finish(name, &item.tx, Ending::Aborted).await?;
    context.out.answer(&find(context, name, &item.tx).await?, || format!("aborted {}\n", item.tx))
}

async fn recover(context: &Context, name: &StateId, file: &Path, tx: &str, force: bool) -> Result<Exit> {
    let item = find(context, name, tx).await?;
    let failed = "the state was not brought in";
    let input = match file.as_os_str() == "-" {
        true => Input::standard(false, failed)?,
        false => Input::file(file, failed)?,
    };
    let info = LockInfo {
        id: new_id(),
        operation: "recover".to_owned(),
        who: context.who(),
        created: SystemClock.now().to_string(),
        ..LockInfo::default()
    };
    let recover = Recover { tx: item.tx, raw: info.to_json().into(), wait: None, force, body: input.open().await? };
    let stored = context.open().await?.recover(name, recover).await?;
    context.out.answer(&stored, || match stored.changed {
        true => format!("brought in as {} (serial {})\n", stored.version, stored.serial),
        false => format!("nothing to bring in: it is all in {}\n", stored.version),
    })
}

/// The transaction with this ID, or the one whose ID begins so.
async fn find(context: &Context, name: &StateId, id: &str) -> Result<TxItem> {
    let items = context.open().await?.transactions(Some(name), true).await?.items;
    let mut found: Vec<TxItem> = items.into_iter().filter(|item| item.tx.starts_with(id)).collect();
    if let Some(place) = found.iter().position(|item| item.tx == id) {
        return Ok(found.swap_remove(place));
    }
    let (why, next) = match found.len() {
        1 => return Ok(found.swap_remove(0)),
        0 => (
            format!("`{name}` has none whose ID begins with `{id}`"),
            format!("`stateward tx list {name} --all` shows those of the last seven days"),
        ),
        several => {
            (format!("{several} of `{name}` have an ID that begins with `{id}`"), "give more of the ID".to_owned())
        }
    };
    Err(Error::new(Kind::NotFound, "there is no such transaction", why, next).into())
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Queued => "queued",
        Phase::Open => "open",
        Phase::Committed => "committed",
        Phase::Aborted => "aborted",
        Phase::Lapsed => "lapsed",
    }
}

fn state_of(item: &TxItem) -> StateId {
    StateId { name: item.state.clone(), workspace: item.workspace.clone() }
}
