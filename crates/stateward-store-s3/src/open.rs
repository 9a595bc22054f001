//! Opening a store: is it there, is it ours, and does the service behind it keep the promises that everything rests on?

use std::sync::Arc;

use aws_config::{Region, SdkConfig};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stateward_store::StoreError;
use stateward_store_aws::{
    BLOBS_MARK, Bucket, BucketError, Condition, Counter, Fault, Ids, Place, ROOT, Refused, S3_STORE_MARK,
    dynamodb_endpoint, s3_endpoint, settled,
};
use tokio::sync::Semaphore;
use tracing::{debug, info};

use crate::connect;
use crate::envelope::Upkeep;
use crate::options::Options;
use crate::read::Packs;
use crate::records::Records;
use crate::refusal::OpenError;
use crate::shelf::Shelves;
use crate::store::{S3Store, Shared, UPLOAD_BYTES_MAX};

/// The record that says what the service was seen to do.
const PROOF: &str = "proof";
/// Tries to see it, where answers get lost.
const TRIES: usize = 4;
/// Services other than AWS's mostly do not care, but a signature has to name one.
const REGION_ELSEWHERE: &str = "us-east-1";

/// What the service was seen to do, and which service that was: a bucket may be copied to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Proof {
    endpoint: String,
    bucket: String,
    /// It honours `If-Match` on a delete, too.
    deletes_if: bool,
}

impl S3Store {
    /// Opens a store, or says why not. `seed` is 32 random bytes that were never used before: what has to be unique is made from it.
    ///
    /// The first time it writes a few objects to see that conditional writes are what they should be; after that it costs one request.
    pub async fn open(options: Options, seed: [u8; 32]) -> Result<Self, OpenError> {
        let configuration = configuration(&options).await?;
        let counter = Counter::default();
        let bucket = connect::bucket(&options, &configuration, &counter)?;
        let ids = Arc::new(Ids::new(seed));
        let root = if options.prefix.is_empty() { ROOT.to_owned() } else { format!("{}/{ROOT}", options.prefix) };
        let retries = options.access.max_retries;
        let mut records = Records::new(bucket.clone(), &root, "records/", Arc::clone(&ids), retries);
        let meta = Records::new(bucket.clone(), &root, "meta/", Arc::clone(&ids), retries);
        let endpoint = options.access.endpoint.as_deref().or(configuration.endpoint_url()).unwrap_or("AWS");
        let proof = proof(&meta, endpoint).await?;
        records.deletes_if = proof.deletes_if;
        let packs = Packs::new(bucket, root);
        let shared = Shared {
            options,
            configuration,
            counter,
            ids,
            records,
            meta,
            packs,
            shelves: Shelves::new(),
            upload_bytes: Arc::new(Semaphore::new(UPLOAD_BYTES_MAX)),
        };
        Ok(Self { shared: Arc::new(shared) })
    }
}

impl Options {
    /// The same, with all written out that the environment and the shared files say here and now of where the service is and who one is:
    /// so that it is the same place elsewhere, too.
    pub async fn settled(&self) -> Self {
        // Without a Region there is no place.
        let Ok(configuration) = configuration(self).await else { return self.clone() };
        let access = settled(&self.access, &configuration, s3_endpoint(&configuration)).await;
        let mut settled = Self { access, ..self.clone() };
        if self.sharing.as_ref().is_some_and(|sharing| sharing.lock_table.is_some()) {
            let endpoint = &mut settled.dynamodb_endpoint;
            *endpoint = endpoint.take().or_else(|| dynamodb_endpoint(&configuration));
        }
        settled
    }
}

pub(crate) async fn configuration(options: &Options) -> Result<SdkConfig, OpenError> {
    let configuration = stateward_store_aws::configuration(&options.access).await;
    if configuration.region().is_some() {
        return Ok(configuration);
    }
    if options.access.endpoint.is_none() && configuration.endpoint_url().is_none() {
        return Err(BucketError::NoRegion { bucket: options.bucket.clone() }.into());
    }
    Ok(configuration.into_builder().region(Region::from_static(REGION_ELSEWHERE)).build())
}

/// What was seen of this service before, or else what is seen now.
async fn proof(meta: &Records, endpoint: &str) -> Result<Proof, OpenError> {
    let bucket = &meta.bucket;
    let name = meta.name(PROOF);
    // Not through `Records::read`, whose errors say less about a bucket that is not there.
    let found = bucket.get(&name).await.map_err(|fault| OpenError::new(&bucket.name, fault))?;
    let known = match &found {
        None => None,
        Some(object) => {
            let envelope =
                crate::envelope::open(&name, &object.content).map_err(|error| damaged(&bucket.name, error))?;
            serde_json::from_slice::<Proof>(&envelope.value).ok()
        }
    };
    if let Some(known) = known.filter(|known| known.endpoint == endpoint && known.bucket == bucket.name) {
        return Ok(known);
    }
    let root = name.strip_suffix(S3_STORE_MARK).unwrap_or_default();
    if bucket.head(&format!("{root}{BLOBS_MARK}")).await.map_err(|fault| OpenError::new(&bucket.name, fault))?.is_some()
    {
        let prefix = root.strip_suffix(ROOT).unwrap_or_default().trim_end_matches('/').to_owned();
        let place = Place { bucket: bucket.name.clone(), prefix }.url();
        return Err(BucketError::Taken { place, by: "the blobs of a store in DynamoDB".into() }.into());
    }
    let deletes_if = prove(meta).await?;
    let proof = Proof { endpoint: endpoint.to_owned(), bucket: bucket.name.clone(), deletes_if };
    info!(bucket = bucket.name, deletes_if, "the storage honours conditional writes");
    note(meta, &proof).await?;
    Ok(proof)
}

async fn note(meta: &Records, proof: &Proof) -> Result<(), OpenError> {
    let failed =
        |error: StoreError| BucketError::Unavailable { bucket: meta.bucket.name.clone(), reason: error.to_string() };
    let value = serde_json::to_vec(proof).unwrap_or_default();
    let base = meta.read(PROOF).await.map_err(failed)?.map(|found| found.known);
    match meta.put(PROOF, base.as_ref(), Some(&value), Upkeep::default()).await {
        // If another process has noted it meanwhile, it noted the same.
        Ok(_) | Err(StoreError::OutcomeUnknown { .. }) => Ok(()),
        Err(error) => Err(failed(error).into()),
    }
}

fn damaged(bucket: &str, error: StoreError) -> OpenError {
    let bucket = bucket.to_owned();
    match error {
        StoreError::Unsupported { what, .. } => OpenError::Newer { bucket, reason: what },
        error => OpenError::Corrupt { bucket, reason: error.to_string() },
    }
}

/// Sees whether the service honours conditions: on a write, without which it is refused; and on a delete.
async fn prove(meta: &Records) -> Result<bool, OpenError> {
    let bucket = &meta.bucket;
    let mut last = None;
    for turn in 0..TRIES {
        let name = format!("{}probe-{}", meta.directory(), meta.ids.next());
        let seen = see(bucket, &name, &meta.ids).await;
        if let Err(fault) = bucket.delete(&name).await {
            debug!(?fault, name, "a probe was left behind");
        }
        match seen {
            Ok(seen) => {
                return seen.map_err(|condition| OpenError::Unconditional { bucket: bucket.name.clone(), condition });
            }
            // A lost answer makes the next one mean nothing: start again with another object.
            Err(fault) if fault.may_pass() || matches!(fault, Fault::Precondition) => {
                tokio::time::sleep(meta.wait(u32::try_from(turn).unwrap_or(0))).await;
                last = Some(fault);
            }
            Err(fault) => return Err(OpenError::new(&bucket.name, fault)),
        }
    }
    Err(OpenError::new(&bucket.name, last.unwrap_or(Fault::Contended)))
}

/// Whether deletes are conditional; or which condition of a write was ignored.
async fn see(bucket: &Bucket, name: &str, ids: &Ids) -> Result<Result<bool, &'static str>, Fault> {
    let content = || {
        Bytes::from(format!(
            "stateward looks whether conditions are honoured here; this may be removed: {}\n",
            ids.next()
        ))
    };
    let first = bucket.put_if(name, content(), &Condition::Absent).await?;
    if !refused(bucket.put_if(name, content(), &Condition::Absent).await)? {
        return Ok(Err("If-None-Match: *"));
    }
    let second = bucket.put_if(name, content(), &Condition::Tag(first.clone())).await?;
    if !refused(bucket.put_if(name, content(), &Condition::Tag(first.clone())).await)? {
        return Ok(Err("If-Match"));
    }
    let deletes_if = match bucket.delete_if(name, &first).await {
        Err(Fault::Precondition | Fault::Contended) => bucket.delete_if(name, &second).await.is_ok(),
        Ok(()) | Err(Fault::Refused(Refused::Unsupported(_) | Refused::Other(_))) => false,
        Err(fault) => return Err(fault),
    };
    Ok(Ok(deletes_if))
}

/// True where a condition that did not hold was honoured.
fn refused(answer: Result<String, Fault>) -> Result<bool, Fault> {
    match answer {
        Ok(_) => Ok(false),
        Err(Fault::Precondition | Fault::Contended) => Ok(true),
        Err(fault) => Err(fault),
    }
}
