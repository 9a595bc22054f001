//! `stateward setup aws`: what state needs on AWS.

mod told;

use stateward_aws::setup::{self, Action, ApplyError, Caller, Item, Wanted};
use stateward_aws::{Failed, Layout, Services};
use stateward_core::view::List;
use stateward_core::{Error, Kind};
use stateward_denial::Kind as ProblemKind;
use stateward_store_aws::{Access, configuration};
use stateward_store_s3::Options;

use super::{Context, confirm};
use crate::cli::SetupAwsArgs;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output;
use crate::output::progress::Progress;

pub(super) async fn run(context: &Context, args: &SetupAwsArgs) -> Result<Exit> {
    let (services, wanted) = asked(args).await?;
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
        output::text(&told::plan(&plan.items))?;
    }
    if let Some(item) = obstacle {
        return Err(in_the_way(&item));
    }
    if !args.dry_run && !is_done {
        if !args.yes && !confirm("Do this?", "--yes")? {
            output::note("Nothing was done.\n");
            return Ok(Exit::Done);
        }
        apply(&services, &wanted, &plan.items).await?;
        if context.out.json {
            output::json(&plan)?;
        }
    }
    if !context.out.json && !args.dry_run {
        output::text(&told::ready(&wanted))?;
    }
    Ok(Exit::Done)
}

async fn asked(args: &SetupAwsArgs) -> Result<(Services, Wanted)> {
    Options::from_url(&format!("s3://{}", args.bucket)).map_err(|error| {
        let next = "give `--bucket` 3 to 63 lower-case letters, digits and hyphens";
        Failure::usage("the bucket is not named rightly", error.to_string(), next)
    })?;
    let access = Access { region: args.region.clone(), profile: args.profile.clone(), ..Access::default() };
    let settings = configuration(&access).await;
    let region = settings.region().map(|region| region.as_ref().to_owned()).ok_or_else(|| {
        let why = "neither `--region` nor the AWS configuration says in which Region";
        Failure::usage("nothing was done", why, "say `--region REGION`, or set `AWS_REGION`")
    })?;
    // Of all that speak S3 only AWS itself is set up here, or what stands in for it under one address.
    let layout = if settings.endpoint_url().is_some() { Layout::Path } else { Layout::Host };
    let services = Services::new(&settings, layout);
    let Caller { account, partition } =
        setup::caller(&services).await.map_err(|failed| refused("AWS was not asked for anything yet", &failed))?;
    let wanted =
        Wanted { bucket: args.bucket.clone(), lock_table: args.lock_table.clone(), region, account, partition };
    Ok((services, wanted))
}

async fn apply(services: &Services, wanted: &Wanted, plan: &[Item]) -> Result<()> {
    // Told as it is done: whatever ends this, what was made stands there.
    let mut done = |item: &Item| output::note(&told::done(item));
    setup::apply(services, wanted, plan, &mut done).await.map(drop).map_err(|error| match error {
        ApplyError::Failed(failed) => refused("the set-up ended before all was done", &failed),
        ApplyError::Refused(item) => in_the_way(&item),
        other => {
            let next = "run it again: it reads what is there, and goes on from there";
            Error::new(Kind::Unavailable, "the set-up ended before all was done", other.to_string(), next).into()
        }
    })
}

fn in_the_way(item: &Item) -> Failure {
    let what = format!("`{}` cannot be used", item.resource);
    let next = "do what the sentence above says, and run it again";
    Error::new(Kind::Unsupported, what, item.why.trim_end_matches('.'), next).into()
}

fn refused(what: &str, failed: &Failed) -> Failure {
    let kind = match failed.problem().map(|problem| problem.kind) {
        Some(ProblemKind::AccessDenied | ProblemKind::Authentication) => Kind::Denied,
        _ => Kind::Unavailable,
    };
    let next = "give the text above to `stateward explain`; then run it again: it goes on from what is there";
    Error::new(kind, what, failed.words(), next).into()
}
