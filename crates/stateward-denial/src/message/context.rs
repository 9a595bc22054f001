//! The part of a message that says which kind of policy refused, and how.

use crate::problem::{Effect, Layer};
use crate::squeeze::Squeezed;

/// What the part says, and where it ends.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub(super) layer: Layer,
    pub(super) effect: Effect,
    /// `transitively through a … policy`.
    pub(super) through: Option<Layer>,
    /// The setting of a bucket, in place of a policy.
    pub(super) setting: Option<&'static str>,
    /// The action that nothing allows; the same as the message's own, but for AWS's typing errors.
    pub(super) action: Option<String>,
    pub(super) end: usize,
}

/// As AWS writes the kinds of policies. Each must stand there in full: half a word is no knowledge.
const LAYERS: &[(&str, Layer)] = &[
    ("identity-based", Layer::Identity),
    ("identity based", Layer::Identity),
    ("resource-based", Layer::Resource),
    ("resource based", Layer::Resource),
    ("permissions boundary", Layer::Boundary),
    ("permission boundary", Layer::Boundary),
    ("session polic", Layer::Session),
    ("sessions polic", Layer::Session),
    ("service control", Layer::Scp),
    ("resource control", Layer::Rcp),
    ("VPC endpoint", Layer::VpcEndpoint),
    ("role trust", Layer::Trust),
    ("trust polic", Layer::Trust),
];

/// Reasons that are no policies.
const OTHERS: &[(&str, Layer, Effect, Option<&str>)] = &[
    ("the resource does not exist in this Region", Layer::Kms, Effect::Unknown, None),
    (
        "public policies are prevented by the BlockPublicPolicy",
        Layer::S3BlockPublicAccess,
        Effect::Explicit,
        Some("BlockPublicPolicy"),
    ),
    (
        "public ACLs are prevented by the BlockPublicAcls",
        Layer::S3BlockPublicAccess,
        Effect::Explicit,
        Some("BlockPublicAcls"),
    ),
    (
        "public policies are blocked by the BlockPublicPolicy",
        Layer::S3BlockPublicAccess,
        Effect::Explicit,
        Some("BlockPublicPolicy"),
    ),
    (
        "public ACLs are blocked by the BlockPublicAcls",
        Layer::S3BlockPublicAccess,
        Effect::Explicit,
        Some("BlockPublicAcls"),
    ),
    (
        "this bucket has blocked upload requests that specify",
        Layer::Unknown,
        Effect::Explicit,
        Some("BlockedEncryptionTypes"),
    ),
];

/// Reads the part that begins at `at`.
pub(super) fn read(text: &Squeezed<'_>, at: usize) -> Option<Context> {
    implicit(text, at).or_else(|| explicit(text, at))
}

/// The kind of policy at `at`, and where its name ends.
fn layer(text: &Squeezed<'_>, at: usize) -> Option<(Layer, usize)> {
    LAYERS.iter().find_map(|(name, layer)| Some((*layer, text.behind(at, name)?)))
}

/// Behind the rest of a word that may or may not be there.
fn maybe(text: &Squeezed<'_>, at: usize, words: &[&str]) -> usize {
    words.iter().find_map(|word| text.behind(at, word)).unwrap_or(at)
}

const POLICY: &[&str] = &["policy", "policies", "y", "ies"];

fn implicit(text: &Squeezed<'_>, at: usize) -> Option<Context> {
    const ALLOWS_MAX: usize = 60;
    const ACTION_MAX: usize = 160;
    let because = text.behind(at, "because")?;
    for (reason, layer, effect, setting) in OTHERS {
        if let Some(end) = text.behind(because, reason) {
            return Some(Context {
                end: end_of_reason(text, end),
                through: None,
                action: None,
                layer: *layer,
                effect: *effect,
                setting: *setting,
            });
        }
    }
    let no = text.behind(because, "no")?;
    let (layer, end) = layer(text, no).unwrap_or((Layer::Unknown, no));
    let end = maybe(text, end, POLICY);
    let mut context = Context { layer, effect: Effect::Implicit, through: None, setting: None, action: None, end };
    // A kind of policy that is not known is skipped.
    if let Some(allows) = text.find(end..end + ALLOWS_MAX, "allows the") {
        context.end = allows.end;
        if let Some(action) = text.find(allows.end..allows.end + ACTION_MAX, "action") {
            let name = text.word(allows.end..action.start);
            context.action = is_action(&name).then_some(name);
            context.end = action.end;
        }
    } else if context.layer == Layer::Unknown {
        return None;
    }
    Some(context)
}

fn is_action(text: &str) -> bool {
    text.split_once(':').is_some_and(|(service, name)| {
        !service.is_empty()
            && !name.is_empty()
            && [service, name]
                .iter()
                .all(|part| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'*')))
    })
}

/// A reason that is a sentence goes on to its end.
fn end_of_reason(text: &Squeezed<'_>, at: usize) -> usize {
    const REASON_MAX: usize = 200;
    ["explicitly denies access", "Block Public Access", "block public access setting", "server-side encryption type"]
        .iter()
        .find_map(|last| text.find(at..at + REASON_MAX, last))
        .map_or(at, |found| found.end)
}

fn explicit(text: &Squeezed<'_>, at: usize) -> Option<Context> {
    let start = maybe(text, at, &["with an", "with", "due to an"]);
    let deny = text.behind(start, "explicit deny")?;
    let mut context = Context {
        layer: Layer::Unknown,
        effect: Effect::Explicit,
        through: None,
        setting: None,
        action: None,
        end: deny,
    };
    let Some(inside) = text.behind(deny, "in") else { return Some(context) };
    let articles = ["the", "an", "a"].iter().filter_map(|article| text.behind(inside, article)).chain([inside]);
    let Some((layer_there, end)) = articles.into_iter().find_map(|behind| layer(text, behind)) else {
        return Some(context);
    };
    context.layer = layer_there;
    context.end = maybe(text, end, POLICY);
    if let Some(through) = text.behind(context.end, "transitively through") {
        let behind = maybe(text, through, &["an", "a", "the"]);
        if let Some((other, end)) = layer(text, behind).or_else(|| layer(text, through)) {
            context.through = Some(other);
            context.end = maybe(text, end, POLICY);
        }
    }
    Some(context)
}
