//! Where finished shards go: a folder, which appears only when it is complete, or an object store,
//! where `index.json` comes last.

use std::fs;
use std::path::{Path, PathBuf};

use configs::prepare::Output;

use super::identity::Identity;
use super::index::Index;
use super::work::{INDEX, Work, beside, is_url, read_json, to_json};
use crate::PrepareError;

/// Fails now if the output cannot be written later, for a folder.
///
/// # Errors
/// The folder it goes into cannot be made or written.
pub(super) fn check(output: &Output) -> Result<(), PrepareError> {
    if is_url(&output.dir) {
        return Ok(());
    }
    let partial = beside(Path::new(&output.dir), "partial")?;
    fs::create_dir_all(&partial).map_err(PrepareError::io("create", &partial))?;
    let probe = partial.join(".probe");
    fs::write(&probe, b"").map_err(PrepareError::io("write", &probe))?;
    fs::remove_file(&probe).map_err(PrepareError::io("remove", &probe))?;
    // Not empty where a run was interrupted.
    let _ = fs::remove_dir(&partial);
    Ok(())
}

/// The same for an object store, which is asked only when there is something to write: whoever reads
/// finished shards may not be allowed to write.
///
/// # Errors
/// What the store says.
pub(super) fn check_store(output: &Output) -> Result<(), PrepareError> {
    match is_url(&output.dir) {
        true => data::source::check_writable(&output.dir).map_err(PrepareError::Source),
        false => Ok(()),
    }
}

/// The finished shards that are there already.
///
/// # Errors
/// There is something else.
pub(super) fn existing(
    output: &Output,
    identity: &Identity,
) -> Result<Option<Index>, PrepareError> {
    let path = Path::new(&output.dir);
    let index: Option<Index> = if is_url(&output.dir) {
        let name = format!("{}/{INDEX}", output.dir.trim_end_matches('/'));
        match data::source::read_object(&name).map_err(PrepareError::Source)? {
            None => None,
            Some(bytes) => Some(serde_json::from_slice(&bytes).map_err(|error| {
                PrepareError::Journal { path: name.into(), reason: error.to_string() }
            })?),
        }
    } else {
        match fs::read_dir(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
                let found = "a file of that name".to_owned();
                return Err(PrepareError::Occupied { path: path.to_owned(), found });
            }
            Err(error) => return Err(PrepareError::io("list", path)(error)),
            Ok(mut entries) => match entries.next() {
                None => None,
                Some(_) => match read_json(&path.join(INDEX))? {
                    Some(index) => Some(index),
                    None => {
                        let found = format!("something without an `{INDEX}`");
                        return Err(PrepareError::Occupied { path: path.to_owned(), found });
                    }
                },
            },
        }
    };
    let Some(index) = index else { return Ok(None) };
    identity.check(&index.identity, path)?;
    if !is_url(&output.dir) {
        for (split, files) in &index.splits {
            for file in files {
                let file_path = path.join(split.name()).join(&file.name);
                let found = fs::metadata(&file_path).map(|meta| meta.len());
                if !matches!(found, Ok(bytes) if bytes == file.bytes) {
                    let found = format!("shards that are damaged (`{}`)", file_path.display());
                    return Err(PrepareError::Occupied { path: path.to_owned(), found });
                }
            }
        }
    }
    Ok(Some(index))
}

/// Where shards are written before they go to their place.
///
/// # Errors
/// It cannot be made.
pub(super) fn staging(output: &Output, work: &Work) -> Result<PathBuf, PrepareError> {
    let path = match is_url(&output.dir) {
        true => work.path("shards"),
        false => beside(Path::new(&output.dir), "partial")?,
    };
    fs::create_dir_all(&path).map_err(PrepareError::io("create", &path))?;
    Ok(path)
}

/// Puts everything in its place, the index last.
///
/// # Errors
/// The disk or the object store fails.
pub(super) fn publish(
    output: &Output,
    staging: &Path,
    index: &Index,
    config_yaml: &str,
) -> Result<(), PrepareError> {
    let write = |name: &str, text: &str| {
        let path = staging.join(name);
        fs::write(&path, text)
            .and_then(|()| fs::File::open(&path)?.sync_all())
            .map_err(PrepareError::io("write", &path))
    };
    write("prepare.yaml", config_yaml)?;
    write(INDEX, &to_json(index)?)?;
    let path = Path::new(&output.dir);
    if !is_url(&output.dir) {
        // An empty folder may be there.
        let _ = fs::remove_dir(path);
        return fs::rename(staging, path).map_err(PrepareError::io("rename to its place", path));
    }
    let mut names = Vec::new();
    for (split, files) in &index.splits {
        names.extend(files.iter().map(|file| format!("{}/{}", split.name(), file.name)));
    }
    names.extend(["rejects.parquet", "contact-sheet.png", "prepare.yaml", INDEX].map(String::from));
    for name in names {
        let url = format!("{}/{name}", output.dir.trim_end_matches('/'));
        data::source::upload(&staging.join(&name), &url).map_err(PrepareError::Source)?;
    }
    Ok(())
}
