//! The message of a refusal, by its grammar:
//! `User: WHO is not authorized to perform: ACTION [on resource: WHAT] [because …|with an explicit deny …][: POLICY][. …]`.
//!
//! Any part may be missing at either end, and services have their own habits in naming what they guard.

mod context;

use std::ops::Range;

use crate::principal::Principal;
use crate::problem::{Denial, Layer, Part};
use crate::squeeze::{Gap, Squeezed};

/// What a message says, and where it stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message {
    /// What it says; the envelope's fields are not filled.
    pub(crate) denial: Denial,
    /// A layer that it names beside the one that refused.
    pub(crate) through: Option<Layer>,
    /// Where it begins.
    pub(crate) start: usize,
    /// Where it ends.
    pub(crate) end: usize,
    /// Whether it ends by being cut off.
    pub(crate) cut: bool,
}

/// The verb of every refusal.
pub(crate) const VERB: &str = "not authorized to perform";

const PRINCIPAL_MAX: usize = 700;
const ACTION_MAX: usize = 160;
/// An S3 key has at most 1,024 bytes, which escapes can make more of.
const RESOURCE_MAX: usize = 3200;
const CONTEXTS: &[&str] = &["because", "with an explicit deny", "with explicit deny"];
/// What no name of a resource goes across: it belongs to the next error.
const FOREIGN: &[&str] = &[
    "user:",
    "not authorized",
    "statuscode",
    "status code",
    "request id",
    "error:",
    "operation error",
    "api error",
    "error occurred",
    "caused by",
    "exception:",
    "lock info",
];

/// Reads the message whose [`VERB`] stands at `verb`. It does not begin before `floor`.
pub(crate) fn read(text: &Squeezed<'_>, verb: usize, floor: usize) -> Option<Message> {
    let subject = subject(text, verb, floor);
    let after = text.behind(verb, VERB)?;
    let mut message = Message { start: subject.start, end: after, ..Message::default() };
    if let Some(principal) = subject.principal.clone() {
        message.denial.principal = Principal::parse(&text.word(principal).replace('`', ""));
    }
    let known = message.denial.principal.arn.is_some();
    read_rest(text, after, &mut message);
    // Others refuse in similar words; AWS's name an action, or at least who it is.
    (message.denial.action.is_some() || known && subject.named).then_some(message)
}

/// Reads a message that lost its head, by the `because …` or `explicit deny` at `context`.
pub(crate) fn read_tail(text: &Squeezed<'_>, context: usize, floor: usize) -> Option<Message> {
    let window = floor.max(context.saturating_sub(RESOURCE_MAX))..context;
    let mut message = Message { start: context, end: context, ..Message::default() };
    let from = text
        .find_last(window.clone(), "perform:")
        .map(|found| (found.start, found.end))
        .or_else(|| text.find_last(window, "on resource:").map(|found| (found.start, found.start)));
    if let Some((start, from)) = from
        && !FOREIGN.iter().any(|foreign| text.find(from..context, foreign).is_some())
    {
        message.start = start;
        read_rest(text, from, &mut message);
        if message.end > context {
            return Some(message);
        }
        message = Message { start: context, end: context, ..Message::default() };
    }
    read_context(text, context, &mut message);
    (message.end > context).then_some(message)
}

/// Reads the start of a message that was cut before it named an action: `User: ARN is not…` at `user`.
pub(crate) fn read_head(text: &Squeezed<'_>, user: usize) -> Option<Message> {
    let start = text.behind(user, "user:")?;
    let ends = |index: &usize| match text.gap(*index) {
        Gap::None => false,
        Gap::Break => !text.breaks_words(user, index + 1),
        Gap::Space | Gap::Written | Gap::Blank => true,
    };
    let end = (start + 1..text.len().min(start + PRINCIPAL_MAX)).find(ends)?;
    let verb = text.behind(end, "is not")?;
    let mut message = Message { start: user, end: verb, cut: true, ..Message::default() };
    message.denial.principal = Principal::parse(&text.word(start..end));
    Some(message)
}

struct Subject {
    start: usize,
    principal: Option<Range<usize>>,
    /// Whether the text calls it a user, or it is an ARN.
    named: bool,
}

/// Who stands before the verb.
fn subject(text: &Squeezed<'_>, verb: usize, floor: usize) -> Subject {
    let nobody = |start| Subject { start, principal: None, named: false };
    if verb >= 6 && text.behind(verb - 6, "you are").is_some() {
        return nobody(verb - 6);
    }
    if verb < 2 || text.behind(verb - 2, "is").is_none() {
        return nobody(verb);
    }
    let is = verb - 2;
    let from = floor.max(is.saturating_sub(PRINCIPAL_MAX));
    // It is not named in front of an empty line.
    let from = (from + 1..=is).rev().find(|index| text.gap(*index) == Gap::Blank).unwrap_or(from);
    let mut until = is;
    while let Some(user) = text.find_last(from..until, "user") {
        let apart = text.gap(user.start) != Gap::None || !text.byte(user.start.wrapping_sub(1)).is_ascii_alphanumeric();
        let in_arn = text.gap(user.start) == Gap::None && text.byte(user.start.wrapping_sub(1)) == b':';
        let introduces = matches!(text.byte(user.end), b':' | b'`') || text.gap(user.end) != Gap::None && !in_arn;
        if apart && introduces {
            let colon = text.behind(user.end, ":").unwrap_or(user.end);
            let principal = trim(text, colon..is, b"`'\"");
            return Subject { start: user.start, principal: (!principal.is_empty()).then_some(principal), named: true };
        }
        until = user.start;
    }
    // Without the word, an ARN in its place.
    let word = (from..is).rev().find(|index| text.gap(*index) != Gap::None).unwrap_or(from);
    if word < is && text.behind(word, "arn:").is_some() {
        return Subject { start: word, principal: Some(word..is), named: true };
    }
    nobody(is)
}

/// Everything behind the verb.
fn read_rest(text: &Squeezed<'_>, after: usize, message: &mut Message) {
    let mut at = after;
    if let Some((action, end)) = read_action(text, at, message.start) {
        message.denial.action = Some(action);
        message.denial.cut = may_go_on(text, end).then_some(Part::Action);
        at = end;
        message.end = end;
    }
    if let Some(named) = read_resource(text, skip(text, at, b".`'\""), message.start) {
        message.denial.cut = named.may_go_on.then_some(Part::Resource);
        message.denial.resource = named.resource;
        at = named.end;
        message.end = named.end;
    }
    read_context(text, at, message);
    read_ids(text, message);
    message.cut |= is_cut(text, message.end);
}

/// Whether the text says that it was cut there.
fn is_cut(text: &Squeezed<'_>, at: usize) -> bool {
    text.behind(at, "...").is_some() || text.behind(at, "(truncated").is_some()
}

/// Whether nothing shows that a name ends there: then the text does, or was cut. Names have stops and colons in them, too.
fn may_go_on(text: &Squeezed<'_>, at: usize) -> bool {
    let end = skip(text, at, b".,:;");
    end >= text.len() || begins_more(text, end) || (at..=end).any(|index| is_cut(text, index))
}

/// `SERVICE:Name`, and where it ends.
fn read_action(text: &Squeezed<'_>, after: usize, start: usize) -> Option<(String, usize)> {
    let from = skip(text, text.behind(after, ":").unwrap_or(after), b"`'\"");
    let part = |index: usize| {
        text.byte(index).is_ascii_alphanumeric() || matches!(text.byte(index), b':' | b'*' | b'-' | b'_')
    };
    let window = from..from + ACTION_MAX;
    let stop = [
        "on resource",
        "on this resource",
        "on the resource",
        "on `",
        "because",
        "with an explicit deny",
        "with explicit deny",
    ]
    .iter()
    .filter_map(|phrase| text.find(window.clone(), phrase))
    .map(|found| found.start)
    .filter(|stop| text.gap(*stop) != Gap::None)
    .min();
    let whole = stop.map(|stop| trim(text, from..stop, b"`'\".,")).filter(|range| {
        range.clone().all(|index| part(index) && (index == range.start || text.gap(index) != Gap::Space))
    });
    let range = whole.unwrap_or_else(|| {
        let goes_on = |index: usize| match text.gap(index) {
            Gap::None => true,
            Gap::Break => text.breaks_words(start, index + 1) && !begins_more(text, index) && !begins_next(text, index),
            Gap::Space | Gap::Written | Gap::Blank => false,
        };
        let end = (from..from + ACTION_MAX).find(|index| !part(*index) || *index > from && !goes_on(*index));
        from..end.unwrap_or(from)
    });
    let end = range.end;
    let action = text.word(range);
    let action = action.trim_end_matches([':', '-']);
    let (service, name) = action.split_once(':')?;
    let valid = !service.is_empty()
        && service.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && (service.starts_with(|first: char| first.is_ascii_alphabetic()))
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'*');
    valid.then(|| (action.to_owned(), end))
}

/// Whether the text ends in the first letters of what may come behind a name, which can be the name's own.
fn begins_more(text: &Squeezed<'_>, at: usize) -> bool {
    let mut end = text.len();
    // Where a text says that it was cut, it is known to end.
    if text.byte(end.wrapping_sub(1)) == 0 {
        end = end.saturating_sub(4);
        if !is_cut(text, end) {
            return false;
        }
    }
    let left = end.saturating_sub(at);
    ["onresource", "becauseno", "withanexplicitdeny"]
        .iter()
        .filter_map(|more| more.get(..left))
        .any(|more| text.behind(at, more).is_some())
}

/// Whether the next error begins there.
fn begins_next(text: &Squeezed<'_>, at: usize) -> bool {
    FOREIGN.iter().chain(&["an error occurred", "you are not"]).any(|next| text.behind(at, next).is_some())
}

/// What the action was to be done to, where it is named.
struct Named {
    resource: Option<String>,
    end: usize,
    /// Whether the name may be longer than the text.
    may_go_on: bool,
}

impl Named {
    /// A name that ends, or none.
    fn until(end: usize, resource: Option<String>) -> Self {
        Self { resource, end, may_go_on: false }
    }
}

fn read_resource(text: &Squeezed<'_>, at: usize, start: usize) -> Option<Named> {
    for unnamed in ["on this resource", "on the resource associated with this ciphertext", "on the resource"] {
        if let Some(end) = text.behind(at, unnamed) {
            return Some(Named::until(end, None));
        }
    }
    let on = match text.behind(at, "on resource") {
        Some(on) => text.behind(on, "s").filter(|plural| text.byte(*plural) == b':').unwrap_or(on),
        None => {
            text.behind(at, "on").filter(|on| text.gap(*on) != Gap::None && matches!(text.byte(*on), b'`' | b'"'))?
        }
    };
    let from = text.behind(on, ":").unwrap_or(on);
    let quote = text.byte(from);
    if matches!(quote, b'"' | b'\'' | b'`') {
        let inner = from + 1;
        let until = text.bytes().len().min(inner + RESOURCE_MAX);
        let closes = |index: usize| text.byte(index) == quote || quote == b'`' && text.byte(index) == b'\'';
        let close = (inner..until).find(|index| text.byte(*index) == 0 || closes(*index));
        return match close {
            Some(close) if closes(close) => Some(Named::until(close + 1, some(text.word(inner..close)))),
            _ => Some(Named::until(from, None)),
        };
    }
    let stop = CONTEXTS
        .iter()
        .filter_map(|phrase| text.find(from..from + RESOURCE_MAX, phrase))
        .map(|found| found.start)
        .filter(|stop| text.gap(*stop) != Gap::None)
        .min();
    if let Some(stop) = stop.filter(|stop| is_one_name(text, from..*stop)) {
        let range = trim(text, from..stop, b"`'\".,;");
        let arn = text.behind(from, "arn:").is_some();
        let name = if arn { text.word(range) } else { text.text(range) };
        return Some(Named::until(stop, some(name.replace('`', ""))));
    }
    let end = end_of_name(text, from, start);
    // The end of a text may have begun with what comes behind the name.
    let more = (from + 1..end).find(|index| text.gap(*index) >= Gap::Break && begins_more(text, *index));
    let range = trim(text, from..more.unwrap_or(end), b"`'\".,;:)]");
    let resource = some(text.word(range.clone()).replace('`', ""));
    let end = range.end.max(from);
    Some(Named { may_go_on: resource.is_some() && may_go_on(text, end), resource, end })
}

/// Whether everything in a range can be one resource's name.
fn is_one_name(text: &Squeezed<'_>, range: Range<usize>) -> bool {
    const SPACES_MAX: usize = 8;
    let spaces = range.clone().skip(1).filter(|index| text.gap(*index) == Gap::Space).count();
    let written = range.clone().skip(1).any(|index| text.gap(index) >= Gap::Written || text.byte(index) == 0);
    !range.is_empty()
        && spaces <= SPACES_MAX
        && !written
        && !FOREIGN.iter().any(|foreign| text.find(range.clone(), foreign).is_some())
}

/// Where a name ends that nothing known comes behind.
fn end_of_name(text: &Squeezed<'_>, from: usize, start: usize) -> usize {
    let is_arn = text.behind(from, "arn:").is_some() || text.byte(from) == b'*';
    // On the next line stands something else, unless it is clearly a name.
    if text.gap(from) >= Gap::Break && !is_arn {
        return from;
    }
    let mut word = from;
    for index in from..text.len().min(from + RESOURCE_MAX) {
        let byte = text.byte(index);
        if matches!(byte, 0 | b'"' | b'\'' | b'}') || text.behind(index, "</").is_some() {
            return index;
        }
        if index == from {
            continue;
        }
        let goes_on = match text.gap(index) {
            Gap::None => true,
            Gap::Written | Gap::Blank => false,
            Gap::Space => {
                let kind = text.word(word..index).to_ascii_lowercase();
                word = index;
                ["role", "user", "group", "policy", "path", "instance", "profile", "mfa", "device"]
                    .contains(&kind.as_str())
            }
            Gap::Break if matches!(text.byte(index - 1), b'.' | b',' | b';') || begins_next(text, index) => false,
            Gap::Break => is_arn && is_unfinished(&text.word(from..index)) || text.breaks_words(start, index + 1),
        };
        if !goes_on {
            return index;
        }
    }
    text.len().min(from + RESOURCE_MAX)
}

/// Whether an ARN cannot be at its end.
fn is_unfinished(arn: &str) -> bool {
    let Some(resource) = arn.splitn(6, ':').nth(5) else { return arn.starts_with("arn:") };
    // All that IAM and Organizations have is of a kind, and has a path.
    let has_path = [":iam:", ":organizations:"].iter().any(|service| arn.contains(service));
    arn.starts_with("arn:")
        && (arn.ends_with([':', '/', '-']) || has_path && !resource.contains('/') && !["root", "*"].contains(&resource))
}

/// The layer and what stands behind it.
fn read_context(text: &Squeezed<'_>, at: usize, message: &mut Message) {
    let Some(context) = context::read(text, skip(text, at, b".,;`'\"[]")) else { return };
    message.denial.layer = context.layer;
    message.denial.effect = context.effect;
    message.denial.setting = context.setting.map(str::to_owned);
    message.denial.action = message.denial.action.take().or(context.action);
    message.through = context.through;
    message.end = context.end;
    if let Some(from) = text.behind(context.end, ":").filter(|from| text.behind(*from, "arn:").is_some()) {
        let end = end_of_name(text, from, message.start);
        let range = trim(text, from..end, b"`'\".,;:)]");
        let arn = text.word(range.clone());
        if arn.split(':').count() >= 6 {
            message.denial.policy_arn = Some(arn);
            message.denial.cut = may_go_on(text, range.end).then_some(Part::Policy);
        }
        message.end = range.end;
    }
}

/// The ID to ask for details with, and the message to have decoded.
fn read_ids(text: &Squeezed<'_>, message: &mut Message) {
    const LINK_MAX: usize = 300;
    let at = skip(text, message.end, b".,'\"");
    if text.behind(at, "go to https").is_some() || text.behind(at, "or call the").is_some() {
        let window = at..at + LINK_MAX;
        let id = |from: usize| {
            let end = (from..text.len()).find(|index| {
                !text.byte(*index).is_ascii_alphanumeric() || *index > from && text.gap(*index) != Gap::None
            });
            from..end.unwrap_or(text.len())
        };
        let written = text.find(window.clone(), "authorization id:").map(|found| id(found.end));
        let linked = text.find(window, "authorization-details/").map(|found| id(found.end));
        if let Some(range) = written.filter(|range| !range.is_empty()).or(linked).filter(|range| !range.is_empty()) {
            message.denial.has_authorization_id = true;
            message.denial.authorization_id = Some(text.word(range.clone()));
            message.end = message.end.max(range.end);
        }
    }
    let at = skip(text, message.end, b".,'\"");
    if let Some((encoded, end)) = read_encoded(text, at) {
        message.denial.has_encoded_message = true;
        message.denial.encoded_message = encoded;
        message.end = end;
    }
}

/// What an encoded message begins with.
pub(crate) const ENCODED: &str = "Encoded authorization failure message:";

/// The encoded message at `at`, if one is announced there, and where it ends. It may have been cut away.
pub(crate) fn read_encoded(text: &Squeezed<'_>, at: usize) -> Option<(Option<String>, usize)> {
    const ENCODED_MAX: usize = 16 * 1024;
    const LINE_MIN: usize = 20;
    let from = text.behind(at, ENCODED)?;
    let part =
        |index: usize| text.byte(index).is_ascii_alphanumeric() || matches!(text.byte(index), b'-' | b'_' | b'=');
    let mut end = from;
    let mut line = from;
    while end < text.len().min(from + ENCODED_MAX) && part(end) {
        if end > from && text.gap(end) != Gap::None {
            // A wrapped message goes on in lines of the same width, but for the last.
            let width = end - line;
            let next = (end + 1..text.len())
                .find(|index| text.gap(*index) != Gap::None || !part(*index))
                .unwrap_or(text.len());
            let goes_on = text.gap(end) == Gap::Break && width >= LINE_MIN && next - end <= width;
            // What a colon stands behind is a code.
            if !goes_on || text.gap(next) == Gap::Space || text.byte(next) == b':' {
                break;
            }
            line = end;
        }
        end += 1;
    }
    Some((some(text.word(from..end)), end))
}

/// Without these bytes at the start.
fn skip(text: &Squeezed<'_>, at: usize, bytes: &[u8]) -> usize {
    (at..text.len()).find(|index| !bytes.contains(&text.byte(*index))).unwrap_or(text.len())
}

/// Without these bytes at either end.
fn trim(text: &Squeezed<'_>, range: Range<usize>, bytes: &[u8]) -> Range<usize> {
    let is_part = |index: &usize| !bytes.contains(&text.byte(*index));
    let start = range.clone().find(is_part).unwrap_or(range.end);
    let end = (start..range.end).rev().find(is_part).map_or(start, |last| last + 1);
    start..end
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests;
