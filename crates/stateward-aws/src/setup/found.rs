//! What is there.

/// What is there of what is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The bucket.
    pub bucket: Bucket,
    /// The lock table; `None` where there is none or none is wanted.
    pub table: Option<Table>,
}

/// A bucket's name, and what stands behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bucket {
    /// Nobody has it.
    Missing,
    /// Another account's, or one that this caller may not look at.
    Foreign,
    /// This account's, in another Region.
    Elsewhere(String),
    /// This account's.
    There(Settings),
}

/// How a bucket is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Who owns objects: `BucketOwnerEnforced`.
    pub ownership: Option<String>,
    /// `Enabled` or `Suspended`.
    pub versioning: Option<String>,
    /// What encrypts objects that come without a header: `AES256`, `aws:kms`.
    pub encryption: Option<String>,
    /// Whether public access is refused: new access lists, access lists, new policies, policies.
    pub blocked: [bool; 4],
    /// The policy, as JSON.
    pub policy: Option<String>,
}

/// How a table is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// The key: each attribute's name, type (`S`) and part (`HASH`).
    pub key: Vec<(String, String, String)>,
    /// Whether it can be brought back to any second of the last weeks.
    pub recovery: bool,
    /// Whether it cannot be deleted.
    pub protected: bool,
    /// Whether it is paid by request.
    pub on_demand: bool,
}
