//! Parquet shards to decoded, augmented, tokenised batches.
