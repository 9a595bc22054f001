//! An entry as a page: the same blocks for every format.

use crate::entry::{Entry, Language, Remedy, Step};
use crate::lab;
use crate::words::{self, Words};

/// A part of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Block {
    /// A heading of the second level.
    Heading(String),
    /// A paragraph.
    Text(Vec<Span>),
    /// Lines as they are, and what language they are in.
    Code(&'static str, String),
    /// A list.
    Items(Vec<Vec<Span>>),
}

/// A part of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Span {
    Text(String),
    Code(String),
    Strong(String),
    /// Another entry, and its title.
    Entry(&'static str, String),
    /// What the laboratory counted.
    Lab(String),
    /// An address elsewhere, and its title.
    Outside(String, String),
}

/// All of an entry but its title.
pub(crate) fn blocks(entry: &'static Entry, language: Language) -> Vec<Block> {
    let words = Words::of(language);
    let mut blocks = vec![Block::Heading(words.text.to_owned())];
    blocks.extend(entry.signature.iter().map(|text| Block::Code("text", text.clone())));
    if let Some(twin) = &entry.same_text_as {
        let mut line = vec![Span::Text(format!("{}{}", words.same_text, words.colon))];
        line.extend(link(twin, language));
        blocks.push(Block::Text(line));
    }
    blocks.push(Block::Heading(words.cause.to_owned()));
    blocks.push(Block::Text(inline(entry.cause.get(language))));
    blocks.push(Block::Heading(words.workarounds.to_owned()));
    blocks.extend(entry.workarounds.iter().flat_map(|step| step_blocks(entry, step, language)));
    blocks.push(Block::Heading(words.dead_ends.to_owned()));
    let ends = entry.dead_ends.iter().map(|end| {
        let mut line = labelled(end.tried.get(language), end.why.get(language), words);
        line.extend(counted(entry, end.remedy, words));
        line
    });
    blocks.push(Block::Items(ends.collect()));
    if !entry.corrections.is_empty() {
        blocks.push(Block::Heading(words.corrections.to_owned()));
        blocks.extend(entry.corrections.iter().map(|correction| {
            let line = |label: &str, text: &str| {
                let mut line = vec![Span::Strong(label.to_owned()), Span::Text(words.colon.to_owned())];
                line.extend(inline(text));
                line
            };
            let said = line(words.said, correction.said.get(language));
            Block::Items(vec![said, line(words.is, correction.is.get(language))])
        }));
    }
    blocks.extend(links(entry, language));
    blocks.push(Block::Heading(words.versions.to_owned()));
    let versions = &entry.versions;
    let of = [("Terraform", &versions.terraform), ("OpenTofu", &versions.opentofu), ("Providers", &versions.providers)];
    let of = of.map(|(name, range)| vec![Span::Text(format!("{name}{}{}", words.colon, words.range(range)))]);
    blocks.push(Block::Items(of.into()));
    blocks.push(Block::Heading(words.evidence.to_owned()));
    blocks.push(Block::Items(evidence(entry, language)));
    blocks
}

fn step_blocks(entry: &Entry, step: &Step, language: Language) -> Vec<Block> {
    let words = Words::of(language);
    let mut line = vec![Span::Strong(words::who(step.who, language).to_owned()), Span::Text(words.colon.to_owned())];
    line.extend(inline(step.what.get(language)));
    line.extend(counted(entry, step.remedy, words));
    let mut blocks = vec![Block::Text(line)];
    blocks.extend(step.run.iter().map(|run| Block::Code("sh", run.trim_end().to_owned())));
    blocks.extend(step.policy.iter().map(|policy| Block::Code("json", policy.trim_end().to_owned())));
    blocks
}

fn links(entry: &'static Entry, language: Language) -> Vec<Block> {
    let words = Words::of(language);
    let mut blocks = Vec::new();
    if !entry.confused_with.is_empty() {
        let item = |other: &'static crate::entry::Likeness| {
            let mut line: Vec<Span> = link(&other.entry, language).into_iter().collect();
            line.push(Span::Text(words.colon.to_owned()));
            line.extend(inline(other.differs.get(language)));
            line
        };
        blocks.push(Block::Heading(words.confused_with.to_owned()));
        blocks.push(Block::Items(entry.confused_with.iter().map(item).collect()));
    }
    if !entry.leads_to.is_empty() {
        blocks.push(Block::Heading(words.leads_to.to_owned()));
        blocks.push(Block::Items(entry.leads_to.iter().map(|id| link(id, language).into_iter().collect()).collect()));
    }
    blocks
}

fn evidence(entry: &Entry, language: Language) -> Vec<Vec<Span>> {
    let words = Words::of(language);
    let documents = entry.documents.iter().map(|document| {
        vec![
            Span::Outside(document.url.clone(), document.title.clone()),
            Span::Text(format!(" ({} {})", words.read, document.read)),
        ]
    });
    let tests = entry.tests.iter().map(|test| {
        let mut line = vec![
            Span::Text(format!("{} ", words.test)),
            Span::Code(format!("{}: {}", test.file, test.name)),
            Span::Text(words.colon.to_owned()),
        ];
        line.extend(inline(test.shows.get(language)));
        line
    });
    documents.chain(tests).collect()
}

fn labelled(label: &str, text: &str, words: &Words) -> Vec<Span> {
    let mut line = inline(label);
    for span in &mut line {
        if let Span::Text(text) = span {
            *span = Span::Strong(std::mem::take(text));
        }
    }
    line.push(Span::Text(words.colon.to_owned()));
    line.extend(inline(text));
    line
}

/// How many of the causes that print the entry's texts it ends.
fn counted(entry: &Entry, remedy: Option<Remedy>, words: &Words) -> Option<Span> {
    let count = lab::count(&entry.id)?;
    let ends = count.ends.get(&remedy?)?;
    Some(Span::Lab(words.counted.replace("{m}", &ends.to_string()).replace("{n}", &count.causes.to_string())))
}

/// A link to an entry; the build has seen to it that it is there.
fn link(id: &str, language: Language) -> Option<Span> {
    let entry = crate::find(id)?;
    Some(Span::Entry(&entry.id, entry.title.get(language).to_owned()))
}

/// A text with code between backticks.
pub(crate) fn inline(text: &str) -> Vec<Span> {
    let pieces = text.split('`').enumerate();
    let span = |(number, piece): (usize, &str)| match number % 2 {
        0 => Span::Text(piece.to_owned()),
        _ => Span::Code(piece.to_owned()),
    };
    pieces.filter(|(_, piece)| !piece.is_empty()).map(span).collect()
}
