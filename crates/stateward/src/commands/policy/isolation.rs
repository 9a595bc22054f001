//! `stateward policy check --isolation`.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use stateward_core::view::List;
use stateward_iam::{
    Environment, IsolationError, Keeping, Layout, PolicyKind, PolicySet, Tried, Verdict, is_managed_policy, isolation,
    names,
};
use toml::{Table, Value};

use super::{MISPLACED, check, files, words};
use crate::cli::LayoutArg;
use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::{self, BOLD, GREEN, RED, human};

const NEXT: &str = "see docs/how-to/keep-environments-apart.md for all that the file may say";

pub(super) fn run(context: &Context, path: &Path) -> Result<Exit> {
    let tried = isolation(&environments(path)?).map_err(|error| no_isolation(path, &error))?;
    let apart = tried.iter().all(|tried| !crosses(tried));
    if context.out.json {
        output::json(&List::new(tried))?;
    } else {
        output::text(&told(&tried))?;
    }
    Ok(if apart { Exit::Done } else { Exit::Denied })
}

fn crosses(tried: &Tried) -> bool {
    matches!(tried.verdict, Verdict::Open | Verdict::Unproven)
}

fn no_isolation(path: &Path, error: &IsolationError) -> Failure {
    Failure::usage(
        format!("nothing can be said about the environments of `{}`", path.display()),
        error.to_string(),
        NEXT,
    )
}

/// One environment, as the file and its part for all say it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    principal: String,
    #[serde(default)]
    layout: LayoutArg,
    bucket: Option<String>,
    table: Option<String>,
    key: Option<String>,
    prefix: Option<String>,
    #[serde(default)]
    workspaces: bool,
    workspace_key_prefix: Option<String>,
    lock_table: Option<String>,
    #[serde(default)]
    use_lockfile: bool,
    kms_key: Option<String>,
    lock_table_kms_key: Option<String>,
    region: Option<String>,
    account: Option<String>,
    partition: Option<String>,
    policies: Vec<PathBuf>,
    #[serde(default)]
    managed_policies: Vec<String>,
    boundary: Option<PathBuf>,
    #[serde(default)]
    scps: Vec<Vec<PathBuf>>,
    #[serde(default)]
    resource_policies: Vec<PathBuf>,
    trust: Option<PathBuf>,
}

fn environments(path: &Path) -> Result<Vec<Environment>> {
    let text = files::read(path)?;
    let wrong =
        |why: String| Failure::usage(format!("the environments of `{}` cannot be read", path.display()), why, NEXT);
    let mut file: Table = toml::from_str(&text).map_err(|error| wrong(error.message().to_owned()))?;
    let mut table = |name: &str| match file.remove(name) {
        Some(Value::Table(table)) => Ok(Some(table)),
        Some(_) => Err(wrong(format!("`{name}` is no table"))),
        None => Ok(None),
    };
    let (all, named) = (table("all")?.unwrap_or_default(), table("environments")?.unwrap_or_default());
    if let Some(unknown) = file.keys().next() {
        return Err(wrong(format!("there is no `{unknown}`: a file has `[all]` and `[environments.NAME]`")));
    }
    let environment = |(name, value): (String, Value)| {
        let Value::Table(own) = value else { return Err(wrong(format!("`environments.{name}` is no table"))) };
        let mut whole = all.clone();
        whole.extend(own);
        let written: Written = Value::Table(whole)
            .try_into()
            .map_err(|error: toml::de::Error| wrong(format!("`environments.{name}`: {}", error.message())))?;
        written.environment(name, path.parent().unwrap_or(Path::new("")), wrong)
    };
    named.into_iter().map(environment).collect()
}

impl Written {
    fn environment(self, name: String, beside: &Path, wrong: impl Fn(String) -> Failure) -> Result<Environment> {
        let keeping = self.keeping().map_err(|why| wrong(format!("`environments.{name}`: {why}")))?;
        let beside = |paths: &[PathBuf]| paths.iter().map(|path| beside.join(path)).collect::<Vec<_>>();
        let mut policies: PolicySet = check::of_principal(&beside(&self.policies), &self.principal)?;
        if let Some(boundary) = self.boundary {
            policies.boundary = files::optional(&beside(&[boundary]), PolicyKind::Boundary)?;
        }
        if !self.scps.is_empty() {
            let level =
                |paths: &Vec<PathBuf>| Ok(files::optional(&beside(paths), PolicyKind::Scp)?.unwrap_or_default());
            policies.scps = Some(self.scps.iter().map(level).collect::<Result<_>>()?);
        }
        // Details of an account tell them by their ARNs.
        let told = policies.identity.iter().chain(policies.boundary.iter().flatten()).map(|named| &named.name);
        let told = told.filter(|name| is_managed_policy(name)).cloned();
        let managed = self.managed_policies.into_iter().chain(told).collect();
        let resources = beside(&self.resource_policies);
        let resources = resources.iter().map(|path| files::policy(path, PolicyKind::Resource));
        let trust = beside(self.trust.as_slice());
        Ok(Environment {
            name,
            principal: self.principal,
            keeping,
            policies,
            managed,
            resource_policies: resources.collect::<Result<_>>()?,
            trust: trust.first().map(|path| files::policy(path, PolicyKind::Trust)).transpose()?,
        })
    }

    fn keeping(&self) -> std::result::Result<Keeping, String> {
        let ((Some(place), None) | (None, Some(place))) = (&self.bucket, &self.table) else {
            return Err("give either `bucket` or `table`".to_owned());
        };
        let in_table = self.table.is_some();
        if self.layout.is_misplaced(in_table) {
            return Err(MISPLACED.to_owned());
        }
        let layout = self.layout.layout(in_table);
        if self.key.is_some() && self.prefix.is_some() {
            return Err("give either `key` (one state) or `prefix` (all below it)".to_owned());
        }
        if self.workspace_key_prefix.is_some() && !self.workspaces {
            return Err("`workspace_key_prefix` says where workspaces are: say `workspaces = true`, too".to_owned());
        }
        let key = self.prefix.as_ref().or(self.key.as_ref()).cloned().unwrap_or_default();
        let or_any = |given: &Option<String>, any: &str| given.clone().unwrap_or_else(|| any.to_owned());
        let region = or_any(&self.region, "*");
        let keeping = Keeping {
            below: self.prefix.is_some() && layout == Layout::S3,
            workspaces: self.workspaces,
            workspace_prefix: self.workspace_key_prefix.clone(),
            lock_table: self.lock_table.clone(),
            use_lockfile: self.use_lockfile,
            kms_key: self.kms_key.clone(),
            lock_table_key: self.lock_table_kms_key.clone(),
            partition: or_any(&self.partition, names::partition_of(&region)),
            region,
            account: or_any(&self.account, "*"),
            ..Keeping::new(layout, place.clone(), key)
        };
        keeping.names().map_err(|error| error.to_string())?;
        Ok(keeping)
    }
}

fn told(all: &[Tried]) -> String {
    let pairs = all.chunk_by(|one, other| (&one.from, &one.to) == (&other.from, &other.to));
    let mut text: String = pairs.clone().map(pair).collect();
    for of_pair in pairs {
        let mut groups: Vec<Vec<&Tried>> = Vec::new();
        for tried in of_pair.iter().filter(|tried| crosses(tried)) {
            match groups.iter_mut().find(|group| group.iter().all(|other| is_alike(other, tried))) {
                Some(group) => group.push(tried),
                None => groups.push(vec![tried]),
            }
        }
        for group in &groups {
            text.push('\n');
            text.push_str(&crossing(group));
        }
    }
    let shared = all.iter().filter(|tried| tried.verdict == Verdict::Shared);
    let mut actions: Vec<&str> = shared.map(|tried| tried.action.as_str()).collect();
    actions.sort_unstable();
    actions.dedup();
    let mut rest = String::new();
    if !actions.is_empty() {
        rest.push_str(&words::list("allowed on what both use", &[actions.join(", ")]));
    }
    rest.push_str(&words::list("note", &check::distinct(all.iter().flat_map(|tried| &tried.notes))));
    if rest.is_empty() { text } else { text + "\n" + &rest }
}

/// How many requests were tried, and how many of them get through.
fn pair(tried: &[Tried]) -> String {
    let Some(Tried { from, to, .. }) = tried.first() else { return String::new() };
    let of = |verdict| tried.iter().filter(|tried| tried.verdict == verdict).count();
    let (open, unproven) = (of(Verdict::Open), of(Verdict::Unproven));
    let outcome = match (open, unproven) {
        (0, 0) => format!("{GREEN}kept apart{GREEN:#}"),
        (0, unproven) => format!("{RED}not proven{RED:#}: {unproven} depend on what is not known"),
        (open, 0) => format!("{RED}not kept apart{RED:#}: {open} get through"),
        (open, unproven) => {
            format!("{RED}not kept apart{RED:#}: {open} get through, {unproven} depend on what is not known")
        }
    };
    let requests = human::counted(tried.len() as u64, "request");
    format!("{BOLD}{from} -> {to}{BOLD:#} {outcome} ({requests} tried)\n")
}

/// Let through by the same statements: what differs is the action and the resource.
fn is_alike(one: &Tried, other: &Tried) -> bool {
    (one.decision, &one.statements, &one.depends_on) == (other.decision, &other.statements, &other.depends_on)
}

/// What gets through alike, in full.
fn crossing(group: &[&Tried]) -> String {
    let Some(first) = group.first() else { return String::new() };
    let decision = words::decision(first.decision, first.layer, &first.depends_on);
    let by: Vec<String> = first.statements.iter().map(words::by).collect();
    let actions: Vec<String> = group.iter().map(|tried| tried.action.clone()).collect();
    let on = group.iter().map(|tried| match &tried.about {
        Some(about) => format!("{} ({about})", tried.resource),
        None => tried.resource.clone(),
    });
    format!("{BOLD}{} -> {}{BOLD:#} {decision}\n", first.from, first.to)
        + &words::list("  by", &by)
        + &words::list("  to", &[check::distinct(&actions).join(", ")])
        + &words::list("  on", &check::distinct(&on.collect::<Vec<_>>()))
}
