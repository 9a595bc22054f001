//! `stateward failover`.

use serde::Serialize;
use stateward_core::{Error, Kind};
use stateward_store_dynamodb::{Force, Options, failover, left_behind};

use super::Context;
use crate::cli::FailoverArgs;
use crate::config::{StoreUrl, Target};
use crate::exit::Exit;
use crate::failure::Result;
use crate::output::human;
use crate::output::progress::Progress;
use crate::store;

/// The answer of `failover --to`.
#[derive(Debug, Serialize)]
struct Moved {
    schema: u8,
    from: Option<String>,
    to: String,
    epoch: u64,
    items: u64,
}

/// The answer of `failover --left-behind`.
#[derive(Debug, Serialize)]
struct LeftBehind {
    schema: u8,
    items: Vec<String>,
}

pub(super) async fn run(context: &Context, args: &FailoverArgs) -> Result<Exit> {
    let options = options(context)?;
    match &args.to {
        Some(region) => to(context, &options, region, if args.force { Force::Yes } else { Force::No }).await,
        None => list(context, &options).await,
    }
}

fn options(context: &Context) -> Result<Options> {
    let refused = |why: &str| {
        let next = "name the store itself with `--store dynamodb://TABLE?region=…`";
        Error::new(Kind::Unsupported, "there is no home to move", why, next)
    };
    match &context.config.target {
        Target::Store(StoreUrl::DynamoDb(url)) => store::dynamodb_options(url, false),
        Target::Store(_) => Err(refused("only a store in DynamoDB is in several Regions").into()),
        Target::Server(_) => Err(refused("a server cannot be told to move its store").into()),
    }
}

async fn to(context: &Context, options: &Options, region: &str, force: Force) -> Result<Exit> {
    let moved = {
        let _progress = Progress::work("moving the home");
        failover(options, store::now(), store::seed(), region, force).await.map_err(Error::from)?
    };
    let answer = Moved { schema: 1, from: moved.from, to: moved.to, epoch: moved.epoch, items: moved.items };
    context.out.answer(&answer, || {
        let items = human::counted(answer.items, "item");
        match (&answer.from, force) {
            (None, _) => format!("{} is home already\n", answer.to),
            (Some(from), Force::No) => {
                format!("the home has moved from {from} to {}: {items} compared, nothing left behind\n", answer.to)
            }
            (Some(from), Force::Yes) => format!(
                "the home is {} now, without {from}: {items} came along\nWhat {from} had not passed on is not here; once it can be \
                 reached again, `stateward failover --left-behind` lists it.\n",
                answer.to
            ),
        }
    })
}

async fn list(context: &Context, options: &Options) -> Result<Exit> {
    let items = left_behind(options, store::now(), store::seed()).await.map_err(Error::from)?;
    let answer = LeftBehind { schema: 1, items };
    context.out.answer(&answer, || match answer.items.is_empty() {
        true => "nothing was left behind\n".to_owned(),
        false => answer.items.join("\n") + "\n",
    })
}
