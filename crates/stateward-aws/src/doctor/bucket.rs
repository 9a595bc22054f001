//! The bucket as it is.

use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::list_objects_v2::builders::ListObjectsV2FluentBuilder;
use aws_sdk_s3::types::{BucketVersioningStatus, ServerSideEncryption};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use stateward_iam::{Context, Named, Outcome, Policy, PolicyKind, PolicySet, Request, names};
use stateward_store_aws::{Bucket, Encryption};

use super::finding::blame;
use super::{Finding, Found, Patient, Reached};
use crate::Failed;

/// What is known of the key that encrypts.
pub(super) struct Key {
    pub(super) found: Vec<Finding>,
    pub(super) arn: Option<String>,
}

impl Patient {
    /// The bucket, where it can be asked; else what a check says.
    pub(super) fn reached<'a>(&'a self, reached: Reached, check: &str) -> Result<&'a Bucket, Vec<Finding>> {
        let lacking = self.no_bucket();
        match (reached.hinders(check, &lacking), &self.bucket) {
            (None, Some(bucket)) => Ok(bucket),
            (hindered, _) => Err(hindered.unwrap_or_else(|| vec![Finding::untested(check, lacking)])),
        }
    }

    /// Why no bucket is looked at.
    fn no_bucket(&self) -> String {
        match &self.target.blobs {
            Some(blobs) => format!(
                "the records are kept in a table; the bucket of the blobs is looked at by: stateward --store '{blobs}' doctor"
            ),
            None => "the state is kept in a table".to_owned(),
        }
    }

    /// The bucket's policy, asked for once.
    pub(super) async fn bucket_policy(&self, bucket: &Bucket) -> Result<Option<&str>, &Failed> {
        let ask = async || {
            let answer = bucket.client.get_bucket_policy().bucket(&bucket.name).send().await;
            match answer.map_err(|error| Failed::new("S3: GetBucketPolicy", &error)) {
                Ok(answer) => Ok(answer.policy),
                Err(failed) if failed.is("NoSuchBucketPolicy") => Ok(None),
                Err(failed) => Err(failed),
            }
        };
        self.bucket_policy.get_or_init(ask).await.as_ref().map(Option::as_deref)
    }

    /// As Terraform does it first: a listing, which says what a `HeadBucket` cannot. Where it may be listed, the [owner](Self::owner) is
    /// to be asked for.
    pub(super) async fn bucket_exists(&self) -> Found {
        const CHECK: &str = "bucket-exists";
        let Some(bucket) = &self.bucket else {
            return Found { found: vec![Finding::untested(CHECK, self.no_bucket())], reached: Reached::None };
        };
        match self.listing(bucket).send().await {
            Ok(_) => {}
            Err(error) => {
                let failed = Failed::new("S3: ListObjectsV2", &error);
                if failed.is("NoSuchBucket") {
                    let name = &bucket.name;
                    let title = format!("there is no bucket {name}");
                    // A new one cannot have a name that an old one may have.
                    return Found::of(vec![match names::bucket(name) {
                        Ok(()) => Finding::fail(
                            CHECK,
                            title,
                            "S3 knows none of this name, in any account",
                            format!(
                                "check the name and whose credentials these are; `stateward setup aws --bucket {name}` makes a bucket"
                            ),
                        ),
                        Err(error) => Finding::fail(CHECK, title, error.to_string(), error.next()),
                    }]);
                }
                if !failed.is_refused() {
                    return Found::of(blame(CHECK, &failed));
                }
                // S3 says of a bucket that is not there that it is not, whoever asks.
                let mut title = format!("{} is there, and may not be listed", bucket.name);
                if failed.is_unexplained() {
                    title.push_str("; S3 gives no reason, as it does where a bucket is another account's");
                }
                return Found { found: vec![Finding::ok(CHECK, title)], reached: Reached::Yes };
            }
        }
        Found { found: Vec::new(), reached: Reached::Yes }
    }

    /// Whether it is in the caller's own account, and its Region.
    pub(super) async fn owner(&self, bucket: &Bucket, account: Option<&str>) -> Vec<Finding> {
        const CHECK: &str = "bucket-exists";
        let there = |region: Option<&str>| {
            let region = region.map(|region| format!(" in {region}")).unwrap_or_default();
            Finding::ok(CHECK, format!("{} is there{region}", bucket.name))
        };
        let Some(account) = account else { return vec![there(None)] };
        let head = bucket.client.head_bucket().bucket(&bucket.name).expected_bucket_owner(account);
        vec![match head.send().await {
            Ok(answer) => {
                let mut found = vec![there(answer.bucket_region())];
                found.extend(answer.bucket_region().and_then(|region| self.elsewhere(region)));
                return found;
            }
            // Where only some names may be listed, this is refused, for it names none; a listing of these says more.
            Err(error) if is_403(&error) && self.is_owned(bucket, account).await => there(None),
            Err(error) if is_403(&error) => Finding::warn(
                CHECK,
                format!("{} belongs to another account than {account}", bucket.name),
                "whoever owns a bucket reads what is in it; names of buckets that were deleted can be taken by anybody",
                "make sure that you know the owner, and that the bucket's name is spelt right",
            ),
            Err(_) => there(None),
        }]
    }

    /// That the bucket is in another Region than requests are signed for. AWS itself answers nothing else then; other services do.
    fn elsewhere(&self, theirs: &str) -> Option<Finding> {
        let ours = self.configuration.region()?.as_ref();
        if ours == theirs {
            return None;
        }
        let mut found = Finding::warn(
            "region",
            format!("the Region is {ours}, and the bucket is in {theirs}"),
            "this server answers all the same; AWS does not, and a lock table is looked for in the Region that is set",
            format!("say `region = \"{theirs}\"` in the backend block, or set AWS_REGION={theirs}"),
        );
        if let Some(other) = self.other_region() {
            found.add(&other);
        }
        Some(found)
    }

    async fn is_owned(&self, bucket: &Bucket, account: &str) -> bool {
        self.listing(bucket).expected_bucket_owner(account).send().await.is_ok()
    }

    /// Whether there is anything of ours.
    pub(super) fn listing(&self, bucket: &Bucket) -> ListObjectsV2FluentBuilder {
        bucket.client.list_objects_v2().bucket(&bucket.name).prefix(self.target.listed()).max_keys(1)
    }

    pub(super) async fn bucket_versioning(&self, reached: Reached) -> Vec<Finding> {
        const CHECK: &str = "bucket-versioning";
        let bucket = match self.reached(reached, CHECK) {
            Ok(bucket) => bucket,
            Err(found) => return found,
        };
        match bucket.client.get_bucket_versioning().bucket(&bucket.name).send().await {
            Ok(answer) if answer.status == Some(BucketVersioningStatus::Enabled) => vec![Finding::ok(CHECK, "on")],
            Ok(_) => vec![Finding::warn(
                CHECK,
                "versioning is off",
                "a state that is overwritten or deleted by mistake is gone for good",
                format!(
                    "aws s3api put-bucket-versioning --bucket {} --versioning-configuration Status=Enabled",
                    bucket.name
                ),
            )],
            Err(error) => blame(CHECK, &Failed::new("S3: GetBucketVersioning", &error)),
        }
    }

    pub(super) async fn bucket_public_access(&self, reached: Reached) -> Vec<Finding> {
        const CHECK: &str = "bucket-public-access";
        let bucket = match self.reached(reached, CHECK) {
            Ok(bucket) => bucket,
            Err(found) => return found,
        };
        let blocked = match bucket.client.get_public_access_block().bucket(&bucket.name).send().await {
            Ok(answer) => answer.public_access_block_configuration.is_some_and(|blocks| {
                [
                    blocks.block_public_acls,
                    blocks.ignore_public_acls,
                    blocks.block_public_policy,
                    blocks.restrict_public_buckets,
                ]
                .iter()
                .all(|block| *block == Some(true))
            }),
            Err(error) => {
                let failed = Failed::new("S3: GetPublicAccessBlock", &error);
                if !failed.is("NoSuchPublicAccessBlockConfiguration") {
                    return blame(CHECK, &failed);
                }
                false
            }
        };
        if blocked {
            return vec![Finding::ok(CHECK, "all four kinds are blocked")];
        }
        let fix = format!(
            "aws s3api put-public-access-block --bucket {} --public-access-block-configuration BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true",
            bucket.name
        );
        let status = bucket.client.get_bucket_policy_status().bucket(&bucket.name).send().await;
        if status.is_ok_and(|answer| answer.policy_status.is_some_and(|status| status.is_public == Some(true))) {
            let why = "its policy lets everybody in, and states hold secrets";
            return vec![Finding::fail(CHECK, "the bucket is public", why, fix)];
        }
        let why = "a policy or ACL that opens the bucket to everybody would be taken, and states hold secrets";
        vec![Finding::warn(CHECK, "public access is not blocked", why, fix)]
    }

    pub(super) async fn bucket_tls_only(&self, reached: Reached) -> Vec<Finding> {
        const CHECK: &str = "bucket-tls-only";
        let bucket = match self.reached(reached, CHECK) {
            Ok(bucket) => bucket,
            Err(found) => return found,
        };
        let open = |why: &str| {
            let fix =
                "add a statement to the bucket's policy that denies `s3:*` where `aws:SecureTransport` is `false`";
            vec![Finding::warn(CHECK, "requests without TLS are taken", why, fix)]
        };
        match self.bucket_policy(bucket).await {
            Ok(Some(document)) => match self.refuses_plain(document, &bucket.name) {
                Ok(true) => vec![Finding::ok(CHECK, "requests without TLS are refused")],
                Ok(false) => open("the bucket's policy does not deny them"),
                Err(why) => vec![Finding::untested(CHECK, why)],
            },
            Ok(None) => open("the bucket has no policy"),
            Err(failed) => blame(CHECK, failed),
        }
    }

    /// Asks the evaluator about a request without TLS that everything else allows.
    fn refuses_plain(&self, document: &str, bucket: &str) -> Result<bool, String> {
        let policy = Policy::parse(document, PolicyKind::Resource)
            .map_err(|error| format!("the bucket's policy cannot be read: {error}"))?;
        let everything = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
        let identity = Policy::parse(everything, PolicyKind::Identity).map_err(|error| error.to_string())?;
        let set = PolicySet {
            identity: vec![Named { name: "all".to_owned(), policy: identity }],
            resource: Some(Named { name: "bucket".to_owned(), policy }),
            ..PolicySet::default()
        };
        let object = self.target.object().unwrap_or_else(|| "state".to_owned());
        let partition = names::partition_of(self.configuration.region().map_or("*", |region| region.as_ref()));
        let someone = format!("arn:{partition}:iam::111122223333:role/someone");
        let resource = format!("arn:{partition}:s3:::{bucket}/{object}");
        // Whoever writes sends the state over the line, too.
        for action in ["s3:GetObject", "s3:PutObject"] {
            let mut context = Context::default();
            context.value("aws:SecureTransport", "false");
            let asked = Request::new(&someone, action, &resource, None, context).map_err(|error| error.to_string())?;
            if set.evaluate(&asked).outcome != Outcome::ExplicitDeny {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) async fn bucket_encryption(&self, reached: Reached) -> Key {
        const CHECK: &str = "bucket-encryption";
        let bucket = match self.reached(reached, CHECK) {
            Ok(bucket) => bucket,
            Err(found) => return Key { found, arn: None },
        };
        let answer = bucket.client.get_bucket_encryption().bucket(&bucket.name).send().await;
        let rule = match answer {
            Ok(answer) => answer.server_side_encryption_configuration.and_then(|all| all.rules.into_iter().next()),
            Err(error) => {
                let failed = Failed::new("S3: GetBucketEncryption", &error);
                if !failed.is("ServerSideEncryptionConfigurationNotFoundError") {
                    return Key { found: blame(CHECK, &failed), arn: None };
                }
                None
            }
        };
        let default = rule.and_then(|rule| rule.apply_server_side_encryption_by_default);
        let of_kms = [ServerSideEncryption::AwsKms, ServerSideEncryption::AwsKmsDsse];
        let is_kms = default.as_ref().is_some_and(|default| of_kms.contains(&default.sse_algorithm));
        let by_default = default.and_then(|default| default.kms_master_key_id);
        let key = match &self.target.objects.encryption {
            Encryption::Kms { key } => Some(key.clone()),
            Encryption::Bucket => by_default,
            Encryption::S3 if is_kms => {
                let why =
                    "`encrypt = true` without `kms_key_id` asks for S3's own key, and so passes over the bucket's";
                let fix = "set `kms_key_id` in the backend block to the bucket's key";
                let found = vec![Finding::warn(CHECK, "the backend overrides the bucket's key", why, fix)];
                return Key { found, arn: None };
            }
            Encryption::S3 => None,
            Encryption::Customer(_) => {
                let found = vec![Finding::ok(
                    CHECK,
                    "with the key of the backend (`sse_customer_key`), which AWS does not keep",
                )];
                return Key { found, arn: None };
            }
        };
        match key {
            Some(key) => self.key_state(&key).await,
            None if is_kms => Key { found: vec![Finding::ok(CHECK, "with AWS's own key in KMS")], arn: None },
            None => Key { found: vec![Finding::ok(CHECK, "with S3's own key")], arn: None },
        }
    }

    /// Whether the key can be used at all; who may use it is tried by writing.
    async fn key_state(&self, key: &str) -> Key {
        const CHECK: &str = "bucket-encryption";
        match self.services.kms.describe_key().key_id(key).send().await {
            Ok(answer) => {
                let known = answer.key_metadata;
                let arn = known.as_ref().and_then(|known| known.arn.clone());
                let state = known.and_then(|known| known.key_state);
                let found = match state {
                    Some(state) if state != aws_sdk_kms::types::KeyState::Enabled => Finding::fail(
                        CHECK,
                        format!("the key {key} is {}", state.as_str()),
                        "S3 can neither read nor write with it",
                        format!("aws kms cancel-key-deletion --key-id {key}, aws kms enable-key --key-id {key}"),
                    )
                    .entry("kms/key-disabled"),
                    _ => Finding::ok(CHECK, format!("with {key}")),
                };
                Key { found: vec![found], arn }
            }
            Err(error) => {
                let failed = Failed::new("KMS: DescribeKey", &error);
                Key { found: blame(CHECK, &failed), arn: Some(key.to_owned()) }
            }
        }
    }
}

fn is_403<E>(error: &SdkError<E, HttpResponse>) -> bool {
    error.raw_response().is_some_and(|answer| answer.status().as_u16() == 403)
}
