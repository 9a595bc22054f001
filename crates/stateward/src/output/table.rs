//! Aligned tables without lines.

use comfy_table::{CellAlignment, Table, presets};

use super::{BOLD, human};

/// A column: its title, and whether it holds numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column(&'static str, CellAlignment);

/// A column of texts.
pub(crate) const fn text(title: &'static str) -> Column {
    Column(title, CellAlignment::Left)
}

/// A column of numbers, aligned at the right.
pub(crate) const fn number(title: &'static str) -> Column {
    Column(title, CellAlignment::Right)
}

/// Draws a table. Cells are made safe for terminals.
pub(crate) fn draw(columns: &[Column], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(columns.iter().map(|Column(title, _)| *title));
    for row in rows {
        table.add_row(row.iter().map(|cell| human::one_line(cell)).collect::<Vec<_>>());
    }
    for (index, Column(_, alignment)) in columns.iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(*alignment);
            // Two blanks between columns, and none before the first.
            column.set_padding((0, 2));
        }
    }
    let mut lines = table.lines().map(|line| line.trim_end().to_owned());
    let header = lines.next().map(|line| format!("{BOLD}{line}{BOLD:#}"));
    let lines: Vec<String> = header.into_iter().chain(lines).collect();
    lines.join("\n") + "\n"
}

/// Draws names and values below each other; those without a value are left out.
pub(crate) fn facts(facts: &[(&str, Option<String>)]) -> String {
    let width = facts.iter().filter(|(_, value)| value.is_some()).map(|(name, _)| name.len()).max().unwrap_or(0);
    let line = |(name, value): &(&str, Option<String>)| {
        let value = value.as_deref()?;
        Some(format!("{BOLD}{name:width$}{BOLD:#}  {}\n", human::one_line(value)))
    };
    facts.iter().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned_and_end_without_blanks() {
        let drawn = draw(
            &[text("NAME"), number("SIZE"), text("BY")],
            [
                vec!["a\tb".into(), "7 B".into(), "größe".into()],
                vec!["long/name".into(), "12 KiB".into(), String::new()],
            ],
        );
        assert_eq!(
            anstream::adapter::strip_str(&drawn).to_string(),
            "NAME         SIZE  BY\na\u{fffd}b           7 B  größe\nlong/name  12 KiB\n"
        );
    }

    #[test]
    fn facts_without_a_value_are_left_out() {
        let drawn = facts(&[("state", Some("a".into())), ("long name", None), ("size", Some("7 B".into()))]);
        assert_eq!(anstream::adapter::strip_str(&drawn).to_string(), "state  a\nsize   7 B\n");
    }
}
