//! What a text tells, as data. The shapes are those of `stateward explain --json`, as far as a text alone can fill them.

use serde::{Deserialize, Serialize};

use crate::principal::Principal;

/// One thing that went wrong.
///
/// What to do about it, and why it happened, is for whoever knows more than the text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Problem {
    /// What kind of thing.
    pub kind: Kind,
    /// How often the text tells of it; request IDs may differ.
    pub count: u64,
    /// The refused request; only where the kind is [`Kind::AccessDenied`].
    pub denial: Option<Denial>,
    /// Whether the text leaves no doubt about the cause: for a denial, about the layer that refused.
    pub certain: bool,
    /// The other layers that AWS prints this same text for.
    pub also_possible: Vec<Layer>,
    /// Whether it kept Terraform from taking the state's lock.
    pub locking: bool,
    /// Whether it kept Terraform from storing the state of what it had done, which it then left in `errored.tfstate`.
    pub unsaved: bool,
    /// The failed request, or what else failed; only where the kind is none of those that have a field of their own.
    pub failure: Option<Failure>,
    /// Who holds the state's lock; only where the kind is [`Kind::LockHeld`].
    pub lock: Option<LockInfo>,
    /// The digests that differ; only where the kind is [`Kind::DigestMismatch`].
    pub digest: Option<DigestMismatch>,
    /// The `CloudTrail` event that told of it first.
    pub event: Option<Event>,
}

/// The kinds of problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// AWS knew who asked, and refused.
    AccessDenied,
    /// AWS did not know who asked, or there was nothing to ask with.
    Authentication,
    /// Somebody holds the state's lock.
    LockHeld,
    /// A state and its digest in the lock table do not belong together.
    DigestMismatch,
    /// What was asked for does not exist.
    NotFound,
    /// It exists, but in another Region; or no Region was given.
    Region,
    /// AWS was not reached.
    Network,
    /// A saved plan no longer fits the state.
    StalePlan,
    /// Somebody else's change came first.
    Conflict,
    /// Too many requests.
    Throttled,
    /// An error of AWS or Terraform that is none of these.
    Other,
}

/// A refused request. What the text does not give is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Denial {
    /// The service that answered, by its IAM prefix (`dynamodb`); where the text does not name it, that of the action.
    pub service: Option<String>,
    /// The API operation that was called (`PutItem`).
    pub operation: Option<String>,
    /// The action that was refused (`dynamodb:PutItem`), as AWS wrote it. Not always the operation's own.
    pub action: Option<String>,
    /// Who asked.
    pub principal: Principal,
    /// What the action was to be done to, mostly an ARN; AWS's quotes are not part of it.
    pub resource: Option<String>,
    /// What the names in a bucket begin with that were to be listed, where the text says so. Of one object that is not there it is the name.
    pub prefix: Option<String>,
    /// The layer that refused.
    pub layer: Layer,
    /// How it refused.
    pub effect: Effect,
    /// The policy that refused, where AWS names it.
    pub policy_arn: Option<String>,
    /// AWS's ID of the request; of the first one, where the same denial is counted several times.
    pub request_id: Option<String>,
    /// The error's code, without a namespace (`AccessDeniedException`).
    pub error_code: Option<String>,
    /// Whether the text has an ID to ask `GetRequestAuthorizationDetails` with.
    pub has_authorization_id: bool,
    /// Whether the text has a message for `sts:DecodeAuthorizationMessage`.
    pub has_encoded_message: bool,
    /// The setting of a bucket that refused, where it was not a policy (`BlockPublicPolicy`).
    pub setting: Option<String>,
    /// The name behind which the text ends, or says that it was cut: there may be more of it.
    pub cut: Option<Part>,
    /// That ID. It opens the details to anyone with the right to ask, so it is never serialised.
    #[serde(skip)]
    pub authorization_id: Option<String>,
    /// That message. Never serialised.
    #[serde(skip)]
    pub encoded_message: Option<String>,
}

/// The names in a message that its end can cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// [`Denial::action`].
    Action,
    /// [`Denial::resource`].
    Resource,
    /// [`Denial::policy_arn`].
    Policy,
}

/// The kinds of policies that can refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// Policies attached to the user, its groups, or the role.
    Identity,
    /// The resource's own policy: of a bucket, table, key, secret, queue.
    Resource,
    /// The permissions boundary of the user or role.
    Boundary,
    /// The policy that a session was opened with.
    Session,
    /// A service control policy of the organization.
    Scp,
    /// A resource control policy of the organization.
    Rcp,
    /// The policy of the VPC endpoint that the request went through.
    VpcEndpoint,
    /// The trust policy of the role to be assumed.
    Trust,
    /// The KMS key: it does not exist here, or its policy refuses; AWS does not say which.
    Kms,
    /// Block Public Access of a bucket or account.
    S3BlockPublicAccess,
    /// The text does not say.
    Unknown,
}

/// How a layer refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing allows it.
    Implicit,
    /// Something denies it.
    Explicit,
    /// The text does not say.
    Unknown,
}

/// What failed, where it was no denial. What the text does not give is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Failure {
    /// The service that answered, by its IAM prefix.
    pub service: Option<String>,
    /// The API operation that was called.
    pub operation: Option<String>,
    /// The error's code.
    pub code: Option<String>,
    /// AWS's ID of the (first) request.
    pub request_id: Option<String>,
    /// What it is about: a bucket, table, key, role, host.
    pub subject: Option<String>,
    /// The Region that would be right, where the text says so.
    pub region: Option<String>,
    /// What it was, closer than the kind.
    pub reason: Option<Reason>,
}

/// What failed, closer than the kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Temporary credentials, or a signed URL, are past their time.
    ExpiredCredentials,
    /// Nobody has this key or token.
    InvalidCredentials,
    /// The secret does not fit the key, or the request was changed on its way.
    BadSignature,
    /// The clocks differ.
    ClockSkew,
    /// No credentials were found.
    NoCredentials,
    /// The request carried no credentials.
    NotSigned,
    /// The code of the MFA device was not right.
    Mfa,
    /// The identity provider's token was not taken.
    WebIdentity,
    /// The sign-in by IAM Identity Center is over.
    SsoSession,
    /// IAM Identity Center gives whoever signed in no such role in that account.
    SsoAssignment,
    /// No such bucket.
    Bucket,
    /// No such object.
    Object,
    /// No such table.
    Table,
    /// No such KMS key or alias.
    Key,
    /// No such user, role or policy.
    Entity,
    /// The Region is another one.
    WrongRegion,
    /// No Region was given.
    NoRegion,
    /// The name could not be resolved.
    Dns,
    /// Nobody listens there.
    Refused,
    /// No answer in time.
    Timeout,
    /// The certificate was not taken.
    Tls,
    /// The state has moved on since the plan.
    StateChanged,
    /// The other side has another lineage.
    OtherLineage,
    /// The other side's serial is not older.
    SerialNotNewer,
    /// A conditional write found something else.
    ConditionFailed,
    /// The lock is held under another ID, or not at all.
    LockId,
    /// It exists already.
    Exists,
    /// Something else is under way there.
    InUse,
    /// The lock table has another key.
    KeySchema,
    /// The KMS key is disabled, or about to be deleted.
    KeyState,
    /// The object lies in an archive, and cannot be read before it is restored.
    Archived,
    /// The storage does not know this kind of request.
    Unsupported,
    /// A policy document was not taken.
    MalformedPolicy,
    /// More than the service takes.
    TooLarge,
    /// The account does not have this service or Region.
    NotSubscribed,
    /// The lock could not be taken; the text does not say why.
    LockFailed,
}

/// Terraform's information about a lock, in its own words; `None` where the text does not give it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LockInfo {
    /// Its ID.
    pub id: Option<String>,
    /// Of what: `bucket/key`.
    pub path: Option<String>,
    /// What for: `OperationTypeApply`.
    pub operation: Option<String>,
    /// By whom: `user@host`.
    pub who: Option<String>,
    /// By which Terraform.
    pub version: Option<String>,
    /// Since when, as it was written.
    pub created: Option<String>,
    /// Free text.
    pub info: Option<String>,
}

/// A state that does not match its digest; `None` where the text does not give it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DigestMismatch {
    /// The state's bucket.
    pub bucket: Option<String>,
    /// The state's key.
    pub key: Option<String>,
    /// MD5 of the state that was found, hexadecimal.
    pub calculated: Option<String>,
    /// The digest that the lock table has, hexadecimal.
    pub stored: Option<String>,
    /// What the text says the digest should be set to, hexadecimal.
    pub set_to: Option<String>,
}

/// What `CloudTrail` knows beyond the error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Event {
    /// `eventID`.
    pub id: Option<String>,
    /// `eventTime`, RFC 3339.
    pub time: Option<String>,
    /// `awsRegion`.
    pub region: Option<String>,
    /// `sourceIPAddress`: an address, or a service's name.
    pub source_ip: Option<String>,
    /// `vpcEndpointId`.
    pub vpc_endpoint: Option<String>,
}

impl Problem {
    /// A problem told of once, of which nothing but the kind is known.
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            count: 1,
            denial: None,
            certain: true,
            also_possible: Vec::new(),
            locking: false,
            unsaved: false,
            failure: None,
            lock: None,
            digest: None,
            event: None,
        }
    }

    /// What it is counted by: all but what differs from one time to the next.
    pub(crate) fn identity(&self) -> Self {
        let mut identity = self.clone();
        identity.count = 0;
        identity.event = None;
        if let Some(denial) = &mut identity.denial {
            denial.prefix = None;
            denial.request_id = None;
            denial.authorization_id = None;
            denial.encoded_message = None;
        }
        if let Some(failure) = &mut identity.failure {
            failure.request_id = None;
        }
        identity
    }
}

impl Denial {
    /// Whether names in a bucket were to be listed, be it that of one object that is not there.
    pub fn is_listing(&self) -> bool {
        const LISTINGS: [&str; 2] = ["s3:ListBucket", "s3:ListBucketVersions"];
        self.action.as_deref().is_some_and(|action| LISTINGS.iter().any(|listing| listing.eq_ignore_ascii_case(action)))
    }
}

impl Problem {
    /// The same with a name that is not cut; `None` where none is.
    pub(crate) fn uncut(&self) -> Option<Self> {
        let mut uncut = self.clone();
        uncut.denial.as_mut()?.cut.take()?;
        Some(uncut)
    }
}

impl Default for Denial {
    fn default() -> Self {
        Self {
            service: None,
            operation: None,
            action: None,
            principal: Principal::default(),
            resource: None,
            prefix: None,
            layer: Layer::Unknown,
            effect: Effect::Unknown,
            policy_arn: None,
            request_id: None,
            error_code: None,
            has_authorization_id: false,
            has_encoded_message: false,
            setting: None,
            cut: None,
            authorization_id: None,
            encoded_message: None,
        }
    }
}
