//! Differences between versions, as a plan shows them.

use anstyle::Style;
use serde_json::Value;
use stateward_core::view::{Action, AttributeChange, Change};

use super::{BOLD, DIM, GREEN, RED, YELLOW, human};

/// Longer values are cut: `--json` has them whole.
const VALUE_CHARS_MAX: usize = 200;

/// Draws changes with what they amount to.
pub(crate) fn draw(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "no differences\n".to_owned();
    }
    let count = |action| changes.iter().filter(|change| change.action == action).count();
    let (added, changed, removed) = (count(Action::Add), count(Action::Change), count(Action::Remove));
    let drawn: Vec<String> = changes.iter().map(draw_change).collect();
    format!("{}{added} added, {changed} changed, {removed} removed\n", drawn.concat())
}

fn draw_change(change: &Change) -> String {
    let (sign, style) = sign(change.action);
    let address = human::one_line(&change.address);
    let shown: Vec<_> = change.attributes.iter().filter(|attribute| tells(attribute, change.action)).collect();
    let width = shown.iter().map(|attribute| attribute.path.chars().count()).max().unwrap_or(0).min(40);
    let attributes: Vec<String> =
        shown.iter().map(|attribute| draw_attribute(attribute, change.action, width)).collect();
    format!("{style}{sign}{style:#} {BOLD}{address}{BOLD:#}\n{}", attributes.concat())
}

/// Of what came or went as a whole, the fields of the state's own format (`(provider)`, `(schema_version)`) tell nothing.
fn tells(attribute: &AttributeChange, action: Action) -> bool {
    action == Action::Change || !attribute.path.starts_with('(')
}

/// The sign and colour of an action. The sign alone says it, too.
fn sign(action: Action) -> (char, Style) {
    match action {
        Action::Add => ('+', GREEN),
        Action::Change => ('~', YELLOW),
        Action::Remove => ('-', RED),
    }
}

fn draw_attribute(attribute: &AttributeChange, of: Action, width: usize) -> String {
    let action = match (&attribute.before, &attribute.after) {
        (None, Some(_)) => Action::Add,
        (Some(_), None) => Action::Remove,
        _ => of,
    };
    let (sign, style) = sign(action);
    let path = human::one_line(&attribute.path);
    let value = if attribute.sensitive {
        format!("{DIM}(sensitive){DIM:#}")
    } else {
        let sides = [&attribute.before, &attribute.after].map(|side| side.as_ref().map(shown));
        match sides {
            [Some(before), Some(after)] => format!("{before} {DIM}->{DIM:#} {after}"),
            [before, after] => before.or(after).unwrap_or_default(),
        }
    };
    format!("    {style}{sign}{style:#} {path:width$}  {value}\n")
}

/// JSON leaves only some control characters as they are; none gets through here.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    human::one_line(&human::cut(&text, VALUE_CHARS_MAX)).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn attribute(path: &str, before: Option<Value>, after: Option<Value>, sensitive: bool) -> AttributeChange {
        AttributeChange { path: path.into(), before, after, sensitive }
    }

    #[test]
    fn changes_read_like_a_plan() {
        let changes = [
            Change {
                address: "a.b[\"x\"]".into(),
                action: Action::Change,
                attributes: vec![
                    attribute("ami", Some(json!("x")), Some(json!("y")), false),
                    attribute("tags.Name", None, Some(json!("\u{1b}[2J")), false),
                    attribute("gone", Some(Value::Null), None, false),
                    attribute("password", None, None, true),
                ],
            },
            Change {
                address: "output.o".into(),
                action: Action::Remove,
                attributes: vec![
                    attribute("(type)", Some(json!("string")), None, false),
                    attribute("value", Some(json!(1)), None, false),
                ],
            },
        ];
        insta::assert_snapshot!(anstream::adapter::strip_str(&draw(&changes)).to_string(), @r#"
        ~ a.b["x"]
            ~ ami        "x" -> "y"
            + tags.Name  "\u001b[2J"
            - gone       null
            ~ password   (sensitive)
        - output.o
            - value  1
        0 added, 1 changed, 1 removed
        "#);
        assert_eq!(draw(&[]), "no differences\n");
    }
}
