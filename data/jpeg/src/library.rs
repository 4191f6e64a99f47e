//! Finding and loading libjpeg-turbo, once.

use crate::ffi::{self, MESSAGE_SIZE, RawEncoding, RawLibrary};
use std::ffi::{CStr, CString, c_char};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The folder that `make libjpeg` fills, as the build was told.
const BUILT_WITH: &str = env!("VLCLIP_LIBJPEG_BUILT_WITH");

/// The system's library; the number is that of the interface.
const SYSTEM: &str = "libjpeg.so.62";

/// libjpeg-turbo, loaded.
#[derive(Debug)]
pub struct Library {
    raw: *const RawLibrary,
    /// Why it cannot encode, where it cannot: what decodes is of use without.
    encoding: Result<*const RawEncoding, String>,
    place: PathBuf,
}

// SAFETY: a table of functions, written before it is shared and never changed or freed; libjpeg has
// no state beside that of each picture.
unsafe impl Send for Library {}
// SAFETY: as above.
unsafe impl Sync for Library {}

impl Library {
    /// The library that this process uses, looked for at the first call: in the folder (or file)
    /// that the environment variable `LIBJPEG_TURBO` names, while the program runs or else while it
    /// was built; then the system's.
    ///
    /// # Errors
    /// Why none of them can be used, one reason to a place.
    pub fn get() -> Result<&'static Self, &'static str> {
        static FOUND: OnceLock<Result<Library, String>> = OnceLock::new();
        FOUND.get_or_init(find).as_ref().map_err(String::as_str)
    }

    /// Where it was loaded from.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// What the library calls itself, such as `libjpeg-turbo 3.2.0`; without the number where its
    /// file does not say.
    pub fn version(&self) -> String {
        const MARK: &[u8] = b"libjpeg-turbo version ";
        let bytes = std::fs::read(&self.place).unwrap_or_default();
        let number = bytes.windows(MARK.len()).position(|text| text == MARK).map(|at| {
            let rest = bytes[at + MARK.len()..].iter();
            let number = rest.take_while(|&&c| c.is_ascii_digit() || c == b'.').take(16);
            number.map(|&c| char::from(c)).collect::<String>()
        });
        number.map_or("libjpeg-turbo".into(), |number| format!("libjpeg-turbo {number}"))
    }

    pub(crate) fn raw(&self) -> *const RawLibrary {
        self.raw
    }

    pub(crate) fn encoding(&self) -> Result<*const RawEncoding, String> {
        self.encoding.clone()
    }

    fn load(path: &Path) -> Result<Self, String> {
        let c_path = CString::new(path.as_os_str().as_encoded_bytes())
            .map_err(|_| "a NUL byte in the path".to_owned())?;
        let mut place: [c_char; 4096] = [0; 4096];
        let mut message: [c_char; MESSAGE_SIZE] = [0; MESSAGE_SIZE];
        // SAFETY: the texts are NUL-terminated or written within the sizes given.
        let raw = unsafe {
            ffi::vlclip_jpeg_load(
                c_path.as_ptr(),
                place.as_mut_ptr(),
                place.len(),
                message.as_mut_ptr(),
            )
        };
        if raw.is_null() {
            return Err(text(&message));
        }
        // SAFETY: as above.
        let encoding =
            unsafe { ffi::vlclip_jpeg_load_encoding(c_path.as_ptr(), message.as_mut_ptr()) };
        let encoding = if encoding.is_null() { Err(text(&message)) } else { Ok(encoding) };
        Ok(Self { raw, encoding, place: text(&place).into() })
    }
}

/// A text that C wrote into an array.
pub(crate) fn text(array: &[c_char]) -> String {
    // SAFETY: every writer of these arrays ends the text within them; the array outlives the call.
    unsafe { CStr::from_ptr(array.as_ptr()) }.to_string_lossy().into_owned()
}

fn find() -> Result<Library, String> {
    let named = std::env::var_os("LIBJPEG_TURBO").map(PathBuf::from);
    let mut places: Vec<PathBuf> = Vec::new();
    let mut reasons = Vec::new();
    for folder in named.into_iter().chain([PathBuf::from(BUILT_WITH)]) {
        if folder.as_os_str().is_empty() || places.iter().any(|path| path.starts_with(&folder)) {
            continue;
        }
        let found = candidates(&folder);
        if found.is_empty() {
            let reason = format!("`{}` holds no libjpeg-*.so.62*", folder.display());
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        places.extend(found);
    }
    places.push(SYSTEM.into());
    for path in places {
        match Library::load(&path) {
            Ok(library) => return Ok(library),
            Err(reason) => reasons.push(format!("`{}`: {reason}", path.display())),
        }
    }
    Err(reasons.join("; "))
}

/// The library files in a folder as pip installs it, or the file itself.
fn candidates(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.into()];
    }
    let mut files: Vec<PathBuf> = [place.to_path_buf(), place.join("pillow.libs")]
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flat_map(|entries| entries.filter_map(Result::ok))
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
            name.starts_with("libjpeg") && name.contains(".so.62")
        })
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_libjpeg_is_refused_with_the_reason() {
        let missing = Library::load(Path::new("/nowhere/libjpeg.so.62")).unwrap_err();
        assert!(missing.contains("No such file"), "{missing}");
        let libc = Library::load(Path::new("libc.so.6")).unwrap_err();
        assert_eq!(libc, "it has no jpeg_std_error");
    }

    #[test]
    fn a_folder_is_searched_as_pip_leaves_it() {
        let folder = std::env::temp_dir().join(format!("vlclip-jpeg-{}", std::process::id()));
        let libs = folder.join("pillow.libs");
        std::fs::create_dir_all(&libs).unwrap();
        for name in ["libjpeg-6dc8d115.so.62.4.0", "libpng16.so.16", "libjpeg.so.8"] {
            std::fs::write(libs.join(name), "").unwrap();
        }
        assert_eq!(candidates(&folder), [libs.join("libjpeg-6dc8d115.so.62.4.0")]);
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(candidates(&folder).is_empty());
    }
}
