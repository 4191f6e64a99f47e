//! Things to light, hang and decorate rooms with, and the umbrella.

use super::{Paint, Sketch, Volume, blob, bow, line, mix, oval, polygon, rect, ring, rounded};

const LIGHT: [f32; 3] = [255.0, 236.0, 170.0];
const FACE: [f32; 3] = [246.0, 244.0, 236.0];
const INK: [f32; 3] = [40.0, 40.0, 46.0];
const GLASS: [f32; 3] = [190.0, 216.0, 228.0];
const LEAF: [f32; 3] = [70.0, 140.0, 60.0];

pub(in super::super) fn lamp(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let hem = mix(0.5, 0.6, a);
    s.add(rect(0.465, hem - 0.05, 0.535, 0.92), Paint::Accent, Volume::Round);
    s.add(oval(0.5, 0.92, mix(0.2, 0.27, b), 0.06), Paint::Accent, Volume::Flat);
    let top = mix(0.14, 0.26, c);
    s.add(
        polygon(&[[0.5 - top, 0.03], [0.5 + top, 0.03], [0.9, hem], [0.1, hem]]),
        Paint::Pattern,
        Volume::Round,
    );
    s.detail(oval(0.5, hem, 0.38, 0.025), Paint::Fixed(LIGHT));
}

pub(in super::super) fn lantern(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let half = mix(0.26, 0.34, a);
    s.add(ring(0.5, 0.11, 0.1, 0.09, 0.04), Paint::Accent, Volume::Flat);
    s.add(
        polygon(&[[0.42, 0.16], [0.58, 0.16], [0.56 + half, 0.36], [0.44 - half, 0.36]]),
        Paint::Pattern,
        Volume::Flat,
    );
    s.add(rect(0.5 - half, 0.34, 0.5 + half, 0.97), Paint::Pattern, Volume::Flat);
    let pane = mix(0.07, 0.1, b);
    s.add(
        rect(0.5 - half + pane, 0.42, 0.5 + half - pane, 0.85),
        Paint::Fixed(LIGHT),
        Volume::Flat,
    );
    s.add(rect(0.45, 0.66, 0.55, 0.85), Paint::Fixed(FACE), Volume::Round);
    let flame = mix(0.5, 0.54, c);
    s.detail(oval(0.5, flame + 0.06, 0.035, 0.07), Paint::Fixed([240.0, 130.0, 30.0]));
    s.detail(rect(0.485, 0.42, 0.515, 0.56), Paint::Inside);
}

pub(in super::super) fn candle(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let half = mix(0.24, 0.32, a);
    let top = mix(0.28, 0.36, b);
    s.detail(line(&[[0.5, top], [0.5, top - 0.08]], 0.025), Paint::Fixed(INK));
    s.detail(oval(0.5, top - 0.15, 0.07, 0.13), Paint::Fixed([250.0, 160.0, 40.0]));
    s.detail(oval(0.5, top - 0.11, 0.035, 0.07), Paint::Fixed(LIGHT));
    s.add(oval(0.5, 0.92, half + mix(0.06, 0.14, c), 0.06), Paint::Accent, Volume::Flat);
    s.add(rounded(0.5 - half, top, 0.5 + half, 0.93, 0.04), Paint::Pattern, Volume::Round);
    s.add(oval(0.5, top + 0.01, half, 0.05), Paint::Plain, Volume::Flat);
}

pub(in super::super) fn clock(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    s.add(oval(0.5, 0.5, 0.48, 0.48), Paint::Pattern, Volume::Flat);
    let r = mix(0.27, 0.32, a);
    s.add(oval(0.5, 0.5, r, r), Paint::Fixed(FACE), Volume::Flat);
    for (x, y) in [(0.0, -1.0), (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0)] {
        let (inner, outer) = (r * 0.78, r * 0.92);
        s.detail(
            line(&[[0.5 + x * inner, 0.5 + y * inner], [0.5 + x * outer, 0.5 + y * outer]], 0.03),
            Paint::Fixed(INK),
        );
    }
    s.detail(line(&[[0.5, 0.5], [mix(0.4, 0.6, b), 0.5 - r * 0.62]], 0.03), Paint::Fixed(INK));
    s.detail(line(&[[0.5, 0.5], [0.5 + r * 0.45, mix(0.44, 0.58, c)]], 0.04), Paint::Fixed(INK));
}

pub(in super::super) fn mirror(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let rx = mix(0.34, 0.42, a);
    s.add(oval(0.5, 0.5, rx, 0.49), Paint::Pattern, Volume::Flat);
    let frame = mix(0.11, 0.15, b);
    s.add(oval(0.5, 0.5, rx - frame, 0.49 - frame), Paint::Fixed(GLASS), Volume::Flat);
    let x = mix(0.38, 0.48, c);
    s.detail(line(&[[x - 0.08, 0.6], [x + 0.12, 0.32]], 0.035), Paint::Fixed(FACE));
    s.detail(line(&[[x + 0.04, 0.66], [x + 0.2, 0.44]], 0.025), Paint::Fixed(FACE));
}

pub(in super::super) fn picture_frame(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let (x, y) = (mix(0.03, 0.1, a), mix(0.03, 0.12, b));
    s.add(rect(x, y, 1.0 - x, 1.0 - y), Paint::Pattern, Volume::Flat);
    let (x0, y0, x1, y1) = (x + 0.15, y + 0.15, 0.85 - x, 0.85 - y);
    s.add(rect(x0, y0, x1, y1), Paint::Fixed([170.0, 206.0, 236.0]), Volume::Flat);
    s.detail(oval(mix(0.36, 0.6, c), y0 + 0.14, 0.06, 0.06), Paint::Fixed([250.0, 214.0, 90.0]));
    s.detail(
        polygon(&[
            [x0, y1],
            [x0, y1 - 0.14],
            [x0 + 0.2, y1 - 0.28],
            [x1 - 0.14, y1 - 0.1],
            [x1, y1 - 0.18],
            [x1, y1],
        ]),
        Paint::Fixed([96.0, 128.0, 84.0]),
    );
}

pub(in super::super) fn planter(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let spread = mix(0.26, 0.36, a);
    for (dx, dy) in [(-1.0, 0.16), (1.0, 0.16), (-0.55, 0.06), (0.55, 0.06), (0.0, 0.02)] {
        let tip = [0.5 + dx * spread, dy];
        let width = 0.07;
        s.add(
            blob(&[[0.5 - width, 0.5], tip, [tip[0] + dx * 0.02, tip[1]], [0.5 + width, 0.5]]),
            Paint::Fixed(LEAF),
            Volume::Flat,
        );
    }
    let (rim, foot) = (mix(0.34, 0.42, b), mix(0.2, 0.3, c));
    s.add(
        polygon(&[
            [0.5 - rim + 0.04, 0.5],
            [0.46 + rim, 0.5],
            [0.5 + foot, 0.97],
            [0.5 - foot, 0.97],
        ]),
        Paint::Pattern,
        Volume::Round,
    );
    s.add(rounded(0.5 - rim, 0.42, 0.5 + rim, 0.54, 0.03), Paint::Accent, Volume::Round);
}

pub(in super::super) fn cushion(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let (dent, x, y) = (mix(0.08, 0.13, a), mix(0.0, 0.06, b), mix(0.0, 0.08, c));
    let mut pen = tiny_skia::PathBuilder::new();
    pen.move_to(x, y);
    pen.quad_to(0.5, y + dent, 1.0 - x, y);
    pen.quad_to(1.0 - x - dent, 0.5, 1.0 - x, 1.0 - y);
    pen.quad_to(0.5, 1.0 - y - dent, x, 1.0 - y);
    pen.quad_to(x + dent, 0.5, x, y);
    pen.close();
    s.add(pen.finish(), Paint::Pattern, Volume::Ball);
    for (cx, cy) in [(x, y), (1.0 - x, y), (x, 1.0 - y), (1.0 - x, 1.0 - y)] {
        s.add(oval(cx, cy, 0.045, 0.045), Paint::Accent, Volume::Flat);
    }
}

pub(in super::super) fn basket(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let foot = mix(0.26, 0.36, a);
    let rise = mix(-0.3, -0.12, b);
    s.add(bow([0.08, 0.46], [0.5, rise - 0.2], [0.92, 0.46], 0.065), Paint::Accent, Volume::Flat);
    s.add(
        polygon(&[[0.05, 0.46], [0.95, 0.46], [0.5 + foot, 0.97], [0.5 - foot, 0.97]]),
        Paint::Pattern,
        Volume::Round,
    );
    s.add(rounded(0.01, 0.4, 0.99, mix(0.5, 0.54, c), 0.04), Paint::Plain, Volume::Round);
}

pub(in super::super) fn umbrella(s: &mut Sketch, [a, b, c]: [f32; 3]) {
    let hem = mix(0.5, 0.58, a);
    s.add(line(&[[0.5, 0.1], [0.5, 0.86]], 0.04), Paint::Accent, Volume::Flat);
    s.add(
        bow([0.5, 0.86], [0.5, 1.02], [mix(0.62, 0.7, b), 0.88], 0.04),
        Paint::Accent,
        Volume::Flat,
    );
    let mut pen = tiny_skia::PathBuilder::new();
    let top = mix(-0.3, -0.16, c);
    pen.move_to(0.0, hem);
    pen.quad_to(0.1, 0.12, 0.5, top / 2.0 + 0.16);
    pen.quad_to(0.9, 0.12, 1.0, hem);
    for x in [0.75, 0.5, 0.25, 0.0] {
        pen.quad_to(x + 0.125, hem - 0.12, x, hem);
    }
    pen.close();
    s.add(pen.finish(), Paint::Pattern, Volume::Round);
    s.detail(bow([0.5, 0.1], [0.3, 0.2], [0.25, hem], 0.014), Paint::Inside);
    s.detail(bow([0.5, 0.1], [0.7, 0.2], [0.75, hem], 0.014), Paint::Inside);
}
