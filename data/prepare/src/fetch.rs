//! The pictures of products: from memory, a disk, or a web server.
//!
//! ```text
//! bytes ─────────────────────────────────────┐
//! path ──► local (a file, not too large) ────┼─► content (is it a picture?) ──► bytes
//! URL ──► cache ──► retry ──► web ──► address┘
//! ```
//! It takes catalogues for untrusted: a URL must not lead into the network that this program runs
//! in, and no answer may take more time or memory than is allowed.

mod address;
mod cache;
mod content;
mod hosts;
mod local;
mod retry;
mod web;

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use configs::prepare::Fetch;
use url::Url;

use crate::{Cause, Fault, ImageRef, PrepareError, Product, Reject};
use cache::Cache;
use web::Web;

/// Fetches pictures; shared by all who fetch at the same time. It needs a tokio runtime with I/O
/// and time.
pub struct Fetcher {
    web: Web,
    cache: Option<Cache>,
    retries: u32,
    backoff: Duration,
    max_bytes: u64,
}

impl Fetcher {
    /// A fetcher, which keeps what it fetches from web servers in `cache_dir` if there is one.
    ///
    /// # Errors
    /// When the folder cannot be made, or TLS cannot be set up.
    pub fn new(config: &Fetch, cache_dir: Option<&Path>) -> Result<Self, PrepareError> {
        let max_bytes = (config.max_mb * 1e6) as u64; // checked: 0 to 1e15
        Ok(Self {
            web: Web::new(config, max_bytes)?,
            cache: cache_dir.map(Cache::open).transpose()?,
            retries: config.retries,
            backoff: Duration::from_secs_f64(config.backoff_s),
            max_bytes,
        })
    }

    /// The encoded picture of a product: JPEG, PNG or WebP, by how it begins.
    ///
    /// # Errors
    /// The product's rejection: no such file or URL, an address that is not allowed, a server that
    /// fails again and again, too many bytes, or bytes that are no picture.
    pub async fn get(&self, product: &Product) -> Result<Bytes, Reject> {
        let got = match &product.image {
            ImageRef::Bytes(bytes) => content::check(bytes, None).map(|()| bytes.clone()),
            ImageRef::Path(path) => self.local(path).await,
            ImageRef::Url(url) => self.remote(url).await,
        };
        got.map_err(|fault| fault.at(product.row.clone(), Some(product.product_id.clone())))
    }

    async fn local(&self, path: &Path) -> Result<Bytes, Fault> {
        let (owned, max_bytes) = (path.to_owned(), self.max_bytes);
        let read = tokio::task::spawn_blocking(move || local::read(&owned, max_bytes)).await;
        let bytes = read.unwrap_or_else(|error| {
            let detail = format!("`{}`: {error}", path.display());
            Err(Fault::new(Cause::FetchFailed, detail))
        })?;
        content::check(&bytes, None).map_err(|fault| within(&path.display(), fault))?;
        Ok(bytes)
    }

    async fn remote(&self, url: &Url) -> Result<Bytes, Fault> {
        if let Some(cache) = &self.cache
            && let Some(kept) = cache.find(url).await
            && content::check(&kept, None).is_ok()
        {
            return Ok(kept);
        }
        let got = retry::until(self.retries, self.backoff, url, || self.web.get(url)).await;
        let picture = got.map_err(|fault| within(&shown(url), fault))?;
        content::check(&picture.bytes, picture.content_type.as_deref())
            .map_err(|fault| within(&shown(url), fault))?;
        if let Some(cache) = &self.cache {
            cache.keep(url, &picture.bytes).await;
        }
        Ok(picture.bytes)
    }
}

fn within(place: &dyn std::fmt::Display, fault: Fault) -> Fault {
    Fault { detail: format!("`{place}`: {}", fault.detail), ..fault }
}

/// A URL without the password that it may hold.
fn shown(url: &Url) -> Url {
    let mut shown = url.clone();
    if shown.password().is_some() {
        // Fails for URLs that cannot have one alone.
        let _ = shown.set_password(None);
    }
    shown
}

#[cfg(test)]
mod tests;
