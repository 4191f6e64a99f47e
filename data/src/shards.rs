//! Shard files: found by path, folder or glob, their footers read once and kept.

use crate::DataError;
use crate::columns::Roles;
use configs::Columns;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One opened shard: its footer, and which leaf columns the roles need.
pub(crate) struct ShardFile {
    /// The file.
    pub path: Arc<Path>,
    /// Its footer.
    pub metadata: ArrowReaderMetadata,
    /// The leaf columns to read; all others stay on disk.
    pub projection: ProjectionMask,
    /// Rows of all shards before this one.
    pub first_row: u64,
}

/// A row group of all shards' row groups.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    /// The shard's index.
    pub shard: usize,
    /// The row group's index in the shard.
    pub index: usize,
    /// Rows of the shard before the row group.
    pub first_row: u64,
    /// Rows of the row group.
    pub rows: u64,
    /// Decoded size of the columns to read.
    pub bytes: u64,
    /// Encoded size of the columns to read, as they lie in the file.
    pub stored_bytes: u64,
}

/// All shards of a data set, sorted by path.
pub(crate) struct Shards {
    /// The files.
    pub files: Vec<ShardFile>,
    /// All row groups, in file order.
    pub groups: Vec<Group>,
    /// Rows of all shards.
    pub num_rows: u64,
    /// Which column plays which role.
    pub roles: Roles,
}

impl Shards {
    /// Finds the shards, reads every footer and checks the columns of every shard.
    pub fn open(paths: &[String], columns: &Columns) -> Result<Self, DataError> {
        let roles = Roles::new(columns);
        let mut shards = Self { files: vec![], groups: vec![], num_rows: 0, roles };
        for path in find_shards(paths)? {
            let metadata = read_footer(&path)?;
            shards.roles.check(&path, metadata.schema())?;
            let projection = shards.roles.projection(metadata.schema(), metadata.parquet_schema());
            let shard = shards.files.len();
            let mut first_row = 0;
            for (index, group) in metadata.metadata().row_groups().iter().enumerate() {
                let rows = u64::try_from(group.num_rows()).map_err(|_| DataError::NotParquet {
                    path: path.clone(),
                    reason: format!("row group {index} states {} rows", group.num_rows()),
                })?;
                let needed = group.columns().iter().enumerate();
                let needed = needed.filter(|(leaf, _)| projection.leaf_included(*leaf));
                let (mut bytes, mut stored_bytes) = (0u64, 0u64);
                for (_, column) in needed {
                    let size = |bytes: i64| u64::try_from(bytes).unwrap_or(0);
                    bytes = bytes.saturating_add(size(column.uncompressed_size()));
                    stored_bytes = stored_bytes.saturating_add(size(column.compressed_size()));
                }
                shards.groups.push(Group { shard, index, first_row, rows, bytes, stored_bytes });
                first_row += rows;
            }
            let first_row_of_shard = shards.num_rows;
            shards.num_rows += first_row;
            let path = Arc::from(path);
            shards.files.push(ShardFile {
                path,
                metadata,
                projection,
                first_row: first_row_of_shard,
            });
        }
        if shards.num_rows == 0 {
            let first = shards.files.first().map(|file| file.path.to_path_buf());
            return Err(DataError::Empty {
                shards: shards.files.len(),
                first: first.unwrap_or_default(),
            });
        }
        Ok(shards)
    }
}

fn read_footer(path: &Path) -> Result<ArrowReaderMetadata, DataError> {
    let file = File::open(path).map_err(|source| io(path, source))?;
    let length = file.metadata().map_err(|source| io(path, source))?.len();
    ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(|error| {
        DataError::NotParquet { path: path.into(), reason: format!("{error} ({length} bytes)") }
    })
}

fn io(path: &Path, source: std::io::Error) -> DataError {
    DataError::Io { path: path.into(), source }
}

/// The Parquet files that `paths` name, sorted by path and each once, by whatever spellings and
/// links it is reached. An entry is a file (of any name), a folder (every `*.parquet` file in it
/// and below, hidden ones left out) or a glob.
///
/// # Errors
/// An entry that names nothing, and a folder without Parquet files.
pub fn find_shards(paths: &[String]) -> Result<Vec<PathBuf>, DataError> {
    if paths.is_empty() {
        return Err(DataError::NoPaths);
    }
    let mut found = Vec::new();
    for entry in paths {
        let path = PathBuf::from(entry);
        if path.exists() {
            add(&path, &mut found)?;
        } else if entry.contains(['*', '?', '[']) {
            let bad = |reason: String| DataError::BadGlob { pattern: entry.clone(), reason };
            let before = found.len();
            for path in glob::glob(entry).map_err(|error| bad(error.to_string()))? {
                let path = path.map_err(|error| DataError::Io {
                    path: error.path().into(),
                    source: error.into(),
                })?;
                add(&path, &mut found)?;
            }
            if found.len() == before {
                return Err(DataError::NoMatch { pattern: entry.clone() });
            }
        } else {
            return Err(DataError::Missing { path: entry.clone() });
        }
    }
    found.sort();
    let mut files = Vec::with_capacity(found.len());
    let mut seen = HashSet::new();
    for path in found {
        if seen.insert(path.canonicalize().map_err(|source| io(&path, source))?) {
            files.push(path);
        }
    }
    Ok(files)
}

/// Adds a file, or the Parquet files of a folder.
fn add(path: &Path, found: &mut Vec<PathBuf>) -> Result<(), DataError> {
    if !path.is_dir() {
        found.push(path.into());
        return Ok(());
    }
    let before = found.len();
    walk(path, &mut HashSet::new(), found)?;
    if found.len() == before {
        return Err(DataError::NoParquet { path: path.into() });
    }
    Ok(())
}

/// Adds the Parquet files of a folder and of those below. `seen`: the folders walked, links
/// resolved; none is walked twice, so links may lead in circles.
fn walk(
    folder: &Path,
    seen: &mut HashSet<PathBuf>,
    found: &mut Vec<PathBuf>,
) -> Result<(), DataError> {
    if !seen.insert(folder.canonicalize().map_err(|source| io(folder, source))?) {
        return Ok(());
    }
    let entries = std::fs::read_dir(folder).and_then(|entries| {
        entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<Vec<_>, _>>()
    });
    let mut names = entries.map_err(|source| io(folder, source))?;
    // The disk's order must not decide by which path a folder is reached.
    names.sort();
    for name in names.iter().filter(|name| !name.to_string_lossy().starts_with('.')) {
        let path = folder.join(name);
        if path.is_dir() {
            walk(&path, seen, found)?;
        } else if path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("parquet")) {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(paths: &[&str]) -> String {
        let paths: Vec<String> = paths.iter().map(|p| p.to_string()).collect();
        find_shards(&paths).unwrap_err().to_string()
    }

    #[test]
    fn finds_files_folders_and_globs_once_and_sorted() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("part/.hidden")).unwrap();
        for name in ["b.parquet", "part/a.PARQUET", "notes.txt", "part/.hidden/c.parquet"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let root = dir.path().to_str().unwrap();
        let paths = [root.to_string(), format!("{root}/*.parquet"), format!("{root}/notes.txt")];
        let found = find_shards(&paths).unwrap();
        let names: Vec<_> = found.iter().map(|p| p.strip_prefix(root).unwrap()).collect();
        assert_eq!(names, ["b.parquet", "notes.txt", "part/a.PARQUET"].map(Path::new));
    }

    #[test]
    #[cfg(unix)]
    fn a_file_counts_once_however_it_is_reached() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        std::fs::create_dir(root.join("part")).unwrap();
        std::fs::write(root.join("part/a.parquet"), "").unwrap();
        symlink(root, root.join("part/up")).unwrap();
        symlink(root.join("part"), root.join("same")).unwrap();
        symlink(root.join("part/a.parquet"), root.join("z.parquet")).unwrap();
        let paths = ["", "/part/../part/a.parquet", "/same"];
        let paths = paths.map(|end| format!("{}{end}", root.display()));
        let found = find_shards(&paths).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].file_name().unwrap(), "a.parquet");
    }

    #[test]
    fn messages() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_str().unwrap();
        assert_eq!(message(&[]), "no shards are named: give Parquet files, folders or globs");
        assert_eq!(message(&["no/such"]), "shards `no/such`: no such file or folder");
        assert_eq!(
            message(&[root]),
            format!("shards `{root}`: the folder holds no file ending in .parquet")
        );
        let pattern = format!("{root}/*.parquet");
        assert_eq!(message(&[&pattern]), format!("shards `{pattern}`: the glob matches no file"));
        assert!(message(&["no/a**b"]).contains("not a valid glob"), "{}", message(&["no/a**b"]));
    }

    #[test]
    fn a_file_that_is_not_parquet_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.parquet");
        std::fs::write(&path, "not parquet at all").unwrap();
        let error = Shards::open(&[path.to_str().unwrap().into()], &Columns::default());
        let message = error.err().unwrap().to_string();
        assert!(message.contains("x.parquet`: not a readable Parquet file"), "{message}");
        assert!(message.ends_with("(18 bytes)"), "{message}");
    }
}
