//! `stateward state timeline`.

use stateward_core::StateId;
use stateward_core::view::{Action, TimelineItem};

use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::Result;
use crate::output::table::{number, text};

pub(super) async fn run(context: &Context, name: &StateId, address: &str) -> Result<Exit> {
    let list = context.open().await?.timeline(name, address).await?;
    let columns = [text("VERSION"), number("SERIAL"), text("CREATED"), text("BY"), text("ACTION"), text("ADDRESS")];
    let none = format!("{name} never had anything at this address");
    context.out.list(&list, &none, &columns, |item: &TimelineItem| {
        let action = match item.action {
            Action::Add => "add",
            Action::Change => "change",
            Action::Remove => "remove",
        };
        let created = context.times().tell(item.created);
        vec![
            item.version.to_string(),
            item.serial.to_string(),
            created,
            item.who.clone(),
            action.to_owned(),
            item.address.clone(),
        ]
    })
}
