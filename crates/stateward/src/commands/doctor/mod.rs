//! `stateward doctor`: whether state can be kept at a place, and what is in the way.

mod interruptions;
mod target;
mod told;

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use stateward_aws::doctor::{Finding, Options, Patient, Place, Status, Surroundings};
use stateward_core::Clock;
use stateward_store_aws::configuration;

pub(super) use target::{
    configuration as configuration_of, extra_arguments, given, noted, of_directory as backend_of_directory,
};

use self::interruptions::Interruptions;
use super::Context;
use super::lock::this_machine;
use super::policy::files;
use super::terraform_state::typed_place;
use crate::cli::DoctorArgs;
use crate::exit::Exit;
use crate::failure::Result;
use crate::output;
use crate::output::progress::Progress;
use crate::store::seed;
use crate::system::SystemClock;

/// The answer.
#[derive(Debug, Serialize)]
struct Answer {
    items: Vec<Finding>,
}

pub(super) async fn run(context: &Context, args: &DoctorArgs) -> Result<Exit> {
    let target = target::target(context, args)?;
    let settings = configuration(&target.access).await;
    let options = Options {
        purpose: args.purpose.into(),
        read_only: args.read_only,
        machine: this_machine(),
        surroundings: surroundings(context, args),
        vpc_endpoint: files::endpoints(&args.vpc_endpoint, &target.services())?,
        now: Arc::new(|| SystemClock.now()),
        seed: seed(),
    };
    let patient = Patient::new(target, &settings, options).map_err(|error| target::no_target(&error))?;
    let interruptions = Interruptions::listen()?;
    let progress = Progress::work("looking");
    let looking = async {
        let found = Box::pin(patient.examine_until(interruptions.first())).await;
        // Whatever was written is removed, also when somebody has waited long enough.
        (found, patient.clean().await)
    };
    let looked = tokio::select! {
        looked = looking => Some(looked),
        () = interruptions.second() => None,
    };
    drop(progress);
    let Some((found, left)) = looked else {
        for what in patient.may_be_there() {
            output::note(&format!("may be left behind: {what}\n"));
        }
        output::note("interrupted before all that was written to try things out was removed\n");
        return Ok(Exit::Failed);
    };
    for (what, why) in &left {
        output::note(&format!("left behind: {what}, which could not be removed: {why}\n"));
    }
    let Some(found) = found else {
        let what = if left.is_empty() { "what was" } else { "all else that was" };
        output::note(&format!("interrupted; {what} written to try things out is removed\n"));
        return Ok(Exit::Failed);
    };
    let exit = exit(&found);
    let answer = Answer { items: found };
    context.out.answer(&answer, || told::all(&answer.items))?;
    Ok(exit)
}

/// What is set beside the target. Of what holds secrets only that it is set.
fn surroundings(context: &Context, args: &DoctorArgs) -> Surroundings {
    let told = |name: &str| name.starts_with("AWS_ENDPOINT_URL") || name.ends_with("_ENDPOINT") || TOLD.contains(&name);
    let variables = context.environment.with_prefix("AWS_").filter_map(|name| {
        let value = context.environment.get(name)?;
        Some((name.to_owned(), if told(name) { value } else { "…" }.to_owned()))
    });
    let flags = [("--profile", args.profile.is_some()), ("--region", args.region.is_some())];
    let flags = flags.into_iter().filter_map(|(name, is_given)| is_given.then_some(name));
    let flags: Vec<&str> = flags.collect();
    let place = args.bucket.is_none().then(|| place(args)).filter(|_| flags.is_empty());
    Surroundings { variables: variables.collect(), flags, place }
}

/// The state as `state repair` and `lock inspect` take it: they have no flags for who one is.
fn place(args: &DoctorArgs) -> Place {
    let directory = args.dir.as_deref().unwrap_or(Path::new("."));
    typed_place(&directory.display().to_string(), &args.backend_config, args.workspace.as_deref())
}

/// Variables that hold no secrets.
const TOLD: [&str; 4] = ["AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"];

/// A right that is refused weighs most: it is what somebody else has to put right.
fn exit(found: &[Finding]) -> Exit {
    let mut failed = found.iter().filter(|finding| finding.status == Status::Fail).peekable();
    if failed.peek().is_none() {
        Exit::Done
    } else if failed.any(|finding| finding.check.starts_with("right:") || finding.denial.is_some()) {
        Exit::Denied
    } else {
        Exit::Failed
    }
}
