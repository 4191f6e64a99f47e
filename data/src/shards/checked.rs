//! Pages whose content is looked over before parquet's reader believes it: lengths and counts that
//! do not fit make it loop for ever or ask for all memory.

use super::pages::{ColumnBytes, Limits, damaged};
use super::thrift;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::Result;
use parquet::file::serialized_reader::SerializedPageReader;

/// Parquet's pages, of which those are refused that hold fewer levels than values, values beyond
/// their end, or more values than their column.
pub(super) struct CheckedPages {
    pub pages: SerializedPageReader<ColumnBytes>,
    /// The greatest repetition and definition levels.
    pub max_levels: [i16; 2],
    /// Whether the values have lengths of their own.
    pub byte_arrays: bool,
    pub limits: Limits,
}

/// What is behind a page's levels.
struct Values<'a> {
    bytes: &'a [u8],
    /// How many there are, nulls included.
    number: u32,
    encoding: Encoding,
}

impl CheckedPages {
    fn check(&self, page: &Page) -> Result<()> {
        let Values { bytes, number, encoding } = self.values(page)?;
        match encoding {
            Encoding::DELTA_BINARY_PACKED
            | Encoding::DELTA_BYTE_ARRAY
            | Encoding::DELTA_LENGTH_BYTE_ARRAY => match delta_values(bytes) {
                Some(stated) if stated > self.limits.values => {
                    Err(damaged("a page holds more values than its column states"))
                }
                _ => Ok(()),
            },
            Encoding::PLAIN if self.byte_arrays && !lie_within(bytes, number) => {
                Err(damaged("a value runs past the end of its page"))
            }
            _ => Ok(()),
        }
    }

    /// Looks over a page's levels and gives what follows them.
    fn values<'a>(&self, page: &'a Page) -> Result<Values<'a>> {
        let early = || damaged("a page ends early");
        match page {
            Page::DataPage {
                buf,
                num_values,
                encoding,
                def_level_encoding,
                rep_level_encoding,
                ..
            } => {
                let mut rest: &[u8] = buf;
                let encodings = [*rep_level_encoding, *def_level_encoding];
                for (&most, levels) in self.max_levels.iter().zip(encodings) {
                    if most == 0 {
                        continue;
                    }
                    #[expect(deprecated, reason = "old files have it")]
                    let packed = levels == Encoding::BIT_PACKED;
                    let length = if packed {
                        let bits = u64::from(*num_values) * u64::from(level_bits(most));
                        usize::try_from(bits.div_ceil(8)).map_err(|_| early())?
                    } else {
                        let (length, after) = rest.split_first_chunk().ok_or_else(early)?;
                        rest = after;
                        u32::from_le_bytes(*length) as usize
                    };
                    let (levels, after) = rest.split_at_checked(length).ok_or_else(early)?;
                    if !packed {
                        check_levels(levels, most, *num_values)?;
                    }
                    rest = after;
                }
                Ok(Values { bytes: rest, number: *num_values, encoding: *encoding })
            }
            Page::DataPageV2 {
                buf,
                num_values,
                encoding,
                def_levels_byte_len,
                rep_levels_byte_len,
                ..
            } => {
                let mut rest: &[u8] = buf;
                let lengths = [*rep_levels_byte_len, *def_levels_byte_len];
                for (&most, length) in self.max_levels.iter().zip(lengths) {
                    let split = rest.split_at_checked(length as usize);
                    let (levels, after) = split.ok_or_else(early)?;
                    check_levels(levels, most, *num_values)?;
                    rest = after;
                }
                Ok(Values { bytes: rest, number: *num_values, encoding: *encoding })
            }
            Page::DictionaryPage { buf, num_values, .. } => {
                Ok(Values { bytes: buf, number: *num_values, encoding: Encoding::PLAIN })
            }
        }
    }
}

fn level_bits(most: i16) -> u32 {
    i16::BITS - most.leading_zeros()
}

/// Refuses levels in Parquet's hybrid of runs and packed bits that are fewer than the values.
fn check_levels(levels: &[u8], most: i16, num_values: u32) -> Result<()> {
    let short = || damaged("a page holds fewer levels than values");
    if most == 0 {
        return Ok(());
    }
    let bits = u64::from(level_bits(most));
    let (mut at, mut found) = (levels, 0_u64);
    while found < u64::from(num_values) {
        let header = thrift::unsigned(&mut at).ok_or_else(short)?;
        let bytes = if header & 1 == 0 {
            found = found.saturating_add(header >> 1);
            bits.div_ceil(8)
        } else {
            // Eights of values; the last run may be cut off behind the last value.
            let bytes = (header >> 1).saturating_mul(bits).min(at.len() as u64);
            found = found.saturating_add(bytes * 8 / bits);
            bytes
        };
        let after = usize::try_from(bytes).ok().and_then(|bytes| at.get(bytes..));
        at = after.ok_or_else(short)?;
    }
    Ok(())
}

/// Whether byte arrays, each after its length, lie within a page. Parquet's reader does not look
/// when it skips values.
fn lie_within(values: &[u8], num_values: u32) -> bool {
    let mut rest = values;
    (0..num_values).all(|_| match rest.split_first_chunk() {
        Some((length, after)) => {
            let after = after.get(u32::from_le_bytes(*length) as usize..);
            rest = after.unwrap_or_default();
            after.is_some()
        }
        // As many as there are not null.
        None => true,
    })
}

/// How many values a page in one of the delta encodings says that it holds; in its first part, for
/// strings that share beginnings.
fn delta_values(page: &[u8]) -> Option<u64> {
    let mut at = page;
    let mut number = || thrift::unsigned(&mut at);
    let (_block, _miniblocks) = (number()?, number()?);
    number()
}

impl Iterator for CheckedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for CheckedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        page.iter().try_for_each(|page| self.check(page))?;
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }

    fn supports_deferred_dictionary(&self) -> bool {
        self.pages.supports_deferred_dictionary()
    }

    fn take_deferred_dictionary(&mut self) -> Result<Option<Page>> {
        self.pages.take_deferred_dictionary()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.pages.at_record_boundary()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_as_many_as_values() {
        let enough = |levels: &[u8], most, values| check_levels(levels, most, values).is_ok();
        // A run of 5.
        assert!(enough(&[10, 1], 1, 5) && !enough(&[10, 1], 1, 6));
        // Eight packed levels of one bit, then of two.
        assert!(enough(&[3, 0xff], 1, 8) && !enough(&[3, 0xff], 1, 9));
        assert!(enough(&[3, 0xff, 0xff], 2, 8) && !enough(&[3, 0xff], 2, 5));
        // A run after packed ones; a run without its value; nothing; a run of none for ever.
        assert!(enough(&[3, 0xff, 4, 0], 1, 10) && !enough(&[3, 0xff, 4], 1, 10));
        assert!(enough(&[], 0, 3) && !enough(&[], 1, 1) && !enough(&[0, 0, 0, 0], 1, 1));
    }

    #[test]
    fn values_end_within_their_page() {
        let page = [2, 0, 0, 0, 7, 8, 1, 0, 0, 0, 9];
        assert!(lie_within(&page, 2) && lie_within(&page, 5) && lie_within(&[], 5));
        assert!(!lie_within(&page[..10], 2) && lie_within(&page[..10], 1));
        assert!(!lie_within(&[0xff, 0xff, 0xff, 0xff, 1], 1));
    }
}
