//! Rights that nobody should get because one request was refused: with them more can be had, opened or lost than the action says.

use crate::value::glob::is_like;

/// What a right can be used for beyond what its action says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Risk {
    /// Getting more rights.
    MoreRights,
    /// Laying open what others own, or what a policy protects.
    Exposure,
    /// Destroying what cannot be brought back, or the record of it.
    Loss,
}

/// The actions of each risk.
const RISKS: &[(Risk, &[&str])] = &[
    (
        Risk::MoreRights,
        &[
            "iam:*",
            "organizations:*",
            "account:*",
            "sso:*",
            "sso-directory:*",
            "identitystore:*",
            "cloudformation:*",
            "kms:PutKeyPolicy",
            "kms:CreateGrant",
            "lambda:CreateFunction",
            "lambda:UpdateFunctionCode",
        ],
    ),
    (
        Risk::Exposure,
        &[
            "*:PutResourcePolicy",
            "*:DeleteResourcePolicy",
            "*:AddPermission",
            "s3:*BucketPolicy",
            "s3:*PublicAccessBlock",
            "s3:Put*Acl",
            "s3:PutBucketOwnershipControls",
            "s3:PutEncryptionConfiguration",
            "s3:PutReplicationConfiguration",
        ],
    ),
    (
        Risk::Loss,
        &[
            "kms:RetireGrant",
            "kms:RevokeGrant",
            "kms:DisableKey",
            "kms:ScheduleKeyDeletion",
            "s3:DeleteBucket",
            "s3:DeleteObjectVersion",
            "s3:BypassGovernanceRetention",
            "s3:PutBucketVersioning",
            "s3:PutLifecycleConfiguration",
            "dynamodb:DeleteTable",
            "dynamodb:DeleteBackup",
            "cloudtrail:StopLogging",
            "cloudtrail:DeleteTrail",
            "cloudtrail:UpdateTrail",
            "cloudtrail:PutEventSelectors",
        ],
    ),
];
/// Reading what these are about gives no right and opens nothing.
const HARMLESS: &[&str] = &[
    "s3:GetBucketPolicy",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetAccountPublicAccessBlock",
    "iam:Get*",
    "iam:List*",
    "organizations:Describe*",
    "organizations:List*",
    "cloudformation:Describe*",
    "cloudformation:List*",
];

/// The risk of an action, whatever it is allowed on; `None` where it gives no more than it says, as far as is known here.
pub fn risk(action: &str) -> Option<Risk> {
    // A pattern allows all that it matches.
    let meets = |pattern: &&str| is_like(pattern, action) || action.contains(['*', '?']) && is_like(action, pattern);
    let is_harmless = HARMLESS.iter().any(|pattern| is_like(pattern, action));
    let found = RISKS.iter().find(|(_, actions)| actions.iter().any(&meets));
    found.filter(|_| !is_harmless).map(|(risk, _)| *risk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gives_more_than_it_says() {
        for (action, expected) in [
            ("iam:PutUserPolicy", Some(Risk::MoreRights)),
            ("IAM:passrole", Some(Risk::MoreRights)),
            ("kms:PutKeyPolicy", Some(Risk::MoreRights)),
            ("s3:PutBucketPolicy", Some(Risk::Exposure)),
            ("dynamodb:PutResourcePolicy", Some(Risk::Exposure)),
            ("dynamodb:DeleteTable", Some(Risk::Loss)),
            ("*", Some(Risk::MoreRights)),
            ("kms:*", Some(Risk::MoreRights)),
            ("s3:Put*", Some(Risk::Exposure)),
            ("dynamodb:Delete*", Some(Risk::Loss)),
            ("iam:GetRole", None),
            ("s3:GetBucketPolicy", None),
            ("s3:PutObject", None),
            ("dynamodb:*Item", None),
            ("sts:AssumeRole", None),
        ] {
            assert_eq!(risk(action), expected, "{action}");
        }
    }
}
