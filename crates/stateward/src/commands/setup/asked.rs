//! What is asked for on the command line.

use std::collections::BTreeMap;

use stateward_aws::setup::{
    self, Caller, EmitError, Environment, EnvironmentError, Format, Replica, Wanted, WantedKey,
};
use stateward_aws::{Layout, Services};
use stateward_core::{Error, Kind};
use stateward_iam::names;
use stateward_store_aws::{Access, configuration};

use super::{in_the_way, refused};
use crate::cli::{Emit, Engine, SetupAwsArgs};
use crate::failure::{Failure, Result};
use crate::output::progress::Progress;

/// What is asked for, of whose account, and who asks.
pub(super) async fn asked(args: &SetupAwsArgs) -> Result<(Services, Wanted, String)> {
    let named = named(args)?;
    let access = Access { region: args.region.clone(), profile: args.profile.clone(), ..Access::default() };
    let settings = configuration(&access).await;
    let region = settings.region().map(|region| region.as_ref().to_owned()).ok_or_else(|| {
        let why = "neither `--region` nor the AWS configuration says in which Region";
        Failure::usage("nothing was done", why, "say `--region REGION`, or set `AWS_REGION`")
    })?;
    let services = Services::new(&settings, Layout::of(&settings));
    let _progress = Progress::work("asking AWS who this is");
    let Caller { account, partition, arn } =
        setup::caller(&services).await.map_err(|failed| refused("AWS was not asked for anything yet", &failed))?;
    Ok((services, Wanted { region, account, partition, ..named }, arn))
}

/// What is asked for, as code.
pub(super) fn emitted(args: &SetupAwsArgs, format: Emit) -> Result<String> {
    let named = named(args)?;
    if format == Emit::Json && args.region.is_none() {
        let why = "the request that makes a bucket names its Region";
        return Err(Failure::usage("nothing was written", why, "say `--region REGION`"));
    }
    let format = match format {
        Emit::Terraform => Format::Terraform,
        Emit::Cloudformation => Format::CloudFormation,
        Emit::Json => Format::Json,
    };
    let wanted = Wanted { region: args.region.clone().unwrap_or_default(), ..named };
    setup::emit(&wanted, format).map_err(|error| match error {
        EmitError::OtherRegion(_) => {
            let next = "say `--emit terraform` or `--emit json`, or let the copy stay in the Region";
            Failure::usage("nothing was written", error.to_string(), next)
        }
        EmitError::Refused(item) => in_the_way(&item),
        EmitError::Build(_) => {
            let next = "report it with the command line that was given";
            Error::new(Kind::Unsupported, "the set-up cannot be written", error.to_string(), next).into()
        }
    })
}

const ONE_TABLE: &str = "no policy keeps environments apart in one table: a store in DynamoDB has the names, the bytes and the audit of all its states \
                         under common keys, so that a condition on `dynamodb:LeadingKeys` tells no states apart";
const A_TABLE_EACH: &str = "give each environment a table: run it once for each, with a `--state-table` of its own and without `--environments`, and \
                            make each policy with the command that it prints";

/// What can be told without AWS.
fn named(args: &SetupAwsArgs) -> Result<Wanted> {
    let is_dynamodb = args.engine == Engine::Dynamodb;
    if is_dynamodb && !args.environments.is_empty() {
        return Err(Failure::usage("nothing was done", ONE_TABLE, A_TABLE_EACH));
    }
    if is_dynamodb != args.state_table.is_some() {
        let why =
            "`--engine dynamodb` keeps state in the table that `--state-table` names, and no other engine has one";
        return Err(Failure::usage("nothing was done", why, "give both, or neither"));
    }
    if args.bucket.is_none() && args.state_table.is_none() {
        return Err(Failure::usage("nothing was done", "no bucket is named", "say `--bucket NAME`"));
    }
    let replica = replica(args)?;
    let copies = replica.as_ref().map(|replica| replica.bucket.clone());
    let buckets = [&args.bucket, &args.access_log, &copies].into_iter().flatten().map(|name| names::bucket(name));
    let tables = [&args.lock_table, &args.state_table].into_iter().flatten().map(|name| names::table(name));
    let trail = args.trail.iter().map(|name| names::trail(name));
    let elsewhere = replica.iter().flat_map(|replica| &replica.region);
    let regions = args.region.iter().chain(elsewhere).map(|name| names::region(name));
    if let Some(wrong) = buckets.chain(tables).chain(trail).chain(regions).find_map(Result::err) {
        return Err(Failure::usage("nothing was done", wrong.to_string(), wrong.next()));
    }
    let pairs = [
        (&args.bucket, &args.access_log),
        (&args.bucket, &copies),
        (&args.access_log, &copies),
        (&args.lock_table, &args.state_table),
    ];
    for (one, other) in pairs {
        if one.is_some() && one == other {
            let why = format!("{} is named for two things", one.as_deref().unwrap_or_default());
            return Err(Failure::usage("nothing was done", why, "give each a name of its own"));
        }
    }
    let name = args.bucket.as_ref().or(args.state_table.as_ref()).map_or("", String::as_str);
    let environments = Environment::all(args.bucket.as_deref().unwrap_or_default(), &args.environments, &args.trust)
        .map_err(|error| no_environment(&error))?;
    Ok(Wanted {
        environments,
        bucket: args.bucket.clone(),
        both_locks: args.use_lockfile && args.lock_table.is_some(),
        lock_table: args.lock_table.clone(),
        state_table: args.state_table.clone(),
        key: args.kms_key.as_deref().map(|key| key_of(key, name)).transpose()?,
        log_bucket: args.access_log.clone(),
        trail: args.trail.clone(),
        replica,
        leaves_public_access: args.leave_public_access,
        tags: tags(&args.tags)?,
        ..Wanted::default()
    })
}

fn no_environment(error: &EnvironmentError) -> Failure {
    let next = match error {
        EnvironmentError::Name(_) => "give `--environments` names such as `dev,staging,prod`",
        EnvironmentError::Twice(_) => "give each environment a name of its own",
        EnvironmentError::TooLong { .. } => {
            "give the environment a shorter name, or leave `--trust` out and attach its policy to a role of your own"
        }
        EnvironmentError::Principal(_) => "give `--trust` an ARN such as `arn:aws:iam::111122223333:role/ci`",
        EnvironmentError::NoSubject(_) => {
            "say for whom: `--trust 'ARN#repo:OWNER/NAME:environment:dev'`, with the subject as the provider writes it"
        }
        EnvironmentError::Subject { .. } => "write the subject as the provider does, with no blank before and after it",
        EnvironmentError::AnyOwner { .. } => {
            "name the owner before any `*`: `--trust 'ARN#repo:OWNER/*'`, with the subject as the provider writes it"
        }
        EnvironmentError::Unknown(_) => "name in `--trust` one of those that `--environments` names",
    };
    Failure::usage("nothing was done", error.to_string(), next)
}

/// Where a copy goes.
fn replica(args: &SetupAwsArgs) -> Result<Option<Replica>> {
    let Some(named) = &args.replicate_to else { return Ok(None) };
    let (bucket, region) = match named.split_once('@') {
        Some((bucket, region)) => (bucket, Some(region.to_owned())),
        None => (named.as_str(), None),
    };
    let usage = |why: String, next: &str| Err(Failure::usage("nothing was done", why, next));
    let Some(key) = &args.replica_kms_key else {
        if args.kms_key.is_some() {
            let why =
                "S3 copies what a key encrypts only with a key for the copies, of the Region where they go".to_owned();
            return usage(why, "give its ARN with `--replica-kms-key`");
        }
        return Ok(Some(Replica { bucket: bucket.to_owned(), region, key: None }));
    };
    let parts: Vec<&str> = key.splitn(6, ':').collect();
    let of = match parts.as_slice() {
        ["arn", _, "kms", of, _, id] if id.starts_with("key/") => *of,
        _ => {
            return usage(
                format!("`{key}` is no ARN of a key"),
                "give `--replica-kms-key arn:aws:kms:REGION:ACCOUNT:key/ID`",
            );
        }
    };
    if let Some(region) = region.as_ref().or(args.region.as_ref()).filter(|region| *region != of) {
        let why = format!("the key is of {of}, and the copies go to {region}");
        return usage(why, "S3 encrypts with keys of a bucket's own Region: give the ARN of one there");
    }
    Ok(Some(Replica { bucket: bucket.to_owned(), region, key: Some(key.clone()) }))
}

fn key_of(key: &str, name: &str) -> Result<WantedKey> {
    if key == "create" {
        // Aliases know no dots.
        return Ok(WantedKey::Made(format!("alias/stateward-{}", name.replace('.', "-"))));
    }
    let is_arn = key.starts_with("arn:") && key.split(':').nth(2) == Some("kms") && key.splitn(6, ':').count() == 6;
    if is_arn || key.starts_with("alias/") {
        return Ok(WantedKey::Given(key.to_owned()));
    }
    let why = format!("`{key}` is neither `create` nor the ARN of a key nor `alias/NAME`");
    Err(Failure::usage("the key is not named rightly", why, "give `--kms-key` one of these"))
}

fn tags(pairs: &[String]) -> Result<BTreeMap<String, String>> {
    let mut tags = BTreeMap::new();
    for pair in pairs {
        let wrong = |why: String, next: &str| Failure::usage("nothing was done", why, next);
        let (key, value) = pair
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| wrong(format!("`{pair}` is no tag"), "give `--tag KEY=VALUE`"))?;
        names::tag(key, value).map_err(|error| wrong(error.to_string(), error.next()))?;
        if key.to_ascii_lowercase().starts_with("stateward:") {
            let why = format!("by tags such as `{key}` set-up knows what it made");
            return Err(wrong(why, "give the tag another key"));
        }
        if tags.insert(key.to_owned(), value.to_owned()).is_some_and(|before| before != value) {
            return Err(wrong(format!("the tag `{key}` is given two values"), "give it once"));
        }
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_or_given() {
        let made = |key: &str| key_of(key, "my.states").ok();
        assert_eq!(made("create"), Some(WantedKey::Made("alias/stateward-my-states".to_owned())));
        for given in ["alias/state", "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-4333-8444-555555555555"] {
            assert_eq!(made(given), Some(WantedKey::Given(given.to_owned())));
        }
        for wrong in ["", "state", "arn:aws:s3:::states", "11111111-2222-4333-8444-555555555555"] {
            assert_eq!(made(wrong), None, "{wrong}");
        }
    }
}
