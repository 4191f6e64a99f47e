//! Bags, hats and shoes.

use super::{
    Paint, Sketch, Volume, blob, bow, line, mix, oval, polygon, rect, ring, rounded, turned,
};

const SOLE: [f32; 3] = [70.0, 60.0, 54.0];

pub(in super::super) fn handbag(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let top = mix(0.36, 0.44, a);
    s.add(ring(0.5, top, mix(0.2, 0.28, b), mix(0.24, 0.3, c), 0.06), Paint::Accent, Volume::Flat);
    s.add(
        blob(&[
            [0.06, top - 0.08],
            [0.94, top - 0.08],
            [1.02, 1.0],
            [0.7, 1.02],
            [0.3, 1.02],
            [-0.02, 1.0],
        ]),
        Paint::Pattern,
        Volume::Flat,
    );
    s.add(
        polygon(&[[0.16, top], [0.84, top], [0.62, top + 0.22], [0.38, top + 0.22]]),
        Paint::Plain,
        Volume::Flat,
    );
    s.add(oval(0.5, top + 0.2, 0.055, 0.055), Paint::Accent, Volume::Ball);
}

pub(in super::super) fn backpack(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let half = mix(0.3, 0.36, a);
    s.add(ring(0.5, 0.1, 0.1, 0.08, 0.045), Paint::Accent, Volume::Flat);
    for side in [-1.0, 1.0] {
        s.add(
            rounded(0.5 + side * half - 0.1, 0.5, 0.5 + side * half + 0.1, 0.88, 0.06),
            Paint::Accent,
            Volume::Flat,
        );
    }
    s.add(
        rounded(0.5 - half, 0.1, 0.5 + half, 0.97, mix(0.16, 0.26, b)),
        Paint::Pattern,
        Volume::Round,
    );
    let pocket = mix(0.56, 0.64, c);
    s.add(rounded(0.58 - half, pocket, 0.42 + half, 0.92, 0.07), Paint::Plain, Volume::Flat);
    s.detail(
        line(&[[0.62 - half, pocket + 0.08], [0.38 + half, pocket + 0.08]], 0.03),
        Paint::Accent,
    );
    s.detail(bow([0.52 - half, 0.4], [0.5, 0.46], [0.48 + half, 0.4], 0.025), Paint::Inside);
}

pub(in super::super) fn tote(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let top = mix(0.34, 0.42, a);
    let grip = mix(0.16, 0.2, b);
    for (x, width) in [(0.5, 0.05), (0.53, 0.045)] {
        s.add(
            line(
                &[
                    [x - grip, top + 0.04],
                    [x - grip + 0.03, 0.05],
                    [x + grip - 0.03, 0.05],
                    [x + grip, top + 0.04],
                ],
                width,
            ),
            Paint::Accent,
            Volume::Flat,
        );
    }
    let foot = mix(0.0, 0.08, c);
    s.add(
        polygon(&[[0.08, top], [0.92, top], [0.92 + foot, 0.97], [0.08 - foot, 0.97]]),
        Paint::Pattern,
        Volume::Flat,
    );
    s.add(rect(0.08, top, 0.92, top + 0.06), Paint::Plain, Volume::Flat);
}

pub(in super::super) fn hat(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let brim = mix(0.1, 0.16, a);
    let crown = mix(0.26, 0.32, b);
    s.add(oval(0.5, 0.72, 0.5, brim), Paint::Plain, Volume::Flat);
    s.add(
        turned(
            0.5,
            &[[crown * 0.6, 0.18], [crown, mix(0.16, 0.24, c)], [crown, 0.5], [crown + 0.03, 0.72]],
        ),
        Paint::Pattern,
        Volume::Round,
    );
    s.add(
        polygon(&[
            [0.5 - crown - 0.02, 0.58],
            [0.52 + crown, 0.58],
            [0.54 + crown, 0.71],
            [0.46 - crown, 0.71],
        ]),
        Paint::Accent,
        Volume::Round,
    );
}

pub(in super::super) fn boot(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let calf = mix(0.5, 0.58, a);
    let toe = mix(0.9, 0.98, b);
    s.add(
        polygon(&[
            [0.1, 0.88],
            [toe, 0.88],
            [toe - 0.02, 0.96],
            [0.38, 0.96],
            [0.34, 0.98],
            [0.1, 0.98],
        ]),
        Paint::Fixed(SOLE),
        Volume::Flat,
    );
    let mut pen = tiny_skia::PathBuilder::new();
    pen.move_to(0.12, 0.06);
    pen.line_to(calf, 0.06);
    pen.line_to(calf - 0.02, 0.5);
    pen.quad_to(calf + 0.02, 0.6, 0.74, 0.62);
    pen.quad_to(toe + 0.02, mix(0.64, 0.68, c), toe, 0.89);
    pen.line_to(0.1, 0.89);
    pen.quad_to(0.16, 0.5, 0.12, 0.06);
    pen.close();
    s.add(pen.finish(), Paint::Pattern, Volume::Flat);
    s.add(rounded(0.08, 0.03, calf + 0.04, 0.15, 0.04), Paint::Accent, Volume::Round);
    s.detail(bow([0.13, 0.8], [0.5, 0.72], [toe - 0.04, 0.8], 0.02), Paint::Inside);
}
