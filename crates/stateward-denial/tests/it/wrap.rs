//! What terminals, boxes, logs and quotes do to a text before anybody reads it, none of which changes what it tells.

use std::fmt::Write;

use serde_json::Value;

use crate::corpus::{differences, found, texts, uncut};

/// A way to wrap a text.
pub(crate) type Wrap = (&'static str, fn(&str) -> String);

/// Texts with a space in a name, which nobody can know of when a line ended there and took it along.
const SPACED: &[&str] = &[
    "context/origin-access-identity",
    "context/key-with-spaces-and-quotes-around",
    "others/lock-held-told-by-atlantis",
];
const LOSES_SPACES: &str = "boxed, spaces at the ends of lines lost";

/// Everything done to a text here.
pub(crate) const WRAPS: &[Wrap] = &[
    ("boxed", boxed),
    (LOSES_SPACES, |text| boxed(text).replace(" \n", "\n")),
    ("boxed within words", boxed_within_words),
    ("coloured", coloured),
    ("coloured, escape characters lost", |text| coloured(text).replace('\x1b', "")),
    ("coloured, escape characters escaped", |text| coloured(text).replace('\x1b', "\\u001b")),
    ("with carriage returns", |text| text.replace('\n', "\r\n")),
    ("broken at 80 columns", |text| broken(text, 80)),
    ("broken at 132 columns", |text| broken(text, 132)),
    ("quoted", |text| prefixed(text, "> ")),
    ("indented", |text| prefixed(text, "        ")),
    ("log of GitHub", |text| prefixed(text, "2024-05-05T10:00:00.1234567Z ")),
    ("log of GitHub, as an error", |text| prefixed(text, "2024-05-05T10:00:00.1234567Z ##[error]")),
    ("log of GitHub, as its tool prints it", |text| {
        prefixed(text, "plan\tRun terraform\t2024-05-05T10:00:00.1234567Z ")
    }),
    ("log of GitLab", |text| prefixed(text, "2024-05-05T10:00:00.123456Z 01O ")),
    ("log of Jenkins", |text| prefixed(text, "[2024-05-05T10:00:00.123Z] ")),
    ("log of CodeBuild", |text| prefixed(text, "[Container] 2024/05/05 10:00:00.123456 ")),
    ("log of Terragrunt", |text| prefixed(text, "10:00:00.123 STDERR [live/prod] terraform: ")),
    ("log of Compose", |text| prefixed(text, "tf-1  | ")),
    ("log of boxes", |text| prefixed(&boxed(text), "2024-05-05T10:00:00.1234567Z ")),
    ("in the middle of a log", |text| {
        format!(
            "aws_s3_bucket.logs: Refreshing state... [id=logs]\n\n{text}\n\nCleaning up project directory and file based variables\n"
        )
    }),
    ("as HTML", as_html),
    ("as HTML of HTML", |text| as_html(&as_html(text))),
    ("as a string of JSON", as_json),
    ("as a string of JSON in JSON", |text| as_json(&as_json(text))),
];

fn prefixed(text: &str, prefix: &str) -> String {
    text.lines().fold(String::new(), |out, line| out + prefix + line + "\n")
}

/// As Terraform prints it on a narrow terminal: lines end between words.
fn boxed(text: &str) -> String {
    const WIDTH: usize = 78;
    let mut out = String::from("╷\n");
    for line in text.lines() {
        // It leaves alone what is indented.
        if line.starts_with([' ', '\t']) {
            let _ = writeln!(out, "│ {line}");
            continue;
        }
        let mut width = 0;
        out.push_str("│ ");
        for word in line.split_inclusive(' ') {
            if width > 0 && width + word.chars().count() > WIDTH {
                out.push_str("\n│ ");
                width = 0;
            }
            out.push_str(word);
            width += word.chars().count();
        }
        out.push('\n');
    }
    out + "╵\n"
}

/// A box that is copied from a terminal that was narrower yet.
fn boxed_within_words(text: &str) -> String {
    broken(&prefixed(text, "│ "), 100)
}

/// As a terminal breaks what is too long for it.
fn broken(text: &str, width: usize) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let characters: Vec<char> = line.chars().collect();
        for part in characters.chunks(width) {
            out.extend(part);
            out.push('\n');
        }
        if line.is_empty() {
            out.push('\n');
        }
    }
    out
}

fn coloured(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        out.push_str("\x1b[31m");
        for (index, word) in line.split(' ').enumerate() {
            if index > 0 {
                out.push(' ');
            }
            if index % 3 == 1 {
                let _ = write!(out, "\x1b[0m\x1b[1m{word}\x1b[0m");
            } else {
                out.push_str(word);
            }
        }
        out.push_str("\x1b[0m\n");
    }
    out
}

fn as_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

fn as_json(text: &str) -> String {
    serde_json::json!({ "log": text, "stream": "stderr" }).to_string()
}

#[test]
fn no_wrapping_changes_what_a_text_tells() {
    let mut wrong = String::new();
    let (mut all, mut bad) = (0, 0);
    for text in texts() {
        for (name, wrap) in WRAPS {
            if *name == LOSES_SPACES && SPACED.contains(&text.id.as_str()) {
                continue;
            }
            let mut out = String::new();
            differences(
                "",
                &Value::from(uncut(text.problems.clone())),
                &Value::from(uncut(found(wrap(&text.body).as_bytes()))),
                &mut out,
            );
            all += 1;
            if !out.is_empty() {
                bad += 1;
                let _ = writeln!(wrong, "{}, {name}:\n{out}", text.id);
            }
        }
    }
    assert!(wrong.is_empty(), "{bad} of {all}\n{wrong}");
}
