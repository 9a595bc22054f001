//! Resources: whether they match anything, and anything that the actions work on.

use std::collections::HashMap;

use super::overlap::overlaps;
use super::{Findings, Rule};
use crate::data::{self, Action};
use crate::policy::{ResourceElement, Statement, Version};
use crate::value::arn::{ResourcePattern, Shape};
use crate::value::template::{Piece, Template};

pub(super) fn check(statement: &Statement, version: Version, findings: &mut Findings) {
    let Some(element) = &statement.resources else { return };
    for (at, pattern) in &element.patterns {
        shape(*at, pattern, version, findings);
    }
    if element.negated || statement.actions.negated {
        return;
    }
    let named = |pattern: &ResourcePattern| !matches!(pattern.shape, Shape::Everything | Shape::Short(_));
    if !element.patterns.iter().all(|(_, pattern)| named(pattern)) {
        return;
    }
    // Actions share their formats, so that a long statement costs no more than its resources.
    let mut met = HashMap::new();
    for written in &statement.actions.patterns {
        if let Some(action) = data::action(&written.source) {
            works_on(action, written.at, element, &mut met, findings);
        }
    }
}

fn shape(at: usize, pattern: &ResourcePattern, version: Version, findings: &mut Findings) {
    let source = &pattern.source;
    if version == Version::V2008 && source.contains("${") {
        findings.add(
            Rule::Variable,
            at,
            format!("`{source}` has a variable, which means itself in this version of the language: write `\"Version\": \"2012-10-17\"`"),
        );
    }
    match &pattern.shape {
        Shape::Never => findings.add(
            Rule::Variable,
            at,
            format!("`{source}` has a variable before the fifth colon, where AWS fills in none: it matches nothing"),
        ),
        Shape::Short(whole) if whole.pieces().iter().all(|piece| !is_any(piece)) => findings.add(
            Rule::ArnShape,
            at,
            format!("`{source}` has fewer than six parts and matches nothing: {}", forms(service_of(source))),
        ),
        Shape::Short(whole) if !whole.ends_with_any() => findings.add(
            Rule::OpenPattern,
            at,
            format!("AWS's pages leave open what `{source}` covers, for a `*` would have to cross a colon: write all six parts"),
        ),
        Shape::Everything | Shape::Short(_) => {}
        Shape::Exact | Shape::Arn { .. } => {
            if let Some(segments) = pattern.segments() {
                whole_arn(at, source, &segments, findings);
            }
        }
    }
}

fn is_any(piece: &Piece) -> bool {
    *piece == Piece::Any
}

fn service_of(arn: &str) -> &str {
    arn.split(':').nth(2).unwrap_or_default()
}

/// The forms that the ARNs of a service have, for a message.
fn forms(service: &str) -> String {
    let mut formats: Vec<&str> = data::arn_formats(&service.to_ascii_lowercase()).collect();
    formats.sort_unstable_by_key(|format| (format.len(), *format));
    match formats.first() {
        Some(shortest) => format!("write it like `{shortest}`"),
        None => "write all six parts of the ARN".to_owned(),
    }
}

fn whole_arn(at: usize, source: &str, segments: &[Template], findings: &mut Findings) {
    let service = service_of(source);
    if service.bytes().any(|byte| byte.is_ascii_uppercase()) {
        let message = format!("the service in `{source}` must be in lower case: it matches nothing");
        findings.add(Rule::ArnShape, at, message);
    } else if service.contains(['*', '?']) {
        let message = format!("the service in `{source}` cannot be a pattern: name it, or write `*` alone");
        findings.add(Rule::ArnShape, at, message);
    } else if data::is_whole(service) && !data::arn_formats(service).any(|format| is_of_format(segments, format)) {
        let message = format!("`{source}` matches nothing that {service} has: {}", forms(service));
        findings.add(Rule::ArnShape, at, message);
    }
}

fn is_of_format(segments: &[Template], format: &str) -> bool {
    segments.len() == 6 && segments.iter().zip(format.splitn(6, ':')).all(|(segment, part)| overlaps(segment, part))
}

/// Whether an action works on any of these; `met` says which formats any of them is of.
fn works_on(
    action: &Action,
    at: usize,
    element: &ResourceElement,
    met: &mut HashMap<&'static str, bool>,
    findings: &mut Findings,
) {
    let name = format!("{}:{}", action.service, action.name);
    if action.resources.is_empty() {
        let message = format!("`{name}` works on no resource that can be named: it needs `\"Resource\": \"*\"`");
        findings.add(Rule::NeedsEverything, at, message);
        return;
    }
    let formats: Vec<&'static str> =
        action.resources.iter().filter_map(|kind| data::arn_format(action.service, kind)).collect();
    let is_met = |format: &&'static str| {
        *met.entry(*format).or_insert_with(|| {
            let mut arns = element.patterns.iter().filter_map(|(_, pattern)| pattern.segments());
            arns.any(|segments| is_of_format(&segments, format))
        })
    };
    if formats.is_empty() || formats.iter().any(is_met) {
        return;
    }
    let wanted = formats.iter().map(|format| format!("`{format}`")).collect::<Vec<_>>().join(" or ");
    let message = format!("`{name}` works on none of the statement's resources: it needs {wanted}");
    findings.add(Rule::ResourceMismatch, at, message);
}
