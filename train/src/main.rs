//! The `vlclip` command.
fn main() {}
