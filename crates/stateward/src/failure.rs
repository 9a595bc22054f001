//! Why a command did not do what it was asked.

use std::io;

use stateward_core::{Error, Kind};

use crate::exit::Exit;

/// The result of a command's steps.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why a command stops.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The core, a server or the system refused.
    Refused(Error),
    /// The command line or the configuration is wrong.
    Usage(Message),
    /// Whoever read a long output has gone, which is fine.
    BrokenPipe,
}

/// What happened, why, and what to do next: each one sentence without a full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) what: String,
    pub(crate) why: String,
    pub(crate) next: String,
}

impl Message {
    pub(crate) fn new(what: impl Into<String>, why: impl Into<String>, next: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), next: next.into() }
    }
}

impl Failure {
    pub(crate) fn usage(what: impl Into<String>, why: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Usage(Message::new(what, why, next))
    }

    /// What the system said about a file.
    pub(crate) fn file(
        what: impl Into<String>,
        path: &std::path::Path,
        error: &io::Error,
        next: impl Into<String>,
    ) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => Kind::NotFound,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Kind::Denied,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::Full,
            _ => Kind::Invalid,
        };
        Self::Refused(Error::new(kind, what, format!("`{}`: {}", path.display(), plain(error)), next))
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Refused(error) => error.kind().into(),
            Self::Usage(_) => Exit::Usage,
            Self::BrokenPipe => Exit::Done,
        }
    }

    pub(crate) fn message(&self) -> Option<Message> {
        match self {
            Self::Refused(error) => Some(Message::new(error.what(), error.why(), error.next())),
            Self::Usage(message) => Some(message.clone()),
            Self::BrokenPipe => None,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<Message> for Failure {
    fn from(message: Message) -> Self {
        Self::Usage(message)
    }
}

/// For our own output. Errors about files go through [`Failure::file`].
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::BrokenPipe;
        }
        let next = "check where the output goes: the disk may be full";
        Self::Refused(Error::new(Kind::Full, "the output could not be written", plain(&error), next))
    }
}

/// The system's words without its `(os error 2)`.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}
