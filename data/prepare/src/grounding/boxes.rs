//! Boxes in pixels: read from a catalogue's numbers, clamped, padded.

use configs::prepare::{BoxFormat, BoxUnits, GivenBox, Grounding as Config};

use super::{Area, Cut};
use crate::{BoxPx, Cause, Fault, Grounding};

/// How far a relative number may lie outside 0..1 by rounding.
const ROUNDING: f64 = 1e-3;
/// The share of a pixel that is rounding.
const SLACK_PX: f64 = 1e-6;

/// What to cut out of a picture of `width` x `height` pixels whose catalogue states `numbers`, in
/// the format and units of `columns`. Without numbers, and with a box whose shorter side has
/// fewer than `min_px` pixels, the whole picture is kept and marked `no_box`.
///
/// # Errors
/// A box that is inverted or empty, that lies outside the picture altogether, or whose relative
/// numbers are not from 0 to 1. One that lies outside in part is clamped.
pub fn given(
    numbers: Option<[f64; 4]>,
    columns: &GivenBox,
    config: &Config,
    (width, height): (usize, usize),
) -> Result<Cut, Fault> {
    let whole = Cut::whole(Grounding::NoBox, width, height);
    let Some(numbers) = numbers else { return Ok(whole) };
    let bad = |detail: String| Fault::new(Cause::BadBox, format!("the box {numbers:?} {detail}"));
    if let Some(index) = numbers.iter().position(|number| !number.is_finite()) {
        return Err(bad(format!("has {} for its number {}", numbers[index], index + 1)));
    }
    let (across, down) = (width as f64, height as f64);
    let scale = match columns.units {
        BoxUnits::Pixels => [1.0, 1.0],
        BoxUnits::Relative => {
            let range = -ROUNDING..=1.0 + ROUNDING;
            if numbers.iter().any(|number| !range.contains(number)) {
                return Err(bad(
                    "is not relative: expected numbers from 0 to 1; if they are pixels, set \
                     grounding.box.units to pixels"
                        .into(),
                ));
            }
            [across, down]
        }
    };
    let [x0, y0, x1, y1] = corners(numbers, columns.format);
    let [x0, y0, x1, y1] = [x0 * scale[0], y0 * scale[1], x1 * scale[0], y1 * scale[1]];
    if x1 <= x0 || y1 <= y0 {
        let [how, name] = match columns.format {
            BoxFormat::Xyxy => ["ends before it begins", "xyxy"],
            BoxFormat::Xywh => ["has no width or height", "xywh"],
            BoxFormat::Cxcywh => ["has no width or height", "cxcywh"],
        };
        return Err(bad(format!("{how}, read as {name}; see grounding.box.format")));
    }
    if x1 <= 0.0 || y1 <= 0.0 || x0 >= across || y0 >= down {
        return Err(bad(format!(
            "lies outside the picture of {width} x {height} pixels (left {x0}, top {y0}, right \
             {x1}, bottom {y1})"
        )));
    }
    let clamped = clamp([x0, y0, x1, y1], across, down);
    let Some(crop) = crop(clamped, config, width, height) else { return Ok(whole) };
    let cut =
        Cut { grounding: Grounding::Given, box_px: Some(px(clamped)), score: Some(1.0), crop };
    Ok(cut)
}

/// Left, top, right, bottom.
fn corners([a, b, c, d]: [f64; 4], format: BoxFormat) -> [f64; 4] {
    match format {
        BoxFormat::Xyxy => [a, b, c, d],
        BoxFormat::Xywh => [a, b, a + c, b + d],
        BoxFormat::Cxcywh => [a - c / 2.0, b - d / 2.0, a + c / 2.0, b + d / 2.0],
    }
}

/// The part of a box that lies in a picture.
pub(super) fn clamp([x0, y0, x1, y1]: [f64; 4], across: f64, down: f64) -> [f64; 4] {
    [x0.clamp(0.0, across), y0.clamp(0.0, down), x1.clamp(0.0, across), y1.clamp(0.0, down)]
}

pub(super) fn px([x0, y0, x1, y1]: [f64; 4]) -> BoxPx {
    // Edges of pictures are exact in f32: MAX_PIXELS is far below 2^24 squared, sides below 2^24.
    BoxPx { x0: x0 as f32, y0: y0 as f32, x1: x1 as f32, y1: y1 as f32 }
}

/// The pixels of a box that lies in the picture, with padding; `None` where its shorter side is
/// below the least.
pub(super) fn crop(
    [x0, y0, x1, y1]: [f64; 4],
    config: &Config,
    width: usize,
    height: usize,
) -> Option<Area> {
    let (wide, high) = (x1 - x0, y1 - y0);
    if wide.min(high) < f64::from(config.min_px) || wide <= 0.0 || high <= 0.0 {
        return None;
    }
    let padding = wide.max(high) * config.padding;
    // A share of a pixel counts as a pixel, so that nothing of the product is lost; what a relative
    // number is off by rounding does not. Within the picture all are whole numbers from 0 to its sides.
    let span = |low: f64, high: f64, side: usize| {
        let low = ((low - padding + SLACK_PX).floor().max(0.0) as usize).min(side - 1);
        let high = ((high + padding - SLACK_PX).ceil() as usize).clamp(low + 1, side);
        (low, high)
    };
    let ((x0, x1), (y0, y1)) = (span(x0, x1, width), span(y0, y1, height));
    Some(Area { x0, y0, x1, y1 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use configs::prepare::BoxColumns;
    use proptest::prelude::*;

    const SIZE: (usize, usize) = (200, 100);

    fn columns(format: BoxFormat, units: BoxUnits) -> GivenBox {
        GivenBox { columns: BoxColumns::One("box".into()), format, units }
    }

    fn cut(numbers: [f64; 4], format: BoxFormat, units: BoxUnits) -> Result<Cut, Fault> {
        given(Some(numbers), &columns(format, units), &Config::default(), SIZE)
    }

    fn area(x0: usize, y0: usize, x1: usize, y1: usize) -> Area {
        Area { x0, y0, x1, y1 }
    }

    #[test]
    fn every_format_and_unit_is_the_same_box() {
        use BoxFormat::{Cxcywh, Xywh, Xyxy};
        use BoxUnits::{Pixels, Relative};
        let expected = Cut {
            grounding: Grounding::Given,
            box_px: Some(BoxPx { x0: 20.0, y0: 10.0, x1: 120.0, y1: 60.0 }),
            score: Some(1.0),
            crop: area(20, 10, 120, 60),
        };
        for (numbers, format, units) in [
            ([20.0, 10.0, 120.0, 60.0], Xyxy, Pixels),
            ([20.0, 10.0, 100.0, 50.0], Xywh, Pixels),
            ([70.0, 35.0, 100.0, 50.0], Cxcywh, Pixels),
            ([0.1, 0.1, 0.6, 0.6], Xyxy, Relative),
            ([0.1, 0.1, 0.5, 0.5], Xywh, Relative),
            ([0.35, 0.35, 0.5, 0.5], Cxcywh, Relative),
        ] {
            let found = cut(numbers, format, units).unwrap();
            assert_eq!(found.crop, expected.crop, "{numbers:?}");
            assert_eq!(found, expected, "{numbers:?}");
        }
    }

    #[test]
    fn a_box_partly_outside_is_clamped_and_a_share_of_a_pixel_counts() {
        let found = cut([-5.0, 10.4, 40.2, 999.0], BoxFormat::Xyxy, BoxUnits::Pixels).unwrap();
        assert_eq!(found.crop, area(0, 10, 41, 100));
        assert_eq!(found.box_px, Some(BoxPx { x0: 0.0, y0: 10.4, x1: 40.2, y1: 100.0 }));
    }

    #[test]
    fn padding_is_a_share_of_the_longer_side_and_stays_in_the_picture() {
        let config = Config { padding: 0.1, ..Config::default() };
        let columns = columns(BoxFormat::Xyxy, BoxUnits::Pixels);
        let found = given(Some([20.0, 5.0, 120.0, 60.0]), &columns, &config, SIZE).unwrap();
        assert_eq!(found.crop, area(10, 0, 130, 70));
        assert_eq!(found.box_px, Some(BoxPx { x0: 20.0, y0: 5.0, x1: 120.0, y1: 60.0 }));
    }

    #[test]
    fn no_box_and_a_tiny_box_keep_the_whole_picture() {
        let whole = Cut {
            grounding: Grounding::NoBox,
            box_px: None,
            score: None,
            crop: area(0, 0, 200, 100),
        };
        let columns = columns(BoxFormat::Xyxy, BoxUnits::Pixels);
        assert_eq!(given(None, &columns, &Config::default(), SIZE), Ok(whole));
        let tiny = [20.0, 10.0, 120.0, 25.9];
        assert_eq!(given(Some(tiny), &columns, &Config::default(), SIZE), Ok(whole));
        let config = Config { min_px: 15, ..Config::default() };
        let found = given(Some(tiny), &columns, &config, SIZE).unwrap();
        assert_eq!(found.grounding, Grounding::Given);
    }

    #[test]
    fn what_is_no_box_of_the_picture_is_said() {
        use BoxFormat::{Xywh, Xyxy};
        use BoxUnits::{Pixels, Relative};
        let says = |numbers, format, units| {
            let fault = cut(numbers, format, units).unwrap_err();
            assert_eq!(fault.cause, Cause::BadBox);
            fault.detail
        };
        assert_eq!(
            says([120.0, 10.0, 20.0, 60.0], Xyxy, Pixels),
            "the box [120.0, 10.0, 20.0, 60.0] ends before it begins, read as xyxy; see \
             grounding.box.format"
        );
        assert_eq!(
            says([120.0, 10.0, 20.0, 0.0], Xywh, Pixels),
            "the box [120.0, 10.0, 20.0, 0.0] has no width or height, read as xywh; see \
             grounding.box.format"
        );
        assert_eq!(
            says([200.0, 10.0, 260.0, 60.0], Xyxy, Pixels),
            "the box [200.0, 10.0, 260.0, 60.0] lies outside the picture of 200 x 100 pixels \
             (left 200, top 10, right 260, bottom 60)"
        );
        assert_eq!(
            says([20.0, 10.0, 120.0, 60.0], Xyxy, Relative),
            "the box [20.0, 10.0, 120.0, 60.0] is not relative: expected numbers from 0 to 1; if \
             they are pixels, set grounding.box.units to pixels"
        );
        assert_eq!(
            says([20.0, f64::NAN, 120.0, 60.0], Xyxy, Pixels),
            "the box [20.0, NaN, 120.0, 60.0] has NaN for its number 2"
        );
    }

    proptest! {
        #[test]
        fn whatever_the_numbers_the_crop_lies_in_the_picture(
            numbers in prop::array::uniform4(-300.0..500.0f64),
            (width, height) in (1usize..300, 1usize..300),
            padding in 0.0..2.0f64,
            min_px in 0u32..40,
            format in prop::sample::select(vec![BoxFormat::Xyxy, BoxFormat::Xywh, BoxFormat::Cxcywh]),
        ) {
            let config = Config { padding, min_px, ..Config::default() };
            let columns = columns(format, BoxUnits::Pixels);
            if let Ok(cut) = given(Some(numbers), &columns, &config, (width, height)) {
                let Area { x0, y0, x1, y1 } = cut.crop;
                prop_assert!(x0 < x1 && x1 <= width && y0 < y1 && y1 <= height, "{cut:?}");
                prop_assert_eq!(cut.box_px.is_none(), cut.grounding == Grounding::NoBox);
            }
        }
    }
}
