//! Which format a file is in, and whether it is compressed.

use std::io::{self, Cursor, Read};
use std::path::Path;

use configs::prepare::{Catalogue, Format};
use data::source::Handle;
use parquet::file::reader::Length;

use super::encoding;
use super::files::Sequential;
use crate::PrepareError;

/// How a file's rows are parted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Fields by this character, rows by lines.
    Csv { delimiter: u8, quotes: bool },
    /// A JSON object per line.
    Jsonl,
    /// Parquet.
    Parquet,
}

/// Bytes looked at.
const HEAD: u64 = 4096;

/// The kind of a file, by configuration, name and content in this order.
pub(super) fn of(path: &Path, handle: Handle, config: &Catalogue) -> Result<Kind, PrepareError> {
    let wrong = |reason: String| PrepareError::Catalogue { path: path.into(), reason };
    let raw = handle.read(0..handle.len().min(HEAD)).map_err(PrepareError::Source)?;
    if raw.starts_with(b"PAR1") {
        return match config.format {
            Format::Auto | Format::Parquet => Ok(Kind::Parquet),
            _ => Err(wrong("is a Parquet file; set catalogue.format to auto or parquet".into())),
        };
    }
    if config.format == Format::Parquet {
        return Err(wrong("is not a Parquet file: it does not begin with `PAR1`".into()));
    }
    if raw.starts_with(b"PK\x03\x04") {
        return Err(wrong(
            "is a zip archive or an Excel workbook; unpack it, or save the sheet as CSV".into(),
        ));
    }
    let mut text = Vec::new();
    plain(Sequential::new(handle))
        .and_then(|bytes| bytes.take(HEAD).read_to_end(&mut text))
        .map_err(|error| wrong(error.to_string()))?;
    if let Some(name) = encoding::wide(&text) {
        let shown = path.display();
        return Err(wrong(format!(
            "is encoded in {name}: expected UTF-8; convert it: iconv -f {name} -t UTF-8 {shown} > \
             converted"
        )));
    }
    let delimiter = config.delimiter.and_then(|c| u8::try_from(c).ok());
    let csv = |usual| Kind::Csv { delimiter: delimiter.unwrap_or(usual), quotes: config.quotes };
    Ok(match (config.format, extension(path).as_str()) {
        (Format::Csv, _) | (Format::Auto, "csv") => csv(b','),
        (Format::Tsv, _) | (Format::Auto, "tsv" | "tab") => csv(b'\t'),
        (Format::Jsonl, _) | (Format::Auto, "jsonl" | "ndjson") => Kind::Jsonl,
        (Format::Auto, "parquet") => {
            return Err(wrong("is not a Parquet file: it does not begin with `PAR1`".into()));
        }
        _ => guess(&text, csv),
    })
}

/// By content: a line that begins an object is JSON; of the rest, more tabs than commas are TSV.
fn guess(text: &[u8], csv: impl Fn(u8) -> Kind) -> Kind {
    let text = text.strip_prefix(encoding::BOM).unwrap_or(text);
    let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
    if first == Some(&b'{') {
        return Kind::Jsonl;
    }
    let header = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: u8| header.iter().filter(|byte| **byte == delimiter).count();
    if count(b'\t') > count(b',') { csv(b'\t') } else { csv(b',') }
}

/// The last part of the name without the one that says how it is compressed, in lower case.
fn extension(path: &Path) -> String {
    let lower = |path: &Path| {
        path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
    };
    match lower(path).as_str() {
        "gz" | "zst" => lower(Path::new(path.file_stem().unwrap_or_default())),
        _ => lower(path),
    }
}

/// The bytes, decompressed if they are gzip or Zstandard.
pub(super) fn plain(mut bytes: Sequential) -> io::Result<Box<dyn Read + Send>> {
    let mut magic = Vec::new();
    bytes.by_ref().take(4).read_to_end(&mut magic)?;
    let gzip = magic.starts_with(&[0x1f, 0x8b]);
    let zstd = magic == [0x28, 0xb5, 0x2f, 0xfd];
    let whole = Cursor::new(magic).chain(bytes);
    Ok(match (gzip, zstd) {
        (true, _) => Box::new(flate2::read::MultiGzDecoder::new(whole)),
        (_, true) => Box::new(zstd::stream::read::Decoder::new(whole)?),
        _ => Box::new(whole),
    })
}
