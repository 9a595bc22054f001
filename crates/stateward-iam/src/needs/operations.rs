//! The operations, as the backends and stateward's engines carry them out.
//!
//! The requests of the `s3` backend are those that Terraform 1.11 was seen to make; of the `dynamodb` backend those of
//! its code. Transactions and batches are authorized as the requests that they hold:
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html>.

use super::{Layout, Purpose, Target};

/// Something that people do, and its requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    /// Who does it at the least.
    pub(crate) least: Purpose,
    /// Only where there are workspaces.
    pub(crate) workspaces: bool,
    pub(crate) requests: &'static [(&'static str, Target)],
}

const fn operation(name: &'static str, least: Purpose, requests: &'static [(&'static str, Target)]) -> Operation {
    Operation { name, least, workspaces: false, requests }
}

const fn of_workspaces(name: &'static str, least: Purpose, requests: &'static [(&'static str, Target)]) -> Operation {
    Operation { name, least, workspaces: true, requests }
}

pub(super) fn of(layout: Layout) -> impl Iterator<Item = &'static Operation> {
    let own = match layout {
        Layout::S3 => S3,
        Layout::Dynamodb => DYNAMODB,
        Layout::Stateward => STATEWARD,
        Layout::StatewardDynamodb => STATEWARD_DYNAMODB,
    };
    own.iter().chain(LOCKS)
}

/// Locks and digests stand in the same places whoever keeps the state.
const LOCKS: &[Operation] = &[
    operation("check the digest", Purpose::ReadOnly, &[("dynamodb:GetItem", Target::DigestItem)]),
    // https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.howitworks.html: reads and writes alike.
    operation("use the encrypted lock table", Purpose::ReadOnly, &[("kms:Decrypt", Target::LockTableKey)]),
    operation(
        "take the lock",
        Purpose::Plan,
        &[
            ("s3:PutObject", Target::Lockfile),
            ("kms:GenerateDataKey", Target::LockfileKey),
            ("dynamodb:PutItem", Target::LockItem),
        ],
    ),
    operation(
        "see who holds the lock",
        Purpose::Plan,
        &[
            ("s3:GetObject", Target::Lockfile),
            ("kms:Decrypt", Target::LockfileKey),
            ("dynamodb:GetItem", Target::LockItem),
        ],
    ),
    operation("release the lock", Purpose::Plan, RELEASE),
    operation("write the digest", Purpose::Apply, &[("dynamodb:PutItem", Target::DigestItem)]),
    operation("open a lock by force", Purpose::Admin, RELEASE),
    of_workspaces("delete the digest of a workspace", Purpose::Admin, &[("dynamodb:DeleteItem", Target::DigestItem)]),
];

const RELEASE: &[(&str, Target)] = &[
    ("s3:GetObject", Target::Lockfile),
    ("kms:Decrypt", Target::LockfileKey),
    ("s3:DeleteObject", Target::Lockfile),
    ("dynamodb:GetItem", Target::LockItem),
    ("dynamodb:DeleteItem", Target::LockItem),
];

const S3: &[Operation] = &[
    operation("read the state", Purpose::ReadOnly, &[("s3:GetObject", Target::State), ("kms:Decrypt", Target::Key)]),
    // Without it S3 answers 403 where there is no state yet.
    operation("see that there is no state yet", Purpose::ReadOnly, &[("s3:ListBucket", Target::Names)]),
    of_workspaces("list workspaces", Purpose::ReadOnly, &[("s3:ListBucket", Target::Workspaces)]),
    operation(
        "write the state",
        Purpose::Apply,
        &[("s3:PutObject", Target::State), ("kms:GenerateDataKey", Target::Key)],
    ),
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html: the parts are decrypted to be joined.
    operation(
        "write a state of more than 5 MiB",
        Purpose::Apply,
        &[("s3:PutObject", Target::State), ("kms:GenerateDataKey", Target::Key), ("kms:Decrypt", Target::Key)],
    ),
    of_workspaces("delete a workspace", Purpose::Admin, &[("s3:DeleteObject", Target::State)]),
    operation(
        "read an earlier version",
        Purpose::Admin,
        &[
            ("s3:ListBucketVersions", Target::Names),
            ("s3:GetObjectVersion", Target::State),
            ("kms:Decrypt", Target::Key),
        ],
    ),
];

const DYNAMODB: &[Operation] = &[
    operation(
        "read the state",
        Purpose::ReadOnly,
        &[("dynamodb:Query", Target::StateItem), ("kms:Decrypt", Target::Key)],
    ),
    of_workspaces(
        "list workspaces",
        Purpose::ReadOnly,
        &[("dynamodb:Scan", Target::StateTable), ("kms:Decrypt", Target::Key)],
    ),
    // One transaction deletes the version before and puts the new one.
    operation(
        "write the state",
        Purpose::Apply,
        &[
            ("dynamodb:PutItem", Target::StateItem),
            ("dynamodb:DeleteItem", Target::StateItem),
            ("kms:Decrypt", Target::Key),
        ],
    ),
    of_workspaces(
        "delete a workspace",
        Purpose::Admin,
        &[("dynamodb:Query", Target::StateItem), ("dynamodb:DeleteItem", Target::StateItem)],
    ),
];

const STATEWARD: &[Operation] = &[
    operation("list states and records", Purpose::ReadOnly, &[("s3:ListBucket", Target::Names)]),
    of_workspaces("list workspaces", Purpose::ReadOnly, &[("s3:ListBucket", Target::Workspaces)]),
    operation(
        "read states and records",
        Purpose::ReadOnly,
        &[("s3:GetObject", Target::Store), ("kms:Decrypt", Target::Key)],
    ),
    operation(
        "write and sweep records",
        Purpose::Plan,
        &[
            ("s3:PutObject", Target::Records),
            ("s3:DeleteObject", Target::Records),
            ("kms:GenerateDataKey", Target::Key),
        ],
    ),
    operation(
        "write the state",
        Purpose::Apply,
        &[("s3:PutObject", Target::Store), ("kms:GenerateDataKey", Target::Key)],
    ),
    operation(
        "write a state of more than 5 MiB",
        Purpose::Apply,
        &[("s3:PutObject", Target::Store), ("s3:AbortMultipartUpload", Target::Store), ("kms:Decrypt", Target::Key)],
    ),
    operation("delete a state", Purpose::Admin, &[("s3:DeleteObject", Target::Store)]),
    operation(
        "read versions of other writers",
        Purpose::Admin,
        &[("s3:ListBucketVersions", Target::Names), ("s3:GetObjectVersion", Target::Store)],
    ),
];

const STATEWARD_DYNAMODB: &[Operation] = &[
    operation(
        "open the store",
        Purpose::ReadOnly,
        &[("dynamodb:DescribeTable", Target::StateTable), ("dynamodb:DescribeTable", Target::LockTable)],
    ),
    operation(
        "read states and records",
        Purpose::ReadOnly,
        &[
            ("dynamodb:GetItem", Target::StateTable),
            ("dynamodb:BatchGetItem", Target::StateTable),
            ("dynamodb:Query", Target::StateTable),
            ("kms:Decrypt", Target::Key),
        ],
    ),
    operation(
        "write states, records and locks",
        Purpose::Plan,
        &[
            ("dynamodb:PutItem", Target::StateTable),
            ("dynamodb:UpdateItem", Target::StateTable),
            ("dynamodb:DeleteItem", Target::StateTable),
            ("dynamodb:ConditionCheckItem", Target::StateTable),
            ("dynamodb:BatchWriteItem", Target::StateTable),
            ("kms:Decrypt", Target::Key),
        ],
    ),
    operation("verify the store", Purpose::Admin, &[("dynamodb:Scan", Target::StateTable)]),
    operation(
        "make the table",
        Purpose::Admin,
        &[("dynamodb:CreateTable", Target::StateTable), ("dynamodb:UpdateTimeToLive", Target::StateTable)],
    ),
];
