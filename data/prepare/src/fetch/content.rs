//! Whether bytes begin as a picture that can be decoded.

use image::ImageFormat;

use crate::{Cause, Fault};

/// Checks that `bytes` begin as JPEG, PNG or WebP; `content_type`: what a server calls them.
pub(super) fn check(bytes: &[u8], content_type: Option<&str>) -> Result<(), Fault> {
    let format = image::guess_format(bytes).ok();
    if matches!(format, Some(ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP)) {
        return Ok(());
    }
    let sent = content_type.map_or_else(String::new, |kind| format!(", sent as `{kind}`"));
    let found = what(bytes, format);
    let size = bytes.len();
    let detail = format!("expected JPEG, PNG or WebP, found {found} ({size} bytes{sent})");
    Err(Fault::new(Cause::NotAPicture, detail))
}

fn what(bytes: &[u8], format: Option<ImageFormat>) -> String {
    if bytes.is_empty() {
        return "nothing".into();
    }
    if let Some(format) = format {
        return format!("{format:?}").to_uppercase();
    }
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(256)]).trim().to_ascii_lowercase();
    let known = [
        ("<!doctype html", "an HTML page"),
        ("<html", "an HTML page"),
        ("<svg", "SVG"),
        ("<?xml", "XML"),
        ("%pdf", "PDF"),
        ("{", "JSON"),
    ];
    let found = known.into_iter().find(|(start, _)| head.starts_with(start));
    if let Some((_, name)) = found {
        return name.into();
    }
    if bytes.get(4..8) == Some(b"ftyp") {
        return "AVIF, HEIC or a video".into();
    }
    let start: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("bytes that begin {}", start.join(" "))
}
