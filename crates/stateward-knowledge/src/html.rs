//! Entries and the index as HTML.

use std::fmt::Write;

use crate::entry::{Entry, Language};
use crate::page::{self, Block, Span};
use crate::words::{self, Words};

/// The page of an entry. Its links are relative, so that the site may lie anywhere.
pub fn html(entry: &'static Entry, language: Language) -> String {
    let title = entry.title.get(language);
    let words = Words::of(language);
    let root = root(language, entry.id.split('/').count());
    let mut body =
        format!("<h1>{}</h1>\n<p><code>{}</code></p>\n", spans(&page::inline(title), &root, language), entry.id);
    for block in page::blocks(entry, language) {
        match block {
            Block::Heading(heading) => _ = writeln!(body, "<h2>{}</h2>", escaped(&heading)),
            Block::Text(line) => _ = writeln!(body, "<p>{}</p>", spans(&line, &root, language)),
            // Whoever has no mouse must be able to scroll a long line.
            Block::Code(kind, code) => {
                let label = if kind == "json" { words.policy } else { words.text };
                let label = if kind == "sh" { "shell" } else { label };
                _ = writeln!(
                    body,
                    "<pre tabindex=\"0\" role=\"group\" aria-label=\"{label}\"><code>{}</code></pre>",
                    escaped(&code)
                );
            }
            Block::Items(items) => {
                body.push_str("<ul>\n");
                for item in items {
                    _ = writeln!(body, "<li>{}</li>", spans(&item, &root, language));
                }
                body.push_str("</ul>\n");
            }
        }
    }
    let prefix = prefix(language);
    _ = writeln!(
        body,
        "<p class=\"formats\">{}{}<a href=\"{root}{}.json\">JSON</a> · <a href=\"{root}{prefix}{}.md\">Markdown</a></p>",
        words.also_as, words.colon, entry.id, entry.id
    );
    frame(&title.replace('`', ""), &body, &root, language, &format!("{}/index.html", entry.id))
}

/// The list of all entries, which the script of the page searches.
pub(crate) fn index(entries: &'static [Entry], language: Language) -> String {
    let words = Words::of(language);
    let root = root(language, 0);
    let mut body = format!(
        "<h1>{}</h1>\n<p>{}</p>\n<form role=\"search\">\n<label for=\"q\">{}</label>\n\
         <input id=\"q\" type=\"search\" autocomplete=\"off\" spellcheck=\"false\" placeholder=\"{}\">\n\
         <p id=\"count\" role=\"status\" data-found=\"{}\"></p>\n</form>\n",
        words.site, words.about, words.search, words.search_hint, words.found
    );
    let mut last = "";
    for entry in entries {
        let domain = entry.id.split('/').next().unwrap_or_default();
        if domain != last {
            if !last.is_empty() {
                body.push_str("</ul>\n</section>\n");
            }
            let id = escaped(domain);
            _ = writeln!(
                body,
                "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{}</h2>\n<ul class=\"entries\">",
                words::domain(domain, language)
            );
            last = domain;
        }
        _ = writeln!(
            body,
            "<li data-words=\"{}\"><a href=\"{root}{}{}/index.html\">{}</a></li>",
            escaped(&searched(entry)),
            prefix(language),
            entry.id,
            escaped(&entry.title.get(language).replace('`', ""))
        );
    }
    body.push_str("</ul>\n</section>\n");
    _ = writeln!(body, "<script src=\"{root}search.js\"></script>");
    frame(words.site, &body, &root, language, "index.html")
}

/// What a search looks through, in lower case.
fn searched(entry: &Entry) -> String {
    let mut text = format!("{} {} {}", entry.id, entry.title.en, entry.title.zh);
    for part in &entry.signature {
        text.push(' ');
        text.extend(part.split_whitespace().flat_map(|word| [word, " "]));
    }
    text.to_lowercase()
}

fn frame(title: &str, body: &str, root: &str, language: Language, path: &str) -> String {
    let words = Words::of(language);
    let other = match language {
        Language::En => Language::Zh,
        Language::Zh => Language::En,
    };
    let (other_words, other_prefix) = (Words::of(other), prefix(other));
    let site = if path == "index.html" { String::new() } else { format!(" · {}", words.site) };
    format!(
        "<!DOCTYPE html>\n<html lang=\"{tag}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}{site}</title>\n\
         <link rel=\"stylesheet\" href=\"{root}kb.css\">\n\
         <link rel=\"alternate\" hreflang=\"{other_tag}\" href=\"{root}{other_prefix}{path}\">\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#content\">{skip}</a>\n<header>\n<nav aria-label=\"{name}\">\n\
         <a href=\"{root}{prefix}index.html\">{all}</a>\n\
         <a href=\"{root}{other_prefix}{path}\" lang=\"{other_tag}\" hreflang=\"{other_tag}\">{other_name}</a>\n\
         </nav>\n</header>\n<main id=\"content\">\n{body}</main>\n</body>\n</html>\n",
        tag = words.tag,
        title = escaped(title),
        skip = words.skip,
        name = words.site,
        all = words.all,
        prefix = prefix(language),
        other_tag = other_words.tag,
        other_name = other_words.name,
    )
}

fn prefix(language: Language) -> &'static str {
    match language {
        Language::En => "",
        Language::Zh => "zh/",
    }
}

/// The way from a page this deep in its language's directory to the root of the site.
fn root(language: Language, depth: usize) -> String {
    "../".repeat(depth + usize::from(language == Language::Zh))
}

fn spans(line: &[Span], root: &str, language: Language) -> String {
    let span = |span: &Span| match span {
        Span::Text(text) => escaped(text),
        Span::Strong(text) => format!("<strong>{}</strong>", escaped(text)),
        Span::Code(code) => format!("<code>{}</code>", escaped(code)),
        Span::Entry(id, title) => {
            format!("<a href=\"{root}{}{id}/index.html\">{}</a>", prefix(language), escaped(&title.replace('`', "")))
        }
        Span::Lab(text) => format!(" <a href=\"{root}lab.json\">{}</a>", escaped(text)),
        Span::Outside(url, title) => format!("<a href=\"{}\" lang=\"en\">{}</a>", escaped(url), escaped(title)),
    };
    line.iter().map(span).collect()
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}
