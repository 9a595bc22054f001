//! One object of JSON in the middle of other text.

use std::ops::Range;

use serde_json::Value;

/// An object, or the start of one.
#[derive(Debug)]
pub(super) struct Object {
    /// Where it stands.
    pub(super) range: Range<usize>,
    /// Whether its end is there.
    pub(super) is_whole: bool,
    /// Its text, escaped by nobody, and with line breaks in strings escaped.
    json: String,
    /// Whether the string that it stands in ended before it did.
    pub(super) is_cut: bool,
    /// Whether a line ends where JSON has no ends of lines.
    is_broken: bool,
}

/// JSON in JSON in JSON: more nobody has been seen to log.
const LEVELS_MAX: u32 = 3;

impl Object {
    /// The object whose brace stands at `start`, if one begins there; it is looked for up to a limit.
    pub(super) fn find(text: &str, start: usize, limit: usize) -> Option<Self> {
        let found = Self::read(text, start, limit)?;
        let is_read = if found.is_whole { found.value().is_some() } else { found.mended().is_some() };
        if !found.is_broken || is_read {
            return Some(found);
        }
        // A terminal ended a line even within an escape: what it is without the ends of lines, which JSON does not need.
        let broken = text.get(start..).and_then(|rest| {
            rest.get(..(0..=limit.min(text.len()) - start).rev().find(|end| rest.is_char_boundary(*end))?)
        })?;
        let joined = broken.replace('\n', "");
        let again = Self::read(&joined, 0, joined.len())?;
        if !again.is_whole {
            return Some(Self { range: start..start + broken.len(), ..again });
        }
        let is_last = |(length, byte): (usize, &u8)| (*byte != b'\n').then_some(length + 1);
        let end = broken
            .as_bytes()
            .iter()
            .enumerate()
            .filter_map(|(at, byte)| is_last((at, byte)))
            .nth(again.range.end.checked_sub(1)?)?;
        Some(Self { range: start..start + end, ..again })
    }

    fn read(text: &str, start: usize, limit: usize) -> Option<Self> {
        let bytes = text.as_bytes();
        let level = level(bytes.get(start + 1..)?)?;
        let limit = limit.min(text.len());
        let mut depth = 0_usize;
        let mut in_string = false;
        let mut broken = false;
        let mut at = start;
        let mut end = limit;
        let (mut is_whole, mut is_cut) = (false, false);
        while at < limit {
            let byte = bytes.get(at).copied()?;
            match byte {
                b'\\' | b'"' => {
                    let run = bytes.get(at..limit)?.iter().take_while(|byte| **byte == b'\\').count();
                    let behind = bytes.get(at + run);
                    let quote = behind == Some(&b'"');
                    broken |= run > 0 && behind == Some(&b'\n');
                    at += run + usize::from(quote);
                    if quote {
                        match unescaped(run, level) {
                            // The string that all of this stood in has ended.
                            None => {
                                is_cut = true;
                                end = at - run - 1;
                                break;
                            }
                            Some(run) if run % 2 == 0 => in_string = !in_string,
                            Some(_) => {}
                        }
                    }
                    continue;
                }
                b'\n' if in_string => broken = true,
                b'{' | b'[' if !in_string => depth += 1,
                b'}' | b']' if !in_string => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        end = at + 1;
                        is_whole = true;
                        break;
                    }
                }
                _ => {}
            }
            at += 1;
        }
        let end = (0..=end.min(text.len())).rev().find(|end| text.is_char_boundary(*end))?;
        let mut json = text.get(start..end)?.to_owned();
        for _ in 0..level {
            json = unescape(&json);
        }
        if broken || level > 0 {
            json = escape_breaks(&json);
        }
        Some(Self { range: start..end, is_whole, json, is_cut, is_broken: broken })
    }

    /// Its value, if it is JSON.
    pub(super) fn value(&self) -> Option<Value> {
        serde_json::from_str(&self.json).ok()
    }

    /// Whether records can be in it.
    pub(super) fn may_have_records(&self) -> bool {
        super::records::may_have_some(&self.json)
    }

    /// Whether it is an object of JSON that stands there as it is: what is in it need not be looked at again.
    pub(super) fn is_plain(&self, text: &str) -> bool {
        text.get(self.range.clone()) == Some(&self.json)
            && serde_json::from_str::<serde::de::IgnoredAny>(&self.json).is_ok()
    }

    /// The value of what is there of it: without the member that was cut, but with as much of a message as there is.
    pub(super) fn mended(&self) -> Option<Value> {
        let mut closers = Vec::new();
        // Up to where everything is complete, and what it takes to close it there.
        let mut complete: Option<(usize, Vec<char>)> = None;
        let mut string: Option<usize> = None;
        let mut escaped = false;
        let mut key = "";
        let mut is_value = false;
        for (at, character) in self.json.char_indices() {
            if let Some(start) = string {
                match character {
                    _ if escaped => escaped = false,
                    '\\' => escaped = true,
                    '"' => {
                        if !is_value {
                            key = self.json.get(start + 1..at).unwrap_or_default();
                        }
                        string = None;
                    }
                    _ => {}
                }
                continue;
            }
            match character {
                '"' => string = Some(at),
                '{' => closers.push('}'),
                '[' => closers.push(']'),
                '}' | ']' => {
                    closers.pop();
                }
                ',' => complete = Some((at, closers.clone())),
                _ => {}
            }
            is_value = match character {
                ':' => true,
                ',' | '{' => false,
                _ => is_value,
            };
        }
        let close = |text: &str, closers: &[char]| {
            let mut text = text.to_owned();
            text.extend(closers.iter().rev());
            serde_json::from_str(&text).ok()
        };
        if string.is_some() && is_value && key.replace("\\n", "").eq_ignore_ascii_case("errorMessage") {
            let kept = self.json.trim_end_matches('\\');
            // The message says that it was cut.
            if let Some(value) = close(&format!("{kept}...\""), &closers) {
                return Some(value);
            }
        }
        let (end, closers) = complete?;
        close(self.json.get(..end)?, &closers)
    }
}

/// How often what stands behind a brace is escaped, if a member stands there.
fn level(bytes: &[u8]) -> Option<u32> {
    const SPACE_MAX: usize = 1024;
    let mut bytes = bytes.iter().take(SPACE_MAX).copied().filter(|byte| *byte != b'\n');
    // White space, which may be escaped too.
    loop {
        match bytes.next()? {
            b' ' | b'\r' | b'\t' => {}
            b'\\' => {
                let mut run = 1;
                let mut behind = bytes.next()?;
                while behind == b'\\' {
                    run += 1;
                    behind = bytes.next()?;
                }
                match behind {
                    b'n' | b'r' | b't' => {}
                    b'"' => return (1..=LEVELS_MAX).find(|level| run + 1 == 1 << level),
                    _ => return None,
                }
            }
            b'"' => return Some(0),
            _ => return None,
        }
    }
}

/// How many backslashes stood before a quote before it was escaped so often; `None` if it was escaped less often.
fn unescaped(run: usize, level: u32) -> Option<usize> {
    (0..level).try_fold(run, |run, _| (run % 2 == 1).then_some(run / 2))
}

/// Undoes one level of escapes.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        match characters.next() {
            Some('n' | 'r') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('u') => {
                let digits: String = characters.clone().take(4).collect();
                let decoded =
                    u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4).and_then(char::from_u32);
                if let Some(decoded) = decoded {
                    out.push(decoded);
                    characters.by_ref().nth(3);
                } else {
                    out.push_str("\\u");
                }
            }
            Some(escaped) => out.push(escaped),
            None => {}
        }
    }
    out
}

/// Escapes line breaks in strings, which JSON does not have, but a terminal makes.
fn escape_breaks(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + 64);
    let (mut in_string, mut escaped) = (false, false);
    for character in json.chars() {
        match character {
            '\n' if in_string => {
                out.push_str("\\n");
                continue;
            }
            '"' if !escaped => in_string = !in_string,
            _ => {}
        }
        escaped = character == '\\' && !escaped;
        out.push(character);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Option<(String, Value)> {
        let start = text.find('{')?;
        let object = Object::find(text, start, text.len())?;
        object.is_whole.then(|| (text[object.range.clone()].to_owned(), object.value().expect("JSON")))
    }

    fn mended(text: &str) -> Option<Value> {
        let object = Object::find(text, text.find('{')?, text.len())?;
        assert!(!object.is_whole);
        object.mended()
    }

    #[test]
    fn objects_end_where_they_end() {
        let (range, value) = whole(r#"x {"a": "}\"{", "b": [{}]} {"c"}"#).expect("an object");
        assert_eq!(range, r#"{"a": "}\"{", "b": [{}]}"#);
        assert_eq!(value["a"], "}\"{");
        assert!(whole("resource \"x\" \"y\" { a = 1 }").is_none());
        assert!(whole("{\n  \"a\": 1\n}").is_some());
        assert!(whole(r#"{"a":"\\"}"#).is_some());
    }

    #[test]
    fn escaped_objects_are_read_however_often_they_were_escaped() {
        let plain = r#"{"a":"b \"c\" \\","d":{"e":"\n"}}"#;
        let value: Value = serde_json::from_str(plain).expect("JSON");
        let mut text = plain.to_owned();
        for _ in 0..=LEVELS_MAX {
            assert_eq!(whole(&text).expect("an object").1, value, "{text}");
            text = Value::from(text).to_string().trim_matches('"').to_owned();
        }
        assert!(whole(&text).is_none());
    }

    #[test]
    fn an_escaped_object_does_not_outlive_its_string() {
        let text = r#"{"a": "{\"b\": \"c", "d": "}"}"#;
        let inner = Object::find(text, 7, text.len()).expect("an object");
        assert!(!inner.is_whole);
        assert!(inner.range.end < text.len() - 10);
    }

    #[test]
    fn lines_may_break_in_strings() {
        let (_, value) = whole("{\"a\": \"b\nc\",\n\"d\": 1\n}").expect("an object");
        assert_eq!(value["a"], "b\nc");
        assert_eq!(value["d"], 1);
    }

    #[test]
    fn what_was_cut_is_mended_as_far_as_it_is_known() {
        let check = |text: &str, expected: &str| {
            assert_eq!(mended(text), serde_json::from_str(expected).ok(), "{text}");
        };
        check(r#"{"a": 1, "b": {"c": [1, 2"#, r#"{"a": 1, "b": {"c": [1]}}"#);
        check(r#"{"a": 1, "b": "c"#, r#"{"a": 1}"#);
        check(r#"{"a": 1, "errorMessage": "User: ar"#, r#"{"a": 1, "errorMessage": "User: ar..."}"#);
        check(r#"{"a": 1, "errorMessage": "User: \"#, r#"{"a": 1, "errorMessage": "User: ..."}"#);
        check(r#"{"a": {"errorMessage": "x\u00"#, "null and void");
        check(r#"{"a"#, "null and void");
    }
}
