//! `stateward state restore`.

use stateward_core::{StateId, Version};

use super::told;
use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::Result;

pub(super) async fn run(context: &Context, name: &StateId, version: Version, only: &[String]) -> Result<Exit> {
    let stored = context.open().await?.restore(name, version, only).await?;
    let addresses: Vec<String> =
        stored.addresses.iter().map(|address| format!("  {}\n", crate::output::human::one_line(address))).collect();
    context.out.answer(&stored, || {
        format!("{}{}", told(name, &stored, &format!("restored from {version}")), addresses.concat())
    })
}
