//! What the processes print, line by line under the name of their rank.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::{Mutex, PoisonError};

/// A line longer than this many bytes is passed on in pieces.
const MAX_LINE: usize = 1 << 20;

/// Which of its two streams a process writes to.
#[derive(Clone, Copy, Debug)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Where the launcher and its processes print. Lines never mix.
pub struct Console {
    out: Mutex<Box<dyn Write + Send>>,
    err: Mutex<Box<dyn Write + Send>>,
}

impl Console {
    /// Prints to this process's own streams.
    pub fn standard() -> Self {
        Self::new(io::stdout(), io::stderr())
    }

    /// Prints to any two streams.
    pub fn new(out: impl Write + Send + 'static, err: impl Write + Send + 'static) -> Self {
        Self { out: Mutex::new(Box::new(out)), err: Mutex::new(Box::new(err)) }
    }

    /// A line of the launcher's own.
    pub fn say(&self, line: &str) {
        self.write(Stream::Err, &format!("{line}\n"));
    }

    /// Passes on what a process prints, until it closes the stream. An unfinished last line is
    /// finished.
    pub fn relay(&self, rank: usize, from: impl Read, to: Stream) {
        let print = |line: &[u8]| {
            self.write(to, &format!("[rank {rank}] {}\n", String::from_utf8_lossy(line)));
        };
        for_each_line(from, print);
    }

    /// Writes whole lines at once. A reader that has gone must not stop the run.
    fn write(&self, to: Stream, lines: &str) {
        let stream = match to {
            Stream::Out => &self.out,
            Stream::Err => &self.err,
        };
        let mut stream = stream.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = stream.write_all(lines.as_bytes()).and_then(|()| stream.flush());
    }
}

/// Cuts a stream into lines. A carriage return ends a line like a line feed: progress that is drawn
/// over and over becomes one line per drawing. Nothing between two carriage returns is no line.
fn for_each_line(from: impl Read, mut print: impl FnMut(&[u8])) {
    let mut reader = BufReader::new(from);
    let mut line = Vec::new();
    let mut returned = false; // the line before ended in a carriage return
    loop {
        let chunk = match reader.fill_buf() {
            Ok([]) => break,
            Ok(chunk) => chunk,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break, // as if the process had closed it
        };
        for &byte in chunk {
            match byte {
                b'\n' if returned => returned = false,
                b'\r' if line.is_empty() => returned = false,
                b'\n' | b'\r' => {
                    print(&line);
                    line.clear();
                    returned = byte == b'\r';
                }
                _ => {
                    if line.len() == MAX_LINE {
                        print(&line);
                        line.clear();
                    }
                    line.push(byte);
                    returned = false;
                }
            }
        }
        let used = chunk.len();
        reader.consume(used);
    }
    if !line.is_empty() {
        print(&line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out a text in pieces of `size` bytes.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let len = self.1.min(self.0.len()).min(to.len());
            to[..len].copy_from_slice(&self.0[..len]);
            self.0 = &self.0[len..];
            Ok(len)
        }
    }

    #[test]
    fn lines_come_whole_whatever_ends_them() {
        for (text, expected) in [
            ("a\nb\n", vec!["a", "b"]),
            ("a\n\nb", vec!["a", "", "b"]),
            ("a\r\nb\r\n\r\nc", vec!["a", "b", "", "c"]),
            ("1%\r2%\r3%\ndone\n", vec!["1%", "2%", "3%", "done"]),
            ("\r1%\r\r2%\r", vec!["1%", "2%"]),
            ("\n", vec![""]),
            ("", vec![]),
            ("é\n", vec!["é"]),
        ] {
            for size in [1, 2, 100] {
                let mut lines = Vec::new();
                for_each_line(Pieces(text.as_bytes(), size), |line| {
                    lines.push(String::from_utf8(line.to_vec()).unwrap());
                });
                assert_eq!(lines, expected, "{text:?} in pieces of {size}");
            }
        }
    }

    #[test]
    fn endless_lines_and_bytes_that_are_no_text_pass() {
        let mut sizes = Vec::new();
        for_each_line(io::repeat(b'x').take(2 * MAX_LINE as u64 + 5), |line| {
            sizes.push(line.len())
        });
        assert_eq!(sizes, [MAX_LINE, MAX_LINE, 5]);

        let shared = crate::launch::supervisor::tests::Shared::default();
        let console = Console::new(shared.clone(), io::sink());
        console.relay(3, &b"a\xffb"[..], Stream::Out);
        assert_eq!(shared.text(), "[rank 3] a\u{fffd}b\n");
    }
}
