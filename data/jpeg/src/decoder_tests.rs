//! The order of calls, and files that are damaged.

use super::*;

fn library() -> &'static Library {
    Library::get().expect("libjpeg-turbo is missing: run `make libjpeg`")
}

/// 50 x 30 in colour, 4:4:4.
fn file() -> Vec<u8> {
    let image = image::RgbImage::from_fn(50, 30, |x, y| image::Rgb([x as u8 * 5, y as u8 * 8, 90]));
    let mut bytes = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 95)
        .encode_image(&image)
        .unwrap();
    bytes
}

fn decode(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut decoder = Decoder::open(library(), bytes)?;
    let out = decoder.start(8, true)?;
    let mut pixels = vec![0; out.width * out.height * out.channels];
    decoder.read(&mut pixels)?;
    decoder.finish()?;
    Ok(pixels)
}

#[test]
fn a_picture_comes_out() {
    let bytes = file();
    let decoder = Decoder::open(library(), &bytes).unwrap();
    let expected = Header { width: 50, height: 30, components: 3, precision: 8 };
    assert_eq!(decoder.header(), expected);
    let pixels = decode(&bytes).unwrap();
    for (i, pixel) in pixels.chunks_exact(3).enumerate() {
        let (x, y) = (i % 50, i / 50);
        let near = |a: u8, b: usize| usize::from(a).abs_diff(b) <= 8;
        assert!(near(pixel[0], x * 5) && near(pixel[1], y * 8) && near(pixel[2], 90), "{x} {y}");
    }
    assert!(library().version().starts_with("libjpeg-turbo"));
    assert!(library().place().is_file(), "{:?}", library().place());
}

#[test]
fn rows_skipped_are_rows_left_out() {
    let bytes = file();
    let whole = decode(&bytes).unwrap();
    let mut decoder = Decoder::open(library(), &bytes).unwrap();
    decoder.start(8, true).unwrap();
    let mut some = vec![0; 50 * 3 * 4];
    decoder.skip(11).unwrap();
    decoder.read(&mut some).unwrap();
    assert_eq!(some, whole[11 * 150..15 * 150]);
    decoder.skip(15).unwrap();
    decoder.finish().unwrap();
}

#[test]
fn scaling_rounds_sides_up() {
    let bytes = file();
    for (eighths, width, height) in [(1, 7, 4), (2, 13, 8), (4, 25, 15), (8, 50, 30)] {
        let mut decoder = Decoder::open(library(), &bytes).unwrap();
        let out = decoder.start(eighths, true).unwrap();
        assert_eq!(out, Output { width, height, channels: 3 });
    }
}

#[test]
fn wrong_orders_are_errors() {
    let bytes = file();
    let mut decoder = Decoder::open(library(), &bytes).unwrap();
    assert_eq!(decoder.read(&mut [0; 150]).unwrap_err(), "the decoder has not been started");
    assert_eq!(decoder.skip(1).unwrap_err(), "1 rows are wanted, 0 are left");
    decoder.start(8, true).unwrap();
    assert!(decoder.start(8, true).unwrap_err().contains("already"));
    assert_eq!(decoder.read(&mut [0; 151]).unwrap_err(), "151 bytes are not whole rows of 150");
    let message = decoder.read(&mut [0; 31 * 150]).unwrap_err();
    assert_eq!(message, "31 rows are wanted, 30 are left");
    assert_eq!(decoder.finish().unwrap_err(), "30 rows are left");
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = file();
    for end in 0..bytes.len() {
        let message = decode(&bytes[..end]).unwrap_err();
        assert!(!message.is_empty(), "{end}");
    }
    assert_eq!(decode(&bytes[..bytes.len() - 2]).unwrap_err(), "truncated JPEG");
    assert_eq!(decode(b"no JPEG at all").unwrap_err(), "Not a JPEG file: starts with 0x6e 0x6f");
    // After an error a decoder stays unusable and can be dropped.
    let mut decoder = Decoder::open(library(), &bytes[..bytes.len() - 100]).unwrap();
    decoder.start(8, true).unwrap();
    assert!(decoder.read(&mut [0; 30 * 150]).is_err());
    assert_eq!(decoder.skip(0).unwrap_err(), "truncated JPEG");
}

#[test]
fn a_thousand_scans_are_refused() {
    // A progressive file whose one scan (the DC of grey) repeats.
    let mut bytes = vec![0xff, 0xd8];
    bytes.extend([0xff, 0xdb, 0, 67, 0]);
    bytes.extend([1; 64]);
    bytes.extend([0xff, 0xc2, 0, 11, 8, 0, 8, 0, 8, 1, 1, 0x11, 0]);
    // One Huffman code of one bit, for a difference of 0.
    bytes.extend([0xff, 0xc4, 0, 20, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let scan = [0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0, 0x7f];
    let with = |scans: usize| {
        let end = [0xff, 0xd9];
        [bytes.clone(), scan.repeat(scans), end.to_vec()].concat()
    };
    assert_eq!(decode(&with(3)).unwrap(), [128; 8 * 8 * 3]);
    assert_eq!(decode(&with(1000)).unwrap_err(), "more than 100 scans");
}

/// The file without the segments of these markers.
fn without(bytes: &[u8], markers: &[u8]) -> Vec<u8> {
    let (mut kept, mut at) = (bytes[..2].to_vec(), 2);
    loop {
        let size = 2 + usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        if !markers.contains(&bytes[at + 1]) {
            kept.extend_from_slice(&bytes[at..at + size]);
        }
        if bytes[at + 1] == 0xda {
            kept.extend_from_slice(&bytes[at + size..]);
            return kept;
        }
        at += size;
    }
}

#[test]
fn a_thread_decodes_one_picture_after_another_as_new_threads_do() {
    let file = file();
    let whole = decode(&file).unwrap();
    // Without its tables: of quantisation, which it cannot do without, and of Huffman's code, which
    // are the standard's where there are none.
    let (bare, plain) = (without(&file, &[0xdb]), without(&file, &[0xc4]));
    let alone = |bytes: &[u8]| {
        let bytes = bytes.to_vec();
        std::thread::spawn(move || decode(&bytes)).join().unwrap()
    };
    let message = alone(&bare).unwrap_err();
    assert!(message.starts_with("Quantization table"), "{message}");
    let plain_alone = alone(&plain);
    for _ in 0..100 {
        assert_eq!(decode(&file).as_ref(), Ok(&whole));
        assert_eq!(decode(&bare).unwrap_err(), message);
        assert_eq!(decode(&plain), plain_alone);
        assert!(decode(&file[..file.len() / 2]).is_err());
        // Left in the middle, two at once.
        let mut one = Decoder::open(library(), &file).unwrap();
        one.start(8, true).unwrap();
        one.skip(3).unwrap();
        let mut other = Decoder::open(library(), &file).unwrap();
        other.start(4, false).unwrap();
    }
}

#[test]
fn columns_left_out_are_those_beside_the_wanted_ones() {
    let bytes = file();
    let whole = decode(&bytes).unwrap();
    let mut decoder = Decoder::open(library(), &bytes).unwrap();
    assert_eq!(decoder.crop(0, 8).unwrap_err(), "the decoder has not been started");
    decoder.start(8, true).unwrap();
    for (left, width) in [(0, 51), (49, 2), (3, 0), (usize::MAX, 2)] {
        assert!(decoder.crop(left, width).unwrap_err().contains("columns from"), "{left} {width}");
    }
    // From the 8 x 8 block on in which they begin.
    assert_eq!(decoder.crop(19, 12), Ok((16, 15)));
    assert!(decoder.crop(0, 5).unwrap_err().ends_with("once and before any row"));
    decoder.skip(2).unwrap();
    let mut some = vec![0; 15 * 3 * 5];
    decoder.read(&mut some).unwrap();
    for (row, out) in some.chunks_exact(15 * 3).enumerate() {
        let start = ((row + 2) * 50 + 16) * 3;
        assert_eq!(out, &whole[start..start + 15 * 3]);
    }
}
