//! The names of AWS's services, and which operation belongs to which.

/// The IAM prefix of a service, from a name that an SDK, a `CloudTrail` source or an endpoint has for it. `None` for what is no service.
pub(crate) fn prefix(name: &str) -> Option<String> {
    let host = name.trim().trim_end_matches(".cn").trim_end_matches(".amazonaws.com").trim_end_matches(".api.aws");
    let plain: String = host.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let plain = plain.strip_prefix("amazon").or_else(|| plain.strip_prefix("aws")).unwrap_or(&plain);
    let known = NAMES.iter().find(|(name, _)| *name == plain).map(|(_, prefix)| *prefix);
    match known {
        Some("") => None,
        Some(prefix) => Some(prefix.to_owned()),
        None if plain.is_empty() || plain.len() > 40 => None,
        // Prefixes with a hyphen are written with it where they are written as prefixes.
        None if host.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') => {
            Some(host.to_owned())
        }
        None => Some(plain.to_owned()),
    }
}

/// The IAM prefix of the service at an address of AWS: `https://NAME.s3.eu-west-1.amazonaws.com/`.
pub(crate) fn of_address(address: &str) -> Option<String> {
    let host = address.split("://").last()?.split(['/', ':', '?']).next()?;
    let name = host.split_once(".amazonaws.com")?.0;
    let is_place = |label: &str| {
        let is_region = label.split('-').count() >= 3 && label.ends_with(|last: char| last.is_ascii_digit());
        is_region || matches!(label, "dualstack" | "fips" | "vpce")
    };
    let label = name.split('.').rev().find(|label| label.starts_with("s3-") || !is_place(label))?;
    match label.strip_suffix("-fips").unwrap_or(label) {
        "queue" => Some("sqs".to_owned()),
        label if label.starts_with("s3-") && label != "s3-outposts" => Some("s3".to_owned()),
        label => prefix(label),
    }
}

/// Names that are not their own prefix, in lower case without punctuation; an empty prefix is no service that answers.
const NAMES: &[(&str, &str)] = &[
    ("apigatewayv2", "apigateway"),
    ("applicationautoscaling", "application-autoscaling"),
    ("certificatemanager", "acm"),
    ("cloudwatchevents", "events"),
    ("cloudwatchlogs", "logs"),
    ("cognitoidentity", "cognito-identity"),
    ("cognitoidentityprovider", "cognito-idp"),
    ("cognitoidp", "cognito-idp"),
    ("configservice", "config"),
    ("costexplorer", "ce"),
    ("databasemigrationservice", "dms"),
    ("directoryservice", "ds"),
    ("dynamodbstreams", "dynamodb"),
    ("dynamodbv2", "dynamodb"),
    ("ec2imds", ""),
    ("ecrpublic", "ecr-public"),
    ("efs", "elasticfilesystem"),
    ("elasticloadbalancingv2", "elasticloadbalancing"),
    ("elasticmapreduce", "elasticmapreduce"),
    ("elasticsearchservice", "es"),
    ("emr", "elasticmapreduce"),
    ("eventbridge", "events"),
    ("identitymanagement", "iam"),
    ("keymanagement", "kms"),
    ("keymanagementservice", "kms"),
    ("monitoring", "cloudwatch"),
    ("mq", "mq"),
    ("opensearch", "es"),
    ("rdsdata", "rds-data"),
    ("resourcegroupstaggingapi", "tag"),
    ("s3control", "s3"),
    ("s3express", "s3express"),
    ("securitytoken", "sts"),
    ("securitytokenservice", "sts"),
    ("servicediscovery", "servicediscovery"),
    ("servicequotas", "servicequotas"),
    ("sesv2", "ses"),
    ("sfn", "states"),
    ("simpleemailservice", "ses"),
    ("simplenotificationservice", "sns"),
    ("simplequeueservice", "sqs"),
    ("simplestorageservice", "s3"),
    ("simplesystemsmanagement", "ssm"),
    ("ssoadmin", "sso"),
    ("ssooidc", "sso-oidc"),
    ("stepfunctions", "states"),
    ("tagging", "tag"),
    ("wafv2", "wafv2"),
];

/// The service of an operation whose name no other service has; of those that a state's backend calls.
pub(crate) fn of_operation(operation: &str) -> Option<&'static str> {
    OPERATIONS.iter().find(|(_, names)| names.split(' ').any(|name| name == operation)).map(|(service, _)| *service)
}

const OPERATIONS: &[(&str, &str)] = &[
    (
        "s3",
        "AbortMultipartUpload CompleteMultipartUpload CopyObject CreateBucket CreateMultipartUpload DeleteBucket \
         DeleteBucketPolicy DeleteObject DeleteObjects GetBucketAcl GetBucketEncryption GetBucketLocation GetBucketPolicy \
         GetBucketVersioning GetObject GetObjectAcl GetObjectAttributes GetObjectTagging GetPublicAccessBlock HeadBucket \
         HeadObject ListBuckets ListMultipartUploads ListObjects ListObjectsV2 ListObjectVersions ListParts PutBucketAcl \
         PutBucketEncryption PutBucketPolicy PutBucketVersioning PutObject PutObjectAcl PutObjectTagging \
         PutPublicAccessBlock UploadPart UploadPartCopy",
    ),
    (
        "dynamodb",
        "BatchGetItem BatchWriteItem DeleteItem DescribeContinuousBackups DescribeTable DescribeTimeToLive GetItem \
         ListTables ListTagsOfResource PutItem Query Scan TransactGetItems TransactWriteItems UpdateContinuousBackups \
         UpdateItem UpdateTable UpdateTimeToLive",
    ),
    (
        "sts",
        "AssumeRole AssumeRoleWithSAML AssumeRoleWithWebIdentity DecodeAuthorizationMessage GetCallerIdentity \
         GetFederationToken GetSessionToken TagSession",
    ),
    ("kms", "CreateGrant DescribeKey GenerateDataKey GenerateDataKeyWithoutPlaintext ReEncrypt"),
];

/// Services whose resources have no policies of their own (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_aws-services-that-work-with-iam.html>,
/// read 2026-11-25): those that a bare denial is often seen of. For others it is not known here, so a resource's policy stays possible.
const WITHOUT_RESOURCE_POLICIES: &[&str] =
    &["autoscaling", "cloudformation", "ec2", "elasticloadbalancing", "iam", "rds", "route53", "sts"];

/// Whether a resource of the service may have a policy that refuses.
pub(crate) fn has_resource_policies(service: &str) -> bool {
    !WITHOUT_RESOURCE_POLICIES.contains(&service)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_services() {
        for (name, expected) in [
            ("DynamoDB", "dynamodb"),
            ("AmazonDynamoDBv2", "dynamodb"),
            ("Amazon S3", "s3"),
            ("S3", "s3"),
            ("AWSKMS", "kms"),
            ("Kms", "kms"),
            ("AWSSecurityTokenService", "sts"),
            ("AmazonIdentityManagement", "iam"),
            ("CloudWatch Logs", "logs"),
            ("Elastic Load Balancing v2", "elasticloadbalancing"),
            ("Secrets Manager", "secretsmanager"),
            ("Auto Scaling", "autoscaling"),
            ("dynamodb.amazonaws.com", "dynamodb"),
            ("s3.amazonaws.com.cn", "s3"),
            ("application-autoscaling.amazonaws.com", "application-autoscaling"),
            ("application-autoscaling", "application-autoscaling"),
            ("monitoring.amazonaws.com", "cloudwatch"),
        ] {
            assert_eq!(prefix(name).as_deref(), Some(expected), "{name}");
        }
        assert_eq!(prefix("ec2imds"), None);
        assert_eq!(prefix(""), None);
    }

    #[test]
    fn addresses_of_services() {
        for (address, expected) in [
            ("https://sqs.us-east-2.amazonaws.com/", Some("sqs")),
            ("https://eu-west-1.queue.amazonaws.com/111122223333/q", Some("sqs")),
            ("https://my.bucket.s3.eu-west-1.amazonaws.com/key", Some("s3")),
            ("https://s3-eu-west-1.amazonaws.com/bucket", Some("s3")),
            ("https://bucket.s3.dualstack.eu-west-1.amazonaws.com", Some("s3")),
            ("vpce-0a1b.dynamodb.eu-west-1.vpce.amazonaws.com", Some("dynamodb")),
            ("https://sts.amazonaws.com", Some("sts")),
            ("https://kms-fips.us-gov-west-1.amazonaws.com:443/", Some("kms")),
            ("https://dynamodb.cn-north-1.amazonaws.com.cn/", Some("dynamodb")),
            ("https://example.com/", None),
        ] {
            assert_eq!(of_address(address).as_deref(), expected, "{address}");
        }
    }

    #[test]
    fn an_operation_has_one_service() {
        let all: Vec<&str> = OPERATIONS.iter().flat_map(|(_, names)| names.split_whitespace()).collect();
        let mut unique = all.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), all.len());
        assert_eq!(of_operation("ListObjectsV2"), Some("s3"));
        assert_eq!(of_operation("PutItem"), Some("dynamodb"));
        assert_eq!(of_operation("ListTagsOfResource"), Some("dynamodb"));
        assert_eq!(of_operation("CreateStack"), None);
    }
}
