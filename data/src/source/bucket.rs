//! Object stores and web servers, read by ranges of bytes.

use super::pattern::is_glob;
use crate::DataError;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::path::Path as Key;
use object_store::{
    ClientOptions, Error, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt,
};
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use url::Url;

/// How often a waiting reader looks whether it should stop.
const GLANCE: Duration = Duration::from_millis(50);
/// The most bytes of one request; a longer range is several, some of them at once.
const MAX_REQUEST: u64 = 8 << 20;
/// Requests of one range at once.
const AT_ONCE: usize = 4;

/// One bucket, container or web server. Requests that fail by a server's or the network's fault
/// are repeated with growing pauses, for up to three minutes.
pub(crate) struct Bucket {
    pub(super) store: Arc<dyn ObjectStore>,
    /// What a key is appended to for its URL.
    root: String,
    scheme: String,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.root)
    }
}

/// What requests run on: one for the whole process, made when first needed.
fn runtime() -> Result<&'static Runtime, DataError> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let made = RUNTIME.get_or_init(|| {
        // Fails where the program has chosen one already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("data-fetch")
            .enable_all()
            .build();
        runtime.map_err(|error| error.to_string())
    });
    made.as_ref().map_err(|error| DataError::Io {
        path: "(starting the threads of object stores)".into(),
        source: std::io::Error::other(error.clone()),
    })
}

impl Bucket {
    /// The bucket of a URL, with the credentials that the environment gives, and the key that the
    /// URL names in it.
    pub fn open(url: &Url) -> Result<(Arc<Self>, Key), DataError> {
        runtime()?; // building a client needs what is chosen there
        let wrong = |reason: String| DataError::Store { url: url.to_string(), reason };
        let host = url.host_str().unwrap_or_default();
        let scheme = url.scheme();
        let plain = ClientOptions::new().with_allow_http(scheme == "http");
        let built: Result<Arc<dyn ObjectStore>, Error> = match scheme {
            "s3" | "s3a" => AmazonS3Builder::from_env()
                .with_url(url.as_str())
                .build()
                .map(|store| Arc::new(store) as _),
            "gs" => GoogleCloudStorageBuilder::from_env()
                .with_url(url.as_str())
                .build()
                .map(|store| Arc::new(store) as _),
            "http" | "https" => HttpBuilder::new()
                .with_url(&url[..url::Position::BeforePath])
                .with_client_options(plain)
                .build()
                .map(|store| Arc::new(store) as _),
            _ => MicrosoftAzureBuilder::from_env()
                .with_url(url.as_str())
                .build()
                .map(|store| Arc::new(store) as _),
        };
        let store = built.map_err(|error| wrong(chain(&error)))?;
        let root = match scheme {
            "http" | "https" => format!("{}/", &url[..url::Position::BeforePath]),
            _ if url.username().is_empty() => format!("{scheme}://{host}/"),
            _ => format!("{scheme}://{}@{host}/", url.username()),
        };
        // Of https://account.host/container/key forms only the plain ones are taken: the path is
        // the key.
        let key = Key::from_url_path(url.path()).map_err(|error| wrong(error.to_string()))?;
        Ok((Arc::new(Self { store, root, scheme: scheme.into() }), key))
    }

    /// The URL of a key.
    pub fn url(&self, key: &Key) -> String {
        format!("{}{key}", self.root)
    }

    /// Whether the server can list what it has.
    pub fn lists(&self) -> bool {
        !self.scheme.starts_with("http")
    }

    /// An object's size and version.
    pub fn head(&self, key: &Key) -> Result<Option<ObjectMeta>, DataError> {
        let (store, at) = (self.store.clone(), key.clone());
        match self.wait(None, async move { store.head(&at).await })? {
            Ok(meta) => Ok(Some(meta)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.fault(key, &error)),
        }
    }

    /// The objects at and below a prefix that is a whole folder or key.
    pub fn list(&self, prefix: &Key) -> Result<Vec<ObjectMeta>, DataError> {
        let (store, at) = (self.store.clone(), prefix.clone());
        let found =
            self.wait(None, async move { store.list(Some(&at)).try_collect::<Vec<_>>().await })?;
        found.map_err(|error| self.fault(prefix, &error))
    }

    /// The bytes of a range. With an entity tag, only of the object that bears it.
    pub fn get(
        &self,
        key: &Key,
        range: Range<u64>,
        if_match: Option<String>,
        stop: &AtomicBool,
    ) -> Result<Bytes, DataError> {
        let (store, at) = (self.store.clone(), key.clone());
        let wanted = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let versioned = if_match.is_some();
        let starts = (range.start..range.end).step_by(MAX_REQUEST as usize);
        let requests: Vec<_> = starts
            .map(|start| {
                let piece = start..range.end.min(start + MAX_REQUEST);
                let range = Some(GetRange::Bounded(piece));
                let options =
                    GetOptions { range, if_match: if_match.clone(), ..Default::default() };
                let (store, at) = (store.clone(), at.clone());
                async move { store.get_opts(&at, options).await?.bytes().await }
            })
            .collect();
        let got = self.wait(Some(stop), async move {
            let mut parts = futures_util::stream::iter(requests).buffered(AT_ONCE);
            let Some(first) = parts.try_next().await? else { return Ok(Bytes::new()) };
            if first.len() == wanted {
                return Ok(first);
            }
            let mut bytes = Vec::with_capacity(wanted);
            bytes.extend_from_slice(&first);
            while let Some(part) = parts.try_next().await? {
                bytes.extend_from_slice(&part);
            }
            Ok::<_, Error>(Bytes::from(bytes))
        })?;
        match got {
            Ok(bytes) if bytes.len() == wanted => Ok(bytes),
            Ok(bytes) => Err(DataError::Store {
                url: self.url(key),
                reason: format!("the server sent {} of {wanted} bytes", bytes.len()),
            }),
            Err(Error::Precondition { .. } | Error::NotFound { .. }) if versioned => {
                let now = "is another object now, or gone".into();
                Err(DataError::Changed { path: self.url(key).into(), now })
            }
            Err(error) => Err(self.fault(key, &error)),
        }
    }

    /// Runs a request to its end, unless `stop` is set meanwhile.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        stop: Option<&AtomicBool>,
        request: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, DataError> {
        let (sender, receiver) = sync_channel(1);
        let task = runtime()?.spawn(async move {
            let _ = sender.send(request.await);
        });
        loop {
            match receiver.recv_timeout(GLANCE) {
                Ok(result) => return Ok(result),
                Err(RecvTimeoutError::Timeout)
                    if !stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) => {}
                Err(_) => {
                    task.abort();
                    return Err(DataError::Stopped);
                }
            }
        }
    }

    /// A server's refusal, said so that a user knows what to do.
    pub(super) fn fault(&self, key: &Key, error: &Error) -> DataError {
        let said = chain(error);
        let text = said.to_lowercase();
        let mentions = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let advice = match error {
            Error::NotFound { .. } => "there is no such object".to_owned(),
            _ if mentions(&["expiredtoken", "expired token", "token has expired"]) => format!(
                "the credentials have expired; renew {}, then start the run again: it goes on \
                 where it stood",
                self.credentials()
            ),
            Error::Unauthenticated { .. } | Error::PermissionDenied { .. } => {
                format!("access is refused; credentials are taken from {}", self.credentials())
            }
            _ if mentions(&["169.254.169.254", "metadata endpoint", "token request"]) => {
                format!("no credentials were found; set {}", self.credentials())
            }
            _ => "the server could not be read".to_owned(),
        };
        DataError::Store { url: self.url(key), reason: format!("{advice} ({said})") }
    }

    /// The variables that credentials come from.
    fn credentials(&self) -> &'static str {
        match self.scheme.as_str() {
            "s3" | "s3a" => {
                "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN (or \
                 AWS_SKIP_SIGNATURE=true for a public bucket)"
            }
            "gs" => "GOOGLE_APPLICATION_CREDENTIALS",
            "http" | "https" => "nowhere: a web server's files must be readable by anyone",
            _ => "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
        }
    }
}

/// The part of a key before its first wildcard that is a whole folder.
pub(crate) fn folder_before_wildcards(key: &str) -> &str {
    let end = key.find(['*', '?', '[']).unwrap_or(key.len());
    if !is_glob(key) {
        return key;
    }
    key[..end].rfind('/').map_or("", |slash| &key[..slash])
}

/// An error with its causes, each once, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_to_list() {
        assert_eq!(folder_before_wildcards("a/b/c-*.parquet"), "a/b");
        assert_eq!(folder_before_wildcards("*.parquet"), "");
        assert_eq!(folder_before_wildcards("a/b"), "a/b");
    }

    #[test]
    fn urls_keep_their_bucket_and_key() {
        for text in ["https://127.0.0.1:9/a/b%20c.parquet", "http://127.0.0.1:9/a.parquet"] {
            let (bucket, key) = Bucket::open(&Url::parse(text).unwrap()).unwrap();
            assert_eq!(bucket.url(&key).replace(' ', "%20"), text);
            assert!(!bucket.lists());
        }
    }
}
