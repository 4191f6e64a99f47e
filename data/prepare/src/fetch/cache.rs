//! What was fetched before, on disk: a file per URL.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use url::Url;

use crate::PrepareError;

/// A folder of fetched pictures.
pub(super) struct Cache(PathBuf);

impl Cache {
    pub(super) fn open(dir: &Path) -> Result<Self, PrepareError> {
        std::fs::create_dir_all(dir).map_err(PrepareError::io("create", dir))?;
        Ok(Self(dir.to_owned()))
    }

    /// What is kept of a URL.
    pub(super) async fn find(&self, url: &Url) -> Option<Bytes> {
        let path = self.path(url);
        let read = tokio::task::spawn_blocking(move || std::fs::read(path)).await;
        read.ok()?.ok().map(Bytes::from)
    }

    /// Keeps what a URL gave. Where the disk refuses, it is fetched again the next time.
    pub(super) async fn keep(&self, url: &Url, bytes: &Bytes) {
        let (path, bytes) = (self.path(url), bytes.clone());
        let write = move || -> std::io::Result<()> {
            let folder = path.parent().unwrap_or(Path::new(""));
            std::fs::create_dir_all(folder)?;
            // Renamed when it is whole, so that a crash leaves no half of a picture. Products may
            // share a URL: each writes a file of its own.
            let writer = std::thread::current().id();
            let partial = path.with_extension(format!("{}-{writer:?}.part", std::process::id()));
            std::fs::write(&partial, &bytes)?;
            std::fs::rename(&partial, &path)
        };
        let _ = tokio::task::spawn_blocking(write).await;
    }

    fn path(&self, url: &Url) -> PathBuf {
        let hash = Sha256::digest(url.as_str());
        let name: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        self.0.join(&name[..2]).join(&name[2..])
    }
}
