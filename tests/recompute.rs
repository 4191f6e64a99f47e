//! Computing activations again changes no gradient.

use crate::tiny;
use configs::{Freeze, FreezeTower, Precision, Recompute};
use tch::{Kind, Tensor};

/// The gradients of all parameters, undefined for those that are frozen.
fn gradients(
    kind: Kind,
    recompute: Recompute,
    freeze: &Freeze,
    micro: usize,
    precision: Precision,
) -> Vec<(String, Tensor)> {
    let mut model = tiny::clip(kind);
    model.freeze(freeze);
    model.set_recompute(recompute);
    let (cfg, rows) = (configs::Loss::default(), tiny::rows(kind));
    tiny::accumulate_in(precision, None, &model, &tiny::inputs(), &rows, micro, &cfg);
    model.params().iter().map(|p| (p.name.clone(), p.value.grad())).collect()
}

fn no_bit_differs(kind: Kind, precision: Precision) {
    let none = Freeze::default();
    let block = Freeze { image: FreezeTower::Blocks(1), text: FreezeTower::Blocks(1) };
    let tower = Freeze { image: FreezeTower::All, text: FreezeTower::None };
    for (freeze, micro) in [(none, tiny::ROWS), (none, 5), (block, 6), (tower, tiny::ROWS)] {
        let of = |recompute| gradients(kind, recompute, &freeze, micro, precision);
        let (expected, found) = (of(Recompute::None), of(Recompute::Blocks));
        let learn = expected.iter().filter(|(_, grad)| grad.defined()).count();
        assert!(learn > 10, "{freeze:?}: {learn} gradients");
        for ((name, expected), (_, found)) in expected.iter().zip(&found) {
            assert_eq!(expected.defined(), found.defined(), "{name}");
            if expected.defined() {
                assert!(expected.equal(found), "{kind:?} {precision:?} {freeze:?} {micro} {name}");
            }
        }
    }
}

#[test]
fn same_in_f64() {
    no_bit_differs(Kind::Double, Precision::F32);
}

#[test]
fn same_in_f32() {
    no_bit_differs(Kind::Float, Precision::F32);
}

#[test]
fn same_in_bfloat16_by_autocast() {
    no_bit_differs(Kind::Float, Precision::Bf16);
}

#[test]
fn same_in_bfloat16_throughout() {
    no_bit_differs(Kind::BFloat16, Precision::PureBf16);
}
