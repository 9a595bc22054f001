//! What is asked of AWS.

use jiff::Timestamp;
use stateward_aws::trail::{self, BucketError, TrailBucket};
use stateward_aws::{Failed, Layout, Services};
use stateward_core::{Error, Kind};
use stateward_denial::Kind as ProblemKind;
use stateward_store_aws::{Access, at_endpoint, configuration};
use stateward_store_s3::Options;

use super::Reading;
use crate::cli::TrailArgs;
use crate::failure::{Failure, Result};
use crate::output::progress::Progress;

/// What `CloudTrail` keeps.
pub(super) async fn lookup(reading: &mut Reading, args: &TrailArgs) -> Result<()> {
    let access = Access { region: args.region.clone(), profile: args.profile.clone(), ..Access::default() };
    let services = Services::new(&configuration(&access).await, Layout::default());
    let mut wanted = reading.recent();
    let oldest = reading.now.checked_sub(trail::KEPT).unwrap_or(Timestamp::MIN);
    if wanted.until.is_some_and(|until| until <= oldest) {
        return Err(Failure::usage(
            "CloudTrail has no events of that time any more",
            "it keeps them for 90 days",
            "read them from the bucket of a trail: `stateward trail s3://BUCKET/PREFIX`",
        ));
    }
    if wanted.since.is_some_and(|since| since < oldest) {
        wanted.since = Some(oldest);
        reading
            .warnings
            .push("CloudTrail keeps events for 90 days: those of before are in the bucket of a trail".to_owned());
    }
    reading.warnings.push(
        "lookups hold no data events: reads and writes of objects and items, Terraform's lock among them, are only in a trail that \
         records them; `stateward trail s3://BUCKET/PREFIX` reads it"
            .to_owned(),
    );
    let progress = Progress::work("looking up events");
    let mut say = |records: u64| progress.say(format!("looking up events: {records} so far"));
    let looked = trail::look_up(&services.trail, &wanted, &mut reading.tally, &mut say).await;
    reading.content.records +=
        looked.map_err(|failed| refused("CloudTrail's events", "cloudtrail:LookupEvents", &failed))?;
    Ok(())
}

/// The bucket of a trail.
pub(super) async fn bucket(reading: &mut Reading, args: &TrailArgs, url: &str) -> Result<()> {
    let Options { bucket, prefix, mut access, objects, .. } = Options::from_url(url).map_err(|error| {
        let next =
            "write it as `s3://BUCKET/PREFIX?region=…`, where the trail's PREFIX is what stands before `AWSLogs`";
        Failure::usage("the trail's bucket is not named rightly", error.to_string(), next)
    })?;
    access.region = access.region.or_else(|| args.region.clone());
    access.profile = access.profile.or_else(|| args.profile.clone());
    let mut settings = configuration(&access).await;
    if let Some(endpoint) = &access.endpoint {
        settings = at_endpoint(&settings, endpoint);
    }
    let layout = if objects.path_style { Layout::Path } else { Layout::Host };
    let services = Services::new(&settings, layout);
    let wanted = reading.recent();
    let progress = Progress::work("reading the trail's bucket");
    let read = TrailBucket::new(services.s3, bucket, &prefix).read(&wanted, reading.now, &mut reading.tally).await;
    drop(progress);
    let (content, faults) = read.map_err(|error| no_bucket(url, error))?;
    reading.content = reading.content.and(content);
    reading.is_short |= !faults.is_empty();
    reading.warnings.extend(faults.iter().map(|fault| format!("{fault}; what could be read of it counts")));
    if content.records == 0 {
        let since = wanted.since.map(|since| format!(" since {since}")).unwrap_or_default();
        reading.warnings.push(format!("`{url}` has no records{since}: does the trail log, and to this prefix?"));
    }
    Ok(())
}

fn no_bucket(url: &str, error: BucketError) -> Failure {
    let name = url.split('?').next().unwrap_or_default();
    let what = format!("the trail in `{name}` was not read");
    match error {
        BucketError::Failed(failed) => refused(
            &format!("the trail in `{name}`"),
            "s3:ListBucket, s3:GetObject and, where a key encrypts it, kms:Decrypt",
            &failed,
        ),
        BucketError::NoLogs { .. } => {
            let next =
                "give the prefix that stands before `AWSLogs`: `aws cloudtrail describe-trails` calls it `S3KeyPrefix`";
            Error::new(Kind::NotFound, what, error.to_string(), next).into()
        }
        other => {
            let next = "fetch the object and look at it; `stateward trail FILE` reads what there is of it";
            Error::new(Kind::Invalid, what, other.to_string(), next).into()
        }
    }
}

/// AWS refused, or was not reached.
fn refused(what: &str, needs: &str, failed: &Failed) -> Failure {
    let what = format!("{what} cannot be read");
    let known = failed.problem().map(|problem| problem.kind);
    let kind = match known {
        Some(ProblemKind::AccessDenied | ProblemKind::Authentication) => Kind::Denied,
        Some(ProblemKind::NotFound) => Kind::NotFound,
        _ => Kind::Unavailable,
    };
    let next = match kind {
        // Nobody has to allow anything to who is not known.
        Kind::Denied if known == Some(ProblemKind::Authentication) => {
            "log in, or give credentials: `aws sts get-caller-identity` shows whether there are any; `--profile` names others".to_owned()
        }
        Kind::Denied => {
            format!("it needs {needs}; give the text above to `stateward explain`, which says who can allow it")
        }
        _ => "give the text above to `stateward explain`".to_owned(),
    };
    Error::new(kind, what, failed.words(), next).into()
}
