//! `stateward setup aws`: what state needs on AWS.

mod asked;
mod told;
mod written;

use std::future;
use std::io;
use std::pin::Pin;

use stateward_aws::setup::{self, Action, ApplyError, Headers, Item, KeysInUse, Wanted};
use stateward_aws::{Failed, Services};
use stateward_core::view::List;
use stateward_core::{Error, Kind};
use stateward_denial::{Kind as ProblemKind, Layer, Reason};

use super::{Context, confirm};
use crate::cli::SetupAwsArgs;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output;
use crate::output::progress::Progress;

const ENDED: &str = "the set-up ended before all was done";
const GOES_ON: &str = "run it again: it reads what is there, and goes on from there";

pub(super) async fn run(context: &Context, args: &SetupAwsArgs) -> Result<Exit> {
    if let Some(format) = args.emit {
        output::text(&asked::emitted(args, format)?)?;
        return Ok(Exit::Done);
    }
    if let Some(dir) = &args.write_policies {
        written::check(dir)?;
    }
    let (services, wanted, caller) = asked::asked(args).await?;
    let progress = Progress::work("reading what is there");
    let found =
        setup::read(&services, &wanted).await.map_err(|failed| refused("what is there was not read", &failed))?;
    drop(progress);
    let plan = List::new(setup::plan(&wanted, &found));
    let obstacle = plan.items.iter().find(|item| item.action == Action::Refuse).cloned();
    let is_done = !plan.items.iter().any(Item::acts);
    // An answer is one document: what was planned is what is done, or an error says what is not.
    if context.out.json && (args.dry_run || is_done || obstacle.is_some()) {
        output::json(&plan)?;
    } else if !context.out.json {
        output::text(&(told::place(&wanted, &caller) + &told::plan(&plan.items)))?;
    }
    if let Some(item) = obstacle {
        return Err(in_the_way(&item));
    }
    // Until something is done Ctrl-C ends it as it ends any command.
    let mut interrupt: Interrupt = Box::pin(future::pending());
    if !args.dry_run && !is_done {
        if !args.yes && !confirm("Do this?", "--yes")? {
            output::note("Nothing was done.\n");
            return Ok(Exit::Done);
        }
        interrupt = Box::pin(tokio::signal::ctrl_c());
        apply(&services, &wanted, &plan.items, &mut interrupt).await?;
        if context.out.json {
            output::json(&plan)?;
        }
    }
    if args.dry_run || context.out.json && args.write_policies.is_none() {
        return Ok(Exit::Done);
    }
    // The key may have been made just now, or have been there without being asked for.
    let found = unless_interrupted(&mut interrupt, setup::read(&services, &wanted)).await;
    let why = "it was interrupted before that was read once more, and so the block is not printed";
    let found = found.ok_or_else(|| interrupted("all is there", why, "run it again: it prints the block"))?;
    // Without it the block would say of encryption what the bucket may refuse.
    let found = found.map_err(|failed| refused("all is there, and was not read once more for the block", &failed))?;
    if !context.out.json {
        let (keys, headers) = (KeysInUse::of(&wanted, &found), Headers::of(&wanted, &found));
        output::text(&told::ready(&wanted, &keys, &headers))?;
    }
    if let Some(dir) = &args.write_policies {
        written::write(&services, &wanted, &found, dir).await?;
    }
    Ok(Exit::Done)
}

/// Does the plan, and tells each item as it is done: whatever ends this, what was made stands there.
async fn apply(services: &Services, wanted: &Wanted, plan: &[Item], interrupt: &mut Interrupt) -> Result<()> {
    let mut count = 0;
    let mut done = |item: &Item| {
        count += 1;
        output::note(&told::done(item));
    };
    let outcome = unless_interrupted(interrupt, setup::apply(services, wanted, plan, &mut done)).await;
    let outcome = outcome.ok_or_else(|| {
        let why = format!(
            "it was interrupted; what is done stands above ({count}), and the request that was under way may have been done too"
        );
        interrupted(ENDED, &why, GOES_ON)
    })?;
    outcome.map(drop).map_err(|error| match error {
        ApplyError::Failed(failed) => refused(ENDED, &failed),
        ApplyError::Refused(item) => in_the_way(&item),
        other => Error::new(Kind::Unavailable, ENDED, other.to_string(), GOES_ON).into(),
    })
}

/// Ctrl-C. Whoever waits for it once waits for it until the end: between two waits it would be lost.
type Interrupt = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// What comes of it; `None` where Ctrl-C ended it.
async fn unless_interrupted<T>(interrupt: &mut Interrupt, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        // First of all it is listened for.
        biased;
        _ = interrupt => None,
        outcome = Box::pin(work) => Some(outcome),
    }
}

fn interrupted(what: &str, why: &str, next: &str) -> Failure {
    Error::new(Kind::Unavailable, what, why, next).into()
}

fn in_the_way(item: &Item) -> Failure {
    let what = format!("`{}` cannot be used", item.resource);
    let next = "do what the sentence above says, and run it again";
    Error::new(Kind::Unsupported, what, item.why.trim_end_matches('.'), next).into()
}

fn refused(what: &str, failed: &Failed) -> Failure {
    let problem = failed.problem();
    let is_of_organization = problem
        .as_ref()
        .and_then(|problem| problem.denial.as_ref())
        .is_some_and(|denial| matches!(denial.layer, Layer::Scp | Layer::Rcp));
    let reason = problem.as_ref().and_then(|problem| problem.failure.as_ref()?.reason);
    let is_nobody = reason == Some(Reason::NoCredentials);
    let (kind, next) = match problem.map(|problem| problem.kind) {
        Some(ProblemKind::AccessDenied) if failed.words().contains("s3:PutBucketPublicAccessBlock") => (
            Kind::Denied,
            "if the account's own settings block public access (`aws s3control get-public-access-block --account-id ACCOUNT` shows all four), \
             run it again with `--leave-public-access`: it goes on from what is there; otherwise ask who may allow this",
        ),
        Some(ProblemKind::AccessDenied) if is_of_organization => (
            Kind::Denied,
            "no policy of this account can allow what the organization forbids: ask who administers it, or leave out the flag that asks for this; \
             then run it again: it goes on from what is there",
        ),
        Some(ProblemKind::AccessDenied) => (
            Kind::Denied,
            "give the text above to `stateward explain`; then run it again: it goes on from what is there",
        ),
        Some(ProblemKind::Authentication) if is_nobody => (
            Kind::Denied,
            "log in (`aws sso login`), name a profile with `--profile`, or set both `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`; then run it again",
        ),
        Some(ProblemKind::Authentication) => {
            (Kind::Denied, "log in to AWS anew, or say which credentials with `--profile`; then run it again")
        }
        Some(ProblemKind::Throttled) => {
            (Kind::Unavailable, "wait a minute, and run it again: it goes on from what is there")
        }
        Some(ProblemKind::Network) => {
            (Kind::Unavailable, "check the Region, the network and `AWS_ENDPOINT_URL`; then run it again")
        }
        _ => (Kind::Unavailable, GOES_ON),
    };
    Error::new(kind, what, failed.words(), next).into()
}
