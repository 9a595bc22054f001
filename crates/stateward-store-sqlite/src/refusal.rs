//! Why a file was not opened, and what to do about it.

use std::path::PathBuf;

use stateward_store::StoreError;

/// Why a database was not opened. The text says what and why; [`OpenError::advice`] says what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no such file, and none was to be made.
    #[error("there is no database at `{}`", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Nothing is in the file, as where a process was killed that had just made it, and nothing was to be made.
    #[error("there is no database at `{}` yet: the file is empty", path.display())]
    Blank {
        /// The file.
        path: PathBuf,
    },
    /// The path names something that is not a file.
    #[error("`{}` is not a file", path.display())]
    NotAFile {
        /// What is there instead.
        path: PathBuf,
    },
    /// The file would lie where locks do not hold.
    #[error("`{}` is on a network filesystem ({kind}), where SQLite's locks do not protect it from a second writer", path.display())]
    NetworkFilesystem {
        /// The file.
        path: PathBuf,
        /// Which filesystem.
        kind: &'static str,
    },
    /// The file or its directory does not let us write.
    #[error("`{}` cannot be written: {reason}", path.display())]
    NotWritable {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The file is something else.
    #[error("`{}` is not a stateward database: {reason}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it seems to be.
        reason: String,
    },
    /// A later version wrote the file.
    #[error("`{}` was written by a newer stateward (format {found}, this one knows {known})", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The file's format.
        found: i32,
        /// The newest format that is understood here.
        known: i32,
    },
    /// The file is damaged.
    #[error("`{}` is damaged: {reason}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What does not hold.
        reason: String,
    },
    /// Anything else that the system or `SQLite` said.
    #[error("`{}` cannot be opened: {reason}", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// What they said.
        reason: String,
    },
}

impl OpenError {
    /// What to do next.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Missing { .. } | Self::Blank { .. } => "check the path, or allow the database to be created",
            Self::NotAFile { .. } => "name a file inside that directory",
            Self::NetworkFilesystem { .. } => {
                "put the file on a local disk of the server, or use an `s3:` or `dynamodb:` store to share it between machines"
            }
            Self::NotWritable { .. } => {
                "give the user that runs stateward the right to write the file and its directory"
            }
            Self::Foreign { .. } => "check the path; the file was left as it is",
            Self::Newer { .. } => "upgrade stateward; the file was left as it is",
            Self::Corrupt { .. } => "copy the file aside with its `-wal`, then restore a backup",
            Self::Failed { .. } => "put right what the message names, then try again",
        }
    }

    fn subject(&self) -> String {
        let (Self::Missing { path }
        | Self::Blank { path }
        | Self::NotAFile { path }
        | Self::NetworkFilesystem { path, .. }
        | Self::NotWritable { path, .. }
        | Self::Foreign { path, .. }
        | Self::Newer { path, .. }
        | Self::Corrupt { path, .. }
        | Self::Failed { path, .. }) = self;
        path.display().to_string()
    }
}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> Self {
        let what = error.subject();
        let reason = format!("{error}; {}", error.advice());
        match error {
            OpenError::Missing { .. } | OpenError::Blank { .. } => Self::NotFound { what },
            OpenError::NotAFile { .. }
            | OpenError::NetworkFilesystem { .. }
            | OpenError::Foreign { .. }
            | OpenError::Newer { .. } => Self::Unsupported { what, reason },
            OpenError::NotWritable { .. } => Self::Denied { denial: reason },
            OpenError::Corrupt { reason, .. } => Self::Corrupt { what, reason },
            OpenError::Failed { .. } => Self::Unavailable { retry_after: None, reason },
        }
    }
}
