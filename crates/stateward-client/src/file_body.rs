//! A body in a file, which can be read more than once without being in memory.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use stateward_core::{BodyStream, Error, Kind, Result};
use tokio::io::AsyncWriteExt;

use crate::push::Source;

/// Bytes read at a time.
const PIECE: usize = 256 << 10;

/// An open file, or a copy of what can be read only once. Cheap to clone.
#[derive(Debug, Clone)]
pub struct FileBody {
    file: Arc<File>,
    length: u64,
}

impl FileBody {
    /// An open file as it is now.
    pub fn of(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { file: Arc::new(file), length })
    }

    /// A copy in a file without a name, which nobody else can open and which ends with its last user.
    pub fn copy(from: &mut impl Read) -> io::Result<Self> {
        let mut file = tempfile::tempfile()?;
        let length = io::copy(from, &mut file)?;
        file.rewind()?;
        Ok(Self { file: Arc::new(file), length })
    }

    /// Such a copy of a body that is on its way in.
    pub async fn take(mut body: BodyStream) -> Result<Self> {
        let mut file = tokio::fs::File::from_std(tempfile::tempfile().map_err(|error| no_room(&error))?);
        let mut length = 0;
        while let Some(piece) = body.bytes.try_next().await? {
            file.write_all(&piece).await.map_err(|error| no_room(&error))?;
            length += piece.len() as u64;
        }
        file.flush().await.map_err(|error| no_room(&error))?;
        Ok(Self { file: Arc::new(file.into_std().await), length })
    }

    /// Bytes in it.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Reads it from the start.
    pub fn read(&self) -> BodyStream {
        let bytes = stream::try_unfold((Arc::clone(&self.file), 0, self.length), read_piece);
        BodyStream { length: Some(self.length), bytes: bytes.boxed() }
    }

    /// Copies it to somewhere else.
    pub fn write_to(&self, to: &mut impl Write) -> io::Result<()> {
        let mut at = 0;
        while at < self.length {
            let piece = piece_at(&self.file, at, self.length)?;
            to.write_all(&piece)?;
            at += piece.len() as u64;
        }
        Ok(())
    }
}

#[async_trait]
impl Source for FileBody {
    async fn open(&self) -> Result<BodyStream> {
        Ok(self.read())
    }
}

type Place = (Arc<File>, u64, u64);

async fn read_piece((file, at, length): Place) -> Result<Option<(Bytes, Place)>> {
    if at == length {
        return Ok(None);
    }
    let reader = Arc::clone(&file);
    let read = tokio::task::spawn_blocking(move || piece_at(&reader, at, length)).await;
    let piece = read.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into())).map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::UnexpectedEof => "it became shorter while it was read".to_owned(),
            _ => plain(&error),
        };
        Error::new(Kind::Invalid, "the file cannot be read", why, "nothing was stored; try again")
    })?;
    let next = at + piece.len() as u64;
    Ok(Some((Bytes::from(piece), (file, next, length))))
}

fn piece_at(file: &File, at: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut piece = vec![0; usize::try_from(length - at).unwrap_or(PIECE).min(PIECE)];
    file.read_exact_at(&mut piece, at)?;
    Ok(piece)
}

fn no_room(error: &io::Error) -> Error {
    let next = "make room in the directory for temporary files, or name another with `TMPDIR`";
    Error::new(
        Kind::Full,
        "the state could not be taken",
        format!("it is copied to a file first: {}", plain(error)),
        next,
    )
}

/// The system's words without its `(os error 2)`.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_read_again_and_again_piece_by_piece() {
        let bytes: Vec<u8> = (0..600_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let pieces: Vec<Result<Bytes>> = bytes.chunks(70_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let taken = FileBody::take(BodyStream { length: None, bytes: stream::iter(pieces).boxed() }).await.unwrap();
        let copied = FileBody::copy(&mut &bytes[..]).unwrap();
        for body in [taken.clone(), taken, copied] {
            let read = body.read();
            assert_eq!(read.length, Some(600_000));
            let pieces: Vec<Bytes> = read.bytes.try_collect().await.unwrap();
            assert!(pieces.len() == 3 && pieces.concat() == bytes);
            let mut copy = Vec::new();
            body.write_to(&mut copy).unwrap();
            assert!(copy == bytes);
        }
    }

    #[tokio::test]
    async fn a_body_that_is_cut_short_is_none() {
        let cut = Error::new(Kind::Invalid, "cut", "short", "again");
        let pieces = [Ok(Bytes::from_static(b"{")), Err(cut)];
        let body = BodyStream { length: None, bytes: stream::iter(pieces).boxed() };
        assert_eq!(FileBody::take(body).await.unwrap_err().what(), "cut");
    }

    #[tokio::test]
    async fn a_file_that_becomes_shorter_is_told() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(10).unwrap();
        let body = FileBody::of(file.try_clone().unwrap()).unwrap();
        file.set_len(5).unwrap();
        let error = body.read().bytes.try_collect::<Vec<Bytes>>().await.unwrap_err();
        assert_eq!(error.why(), "it became shorter while it was read");
    }
}
