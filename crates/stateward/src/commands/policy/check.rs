//! `stateward policy check`.

use std::path::{Path, PathBuf};

use stateward_core::view::List;
use stateward_iam::{
    AccountError, CheckError, CheckItem, Keeping, Named, Outcome, PolicyKind, PolicySet, Purpose, account_policies,
    check, is_account_details,
};

use super::{files, keeping, no_keeping, words};
use crate::cli::CheckArgs;
use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::{self, BOLD, human};

/// What AWS attaches to every level, and what stays there unless somebody puts something else in its place.
const FULL_ACCESS: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;

pub(super) fn run(context: &Context, args: &CheckArgs) -> Result<Exit> {
    let keeping = keeping(&args.keeping)?;
    let (policies, notes) = policies(args, &keeping)?;
    let resources = args.resource_policy.iter().map(|path| files::policy(path, PolicyKind::Resource));
    let resources = resources.collect::<Result<Vec<_>>>()?;
    let purpose = Purpose::from(args.purpose);
    let mut items =
        check(&keeping, purpose, &args.principal, &policies, &resources).map_err(|error| no_check(&error))?;
    for item in &mut items {
        item.notes.extend(notes.iter().cloned());
    }
    let refused = items.iter().filter(|item| is_refused(item)).count();
    if context.out.json {
        output::json(&List::new(items))?;
    } else {
        output::text(&told(purpose, &items))?;
    }
    Ok(if refused > 0 { Exit::Denied } else { Exit::Done })
}

fn no_check(error: &CheckError) -> Failure {
    match error {
        CheckError::Keeping(error) => no_keeping(error),
        error => Failure::usage(
            "nothing can be said about this principal",
            error.to_string(),
            "give `--principal` what `aws sts get-caller-identity` calls `Arn`",
        ),
    }
}

fn no_policies(path: &Path, error: &AccountError) -> Failure {
    let what = format!("`{}` does not tell the policies of this principal", path.display());
    Failure::usage(what, error.to_string(), "print the details of the principal's own account, whole")
}

fn is_refused(item: &CheckItem) -> bool {
    matches!(item.decision, Outcome::ImplicitDeny | Outcome::ExplicitDeny)
}

/// The policies in files, of which some may tell all of an account.
pub(super) fn of_principal(paths: &[PathBuf], principal: &str) -> Result<PolicySet> {
    let mut set = PolicySet::default();
    for path in paths {
        let text = files::read(path)?;
        if is_account_details(&text) {
            let own = account_policies(&text, principal);
            let own = own.map_err(|error| no_policies(path, &error))?;
            set.identity.extend(own.identity);
            set.boundary = own.boundary.or(set.boundary);
        } else {
            set.identity.push(files::parse(path, &text, PolicyKind::Identity)?);
        }
    }
    Ok(set)
}

/// All that the flags name, and what was taken for granted.
fn policies(args: &CheckArgs, keeping: &Keeping) -> Result<(PolicySet, Vec<String>)> {
    let mut set = of_principal(&args.policy, &args.principal)?;
    set.boundary = files::optional(&args.boundary, PolicyKind::Boundary)?.or(set.boundary);
    set.session = files::optional(&args.session, PolicyKind::Session)?;
    set.vpc_endpoint = files::endpoints(&args.vpc_endpoint, &keeping.services())?;
    let mut notes = Vec::new();
    set.scps = levels(&args.scp, PolicyKind::Scp)?;
    for level in set.scps.iter_mut().flatten().filter(|level| only_denies(level)) {
        let names = level.iter().map(|named| format!("`{}`", named.name)).collect::<Vec<_>>().join(", ");
        notes.push(format!("{names} only denies: taken that `FullAWSAccess` is attached beside it, as AWS does"));
        level.push(files::parse(Path::new("FullAWSAccess"), FULL_ACCESS, PolicyKind::Scp)?);
    }
    set.rcps = levels(&args.rcp, PolicyKind::Rcp)?;
    Ok((set, notes))
}

fn only_denies(level: &[Named]) -> bool {
    level.iter().flat_map(|named| named.policy.statements()).all(|one| one.effect() == stateward_iam::Effect::Deny)
}

fn levels(levels: &[String], kind: PolicyKind) -> Result<Option<Vec<Vec<Named>>>> {
    let level = |files: &String| {
        let paths: Vec<&str> = files.split(',').collect();
        Ok(files::optional(&paths, kind)?.unwrap_or_default())
    };
    if levels.is_empty() { Ok(None) } else { levels.iter().map(level).collect::<Result<_>>().map(Some) }
}

fn told(purpose: Purpose, items: &[CheckItem]) -> String {
    let (allowed, others): (Vec<_>, Vec<_>) = items.iter().partition(|item| item.decision == Outcome::Allowed);
    let refused = others.iter().filter(|item| is_refused(item)).count();
    let summary = summary(purpose, items.len(), refused, others.len() - refused);
    let mut text = human::hanging("", 0, &summary);
    let mut groups: Vec<Vec<&CheckItem>> = Vec::new();
    for item in others {
        match groups.iter_mut().find(|group| group.iter().all(|other| is_alike(other, item))) {
            Some(group) => group.push(item),
            None => groups.push(vec![item]),
        }
    }
    for group in &groups {
        text.push('\n');
        text.push_str(&one(group));
    }
    let mut actions: Vec<&str> = allowed.iter().map(|item| item.action).collect();
    actions.sort_unstable();
    actions.dedup();
    let mut rest = String::new();
    if !actions.is_empty() {
        rest.push_str(&words::list("allowed", &[actions.join(", ")]));
    }
    rest.push_str(&words::list("note", &distinct(items.iter().flat_map(|item| &item.notes))));
    if rest.is_empty() { text } else { text + "\n" + &rest }
}

/// Refused, or open, in the same way: what differs is the resource.
fn is_alike(one: &CheckItem, other: &CheckItem) -> bool {
    let how = |item: &CheckItem| (item.action, item.decision, item.layer, item.statements.clone(), item.add.clone());
    how(one) == how(other) && one.depends_on == other.depends_on
}

pub(super) fn distinct<'a>(texts: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let mut distinct: Vec<String> = Vec::new();
    for text in texts {
        if !distinct.contains(text) {
            distinct.push(text.clone());
        }
    }
    distinct
}

fn summary(purpose: Purpose, needed: usize, refused: usize, open: usize) -> String {
    let what = match purpose {
        Purpose::ReadOnly => "reading outputs",
        Purpose::Plan => "a plan",
        Purpose::Apply => "an apply",
        Purpose::Admin => "an administrator",
    };
    let needed = human::counted(needed as u64, "request");
    match (refused, open) {
        (0, 0) => format!("{what} needs {needed}, and all are allowed"),
        (refused, 0) => format!("{what} needs {needed}: {refused} would be refused"),
        (0, open) => format!("{what} needs {needed}: {open} depend on what is not known"),
        (refused, open) => {
            format!("{what} needs {needed}: {refused} would be refused, {open} depend on what is not known")
        }
    }
}

/// Items that are alike, in full.
fn one(group: &[&CheckItem]) -> String {
    let Some(item) = group.first() else { return String::new() };
    let decision = words::decision(item.decision, item.layer, &item.depends_on);
    let by: Vec<String> = item.statements.iter().map(words::by).collect();
    let of = |item: &&CheckItem| format!("{}, to {}", item.resource, item.needed_for.join(", to "));
    format!("{BOLD}{}{BOLD:#} {decision}\n", item.action)
        + &words::list("  on", &group.iter().map(of).collect::<Vec<_>>())
        + &words::list("  by", &by)
        + &words::list("  add", &item.add)
}
