//! The photograph of a product: it stands among other products in a lit, textured room.

use super::canvas::{Canvas, PixelBox, Place};
use super::draw::Sketch;
use super::lexicon::Size;
use super::product::{Catalogue, Product};
use super::rng::{Rng, noise};
use super::surface::{Rgb, Surface, blend};

/// Width and height of every scene.
pub(super) const SCENE_PX: usize = 160;

const TAG_SCENE: u64 = 3;
/// Distractors have numbers from here on, so that no product of the catalogue is among them.
const FIRST_DISTRACTOR: u64 = 1 << 40;

/// A finished picture and where its product is.
pub(super) struct Scene {
    pub(super) canvas: Canvas,
    pub(super) product_box: PixelBox,
}

struct Actor {
    sketch: Sketch,
    surface: Surface,
    place: Place,
}

/// Draws the scene of product `number`.
pub(super) fn draw(catalogue: &Catalogue, seed: u64, number: u64, product: &Product) -> Scene {
    let mut rng = Rng::keyed(seed, TAG_SCENE, number);
    let mut canvas = Canvas::new(SCENE_PX);
    background(&mut canvas, &mut rng);

    let target = Actor::cast(product, main_place(product, &mut rng), &mut rng);
    let target_box = extent(&target, &mut Canvas::new(SCENE_PX));
    let (behind, before) = distractors(catalogue, product, target_box, &mut rng);

    for actor in &behind {
        actor.paint(&mut canvas);
    }
    let product_box = target.paint(&mut canvas).unwrap_or(target_box);
    for actor in &before {
        actor.paint(&mut canvas);
    }
    expose(&mut canvas, &mut rng);
    Scene { canvas, product_box }
}

/// Somewhere well inside the picture, as large as the product's size says.
fn main_place(product: &Product, rng: &mut Rng) -> Place {
    let side = match product.size {
        Size::Small => rng.range(48.0, 56.0),
        Size::Medium => rng.range(66.0, 76.0),
        Size::Large => rng.range(88.0, 100.0),
    };
    let reach = side * 0.64; // the turned, stretched square stays inside
    let far = SCENE_PX as f32 - reach;
    Place {
        cx: rng.range(reach, far),
        cy: rng.range(reach, far),
        width: side * rng.range(0.92, 1.06) * if rng.chance(0.5) { -1.0 } else { 1.0 },
        height: side * rng.range(0.92, 1.06),
        tilt: rng.range(-0.14, 0.14),
    }
}

/// Two to four other products: those that hide little of the target may stand before it.
fn distractors(
    catalogue: &Catalogue,
    product: &Product,
    target_box: PixelBox,
    rng: &mut Rng,
) -> (Vec<Actor>, Vec<Actor>) {
    let (mut behind, mut before) = (Vec::new(), Vec::new());
    let wanted = 2 + rng.below(3);
    for _ in 0..40 {
        if behind.len() + before.len() == wanted {
            break;
        }
        let other = catalogue.product(FIRST_DISTRACTOR + rng.below(1 << 40) as u64);
        let side = rng.range(34.0, 70.0);
        let edge = SCENE_PX as f32;
        let place = Place {
            cx: rng.range(0.0, edge),
            cy: rng.range(0.0, edge),
            width: side * if rng.chance(0.5) { -1.0 } else { 1.0 },
            height: side,
            tilt: rng.range(-0.3, 0.3),
        };
        if other.kind.name == product.kind.name {
            continue;
        }
        let actor = Actor::cast(&other, place, rng);
        let hidden = extent(&actor, &mut Canvas::new(SCENE_PX)).overlap(target_box) as f32
            / target_box.area() as f32;
        if hidden < 0.05 && rng.chance(0.5) {
            before.push(actor);
        } else if hidden < 0.35 {
            behind.push(actor);
        }
    }
    (behind, before)
}

/// The box an actor takes on an empty canvas; the middle pixel when it is out of the picture.
fn extent(actor: &Actor, canvas: &mut Canvas) -> PixelBox {
    let middle = SCENE_PX / 2;
    actor.paint(canvas).unwrap_or(PixelBox {
        x0: middle,
        y0: middle,
        x1: middle + 1,
        y1: middle + 1,
    })
}

impl Actor {
    fn cast(product: &Product, place: Place, rng: &mut Rng) -> Actor {
        let mut sketch = Sketch::default();
        (product.kind.draw)(&mut sketch, product.knobs);
        let surface = Surface {
            first: jitter(product.colour.rgb, rng),
            second: jitter(product.second.rgb, rng),
            pattern: product.pattern,
            material: product.material,
            period: rng.range(0.2, 0.25),
            phase: rng.unit(),
            salt: rng.below(1 << 30) as u32, // below 2^30: fits
        };
        Actor { sketch, surface, place }
    }

    fn paint(&self, canvas: &mut Canvas) -> Option<PixelBox> {
        canvas.stamp(&self.sketch, &self.surface, self.place)
    }
}

/// No two dye lots are alike.
fn jitter(rgb: Rgb, rng: &mut Rng) -> Rgb {
    let gain = rng.range(0.9, 1.08);
    rgb.map(|channel| (channel * gain + rng.range(-10.0, 10.0)).clamp(0.0, 255.0))
}

/// A wall that fades into another tint, with a floor, planks, tiles or clouds on it.
fn background(canvas: &mut Canvas, rng: &mut Rng) {
    let base = rng.range(120.0, 215.0);
    let tint = |rng: &mut Rng| [0; 3].map(|_| base + rng.range(-32.0, 32.0));
    let (top, bottom) = (tint(rng), tint(rng));
    let style = rng.below(5);
    let salt = rng.below(1 << 30) as u32; // below 2^30: fits
    let floor = rng.range(0.55, 0.85);
    let step = rng.range(14.0, 30.0);
    let side = canvas.side;
    for (index, pixel) in canvas.pixels.iter_mut().enumerate() {
        let (x, y) = ((index % side) as f32, (index / side) as f32);
        let down = y / side as f32;
        let mut rgb = blend(top, bottom, down);
        let seam = |at: f32| at - (at / step).floor() * step < 1.5;
        let shade = match style {
            0 => 1.0,
            1 if down > floor => 0.78,
            1 => 1.0,
            2 if seam(y) => 0.84,
            2 => 0.92 + 0.14 * noise(x * 0.02, (y / step).floor() * 7.0, salt),
            3 if seam(x) || seam(y) => 0.86,
            3 => 1.0,
            _ => 0.8 + 0.36 * noise(x * 0.05, y * 0.05, salt),
        };
        rgb = rgb.map(|channel| channel * shade);
        *pixel = rgb;
    }
}

/// The camera: brightness, a colour cast, one side lit more than the other, and grain.
fn expose(canvas: &mut Canvas, rng: &mut Rng) {
    let gain = rng.range(0.82, 1.1);
    let cast = [0; 3].map(|_| gain * rng.range(0.95, 1.05));
    let slope = rng.range(-0.1, 0.1);
    let grain = rng.range(3.0, 9.0);
    let side = canvas.side;
    for (index, pixel) in canvas.pixels.iter_mut().enumerate() {
        let across = 1.0 + slope * ((index % side) as f32 / side as f32 - 0.5) * 2.0;
        let speck = grain * (rng.unit() + rng.unit() - 1.0);
        *pixel = [0, 1, 2].map(|c| (pixel[c] * cast[c] * across + speck).clamp(0.0, 255.0));
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_box_is_as_tight_as_the_product() {
        let catalogue = Catalogue::new(0);
        for number in 0..150 {
            let product = catalogue.product(number);
            let mut rng = Rng::keyed(0, 77, number);
            let actor = Actor::cast(&product, main_place(&product, &mut rng), &mut rng);
            let green = [0.0, 255.0, 0.5];
            let mut canvas = Canvas::new(SCENE_PX);
            canvas.pixels.fill(green);
            let found = actor.paint(&mut canvas).unwrap();
            let painted: Vec<(usize, usize)> = (0..SCENE_PX * SCENE_PX)
                .filter(|&index| canvas.pixels[index] != green)
                .map(|index| (index % SCENE_PX, index / SCENE_PX))
                .collect();
            let name = product.kind.name;
            for &(x, y) in &painted {
                // Pixels covered by less than half may stick out by one.
                assert!(x + 1 >= found.x0 && x <= found.x1, "{name}: x {x} of {found:?}");
                assert!(y + 1 >= found.y0 && y <= found.y1, "{name}: y {y} of {found:?}");
            }
            assert!(painted.len() * 100 > found.area() * 30, "{name} hardly fills {found:?}");
            let (width, height) = (found.x1 - found.x0, found.y1 - found.y0);
            let longer_by = width.max(height) as f32 / width.min(height) as f32;
            assert!(longer_by < 2.0, "{name} is {width} x {height}: a square crop would cut it");
        }
    }

    #[test]
    fn scenes_are_the_same_on_every_machine() {
        let catalogue = Catalogue::new(0);
        let mut hash = Sha256::new();
        for number in 0..40 {
            let product = catalogue.product(number);
            hash.update(draw(&catalogue, 0, number, &product).canvas.bytes());
        }
        let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        // When this moves on purpose, raise GENERATOR_VERSION.
        assert_eq!(hex, "cfd2a7828f5e82a78f935a0181056a350b344c24554f4933da8044285caded70");
    }
}
