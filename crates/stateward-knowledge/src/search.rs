//! Entries for a few words.

use crate::entry::{Entry, Language};
use crate::{entries, entry_for};

/// The entries for a text: those that it is an error of, and behind them those that hold all of its words, the closest first.
pub fn search(text: &str) -> Vec<&'static Entry> {
    let problems = stateward_denial::read(text.as_bytes());
    let mut found: Vec<&Entry> = Vec::new();
    for entry in problems.iter().filter_map(entry_for) {
        if !found.contains(&entry) {
            found.push(entry);
        }
    }
    // Whoever gives an error is not helped by what shares its words.
    if !found.is_empty() {
        return found;
    }
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    let mut scored: Vec<(u32, &Entry)> =
        entries().iter().filter_map(|entry| Some((score(entry, &words)?, entry))).collect();
    scored.sort_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.id.cmp(&other.id)));
    scored.into_iter().map(|(_, entry)| entry).collect()
}

/// How much the words weigh where they stand; nothing if one stands nowhere.
fn score(entry: &Entry, words: &[String]) -> Option<u32> {
    if words.is_empty() {
        return None;
    }
    let both =
        |text: &crate::entry::Text| format!("{} {}", text.get(Language::En), text.get(Language::Zh)).to_lowercase();
    let title = format!("{} {}", entry.id, both(&entry.title));
    let signature = entry.signature.join(" ").to_lowercase();
    let rest = format!(
        "{} {}",
        both(&entry.cause),
        entry.workarounds.iter().map(|step| both(&step.what)).collect::<Vec<_>>().join(" ")
    );
    let weigh = |word: &String| match word.as_str() {
        word if title.contains(word) => Some(5),
        word if signature.contains(word) => Some(3),
        word if rest.contains(word) => Some(1),
        _ => None,
    };
    words.iter().map(weigh).sum()
}
