//! Paid answers on disk. A file grows by one line per answer; nothing in it is ever changed.
//!
//! ```text
//! vlclip answers 1
//! CRC32 KEY {"content":"...","model":"...", ...}
//! ```
//!
//! KEY is the SHA-256 of what was asked, and CRC32 is that of the line's rest, both in hexadecimal.
//! A line is written at once and synced before the answer is used, so that neither a killed
//! process nor a dead machine loses it. A last line that was cut is removed when the file is
//! opened; a line that is damaged otherwise is passed over, so that its call is made again.

use super::RefineError;
use super::chat::Answer;
use crate::digest::hex;
use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

const HEADER: &str = "vlclip answers 1\n";
/// Digits before the JSON: checksum, blank, key, blank.
const KEY_AT: usize = 9;
const JSON_AT: usize = KEY_AT + 65;

/// What was asked, as the SHA-256 of it.
pub(super) type Key = [u8; 32];

/// The answers of one folder. One process at a time has it open.
#[derive(Debug)]
pub(super) struct Cache {
    path: PathBuf,
    state: Mutex<State>,
    reader: File,
    damaged: u64,
    /// Held as long as the cache is open.
    _lock: File,
}

#[derive(Debug)]
struct State {
    writer: File,
    /// Where the next line begins.
    end: u64,
    /// Set when a line could not be written whole; nothing is appended to it.
    broken: bool,
    /// Place and length of each answer's line, by half of its key.
    index: HashMap<u128, (u64, u32)>,
}

/// The half of a key that the index goes by; the line has all of it.
fn half(key: &Key) -> u128 {
    let (half, _) = key.split_at(16);
    half.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
}

impl Cache {
    /// Opens the folder, and makes it if there is none.
    pub(super) fn open(dir: &Path) -> Result<Self, RefineError> {
        std::fs::create_dir_all(dir).map_err(RefineError::io("create", dir))?;
        let options = || OpenOptions::new().read(true).append(true).create(true).to_owned();
        let lock_path = dir.join("lock");
        let lock = options().open(&lock_path).map_err(RefineError::io("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(RefineError::CacheBusy(dir.into())),
            Err(TryLockError::Error(error)) => {
                return Err(RefineError::io("lock", &lock_path)(error));
            }
        }
        let path = dir.join("answers.log");
        let mut writer = options().open(&path).map_err(RefineError::io("open", &path))?;
        let reader = File::open(&path).map_err(RefineError::io("open", &path))?;
        let (mut index, damaged, mut end) = read(&path, &reader)?;
        let length = reader.metadata().map_err(RefineError::io("read", &path))?.len();
        if end < length {
            writer.set_len(end).map_err(RefineError::io("write", &path))?;
        }
        if end == 0 {
            writer.write_all(HEADER.as_bytes()).map_err(RefineError::io("write", &path))?;
            end = HEADER.len() as u64;
        }
        writer.sync_all().map_err(RefineError::io("write", &path))?;
        let folder = File::open(dir).and_then(|dir| dir.sync_all());
        folder.map_err(RefineError::io("write", dir))?;
        index.shrink_to_fit();
        let state = Mutex::new(State { writer, end, broken: false, index });
        Ok(Self { path, state, reader, damaged, _lock: lock })
    }

    /// Lines that were passed over.
    pub(super) fn damaged(&self) -> u64 {
        self.damaged
    }

    /// The answer to `key`.
    pub(super) fn get(&self, key: &Key) -> Result<Option<Answer>, RefineError> {
        let found = self.lock().index.get(&half(key)).copied();
        let Some((at, length)) = found else { return Ok(None) };
        let mut line = vec![0; length as usize];
        self.reader.read_exact_at(&mut line, at).map_err(RefineError::io("read", &self.path))?;
        Ok(record(&line).filter(|(found, _)| found == key).map(|(_, answer)| answer))
    }

    /// Keeps an answer. When this returns it is on the disk.
    pub(super) fn put(&self, key: &Key, answer: &Answer) -> Result<(), RefineError> {
        let wrong = RefineError::io("write", &self.path);
        let json = match serde_json::to_string(answer) {
            Ok(json) => json,
            Err(error) => return Err(wrong(error.into())),
        };
        let rest = format!("{} {json}\n", hex(key));
        let line = format!("{:08x} {rest}", crc32fast::hash(rest.trim_end().as_bytes()));
        let mut state = self.lock();
        if state.broken {
            return Err(wrong(std::io::Error::other("an earlier answer could not be written")));
        }
        let written =
            state.writer.write_all(line.as_bytes()).and_then(|()| state.writer.sync_data());
        if let Err(error) = written {
            state.broken = true;
            return Err(wrong(error));
        }
        let at = state.end;
        state.end += line.len() as u64;
        state.index.insert(half(key), (at, line.len() as u32));
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Index = HashMap<u128, (u64, u32)>;

/// Where the answers are, how many lines are damaged, and where the last whole line ends.
fn read(path: &Path, file: &File) -> Result<(Index, u64, u64), RefineError> {
    let mut lines = BufReader::with_capacity(1 << 20, file);
    let (mut index, mut damaged, mut at, mut line) = (HashMap::new(), 0, 0, Vec::new());
    loop {
        line.clear();
        let length =
            lines.read_until(b'\n', &mut line).map_err(RefineError::io("read", path))? as u64;
        if at == 0 && line != HEADER.as_bytes() {
            if HEADER.as_bytes().starts_with(&line) {
                return Ok((index, 0, 0));
            }
            let found = line.get(..40.min(line.len())).unwrap_or_default();
            let found = String::from_utf8_lossy(found).into_owned();
            return Err(RefineError::CacheForeign { path: path.into(), found });
        }
        if line.last() != Some(&b'\n') {
            return Ok((index, damaged, at));
        }
        if at > 0 {
            match (record(&line), u32::try_from(length)) {
                (Some((key, _)), Ok(short)) => drop(index.insert(half(&key), (at, short))),
                _ => damaged += 1,
            }
        }
        at += length;
    }
}

/// What a line holds, where it is whole.
fn record(line: &[u8]) -> Option<(Key, Answer)> {
    let line = line.strip_suffix(b"\n")?;
    let sum = std::str::from_utf8(line.get(..KEY_AT - 1)?).ok()?;
    let rest = line.get(KEY_AT - 1..)?.strip_prefix(b" ")?;
    if u32::from_str_radix(sum, 16).ok()? != crc32fast::hash(rest) {
        return None;
    }
    let digits = std::str::from_utf8(line.get(KEY_AT..JSON_AT - 1)?).ok()?;
    let mut key = [0; 32];
    for (byte, at) in key.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()?;
    }
    Some((key, serde_json::from_slice(line.get(JSON_AT..)?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(content: &str) -> Answer {
        Answer {
            content: content.into(),
            finish: "stop".into(),
            refusal: None,
            model: "m".into(),
            input_tokens: 3,
            output_tokens: 1,
        }
    }

    #[test]
    fn every_cut_keeps_the_whole_lines_before_it() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("answers.log");
        let cache = Cache::open(home.path()).unwrap();
        let mut ends = Vec::new();
        for number in 0..2 {
            cache.put(&[number; 32], &answer(&format!("line\nof {number}"))).unwrap();
            ends.push(std::fs::metadata(&file).unwrap().len());
        }
        drop(cache);
        let bytes = std::fs::read(&file).unwrap();
        // Around every line's end, and here and there.
        let last = bytes.len() as u64;
        let near = |cut: &u64| ends.iter().any(|end| end.abs_diff(*cut) < 3) || cut % 23 < 2;
        for cut in (0..=last).filter(near) {
            std::fs::write(&file, &bytes[..cut as usize]).unwrap();
            let cache = Cache::open(home.path()).unwrap();
            assert_eq!(cache.damaged(), 0);
            for (number, end) in (0..).zip(&ends) {
                let known = (cut >= *end).then(|| answer(&format!("line\nof {number}")));
                assert_eq!(cache.get(&[number; 32]).unwrap(), known, "cut at {cut}");
            }
            cache.put(&[9; 32], &answer("next")).unwrap();
            drop(cache);
            let again = Cache::open(home.path()).unwrap();
            assert_eq!(again.get(&[9; 32]).unwrap(), Some(answer("next")), "cut at {cut}");
        }
    }

    #[test]
    fn damage_within_costs_its_line_alone() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("answers.log");
        let cache = Cache::open(home.path()).unwrap();
        (0..3).for_each(|number| cache.put(&[number; 32], &answer("a")).unwrap());
        drop(cache);
        let bytes = std::fs::read(&file).unwrap();
        let length = (bytes.len() - HEADER.len()) / 3;
        for at in (0..12).chain(70..76).chain(length - 3..length - 1) {
            let mut damaged = bytes.clone();
            damaged[HEADER.len() + length + at] ^= 1;
            std::fs::write(&file, &damaged).unwrap();
            let cache = Cache::open(home.path()).unwrap();
            let known: Vec<bool> =
                (0..3).map(|number| cache.get(&[number; 32]).unwrap().is_some()).collect();
            assert_eq!((known.as_slice(), cache.damaged()), (&[true, false, true][..], 1), "{at}");
        }
    }

    #[test]
    fn one_process_and_its_own_files() {
        let home = tempfile::tempdir().unwrap();
        let cache = Cache::open(home.path()).unwrap();
        assert_eq!(
            Cache::open(home.path()).unwrap_err().to_string(),
            format!(
                "another process is using the answers in `{}`: wait for it to end, or choose \
                 another folder",
                home.path().display()
            )
        );
        drop(cache);
        let file = home.path().join("answers.log");
        std::fs::write(&file, "title,price\n1,2\n").unwrap();
        assert_eq!(
            Cache::open(home.path()).unwrap_err().to_string(),
            format!(
                "`{}` is not a file of answers that this version wrote (it begins with \
                 \"title,price\\n\"): choose another folder, or move the file away",
                file.display()
            )
        );
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "title,price\n1,2\n");
    }
}
