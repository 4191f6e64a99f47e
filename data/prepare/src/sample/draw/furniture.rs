//! Furniture, seen from the front.

use super::{Paint, Sketch, Volume, blob, line, mix, oval, polygon, rect, rounded};

pub(in super::super) fn stool(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let seat = mix(0.3, 0.4, a);
    let splay = mix(0.02, 0.12, b);
    for (top, foot) in [(0.27, 0.14 - splay), (0.73, 0.86 + splay), (0.5, 0.5)] {
        s.add(line(&[[top, seat - 0.05], [foot, 0.95]], 0.07), Paint::Accent, Volume::Flat);
    }
    s.add(line(&[[0.2, 0.72], [0.8, 0.72]], 0.045), Paint::Accent, Volume::Flat);
    s.add(
        rounded(mix(0.06, 0.14, c), 0.06, mix(0.94, 0.86, c), seat, 0.1),
        Paint::Pattern,
        Volume::Round,
    );
}

pub(in super::super) fn chair(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let seat = mix(0.54, 0.6, a);
    let half = mix(0.27, 0.34, b);
    for side in [-1.0, 1.0] {
        s.add(
            line(&[[0.5 + side * half, seat], [0.5 + side * (half + 0.06), 0.96]], 0.06),
            Paint::Accent,
            Volume::Flat,
        );
        s.add(
            line(&[[0.5 + side * half * 0.6, seat], [0.5 + side * half * 0.6, 0.86]], 0.05),
            Paint::Accent,
            Volume::Flat,
        );
    }
    s.add(
        rounded(0.5 - half, 0.02, 0.5 + half, seat, mix(0.04, 0.16, c)),
        Paint::Pattern,
        Volume::Flat,
    );
    s.add(
        polygon(&[
            [0.5 - half, seat - 0.04],
            [0.5 + half, seat - 0.04],
            [0.56 + half, seat + 0.12],
            [0.44 - half, seat + 0.12],
        ]),
        Paint::Plain,
        Volume::Flat,
    );
}

pub(in super::super) fn armchair(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let arm = mix(0.14, 0.2, a);
    for x in [0.14, 0.8] {
        s.add(rect(x, 0.85, x + 0.06, 0.98), Paint::Accent, Volume::Flat);
    }
    s.add(rounded(0.1, 0.04, 0.9, 0.8, mix(0.1, 0.25, b)), Paint::Pattern, Volume::Flat);
    s.add(rounded(arm, 0.52, 1.0 - arm, 0.74, 0.06), Paint::Plain, Volume::Flat);
    s.add(rect(arm, 0.7, 1.0 - arm, 0.88), Paint::Pattern, Volume::Flat);
    let top = mix(0.36, 0.46, c);
    for x in [0.0, 1.0 - arm - 0.02] {
        s.add(rounded(x, top, x + arm + 0.02, 0.88, 0.08), Paint::Plain, Volume::Round);
    }
}

pub(in super::super) fn table(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let front = mix(0.42, 0.5, a);
    let width = mix(0.05, 0.09, b);
    for (x, foot) in [(0.08, 0.96), (0.92 - width, 0.96), (0.24, 0.82), (0.76 - width, 0.82)] {
        s.add(rect(x, front, x + width, foot), Paint::Accent, Volume::Flat);
    }
    let back = mix(0.14, 0.24, c);
    s.add(
        polygon(&[[back, 0.12], [1.0 - back, 0.12], [1.0, front], [0.0, front]]),
        Paint::Pattern,
        Volume::Flat,
    );
    s.add(rect(0.0, front, 1.0, front + 0.08), Paint::Plain, Volume::Flat);
}

pub(in super::super) fn sofa(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    for x in [0.06, 0.88] {
        s.add(rect(x, 0.82, x + 0.05, 0.92), Paint::Accent, Volume::Flat);
    }
    let top = mix(0.14, 0.24, a);
    s.add(rounded(0.06, top, 0.94, 0.8, mix(0.06, 0.16, b)), Paint::Pattern, Volume::Flat);
    for (x0, x1) in [(0.12, 0.5), (0.5, 0.88)] {
        s.add(rounded(x0, 0.5, x1, 0.68, 0.05), Paint::Plain, Volume::Flat);
    }
    s.add(rect(0.1, 0.66, 0.9, 0.84), Paint::Pattern, Volume::Flat);
    let arm = mix(0.34, 0.44, c);
    for x in [0.0, 0.86] {
        s.add(rounded(x, arm, x + 0.14, 0.84, 0.06), Paint::Plain, Volume::Round);
    }
}

pub(in super::super) fn dresser(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let left = mix(0.04, 0.16, a);
    let (x0, x1) = (left, 1.0 - left);
    for x in [x0 + 0.04, x1 - 0.1] {
        s.add(rect(x, 0.86, x + 0.06, 0.98), Paint::Accent, Volume::Flat);
    }
    s.add(rect(x0, 0.1, x1, 0.9), Paint::Pattern, Volume::Flat);
    s.add(rect(x0 - 0.03, 0.05, x1 + 0.03, 0.13), Paint::Plain, Volume::Flat);
    let rows = if b < 0.5 { 3 } else { 4 };
    for row in 0..rows {
        let step = 0.75 / rows as f32;
        let y = 0.14 + step * row as f32;
        s.detail(line(&[[x0 + 0.02, y + step], [x1 - 0.02, y + step]], 0.022), Paint::Inside);
        let knob = mix(0.03, 0.045, c);
        for x in [0.35, 0.65] {
            s.add(oval(x, y + step / 2.0, knob, knob), Paint::Accent, Volume::Ball);
        }
    }
}

pub(in super::super) fn pouf(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let (top, bottom) = (mix(0.2, 0.3, a), mix(0.82, 0.92, b));
    s.add(
        blob(&[
            [0.08, top - 0.04],
            [0.92, top - 0.04],
            [mix(1.0, 1.08, c), 0.55],
            [0.92, bottom + 0.04],
            [0.08, bottom + 0.04],
            [mix(0.0, -0.08, c), 0.55],
        ]),
        Paint::Pattern,
        Volume::Ball,
    );
    s.add(oval(0.5, top + 0.03, 0.36, 0.07), Paint::Plain, Volume::Flat);
    s.add(oval(0.5, top + 0.03, 0.05, 0.025), Paint::Accent, Volume::Flat);
}
