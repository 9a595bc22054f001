//! The knowledge base as files: HTML, Markdown and JSON, in each language.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::LazyLock;

use serde::Serialize;
use serde_json::json;

use crate::entry::{Entry, Language};
use crate::html::index;
use crate::words::{self, Words};
use crate::{count, entries, html, lab, markdown};

/// A file of the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its media type, for HTTP.
    pub media_type: &'static str,
    /// What it holds.
    pub text: String,
}

const HTML: &str = "text/html; charset=utf-8";
const MARKDOWN: &str = "text/markdown; charset=utf-8";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// All files by their paths, which begin without a slash.
pub fn files() -> &'static BTreeMap<String, File> {
    static FILES: LazyLock<BTreeMap<String, File>> = LazyLock::new(build);
    &FILES
}

/// The file that a path of the site leads to: a directory's is its `index.html`.
pub fn find(path: &str) -> Option<&'static File> {
    let path = path.trim_start_matches('/');
    if path.is_empty() || path.ends_with('/') {
        return files().get(&format!("{path}index.html"));
    }
    files().get(path)
}

/// One line of the list of entries.
#[derive(Debug, Clone, Serialize)]
pub struct Item {
    /// The entry's ID.
    pub id: String,
    /// Its title in English.
    pub title: String,
    /// Its title in Chinese.
    pub title_zh: String,
    /// The part of the ID before the slash.
    pub domain: String,
    /// The languages that it is there in.
    pub languages: [&'static str; 2],
    /// The causes behind its texts: those that the laboratory enumerates, or else the one that it tells.
    pub causes: usize,
    /// The first line of each of its texts.
    pub signature: Vec<String>,
}

/// The line of an entry.
pub fn item(entry: &Entry) -> Item {
    let first_lines = entry.signature.iter().filter_map(|text| text.lines().next());
    Item {
        id: entry.id.clone(),
        title: entry.title.en.clone(),
        title_zh: entry.title.zh.clone(),
        domain: entry.id.split('/').next().unwrap_or_default().to_owned(),
        languages: ["en", "zh"],
        causes: count(&entry.id).map_or(1, |count| count.causes),
        signature: first_lines.map(str::to_owned).collect(),
    }
}

/// An entry as a document.
pub fn json(entry: &Entry) -> String {
    let mut document = serde_json::Map::from_iter([("schema".to_owned(), json!(1))]);
    // Only a map with other keys than texts could fail, and there is none.
    if let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(entry) {
        document.extend(fields);
        document.insert("counted".to_owned(), json!(count(&entry.id)));
    }
    pretty(&document.into())
}

fn build() -> BTreeMap<String, File> {
    let mut files = BTreeMap::new();
    let mut add = |path: String, media_type, text| _ = files.insert(path, File { media_type, text });
    for entry in entries() {
        let id = &entry.id;
        add(format!("{id}.json"), JSON, json(entry));
        for (prefix, language) in [("", Language::En), ("zh/", Language::Zh)] {
            add(format!("{prefix}{id}/index.html"), HTML, html(entry, language));
            add(format!("{prefix}{id}.md"), MARKDOWN, markdown(entry, language));
        }
    }
    add("index.html".to_owned(), HTML, index(entries(), Language::En));
    add("zh/index.html".to_owned(), HTML, index(entries(), Language::Zh));
    let items: Vec<_> = entries().iter().map(item).collect();
    add("index.json".to_owned(), JSON, pretty(&json!({ "schema": 1, "items": items })));
    add("lab.json".to_owned(), JSON, lab::DATA.to_owned());
    add("llms.txt".to_owned(), TEXT, llms());
    add("schema.json".to_owned(), JSON, include_str!("../site/schema.json").to_owned());
    add("kb.css".to_owned(), "text/css; charset=utf-8", include_str!("../site/kb.css").to_owned());
    add("search.js".to_owned(), "text/javascript; charset=utf-8", include_str!("../site/search.js").to_owned());
    files
}

/// The list for readers that are programs: <https://llmstxt.org>.
fn llms() -> String {
    let words = Words::of(Language::En);
    let mut text = format!(
        "# {}\n\n> {}\n\nEach entry is also at the same path with `.json` (shape: schema.json), and under `zh/` in Chinese. \
         Entries are matched by structure (`stateward explain`), not by the words `state lock` around an error.\n",
        words.site, words.about
    );
    let mut last = "";
    for entry in entries() {
        let domain = entry.id.split('/').next().unwrap_or_default();
        if domain != last {
            _ = writeln!(text, "\n## {}\n", words::domain(domain, Language::En));
            last = domain;
        }
        _ = writeln!(text, "- [{}]({}.md)", entry.title.en.replace('`', ""), entry.id);
    }
    text
}

fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}
