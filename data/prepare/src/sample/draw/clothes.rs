//! Clothes, laid flat.

use super::{Paint, Sketch, Volume, blob, bow, line, mix, oval, polygon, rounded};

pub(in super::super) fn t_shirt(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let sleeve = mix(0.36, 0.46, a);
    let waist = mix(0.22, 0.27, b);
    s.add(
        polygon(&[
            [0.34, 0.06],
            [0.66, 0.06],
            [0.8, 0.12],
            [1.0, sleeve],
            [0.84, sleeve + 0.08],
            [1.0 - waist, 0.34],
            [1.0 - waist, 0.96],
            [waist, 0.96],
            [waist, 0.34],
            [0.16, sleeve + 0.08],
            [0.0, sleeve],
            [0.2, 0.12],
        ]),
        Paint::Pattern,
        Volume::Flat,
    );
    s.add(oval(0.5, 0.06, 0.15, mix(0.07, 0.11, c)), Paint::Accent, Volume::Flat);
    s.detail(oval(0.5, 0.045, 0.115, 0.06), Paint::Inside);
}

pub(in super::super) fn dress(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let waist = mix(0.15, 0.19, a);
    let at = mix(0.38, 0.46, b);
    for x in [0.37, 0.63] {
        s.add(line(&[[x, 0.2], [x, 0.04]], 0.05), Paint::Plain, Volume::Flat);
    }
    s.add(
        polygon(&[[0.32, 0.14], [0.5, 0.24], [0.68, 0.14], [0.5 + waist, at], [0.5 - waist, at]]),
        Paint::Pattern,
        Volume::Flat,
    );
    let hem = mix(0.34, 0.44, c);
    s.add(
        blob(&[
            [0.5 - waist, at - 0.04],
            [0.5 + waist, at - 0.04],
            [0.52 + hem, 1.0],
            [0.5 + hem, 0.98],
            [0.5, 1.0],
            [0.5 - hem, 0.98],
            [0.48 - hem, 1.0],
        ]),
        Paint::Pattern,
        Volume::Flat,
    );
    s.add(
        rounded(0.48 - waist, at - 0.05, 0.52 + waist, at + 0.04, 0.02),
        Paint::Accent,
        Volume::Flat,
    );
}

pub(in super::super) fn skirt(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let waist = mix(0.2, 0.28, a);
    let hem = mix(0.82, 0.92, b);
    s.add(
        polygon(&[
            [0.5 - waist, 0.16],
            [0.5 + waist, 0.16],
            [1.0, hem - 0.06],
            [0.84, hem],
            [0.67, hem - 0.04],
            [0.5, hem + 0.02],
            [0.33, hem - 0.04],
            [0.16, hem],
            [0.0, hem - 0.06],
        ]),
        Paint::Pattern,
        Volume::Flat,
    );
    for (from, to) in [(-0.45, -0.34), (0.0, 0.0), (0.45, 0.34)] {
        s.detail(line(&[[0.5 + from * waist, 0.3], [0.5 + to, hem - 0.08]], 0.016), Paint::Inside);
    }
    s.add(
        rounded(0.48 - waist, 0.08, 0.52 + waist, mix(0.18, 0.22, c), 0.03),
        Paint::Accent,
        Volume::Flat,
    );
}

pub(in super::super) fn sock(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let leg = mix(0.5, 0.56, a);
    let toe = mix(0.9, 0.98, b);
    let mut pen = tiny_skia::PathBuilder::new();
    pen.move_to(0.16, 0.1);
    pen.line_to(leg, 0.1);
    pen.line_to(leg, 0.5);
    pen.line_to(toe - 0.1, 0.66);
    pen.quad_to(toe + 0.06, 0.78, toe - 0.02, 0.9);
    pen.quad_to(toe - 0.08, 1.02, toe - 0.3, 0.95);
    pen.line_to(0.3, 0.82);
    pen.quad_to(0.12, 0.74, 0.16, 0.5);
    pen.close();
    s.add(pen.finish(), Paint::Pattern, Volume::Flat);
    s.add(
        blob(&[
            [toe - 0.2, 0.62],
            [toe + 0.04, 0.68],
            [toe + 0.04, 0.96],
            [toe - 0.14, 1.0],
            [toe - 0.26, 0.9],
        ]),
        Paint::Accent,
        Volume::Flat,
    );
    s.add(rounded(0.12, 0.03, leg + 0.04, mix(0.16, 0.22, c), 0.04), Paint::Accent, Volume::Flat);
}

pub(in super::super) fn mitten(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let thumb = mix(0.3, 0.4, a);
    s.add(
        blob(&[
            [0.5, 0.72],
            [0.6, 0.5],
            [0.84, thumb - 0.06],
            [0.98, thumb + 0.04],
            [0.92, 0.6],
            [0.66, 0.84],
        ]),
        Paint::Pattern,
        Volume::Flat,
    );
    let half = mix(0.24, 0.28, b);
    s.add(
        rounded(0.38 - half, 0.03, 0.38 + half, 0.86, mix(0.2, 0.24, c)),
        Paint::Pattern,
        Volume::Flat,
    );
    s.add(rounded(0.35 - half, 0.76, 0.43 + half, 0.98, 0.04), Paint::Accent, Volume::Flat);
    s.detail(
        bow([0.38 + half, 0.7], [0.34 + half, 0.62], [0.38 + half, 0.5], 0.018),
        Paint::Inside,
    );
}

pub(in super::super) fn tie(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let half = mix(0.2, 0.26, a);
    s.add(
        polygon(&[[0.2, 0.02], [0.8, 0.02], [0.86, 0.14], [0.5, 0.24], [0.14, 0.14]]),
        Paint::Accent,
        Volume::Flat,
    );
    let point = mix(0.8, 0.86, b);
    s.add(
        polygon(&[[0.4, 0.26], [0.6, 0.26], [0.5 + half, point], [0.5, 0.99], [0.5 - half, point]]),
        Paint::Pattern,
        Volume::Flat,
    );
    let knot = mix(0.12, 0.15, c);
    s.add(
        polygon(&[[0.5 - knot, 0.1], [0.5 + knot, 0.1], [0.58, 0.3], [0.42, 0.3]]),
        Paint::Plain,
        Volume::Flat,
    );
}
