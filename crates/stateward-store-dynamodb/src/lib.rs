//! The `DynamoDB` storage engine: records and packed chunks as items, published by transactions.
