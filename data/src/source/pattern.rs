//! Paths and URLs as a configuration writes them.

use url::Url;

/// The schemes of object stores and web servers.
const SCHEMES: [&str; 10] =
    ["s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "adl", "http", "https"];

/// The URL of an object store or a web server; `None` for a path of this machine.
pub(crate) fn remote(entry: &str) -> Option<Result<Url, url::ParseError>> {
    let (scheme, _) = entry.split_once("://")?;
    SCHEMES.contains(&scheme).then(|| Url::parse(entry))
}

/// Whether an entry has a wildcard.
pub(crate) fn is_glob(entry: &str) -> bool {
    entry.contains(['*', '?', '['])
}

/// Every text that the braces of `entry` stand for: `{000..999}` counts, keeping leading zeros,
/// and `{a,b}` lists, as in shells. Without braces that mean anything, `entry` alone.
pub(crate) fn expand(entry: &str) -> Vec<String> {
    let mut search = 0;
    while let Some(open) = entry[search..].find('{').map(|at| search + at) {
        let Some(close) = entry[open..].find('}').map(|at| open + at) else { break };
        let inside = &entry[open + 1..close];
        if let Some(choices) = count(inside).or_else(|| list(inside)) {
            let (head, tails) = (&entry[..open], expand(&entry[close + 1..]));
            return choices
                .iter()
                .flat_map(|choice| tails.iter().map(move |tail| format!("{head}{choice}{tail}")))
                .collect();
        }
        search = open + 1;
    }
    vec![entry.to_owned()]
}

/// `07..12`: the numbers from the first to the last, as wide as they are written.
fn count(inside: &str) -> Option<Vec<String>> {
    const MOST: u64 = 10_000_000;
    let (first, last) = inside.split_once("..")?;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok());
    let (from, to): (u64, u64) = (digits(first)??, digits(last)??);
    let padded = [first, last].iter().any(|text| text.len() > 1 && text.starts_with('0'));
    let width = if padded { first.len().max(last.len()) } else { 0 };
    (from <= to && to - from < MOST).then(|| (from..=to).map(|n| format!("{n:0width$}")).collect())
}

fn list(inside: &str) -> Option<Vec<String>> {
    inside.contains(',').then(|| inside.split(',').map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_count_and_list() {
        assert_eq!(expand("a-{08..11}.parquet").len(), 4);
        assert_eq!(expand("a-{08..11}.parquet")[1], "a-09.parquet");
        assert_eq!(expand("{8..11}"), ["8", "9", "10", "11"]);
        assert_eq!(expand("{a,b}/{0..1}"), ["a/0", "a/1", "b/0", "b/1"]);
        for same in ["plain", "{", "{x}", "{2..1}", "{a..b}", "a}b{", "{}", "{..}"] {
            assert_eq!(expand(same), [same]);
        }
    }

    #[test]
    fn urls_are_told_from_paths() {
        assert!(remote("s3://bucket/key").unwrap().is_ok());
        assert!(remote("https://host/a.parquet").unwrap().is_ok());
        assert!(remote("http://[").unwrap().is_err());
        for local in ["shards/train", "/a/b://c", "file.parquet", "c://x"] {
            assert!(remote(local).is_none(), "{local}");
        }
    }
}
