//! The structures in which Parquet describes itself (Thrift's compact protocol), walked before
//! parquet's parser sees them: a damaged length must neither take memory nor time.
//!
//! The encoding: <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>.

/// Structures within structures; Parquet's own are 7 deep.
const MAX_DEPTH: usize = 32;

/// Why a structure is not understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It goes on behind the bytes given.
    Short,
    /// It is none.
    Wrong(&'static str),
}

/// The length in bytes of the structure that `bytes` begin with. `visit` gets every integer in it, with
/// the numbers of the fields that lead there.
///
/// Every element of a list takes a byte at least, so a walk takes no longer than its bytes do.
pub(super) fn walk(bytes: &[u8], visit: impl FnMut(&[i16], i64)) -> Result<usize, Fault> {
    let mut walker = Walker { bytes, at: 0, path: vec![], visit };
    walker.structure()?;
    Ok(walker.at)
}

/// A number at the beginning of `bytes`, 7 bits to a byte, the lowest first; `bytes` are then what
/// follows.
pub(super) fn unsigned(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

struct Walker<'a, F> {
    bytes: &'a [u8],
    at: usize,
    path: Vec<i16>,
    visit: F,
}

impl<F: FnMut(&[i16], i64)> Walker<'_, F> {
    fn byte(&mut self) -> Result<u8, Fault> {
        let byte = *self.bytes.get(self.at).ok_or(Fault::Short)?;
        self.at += 1;
        Ok(byte)
    }

    fn skip(&mut self, length: u64) -> Result<(), Fault> {
        if length > (self.bytes.len() - self.at) as u64 {
            return Err(Fault::Short);
        }
        self.at += length as usize;
        Ok(())
    }

    fn unsigned(&mut self) -> Result<u64, Fault> {
        let mut rest = &self.bytes[self.at..];
        let value = unsigned(&mut rest);
        self.at = self.bytes.len() - rest.len();
        match value {
            Some(value) => Ok(value),
            None if rest.is_empty() => Err(Fault::Short),
            None => Err(Fault::Wrong("a number is longer than 64 bits")),
        }
    }

    fn signed(&mut self) -> Result<i64, Fault> {
        let value = self.unsigned()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// The number of elements of a list or map.
    fn count(&mut self) -> Result<u64, Fault> {
        let count = self.unsigned()?;
        if count > i32::MAX as u64 {
            return Err(Fault::Wrong("a list has more elements than lists can"));
        }
        if count > (self.bytes.len() - self.at) as u64 { Err(Fault::Short) } else { Ok(count) }
    }

    fn structure(&mut self) -> Result<(), Fault> {
        if self.path.len() >= MAX_DEPTH {
            return Err(Fault::Wrong("structures nest too deeply"));
        }
        let mut field = 0i16;
        loop {
            let header = self.byte()?;
            if header == 0 {
                return Ok(());
            }
            field = match header >> 4 {
                0 => self.signed()? as i16,
                step => field.wrapping_add(step.into()),
            };
            let kind = header & 0x0f;
            // A boolean field's value lies in its kind.
            if !matches!(kind, 1 | 2) {
                self.path.push(field);
                self.value(kind)?;
                self.path.pop();
            }
        }
    }

    fn value(&mut self, kind: u8) -> Result<(), Fault> {
        match kind {
            1..=3 => self.skip(1),
            4..=6 => {
                let value = self.signed()?;
                (self.visit)(&self.path, value);
                Ok(())
            }
            7 => self.skip(8),
            8 => {
                let length = self.unsigned()?;
                self.skip(length)
            }
            9 | 10 => {
                let header = self.byte()?;
                let count = match header >> 4 {
                    15 => self.count()?,
                    count => count.into(),
                };
                self.elements(count, &[header & 0x0f])
            }
            11 => match self.count()? {
                0 => Ok(()),
                count => {
                    let kinds = self.byte()?;
                    self.elements(count, &[kinds >> 4, kinds & 0x0f])
                }
            },
            12 => self.structure(),
            13 => self.skip(16),
            _ => Err(Fault::Wrong("a value is of no known kind")),
        }
    }

    fn elements(&mut self, count: u64, kinds: &[u8]) -> Result<(), Fault> {
        if self.path.len() >= MAX_DEPTH {
            return Err(Fault::Wrong("structures nest too deeply"));
        }
        // Elements add no number to the path, but a level of depth all the same.
        self.path.push(0);
        for _ in 0..count {
            for kind in kinds {
                self.value(*kind)?;
            }
        }
        self.path.pop();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Integers = Vec<(Vec<i16>, i64)>;

    fn integers(bytes: &[u8]) -> Result<(usize, Integers), Fault> {
        let mut found = vec![];
        let length = walk(bytes, |path, value| found.push((path.to_vec(), value)))?;
        Ok((length, found))
    }

    #[test]
    fn integers_come_with_their_fields() {
        // 1: i32 -3; 3: {1: i64 300, 2: true}; 20: list [1, 2]; 21: binary "ab"; and a byte behind.
        let bytes = [
            0x15, 5, 0x2c, 0x16, 0xd8, 0x04, 0x11, 0, 0x09, 40, 0x25, 2, 4, 0x18, 2, b'a', b'b', 0,
            9,
        ];
        let expected = vec![(vec![1], -3), (vec![3, 1], 300), (vec![20, 0], 1), (vec![20, 0], 2)];
        assert_eq!(integers(&bytes), Ok((18, expected)));
        for end in 0..18 {
            assert_eq!(integers(&bytes[..end]), Err(Fault::Short), "{end}");
        }
    }

    #[test]
    fn absurd_lengths_end_at_once() {
        // A list of 2^31 - 1 booleans, a string of 2^63 bytes, and structures without an end.
        let list = [0x19, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x07];
        assert_eq!(integers(&list), Err(Fault::Short));
        let text = [0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        assert_eq!(integers(&text), Err(Fault::Short));
        for nested in [0x1c, 0x19] {
            let wrong = Err(Fault::Wrong("structures nest too deeply"));
            assert_eq!(integers(&[nested; 100]), wrong);
        }
    }
}
