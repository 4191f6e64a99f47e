//! Writing safetensors files: streamed, the same bytes for the same tensors.

use crate::error::At;
use crate::{CheckpointError, Dtype, Result};
use safetensors::tensor::{Metadata, TensorInfo};
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// A tensor to be written: contiguous, row-major, little-endian.
#[derive(Clone, Copy, Debug)]
pub struct TensorView<'a> {
    /// Its name in the file.
    pub name: &'a str,
    /// Type of its elements.
    pub dtype: Dtype,
    /// Its dimensions; empty for a scalar.
    pub shape: &'a [usize],
    /// Its elements: product of `shape` x `dtype.size()` bytes.
    pub bytes: &'a [u8],
}

/// Writes `tensors` to a new safetensors file at `path` and syncs it. The order is the format's own
/// (widest type first, then by name), so equal content gives equal bytes. `transformers` wants
/// `metadata` to hold `format: pt`.
///
/// # Errors
/// The byte count of a tensor does not fit its shape, a name occurs twice or is reserved, or the
/// file cannot be written. What was written by then stays: write into a folder of
/// [`RunFolder::save_step`](crate::RunFolder::save_step), which removes it.
pub fn write_safetensors(
    path: &Path,
    tensors: &[TensorView],
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    let mut ordered: Vec<&TensorView> = tensors.iter().collect();
    ordered.sort_by(|a, b| b.dtype.to_file().cmp(&a.dtype.to_file()).then(a.name.cmp(b.name)));
    let header = header(path, &ordered, metadata)?;
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).at("write", path)?);
    let mut write = |bytes: &[u8]| file.write_all(bytes).at("write", path);
    write(&(header.len() as u64).to_le_bytes())?;
    write(&header)?;
    for tensor in ordered {
        write(tensor.bytes)?;
    }
    file.flush().at("write", path)?;
    file.get_ref().sync_all().at("write", path)
}

/// The JSON header, padded with blanks to a multiple of 8 bytes.
fn header(
    path: &Path,
    tensors: &[&TensorView],
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>> {
    let mut names = HashSet::new();
    let mut infos = Vec::with_capacity(tensors.len());
    let mut offset = 0;
    for tensor in tensors {
        let refuse = |reason: String| CheckpointError::BadTensor {
            tensor: tensor.name.to_owned(),
            path: path.to_owned(),
            reason,
        };
        let elements = tensor.shape.iter().try_fold(1_usize, |n, d| n.checked_mul(*d));
        let expected = elements.and_then(|n| n.checked_mul(tensor.dtype.size()));
        if expected != Some(tensor.bytes.len()) {
            return Err(refuse(format!(
                "expected {} bytes for {} of shape {:?}, found {}",
                expected.map_or("more than memory holds".into(), |n| n.to_string()),
                tensor.dtype,
                tensor.shape,
                tensor.bytes.len()
            )));
        }
        if tensor.name == "__metadata__" {
            return Err(refuse("this name is reserved by the format".into()));
        }
        if !names.insert(tensor.name) {
            return Err(refuse("expected each name once, found it twice".into()));
        }
        let end = offset + tensor.bytes.len();
        let info = TensorInfo {
            dtype: tensor.dtype.to_file(),
            shape: tensor.shape.to_vec(),
            data_offsets: (offset, end),
        };
        infos.push((tensor.name.to_owned(), info));
        offset = end;
    }
    let bad = |reason: String| CheckpointError::BadHeader { path: path.to_owned(), reason };
    let parts = Metadata::new(None, infos).map_err(|e| bad(e.to_string()))?;
    let mut json = serde_json::to_string(&parts).map_err(|e| bad(e.to_string()))?;
    if !metadata.is_empty() {
        // The crate keeps metadata in a hash map, whose order changes from run to run.
        let metadata = serde_json::to_string(metadata).map_err(|e| bad(e.to_string()))?;
        let comma = if tensors.is_empty() { "" } else { "," };
        json.insert_str(1, &format!("\"__metadata__\":{metadata}{comma}"));
    }
    let mut header = json.into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok(header)
}
