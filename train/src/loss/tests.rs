//! The losses against dense autograd of their definitions, on one rank and on several.

use super::*;
use configs::{Duplicates, Positives};
use std::sync::mpsc::{Receiver, Sender, channel};
use tch::{Device, Kind};

const F64: (Kind, Device) = (Kind::Double, Device::Cpu);

/// Two products on three rows in all, two captions on two rows each, of which one pair shares the
/// product too: rows 0-5 by caption, 0-2 by product, 1-4 by both.
const PRODUCTS: [u64; 8] = [1, 2, 1, 4, 2, 6, 7, 8];
const CAPTIONS: [u64; 8] = [1, 2, 3, 4, 2, 1, 7, 1];
const WEIGHTS: [f32; 8] = [1.0, 0.5, 2.0, 1.0, 0.0, 3.0, 1.0, 0.25];

fn unit(b: i64, d: i64, seed: i64) -> Tensor {
    // A fixed irrational sequence instead of the global generator, which tests share.
    let x = ((Tensor::arange(b * d, F64) + 1.0) * (12.9898 + seed as f64)).sin() * 43758.5453;
    let x = (&x - x.floor() - 0.5).view([b, d]);
    &x / x.square().sum_dim_intlist([1i64].as_slice(), true, None::<Kind>).sqrt()
}

fn diff(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    f64::try_from((a - b).abs().max()).unwrap()
}

/// A batch of all ranks.
struct Case {
    products: Vec<u64>,
    captions: Vec<u64>,
    weights: Vec<f32>,
    image: Tensor,
    text: Tensor,
    scale: f64,
    bias: f64,
}

impl Case {
    fn new(products: &[u64], captions: &[u64], weights: &[f32]) -> Self {
        let b = products.len() as i64;
        Self {
            products: products.to_vec(),
            captions: captions.to_vec(),
            weights: weights.to_vec(),
            image: unit(b, 5, 1),
            text: unit(b, 5, 2),
            scale: 1.7,
            bias: -0.9,
        }
    }

    fn copy(&self) -> Self {
        let (image, text) = (self.image.copy(), self.text.copy());
        let (products, captions) = (self.products.clone(), self.captions.clone());
        Self { products, captions, weights: self.weights.clone(), image, text, ..*self }
    }

    fn len(&self) -> usize {
        self.products.len()
    }

    /// N x N values of `f`.
    fn matrix(&self, f: impl Fn(usize, usize) -> f64) -> Tensor {
        let n = self.len();
        let values: Vec<f64> = (0..n * n).map(|at| f(at / n, at % n)).collect();
        Tensor::from_slice(&values).view([n as i64, n as i64])
    }

    /// The definition, with the whole matrix and autograd: the loss and its gradients.
    fn dense(&self, cfg: &Loss) -> Found {
        let n = self.len();
        let product = |i: usize, j: usize| self.products[i] == self.products[j];
        let caption = |i: usize, j: usize| self.captions[i] == self.captions[j];
        let duplicate = |i: usize, j: usize| {
            i != j
                && match cfg.duplicates {
                    Duplicates::Product => product(i, j),
                    Duplicates::Caption => caption(i, j),
                    Duplicates::ProductOrCaption => product(i, j) || caption(i, j),
                }
        };
        let masked = |i, j| cfg.positives == Positives::Mask && duplicate(i, j);
        let positive = |i, j| i == j || cfg.positives == Positives::Share && duplicate(i, j);
        let count = |f: &dyn Fn(usize) -> bool| (0..n).filter(|&j| f(j)).count() as f64;
        let (w, e) = (|i: usize| f64::from(self.weights[i]), cfg.label_smoothing);
        let flag = |yes: bool| f64::from(u8::from(yes));
        let hidden = self.matrix(|i, j| flag(masked(i, j))).to_kind(Kind::Bool);

        let image = self.image.copy().set_requires_grad(true);
        let text = self.text.copy().set_requires_grad(true);
        let scale = Tensor::from(self.scale).set_requires_grad(true);
        let bias = Tensor::from(self.bias).set_requires_grad(true);
        let z = scale.exp() * image.matmul(&text.transpose(0, 1));
        let loss = match cfg.kind {
            LossKind::InfoNce => {
                let z = z.masked_fill(&hidden, f64::NEG_INFINITY);
                let target = self.matrix(|i, j| {
                    let share = flag(positive(i, j)) / count(&|j| positive(i, j));
                    let even = flag(!masked(i, j)) / count(&|j| !masked(i, j));
                    w(i) * ((1.0 - e) * share + e * even)
                });
                let direction = |z: &Tensor| {
                    let log_p = z.log_softmax(1, None::<Kind>).masked_fill(&hidden, 0.0);
                    -(log_p * &target).sum(None::<Kind>)
                };
                direction(&z) + direction(&z.transpose(0, 1))
            }
            LossKind::Siglip => {
                let target = self.matrix(|i, j| flag(positive(i, j)) * (1.0 - e) + e / 2.0);
                let weight = self.matrix(|i, j| flag(!masked(i, j)) * (w(i) + w(j)));
                (z + &bias).binary_cross_entropy_with_logits(
                    &target,
                    Some(&weight),
                    None::<&Tensor>,
                    tch::Reduction::Sum,
                )
            }
        } / (2.0 * n as f64);
        loss.backward();
        Found {
            loss: loss.detach(),
            image: image.grad(),
            text: text.grad(),
            scale: scale.grad(),
            bias: (cfg.kind == LossKind::Siglip).then(|| bias.grad()),
        }
    }

    /// What one rank finds, in `kind`.
    fn rank(&self, cfg: &Loss, kind: Kind, ranks: &dyn Ranks) -> LossGrad {
        let len = self.len() / ranks.world();
        let start = len * ranks.rank();
        let side = |x: &Tensor| x.narrow(0, start as i64, len as i64).to_kind(kind);
        let pair = Pair { image_BD: side(&self.image), text_BD: side(&self.text) };
        let (products, captions, weights) = (&self.products, &self.captions, &self.weights);
        let own = start..start + len;
        let rows = Rows::new(products, captions, weights, own, cfg, &pair.image_BD);
        let scalar = |x: f64| Tensor::from(x).to_kind(kind);
        let bias = scalar(self.bias);
        contrastive(&pair, &scalar(self.scale), Some(&bias), &rows, cfg, ranks).unwrap()
    }

    fn alone(&self, cfg: &Loss) -> Found {
        Found::cat(vec![self.rank(cfg, Kind::Double, &Alone)])
    }

    /// What `world` threads find, each with its rows.
    fn together(&self, cfg: &Loss, world: usize) -> Found {
        let found = std::thread::scope(|scope| {
            let threads: Vec<_> = Member::group(world)
                .into_iter()
                .map(|member| {
                    let case = self.copy(); // tensors are not shared between threads
                    scope.spawn(move || case.rank(cfg, Kind::Double, &member))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        Found::cat(found)
    }
}

/// A loss and its gradients at the features of all ranks.
struct Found {
    loss: Tensor,
    image: Tensor,
    text: Tensor,
    scale: Tensor,
    bias: Option<Tensor>,
}

impl Found {
    /// The rows of all ranks; their scalars are the same.
    fn cat(ranks: Vec<LossGrad>) -> Self {
        let side = |f: fn(&Pair) -> &Tensor| {
            Tensor::cat(&ranks.iter().map(|r| f(&r.grad_BD).shallow_clone()).collect::<Vec<_>>(), 0)
        };
        let (image, text) = (side(|pair| &pair.image_BD), side(|pair| &pair.text_BD));
        for rank in &ranks[1..] {
            assert_eq!(rank.loss, ranks[0].loss);
            assert_eq!(rank.grad_logit_scale, ranks[0].grad_logit_scale);
            assert_eq!(rank.grad_logit_bias, ranks[0].grad_logit_bias);
        }
        let first = ranks.into_iter().next().unwrap();
        let (loss, scale, bias) = (first.loss, first.grad_logit_scale, first.grad_logit_bias);
        Self { loss, image, text, scale, bias }
    }

    /// The largest difference of any number.
    fn diff(&self, other: &Self) -> f64 {
        let bias = match (&self.bias, &other.bias) {
            (Some(a), Some(b)) => diff(a, b),
            (None, None) => 0.0,
            _ => f64::INFINITY,
        };
        let (loss, scale) = (diff(&self.loss, &other.loss), diff(&self.scale, &other.scale));
        [diff(&self.image, &other.image), diff(&self.text, &other.text), loss, scale, bias]
            .into_iter()
            .fold(0.0, |worst, x| if x > worst || x.is_nan() { x } else { worst })
    }
}

/// A thread that plays a rank: a channel to and from every rank, itself included. A thread that
/// panics hangs up, so that the others fail instead of waiting.
struct Member {
    rank: usize,
    to: Vec<Sender<Tensor>>,
    from: Vec<Receiver<Tensor>>,
}

impl Member {
    /// All members of a group.
    fn group(world: usize) -> Vec<Self> {
        let mut members: Vec<Self> =
            (0..world).map(|rank| Self { rank, to: Vec::new(), from: Vec::new() }).collect();
        for source in 0..world {
            for target in 0..world {
                let (sender, receiver) = channel();
                members[source].to.push(sender);
                members[target].from.push(receiver);
            }
        }
        members
    }

    /// The tensors of all ranks.
    fn swap(&self, mine: &Tensor) -> Vec<Tensor> {
        self.to.iter().for_each(|rank| rank.send(mine.copy()).unwrap());
        self.from.iter().map(|rank| rank.recv().unwrap()).collect()
    }
}

impl Ranks for Member {
    fn rank(&self) -> usize {
        self.rank
    }

    fn world(&self) -> usize {
        self.to.len()
    }

    fn all_gather(&self, rows: &Tensor) -> Result<Tensor, NativeError> {
        Ok(Tensor::cat(&self.swap(rows), 0))
    }

    fn all_reduce(&self, sum: &mut Tensor) -> Result<(), NativeError> {
        let all = self.swap(sum);
        let total = all.iter().skip(1).fold(all[0].copy(), |total, x| total + x);
        sum.copy_(&total);
        Ok(())
    }
}

/// Every combination of settings that changes a target or a mask.
fn settings() -> Vec<Loss> {
    let mut all = Vec::new();
    for kind in [LossKind::InfoNce, LossKind::Siglip] {
        for positives in [Positives::Mask, Positives::Share, Positives::Ignore] {
            for duplicates in
                [Duplicates::Product, Duplicates::Caption, Duplicates::ProductOrCaption]
            {
                for label_smoothing in [0.0, 0.1] {
                    let cfg = Loss::default();
                    all.push(Loss { kind, positives, duplicates, label_smoothing, ..cfg });
                }
            }
        }
    }
    all
}

#[test]
fn equal_autograd_of_their_definitions_on_any_number_of_ranks() {
    for weights in [[1.0; 8], WEIGHTS] {
        let case = Case::new(&PRODUCTS, &CAPTIONS, &weights);
        for cfg in settings() {
            let expected = case.dense(&cfg);
            for tile in [1, 3, 7, 100] {
                let cfg = Loss { tile, ..cfg };
                for world in [1, 2, 4] {
                    let worst = case.together(&cfg, world).diff(&expected);
                    assert!(worst < 1e-14, "{cfg:?} world {world}: {worst:e}");
                }
            }
        }
    }
}

#[test]
fn batches_without_duplicates_and_batches_of_one_product() {
    let (alone, one) = ([1, 2, 3, 4, 5, 6, 7, 8], [9; 8]);
    for (products, captions) in [(alone, alone), (one, alone), (one, one)] {
        let case = Case::new(&products, &captions, &WEIGHTS);
        for cfg in settings() {
            let expected = case.dense(&cfg);
            for world in [1, 2] {
                let worst = case.together(&Loss { tile: 3, ..cfg }, world).diff(&expected);
                assert!(worst < 1e-14, "{cfg:?} world {world}: {worst:e}");
            }
        }
    }
}

#[test]
fn settings_change_the_loss() {
    // Or the tests above compare one number over and over.
    let case = Case::new(&PRODUCTS, &CAPTIONS, &WEIGHTS);
    let losses: Vec<f64> = settings()
        .into_iter()
        .filter(|cfg| cfg.positives != Positives::Ignore || cfg.duplicates == Duplicates::Product)
        .map(|cfg| f64::try_from(&case.alone(&cfg).loss).unwrap())
        .collect();
    for (n, a) in losses.iter().enumerate() {
        assert!(losses[..n].iter().all(|b| (a - b).abs() > 1e-6), "{losses:?}");
    }
}

#[test]
fn smoothed_info_nce_is_the_mean_of_two_cross_entropies_of_torch() {
    let case = Case::new(&PRODUCTS, &CAPTIONS, &[1.0; 8]);
    let cfg = Loss { positives: Positives::Ignore, label_smoothing: 0.1, ..Loss::default() };
    let z = case.image.matmul(&case.text.transpose(0, 1)) * case.scale.exp();
    let target = Tensor::arange(8, (Kind::Int64, Device::Cpu));
    let cross_entropy = |z: &Tensor| {
        z.cross_entropy_loss(&target, None::<&Tensor>, tch::Reduction::Mean, -100, 0.1)
    };
    let expected = (cross_entropy(&z) + cross_entropy(&z.transpose(0, 1))) / 2.0;
    assert!(diff(&case.alone(&cfg).loss, &expected) < 1e-14);
}

#[test]
fn siglip_is_the_loss_of_its_paper() {
    // As open_clip's SigLipLoss: −Σ log σ(± x) / N, + on the diagonal.
    let case = Case::new(&PRODUCTS, &CAPTIONS, &[1.0; 8]);
    let cfg = Loss { kind: LossKind::Siglip, positives: Positives::Ignore, ..Loss::default() };
    let z = case.image.matmul(&case.text.transpose(0, 1)) * case.scale.exp();
    let sign = Tensor::eye(8, F64) * 2.0 - 1.0;
    let expected = -((z + case.bias) * sign).log_sigmoid().sum(None::<Kind>) / 8.0;
    assert!(diff(&case.alone(&cfg).loss, &expected) < 1e-14);
}

#[test]
fn equal_vectors_give_ln_b() {
    let mut case = Case::new(&[0, 1, 2, 3, 4, 5, 6, 7], &PRODUCTS, &[1.0; 8]);
    (case.image, case.text) = (Tensor::ones([8, 1], F64), Tensor::ones([8, 1], F64));
    let cfg = Loss { duplicates: Duplicates::Product, tile: 3, ..Loss::default() };
    assert!((f64::try_from(&case.alone(&cfg).loss).unwrap() - 8f64.ln()).abs() < 1e-14);
}

#[test]
fn a_batch_of_one_product_has_no_negatives() {
    let case = Case::new(&[9; 4], &[1, 2, 3, 4], &[1.0; 4]);
    for label_smoothing in [0.0, 0.1] {
        let found = case.alone(&Loss { label_smoothing, tile: 2, ..Loss::default() });
        assert!(f64::try_from(&found.loss).unwrap().abs() < 1e-14);
        assert!(f64::try_from(found.image.abs().max()).unwrap() < 1e-14);
    }
}

#[test]
fn f32_keeps_five_digits_at_the_greatest_scale() {
    // Texts near their pictures, as after training: the loss is small and a_i − z_ii would cancel.
    let n: u64 = 96;
    let keys: Vec<u64> = (0..n).map(|row| row / 2 * (row % 3)).collect();
    let weights: Vec<f32> = (0..n).map(|row| 0.5 + row as f32 / n as f32).collect();
    let mut case = Case::new(&keys, &keys, &weights);
    case.image = unit(n as i64, 64, 1);
    let near = &case.image + unit(n as i64, 64, 2) * 0.7;
    case.text = &near / near.square().sum_dim_intlist([1i64].as_slice(), true, None::<Kind>).sqrt();
    // Both sides see the same f32 features.
    (case.image, case.text) = (as_f32(&case.image), as_f32(&case.text));
    (case.scale, case.bias) = (f64::from(100f32.ln()), -10.0);
    for cfg in settings() {
        let cfg = Loss { tile: 40, ..cfg };
        let expected = case.alone(&cfg);
        let found = Found::cat(vec![case.rank(&cfg, Kind::Float, &Alone)]);
        let error = |a: &Tensor, b: &Tensor| {
            f64::try_from((a.to_kind(Kind::Double) - b).norm() / b.norm()).unwrap()
        };
        let loss = error(&found.loss, &expected.loss);
        let image = error(&found.image, &expected.image);
        let text = error(&found.text, &expected.text);
        assert!(loss < 1e-5 && image < 1e-5 && text < 1e-5, "{cfg:?}: {loss:e} {image:e} {text:e}");
    }
}

/// The nearest f32 values, in f64.
fn as_f32(x: &Tensor) -> Tensor {
    x.to_kind(Kind::Float).to_kind(Kind::Double)
}
