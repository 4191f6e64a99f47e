//! Starting the processes of a run on this machine, watching over them, and starting them anew.

mod layout;
mod output;
mod signals;
mod supervisor;
mod workers;

pub use layout::{Layout, Meeting};
pub use output::Console;
pub(crate) use signals::in_words;
pub use signals::stop_signals;
pub use supervisor::Supervisor;
