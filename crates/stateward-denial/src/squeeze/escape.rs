//! Escapes of JSON and its relatives, entities of XML and HTML, typographer's quotes, and what is white space in all but name.

/// What a part of a text stands for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Escape<'a> {
    /// Itself, or this.
    Text(&'a str),
    /// This character.
    Character(char),
    /// Nothing at all.
    Nothing,
    /// White space.
    Space,
    /// The end of a line.
    Written,
}

/// No run of backslashes is longer: JSON in JSON, nine times.
const BACKSLASHES_MAX: usize = 512;

/// Reads what a text starts with, and how long that is. The text starts with a backslash, `&`, `[`, `^` or what is
/// not ASCII.
pub(crate) fn read(text: &str) -> Option<(Escape<'_>, usize)> {
    let first = text.chars().next()?;
    let length = first.len_utf8();
    let itself = (Escape::Text(text.get(..length)?), length);
    Some(match first {
        '\\' => backslash(text).unwrap_or(itself),
        '&' => entity(text).unwrap_or(itself),
        '[' => colour(text).map_or(itself, |length| (Escape::Nothing, length)),
        '\u{2500}'..='\u{257f}' | '\u{a0}' | '\u{202f}' | '\u{3000}' | '\u{2000}'..='\u{200a}' => {
            (Escape::Space, length)
        }
        '\u{200b}'..='\u{200f}' | '\u{feff}' | '\u{ad}' => (Escape::Nothing, length),
        '\u{85}' | '\u{2028}' | '\u{2029}' => (Escape::Written, length),
        '“' | '”' | '„' => (Escape::Character('"'), length),
        '‘' | '’' => (Escape::Character('\''), length),
        '…' => (Escape::Text("..."), length),
        // An escape character that did not survive, before its code.
        '\u{fffd}' | '\u{241b}' => match text.get(length..).and_then(colour) {
            Some(code) => (Escape::Nothing, length + code),
            None => itself,
        },
        // Or was written in caret notation.
        '^' => match text.strip_prefix("^[").and_then(colour) {
            Some(code) => (Escape::Nothing, "^[".len() + code),
            None => itself,
        },
        _ => itself,
    })
}

/// A run of backslashes and what it escapes.
fn backslash(text: &str) -> Option<(Escape<'_>, usize)> {
    let run = text.bytes().take(BACKSLASHES_MAX).take_while(|byte| *byte == b'\\').count();
    let rest = text.get(run..)?;
    let Some(escaped) = rest.chars().next() else { return Some((Escape::Nothing, run)) };
    Some(match escaped {
        '"' | '\'' | '/' => (Escape::Text(rest.get(..1)?), run + 1),
        'n' => (Escape::Written, run + 1),
        'r' | 't' => (Escape::Space, run + 1),
        // A shell's line goes on behind it.
        '\n' => (Escape::Nothing, run),
        'u' | 'x' | '0' => return numbered(rest, run),
        _ => return None,
    })
}

/// `u003c`, `x1b`, `033`; an escape character takes its code with it.
fn numbered(rest: &str, run: usize) -> Option<(Escape<'_>, usize)> {
    let (digits, radix) = match rest.bytes().next()? {
        b'u' => (1..5, 16),
        b'x' => (1..3, 16),
        _ => (0..3, 8),
    };
    let length = run + digits.end;
    let behind = rest.get(digits.end..)?;
    let character = char::from_u32(u32::from_str_radix(rest.get(digits)?, radix).ok()?)?;
    Some(match character {
        '\x1b' => (Escape::Nothing, length + sequence(behind)),
        '\n' => (Escape::Written, length),
        character if character.is_control() || character.is_whitespace() => (Escape::Space, length),
        '\u{2500}'..='\u{257f}' => (Escape::Space, length),
        character => (Escape::Character(character), length),
    })
}

/// The length of a control sequence less its escape.
fn sequence(text: &str) -> usize {
    let Some(rest) = text.strip_prefix('[') else { return 0 };
    rest.find(|c: char| !matches!(c, '\x20'..='\x3f')).map_or(0, |end| end + 2)
}

/// The length of `[31m` and the like, which lost its escape.
fn colour(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('[')?;
    let end = rest.bytes().take(20).position(|byte| !(byte.is_ascii_digit() || byte == b';'))?;
    (end > 0 && rest.as_bytes().get(end) == Some(&b'm')).then_some(end + 2)
}

fn entity(text: &str) -> Option<(Escape<'_>, usize)> {
    let mut rest = text.strip_prefix('&')?;
    // An entity in an entity.
    while let Some(inner) = rest.strip_prefix("amp;") {
        rest = inner;
    }
    let escaped = text.len() - rest.len();
    let length = |name: &str| escaped + name.len() + 1;
    let named = rest.get(..rest.len().min(8)).or_else(|| rest.get(..4)).and_then(|start| start.split_once(';'));
    let Some((name, _)) = named else {
        return (escaped > 1).then_some((Escape::Text("&"), escaped));
    };
    Some(match name {
        "quot" => (Escape::Text("\""), length(name)),
        "apos" => (Escape::Text("'"), length(name)),
        "lt" => (Escape::Text("<"), length(name)),
        "gt" => (Escape::Text(">"), length(name)),
        "nbsp" => (Escape::Space, length(name)),
        _ => {
            let digits = name.strip_prefix('#');
            let code = digits.and_then(|digits| match digits.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16).ok(),
                None => digits.parse().ok(),
            });
            match code.and_then(char::from_u32) {
                Some('\n') => (Escape::Written, length(name)),
                Some(character) if character.is_whitespace() => (Escape::Space, length(name)),
                Some(character) => (Escape::Character(character), length(name)),
                None if escaped > 1 => (Escape::Text("&"), escaped),
                None => return None,
            }
        }
    })
}
