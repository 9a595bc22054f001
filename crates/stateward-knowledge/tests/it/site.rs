//! The site as files: whole, well-formed, and without a link to nowhere.

use std::collections::BTreeSet;

use serde_json::Value;
use stateward_knowledge::{Language, entries, html, markdown, search, site};

/// The path that a relative link leads to from a file.
fn resolved(from: &str, link: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            ".." => assert!(parts.pop().is_some(), "{from}: {link} leaves the site"),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// What stands between these two marks, each time.
fn between<'a>(text: &'a str, start: &'a str, end: char) -> impl Iterator<Item = &'a str> {
    text.split(start).skip(1).filter_map(move |rest| rest.split(end).next())
}

#[test]
fn every_entry_is_there_in_every_format_and_language() {
    for entry in entries() {
        for path in ["ID/index.html", "ID.json", "ID.md", "zh/ID/index.html", "zh/ID.md"] {
            let path = path.replace("ID", &entry.id);
            assert!(site::files().contains_key(&path), "{path}");
        }
        let directory = format!("{}/", entry.id);
        assert_eq!(site::find(&directory).unwrap().text, html(entry, Language::En));
        assert_eq!(site::find(&format!("/zh/{directory}")).unwrap().text, html(entry, Language::Zh));
        assert!(markdown(entry, Language::Zh).starts_with(&format!("# {}", entry.title.zh.split('`').next().unwrap())));
    }
    for path in
        ["index.html", "zh/index.html", "index.json", "llms.txt", "schema.json", "kb.css", "search.js", "lab.json"]
    {
        assert!(site::files().contains_key(path), "{path}");
    }
    assert_eq!(site::find(""), site::find("index.html"));
    assert!(site::find("../Cargo.toml").is_none() && site::find("policy").is_none());
}

#[test]
fn every_link_leads_somewhere() {
    let mut links = 0;
    for (path, file) in site::files() {
        let html = between(&file.text, "href=\"", '"').chain(between(&file.text, "src=\"", '"'));
        let markdown = between(&file.text, "](", ')');
        let found: Vec<&str> = match path.rsplit('.').next() {
            Some("html") => html.collect(),
            Some("md" | "txt") => markdown.collect(),
            _ => continue,
        };
        for link in found {
            links += 1;
            match link {
                "#content" => assert!(file.text.contains("id=\"content\"")),
                link if link.starts_with("https://") => {}
                link => {
                    let target = resolved(path, link);
                    assert!(site::files().contains_key(&target), "{path}: {link} is {target}");
                }
            }
        }
    }
    assert!(links > 2000, "{links}");
}

/// Walks through the tags; panics where they do not nest, or where text was not escaped.
fn check_html(path: &str, text: &str) {
    const VOID: [&str; 3] = ["input", "link", "meta"];
    let mut open: Vec<&str> = Vec::new();
    let mut ids = BTreeSet::new();
    let body = text.strip_prefix("<!DOCTYPE html>\n").unwrap_or_else(|| panic!("{path}: no doctype"));
    for piece in body.split('<').skip(1) {
        let (tag, words) = piece.split_once('>').unwrap_or_else(|| panic!("{path}: `<{piece}` does not end"));
        assert!(!words.contains('>'), "{path}: `{words}`");
        for rest in piece.split('&').skip(1) {
            let known = ["amp;", "lt;", "gt;", "quot;"].iter().any(|name| rest.starts_with(name));
            assert!(known, "{path}: `&{rest}`");
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{path}: `</{name}>`");
            continue;
        }
        assert!(tag.matches('"').count().is_multiple_of(2), "{path}: `<{tag}>`");
        let name = tag.split_whitespace().next().unwrap();
        if let Some(id) = between(tag, " id=\"", '"').next() {
            assert!(ids.insert(id), "{path}: id {id} twice");
        }
        if !VOID.contains(&name) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{path}: {open:?}");
}

#[test]
fn html_is_well_formed_and_says_its_language() {
    for (path, file) in site::files().iter().filter(|(path, _)| path.rsplit('.').next() == Some("html")) {
        check_html(path, &file.text);
        let lang = if path.starts_with("zh/") { "<html lang=\"zh\">" } else { "<html lang=\"en\">" };
        for (once, count) in [(lang, 1), ("<h1>", 1), ("<title>", 1), ("<main id=\"content\">", 1), ("<style", 0)] {
            assert_eq!(file.text.matches(once).count(), count, "{path}: {once}");
        }
        // What a reader without eyes, without a mouse or with a small screen needs.
        assert!(file.text.contains("name=\"viewport\"") && file.text.contains("class=\"skip\""), "{path}");
        assert_eq!(file.text.matches("<pre").count(), file.text.matches("<pre tabindex=\"0\"").count(), "{path}");
        assert_eq!(
            file.text.matches("<input id=\"q\"").count(),
            file.text.matches("<label for=\"q\"").count(),
            "{path}"
        );
        // Neither scripts nor styles stand in the page, so that a strict policy of the server's can forbid them there.
        let scripts = between(&file.text, "<script", '>');
        assert!(scripts.into_iter().all(|tag| tag.contains("src=")), "{path}");
        assert!(!file.text.contains(" style=") && !file.text.contains(" onclick="), "{path}");
    }
}

/// Checks a value against the part of JSON Schema that the site's own schema uses.
fn check_schema(place: &str, root: &Value, schema: &Value, value: &Value) {
    let schema = match schema["$ref"].as_str() {
        Some(path) => root.pointer(path.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    if let Some(names) = schema["enum"].as_array() {
        assert!(names.contains(value), "{place}: {value}");
    }
    let kind = match value {
        Value::Null => "null",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        _ => "integer",
    };
    match &schema["type"] {
        Value::String(wanted) => assert_eq!(wanted, kind, "{place}"),
        Value::Array(wanted) => assert!(wanted.iter().any(|wanted| wanted == kind), "{place}"),
        _ => {}
    }
    if value.is_null() {
        return;
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(value.get(name.as_str().unwrap()).is_some(), "{place}: no {name}");
    }
    if let Some(fields) = value.as_object().filter(|_| schema["properties"].is_object() && place != "match") {
        for (name, value) in fields {
            assert!(schema["properties"].get(name).is_some(), "{place}: {name} is not in the schema");
            check_schema(name, root, &schema["properties"][name], value);
        }
    }
    if schema["items"].is_object() {
        value.as_array().unwrap().iter().for_each(|item| check_schema(place, root, &schema["items"], item));
    }
}

#[test]
fn documents_are_what_their_schema_says() {
    let schema: Value = serde_json::from_str(&site::find("schema.json").unwrap().text).unwrap();
    for entry in entries() {
        let document: Value = serde_json::from_str(&site::find(&format!("{}.json", entry.id)).unwrap().text).unwrap();
        assert_eq!(document["schema"], 1);
        check_schema(&entry.id, &schema, &schema, &document);
    }
}

#[test]
fn the_lists_name_every_entry() {
    let index: Value = serde_json::from_str(&site::find("index.json").unwrap().text).unwrap();
    let ids: Vec<&str> = index["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert!(ids.iter().copied().eq(entries().iter().map(|entry| entry.id.as_str())));
    let llms = &site::find("llms.txt").unwrap().text;
    let list = &site::find("zh/index.html").unwrap().text;
    for entry in entries() {
        assert!(llms.contains(&format!("({}.md)", entry.id)), "{}", entry.id);
        assert!(list.contains(&format!("/zh/{}/index.html", entry.id)) || list.contains(&format!("zh/{}/", entry.id)));
    }
}

#[test]
fn a_search_takes_errors_and_words_of_both_languages() {
    let ids = |text: &str| search(text).iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>();
    let error = &entries().iter().find(|entry| entry.id == "lock/state-lock-held").unwrap().signature[0];
    assert_eq!(ids(error), ["lock/state-lock-held"]);
    assert_eq!(ids("digest mismatch").first(), Some(&"state/digest-mismatch"));
    assert_eq!(ids("外部 ID").first(), Some(&"role/external-id"));
    assert!(ids("force-unlock").contains(&"lock/force-unlock-wrong-id"));
    assert!(ids("zebra").is_empty() && ids(" ").is_empty());
}
