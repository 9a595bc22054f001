//! Sealing: a chunk's address, compression, and the small header that names how it was sealed.

use std::cell::RefCell;
use std::fmt;

use bytes::Bytes;

use crate::{BlobId, NewBlob, Result, StoreError};

/// `format version, codec, encryption`, then the plain length as u32, little endian.
const HEADER: usize = 7;
const FORMAT: u8 = 1;
const CODEC_PLAIN: u8 = 0;
const CODEC_ZSTD: u8 = 1;
/// The only value yet. The byte is there so that encryption needs no new format.
const ENCRYPTION_NONE: u8 = 0;
/// Level 1 is both faster and smaller than level 3 on chunks of state text.
const ZSTD_LEVEL: i32 = 1;
/// No chunk or node is larger than this, so a header that says so is damaged.
const PLAIN_MAX: usize = 1 << 20;

thread_local! {
    // A context is most of a megabyte: making one for each chunk costs more than compressing it.
    static PACK: RefCell<zstd::bulk::Compressor<'static>> =
        RefCell::new(zstd::bulk::Compressor::new(ZSTD_LEVEL).unwrap_or_default());
    static UNPACK: RefCell<zstd::bulk::Decompressor<'static>> =
        RefCell::new(zstd::bulk::Decompressor::new().unwrap_or_default());
}

/// The secret of one store. Addresses are keyed with it, so that they tell nothing about the content to who has not the key.
#[derive(Clone)]
pub struct StoreKey([u8; 32]);

impl StoreKey {
    /// Takes 32 random bytes.
    pub fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// A key for another purpose, derived so that neither tells anything about the other.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        blake3::derive_key(purpose, &self.0)
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(..)")
    }
}

/// Seals chunks and opens them again.
#[derive(Clone)]
pub struct Sealer {
    address_key: [u8; 32],
    cut_seed: u64,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(..)")
    }
}

impl Sealer {
    /// A sealer for the store with this key.
    pub fn new(key: &StoreKey) -> Self {
        let seed = key.derive("stateward 2026-11 chunk boundaries");
        let mut cut_seed = [0; 8];
        cut_seed.copy_from_slice(&seed[..8]);
        Self { address_key: key.derive("stateward 2026-11 blob address"), cut_seed: u64::from_le_bytes(cut_seed) }
    }

    /// Moves the cut points, so that chunk sizes do not give away known content either.
    pub(crate) fn cut_seed(&self) -> u64 {
        self.cut_seed
    }

    /// The address of a chunk.
    pub fn id(&self, plain: &[u8]) -> BlobId {
        BlobId(*blake3::keyed_hash(&self.address_key, plain).as_bytes())
    }

    /// Seals a chunk whose address is known already.
    pub fn seal(&self, id: BlobId, plain: &[u8]) -> NewBlob {
        let packed = PACK.with_borrow_mut(|pack| pack.compress(plain)).ok().filter(|packed| packed.len() < plain.len());
        match packed {
            Some(packed) => sealed(id, CODEC_ZSTD, plain.len(), &packed),
            None => Self::seal_hashes(id, plain),
        }
    }

    /// Seals what consists of hashes, mostly: to compress it takes time and saves nothing.
    pub(super) fn seal_hashes(id: BlobId, plain: &[u8]) -> NewBlob {
        sealed(id, CODEC_PLAIN, plain.len(), plain)
    }

    /// Opens a sealed chunk, and checks that it is the one that `id` names.
    pub fn open(&self, id: &BlobId, sealed: &Bytes) -> Result<Bytes> {
        let corrupt = |reason: &str| StoreError::Corrupt { what: format!("blob {id}"), reason: reason.to_owned() };
        let (header, content) = sealed.split_at_checked(HEADER).ok_or_else(|| corrupt("shorter than its header"))?;
        let &[format, codec, encryption, ref length @ ..] = header else { return Err(corrupt("no header")) };
        if format != FORMAT || encryption != ENCRYPTION_NONE {
            return Err(StoreError::Unsupported {
                what: format!("blob {id} of format {format}, encryption {encryption}"),
                reason: "a newer stateward wrote it; upgrade this one".to_owned(),
            });
        }
        let length = u32::from_le_bytes(length.try_into().unwrap_or_default()) as usize;
        if length > PLAIN_MAX {
            return Err(corrupt("its header gives an impossible length"));
        }
        let plain = match codec {
            CODEC_PLAIN => sealed.slice(HEADER..),
            CODEC_ZSTD => UNPACK
                .with_borrow_mut(|unpack| unpack.decompress(content, length))
                .map_err(|_| corrupt("it does not decompress"))?
                .into(),
            _ => return Err(corrupt("unknown codec")),
        };
        if plain.len() != length || self.id(&plain) != *id {
            return Err(corrupt("its content does not have its address"));
        }
        Ok(plain)
    }
}

fn sealed(id: BlobId, codec: u8, length: usize, content: &[u8]) -> NewBlob {
    let mut sealed = Vec::with_capacity(HEADER + content.len());
    sealed.extend([FORMAT, codec, ENCRYPTION_NONE]);
    sealed.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    sealed.extend_from_slice(content);
    NewBlob { id, sealed: sealed.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer() -> Sealer {
        Sealer::new(&StoreKey::new([7; 32]))
    }

    #[test]
    fn what_is_sealed_opens_again_and_compresses() {
        for plain in [&b""[..], b"x", &b"abc".repeat(10_000)] {
            let id = sealer().id(plain);
            let blob = sealer().seal(id, plain);
            assert_eq!(sealer().open(&id, &blob.sealed).unwrap(), plain);
            assert!(blob.sealed.len() <= HEADER + plain.len());
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let plain = b"{\"serial\": 1, \"lineage\": \"a\"}".repeat(20);
        let id = sealer().id(&plain);
        let sealed = sealer().seal(id, &plain).sealed;
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            // A flip that zstd does not care about (its own header has spare bits) still gives the same plain bytes.
            match sealer().open(&id, &damaged.into()) {
                Ok(opened) => assert_eq!(opened, plain),
                Err(error) => assert!(matches!(error, StoreError::Corrupt { .. } | StoreError::Unsupported { .. })),
            }
        }
    }

    #[test]
    fn another_store_has_other_addresses() {
        let other = Sealer::new(&StoreKey::new([8; 32]));
        assert_ne!(sealer().id(b"same"), other.id(b"same"));
        assert_ne!(sealer().cut_seed(), other.cut_seed());
        assert_eq!(format!("{:?}", StoreKey::new([7; 32])), "StoreKey(..)");
    }
}
