//! From a text to the picture that it names.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use bytes::Bytes;
use url::Url;

use super::ImageRef;
use crate::{Cause, Fault};

/// What relative paths begin from.
#[derive(Debug, Clone)]
pub(super) enum Base {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A web server's; it ends in a slash.
    Web(Url),
    /// A folder of an object store, which pictures cannot be read from.
    Store,
}

impl Base {
    /// `image_root` where it is set, else the folder of the catalogue file.
    pub(super) fn new(image_root: Option<&str>, file: &Path) -> Self {
        match image_root {
            Some(root) => match web(root) {
                Some(url) if url.path().ends_with('/') => Self::Web(url),
                Some(mut url) => {
                    url.set_path(&format!("{}/", url.path()));
                    Self::Web(url)
                }
                None => Self::Folder(root.into()),
            },
            None => {
                let text = file.to_string_lossy();
                match (web(&text).and_then(|url| url.join(".").ok()), text.contains("://")) {
                    (Some(folder), _) => Self::Web(folder),
                    (None, true) => Self::Store,
                    (None, false) => Self::Folder(file.parent().unwrap_or(Path::new("")).into()),
                }
            }
        }
    }
}

/// The URL of a web server's folder or file.
fn web(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    Some(url)
}

/// The picture that a text names: a `data:`, `http`, `https` or `file` URL, or a path.
pub(super) fn image_ref(text: &str, base: &Base) -> Result<ImageRef, Fault> {
    let wrong = |detail: String| Fault::new(Cause::BadImageRef, detail);
    if text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:")) {
        return data_url(&text[5..]).map(ImageRef::Bytes);
    }
    if let Some((scheme, _)) = text.split_once("://") {
        let url = Url::parse(text)
            .map_err(|error| wrong(format!("the picture's URL `{text}` is not valid: {error}")))?;
        return match url.scheme() {
            "http" | "https" => Ok(ImageRef::Url(url)),
            "file" => url.to_file_path().map(ImageRef::Path).map_err(|()| {
                wrong(format!("the picture's URL `{text}` names no file of this machine"))
            }),
            _ => Err(wrong(format!(
                "the picture's URL `{text}` begins with `{scheme}`: expected http, https, file or \
                 data, or a path"
            ))),
        };
    }
    match base {
        Base::Folder(folder) => Ok(ImageRef::Path(folder.join(text))),
        Base::Web(folder) => folder.join(text).map(ImageRef::Url).map_err(|error| {
            wrong(format!("the picture's path `{text}` makes no URL below `{folder}`: {error}"))
        }),
        Base::Store => Err(wrong(format!(
            "the picture's path `{text}` is relative, and pictures are not read from object \
             stores; set catalogue.image_root to the folder or URL that it begins from"
        ))),
    }
}

/// The bytes of a `data:` URL, of what follows the scheme.
fn data_url(rest: &str) -> Result<Bytes, Fault> {
    let wrong = |detail: String| Fault::new(Cause::BadImageRef, detail);
    let expected = "expected data:image/...;base64,...";
    let (header, body) = rest
        .split_once(',')
        .ok_or_else(|| wrong(format!("the picture's data URL has no comma; {expected}")))?;
    if !header.to_ascii_lowercase().ends_with(";base64") {
        return Err(wrong(format!("the picture's data URL is not in base64; {expected}")));
    }
    let body: String = body.chars().filter(|c| !c.is_ascii_whitespace() && *c != '=').collect();
    let padded = body.len().next_multiple_of(4);
    let body = format!("{body:=<padded$}");
    let engine = if body.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    let bytes = engine.decode(&body).map_err(|error| {
        let reason = error.to_string();
        wrong(format!("the picture's data URL is not valid base64: {reason}"))
    })?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, base: &Base) -> Result<ImageRef, String> {
        image_ref(text, base).map_err(|fault| fault.detail)
    }

    #[test]
    fn every_kind_of_value_is_told_from_the_others() {
        let base = Base::new(None, Path::new("shop/products.csv"));
        let path = |text: &str| Ok(ImageRef::Path(text.into()));
        let url = |text: &str| Ok(ImageRef::Url(Url::parse(text).unwrap()));
        assert_eq!(at("img/a.jpg", &base), path("shop/img/a.jpg"));
        assert_eq!(at("/img/a.jpg", &base), path("/img/a.jpg"));
        assert_eq!(at("a:b.jpg", &base), path("shop/a:b.jpg"));
        assert_eq!(at("file:///img/a%20b.jpg", &base), path("/img/a b.jpg"));
        assert_eq!(at("HTTPS://host/a b.jpg", &base), url("https://host/a%20b.jpg"));
        let bytes = Ok(ImageRef::Bytes(Bytes::from_static(b"abcd")));
        assert_eq!(at("data:image/png;base64,YWJjZA==", &base), bytes);
        assert_eq!(at("DATA:;base64,YWJj\nZA", &base), bytes);
    }

    #[test]
    fn relative_paths_begin_at_the_root() {
        let file = Path::new("shop/products.csv");
        let url = |text: &str| Ok(ImageRef::Url(Url::parse(text).unwrap()));
        let web = Base::new(Some("https://cdn.host/pictures/"), file);
        assert_eq!(at("a/b.jpg", &web), url("https://cdn.host/pictures/a/b.jpg"));
        let beside = Base::new(None, Path::new("https://host/lists/products.csv"));
        assert_eq!(at("b.jpg", &beside), url("https://host/lists/b.jpg"));
        let folder = Base::new(Some("/pictures"), file);
        assert_eq!(at("b.jpg", &folder), Ok(ImageRef::Path("/pictures/b.jpg".into())));
    }

    #[test]
    fn what_no_picture_can_be_at_is_said() {
        let base = Base::new(None, Path::new("s3://bucket/products.csv"));
        let says = |text: &str| at(text, &base).unwrap_err();
        assert_eq!(
            says("a.jpg"),
            "the picture's path `a.jpg` is relative, and pictures are not read from object stores; \
             set catalogue.image_root to the folder or URL that it begins from"
        );
        assert_eq!(
            says("ftp://host/a.jpg"),
            "the picture's URL `ftp://host/a.jpg` begins with `ftp`: expected http, https, file or \
             data, or a path"
        );
        assert_eq!(
            says("http://[::1/a.jpg"),
            "the picture's URL `http://[::1/a.jpg` is not valid: invalid IPv6 address"
        );
        assert_eq!(
            says("data:image/png;base64"),
            "the picture's data URL has no comma; expected data:image/...;base64,..."
        );
        assert_eq!(
            says("data:image/svg+xml,<svg/>"),
            "the picture's data URL is not in base64; expected data:image/...;base64,..."
        );
        assert_eq!(
            says("data:image/png;base64,a*cd"),
            "the picture's data URL is not valid base64: Invalid symbol 42, offset 1."
        );
    }
}
