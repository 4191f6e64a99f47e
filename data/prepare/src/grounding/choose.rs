//! The choice among the boxes that a detector found.

use configs::prepare::Grounding as Config;

use super::boxes::{clamp, crop, px};
use super::{Cut, Found};
use crate::Grounding;

/// What to cut out of a picture of `width` x `height` pixels in which a detector found boxes: the
/// single box of the highest score, as in VL-CLIP; of equal scores the first. Below the
/// threshold (`below_threshold`, with the score) and without a box of a sufficient size
/// (`no_box`) the whole picture is kept.
pub fn choose(found: &[Found], config: &Config, (width, height): (usize, usize)) -> Cut {
    let (across, down) = (width as f64, height as f64);
    let mut best: Option<(Cut, f32)> = None;
    for box_found in found {
        let b = box_found.box_px;
        let edges = [b.x0, b.y0, b.x1, b.y1].map(f64::from);
        let finite = edges.iter().all(|edge| edge.is_finite()) && box_found.score.is_finite();
        if !finite || best.as_ref().is_some_and(|(_, score)| *score >= box_found.score) {
            continue;
        }
        let clamped = clamp(edges, across, down);
        let Some(crop) = crop(clamped, config, width, height) else { continue };
        let grounding = Grounding::Grounded;
        let (box_px, score) = (Some(px(clamped)), Some(box_found.score));
        best = Some((Cut { grounding, box_px, score, crop }, box_found.score));
    }
    match best {
        None => Cut::whole(Grounding::NoBox, width, height),
        Some((cut, score)) if f64::from(score) >= config.box_threshold => cut,
        Some((_, score)) => {
            Cut { score: Some(score), ..Cut::whole(Grounding::BelowThreshold, width, height) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Area;
    use super::*;
    use crate::BoxPx;

    fn found(x0: f32, x1: f32, score: f32) -> Found {
        Found { box_px: BoxPx { x0, y0: 10.0, x1, y1: 60.0 }, score, phrase: "bag".into() }
    }

    fn chosen(found: &[Found]) -> Cut {
        choose(found, &Config::default(), (200, 100))
    }

    #[test]
    fn the_highest_score_wins_and_of_equal_ones_the_first() {
        let cut = chosen(&[found(0.0, 50.0, 0.4), found(20.0, 80.0, 0.9), found(1.0, 90.0, 0.9)]);
        assert_eq!((cut.grounding, cut.score), (Grounding::Grounded, Some(0.9)));
        assert_eq!(cut.crop, Area { x0: 20, y0: 10, x1: 80, y1: 60 });
        assert_eq!(cut.box_px, Some(BoxPx { x0: 20.0, y0: 10.0, x1: 80.0, y1: 60.0 }));
    }

    #[test]
    fn a_score_at_the_threshold_counts_and_one_below_keeps_the_picture() {
        let config = Config { box_threshold: 0.5, ..Config::default() };
        let at = |score| choose(&[found(0.0, 50.0, score)], &config, (200, 100));
        assert_eq!(at(0.5).grounding, Grounding::Grounded);
        let whole = Area { x0: 0, y0: 0, x1: 200, y1: 100 };
        let below = at(0.49);
        assert_eq!((below.grounding, below.score), (Grounding::BelowThreshold, Some(0.49)));
        assert_eq!((below.box_px, below.crop), (None, whole));
    }

    #[test]
    fn boxes_that_are_none_are_passed_over() {
        let none = Cut::whole(Grounding::NoBox, 200, 100);
        assert_eq!(chosen(&[]), none);
        let tiny_outside_inverted_nan =
            [found(0.0, 9.0, 0.9), found(300.0, 400.0, 0.9), found(80.0, 20.0, 0.9)];
        assert_eq!(chosen(&tiny_outside_inverted_nan), none);
        assert_eq!(chosen(&[found(f32::NAN, 80.0, 0.9), found(0.0, 80.0, f32::NAN)]), none);
        let cut = chosen(&[found(0.0, 9.0, 0.9), found(-50.0, 30.0, 0.6)]);
        assert_eq!((cut.grounding, cut.score), (Grounding::Grounded, Some(0.6)));
        assert_eq!(cut.crop, Area { x0: 0, y0: 10, x1: 30, y1: 60 });
    }
}
