//! As much of HTTP/1.1 as the proxy and its test need: heads of messages.

use std::io::{self, Read};
use std::net::TcpStream;

/// More than any head has.
const MAX_HEAD: usize = 64 << 10;

/// The first line and the header fields of a request or an answer.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The first line.
    pub start: String,
    /// Fields as they came, without the line ends.
    pub fields: Vec<String>,
}

impl Head {
    /// Reads a head and what of the body came with it. `None` where the peer says nothing more.
    pub fn read(stream: &mut TcpStream) -> io::Result<Option<(Self, Vec<u8>)>> {
        let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
        loop {
            if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                let body = bytes.split_off(at + 4);
                let text = String::from_utf8_lossy(&bytes);
                let mut lines = text.trim_end().lines().map(str::to_owned);
                let start = lines.next().unwrap_or_default();
                return Ok(Some((Self { start, fields: lines.collect() }, body)));
            }
            let read = stream.read(&mut piece)?;
            if read == 0 {
                return Ok(None);
            }
            bytes.extend_from_slice(&piece[..read]);
            if bytes.len() > MAX_HEAD {
                return Err(io::Error::other("the head does not end"));
            }
        }
    }

    /// A field's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find_map(|field| {
            let (key, value) = field.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Bytes of the body, where that is stated.
    pub fn content_length(&self) -> Option<u64> {
        self.get("content-length")?.parse().ok()
    }

    /// The status of an answer.
    pub fn status(&self) -> Option<u16> {
        self.start.split(' ').nth(1)?.parse().ok()
    }

    /// The head as it goes over the wire, for a connection that serves this message only.
    pub fn closing(&self) -> String {
        let mut text = self.start.clone() + "\r\n";
        for field in &self.fields {
            if !field.to_ascii_lowercase().starts_with("connection:") {
                text += &(field.clone() + "\r\n");
            }
        }
        text + "Connection: close\r\n\r\n"
    }
}
