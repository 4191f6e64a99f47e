//! Several processes as one run: which of them this one is, and where they meet.

mod env;
mod hostlist;
mod variables;

pub use env::{Placement, Rendezvous};
pub use variables::PlacementError;
