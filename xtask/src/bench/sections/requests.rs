//! How many requests S3 and `DynamoDB` get for one apply, which is what costs money and time there: a count.

use std::collections::BTreeMap;

use stateward_testkit::{AwsEnv, Cli, DynamoDbLocal, FaultProxy, Moto, RawHttp, ServerProcess, fresh_name, lock_info};

use super::super::document::{Document, FIRST_SERIAL};
use super::super::report::{Line, Quantity};
use super::super::stats::float;
use super::super::{Bench, Result};

const STATE: &str = "/state/net/prod";
const ID: &str = "5ca1ab1e-0000-4000-8000-000000000001";

/// A way of keeping states, with what an apply may cost and what Terraform's own backend sends for it.
struct Way {
    name: &'static str,
    store: String,
    at_most: f64,
    terraform: Option<f64>,
}

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let (moto, dynamodb) = (Moto::start(), DynamoDbLocal::start());
    let (s3, tables) = (FaultProxy::to(moto.url()), FaultProxy::to(dynamodb.url()));
    let (bucket, locks) = (moto.create_bucket(), moto.create_lock_table());
    let in_bucket = |prefix: &str, options: &str| format!("s3://{bucket}/{prefix}?use_path_style=true&{options}");
    let way = |name, store, at_most, terraform| Way { name, store, at_most, terraform };
    let ways = [
        way("both locks", in_bucket("both", &format!("use_lockfile=true&lock_table={locks}")), 16.0, Some(12.0)),
        way("lock file", in_bucket("file", "use_lockfile=true"), 10.0, Some(7.0)),
        way("alone", in_bucket("alone", "share=false"), 7.0, None),
    ];
    for way in &ways {
        one(bench, "S3", &s3, &AwsEnv::new().s3(s3.url()).dynamodb(s3.url()), way)?;
    }
    let store = format!("dynamodb://{}?create_tables=true", fresh_name("states"));
    let alone = way("alone", store, 10.0, None);
    one(bench, "DynamoDB", &tables, &AwsEnv::new().dynamodb(tables.url()), &alone)
}

/// One apply that changes a state of 20 KB, in a server that has served it before.
fn one(bench: &mut Bench, service: &str, proxy: &FaultProxy, env: &AwsEnv, way: &Way) -> Result<()> {
    let server = serve(bench, env, &way.store);
    let http = server.http();
    let mut document = Document::of_size(21_000);
    apply(&http, &mut document, 1, |_| ())?;
    let (mut all, mut steps) = (BTreeMap::new(), Vec::new());
    proxy.forget_requests();
    apply(&http, &mut document, 2, |step| {
        let counts = proxy.counts();
        proxy.forget_requests();
        let words: Vec<String> = counts.iter().map(|(operation, count)| format!("{count} {operation}")).collect();
        steps.push(format!("{step}: {}", if words.is_empty() { "none".to_owned() } else { words.join(", ") }));
        for (operation, count) in counts {
            *all.entry(operation).or_insert(0) += count;
        }
    })?;
    let total: usize = all.values().sum();
    let name = format!("{service}, {}: requests for one apply", way.name);
    let line = Line::new(name, Quantity::Count(float(total as u64)), 1);
    bench.report(&line.at_most(way.at_most));
    if let Some(terraform) = way.terraform {
        bench.note(&format!("  Terraform's own backend: {terraform}"));
    }
    for step in steps {
        bench.note(&format!("  {step}"));
    }
    Ok(())
}

pub(super) fn serve(bench: &Bench, env: &AwsEnv, store: &str) -> ServerProcess {
    Cli::new(&bench.binary, &bench.dir).envs(env.pairs()).serve(&["--store", store])
}

/// What Terraform sends for an apply; `after` is told of each step.
fn apply(http: &RawHttp, document: &mut Document, round: u64, mut after: impl FnMut(&'static str)) -> Result<()> {
    document.set_serial(FIRST_SERIAL + round);
    document.touch(usize::try_from(round)?);
    let info = lock_info(ID, "OperationTypeApply");
    let post = format!("{STATE}?ID={ID}");
    let steps: [(&'static str, &str, &str, &[u8]); 5] = [
        ("GET", "GET", STATE, b""),
        ("LOCK", "LOCK", STATE, &info),
        ("GET again", "GET", STATE, b""),
        ("POST", "POST", &post, &document.bytes),
        ("UNLOCK", "UNLOCK", STATE, &info),
    ];
    for (step, method, path, body) in steps {
        let answer = http.try_request(method, path, &[], body)?;
        let nothing_yet = step.starts_with("GET") && answer.status == 404;
        if answer.status != 200 && !nothing_yet {
            return Err(format!("{step}: {} {}", answer.status, answer.text()).into());
        }
        after(step);
    }
    Ok(())
}
