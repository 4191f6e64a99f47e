//! The part of a text file that is being looked at, and the number of its first line.

use std::io::{self, Read};

/// Bytes read at a time.
const CHUNK: usize = 256 << 10;

/// The most bytes of one row: more than any product's, pictures in `data:` URLs included.
pub(super) const MAX_ROW: usize = 64 << 20;

/// A text file's bytes from the first one that is not done.
pub(super) struct Window {
    inner: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    start: usize,
    /// The line that the first byte stands in, from 1.
    pub line: u64,
    ended: bool,
}

impl Window {
    pub(super) fn new(inner: Box<dyn Read + Send>) -> Self {
        Self { inner, buffer: Vec::new(), start: 0, line: 1, ended: false }
    }

    /// The bytes at hand.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.buffer.capacity()
    }

    /// Reads on; false at the end of the file.
    pub(super) fn more(&mut self) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        let before = self.buffer.len();
        self.inner.by_ref().take(CHUNK as u64).read_to_end(&mut self.buffer)?;
        self.ended = self.buffer.len() == before;
        Ok(!self.ended)
    }

    /// Puts the first `length` bytes behind, which hold so many line ends.
    pub(super) fn pass(&mut self, length: usize, lines: u64) {
        self.start += length;
        self.line += lines;
    }

    /// The byte at `index` from the first, if the file goes that far.
    pub(super) fn at(&mut self, index: usize) -> io::Result<Option<u8>> {
        while self.bytes().len() <= index && self.more()? {}
        Ok(self.bytes().get(index).copied())
    }

    /// The length of the first line without and with its end; `None` where it is longer than
    /// [`MAX_ROW`].
    pub(super) fn line(&mut self) -> io::Result<Option<(usize, usize)>> {
        let mut searched = 0;
        loop {
            let found = self.bytes()[searched..].iter().position(|byte| *byte == b'\n');
            if let Some(end) = found.map(|at| searched + at) {
                let content = end - usize::from(end > 0 && self.bytes()[end - 1] == b'\r');
                return Ok(Some((content, end + 1)));
            }
            searched = self.bytes().len();
            if searched > MAX_ROW {
                return Ok(None);
            }
            if !self.more()? {
                return Ok(Some((searched, searched)));
            }
        }
    }

    /// Puts the first line behind, however long it is.
    pub(super) fn pass_line(&mut self) -> io::Result<()> {
        loop {
            if let Some(end) = self.bytes().iter().position(|byte| *byte == b'\n') {
                self.pass(end + 1, 1);
                return Ok(());
            }
            self.pass(self.bytes().len(), 0);
            if !self.more()? {
                return Ok(());
            }
        }
    }
}
