//! The scores of an exact search from a GPU: most of the work of `eval::Search`, with the result
//! that its own kernel gives. Q queries, K items, D width.
#![allow(non_snake_case)]

use eval::{Candidate, EvalError, Sieve, Sifted, Sifting};
use tch::{Device, Kind, TchError, Tensor};

/// Scores and sifts on one device. The score matrix never leaves it: only counts and candidates do.
#[derive(Debug)]
pub struct GpuScores {
    device: Device,
    items_KD: Tensor,
}

impl GpuScores {
    /// Scores on `device`. Outside autocast and with TF32 off, or scores are not as close as
    /// [`eval::score_error`] says.
    pub fn new(device: Device) -> Self {
        Self { device, items_KD: Tensor::zeros([0, 0], (Kind::Float, device)) }
    }

    fn upload(&self, values: &[f32], width: usize) -> Result<Tensor, TchError> {
        let width = i64::try_from(width).unwrap_or(i64::MAX);
        Tensor::f_from_slice(values)?.f_view([-1, width])?.f_to_device(self.device)
    }

    fn try_sift(&self, sifting: &Sifting) -> Result<Sifted, TchError> {
        let _no_grad = tch::no_grad_guard();
        let queries_QD =
            self.upload(sifting.queries, sifting.queries.len() / sifting.skipped.len())?;
        let [first, len] = [sifting.items.start, sifting.items.len()]
            .map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        let items_KD = self.items_KD.f_narrow(0, first, len)?;
        let mut scores_QK = queries_QD.f_matmul(&items_KD.f_tr()?)?;

        let skipped = sifting.skipped.iter().zip(0i64..);
        let (columns, rows): (Vec<i64>, Vec<i64>) =
            skipped.filter_map(|(item, row)| Some((i64::try_from((*item)?).ok()?, row))).unzip();
        if !rows.is_empty() {
            let at = [rows, columns].map(|at| Some(Tensor::from_slice(&at).to_device(self.device)));
            let nothing = Tensor::from(f32::NEG_INFINITY).f_to_device(self.device)?;
            scores_QK = scores_QK.f_index_put_(&at, &nothing, false)?;
        }

        let mut matters_QK = scores_QK.f_ge_tensor(&self.floors(sifting, &scores_QK)?)?;
        let above = self.count(sifting, &scores_QK, &mut matters_QK)?;
        let places = Vec::<i64>::try_from(matters_QK.f_nonzero()?.f_reshape([-1])?)?;
        let scores = Vec::<f32>::try_from(scores_QK.f_masked_select(&matters_QK)?)?;
        let (places, _) = places.as_chunks::<2>();
        let candidates = places
            .iter()
            .zip(scores)
            // Both are indices of rows in memory, fewer than 2^32.
            .map(|([query, item], score)| Candidate {
                query: *query as u32,
                item: *item as u32,
                score,
            })
            .collect();
        Ok(Sifted { above, candidates })
    }

    /// Lowest score of a candidate for each query, `[Q, 1]`.
    fn floors(&self, sifting: &Sifting, scores_QK: &Tensor) -> Result<Tensor, TchError> {
        let floors = self.upload(sifting.floors, 1)?;
        let depth = i64::try_from(sifting.depth).unwrap_or(i64::MAX);
        let lowest = if sifting.floors.iter().all(|floor| floor.is_finite()) {
            return Ok(floors);
        } else if depth < scores_QK.size()[1] {
            let (best, _) = scores_QK.f_topk(depth, 1, true, true)?;
            best.f_narrow(1, depth - 1, 1)?.f_sub_scalar(f64::from(sifting.slack))?
        } else {
            floors.f_full_like(f64::from(f32::MIN))?
        };
        // Also where so many items do not exist that the last of the best is one of them.
        floors.f_maximum(&lowest)?.f_clamp_min(f64::from(f32::MIN))
    }

    /// Counts what scores above each band, and adds to `matters_QK` what scores in it.
    fn count(
        &self,
        sifting: &Sifting,
        scores_QK: &Tensor,
        matters_QK: &mut Tensor,
    ) -> Result<Vec<u32>, TchError> {
        let mut above = vec![0; sifting.bands.len()];
        // In the n-th round the n-th band of every query that has one.
        let mut rounds: Vec<Vec<usize>> = Vec::new();
        let mut nth = 0;
        for (at, (query, ..)) in sifting.bands.iter().enumerate() {
            nth = if at > 0 && sifting.bands[at - 1].0 == *query { nth + 1 } else { 0 };
            if nth == rounds.len() {
                rounds.push(Vec::new());
            }
            rounds[nth].push(at);
        }
        for bands in rounds {
            let of = |f: &dyn Fn(&(usize, f32, f32)) -> f32| -> Vec<f32> {
                bands.iter().map(|at| f(&sifting.bands[*at])).collect()
            };
            let low = self.upload(&of(&|band| band.1), 1)?;
            let high = self.upload(&of(&|band| band.2), 1)?;
            let queries: Vec<i64> = bands.iter().map(|at| sifting.bands[*at].0 as i64).collect();
            let queries = Tensor::f_from_slice(&queries)?.f_to_device(self.device)?;
            let scores = scores_QK.f_index_select(0, &queries)?;
            let counts = scores.f_gt_tensor(&high)?.f_sum_dim_intlist(1i64, false, Kind::Int64)?;
            let inside = scores.f_ge_tensor(&low)?.f_logical_and_(&scores.f_le_tensor(&high)?)?;
            let matters = matters_QK.f_index_select(0, &queries)?.f_logical_or_(&inside)?;
            let _ = matters_QK.f_index_copy_(0, &queries, &matters)?;
            for (at, count) in bands.iter().zip(Vec::<i64>::try_from(counts)?) {
                above[*at] = u32::try_from(count).unwrap_or(u32::MAX);
            }
        }
        Ok(above)
    }
}

impl Sieve for GpuScores {
    fn load(&mut self, items: &[f32], width: usize) -> Result<(), EvalError> {
        self.items_KD = self.upload(items, width).map_err(failed)?;
        Ok(())
    }

    fn sift(&mut self, sifting: &Sifting) -> Result<Sifted, EvalError> {
        self.try_sift(sifting).map_err(failed)
    }
}

fn failed(error: TchError) -> EvalError {
    EvalError::Device { problem: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eval::{Embeddings, Labels, Qrels, Search, SearchOptions, SelfMatch, search};

    /// Rows of unit norm, many of them equal or almost.
    fn rows(count: usize, distinct: i64, width: i64) -> Embeddings {
        let kinds = Tensor::randn([distinct, width], (Kind::Float, Device::Cpu));
        let size = [i64::try_from(count).expect("small")];
        let drawn = Tensor::randint(distinct, size, (Kind::Int64, Device::Cpu));
        let values = kinds.index_select(0, &drawn).view([-1]);
        let noise = (Tensor::rand_like(&values) * 3.0).floor() * 1.2e-7 + 1.0;
        let values = Vec::<f32>::try_from(values * noise).expect("floats");
        let ids = (0..count).map(|index| format!("item {index}")).collect();
        Embeddings::normalised(ids, usize::try_from(width).expect("small"), values).expect("rows")
    }

    #[test]
    fn the_ranking_is_the_one_of_the_cpu_kernel() {
        tch::manual_seed(5);
        for case in 0..8usize {
            let width = [16, 512][case % 2];
            let items = rows(700, [700, 9][case / 2 % 2], width);
            let queries = rows(40, 12, width);
            let ids = items.ids();
            let judged = queries.ids().iter().enumerate().flat_map(|(query, id)| {
                // Some queries have no relevant item, others many.
                let (step, most) = [(1, 0), (1, 1), (60, 9), (7, 90)][query % 4];
                let items = ids.iter().skip(query).step_by(step).take(most);
                items.map(move |item| (id.clone(), item.clone(), 1))
            });
            let qrels = Qrels::new(judged).expect("distinct");
            let labels = |count: usize| -> Vec<String> {
                (0..count).map(|index| (index * 7 % 3).to_string()).collect()
            };
            let labels = Labels::new(&labels(40), &labels(700));
            let options = SearchOptions {
                self_match: [SelfMatch::Keep, SelfMatch::Exclude][case / 4],
                within: (case % 4 == 3).then_some(&labels),
                ..SearchOptions::new([10, 650][case / 2 % 2])
            };
            let expected = search(&queries, &items, &qrels, &options).expect("valid");
            let process = Search::new(&queries, ids.into(), &qrels, &options).expect("valid");
            let scores = process.score_relevant(&items).expect("valid");
            let mut device = GpuScores::new(Device::Cpu);
            let partial = process.scan_on(&mut device, &items, &scores).expect("valid");
            let found = process.finish(partial).expect("whole");
            assert_eq!(found.queries(), expected.queries());
        }
    }
}
