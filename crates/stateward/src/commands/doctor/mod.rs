//! `stateward doctor`: whether state can be kept at a place, and what is in the way.

mod target;
mod told;

use std::sync::Arc;

use serde::Serialize;
use stateward_aws::doctor::{Finding, Options, Patient, Status};
use stateward_core::Clock;
use stateward_store_aws::configuration;

pub(super) use target::{configuration as configuration_of, extra_arguments, of_directory as backend_of_directory};

use super::Context;
use super::policy::files;
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
        vpc_endpoint: files::endpoints(&args.vpc_endpoint, &target.services())?,
        now: Arc::new(|| SystemClock.now()),
        seed: seed(),
    };
    let patient = Patient::new(target, &settings, options).map_err(|error| target::no_target(&error))?;
    let progress = Progress::work("looking");
    // Whatever was written is removed, also when somebody has waited long enough.
    let found = tokio::select! {
        found = Box::pin(patient.examine()) => Some(found),
        _ = tokio::signal::ctrl_c() => None,
    };
    let left = patient.clean().await;
    drop(progress);
    for (what, why) in &left {
        output::note(&format!("left behind: {what}, which could not be removed: {why}\n"));
    }
    let Some(found) = found else {
        output::note("interrupted; what was written to try things out is removed\n");
        return Ok(Exit::Failed);
    };
    let exit = exit(&found);
    let answer = Answer { items: found };
    context.out.answer(&answer, || told::all(&answer.items))?;
    Ok(exit)
}

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
