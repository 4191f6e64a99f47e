//! The crate as its users see it, one test binary: invariances of the loader, bad input, and
//! parity with Pillow, open_clip, transformers and the libraries that write Parquet.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bad_input;
mod captions;
mod damage;
mod damaged_seeds;
mod damaged_shards;
mod inspect;
mod invariances;
mod labels;
mod layouts;
mod others;
mod pictures;
mod remote;
mod s3;
mod support;
