//! Bodies on their way in.

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use crate::error::Result;

/// A state's bytes as they arrive.
pub struct BodyStream {
    /// The length, where it is known before.
    pub length: Option<u64>,
    /// The bytes; an error where they are cut short.
    pub bytes: BoxStream<'static, Result<Bytes>>,
}

impl BodyStream {
    /// A body that is in memory.
    pub fn of(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { length: Some(bytes.len() as u64), bytes: stream::once(async move { Ok(bytes) }).boxed() }
    }

    /// The same body with the bytes of `range` replaced.
    #[must_use]
    pub fn splice(self, range: std::ops::Range<u64>, with: Bytes) -> Self {
        let length = self.length.map(|length| length + with.len() as u64 - (range.end - range.start));
        let mut at = 0;
        let mut with = Some(with);
        let pieces = self.bytes.flat_map(move |piece| {
            let piece = match piece {
                Ok(piece) => piece,
                Err(error) => return stream::iter(vec![Err(error)]),
            };
            let (start, end) = (at, at + piece.len() as u64);
            at = end;
            let cut = |from: u64, to: u64| {
                let within = |offset: u64| usize::try_from(offset.clamp(start, end) - start).unwrap_or(0);
                Ok(piece.slice(within(from)..within(to.max(from))))
            };
            let mut out = vec![cut(start, range.start)];
            if end > range.start
                && let Some(with) = with.take()
            {
                out.push(Ok(with));
            }
            out.push(cut(range.end, end));
            out.retain(|piece| !matches!(piece, Ok(bytes) if bytes.is_empty()));
            stream::iter(out)
        });
        Self { length, bytes: pieces.boxed() }
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn a_splice_replaces_the_range_wherever_pieces_end() {
        for size in 1..=10 {
            let pieces: Vec<Result<Bytes>> =
                b"0123456789".chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
            let body = BodyStream { length: Some(10), bytes: stream::iter(pieces).boxed() };
            let spliced = body.splice(3..6, Bytes::from_static(b"abcd"));
            assert_eq!(spliced.length, Some(11));
            let bytes: Vec<Bytes> = spliced.bytes.try_collect().await.unwrap();
            assert_eq!(bytes.concat(), b"012abcd6789", "pieces of {size}");
        }
    }
}
