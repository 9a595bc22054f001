//! What holds for every text: never a panic, never more than is there, and two texts tell what each of them tells.

use std::fmt::Write;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use crate::corpus::{Text, found, texts, uncut};
use crate::wrap::WRAPS;

/// Texts whose end is missing, so that what follows seems to belong to them.
const OPEN: &[&str] = &[
    "clients/php-truncated",
    "others/no-credentials-not-on-an-instance",
    "others/no-credentials-of-the-backend",
    "records/cut-in-its-message",
    "records/members-without-braces",
];

/// Texts that begin, or end, as the parts of a dump do, which tells one error on several lines, or with a word that fills a line, as if a
/// terminal had broken it: only an empty line sets them apart.
const DUMPED: &[&str] = &[
    "clients/cloudformation-api",
    "clients/php-v2",
    "clients/ruby-bucket",
    "clients/rust-debug",
    "clients/rust-display",
    "context/bare-without-a-resource",
    "others/another-cloud-s-trail",
    "others/key-schema-java",
    "others/unlocking-what-is-not-locked",
    "terraform/instance-denied-by-a-named-policy-with-encoded-message",
    "terraform/table-key-denied-and-cut",
    "tools/fluentd-class-and-error",
];

/// Problems told together: the same thing told twice is told once, and counted. That Terraform is taking the lock it tells until it says
/// that it is not.
fn together<'a>(problems: impl IntoIterator<Item = &'a Value>) -> Vec<Value> {
    let identity = |problem: &Value| {
        let mut problem = problem.clone();
        problem["count"] = Value::Null;
        problem["event"] = Value::Null;
        if problem["denial"].is_object() {
            problem["denial"]["cut"] = Value::Null;
        }
        for part in ["denial", "failure"] {
            if problem[part].is_object() {
                problem[part]["request_id"] = Value::Null;
            }
        }
        problem
    };
    let mut all: Vec<Value> = Vec::new();
    for problem in problems {
        let mut problem = problem.clone();
        problem["locking"] = Value::Null;
        match all.iter_mut().find(|known| identity(known) == identity(&problem)) {
            Some(known) => {
                known["count"] = (known["count"].as_u64().unwrap_or(0) + problem["count"].as_u64().unwrap_or(0)).into();
            }
            None => all.push(problem),
        }
    }
    all
}

/// Every layer, effect, action and resource that a text tells of.
fn told(problems: &[Value], field: &str) -> Vec<String> {
    problems.iter().filter_map(|problem| problem["denial"][field].as_str()).map(str::to_owned).collect()
}

/// What is wrong with what was found in the start of a text.
fn beyond(whole: &Text, part: &[Value]) -> Option<String> {
    for field in ["layer", "effect"] {
        let known = told(&whole.problems, field);
        if let Some(wrong) = told(part, field).iter().find(|told| *told != "unknown" && !known.contains(told)) {
            return Some(format!("{field} {wrong}"));
        }
    }
    for field in ["action", "resource", "policy_arn"] {
        let known = told(&whole.problems, field);
        if let Some(wrong) =
            told(part, field).iter().find(|told| !known.iter().any(|known| known.starts_with(told.as_str())))
        {
            return Some(format!("{field} {wrong}"));
        }
    }
    // Before the cause is told, Terraform tells what it came to.
    let kinds: Vec<&Value> = whole.problems.iter().map(|problem| &problem["kind"]).collect();
    let wrong = part.iter().find(|problem| !kinds.contains(&&problem["kind"]) && problem["certain"] == true)?;
    Some(format!("kind {}", wrong["kind"]))
}

#[test]
fn the_start_of_a_text_tells_less_and_nothing_else() {
    let mut wrong = String::new();
    for text in texts() {
        let bytes = text.body.as_bytes();
        for end in 0..bytes.len() {
            let Some(beyond) = beyond(&text, &found(&bytes[..end])) else { continue };
            let tail = String::from_utf8_lossy(&bytes[end.saturating_sub(60)..end]).into_owned();
            let _ = writeln!(wrong, "{} cut behind {tail:?}: {beyond}", text.id);
            break;
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// What the start of a text names that the whole does not, and does not call cut.
fn cut_unsaid(whole: &[Value], part: &[Value]) -> Option<String> {
    let denials = |problems: &'_ [Value]| -> Vec<Value> {
        problems.iter().map(|problem| problem["denial"].clone()).filter(Value::is_object).collect()
    };
    let known = denials(whole);
    let names = [("action", "action"), ("resource", "resource"), ("policy_arn", "policy")];
    denials(part).iter().find_map(|denial| {
        names.iter().find_map(|(field, cut)| {
            let same = known.iter().any(|known| known[field] == denial[field]);
            (!same && !denial[field].is_null() && denial["cut"] != *cut).then(|| format!("{field} {}", denial[field]))
        })
    })
}

#[test]
fn a_name_that_the_end_of_a_text_cuts_is_called_cut() {
    let mut wrong = String::new();
    let wraps =
        WRAPS.iter().filter(|(name, _)| ["boxed", "broken at 80 columns", "as a string of JSON"].contains(name));
    let wraps: Vec<fn(&str) -> String> =
        wraps.map(|(_, wrap)| *wrap).chain([str::to_owned as fn(&str) -> String]).collect();
    assert_eq!(wraps.len(), 4);
    for text in texts() {
        for wrap in &wraps {
            let body = wrap(&text.body);
            for end in 0..body.len() {
                // As a paste or a log ends.
                let mut start = body.as_bytes()[..end].to_vec();
                start.push(b'\n');
                let Some(unsaid) = cut_unsaid(&text.problems, &found(&start)) else { continue };
                let tail = String::from_utf8_lossy(&start[end.saturating_sub(60)..]).into_owned();
                let _ = writeln!(wrong, "{} cut behind {tail:?}: {unsaid}", text.id);
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn the_end_of_a_text_names_no_layer_that_the_text_does_not() {
    let mut wrong = String::new();
    for text in texts() {
        let bytes = text.body.as_bytes();
        let known = told(&text.problems, "layer");
        for start in 1..bytes.len() {
            let layers = told(&found(&bytes[start..]), "layer");
            let Some(layer) = layers.iter().find(|layer| *layer != "unknown" && !known.contains(layer)) else {
                continue;
            };
            let head = String::from_utf8_lossy(&bytes[start..bytes.len().min(start + 60)]).into_owned();
            let _ = writeln!(wrong, "{} from {head:?}: {layer}", text.id);
            break;
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// Texts that leave open why there were no credentials, and ones behind an empty line that tell of what can be why.
const EXPLAINED: &[(&str, &str)] = &[
    ("others/no-credentials-and-no-instance-to-ask", "others/sign-in-over-js"),
    ("others/no-credentials-of-0-11", "others/clock-ahead-told-by-a-deployment"),
    ("others/no-credentials-of-0-11", "others/clock-behind-without-a-code"),
    ("others/no-credentials-of-0-11", "others/no-such-assignment"),
    ("others/no-credentials-of-0-11", "others/sign-in-over-js"),
    ("others/no-credentials-of-0-11", "terraform/assuming-the-backend-s-role"),
    ("others/no-credentials-of-0-11", "terraform/state-object-forbidden-sdk-v1"),
    ("others/no-credentials-of-0-11", "tools/docker-log-with-colours"),
    ("others/no-credentials-of-0-11", "tools/quoted-in-markdown"),
];

/// What pairs of texts do not tell, with something between them: every text meets every other, on either side.
fn untold(between: &str, texts: &[Text]) -> String {
    let mut wrong = String::new();
    for (first, second) in texts.iter().flat_map(|first| texts.iter().map(move |second| (first, second))) {
        let mut out = String::new();
        let both = together(&found(format!("{}{between}{}", first.body, second.body).as_bytes()));
        let expected = together(first.problems.iter().chain(&second.problems));
        crate::corpus::differences("", &Value::from(uncut(expected)), &Value::from(uncut(both)), &mut out);
        let is_explained = between.contains("\n\n") && EXPLAINED.contains(&(first.id.as_str(), second.id.as_str()));
        if !out.is_empty() && !is_explained {
            let _ = writeln!(wrong, "{} and {}:\n{out}", first.id, second.id);
        }
    }
    wrong
}

#[test]
fn two_texts_tell_what_each_of_them_tells() {
    let texts: Vec<Text> = texts().into_iter().filter(|text| !OPEN.contains(&text.id.as_str())).collect();
    let wrong = untold("\n\n", &texts);
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn two_lines_tell_what_each_of_them_tells() {
    // An error on a line of its own, with its envelope.
    let is_line = |text: &Text| {
        let has_code =
            |problem: &Value| problem["denial"]["error_code"].is_string() || problem["failure"]["code"].is_string();
        text.body.trim_end().lines().count() == 1 && !text.problems.is_empty() && text.problems.iter().all(has_code)
    };
    let is_open = |text: &Text| OPEN.contains(&text.id.as_str()) || DUMPED.contains(&text.id.as_str());
    let texts: Vec<Text> = texts().into_iter().filter(|text| is_line(text) && !is_open(text)).collect();
    assert!(texts.len() >= 50, "{} lines", texts.len());
    let wrong = untold("", &texts);
    assert!(wrong.is_empty(), "{wrong}");
}

/// Bytes, some of which are words that mean something.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<&'static [u8]> = vec![
        b"User: ",
        b"arn:aws:iam::111122223333:user/x",
        b" is not authorized to perform: ",
        b"s3:GetObject",
        b" on resource: ",
        b"\"",
        b" because no ",
        b"identity-based policy allows the ",
        b" with an explicit deny in a ",
        b"service control policy",
        b"\n",
        b"\\",
        b"\\n",
        b"{",
        b"}",
        b"\"eventSource\":",
        b"\"errorCode\":",
        b"\xe2\x94\x82 ",
        b"\x1b[",
        b"m",
        b"<Code>",
        b"</Code>",
        b"operation error ",
        b": ",
        b", https response error StatusCode: ",
        b"api error ",
        b"AccessDenied",
        b"Lock Info:",
        b"  ID: ",
        b"&quot;",
        b"&amp;",
        b"Error acquiring the state lock",
        b"status code: ",
        b"request id: ",
        b"\xff",
        b"\xe2\x94",
        b"\0",
        b"\xc3",
        b"does not have the expected content",
        b"Encoded authorization failure message: ",
        b"error occurred (",
        b") when calling the ",
        b"2024-05-05T10:00:00Z ",
        b"##[error]",
        b"[",
        b"]",
        b"(Service: ",
        b"; Status Code: ",
        b"'",
        b"`",
        b"__type",
        b"\r",
        b"\xf0\x9f\x99\x82",
    ];
    let word = prop_oneof![
        4 => prop::sample::select(words).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 0..20),
    ];
    vec(word, 0..80).prop_map(|words| words.concat())
}

/// A text of the corpus.
fn text() -> impl Strategy<Value = Text> {
    prop::sample::select(texts())
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes in bytes()) {
        found(&bytes);
    }

    #[test]
    fn any_noise_is_read(bytes in vec(any::<u8>(), 0..4000)) {
        found(&bytes);
    }

    #[test]
    fn a_text_with_something_cut_out_is_read(text in text(), from in any::<prop::sample::Index>(), length in 0..400_usize) {
        let from = from.index(text.body.len() + 1);
        let to = text.body.len().min(from + length);
        let bytes = text.body.as_bytes();
        found(&[&bytes[..from], &bytes[to..]].concat());
    }

    #[test]
    fn wrapping_twice_changes_nothing_either(
        text in text(),
        first in prop::sample::select(&["coloured", "with carriage returns", "indented"][..]),
        second in prop::sample::select(&["log of GitHub", "log of GitLab", "log of Jenkins", "log of CodeBuild", "as HTML"][..]),
    ) {
        let wrap = |name: &str, text: &str| WRAPS.iter().find(|(known, _)| *known == name).map(|(_, wrap)| wrap(text)).expect("a wrap");
        let wrapped = wrap(second, &wrap(first, &text.body));
        prop_assert_eq!(Value::from(uncut(found(wrapped.as_bytes()))), Value::from(uncut(text.problems)));
    }
}
