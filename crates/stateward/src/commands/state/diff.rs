//! `stateward state diff`.

use stateward_core::{StateId, Version};

use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::Result;
use crate::output;
use crate::output::changes;

pub(super) async fn run(context: &Context, name: &StateId, a: Option<Version>, b: Option<Version>) -> Result<Exit> {
    let list = context.open().await?.diff(name, a, b).await?;
    if context.out.json {
        output::json(&list)?;
    } else {
        output::text(&changes::draw(&list.items))?;
    }
    Ok(Exit::Done)
}
