//! The S3 storage engine: records as objects changed by conditional writes, chunks in packs.
