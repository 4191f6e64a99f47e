//! Numbers as the page shows them. Owns digits, signs and separators.

/// A metric: `0.6758`.
pub(super) fn value(value: f64) -> String {
    format!("{value:.4}")
}

/// A metric where there is little room: `0.676`.
pub(super) fn short(value: f64) -> String {
    format!("{value:.3}")
}

/// An interval: `0.661 – 0.689`, with real minus signs.
pub(super) fn interval([low, high]: [f64; 2]) -> String {
    format!("{} – {}", minus(low, 3), minus(high, 3))
}

/// A difference, always with its sign: `+0.012`, `−0.004`; `0.000` when that is all there is to see.
pub(super) fn difference(value: f64) -> String {
    let text = minus(value, 3);
    if value > 0.0 && text != "0.000" { format!("+{text}") } else { text }
}

/// A figure that may be negative, with a real minus sign and no `-0`.
pub(super) fn minus(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let is_zero = text.chars().all(|c| c == '0' || c == '.');
    if value < 0.0 && !is_zero { format!("−{text}") } else { text }
}

/// A probability: `0.012`, `< 0.001`.
pub(super) fn probability(p: f64) -> String {
    if p < 0.001 { "< 0.001".into() } else { format!("{p:.3}") }
}

/// A count with separators: `1,000,000`.
pub(super) fn count(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and its noun: `1 query`, `2 queries`.
pub(super) fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A rank that may be a mean: `3`, `3.5`, `12,345.6`.
pub(super) fn rank(rank: f64) -> String {
    let tenths = (rank * 10.0).round() as usize;
    match tenths % 10 {
        0 => count(tenths / 10),
        tenth => format!("{}.{tenth}", count(tenths / 10)),
    }
}

/// A share: `12 %`, `0.4 %`, `< 0.1 %`.
pub(super) fn share(share: f64) -> String {
    let percent = share * 100.0;
    if percent == 0.0 {
        "0 %".into()
    } else if percent < 0.1 {
        "< 0.1 %".into()
    } else if percent < 10.0 {
        format!("{percent:.1} %")
    } else {
        format!("{percent:.0} %")
    }
}

/// A level of confidence: `95 %`, `99.9 %`.
pub(super) fn level(confidence: f64) -> String {
    // Two digits are more than any level in use has; binary fractions must not show.
    let percent = (confidence * 1e4).round() / 100.0;
    format!("{percent} %")
}

/// At most `most` characters of `text`; an ellipsis where that is not all of it.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000_000), "1,000,000");
        assert_eq!(counted(1, "query", "queries"), "1 query");
        assert_eq!(difference(0.0124), "+0.012");
        assert_eq!(difference(-0.0124), "−0.012");
        assert_eq!(difference(-0.0001), "0.000");
        assert_eq!(difference(0.0001), "0.000");
        assert_eq!(interval([-0.01, 0.25]), "−0.010 – 0.250");
        assert_eq!(probability(0.0004), "< 0.001");
        assert_eq!(probability(0.04), "0.040");
        assert_eq!(rank(3.0), "3");
        assert_eq!(rank(12_345.55), "12,345.6");
        assert_eq!(share(0.0), "0 %");
        assert_eq!(share(0.0004), "< 0.1 %");
        assert_eq!(share(0.034), "3.4 %");
        assert_eq!(share(1.0), "100 %");
        assert_eq!(level(0.95), "95 %");
        assert_eq!(level(0.999), "99.9 %");
        assert_eq!(cut("añb", 2), "añ…");
        assert_eq!(cut("añb", 3), "añb");
    }
}
