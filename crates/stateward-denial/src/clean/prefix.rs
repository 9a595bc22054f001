//! What stands in front of a line without belonging to it.

/// Terraform's boxes, also as they look after a trip through a wrong code page.
const BOXES: &[&str] = &[
    "│",
    "╷",
    "╵",
    "┃",
    "║",
    "â”‚",
    "â•·",
    "â•µ",
    "Ôöé",
    "ÔòÀ",
    "Ôòà",
    "Γöé",
    "Γò╖",
    "Γò╡",
    "\u{fffd}\u{fffd}\u{fffd} ",
];
/// Boxes within logs within quotes: more than this nobody nests.
const NESTED_MAX: usize = 10;

/// The line without its prefixes. What is left begins where the text before wrapping, boxing and logging began.
pub(super) fn strip(line: &str) -> &str {
    let mut line = line;
    for _ in 0..NESTED_MAX {
        match strip_one(line) {
            Some(rest) => line = rest,
            None => break,
        }
    }
    line
}

fn strip_one(line: &str) -> Option<&str> {
    let trimmed = line.trim_start_matches([' ', '\t']);
    match trimmed.bytes().next()? {
        b'0'..=b'9' => timestamp(trimmed).map(behind_timestamp).or_else(|| compose(trimmed)),
        b'[' => bracketed(trimmed).or_else(|| before_box(trimmed)),
        b'#' => between(trimmed, "##[", ']', 20),
        b':' => command(trimmed),
        b'>' => trimmed.strip_prefix("> ").or_else(|| (trimmed == ">").then_some("")),
        b'*' => None,
        byte if byte.is_ascii_alphabetic() => {
            section(trimmed).or_else(|| run_view(trimmed)).or_else(|| compose(trimmed))
        }
        byte if byte.is_ascii() => None,
        _ => BOXES
            .iter()
            .find_map(|border| trimmed.strip_prefix(border))
            .map(one_space)
            .or_else(|| trimmed.strip_prefix('\u{feff}')),
    }
}

/// Without the one space that sets a prefix apart: more of them are the text's own.
fn one_space(text: &str) -> &str {
    text.strip_prefix([' ', '\t']).unwrap_or(text)
}

/// Behind `start`, anything short, and `end`.
fn between<'a>(text: &'a str, start: &str, end: char, length: usize) -> Option<&'a str> {
    let (inner, rest) = text.strip_prefix(start)?.split_once(end)?;
    (inner.len() <= length).then_some(rest)
}

/// Behind a pattern in which `9` is a digit and `?` anything.
fn shaped<'a>(text: &'a str, shape: &str) -> Option<&'a str> {
    let fits = |(byte, shape): (u8, u8)| match shape {
        b'9' => byte.is_ascii_digit(),
        b'?' => byte.is_ascii_graphic() || byte == b' ',
        _ => byte == shape,
    };
    let long_enough = text.len() >= shape.len();
    (long_enough && text.bytes().zip(shape.bytes()).all(fits)).then(|| text.get(shape.len()..)).flatten()
}

/// Behind a date with a time, or a time with a fraction or two spaces; with a zone, where there is one.
fn timestamp(text: &str) -> Option<&str> {
    let dated = |text| shaped(text, "9999?99?99?99:99:99").or_else(|| shaped(text, "99-???-9999 99:99:99"));
    let (rest, dated) = match dated(text) {
        Some(rest) => (rest, true),
        None => (shaped(text, "99:99:99")?, false),
    };
    let digits = |text: &'_ str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let fraction = match rest.strip_prefix(['.', ',']) {
        // Nanoseconds no log has: a time at the start of a line is the text's own then.
        Some(fraction) if digits(fraction) > 0 && (dated || digits(fraction) <= 6) => {
            fraction.get(digits(fraction)..)?
        }
        _ => rest,
    };
    let zoned = fraction
        .strip_prefix('Z')
        .or_else(|| shaped(fraction.strip_prefix(['+', '-'])?, "99:99"))
        .or_else(|| shaped(fraction.strip_prefix(['+', '-'])?, "9999"))
        .unwrap_or(fraction);
    let apart = zoned.is_empty() || zoned.starts_with([' ', '\t', ']']);
    (apart && (dated || fraction.len() < rest.len() || rest.starts_with("  "))).then_some(zoned)
}

/// Behind what else a log writes between the time and the text.
fn behind_timestamp(text: &str) -> &str {
    let text = one_space(text);
    // GitLab: which script, and which of its streams; a plus where the line goes on.
    if let Some(rest) = shaped(text, "99O").or_else(|| shaped(text, "99E")) {
        return rest.strip_prefix([' ', '+']).unwrap_or(rest);
    }
    // Terragrunt: the stream, the unit, the program.
    let Some(rest) =
        ["STDOUT", "STDERR", "ERROR", "INFO", "WARN", "DEBUG"].iter().find_map(|level| text.strip_prefix(level))
    else {
        return text;
    };
    let rest = rest.trim_start_matches(' ');
    let Some(rest) = between(rest, "[", ']', 200) else { return text };
    let rest = one_space(rest);
    ["terraform: ", "tofu: "].iter().find_map(|program| rest.strip_prefix(program)).unwrap_or(rest)
}

/// `[2024-05-05T10:00:00Z] ` (Jenkins), `[10:00:00]E: [Step 1/2] ` (`TeamCity`), `[Container] 2024/05/05 10:00:00 ` (`CodeBuild`).
fn bracketed(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix("[Container] ") {
        return timestamp(rest).map(one_space);
    }
    let inner = text.strip_prefix('[')?;
    let rest = timestamp(inner).or_else(|| shaped(inner, "99:99:99"))?.strip_prefix(']')?;
    let rest = one_space(rest);
    let Some(step) = rest.split_once(": ").filter(|(level, _)| level.len() <= 1 || *level == " ") else {
        return Some(rest);
    };
    Some(between(step.1.trim_start(), "[Step", ']', 20).map_or(step.1, one_space))
}

/// `::error file=…::` (GitHub).
fn command(text: &str) -> Option<&str> {
    ["::error", "::warning", "::notice", "::debug", "::group"].iter().find_map(|name| {
        let (properties, rest) = text.strip_prefix(name)?.split_once("::")?;
        (properties.is_empty() || properties.starts_with(' ')).then_some(rest)
    })
}

/// `section_start:1714900000:step_script[collapsed=true]` (GitLab), or the names that Bamboo begins its lines with.
fn section(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix("build\t").or_else(|| text.strip_prefix("error\t")) {
        return timestamp(rest).map(one_space);
    }
    let rest = text.strip_prefix("section_start:").or_else(|| text.strip_prefix("section_end:"))?;
    let (time, name) = rest.split_once(':')?;
    let end = name.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))).unwrap_or(name.len());
    let rest = name.get(end..)?;
    time.bytes().all(|byte| byte.is_ascii_digit()).then(|| between(rest, "[", ']', 100).unwrap_or(rest))
}

/// `job<tab>step<tab>time text` (`gh run view --log`).
fn run_view(text: &str) -> Option<&str> {
    let mut columns = text.splitn(3, '\t');
    let (_, _, line) = (columns.next()?, columns.next()?, columns.next()?);
    timestamp(line.trim_start_matches('\u{feff}')).map(one_space)
}

/// `web-1  | text` (Docker Compose). A name without a digit may be a word.
fn compose(text: &str) -> Option<&str> {
    let (name, rest) = text.split_once('|')?;
    let name = name.trim_end_matches(' ');
    let is_name = name.len() <= 64
        && name.bytes().any(|byte| byte.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    is_name.then(|| one_space(rest))
}

/// `[terraform]: │`: a label before a box.
fn before_box(text: &str) -> Option<&str> {
    let rest = between(text, "[", ']', 60)?;
    rest.strip_prefix(": │").or_else(|| rest.strip_prefix(" │")).map(one_space)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_go_and_the_rest_stays() {
        for prefix in [
            "│ ",
            "â”‚ ",
            "> ",
            "> > ",
            "2024-05-05T10:00:00.1234567Z ",
            "\u{feff}2024-05-05T10:00:00.1234567Z ",
            "2024-05-05T10:00:00Z ##[error]",
            "2024-05-05 10:00:00,123 ",
            "2024/05/05 10:00:00 ",
            "05-May-2024 10:00:00 ",
            "2024-05-05T10:00:00+02:00 │ ",
            "2024-05-05T10:00:00.123456Z 01O ",
            "2024-05-05T10:00:00.123456Z 00E+",
            "[2024-05-05T10:00:00.123Z] ",
            "10:00:00  ",
            "10:00:00.123 STDERR [live/prod] terraform: │ ",
            "10:00:00.123 ERROR  [unit] ",
            "[10:00:00]W: [Step 1/2] ",
            "[10:00:00] : [Step 1/2] ",
            "[Container] 2024/05/05 10:00:00.123456 ",
            "::error::",
            "::error file=main.tf,line=1::",
            "error\t05-May-2024 10:00:00\t",
            "plan\tRun terraform\t2024-05-05T10:00:00.1234567Z ",
            "plan\tRun terraform\t\u{feff}2024-05-05T10:00:00.1234567Z ",
            "tf-1  | ",
            "[terraform]: │ ",
            "section_start:1714900000:step_script[collapsed=true]",
        ] {
            let space = if prefix.starts_with("10:00:00  ") { "" } else { " " };
            for text in ["Error: no | yes", "", "arn:aws:iam::111122223333:role/x", &format!("{space} indented")] {
                let line = format!("{prefix}{text}");
                assert_eq!(strip(&line).trim_start(), text.trim_start(), "{line:?}");
            }
        }
    }

    #[test]
    fn what_is_no_prefix_stays() {
        for line in [
            "arn:aws:iam::111122223333:role/x",
            "  ID:        abc",
            "2024 was a year",
            "10:00:00 am",
            "[error] no",
            "# comment",
            "## heading",
            "::ffff:10.0.0.1",
            "AccessDenied | Access Denied",
            "jq . | grep x",
            "1. first",
            "\t* bullet",
            "build passed",
            "a\tb\tc",
        ] {
            assert_eq!(strip(line), line);
        }
    }
}
