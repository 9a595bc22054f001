//! One error for everything that the backend refuses or cannot do: what happened, why, and what to do next.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use stateward_store::StoreError;

/// The result of every operation of the backend.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of failure it is. Edges map it: the server to a status, the command line to an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The request itself is wrong: a bad name, a damaged body, an unknown version.
    Invalid,
    /// The body is larger than the limit.
    TooLarge,
    /// No such state, version or lock.
    NotFound,
    /// What everything is kept in does not exist: a bucket, a table. That says nothing of any state.
    NoPlace,
    /// Somebody else holds the lock.
    Locked,
    /// The write does not fit the head (serial, lineage), or its lock is not the live one.
    Conflict,
    /// What a plan reads or writes has changed since it was made: plan again.
    Stale,
    /// Nobody is logged in, or with a token that is not known.
    Unauthenticated,
    /// The caller lacks a right.
    Denied,
    /// The storage has no room.
    Full,
    /// Not now; try again.
    Unavailable,
    /// What is stored is damaged.
    Corrupt,
    /// This cannot be done here at all.
    Unsupported,
    /// A bug in stateward.
    Bug,
}

impl Kind {
    /// All kinds, by the names that API v1 gives them.
    const NAMES: [(Self, &'static str); 14] = [
        (Self::Invalid, "invalid"),
        (Self::TooLarge, "too_large"),
        (Self::NotFound, "not_found"),
        (Self::NoPlace, "no_place"),
        (Self::Locked, "locked"),
        (Self::Conflict, "conflict"),
        (Self::Stale, "stale"),
        (Self::Unauthenticated, "unauthenticated"),
        (Self::Denied, "denied"),
        (Self::Full, "full"),
        (Self::Unavailable, "unavailable"),
        (Self::Corrupt, "corrupt"),
        (Self::Unsupported, "unsupported"),
        (Self::Bug, "bug"),
    ];

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(kind, _)| *kind == self).map_or("bug", |(_, name)| name)
    }

    /// The kind of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }
}

/// Why the backend did not do what it was asked. Never holds state contents or secrets.
#[derive(Debug, Clone)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: Kind,
    what: String,
    why: String,
    next: String,
    holder: Option<Bytes>,
    over: Option<String>,
    retry_after: Option<Duration>,
}

impl Error {
    /// An error of a kind: what happened, why, and what to do next, each one sentence without a full stop.
    pub fn new(kind: Kind, what: impl Into<String>, why: impl Into<String>, next: impl Into<String>) -> Self {
        let (what, why, next) = (what.into(), why.into(), next.into());
        Self(Box::new(Inner { kind, what, why, next, holder: None, over: None, retry_after: None }))
    }

    /// Adds the lock information of who is in the way, byte for byte as it was sent.
    #[must_use]
    pub fn held_by(mut self, raw: Bytes) -> Self {
        self.0.holder = Some(raw);
        self
    }

    /// Adds what they are in the way of: an address, where it is not the whole state.
    #[must_use]
    pub fn over(mut self, address: Option<String>) -> Self {
        self.0.over = address;
        self
    }

    /// Adds what else there is to do.
    #[must_use]
    pub(crate) fn and_next(mut self, more: &str) -> Self {
        self.0.next = format!("{}; {more}", self.0.next);
        self
    }

    /// The same where it met whoever wanted to know whether a request was done, which therefore nobody knows.
    #[must_use]
    pub(crate) fn unconfirmed(self) -> Self {
        let why =
            format!("it is not known whether it was done, for it could not be looked at after that: {}", self.0.why);
        let next = "try again once the storage answers: repeating the request is safe";
        let told = Self::new(self.0.kind, "the storage did not confirm", why, next);
        Self(Box::new(Inner { retry_after: self.0.retry_after, ..*told.0 }))
    }

    /// Adds when to try again.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }

    /// The sort of failure.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What happened.
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// Why.
    pub fn why(&self) -> &str {
        &self.0.why
    }

    /// What to do next.
    pub fn next(&self) -> &str {
        &self.0.next
    }

    /// The holder's lock information, as it was sent.
    pub fn holder(&self) -> Option<&Bytes> {
        self.0.holder.as_ref()
    }

    /// The address that the holder is in the way of; absent where it is the whole state.
    pub fn address(&self) -> Option<&str> {
        self.0.over.as_deref()
    }

    /// When to try again.
    pub fn retry_after_hint(&self) -> Option<Duration> {
        self.0.retry_after
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.what, self.0.why)
    }
}

impl std::error::Error for Error {}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let why = error.to_string();
        let later = "try again in a moment; nothing was changed";
        match error {
            StoreError::NoPlace { place, reason, next } => {
                Self::new(Kind::NoPlace, format!("there is no {place}"), reason, next)
            }
            StoreError::NotFound { .. } | StoreError::Corrupt { .. } => Self::new(
                Kind::Corrupt,
                "the store is damaged",
                why,
                "run `stateward state verify`, and restore a backup if it lists more",
            ),
            StoreError::Conflict { .. } => Self::new(Kind::Unavailable, "too many writers at once", why, later),
            StoreError::Denied { .. } => Self::new(
                Kind::Denied,
                "the storage refused access",
                why,
                "give whose credentials these are the missing right: `stateward explain` says where",
            ),
            StoreError::Unauthenticated { .. } => Self::new(
                Kind::Denied,
                "there are no credentials that the storage takes",
                why,
                "`stateward doctor` says which credentials are found, and where",
            ),
            StoreError::Unavailable { retry_after, .. } => {
                let error = Self::new(Kind::Unavailable, "the storage cannot answer now", why, later);
                error.retry_after(retry_after.unwrap_or(Duration::from_secs(1)))
            }
            StoreError::Full { .. } => Self::new(
                Kind::Full,
                "the storage is full",
                why,
                "make room on the disk (or raise its limit) and try again; what is stored is safe and can be read",
            ),
            StoreError::TooLarge { .. } => {
                Self::new(Kind::TooLarge, "too large for the storage", why, "make it smaller")
            }
            StoreError::Unsupported { .. } => {
                Self::new(Kind::Unsupported, "the storage cannot do this", why, "see the message")
            }
            StoreError::OutcomeUnknown { .. } => Self::new(
                Kind::Unavailable,
                "the storage did not confirm",
                why,
                "try again: repeating the request is safe",
            ),
            _ => Self::new(Kind::Bug, "unexpected answer of the storage", why, "please report it"),
        }
    }
}
