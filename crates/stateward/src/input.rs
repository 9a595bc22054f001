//! States on their way in from a file, or from what can be read only once.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use stateward_client::Source;
use stateward_core::{BodyStream, Error, Kind};

use crate::failure::{Failure, Result, plain};

/// Bytes read at a time.
const PIECE: usize = 256 << 10;

/// Where the bytes come from.
pub(crate) enum Input {
    /// A file, or a copy of what can be read only once.
    File { file: Arc<File>, length: u64 },
    /// Standard input, which is read only once; taken by the first who reads.
    Stream(Mutex<Option<io::Stdin>>),
}

impl Input {
    /// A file. `failed` says what did not happen, if it cannot be read.
    pub(crate) fn file(path: &Path, failed: &str) -> Result<Self> {
        let failed = |error: io::Error| Failure::file(failed, path, &error, "check its path, and that you may read it");
        let mut file = File::open(path).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        if found.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        if found.is_file() {
            return Ok(Self::File { file: Arc::new(file), length: found.len() });
        }
        // A pipe, such as a shell's `<(…)`.
        spool(&mut file).map_err(failed)
    }

    /// A file that is open already, and stays so.
    pub(crate) fn of(file: Arc<File>) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self::File { file, length })
    }

    /// Standard input; a copy of it, where it has to be read again.
    pub(crate) fn standard(again: bool, failed: &str) -> Result<Self> {
        if !again {
            return Ok(Self::Stream(Mutex::new(Some(io::stdin()))));
        }
        spool(&mut io::stdin().lock()).map_err(|error| Failure::file(failed, Path::new("-"), &error, "give a file"))
    }

    /// A copy of what comes over the network.
    pub(crate) async fn copy_of(mut body: BodyStream) -> Result<Self> {
        let failed = |error: io::Error| {
            let next = "make room in the directory for temporary files, or set `TMPDIR` to another";
            Failure::file("no copy could be made", Path::new("(a temporary file)"), &error, next)
        };
        let mut file = tempfile::tempfile().map_err(failed)?;
        let mut length = 0;
        while let Some(piece) = body.bytes.try_next().await? {
            file.write_all(&piece).map_err(failed)?;
            length += piece.len() as u64;
        }
        Ok(Self::File { file: Arc::new(file), length })
    }

    pub(crate) fn length(&self) -> Option<u64> {
        match self {
            Self::File { length, .. } => Some(*length),
            Self::Stream(_) => None,
        }
    }
}

/// A copy in a file without a name, which nobody else can open.
fn spool(from: &mut impl Read) -> io::Result<Input> {
    let mut file = tempfile::tempfile()?;
    let length = io::copy(from, &mut file)?;
    file.rewind()?;
    Ok(Input::File { file: Arc::new(file), length })
}

#[async_trait]
impl Source for Input {
    async fn open(&self) -> stateward_core::Result<BodyStream> {
        match self {
            Self::File { file, length } => {
                let bytes = stream::try_unfold((Arc::clone(file), 0, *length), read_piece);
                Ok(BodyStream { length: Some(*length), bytes: bytes.boxed() })
            }
            Self::Stream(stdin) => {
                let stdin = stdin.lock().unwrap_or_else(PoisonError::into_inner).take();
                let stdin = stdin.ok_or_else(|| {
                    Error::new(Kind::Bug, "standard input was read before", "it is read once", "please report it")
                })?;
                Ok(BodyStream { length: None, bytes: stream::try_unfold(stdin, read_stream).boxed() })
            }
        }
    }
}

type Place = (Arc<File>, u64, u64);

async fn read_piece((file, at, length): Place) -> stateward_core::Result<Option<(Bytes, Place)>> {
    let size = usize::try_from(length - at).unwrap_or(PIECE).min(PIECE);
    if size == 0 {
        return Ok(None);
    }
    let reader = Arc::clone(&file);
    let read = blocking(move || {
        let mut piece = vec![0; size];
        reader.read_exact_at(&mut piece, at).map(|()| piece)
    });
    let piece = read.await?;
    Ok(Some((Bytes::from(piece), (file, at + size as u64, length))))
}

async fn read_stream(stdin: io::Stdin) -> stateward_core::Result<Option<(Bytes, io::Stdin)>> {
    let piece = blocking(|| {
        let mut piece = Vec::with_capacity(PIECE);
        io::stdin().lock().take(PIECE as u64).read_to_end(&mut piece).map(|_| piece)
    });
    let piece = piece.await?;
    Ok(if piece.is_empty() { None } else { Some((Bytes::from(piece), stdin)) })
}

async fn blocking(read: impl FnOnce() -> io::Result<Vec<u8>> + Send + 'static) -> stateward_core::Result<Vec<u8>> {
    let read = tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into()));
    read.map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::UnexpectedEof => "it became shorter while it was read".to_owned(),
            _ => plain(&error),
        };
        Error::new(Kind::Invalid, "the file cannot be read", why, "nothing was stored; try again")
    })
}
