//! How a command ends: the one table of exit codes.

use std::process::ExitCode;

use stateward_core::Kind;

/// How a command ended, for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done,
    /// It failed, and the message says why.
    Failed,
    /// The command line or the configuration is wrong.
    Usage,
    /// Locked, or somebody else was faster.
    Conflict,
    /// A right is missing.
    Denied,
    /// What is stored is damaged.
    Corrupt,
    /// A bug in stateward.
    Bug,
    /// As the command ended that `stateward run` started.
    Command(u8),
}

impl Exit {
    /// The exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Conflict => 3,
            Self::Denied => 4,
            Self::Corrupt => 5,
            Self::Bug => 70,
            Self::Command(code) => code,
        }
    }
}

impl From<Kind> for Exit {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Locked | Kind::Conflict | Kind::Stale => Self::Conflict,
            Kind::Unauthenticated | Kind::Denied => Self::Denied,
            Kind::Corrupt => Self::Corrupt,
            Kind::Invalid
            | Kind::TooLarge
            | Kind::NotFound
            | Kind::NoPlace
            | Kind::Full
            | Kind::Unavailable
            | Kind::Unsupported => Self::Failed,
            // Kinds may be added; until they stand in this table, meeting one is a bug.
            _ => Self::Bug,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_code() {
        for (kind, code) in [
            (Kind::Invalid, 1),
            (Kind::TooLarge, 1),
            (Kind::NotFound, 1),
            (Kind::NoPlace, 1),
            (Kind::Locked, 3),
            (Kind::Conflict, 3),
            (Kind::Stale, 3),
            (Kind::Unauthenticated, 4),
            (Kind::Denied, 4),
            (Kind::Full, 1),
            (Kind::Unavailable, 1),
            (Kind::Corrupt, 5),
            (Kind::Unsupported, 1),
            (Kind::Bug, 70),
        ] {
            assert_eq!(Exit::from(kind).code(), code, "{kind:?}");
        }
    }
}
