//! Rust sources: who may print, what is never written, how long things may grow.

use super::{File, Finding};

/// A file longer than this holds more than one thing.
const LINES_MAX: usize = 800;

/// Files that are longer all the same, and how long they are. Entries may only shrink and go.
const LONG_FILES: &[(&str, usize)] = &[];

/// Files with functions over clippy's limit (`clippy.toml`), and how many. Entries may only shrink and go.
const LONG_FUNCTIONS: &[(&str, usize)] = &[];

/// Where the outer world is met, and where tests live: printing and the environment are free here.
const OUTER: &[&str] =
    &["crates/stateward/", "crates/stateward-store/src/conformance", "crates/stateward-testkit/", "xtask/"];
const OUTER_FOLDERS: &[&str] = &["/examples/", "/benches/", "/tests/"];

const OUTER_ONLY: &[(&str, &str)] = &[
    ("print!", PRINTING),
    ("println!", PRINTING),
    ("eprint!", PRINTING),
    ("eprintln!", PRINTING),
    ("std::env", ENVIRONMENT),
    ("env::var", ENVIRONMENT),
    ("env::var_os", ENVIRONMENT),
    ("env::vars", ENVIRONMENT),
    ("env::args", ENVIRONMENT),
    ("env::current_dir", ENVIRONMENT),
    ("env::temp_dir", ENVIRONMENT),
];
const PRINTING: &str = "only the binary prints: return the value, or use tracing";
const ENVIRONMENT: &str = "only the binary reads the environment: take the value as an argument";

const NEVER: &[(&str, &str)] = &[
    ("#[ignore", "a test that does not run proves nothing: repair it, assert today's behaviour, or remove it"),
    ("todo!", "finish it, or return an error that says it is not supported"),
    ("unimplemented!", "finish it, or return an error that says it is not supported"),
];

pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| is_rust(&file.path)) {
        let code = code_only(&file.text);
        findings.extend(banned(&file.path, &code));
        let lines = file.text.lines().count();
        findings.extend(within_limit(&file.path, "lines", lines, LINES_MAX, allowed(LONG_FILES, &file.path)));
        // Clippy finds the functions; here only the exceptions are counted.
        let exceptions = occurrences(&code, "clippy::too_many_lines").count();
        findings.extend(within_limit(&file.path, "long functions", exceptions, 0, allowed(LONG_FUNCTIONS, &file.path)));
    }
    let gone = |(path, _): &&(&str, usize)| !files.iter().any(|file| file.path == *path);
    for (path, _) in LONG_FILES.iter().chain(LONG_FUNCTIONS).filter(gone) {
        findings.push(Finding::new(*path, "is gone: take it off the lists in xtask/src/tidy/code.rs"));
    }
    findings
}

fn is_rust(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, extension)| extension == "rs")
}

fn allowed(list: &[(&str, usize)], path: &str) -> Option<usize> {
    list.iter().find(|(listed, _)| *listed == path).map(|(_, count)| *count)
}

/// An allowance must be needed, and be exactly as high as needed: so it can only shrink.
fn within_limit(path: &str, what: &str, count: usize, limit: usize, allowance: Option<usize>) -> Option<Finding> {
    let message = match allowance {
        None if count <= limit => return None,
        None => format!("{count} {what}, and {limit} is the limit: split it by what it does"),
        Some(allowed) if count > allowed => format!("grew to {count} {what} from {allowed}: split it by what it does"),
        Some(_) if count <= limit => format!("down to {count} {what}: take it off the list in xtask/src/tidy/code.rs"),
        Some(allowed) if count < allowed => {
            format!("down to {count} {what}: lower its entry in xtask/src/tidy/code.rs")
        }
        Some(_) => return None,
    };
    Some(Finding::new(path, message))
}

fn banned(path: &str, code: &str) -> Vec<Finding> {
    let shipped = if is_outer(path) { "" } else { &code[..tests_start(code)] };
    let everywhere = NEVER.iter().map(|ban| (code, ban));
    let inside = OUTER_ONLY.iter().map(|ban| (shipped, ban));
    let mut findings: Vec<(usize, Finding)> = Vec::new();
    for (code, (word, why)) in everywhere.chain(inside) {
        for at in occurrences(code, word) {
            let line = 1 + code[..at].matches('\n').count();
            if !findings.iter().any(|(found, _)| *found == line) {
                findings.push((line, Finding::new(format!("{path}:{line}"), format!("`{word}`: {why}"))));
            }
        }
    }
    findings.sort_by_key(|(line, _)| *line);
    findings.into_iter().map(|(_, finding)| finding).collect()
}

fn is_outer(path: &str) -> bool {
    OUTER.iter().any(|prefix| path.starts_with(prefix))
        || OUTER_FOLDERS.iter().any(|folder| path.contains(folder))
        || path.ends_with("/build.rs")
        || path.ends_with("/tests.rs")
}

/// Where the unit tests begin, which by custom end a file.
fn tests_start(code: &str) -> usize {
    code.find("\n#[cfg(test)]\nmod ").unwrap_or(code.len())
}

/// Where the word stands by itself, not as the end or the start of a longer one.
fn occurrences<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let in_word = |character: char| character.is_alphanumeric() || character == '_';
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = code[..*at].chars().next_back().is_some_and(in_word);
        let after = code[at + word.len()..].chars().next().is_some_and(in_word);
        !(before || after)
    })
}

/// The source with comments and the insides of literals taken out; line breaks stay where they were.
fn code_only(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(character) = rest.chars().next() {
        let after_word = out.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
        let skipped = match character {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => quoted(rest, 1),
            'r' | 'b' | 'c' if !after_word => literal_with_prefix(rest),
            '\'' => char_literal(rest),
            _ => 0,
        };
        if skipped == 0 {
            out.push(character);
            rest = &rest[character.len_utf8()..];
        } else {
            out.extend(rest[..skipped].chars().filter(|c| *c == '\n'));
            // Keeps what stood on either side from growing together.
            out.push(' ');
            rest = &rest[skipped..];
        }
    }
    out
}

/// Block comments nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The length up to the closing quote, where the text's content starts after so many bytes.
fn quoted(text: &str, content: usize) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(content) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// `r"…"`, `r#"…"#`, `b"…"`, `br"…"`, `c"…"`; 0 where it is none of them but a word.
fn literal_with_prefix(text: &str) -> usize {
    let letters = text.bytes().take_while(|byte| matches!(byte, b'r' | b'b' | b'c')).count();
    let hashes = text[letters..].bytes().take_while(|byte| *byte == b'#').count();
    let content = letters + hashes + 1;
    if letters > 2 || !text[letters + hashes..].starts_with('"') {
        return 0;
    }
    if !text[..letters].contains('r') {
        return if hashes == 0 { quoted(text, content) } else { 0 };
    }
    let end = format!("\"{}", "#".repeat(hashes));
    text[content..].find(&end).map_or(text.len(), |at| content + at + end.len())
}

/// `'x'` or `'\n'`; 0 where it is a lifetime.
fn char_literal(text: &str) -> usize {
    let inner = &text[1..];
    if inner.starts_with('\\') {
        return inner[2..].find('\'').map_or(0, |at| at + 4);
    }
    let first = inner.chars().next().map_or(0, char::len_utf8);
    if inner[first..].starts_with('\'') { first + 2 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, source: &str) -> Vec<String> {
        banned(path, &code_only(source)).into_iter().map(|finding| finding.place).collect()
    }

    #[test]
    fn printing_and_the_environment_belong_to_the_outer_crates() {
        let source = "fn f() {\n    println!(\"x\");\n    let a = std::env::var(\"A\");\n}\n";
        assert_eq!(
            lines("crates/stateward-core/src/a.rs", source),
            ["crates/stateward-core/src/a.rs:2", "crates/stateward-core/src/a.rs:3"]
        );
        for path in [
            "crates/stateward/src/a.rs",
            "xtask/src/a.rs",
            "crates/stateward-core/examples/a.rs",
            "crates/stateward-core/build.rs",
        ] {
            assert!(lines(path, source).is_empty(), "{path}");
        }
    }

    #[test]
    fn unit_tests_may_print_too() {
        let source = "fn f() {}\n\n#[cfg(test)]\nmod tests {\n    fn t() { println!(); todo!() }\n}\n";
        let found: Vec<String> = banned("crates/a/src/a.rs", source).into_iter().map(|finding| finding.what).collect();
        assert!(found.len() == 1 && found[0].starts_with("`todo!`"), "{found:?}");
    }

    #[test]
    fn some_things_are_written_nowhere() {
        assert_eq!(lines("xtask/src/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() { todo!() }").len(), 2);
    }

    #[test]
    fn comments_literals_and_longer_words_do_not_count() {
        let source = "/// println!(\"x\")\nlet s = \"todo!() \\\" std::env\"; // eprintln!()\nlet r = r#\"todo!() \" \"#; my_println!(); env::variable();\n/* /* todo!() */ println! */ let c = '\"'; let l: &'static str; b\"todo!\"; let d = '\\'';";
        assert!(lines("crates/stateward-core/src/a.rs", source).is_empty());
    }

    #[test]
    fn code_after_literals_is_seen_on_its_line() {
        let source = "let a = '\"';\nlet b = \"two\nlines\";\nfn g<'a>(x: &'a str) { todo!() }";
        assert_eq!(lines("a.rs", source), ["a.rs:4"]);
        assert_eq!(code_only("a\"\\\"b\"c r\"\\\"d 'e' br##\"\"#\"##f"), "a c  d    f");
    }

    #[test]
    fn allowances_only_shrink() {
        let finding =
            |count, allowance| within_limit("a.rs", "lines", count, 800, allowance).map(|finding| finding.what);
        assert_eq!(finding(800, None), None);
        assert!(finding(801, None).unwrap().contains("800 is the limit"));
        assert_eq!(finding(900, Some(900)), None);
        assert!(finding(901, Some(900)).unwrap().contains("grew to 901"));
        assert!(finding(850, Some(900)).unwrap().contains("lower its entry"));
        assert!(finding(700, Some(900)).unwrap().contains("take it off"));
    }
}
