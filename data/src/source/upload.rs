//! Files written to object stores.

use super::bucket::Bucket;
use crate::DataError;
use bytes::Bytes;
use object_store::path::Path as Key;
use object_store::{Error, GetResult, ObjectStoreExt, PutPayload, WriteMultipart};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use url::Url;

/// Part of a multipart upload.
const PART_BYTES: usize = 8 << 20;
/// Parts under way at once.
const AT_ONCE: usize = 4;

fn open(url: &str) -> Result<(Arc<Bucket>, Key), DataError> {
    let wrong = |reason: String| DataError::Store { url: url.to_owned(), reason };
    let parsed = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
    match parsed.scheme() {
        "s3" | "s3a" | "gs" | "az" | "azure" | "abfs" | "abfss" => Bucket::open(&parsed),
        other => Err(wrong(format!("`{other}://` cannot be written to: expected s3, gs or az"))),
    }
}

/// Writes a local file to the object of a URL (`s3://`, `gs://`, `az://`), in parts where it is large.
///
/// # Errors
/// The file cannot be read, or the store refuses it.
pub fn upload(file: &Path, url: &str) -> Result<(), DataError> {
    let (bucket, key) = open(url)?;
    let io = |source| DataError::Io { path: file.to_owned(), source };
    let mut input = std::fs::File::open(file).map_err(io)?;
    let size = input.metadata().map_err(io)?.len();
    let store = bucket.store.clone();
    let at = key.clone();
    if size <= PART_BYTES as u64 {
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes).map_err(io)?;
        let put =
            bucket.wait(None, async move { store.put(&at, PutPayload::from(bytes)).await })?;
        return put.map(|_| ()).map_err(|error| bucket.fault(&key, &error));
    }
    let started = bucket.wait(None, async move { store.put_multipart(&at).await })?;
    let mut parts = Some(WriteMultipart::new_with_chunk_size(
        started.map_err(|error| bucket.fault(&key, &error))?,
        PART_BYTES,
    ));
    loop {
        let mut part = Vec::with_capacity(PART_BYTES);
        input.by_ref().take(PART_BYTES as u64).read_to_end(&mut part).map_err(io)?;
        let Some(mut upload) = parts.take() else { break };
        if part.is_empty() {
            let finished = bucket.wait(None, async move { upload.finish().await })?;
            return finished.map(|_| ()).map_err(|error| bucket.fault(&key, &error));
        }
        let (upload, room) = bucket.wait(None, async move {
            let room = upload.wait_for_capacity(AT_ONCE).await;
            if room.is_ok() {
                upload.put(Bytes::from(part));
            }
            (upload, room)
        })?;
        room.map_err(|error| bucket.fault(&key, &error))?;
        parts = Some(upload);
    }
    Ok(())
}

/// The bytes of the object of a URL; `None` where there is none.
///
/// # Errors
/// The store does not answer, or refuses.
pub fn read_object(url: &str) -> Result<Option<Bytes>, DataError> {
    let (bucket, key) = open(url)?;
    let (store, at) = (bucket.store.clone(), key.clone());
    let got = bucket.wait(None, async move {
        let found: Result<GetResult, Error> = store.get(&at).await;
        found?.bytes().await
    })?;
    match got {
        Ok(bytes) => Ok(Some(bytes)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(bucket.fault(&key, &error)),
    }
}

/// Fails where nothing can be written below a URL: writes an empty object, `.vlclip-probe`, and
/// removes it.
///
/// # Errors
/// What the store says.
pub fn check_writable(url: &str) -> Result<(), DataError> {
    let (bucket, key) = open(&format!("{}/.vlclip-probe", url.trim_end_matches('/')))?;
    let (store, at) = (bucket.store.clone(), key.clone());
    let put = bucket.wait(None, async move {
        store.put(&at, PutPayload::new()).await?;
        // Who may write may not always remove; the object is empty.
        let _ = store.delete(&at).await;
        Ok(())
    })?;
    put.map_err(|error| match error {
        Error::NotFound { .. } => DataError::Store {
            url: url.to_owned(),
            reason: "there is no such bucket, or nothing can be written to it".into(),
        },
        error => bucket.fault(&key, &error),
    })
}
