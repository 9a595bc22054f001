//! Requests to S3. Which action an operation needs is in
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>.

use percent_encoding::percent_decode_str;

use super::{Call, Check, Effect, Known, NotUnderstood, Service, Then};
use crate::incoming::Incoming;

/// `METHOD subresource`, the operation, the action.
const OF_BUCKETS: &[(&str, &str, &str)] = &[
    ("GET versions", "ListObjectVersions", "s3:ListBucketVersions"),
    ("GET uploads", "ListMultipartUploads", "s3:ListBucketMultipartUploads"),
    ("GET versioning", "GetBucketVersioning", "s3:GetBucketVersioning"),
    ("PUT versioning", "PutBucketVersioning", "s3:PutBucketVersioning"),
    ("GET location", "GetBucketLocation", "s3:GetBucketLocation"),
    ("GET policy", "GetBucketPolicy", "s3:GetBucketPolicy"),
    ("PUT policy", "PutBucketPolicy", "s3:PutBucketPolicy"),
    ("DELETE policy", "DeleteBucketPolicy", "s3:DeleteBucketPolicy"),
    ("GET policyStatus", "GetBucketPolicyStatus", "s3:GetBucketPolicyStatus"),
    ("GET encryption", "GetBucketEncryption", "s3:GetEncryptionConfiguration"),
    ("PUT encryption", "PutBucketEncryption", "s3:PutEncryptionConfiguration"),
    ("DELETE encryption", "DeleteBucketEncryption", "s3:PutEncryptionConfiguration"),
    ("GET publicAccessBlock", "GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock"),
    ("PUT publicAccessBlock", "PutPublicAccessBlock", "s3:PutBucketPublicAccessBlock"),
    ("DELETE publicAccessBlock", "DeletePublicAccessBlock", "s3:PutBucketPublicAccessBlock"),
    ("GET ownershipControls", "GetBucketOwnershipControls", "s3:GetBucketOwnershipControls"),
    ("PUT ownershipControls", "PutBucketOwnershipControls", "s3:PutBucketOwnershipControls"),
    ("DELETE ownershipControls", "DeleteBucketOwnershipControls", "s3:PutBucketOwnershipControls"),
    ("GET lifecycle", "GetBucketLifecycleConfiguration", "s3:GetLifecycleConfiguration"),
    ("PUT lifecycle", "PutBucketLifecycleConfiguration", "s3:PutLifecycleConfiguration"),
    ("DELETE lifecycle", "DeleteBucketLifecycle", "s3:PutLifecycleConfiguration"),
    ("GET tagging", "GetBucketTagging", "s3:GetBucketTagging"),
    ("PUT tagging", "PutBucketTagging", "s3:PutBucketTagging"),
    ("DELETE tagging", "DeleteBucketTagging", "s3:PutBucketTagging"),
    ("GET acl", "GetBucketAcl", "s3:GetBucketAcl"),
    ("PUT acl", "PutBucketAcl", "s3:PutBucketAcl"),
    ("GET logging", "GetBucketLogging", "s3:GetBucketLogging"),
    ("PUT logging", "PutBucketLogging", "s3:PutBucketLogging"),
    ("GET replication", "GetBucketReplication", "s3:GetReplicationConfiguration"),
    ("PUT replication", "PutBucketReplication", "s3:PutReplicationConfiguration"),
    ("DELETE replication", "DeleteBucketReplication", "s3:PutReplicationConfiguration"),
    ("GET notification", "GetBucketNotificationConfiguration", "s3:GetBucketNotification"),
    ("PUT notification", "PutBucketNotificationConfiguration", "s3:PutBucketNotification"),
    ("GET object-lock", "GetObjectLockConfiguration", "s3:GetBucketObjectLockConfiguration"),
    ("PUT object-lock", "PutObjectLockConfiguration", "s3:PutBucketObjectLockConfiguration"),
    ("GET cors", "GetBucketCors", "s3:GetBucketCORS"),
    ("GET website", "GetBucketWebsite", "s3:GetBucketWebsite"),
    ("GET accelerate", "GetBucketAccelerateConfiguration", "s3:GetAccelerateConfiguration"),
    ("GET requestPayment", "GetBucketRequestPayment", "s3:GetBucketRequestPayment"),
    ("GET list-type", "ListObjectsV2", "s3:ListBucket"),
    ("GET", "ListObjects", "s3:ListBucket"),
    ("HEAD", "HeadBucket", "s3:ListBucket"),
    ("PUT", "CreateBucket", "s3:CreateBucket"),
    ("DELETE", "DeleteBucket", "s3:DeleteBucket"),
];

/// The same for objects; of a version where `versionId` says so.
const OF_OBJECTS: &[(&str, &str, &str)] = &[
    ("GET tagging", "GetObjectTagging", "s3:GetObjectTagging"),
    ("PUT tagging", "PutObjectTagging", "s3:PutObjectTagging"),
    ("DELETE tagging", "DeleteObjectTagging", "s3:DeleteObjectTagging"),
    ("GET acl", "GetObjectAcl", "s3:GetObjectAcl"),
    ("PUT acl", "PutObjectAcl", "s3:PutObjectAcl"),
    ("GET retention", "GetObjectRetention", "s3:GetObjectRetention"),
    ("PUT retention", "PutObjectRetention", "s3:PutObjectRetention"),
    ("GET legal-hold", "GetObjectLegalHold", "s3:GetObjectLegalHold"),
    ("PUT legal-hold", "PutObjectLegalHold", "s3:PutObjectLegalHold"),
    ("GET uploadId", "ListParts", "s3:ListMultipartUploadParts"),
    ("PUT uploadId", "UploadPart", "s3:PutObject"),
    ("POST uploadId", "CompleteMultipartUpload", "s3:PutObject"),
    ("DELETE uploadId", "AbortMultipartUpload", "s3:AbortMultipartUpload"),
    ("POST uploads", "CreateMultipartUpload", "s3:PutObject"),
    ("GET", "GetObject", "s3:GetObject"),
    ("HEAD", "HeadObject", "s3:GetObject"),
    ("PUT", "PutObject", "s3:PutObject"),
    ("DELETE", "DeleteObject", "s3:DeleteObject"),
];

/// Operations whose action has another name where a version is named.
const OF_VERSIONS: &[(&str, &str)] = &[
    ("s3:GetObject", "s3:GetObjectVersion"),
    ("s3:DeleteObject", "s3:DeleteObjectVersion"),
    ("s3:GetObjectTagging", "s3:GetObjectVersionTagging"),
    ("s3:PutObjectTagging", "s3:PutObjectVersionTagging"),
    ("s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging"),
    ("s3:GetObjectAcl", "s3:GetObjectVersionAcl"),
    ("s3:PutObjectAcl", "s3:PutObjectVersionAcl"),
];

/// Parameters that change nothing about what is asked.
const PLAIN: &[&str] = &[
    "list-type",
    "prefix",
    "delimiter",
    "max-keys",
    "marker",
    "continuation-token",
    "start-after",
    "encoding-type",
    "fetch-owner",
    "key-marker",
    "version-id-marker",
    "upload-id-marker",
    "max-uploads",
    "max-parts",
    "part-number-marker",
    "partNumber",
    "versionId",
    "x-id",
    "uploadId",
];

/// Headers that are condition keys under their own name.
const HEADERS: &[&str] = &[
    "x-amz-acl",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-metadata-directive",
    "x-amz-object-ownership",
    "x-amz-storage-class",
];

/// The same of writes alone: who reads with a key that was brought (SSE-C) says so, and no condition asks about it.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html>
const HEADERS_OF_WRITES: &[&str] = &[
    "if-match",
    "if-none-match",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
];

pub(super) fn call(request: &Incoming, known: &Known<'_>) -> Result<Call, NotUnderstood> {
    let (bucket, key) = request.bucket_and_key();
    if bucket.is_empty() {
        if request.method != "GET" {
            return Err(unknown(request));
        }
        let check = common(Check::new("s3:ListAllMyBuckets", "*"), request);
        return Ok(finish("ListBuckets", vec![check], Then::Forward, known.account));
    }
    let owner = known.world.buckets.get(&bucket).and_then(|bucket| bucket.account.as_deref()).or(known.account);
    let mut call =
        if key.is_empty() { of_bucket(request, &bucket)? } else { of_object(request, known, &bucket, &key)? };
    for check in &mut call.checks {
        check.account = check.account.take().or_else(|| owner.map(str::to_owned));
    }
    if let Then::Object { listing, .. } = &mut call.then {
        listing.account = owner.map(str::to_owned);
    }
    call.account = owner.map(str::to_owned);
    Ok(call)
}

fn finish(operation: &str, checks: Vec<Check>, then: Then, account: Option<&str>) -> Call {
    let account = account.map(str::to_owned);
    Call { service: Service::S3, operation: operation.to_owned(), checks, then, account }
}

fn unknown(request: &Incoming) -> NotUnderstood {
    let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
    NotUnderstood(format!("the lab does not know what {} {}{query} asks of S3", request.method, request.path))
}

/// The operation and the action, by the method and the one parameter that matters.
fn look_up(table: &[(&str, &'static str, &'static str)], request: &Incoming) -> Option<(&'static str, &'static str)> {
    let words: Vec<String> = request.parameters().map(|(name, _)| name).collect();
    let found = table.iter().find(|(what, _, _)| match what.split_once(' ') {
        Some((method, word)) => method == request.method && words.iter().any(|own| own == word),
        None => *what == request.method && words.iter().all(|own| PLAIN.contains(&own.as_str())),
    });
    found.map(|(_, operation, action)| (*operation, *action))
}

/// What conditions can ask about every request.
fn common(check: Check, request: &Incoming) -> Check {
    let is_read = matches!(request.method.as_str(), "GET" | "HEAD");
    let of_writes = HEADERS_OF_WRITES.iter().filter(|_| !is_read);
    let headers = HEADERS.iter().chain(of_writes);
    let headers = headers.fold(check, |check, name| check.with_some(&format!("s3:{name}"), request.header(name)));
    let signed = request.header("authorization").is_some();
    headers
        .with_some("s3:signatureversion", signed.then_some("AWS4-HMAC-SHA256"))
        .with_some("s3:authType", signed.then_some("REST-HEADER"))
}

fn of_bucket(request: &Incoming, bucket: &str) -> Result<Call, NotUnderstood> {
    let (operation, action) = look_up(OF_BUCKETS, request).ok_or_else(|| unknown(request))?;
    let mut check = common(Check::new(action, format!("arn:aws:s3:::{bucket}")), request);
    if operation.starts_with("ListObject") {
        for name in ["prefix", "delimiter", "max-keys"] {
            check = check.with_some(&format!("s3:{name}"), request.parameter(name));
        }
    }
    if operation == "CreateBucket" {
        let body = String::from_utf8_lossy(&request.body);
        let region = body.split_once("<LocationConstraint>").and_then(|(_, rest)| rest.split('<').next());
        check = check.with_some("s3:LocationConstraint", region);
    }
    // https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html: with tags the right to give them is needed too.
    let tags = if operation == "CreateBucket" { tags_in(&String::from_utf8_lossy(&request.body)) } else { Vec::new() };
    let check = check.with_tags(&tags);
    let tagging = (!tags.is_empty()).then(|| Check { action: "s3:TagResource".to_owned(), ..check.clone() });
    let then = if operation.ends_with("BucketPolicy") {
        Then::BucketPolicy { bucket: bucket.to_owned(), method: request.method.clone() }
    } else {
        Then::Forward
    };
    Ok(finish(operation, [check].into_iter().chain(tagging).collect(), then, None))
}

/// The tags in a document of S3's.
fn tags_in(document: &str) -> Vec<(String, String)> {
    let text = |tag: &str, name: &str| {
        let (_, rest) = tag.split_once(&format!("<{name}>"))?;
        let (text, _) = rest.split_once(&format!("</{name}>"))?;
        let plain = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
        Some(plain.iter().fold(text.to_owned(), |text, (entity, char)| text.replace(entity, char)))
    };
    document.split("<Tag>").skip(1).filter_map(|tag| Some((text(tag, "Key")?, text(tag, "Value")?))).collect()
}

fn of_object(request: &Incoming, known: &Known<'_>, bucket: &str, key: &str) -> Result<Call, NotUnderstood> {
    let (operation, action) = look_up(OF_OBJECTS, request).ok_or_else(|| unknown(request))?;
    let arn = format!("arn:aws:s3:::{bucket}/{key}");
    let version = request.parameter("versionId").filter(|_| operation != "CompleteMultipartUpload");
    let of_version = OF_VERSIONS.iter().find(|(plain, _)| *plain == action && version.is_some());
    let action = of_version.map_or(action, |(_, named)| *named);
    let check = common(Check::new(action, &arn), request).with_some("s3:VersionId", version);
    let mut checks = vec![check];
    let mut effect = Effect::Nothing;
    let seal = |action: &str, kms: &str| {
        Check::of_key(action, kms, Service::S3, key_region(kms, known), &[("aws:s3:arn", arn.clone())])
    };
    match operation {
        "PutObject" | "CreateMultipartUpload" => {
            if let Some(source) = request.header("x-amz-copy-source") {
                checks.extend(copied(source, request, known)?);
            }
            if request.header("x-amz-tagging").is_some() {
                checks.push(common(Check::new("s3:PutObjectTagging", &arn), request));
            }
            let kms = sealing_key(request, known, bucket);
            checks.extend(kms.as_deref().map(|kms| seal("kms:GenerateDataKey", kms)));
            effect = Effect::Sealed(kms);
        }
        // https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html: parts are read again to be joined.
        "UploadPart" | "CompleteMultipartUpload" => {
            let kms = (known.sealed)(bucket, key);
            let action = if operation == "UploadPart" { "kms:GenerateDataKey" } else { "kms:Decrypt" };
            checks.extend(kms.as_deref().map(|kms| seal(action, kms)));
        }
        // https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html: only a checksum has to be decrypted.
        "HeadObject" if request.header("x-amz-checksum-mode").is_none() => {}
        "GetObject" | "HeadObject" => {
            checks.extend((known.sealed)(bucket, key).as_deref().map(|kms| seal("kms:Decrypt", kms)));
        }
        "DeleteObject" => effect = Effect::Deleted,
        _ => {}
    }
    let operation = match operation {
        "PutObject" if request.header("x-amz-copy-source").is_some() => "CopyObject",
        other => other,
    };
    // `s3:prefix` is then the name itself: https://github.com/ceph/ceph/pull/68577 found it so at AWS.
    let listing = common(Check::new("s3:ListBucket", format!("arn:aws:s3:::{bucket}")), request).with("s3:prefix", key);
    let then = Then::Object { bucket: bucket.to_owned(), key: key.to_owned(), effect, listing };
    Ok(finish(operation, checks, then, None))
}

/// The source of a copy must be readable.
fn copied(source: &str, request: &Incoming, known: &Known<'_>) -> Result<Vec<Check>, NotUnderstood> {
    let source = source.trim_start_matches('/');
    let (path, version) = source.split_once("?versionId=").map_or((source, None), |(path, id)| (path, Some(id)));
    let path = percent_decode_str(path).decode_utf8_lossy();
    let Some((bucket, key)) = path.split_once('/') else { return Err(unknown(request)) };
    let arn = format!("arn:aws:s3:::{bucket}/{key}");
    let action = if version.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
    let account = known.world.buckets.get(bucket).and_then(|bucket| bucket.account.clone());
    let mut checks = vec![Check { account, ..Check::new(action, &arn).with_some("s3:VersionId", version) }];
    let kms = (known.sealed)(bucket, key);
    checks.extend(kms.as_deref().map(|kms| {
        Check::of_key("kms:Decrypt", kms, Service::S3, key_region(kms, known), &[("aws:s3:arn", arn.clone())])
    }));
    Ok(checks)
}

/// The ARN of the key that a new object is encrypted with.
fn sealing_key(request: &Incoming, known: &Known<'_>, bucket: &str) -> Option<String> {
    let own = known.world.buckets.get(bucket).and_then(|bucket| bucket.kms_key.clone());
    match request.header("x-amz-server-side-encryption") {
        Some("aws:kms" | "aws:kms:dsse") => match request.header("x-amz-server-side-encryption-aws-kms-key-id") {
            Some(named) => Some(super::kms::arn_of(named, known)),
            // The key that AWS manages asks nobody's leave.
            None => own,
        },
        Some(_) => None,
        None => own,
    }
}

fn key_region<'a>(key: &'a str, known: &Known<'a>) -> &'a str {
    key.split(':').nth(3).filter(|region| !region.is_empty()).unwrap_or(known.region)
}
