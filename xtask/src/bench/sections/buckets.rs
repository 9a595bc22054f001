//! States of 100 MB whose bytes go to S3, and the memory they take.

use stateward_testkit::{AwsEnv, DynamoDbLocal, Moto, fresh_name};

use super::super::document::{Document, FIRST_SERIAL, resource_for};
use super::super::target::Target;
use super::super::{Bench, Result};
use super::large::{SIZE, Subject, report_memory};
use super::requests::serve;

const MEMORY_MAX: f64 = 128.0 * 1024.0 * 1024.0;
/// All new, and then one resource changed, each read back.
const ROUNDS: usize = 2;

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let (moto, dynamodb) = (Moto::start(), DynamoDbLocal::start());
    let (bucket, table) = (moto.create_bucket(), fresh_name("states"));
    let env = AwsEnv::new().s3(moto.url()).dynamodb(dynamodb.url());
    let stores = [
        ("S3 alone", format!("s3://{bucket}/alone?use_path_style=true&share=false")),
        ("S3 shared with Terraform", format!("s3://{bucket}/shared?use_path_style=true&use_lockfile=true")),
        (
            "DynamoDB with blobs in S3",
            format!("dynamodb://{table}?create_tables=true&blobs=s3://{bucket}/blobs&blobs.use_path_style=true"),
        ),
    ];
    let mut document = Document::of_size(SIZE);
    for (name, store) in stores {
        let server = serve(bench, &env, &store);
        let mut subject = Subject::new(Target::new(server.address(), "/state/large"))?;
        let mut received = document.bytes.clone();
        document.renew(FIRST_SERIAL);
        for round in 0..ROUNDS {
            document.touch(resource_for(round, document.resources));
            document.set_serial(FIRST_SERIAL + round as u64);
            let md5 = document.md5();
            subject.post(&document, &md5)?;
            subject.get(&document, &mut received)?;
        }
        report_memory(bench, &format!("{name}: peak memory of the server"), server.id(), ROUNDS, MEMORY_MAX)?;
    }
    Ok(())
}
