//! The segments of a JPEG file's header: where its first scan begins, its EXIF block, its end.

/// A marker and what it carries.
pub(super) struct Segment<'a> {
    /// The second byte of the marker.
    pub marker: u8,
    payload: &'a [u8],
}

/// The segments up to the picture's first scan. Each states its length, so the walk steps over
/// thumbnails and their markers.
pub(super) struct Segments<'a> {
    rest: &'a [u8],
    /// What follows the header of the first scan.
    scan: Option<&'a [u8]>,
}

impl<'a> Segments<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes.strip_prefix(&[0xff, 0xd8]).unwrap_or_default(), scan: None }
    }

    /// The first EXIF block.
    pub(super) fn exif(&mut self) -> Option<&'a [u8]> {
        self.find_map(|Segment { marker, payload }| match marker {
            0xe1 => payload.strip_prefix(b"Exif\0\0"),
            _ => None,
        })
    }

    /// Whether an end-of-image marker follows the picture's first scan. In scan data 0xFF is always
    /// followed by 0x00 or a restart marker, so the end cannot appear there by chance. What follows
    /// the end (the film of a "motion photo", say) is none of the picture.
    pub(super) fn has_end(mut self) -> bool {
        self.by_ref().for_each(drop);
        // Searched from behind: nearly every file ends with it.
        self.scan.is_some_and(|scan| scan.windows(2).rev().any(|pair| pair == [0xff, 0xd9]))
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // Garbage before a marker and fill bytes are skipped, as libjpeg does.
            let mut pairs = self.rest.windows(2);
            let at = pairs.position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff))?;
            let marker = self.rest[at + 1];
            self.rest = &self.rest[at + 2..];
            if matches!(marker, 0x01 | 0xd0..=0xd7) {
                continue; // These stand alone.
            }
            if marker == 0xd9 {
                self.rest = &[];
                return None;
            }
            let length = usize::from(u16::from_be_bytes(*self.rest.first_chunk()?));
            let segment = self.rest.get(..length);
            self.rest = self.rest.get(length..).unwrap_or_default();
            let payload = segment?.get(2..).unwrap_or_default();
            if marker == 0xda {
                self.scan = Some(std::mem::take(&mut self.rest));
            }
            return Some(Segment { marker, payload });
        }
    }
}
