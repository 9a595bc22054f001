//! `stateward config`.

use serde::Serialize;
use stateward_core::view::List;

use super::Context;
use crate::config::Value;
use crate::exit::Exit;
use crate::failure::Result;
use crate::output;
use crate::output::table::text;

/// A setting in `config show --json`.
#[derive(Debug, Serialize)]
struct Item {
    key: &'static str,
    /// Null where it is not set. Secrets read `(set)`.
    value: Option<String>,
    /// `default`, `file`, `environment` or `flag`.
    source: &'static str,
    /// The file and line, the variable, or the flag.
    place: Option<String>,
    variable: String,
    about: &'static str,
}

impl From<&Value> for Item {
    fn from(value: &Value) -> Self {
        let source = value.source.kind();
        Self {
            key: value.setting.key,
            value: value.shown(),
            source,
            place: (source != "default").then(|| value.source.to_string()),
            variable: value.setting.variable(),
            about: value.setting.help,
        }
    }
}

pub(super) fn show(context: &Context) -> Result<Exit> {
    for name in &context.config.unknown_variables {
        output::note(&format!("note: the variable `{name}` is no setting\n"));
    }
    let values = &context.config.values;
    let list = List::new(values.iter().map(Item::from).collect());
    let columns = [text("SETTING"), text("VALUE"), text("FROM")];
    context.out.list(&list, "", &columns, |item: &Item| {
        vec![
            item.key.to_owned(),
            item.value.clone().unwrap_or_else(|| "-".to_owned()),
            item.place.clone().unwrap_or_else(|| item.source.to_owned()),
        ]
    })
}
