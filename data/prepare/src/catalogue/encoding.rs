//! Text that is not UTF-8: recognised, and said where and what to do.

use std::path::Path;

/// UTF-8's byte-order mark, which some programs put at the start of a file.
pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";

/// The name of the encoding of text with more than one byte for every character.
pub(super) fn wide(head: &[u8]) -> Option<&'static str> {
    match head {
        [0xff, 0xfe, 0, 0, ..] => return Some("UTF-32LE"),
        [0, 0, 0xfe, 0xff, ..] => return Some("UTF-32BE"),
        [0xff, 0xfe, ..] => return Some("UTF-16LE"),
        [0xfe, 0xff, ..] => return Some("UTF-16BE"),
        _ => {}
    }
    // Without a mark: of Latin text every other byte is zero.
    let head = &head[..head.len().min(512) / 2 * 2];
    let zeros = |from: usize| head.iter().skip(from).step_by(2).filter(|byte| **byte == 0).count();
    let many = head.len() / 4;
    match (zeros(0) > many, zeros(1) > many) {
        (true, false) => Some("UTF-16BE"),
        (false, true) => Some("UTF-16LE"),
        _ => None,
    }
}

/// What is said of `bytes`, the row that begins in line `line`, which are not UTF-8.
pub(super) fn invalid(bytes: &[u8], line: u64, file: &Path) -> String {
    let sound = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
    let before = &bytes[..sound];
    let line = line + before.iter().filter(|byte| **byte == b'\n').count() as u64;
    let row = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let column = String::from_utf8_lossy(row).chars().count() + 1;
    let byte = bytes.get(sound).copied().unwrap_or_default();
    let file = file.display();
    format!(
        "line {line} character {column} is the byte 0x{byte:02X}, which is not UTF-8; if the file \
         is from Windows, convert it: iconv -f WINDOWS-1252 -t UTF-8 {file} > converted"
    )
}
