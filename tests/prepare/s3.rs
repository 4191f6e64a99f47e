//! The S3 server of the loader's tests, and the proxy that fails as it is told to.

#[path = "../../data/tests/s3/http.rs"]
mod http;
#[path = "../../data/tests/s3/proxy.rs"]
mod proxy;
#[path = "../../data/tests/s3/server.rs"]
mod server;

pub use proxy::{Fault, Proxy};
pub use server::Server;
