//! What is wrong with an entry is told by file and field.

use crate::compile::{File, compile};

const DOCUMENTS: &str = "[d]\ntitle = \"T\"\nurl = \"https://example.com/d\"\nread = \"2026-11-20\"\n";
const GOOD: &str = r#"
title = { en = "It is refused", zh = "被拒绝" }
signature = ["AccessDenied: Access Denied"]
cause = { en = "Why.", zh = "原因。" }
versions = { terraform = "all", opentofu = ">=1.10, <1.12", providers = "none" }
documents = ["d"]

[[match]]
kind = "access_denied"

[[workaround]]
who = "you"
what = { en = "Do.", zh = "做。" }

[[dead_end]]
tried = { en = "Try.", zh = "试。" }
why = { en = "No.", zh = "不。" }
"#;

fn faults_of(entry: &str) -> Vec<String> {
    let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
    let files = [file("documents.toml", DOCUMENTS), file("entries/a/b.toml", entry)];
    compile(&files).map_or_else(|faults| faults, |_| Vec::new())
}

fn check(from: &str, to: &str, expected: &str) {
    assert!(GOOD.contains(from), "{from}");
    assert_eq!(faults_of(&GOOD.replacen(from, to, 1)), [expected], "{to}");
}

#[test]
fn a_good_entry_has_none() {
    assert_eq!(faults_of(GOOD), Vec::<String>::new());
}

#[test]
fn each_is_told_once_with_its_field() {
    check("zh = \"被拒绝\"", "zh = \"refused\"", "entries/a/b.toml: title: zh: is not Chinese");
    check("en = \"Do.\"", "en = \" \"", "entries/a/b.toml: workaround[0].what: is empty in a language");
    check("en = \"No.\"", "en = \"不。\"", "entries/a/b.toml: dead_end[0].why: en: is not English");
    check("[\"AccessDenied: Access Denied\"]", "[]", "entries/a/b.toml: signature: is missing");
    check(
        "terraform = \"all\"",
        "terraform = \"new\"",
        "entries/a/b.toml: versions.terraform: is neither `all`, `none` nor a range such as `>=1.10, <1.12`",
    );
    check("[\"d\"]", "[\"d\", \"e\"]", "entries/a/b.toml: documents: `e` is not in documents.toml");
    check("[\"d\"]", "[]", "entries/a/b.toml: documents: nothing shows that it is true: neither a document nor a test");
    check(
        "documents = [\"d\"]",
        "documents = [\"d\"]\nleads_to = [\"a/b\"]",
        "entries/a/b.toml: leads_to: there is no other entry `a/b`",
    );
    check(
        "documents = [\"d\"]",
        "documents = [\"d\"]\ninclude = [\"s\"]",
        "entries/a/b.toml: include: there is no shared/s.toml",
    );
    check(
        "who = \"you\"",
        "who = \"you\"\npolicy = '{\"Version\": \"2012-10-17\",}'",
        "entries/a/b.toml: workaround[0].policy: is no JSON: trailing comma at line 1 column 26",
    );
    check(
        "who = \"you\"",
        "who = \"you\"\npolicy = '{\"Effect\": \"Allow\"}'",
        "entries/a/b.toml: workaround[0].policy: has no Version 2012-10-17",
    );
}

#[test]
fn what_does_not_fit_the_form_is_told_with_its_line() {
    let unknown = faults_of(&GOOD.replace("who = \"you\"", "who = \"you\"\nrate = 95"));
    assert!(unknown[0].starts_with("entries/a/b.toml:13: unknown field `rate`"), "{unknown:?}");
    let nobody = faults_of(&GOOD.replace("\"you\"", "\"somebody\""));
    assert!(nobody[0].starts_with("entries/a/b.toml:12: unknown variant `somebody`"), "{nobody:?}");
}

#[test]
fn an_entry_that_shares_a_text_is_told_apart_where_the_text_leads() {
    let twin = GOOD.replace("signature = [\"AccessDenied: Access Denied\"]", "same_text_as = \"a/b\"");
    let twin = twin.replace("[[match]]\nkind = \"access_denied\"\n", "");
    let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
    let files = [file("documents.toml", DOCUMENTS), file("entries/a/b.toml", GOOD), file("entries/a/c.toml", &twin)];
    let expected = "entries/a/b.toml: confused_with: `a/c` has the same text, and is not told apart here";
    assert_eq!(compile(&files).err(), Some(vec![expected.to_owned()]));
}
