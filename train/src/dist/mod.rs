//! Several processes as one run: which of them this one is, where they meet, how they exchange
//! tensors, and how one that fails, dies or stalls ends them all with one reason.

mod env;
mod group;
mod hostlist;
mod monitor;
mod state;
mod variables;
mod wire;

pub use env::{Placement, Rendezvous};
pub use group::{Ended, Group, check_backend};
pub use variables::PlacementError;
