//! End to end: the `vlclip` command, parity with the Python peers, invariances of a run.
#![allow(clippy::unwrap_used)]

mod ablate;
mod activation;
mod bad_input;
mod bench;
mod compare;
mod consumed;
mod doctor;
mod embed;
mod evaluation;
mod formats;
mod ground;
mod inspect;
mod launch;
mod micro_batches;
mod mixture;
mod parity;
mod patches;
mod precision;
mod prepare;
mod programs;
mod ranks;
mod recompute;
mod resume;
mod support;
mod tiny;
mod training;
mod verify;
