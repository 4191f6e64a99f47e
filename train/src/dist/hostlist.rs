//! Lists of hosts as SLURM writes them, such as `node[003-007,9],gpu-a[1-2]b`.

/// The first host of a list, or None if it is empty or not such a list.
pub fn first_host(list: &str) -> Option<String> {
    let mut host = String::new();
    let mut rest = list.trim();
    while let Some(at) = rest.find(['[', ',', ']']) {
        host += &rest[..at];
        match rest.as_bytes()[at] {
            b'[' => {
                // Numbers keep their leading zeros: they are text.
                let (numbers, after) = rest[at + 1..].split_once(']')?;
                let first = numbers.split([',', '-']).next().unwrap_or_default();
                if first.is_empty() || !first.bytes().all(|byte| byte.is_ascii_digit()) {
                    return None;
                }
                host += first;
                rest = after;
            }
            b',' => {
                rest = "";
            }
            _ => return None,
        }
    }
    host += rest;
    (!host.is_empty() && !host.contains(char::is_whitespace)).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_host_of_every_form() {
        for (list, expected) in [
            ("host", "host"),
            (" host ", "host"),
            ("host.example.org", "host.example.org"),
            ("a1,b2", "a1"),
            ("node[003-007,9],gpu-a[1-2]b", "node003"),
            ("gpu-a[1-2]b,node7", "gpu-a1b"),
            ("n[9,11-12]", "n9"),
            ("n[0]", "n0"),
            ("rack[2-3]-node[08-11].local,login", "rack2-node08.local"),
            ("[10-12]", "10"),
            ("a,b[1-2]", "a"),
        ] {
            assert_eq!(first_host(list).as_deref(), Some(expected), "{list}");
        }
    }

    #[test]
    fn what_is_no_list_is_none() {
        for list in ["", "  ", ",a", "n[", "n[1-2", "n]1", "n[]", "n[-2]", "n[a-b]", "a b"] {
            assert_eq!(first_host(list), None, "{list}");
        }
    }
}
