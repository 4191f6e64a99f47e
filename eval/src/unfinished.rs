//! A file or folder that is written beside its place and moved there when it is whole.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// `dir/.NAME.partial` until [`Unfinished::finish`] moves it to `dir/NAME`; removed when dropped before.
#[derive(Debug)]
pub struct Unfinished {
    at: PathBuf,
    to: PathBuf,
    whole: bool,
}

impl Unfinished {
    /// What is to become `to`. Makes the folders above it, and removes what an interrupted program
    /// left.
    ///
    /// # Errors
    /// When `to` names no file, or the file system refuses.
    pub fn new(to: &Path) -> io::Result<Self> {
        let name = to.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(".partial");
        let at = to.with_file_name(hidden);
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        remove(&at)?;
        Ok(Self { at, to: to.to_owned(), whole: false })
    }

    /// Where to write.
    pub fn path(&self) -> &Path {
        &self.at
    }

    /// Syncs what was written and puts it in its place, where it replaces what was there.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn finish(mut self) -> io::Result<()> {
        sync(&self.at)?;
        if self.at.is_dir() {
            remove(&self.to)?; // a folder is never renamed over one with files in it
        }
        fs::rename(&self.at, &self.to)?;
        self.whole = true;
        let folder = self.to.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.whole {
            // The error that matters is on its way already.
            let _ = remove(&self.at);
        }
    }
}

fn sync(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            sync(&entry?.path())?;
        }
    }
    File::open(path)?.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    let gone = match path.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    };
    gone.or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<OsString> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .expect("lists")
            .map(|entry| entry.expect("entry").file_name())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_not_finished_leaves_nothing() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let (file, folder) = (dir.path().join("a.txt"), dir.path().join("deep/index"));
        for content in ["old", "new"] {
            let partial = Unfinished::new(&file).expect("makes");
            fs::write(partial.path(), content).expect("writes");
            partial.finish().expect("moves");
            let partial = Unfinished::new(&folder).expect("makes");
            fs::create_dir(partial.path()).expect("makes");
            fs::write(partial.path().join(content), content).expect("writes");
            partial.finish().expect("moves");
        }
        for to in [&file, &folder] {
            let partial = Unfinished::new(to).expect("makes");
            fs::write(partial.path(), "half").expect("writes");
        }
        assert_eq!(fs::read_to_string(&file).expect("reads"), "new");
        assert_eq!(names(&folder), ["new"]);
        assert_eq!(names(dir.path()), ["a.txt", "deep"]);
        assert_eq!(names(&dir.path().join("deep")), ["index"]);
    }
}
