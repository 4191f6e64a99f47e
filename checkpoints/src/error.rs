//! Errors of writing and reading checkpoints, each naming file, field, expected and found.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Why a checkpoint cannot be written, read or trusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The disk or the quota is full.
    #[error(
        "no space left on device while writing `{}`: {error}; free space or choose another folder",
        path.display()
    )]
    NoSpace {
        /// The file or folder being written.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The user may not do this here, or the file system is read-only.
    #[error("no permission to {action} `{}`: {error}; change its owner or choose another folder", path.display())]
    NoPermission {
        /// `write`, `read`, ...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Any other failure of the file system.
    #[error("cannot {action} `{}`: {error}", path.display())]
    Io {
        /// `write`, `read`, ...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A tensor handed over for writing does not hold together.
    #[error("tensor `{tensor}` cannot be written to `{}`: {reason}", path.display())]
    BadTensor {
        /// Name of the tensor.
        tensor: String,
        /// The file to write.
        path: PathBuf,
        /// Expected and found.
        reason: String,
    },
    /// A folder holds no weights.
    #[error(
        "`{}` holds neither `model.safetensors` nor `model.safetensors.index.json`; \
         expected a Hugging Face model directory",
        path.display()
    )]
    NoWeights {
        /// The folder.
        path: PathBuf,
    },
    /// A file is shorter or longer than it says.
    #[error(
        "`{}` is {}: its header promises {expected} bytes, the file has {found}; \
         copy or download it again", path.display(), cut(*expected, *found)
    )]
    WrongLength {
        /// The safetensors file.
        path: PathBuf,
        /// Bytes by its header.
        expected: u64,
        /// Bytes on disk.
        found: u64,
    },
    /// A file is no safetensors file, or its header is damaged.
    #[error("`{}` is not a valid safetensors file: {reason}", path.display())]
    BadHeader {
        /// The file.
        path: PathBuf,
        /// What is wrong with its header.
        reason: String,
    },
    /// The index of a sharded model is damaged.
    #[error("`{}` is not a valid index of shards: {reason}", path.display())]
    BadIndex {
        /// `model.safetensors.index.json`.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The index names a shard that is not there.
    #[error("shard `{}` is missing; `{}` lists it", shard.display(), index.display())]
    MissingShard {
        /// `model.safetensors.index.json`.
        index: PathBuf,
        /// The shard's path.
        shard: PathBuf,
    },
    /// The index places a tensor in a shard that lacks it.
    #[error("tensor `{tensor}` is not in `{}`, where `{}` places it", shard.display(), index.display())]
    NotInShard {
        /// Name of the tensor.
        tensor: String,
        /// `model.safetensors.index.json`.
        index: PathBuf,
        /// The shard's path.
        shard: PathBuf,
    },
    /// No tensor of this name.
    #[error("tensor `{tensor}` is not in `{}`", path.display())]
    NoTensor {
        /// Name of the tensor.
        tensor: String,
        /// The file or index.
        path: PathBuf,
    },
    /// A tensor has a type that this crate does not read.
    #[error(
        "tensor `{tensor}` of `{}` has dtype {found}; expected one of \
         F32, F64, F16, BF16, I64, I32, U8, BOOL", path.display()
    )]
    UnsupportedDtype {
        /// Name of the tensor.
        tensor: String,
        /// The file.
        path: PathBuf,
        /// The dtype by the header.
        found: String,
    },
    /// A checkpoint folder is incomplete or damaged.
    #[error("checkpoint `{}` is refused: {reason}", path.display())]
    Refused {
        /// The step folder.
        path: PathBuf,
        /// What is missing or damaged.
        reason: String,
    },
    /// A file within a step folder is nothing a manifest can cover.
    #[error("`{}` cannot be part of a checkpoint: {reason}", path.display())]
    NotAFile {
        /// The entry.
        path: PathBuf,
        /// What it is.
        reason: &'static str,
    },
    /// A run's name cannot be a folder's.
    #[error("run name {name:?} is not a plain folder name; leave out slashes and a dot in front")]
    BadName {
        /// The name.
        name: String,
    },
    /// `latest` or `best` names no step.
    #[error("`{}` should hold the name of a step folder of this run, found {found:?}", path.display())]
    BadPointer {
        /// The file.
        path: PathBuf,
        /// Its content.
        found: String,
    },
    /// A step was named that is not there.
    #[error("there is no checkpoint `{}`", path.display())]
    NoStep {
        /// The step folder.
        path: PathBuf,
    },
    /// Another process has the run open.
    #[error(
        "run folder `{}` is in use by another training process; stop it or choose another name",
        path.display()
    )]
    InUse {
        /// The run's folder.
        path: PathBuf,
    },
}

impl CheckpointError {
    /// The error of doing `action` to `path`, with full disks and missing rights told apart.
    pub(crate) fn io(action: &'static str, path: &Path, error: io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::NoSpace { path, error },
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                Self::NoPermission { action, path, error }
            }
            _ => Self::Io { action, path, error },
        }
    }
}

/// `result.at("write", path)`: names action and path in an error of the file system.
pub(crate) trait At<T> {
    fn at(self, action: &'static str, path: &Path) -> crate::Result<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> crate::Result<T> {
        self.map_err(|error| CheckpointError::io(action, path, error))
    }
}

fn cut(expected: u64, found: u64) -> &'static str {
    if found < expected { "cut short" } else { "longer than it says" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_disks_and_missing_rights_are_told_apart() {
        let path = Path::new("runs/a/model.safetensors");
        let text = |kind: ErrorKind| CheckpointError::io("write", path, kind.into()).to_string();
        for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
            let found = text(kind);
            let start = "no space left on device while writing `runs/a/model.safetensors`: ";
            assert!(found.starts_with(start), "{found}");
            assert!(found.ends_with("; free space or choose another folder"), "{found}");
        }
        for kind in [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem] {
            let found = text(kind);
            let start = "no permission to write `runs/a/model.safetensors`: ";
            assert!(found.starts_with(start), "{found}");
        }
        assert!(text(ErrorKind::NotFound).starts_with("cannot write `runs/a/model.safetensors`: "));
    }
}
