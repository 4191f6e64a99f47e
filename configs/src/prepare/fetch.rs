//! The `catalogue.fetch` section: how pictures are fetched from web servers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How pictures are fetched. `max_mb` holds for pictures of this machine, too; everything else for
/// those named by `http://` and `https://` URLs alone. Proxies that the environment names are not
/// used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Fetch {
    /// Seconds to reach a server.
    pub connect_timeout_s: f64,
    /// Seconds for one attempt as a whole, from the request to the last byte.
    pub timeout_s: f64,
    /// The most bytes of one picture, in MB (10^6 bytes).
    pub max_mb: f64,
    /// Attempts after the first, where the server or the network is at fault.
    pub retries: u32,
    /// Seconds before the second attempt; they double with every further one. A server's
    /// `Retry-After` counts where it asks for more, up to two minutes.
    pub backoff_s: f64,
    /// Requests to one host at a time.
    pub per_host: usize,
    /// Redirects followed for one picture.
    pub max_redirects: usize,
    /// Whether pictures may come from private, loopback and link-local addresses.
    pub allow_private: bool,
    /// What requests call themselves.
    pub user_agent: String,
}

impl Default for Fetch {
    fn default() -> Self {
        Self {
            connect_timeout_s: 10.0,
            timeout_s: 60.0,
            max_mb: 32.0,
            retries: 4,
            backoff_s: 0.5,
            per_host: 8,
            max_redirects: 5,
            allow_private: false,
            user_agent: concat!("vlclip/", env!("CARGO_PKG_VERSION")).into(),
        }
    }
}
