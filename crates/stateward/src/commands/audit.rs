//! `stateward audit`.

use std::num::NonZeroUsize;

use serde_json::Value;
use stateward_core::audit::AuditItem;

use super::Context;
use crate::cli::AuditArgs;
use crate::exit::Exit;
use crate::failure::Result;
use crate::output::table::text;

pub(super) async fn run(context: &Context, args: &AuditArgs) -> Result<Exit> {
    let list = context.open().await?.audit(args.state.as_ref(), args.limit.map(NonZeroUsize::get)).await?;
    let columns = [text("TIME"), text("ACTION"), text("STATE"), text("WHO"), text("DETAIL")];
    context.out.list(&list, "nothing has been noted", &columns, |item| row(context, item))
}

fn row(context: &Context, item: &AuditItem) -> Vec<String> {
    // The names of the actions are those of the wire.
    let action = match serde_json::to_value(item.action) {
        Ok(Value::String(name)) => name,
        _ => String::new(),
    };
    let by_token = item.token.as_ref().filter(|token| **token != item.who).map(|token| format!(" (token {token})"));
    let version = item.version.clone().unwrap_or_default();
    let detail =
        [version, item.detail.clone()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    vec![
        context.times().tell(item.time),
        action,
        item.state.as_ref().map(ToString::to_string).unwrap_or_default(),
        format!("{}{}", item.who, by_token.unwrap_or_default()),
        detail,
    ]
}
