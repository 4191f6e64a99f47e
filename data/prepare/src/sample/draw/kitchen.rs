//! Kitchen ware: mostly bodies of revolution.

use super::{Paint, Sketch, Volume, blob, bow, mix, oval, polygon, rect, ring, rounded, turned};

pub(in super::super) fn mug(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let half = mix(0.26, 0.32, a);
    let cx = 0.40;
    let top = mix(0.08, 0.2, c);
    let x = cx + half;
    s.add(ring(x, 0.52, mix(0.15, 0.2, b), mix(0.17, 0.23, b), 0.085), Paint::Plain, Volume::Flat);
    s.add(
        turned(cx, &[[half, top], [half, 0.8], [half * 0.96, 0.94], [half * 0.7, 0.94]]),
        Paint::Pattern,
        Volume::Round,
    );
    s.add(oval(cx, top, half, 0.06), Paint::Inside, Volume::Flat);
}

pub(in super::super) fn teapot(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let ry = mix(0.25, 0.3, a);
    s.add(ring(0.8, 0.55, 0.14, mix(0.14, 0.2, b), 0.07), Paint::Plain, Volume::Flat);
    let tip = mix(0.28, 0.38, c);
    s.add(
        polygon(&[[0.0, tip], [0.1, tip - 0.03], [0.34, 0.6], [0.32, 0.76]]),
        Paint::Plain,
        Volume::Flat,
    );
    s.add(oval(0.5, 0.6, 0.31, ry), Paint::Pattern, Volume::Ball);
    let lid = 0.6 - ry;
    s.add(oval(0.5, lid + 0.04, 0.17, 0.06), Paint::Accent, Volume::Flat);
    s.add(oval(0.5, lid - 0.05, 0.05, 0.05), Paint::Accent, Volume::Ball);
}

pub(in super::super) fn vase(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let (neck, belly) = (mix(0.09, 0.16, a), mix(0.34, 0.44, b));
    let at = mix(0.45, 0.7, c);
    s.add(
        turned(
            0.5,
            &[
                [neck + 0.07, 0.03],
                [neck, 0.15],
                [neck, 0.26],
                [belly, at],
                [0.3, 0.9],
                [0.19, 0.98],
            ],
        ),
        Paint::Pattern,
        Volume::Round,
    );
    s.add(oval(0.5, 0.035, neck + 0.07, 0.03), Paint::Inside, Volume::Flat);
}

pub(in super::super) fn bowl(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let deep = mix(0.72, 0.86, a);
    let foot = mix(0.14, 0.24, b);
    s.add(rect(0.5 - foot, deep - 0.04, 0.5 + foot, deep + 0.07), Paint::Accent, Volume::Round);
    s.add(
        turned(0.5, &[[0.48, 0.28], [0.47, 0.5], [0.38, deep], [foot, deep]]),
        Paint::Pattern,
        Volume::Round,
    );
    s.add(oval(0.5, 0.28, 0.48, mix(0.07, 0.12, c)), Paint::Inside, Volume::Flat);
}

pub(in super::super) fn bottle(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let half = mix(0.23, 0.3, a);
    let shoulder = mix(0.34, 0.46, b);
    let neck = mix(0.07, 0.1, c);
    s.add(
        turned(
            0.5,
            &[
                [neck, 0.1],
                [neck, shoulder - 0.08],
                [half, shoulder],
                [half, 0.9],
                [half * 0.9, 0.98],
            ],
        ),
        Paint::Pattern,
        Volume::Round,
    );
    s.add(rounded(0.5 - neck - 0.03, 0.02, 0.53 + neck, 0.15, 0.02), Paint::Accent, Volume::Round);
}

pub(in super::super) fn jar(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let half = mix(0.32, 0.42, a);
    let top = mix(0.2, 0.27, b);
    s.add(rounded(0.5 - half, top, 0.5 + half, 0.97, 0.12), Paint::Pattern, Volume::Round);
    let lid = half * mix(0.8, 1.0, c);
    s.add(
        rounded(0.5 - lid, top - 0.12, 0.5 + lid, top + 0.05, 0.04),
        Paint::Accent,
        Volume::Round,
    );
    s.add(oval(0.5, top - 0.15, 0.08, 0.06), Paint::Accent, Volume::Ball);
}

pub(in super::super) fn pitcher(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let belly = mix(0.3, 0.36, a);
    let neck = mix(0.15, 0.2, b);
    s.add(
        bow([0.55, 0.16], [1.1, mix(0.2, 0.4, c)], [0.66, 0.76], 0.075),
        Paint::Plain,
        Volume::Flat,
    );
    s.add(
        turned(0.42, &[[neck + 0.04, 0.1], [neck, 0.3], [belly, 0.5], [belly, 0.85], [0.22, 0.97]]),
        Paint::Pattern,
        Volume::Round,
    );
    s.add(
        polygon(&[[0.06, 0.02], [0.46 + neck, 0.1], [0.42 - neck, 0.24]]),
        Paint::Accent,
        Volume::Flat,
    );
}

pub(in super::super) fn goblet(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let half = mix(0.28, 0.36, a);
    let deep = mix(0.5, 0.6, b);
    s.add(rect(0.46, deep - 0.06, 0.54, 0.93), Paint::Accent, Volume::Round);
    s.add(oval(0.5, 0.93, mix(0.2, 0.28, c), 0.05), Paint::Accent, Volume::Flat);
    s.add(
        blob(&[
            [0.5 - half, -0.02],
            [0.5 + half, -0.02],
            [0.5 + half, deep],
            [0.5, deep + 0.08],
            [0.5 - half, deep],
        ]),
        Paint::Pattern,
        Volume::Round,
    );
    s.add(oval(0.5, 0.06, half * 0.86, 0.05), Paint::Inside, Volume::Flat);
}
