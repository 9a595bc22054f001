//! Which entry a problem is.

use std::cmp::Ordering;

use stateward_denial::{Effect, Layer, Problem};
use stateward_iam::is_like;

use crate::entry::{Entry, Match};

/// The entry of a problem: the one whose conditions hold and are the most. None where two have as many.
pub fn entry_for(problem: &Problem) -> Option<&'static Entry> {
    best(crate::entries(), problem)
}

fn best<'a>(entries: &'a [Entry], problem: &Problem) -> Option<&'a Entry> {
    let mut best: Option<(usize, &Entry)> = None;
    let mut tied = false;
    for entry in entries {
        let Some(weight) = entry.matches.iter().filter_map(|wanted| weight(wanted, problem)).max() else { continue };
        match best.map_or(Ordering::Greater, |(most, _)| weight.cmp(&most)) {
            Ordering::Greater => {
                best = Some((weight, entry));
                tied = false;
            }
            Ordering::Equal => tied = true,
            Ordering::Less => {}
        }
    }
    best.filter(|_| !tied).map(|(_, entry)| entry)
}

/// The number of conditions, if all of them hold.
fn weight(wanted: &Match, problem: &Problem) -> Option<usize> {
    let denial = problem.denial.as_ref();
    let failure = problem.failure.as_ref();
    let text = |denied: Option<&'_ Option<String>>, failed: Option<&'_ Option<String>>| {
        denied.or(failed).and_then(|value| value.as_deref().map(str::to_owned))
    };
    let service = text(denial.map(|denial| &denial.service), failure.map(|failure| &failure.service));
    let operation = text(denial.map(|denial| &denial.operation), failure.map(|failure| &failure.operation));
    let code = text(denial.map(|denial| &denial.error_code), failure.map(|failure| &failure.code));
    let action = denial.and_then(|denial| denial.action.clone());
    let resource = text(denial.map(|denial| &denial.resource), failure.map(|failure| &failure.subject));
    let setting = denial.and_then(|denial| denial.setting.clone());
    let layer = denial.map_or(Layer::Unknown, |denial| denial.layer);
    let effect = denial.map_or(Effect::Unknown, |denial| denial.effect);

    let conditions = [
        Some(wanted.kind == problem.kind),
        of(&wanted.service, service.as_deref()),
        of(&wanted.operation, operation.as_deref()),
        of(&wanted.action, action.as_deref()),
        of(&wanted.resource, resource.as_deref()),
        of(&wanted.code, code.as_deref()),
        of(&wanted.setting, setting.as_deref()),
        (!wanted.layer.is_empty()).then(|| wanted.layer.contains(&layer)),
        (!wanted.effect.is_empty()).then(|| wanted.effect.contains(&effect)),
        (!wanted.reason.is_empty())
            .then(|| failure.and_then(|failure| failure.reason).is_some_and(|reason| wanted.reason.contains(&reason))),
        wanted.other_account.map(|other| other_account(problem) == Some(other)),
        wanted.certain.map(|certain| certain == problem.certain),
        wanted.encoded_message.map(|encoded| denial.is_some_and(|denial| denial.has_encoded_message) == encoded),
        wanted.state_missing.map(|missing| state_missing(problem) == missing),
    ];
    conditions.iter().flatten().try_fold(0, |met, holds| holds.then_some(met + 1))
}

/// Whether a value is one of those wanted; nothing where any will do.
fn of(wanted: &[String], value: Option<&str>) -> Option<bool> {
    (!wanted.is_empty()).then(|| value.is_some_and(|value| wanted.iter().any(|pattern| is_like(pattern, value))))
}

/// Whether the digest is of a state that is not there.
fn state_missing(problem: &Problem) -> bool {
    problem.digest.as_ref().is_some_and(|digest| digest.stored.is_some() && digest.calculated.is_none())
}

/// Whether the account of who asked is another than that of the resource; unknown where the text does not give both.
fn other_account(problem: &Problem) -> Option<bool> {
    let denial = problem.denial.as_ref()?;
    let own = denial.principal.account.as_deref()?;
    let theirs = denial.resource.as_deref()?.strip_prefix("arn:")?.split(':').nth(3)?;
    (theirs.len() == 12).then_some(theirs != own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let check = |pattern, value, expected| assert_eq!(is_like(pattern, value), expected, "{pattern} {value}");
        check("dynamodb:PutItem", "dynamodb:putitem", true);
        check("dynamodb:PutItem", "dynamodb:PutItems", false);
        check("kms:*", "kms:Decrypt", true);
        check("*.tflock", "arn:aws:s3:::b/k.tflock", true);
        check("*.tflock", "arn:aws:s3:::b/k.tflock.old", false);
        check("*/env:/*", "arn:aws:s3:::b/env:/dev/k", true);
        check("a*b*a", "aba", true);
        check("a*a", "a", false);
        check("*", "", true);
    }

    #[test]
    fn accounts() {
        let of = |text: &str| stateward_denial::read(text.as_bytes()).first().and_then(other_account);
        let text = |table: &str| {
            format!(
                "AccessDeniedException: User: arn:aws:iam::111122223333:user/ci is not authorized to perform: dynamodb:PutItem on resource: {table} because no resource-based policy allows the dynamodb:PutItem action"
            )
        };
        assert_eq!(of(&text("arn:aws:dynamodb:eu-west-1:111122223333:table/l")), Some(false));
        assert_eq!(of(&text("arn:aws:dynamodb:eu-west-1:444455556666:table/l")), Some(true));
        assert_eq!(of(&text("locks")), None);
    }
}
