//! Pictures of this machine.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;

use crate::{Cause, Fault};

/// The bytes of a file, if it is one and not too large.
pub(super) fn read(path: &Path, max_bytes: u64) -> Result<Bytes, Fault> {
    let shown = path.display();
    let fault = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Fault::new(
            Cause::ImageNotFound,
            format!("there is no file `{shown}`; relative paths begin at catalogue.image_root"),
        ),
        _ => Fault::new(Cause::FetchFailed, format!("`{shown}`: {error}")),
    };
    // Asked before it is opened: opening a pipe would wait for whoever writes it.
    let metadata = fs::metadata(path).map_err(fault)?;
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "a folder" } else { "not a regular file" };
        let detail = format!("`{shown}` is {what}: expected a picture's file");
        return Err(Fault::new(Cause::ImageNotFound, detail));
    }
    let mut bytes = Vec::new();
    if metadata.len() <= max_bytes {
        let limited = File::open(path).map_err(fault)?.take(max_bytes + 1);
        io::BufReader::new(limited).read_to_end(&mut bytes).map_err(fault)?;
    }
    let found = metadata.len().max(bytes.len() as u64);
    match found > max_bytes {
        true => Err(too_large(&format!("`{shown}` has {found} bytes"), max_bytes)),
        false => Ok(bytes.into()),
    }
}

/// What is said of a picture with too many bytes.
pub(super) fn too_large(found: &str, max_bytes: u64) -> Fault {
    let detail = format!("{found}: at most {max_bytes} are read (catalogue.fetch.max_mb)");
    Fault::new(Cause::ImageTooLarge, detail)
}
