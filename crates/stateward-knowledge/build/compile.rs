//! From files of TOML to entries, with everything wrong in them told by file and field.
//!
//! `entries/DOMAIN/SLUG.toml` is the entry `DOMAIN/SLUG`, `shared/NAME.toml` what entries include, `documents.toml` what they refer to.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::entry::{Correction, DeadEnd, Document, Entry, Likeness, Match, Step, Test, Text, Versions};

/// A file of the crate.
pub(crate) struct File {
    /// From the crate's directory, with `/`.
    pub(crate) path: String,
    /// What it holds.
    pub(crate) text: String,
}

/// What a file of `entries` says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    title: Text,
    #[serde(default)]
    signature: Vec<String>,
    #[serde(default, rename = "match")]
    matches: Vec<Match>,
    same_text_as: Option<String>,
    cause: Text,
    versions: Versions,
    #[serde(default)]
    include: Vec<String>,
    #[serde(default)]
    workaround: Vec<Step>,
    #[serde(default)]
    dead_end: Vec<DeadEnd>,
    #[serde(default)]
    correction: Vec<Correction>,
    #[serde(default)]
    documents: Vec<String>,
    #[serde(default)]
    test: Vec<Test>,
    #[serde(default)]
    leads_to: Vec<String>,
    #[serde(default)]
    confused_with: Vec<Likeness>,
}

/// What a file of `shared` says: it goes behind what the entry says itself.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Shared {
    workaround: Vec<Step>,
    dead_end: Vec<DeadEnd>,
    correction: Vec<Correction>,
    documents: Vec<String>,
    test: Vec<Test>,
}

/// The entries in the order of their IDs, or all that is wrong, one line each.
pub(crate) fn compile(files: &[File]) -> Result<Vec<Entry>, Vec<String>> {
    let mut faults = Vec::new();
    let mut documents = BTreeMap::new();
    let mut shared = BTreeMap::new();
    let mut sources = BTreeMap::new();
    for file in files {
        let parts: Vec<&str> = file.path.trim_end_matches(".toml").split('/').collect();
        match parts.as_slice() {
            ["documents"] => documents = parse::<BTreeMap<String, Document>>(file, &mut faults).unwrap_or_default(),
            ["shared", name] => drop(shared.insert((*name).to_owned(), parse::<Shared>(file, &mut faults))),
            ["entries", domain, slug] if is_slug(domain) && is_slug(slug) => {
                if let Some(source) = parse::<Source>(file, &mut faults) {
                    sources.insert(format!("{domain}/{slug}"), source);
                }
            }
            _ => faults.push(format!("{}: is no place of an entry: entries/DOMAIN/SLUG.toml, a-z 0-9 -", file.path)),
        }
    }
    let mut used = BTreeSet::new();
    let ids: BTreeSet<String> = sources.keys().cloned().collect();
    let mut entries = Vec::new();
    for (id, source) in sources {
        let mut says = |field: &str, what: &str| faults.push(format!("entries/{id}.toml: {field}: {what}"));
        let entry = whole(id.clone(), source, &shared, &documents, &mut used, &mut says);
        check(&entry, &ids, &mut says);
        entries.push(entry);
    }
    check_twins(&entries, &mut faults);
    for name in shared.keys().filter(|name| !used.contains(*name)) {
        faults.push(format!("shared/{name}.toml: is included nowhere"));
    }
    for (key, document) in &documents {
        if !document.url.starts_with("https://") {
            faults.push(format!("documents.toml: {key}.url: does not begin with https://"));
        }
        if !is_day(&document.read) {
            faults.push(format!("documents.toml: {key}.read: is no day such as 2026-11-20"));
        }
    }
    if faults.is_empty() { Ok(entries) } else { Err(faults) }
}

fn parse<T: for<'a> Deserialize<'a>>(file: &File, faults: &mut Vec<String>) -> Option<T> {
    toml::from_str(&file.text)
        .map_err(|error| {
            let line = error.span().map_or(1, |span| file.text[..span.start].matches('\n').count() + 1);
            faults.push(format!("{}:{line}: {}", file.path, error.message()));
        })
        .ok()
}

/// An entry with all that it includes and refers to.
fn whole(
    id: String,
    source: Source,
    shared: &BTreeMap<String, Option<Shared>>,
    documents: &BTreeMap<String, Document>,
    used: &mut BTreeSet<String>,
    says: &mut impl FnMut(&str, &str),
) -> Entry {
    let mut entry = Entry {
        id,
        title: source.title,
        signature: source.signature.iter().map(|text| text.trim_matches('\n').to_owned()).collect(),
        matches: source.matches,
        same_text_as: source.same_text_as,
        cause: source.cause,
        versions: source.versions,
        workarounds: source.workaround,
        dead_ends: source.dead_end,
        corrections: source.correction,
        documents: Vec::new(),
        tests: source.test,
        leads_to: source.leads_to,
        confused_with: source.confused_with,
    };
    let mut keys = source.documents;
    for name in source.include {
        let Some(part) = shared.get(&name) else {
            says("include", &format!("there is no shared/{name}.toml"));
            continue;
        };
        used.insert(name);
        let Some(part) = part else { continue };
        entry.workarounds.extend(part.workaround.iter().cloned());
        entry.dead_ends.extend(part.dead_end.iter().cloned());
        entry.corrections.extend(part.correction.iter().cloned());
        entry.tests.extend(part.test.iter().cloned());
        keys.extend(part.documents.iter().cloned());
    }
    for key in keys {
        match documents.get(&key) {
            Some(document) if !entry.documents.contains(document) => entry.documents.push(document.clone()),
            Some(_) => {}
            None => says("documents", &format!("`{key}` is not in documents.toml")),
        }
    }
    entry
}

fn check(entry: &Entry, ids: &BTreeSet<String>, says: &mut impl FnMut(&str, &str)) {
    for (field, text) in texts(entry) {
        if text.en.trim().is_empty() || text.zh.trim().is_empty() {
            says(&field, "is empty in a language");
        } else if text.en.chars().any(is_chinese) {
            says(&field, "en: is not English");
        } else if says_words(&text.zh) && !text.zh.chars().any(is_chinese) {
            says(&field, "zh: is not Chinese");
        }
    }
    match &entry.same_text_as {
        None if entry.signature.is_empty() => says("signature", "is missing"),
        None if entry.matches.is_empty() => says("match", "is missing"),
        Some(_) if !entry.signature.is_empty() => says("signature", "another entry has this text (same_text_as)"),
        Some(_) if !entry.matches.is_empty() => says("match", "another entry matches this text (same_text_as)"),
        _ => {}
    }
    for (field, range) in [
        ("versions.terraform", &entry.versions.terraform),
        ("versions.opentofu", &entry.versions.opentofu),
        ("versions.providers", &entry.versions.providers),
    ] {
        if !is_range(range) {
            says(field, "is neither `all`, `none` nor a range such as `>=1.10, <1.12`");
        }
    }
    if entry.workarounds.is_empty() {
        says("workaround", "is missing");
    }
    if entry.dead_ends.is_empty() {
        says("dead_end", "is missing");
    }
    if entry.documents.is_empty() && entry.tests.is_empty() {
        says("documents", "nothing shows that it is true: neither a document nor a test");
    }
    for (number, step) in entry.workarounds.iter().enumerate() {
        if let Some(fault) = step.policy.as_deref().and_then(policy_fault) {
            says(&format!("workaround[{number}].policy"), &fault);
        }
    }
    let linked = entry
        .leads_to
        .iter()
        .map(|id| ("leads_to", id))
        .chain(entry.confused_with.iter().map(|other| ("confused_with", &other.entry)))
        .chain(entry.same_text_as.iter().map(|id| ("same_text_as", id)));
    for (field, id) in linked {
        if *id == entry.id || !ids.contains(id) {
            says(field, &format!("there is no other entry `{id}`"));
        }
    }
}

/// Whoever follows a text must find the entries that share it.
fn check_twins(entries: &[Entry], faults: &mut Vec<String>) {
    for entry in entries {
        let Some(twin) = &entry.same_text_as else { continue };
        let Some(twin) = entries.iter().find(|other| other.id == *twin) else { continue };
        if twin.same_text_as.is_some() || !twin.confused_with.iter().any(|other| other.entry == entry.id) {
            faults.push(format!(
                "entries/{}.toml: confused_with: `{}` has the same text, and is not told apart here",
                twin.id, entry.id
            ));
        }
    }
}

/// All texts of an entry, with the fields in which they stand.
fn texts(entry: &Entry) -> Vec<(String, &Text)> {
    let mut texts = vec![("title".to_owned(), &entry.title), ("cause".to_owned(), &entry.cause)];
    texts.extend(entry.workarounds.iter().enumerate().map(|(n, step)| (format!("workaround[{n}].what"), &step.what)));
    for (n, end) in entry.dead_ends.iter().enumerate() {
        texts.push((format!("dead_end[{n}].tried"), &end.tried));
        texts.push((format!("dead_end[{n}].why"), &end.why));
    }
    for (n, correction) in entry.corrections.iter().enumerate() {
        texts.push((format!("correction[{n}].said"), &correction.said));
        texts.push((format!("correction[{n}].is"), &correction.is));
    }
    texts.extend(entry.tests.iter().enumerate().map(|(n, test)| (format!("test[{n}].shows"), &test.shows)));
    let likenesses = entry.confused_with.iter().enumerate();
    texts.extend(likenesses.map(|(n, other)| (format!("confused_with[{n}].differs"), &other.differs)));
    texts
}

/// What is wrong with the outer form of a policy.
fn policy_fault(policy: &str) -> Option<String> {
    let value: serde_json::Value = match serde_json::from_str(policy) {
        Ok(value) => value,
        Err(error) => return Some(format!("is no JSON: {error}")),
    };
    if value["Version"] != "2012-10-17" {
        return Some("has no Version 2012-10-17".to_owned());
    }
    value["Statement"].as_array().is_none_or(Vec::is_empty).then(|| "has no Statement".to_owned())
}

fn is_slug(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Whether there is more than what stands between backticks.
fn says_words(text: &str) -> bool {
    text.split('`').step_by(2).any(|words| words.chars().any(char::is_alphabetic))
}

fn is_chinese(c: char) -> bool {
    ('\u{4e00}'..='\u{9fff}').contains(&c)
}

fn is_day(text: &str) -> bool {
    text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() })
}

fn is_range(text: &str) -> bool {
    let is_bound = |bound: &str| {
        let bound = bound.trim();
        let version = bound.trim_start_matches(['<', '>', '=']);
        version.len() < bound.len() && version.split('.').all(|part| part.parse::<u32>().is_ok())
    };
    matches!(text, "all" | "none") || text.split(',').all(is_bound)
}
