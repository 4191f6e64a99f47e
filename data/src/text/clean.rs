//! Caption cleaning as `open_clip.tokenizer` does it (`basic_clean`, `whitespace_clean`, lower).

use configs::Clean;
use std::borrow::Cow;

/// The caption as the tokenizer is to see it. [`Clean::Hf`] leaves it as it is;
/// [`Clean::OpenClip`] mends broken encodings and odd characters as ftfy does, resolves HTML
/// entities twice, collapses white space and lowers the case.
pub fn clean(text: &str, how: Clean) -> Cow<'_, str> {
    match how {
        Clean::Hf => text.into(),
        Clean::OpenClip => open_clip(text).into(),
    }
}

fn open_clip(text: &str) -> String {
    // The port of ftfy lacks ftfy's removal of terminal escapes, which comes first there.
    let text = without_terminal_escapes(text);
    let text = plsfix::fix_text(&text, None);
    let once = htmlize::unescape(text.as_str());
    let twice = htmlize::unescape(once.as_ref());
    let words: Vec<&str> = twice.split(is_python_space).filter(|word| !word.is_empty()).collect();
    words.join(" ").to_lowercase()
}

/// What Python's `str.split` splits on: Unicode white space and the four separators U+001C to
/// U+001F, which Unicode does not count.
fn is_python_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// Removes `ESC [ digits ; ... letter`, as ftfy's `\033\[((?:\d|;)*)([a-zA-Z])`.
fn without_terminal_escapes(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("\u{1b}[") {
        let tail = &rest[start + 2..];
        let end = tail.find(|c: char| !(c.is_numeric() || c == ';'));
        let Some(end) =
            end.filter(|&end| tail[end..].starts_with(|c: char| c.is_ascii_alphabetic()))
        else {
            out.push_str(&rest[..start + 2]);
            rest = tail;
            continue;
        };
        out.push_str(&rest[..start]);
        rest = &tail[end + 1..];
    }
    if out.is_empty() && rest.len() == text.len() {
        return text.into();
    }
    out.push_str(rest);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(text: &str) -> String {
        clean(text, Clean::OpenClip).into_owned()
    }

    #[test]
    fn hf_leaves_text_alone() {
        assert_eq!(clean(" A &amp; B ", Clean::Hf), " A &amp; B ");
    }

    #[test]
    fn open_clip_cleans() {
        // Expected values from open_clip 3.3.0's _clean_lower.
        assert_eq!(cleaned("  Red &amp;amp; Blue\u{2019}s \t DRESS "), "red & blue's dress");
        assert_eq!(cleaned("caf\u{c3}\u{a9} table"), "caf\u{e9} table");
        assert_eq!(cleaned("\u{fb01}ne \u{ff21}\u{ff22}"), "fine ab");
        assert_eq!(cleaned("\u{1b}[31mred\u{1b}[0m shoe"), "red shoe");
        assert_eq!(cleaned("a\u{a0}b\u{3000}c"), "a b c");
        assert_eq!(cleaned(""), "");
    }

    #[test]
    fn half_an_escape_stays() {
        assert_eq!(without_terminal_escapes("a\u{1b}[31"), "a\u{1b}[31");
        assert_eq!(without_terminal_escapes("a\u{1b}[1;2mb\u{1b}[x"), "ab");
    }
}
