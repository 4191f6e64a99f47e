//! A catalogue to grounded crops, refined captions and training shards.
