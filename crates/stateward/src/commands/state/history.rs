//! `stateward state history`.

use stateward_core::view::{Changes, VersionItem};
use stateward_core::{StateId, Version};

use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::Result;
use crate::output;
use crate::output::human;
use crate::output::table::{number, text};

pub(super) async fn run(
    context: &Context,
    name: &StateId,
    before: Option<Version>,
    limit: Option<usize>,
) -> Result<Exit> {
    let list = context.open().await?.history(name, before, limit).await?;
    if let Some(next) = list.next.as_ref().filter(|_| !context.out.json) {
        output::note(&format!("there are more: `--before {}`\n", human::one_line(next)));
    }
    let columns = [
        text("VERSION"),
        number("SERIAL"),
        text("CREATED"),
        text("BY"),
        text("OPERATION"),
        text("CHANGES"),
        number("SIZE"),
        text("NOTE"),
    ];
    context.out.list(&list, "there are no such versions", &columns, |item| row(context, item))
}

fn row(context: &Context, item: &VersionItem) -> Vec<String> {
    let Changes { added, changed, removed } = item.changes;
    let imported = item.imported.is_some();
    let notes = [(item.head, "current"), (item.pruned, "pruned"), (item.opaque, "encrypted"), (imported, "imported")];
    let notes: Vec<&str> = notes.iter().filter(|(is, _)| *is).map(|(_, note)| *note).collect();
    vec![
        item.version.to_string(),
        item.serial.to_string(),
        context.times().tell(item.created),
        item.who.clone(),
        item.operation.clone(),
        if item.opaque { "-".to_owned() } else { format!("+{added} ~{changed} -{removed}") },
        human::size(item.size),
        notes.join(", "),
    ]
}
