//! `stateward state push`.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use stateward_client::{Source, push};
use stateward_core::{BodyStream, Error, Kind, StateId};

use super::told;
use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::{Failure, Result, plain};
use crate::output::progress::Progress;
use crate::store::Missing;

/// Bytes read at a time.
const PIECE: usize = 256 << 10;

pub(super) async fn run(context: &Context, name: &StateId, file: &Path, force: bool) -> Result<Exit> {
    let source = if file == Path::new("-") { Input::standard(force)? } else { Input::file(file)? };
    let connection = context.connect(Missing::Make).await?;
    let stored = {
        let progress = Progress::bytes("pushing", source.length());
        push(&*connection, name, &Counted { source: &source, count: Arc::new(progress.counter()) }, force).await?
    };
    let done = if stored.renumbered { "stored under a new serial" } else { "stored" };
    context.out.answer(&stored, || told(name, &stored, done))
}

/// Where the bytes come from.
enum Input {
    /// A file, or a copy of what can be read only once.
    File { file: Arc<File>, length: u64 },
    /// Standard input, which is read only once; taken by the first who reads.
    Stream(Mutex<Option<io::Stdin>>),
}

impl Input {
    fn file(path: &Path) -> Result<Self> {
        let failed = |error: io::Error| {
            Failure::file("the file was not pushed", path, &error, "check its path, and that you may read it")
        };
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

    /// A forced push reads twice, so that it needs a copy.
    fn standard(force: bool) -> Result<Self> {
        if !force {
            return Ok(Self::Stream(Mutex::new(Some(io::stdin()))));
        }
        spool(&mut io::stdin().lock())
            .map_err(|error| Failure::file("the file was not pushed", Path::new("-"), &error, "give a file"))
    }

    fn length(&self) -> Option<u64> {
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

/// A source whose bytes are counted as they go.
struct Counted<'a, C> {
    source: &'a Input,
    count: Arc<C>,
}

#[async_trait]
impl<C: Fn(usize) + Send + Sync + 'static> Source for Counted<'_, C> {
    async fn open(&self) -> stateward_core::Result<BodyStream> {
        let BodyStream { length, bytes } = self.source.open().await?;
        let count = Arc::clone(&self.count);
        Ok(BodyStream { length, bytes: bytes.inspect_ok(move |piece| count(piece.len())).boxed() })
    }
}
