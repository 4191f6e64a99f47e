//! An S3 server on loopback, and a proxy before it that fails as networks and S3 do.

mod http;
mod proxy;
mod server;
mod shows;

pub use proxy::{Fault, Proxy, Request};
pub use server::Server;
