//! `stateward state list`.

use stateward_core::StatesQuery;
use stateward_core::view::StateItem;

use super::id_of;
use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::Result;
use crate::output;
use crate::output::human;
use crate::output::table::{number, text};

pub(super) async fn run(
    context: &Context,
    prefix: &str,
    deleted: bool,
    limit: Option<usize>,
    after: Option<&str>,
) -> Result<Exit> {
    let query = StatesQuery { prefix: prefix.to_owned(), after: after.map(str::to_owned), limit, deleted };
    let list = context.open().await?.states(&query).await?;
    if let Some(next) = list.next.as_ref().filter(|_| !context.out.json) {
        output::note(&format!("there are more: `--after {}`\n", human::one_line(next)));
    }
    let columns = [
        text("STATE"),
        number("SERIAL"),
        number("VERSION"),
        number("RESOURCES"),
        number("SIZE"),
        text("UPDATED"),
        text("BY"),
        text("NOTE"),
    ];
    let none = if prefix.is_empty() {
        "there are no states".to_owned()
    } else {
        format!("no state's name starts with `{}`", human::one_line(prefix))
    };
    context.out.list(&list, &none, &columns, |item| row(context, item))
}

fn row(context: &Context, item: &StateItem) -> Vec<String> {
    vec![
        id_of(item).to_string(),
        item.serial.to_string(),
        item.version.to_string(),
        if item.opaque { "-".to_owned() } else { item.resources.to_string() },
        human::size(item.size),
        context.times().tell(item.updated),
        item.updated_by.clone(),
        note(item),
    ]
}

fn note(item: &StateItem) -> String {
    let notes = [(item.deleted.is_some(), "deleted"), (item.locked, "locked"), (item.opaque, "encrypted")];
    let notes: Vec<&str> = notes.iter().filter(|(is, _)| *is).map(|(_, note)| *note).collect();
    notes.join(", ")
}
