//! Entries as Markdown.

use std::fmt::Write;

use crate::entry::{Entry, Language};
use crate::page::{self, Block, Span};

/// An entry; its links are to the Markdown of the others, from where it lies itself.
pub fn markdown(entry: &'static Entry, language: Language) -> String {
    let root = match language {
        Language::En => "../",
        Language::Zh => "../../",
    };
    let mut text = format!("# {}\n\n`{}`\n", spans(&page::inline(entry.title.get(language)), root), entry.id);
    for block in page::blocks(entry, language) {
        text.push('\n');
        match block {
            Block::Heading(heading) => _ = writeln!(text, "## {heading}"),
            Block::Text(line) => _ = writeln!(text, "{}", spans(&line, root)),
            Block::Code(kind, code) => _ = writeln!(text, "```{kind}\n{code}\n```"),
            Block::Items(items) => items.iter().for_each(|item| _ = writeln!(text, "- {}", spans(item, root))),
        }
    }
    text
}

fn spans(line: &[Span], root: &str) -> String {
    let span = |span: &Span| match span {
        Span::Text(text) => escaped(text),
        Span::Strong(text) if text.trim().is_empty() => text.clone(),
        // Markdown takes no blanks inside of the marks.
        Span::Strong(text) => {
            let inner = text.trim();
            text.replacen(inner, &format!("**{}**", escaped(inner)), 1)
        }
        Span::Code(code) => format!("`{code}`"),
        Span::Entry(id, title) => format!("[{}](../{id}.md)", escaped(&title.replace('`', ""))),
        Span::Lab(text) => format!(" [{text}]({root}lab.json)"),
        Span::Outside(url, title) => format!("[{}]({url})", escaped(title)),
    };
    line.iter().map(span).collect()
}

/// With what Markdown would take for marks of its own.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '_' | '[' | ']' | '<' | '>' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
