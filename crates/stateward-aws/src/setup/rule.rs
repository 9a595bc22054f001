//! The rule behind a setting: a control of AWS Security Hub, or a page of somebody's documentation, by its title.

use serde_json::Value;

const TERRAFORM: &str = "Terraform: Backend Type: s3";
const OBJECTS: &str = "Amazon S3 User Guide: Protecting data with server-side encryption";
const OF_KMS: &str = "Amazon S3 User Guide: Using server-side encryption with AWS KMS keys (SSE-KMS)";
const IAM: &str = "AWS IAM User Guide: Security best practices in IAM";
const TAGGED: &str = "AWS: Best Practices for Tagging AWS Resources";
const REPLICATES: &str = "Amazon S3 User Guide: Setting up permissions for live replication";
/// Of a bucket that takes what S3 logs, and of one that takes a trail's files alone.
pub(super) const ACCESS_LOGS: &str = "Amazon S3 User Guide: Enabling Amazon S3 server access logging";
pub(super) const TRAIL_FILES: &str = "AWS CloudTrail User Guide: Amazon S3 bucket policy for CloudTrail";

/// The rule behind a setting of a resource of this kind. It is one for a setting, whatever is done about it.
pub(super) fn of(kind: &str, property: &str, wanted: &Value) -> &'static str {
    match (kind, property) {
        (_, "tags") => TAGGED,
        ("bucket", property) => of_bucket(property, wanted),
        ("table", property) => of_table(property, wanted),
        ("key", "existence") => "AWS KMS Developer Guide: AWS KMS keys",
        ("key", "alias") => "AWS KMS Developer Guide: Aliases in AWS KMS",
        ("key", "rotation") => "Security Hub KMS.4",
        ("trail", "existence") => "Security Hub CloudTrail.4",
        ("trail", "data-events") => "AWS CloudTrail User Guide: Logging data events",
        ("trail", "recording") => "Security Hub CloudTrail.3",
        ("policy", "fingerprint") => "stateward: docs/how-to/set-up-aws.md",
        ("role", "rights") => REPLICATES,
        ("policy", "existence" | "rights") | ("role", "existence" | "trust" | "policy" | "let-in") => IAM,
        ("environments", "isolation") => "Terraform: Backend Type: s3, Protecting Access to Workspace State",
        _ => "",
    }
}

fn of_bucket(property: &str, wanted: &Value) -> &'static str {
    match property {
        "existence" => TERRAFORM,
        "ownership" => "Security Hub S3.12",
        "versioning" => "Security Hub S3.14",
        "encryption" if wanted.to_string().contains("aws:kms") => "Security Hub S3.17",
        "encryption" | "write-headers" => OBJECTS,
        "public-access" => "Security Hub S3.8",
        "tls-only" => "Security Hub S3.5",
        "wrong-keys" => OF_KMS,
        "lifecycle" => "Security Hub S3.10",
        "lifecycle-danger" => "Amazon S3 User Guide: Expiring objects",
        "object-lock" => "Amazon S3 User Guide: Locking objects with Object Lock",
        "access-log" => "Security Hub S3.9",
        "log-delivery" => ACCESS_LOGS,
        "replication" => "Security Hub S3.7",
        _ => "",
    }
}

fn of_table(property: &str, wanted: &Value) -> &'static str {
    match property {
        "existence" if wanted.to_string().contains("LockID") => TERRAFORM,
        "existence" => "stateward: docs/reference/dynamodb.md",
        "billing" => "Security Hub DynamoDB.1",
        "deletion-protection" => "Security Hub DynamoDB.6",
        "recovery" => "Security Hub DynamoDB.2",
        "encryption" => "Amazon DynamoDB Developer Guide: DynamoDB encryption at rest",
        "expiry" => "Amazon DynamoDB Developer Guide: Using time to live (TTL) in DynamoDB",
        _ => "",
    }
}
