//! `stateward.toml`.

use std::ops::Range;
use std::path::{Path, PathBuf};

use stateward_terraform::nearest;
use toml::de::{DeTable, DeValue};

use super::table::{Kind, SETTINGS, Setting};
use crate::failure::Message;

/// A value in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: &'static str,
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// Reads a file's text. Every key has to be known, and to have a value of the right type.
pub(crate) fn parse(path: &Path, text: &str) -> Result<Vec<Entry>, Message> {
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span));
        Message::new(wrong(path, line), error.message().to_owned(), "put the file right")
    })?;
    let mut reader = Reader { path, text, entries: Vec::new() };
    reader.table("", table.get_ref())?;
    Ok(reader.entries)
}

/// The nearest `stateward.toml` from a directory upward.
pub(crate) fn find_upward(directory: &Path) -> Option<PathBuf> {
    directory.ancestors().map(|directory| directory.join(super::FILE_NAME)).find(|path| is_there(path))
}

/// Whether anything has this name: a directory, as a mount makes one where its file is missing, and a link that leads nowhere were
/// meant to be a file, and are not passed over.
pub(crate) fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    entries: Vec<Entry>,
}

impl Reader<'_> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) -> Result<(), Message> {
        for (name, value) in table {
            let key = format!("{prefix}{}", name.get_ref());
            let line = line_of(self.text, name.span());
            let below = format!("{key}.");
            match value.get_ref() {
                DeValue::Table(table) if SETTINGS.iter().any(|setting| setting.key.starts_with(&below)) => {
                    self.table(&below, table)?;
                }
                value => self.value(&key, value, line)?,
            }
        }
        Ok(())
    }

    fn value(&mut self, key: &str, value: &DeValue<'_>, line: usize) -> Result<(), Message> {
        let Some(setting) = Setting::named(key) else {
            return Err(self.unknown(key, line));
        };
        if setting.kind == Kind::Secret {
            let next = format!("take it out, and set `{}` in the environment", setting.variable());
            return Err(Message::new(
                wrong(self.path, line),
                format!("`{key}` is a secret, and a file is no place for it"),
                next,
            ));
        }
        let Some(text) = text_of(setting.kind, value) else {
            let why = format!("`{key}` wants {}, not {}", setting.kind.describe(), noun(value));
            return Err(Message::new(wrong(self.path, line), why, "put the file right"));
        };
        self.entries.push(Entry { key: setting.key, text, line });
        Ok(())
    }

    fn unknown(&self, key: &str, line: usize) -> Message {
        let next = match nearest(key, SETTINGS.iter().map(|setting| setting.key)) {
            Some(known) => format!("did you mean `{known}`?"),
            None => "`stateward config show` lists the settings there are".to_owned(),
        };
        Message::new(wrong(self.path, line), format!("there is no setting `{key}`"), next)
    }
}

fn wrong(path: &Path, line: usize) -> String {
    format!("the configuration is wrong at {}:{line}", path.display())
}

fn text_of(kind: Kind, value: &DeValue<'_>) -> Option<String> {
    match (kind, value) {
        (Kind::Switch, DeValue::Boolean(value)) => Some(value.to_string()),
        (Kind::Count | Kind::Bytes, DeValue::Integer(number)) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
        }
        (Kind::Switch | Kind::Count, _) => None,
        (_, DeValue::String(text)) => Some(text.to_string()),
        _ => None,
    }
}

fn noun(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a switch",
        DeValue::Datetime(_) => "a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn line_of(text: &str, span: Range<usize>) -> usize {
    1 + text.as_bytes().iter().take(span.start).filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(&'static str, String, usize)>, Message> {
        let entries = parse(Path::new("s.toml"), text)?;
        Ok(entries.into_iter().map(|entry| (entry.key, entry.text, entry.line)).collect())
    }

    #[test]
    fn tables_dots_and_types() {
        let text = "store = 'memory:'\n\n[lock]\nwait = \"10m\"\n[limits]\nbody_bytes = 1_000\nqueue = 0x10\n";
        let mut entries = read(text).unwrap();
        entries.sort_by_key(|(_, _, line)| *line);
        let expected = [
            ("store", "memory:", 1),
            ("lock.wait", "10m", 4),
            ("limits.body_bytes", "1000", 6),
            ("limits.queue", "16", 7),
        ];
        assert_eq!(entries, expected.map(|(key, text, line)| (key, text.to_owned(), line)));
        assert_eq!(read("retention.keep_days = 7").unwrap(), [("retention.keep_days", "7".to_owned(), 1)]);
    }

    #[test]
    fn wrong_files_are_refused_with_their_line() {
        for (text, line, why, next) in [
            ("a = 1\nlisten = 7", 1, "no setting `a`", "config show"),
            ("\nlisten = 7", 2, "`listen` wants text, not a number", "put"),
            ("lisen = ':1'", 1, "no setting `lisen`", "`listen`?"),
            ("[lock]\nwiat = '1s'", 2, "no setting `lock.wiat`", "`lock.wait`?"),
            ("lock = 'x'", 1, "no setting `lock`", "did you mean `lock."),
            ("token = 'x'", 1, "is a secret", "STATEWARD_TOKEN"),
            ("insecure_no_auth = 'true'", 1, "wants `true` or `false`, not text", "put"),
            ("store = ", 1, "", "put"),
            ("a = 1\nb", 2, "", "put"),
        ] {
            let Message { what, why: found_why, next: found_next } = read(text).unwrap_err();
            assert_eq!(what, format!("the configuration is wrong at s.toml:{line}"), "{text}");
            assert!(found_why.contains(why) && found_next.contains(next), "{text}: {found_why}; {found_next}");
        }
    }
}
