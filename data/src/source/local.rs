//! Files of this machine.

use super::pattern;
use crate::DataError;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// The Parquet files that `paths` name, sorted by path and each once, by whatever spellings and
/// links it is reached. An entry is a file (of any name), a folder (every `*.parquet` file in it
/// and below, hidden ones left out) or a glob, and may count in braces (`a-{000..127}.parquet`).
///
/// # Errors
/// An entry that names nothing, and a folder without Parquet files.
pub fn find_files(paths: &[String]) -> Result<Vec<PathBuf>, DataError> {
    if paths.is_empty() {
        return Err(DataError::NoPaths);
    }
    let mut found = Vec::new();
    for entry in &braces_resolved(paths) {
        let path = PathBuf::from(entry);
        if path.exists() {
            add(&path, &mut found)?;
        } else if pattern::is_glob(entry) {
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

/// Every path that `paths` stand for. A file whose name has braces is that file.
fn braces_resolved(paths: &[String]) -> Vec<String> {
    let resolve = |path: &String| match Path::new(path).exists() {
        true => vec![path.clone()],
        false => pattern::expand(path),
    };
    paths.iter().flat_map(resolve).collect()
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

fn io(path: &Path, source: std::io::Error) -> DataError {
    DataError::Io { path: path.into(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(paths: &[&str]) -> String {
        let paths: Vec<String> = paths.iter().map(|p| p.to_string()).collect();
        find_files(&paths).unwrap_err().to_string()
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
        let found = find_files(&paths).unwrap();
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
        let found = find_files(&paths).unwrap();
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
}
