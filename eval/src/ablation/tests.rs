//! Experiments made by hand: what was put in is found, what cannot be compared is refused.

use super::*;
use crate::testing::{Random, embeddings};
use crate::{EvaluateOptions, Labels, Qrels, SearchOptions, Subject, evaluate, search};

const QUERIES: usize = 120;

/// One report with a task of [`QUERIES`] queries, two thirds of them `given`, the others `no_box`,
/// whose `hits@1` are replaced by `values`.
fn report(values: &[f64]) -> Report {
    let rows: Vec<Vec<f32>> =
        (0..QUERIES).map(|at| [(at as f32).cos(), (at as f32).sin()].to_vec()).collect();
    let rows = embeddings("d", &rows);
    let qrels = Qrels::new(rows.ids().iter().map(|id| (id.clone(), id.clone(), 1)));
    let ranking = search(&rows, &rows, &qrels.expect("valid"), &SearchOptions::new(5));
    let label = |at: usize| Some(if at.is_multiple_of(3) { "no_box" } else { "given" }.to_owned());
    let options = EvaluateOptions {
        slices: vec![Labels {
            column: "grounding".into(),
            values: (0..QUERIES).map(label).collect(),
        }],
        bootstrap: Bootstrap { resamples: 0, ..Bootstrap::default() },
        ..EvaluateOptions::new(&[1])
    };
    let mut task = evaluate(&ranking.expect("valid"), &options).expect("valid");
    task.per_query.values.insert("hits@1".into(), values.to_vec());
    let tasks = BTreeMap::from([("t".to_owned(), task)]);
    Report::new(Subject::default(), &Bootstrap::default(), tasks).expect("usable name")
}

fn design() -> Design {
    let arm = |name: &str, factors: &[&str]| ArmDesign {
        name: name.into(),
        factors: factors.iter().map(|factor| (*factor).into()).collect(),
        settings: vec![format!("data.x=<{name}>")],
    };
    let removal = |factor: &str, change: &str| ReportedRemoval {
        factor: factor.into(),
        changes: BTreeMap::from([("hits@1".to_owned(), change.to_owned())]),
    };
    Design {
        name: "made <by> hand".into(),
        command: "vlclip ablate x.yaml".into(),
        arms: vec![
            arm("full", &["grounding", "refinement"]),
            arm("no-crop", &["refinement"]),
            arm("no-text", &["grounding"]),
            arm("none", &[]),
        ],
        seeds: vec![0, 1, 2],
        reference: "full".into(),
        metrics: vec!["t/hits@1".into()],
        reported: Some(ReportedEffects {
            source: "someone & others".into(),
            removals: vec![removal("grounding", "-15 %"), removal("refinement", "-7 %")],
        }),
    }
}

/// Reports of [`design`] in which grounding adds `grounding`, to `given` queries alone, and
/// refinement `refinement`.
fn reports(grounding: f64, refinement: f64) -> Vec<Vec<Report>> {
    let mut random = Random::new(5);
    let mut noise = |scale: f64| (f64::from(random.uniform()) - 0.5) * scale;
    let hardness: Vec<f64> = (0..QUERIES).map(|_| noise(0.4)).collect();
    let run = |arm: &ArmDesign, noise: &mut dyn FnMut(f64) -> f64| {
        let has = |name: &str| f64::from(u8::from(arm.factors.iter().any(|f| f == name)));
        let shift = noise(0.01);
        let values: Vec<f64> = (0..QUERIES)
            .map(|at| {
                let crop = if at.is_multiple_of(3) { 0.0 } else { grounding * has("grounding") };
                let text = refinement * has("refinement");
                0.4 + hardness[at] + crop + text + shift + noise(0.05)
            })
            .collect();
        report(&values)
    };
    let design = design();
    let arm = |arm: &ArmDesign| (0..3).map(|_| run(arm, &mut noise)).collect();
    design.arms.iter().map(arm).collect()
}

fn found(grounding: f64, refinement: f64) -> Ablation {
    let bootstrap = Bootstrap { resamples: 500, ..Bootstrap::default() };
    Ablation::new(design(), &reports(grounding, refinement), &bootstrap).expect("comparable")
}

fn contrast<'a>(contrasts: &'a [Contrast], kind: ContrastKind, name: &str) -> &'a Contrast {
    of_kind(contrasts, kind).into_iter().find(|found| found.name == name).expect("listed")
}

#[test]
fn what_was_put_in_comes_out_over_all_and_by_stratum() {
    let ablation = found(0.3, 0.05);
    let metric = &ablation.metrics[0];
    let near = |contrasts: &[Contrast], kind, name: &str, expected: f64| {
        let found = contrast(contrasts, kind, name);
        assert!((found.value - expected).abs() < 0.02, "{kind:?} {name}: {found:?}");
        let mean = found.per_seed.iter().sum::<f64>() / 3.0;
        assert!((found.value - mean).abs() < 1e-12);
        let [low, high] = found.interval.expect("it varies");
        assert!(low < found.value && found.value < high && high - low < 0.06, "{found:?}");
    };
    let all = &metric.contrasts;
    near(all, ContrastKind::Effect, "grounding", 0.2);
    near(all, ContrastKind::Effect, "refinement", 0.05);
    near(all, ContrastKind::Interaction, "grounding x refinement", 0.0);
    near(all, ContrastKind::Lead, "grounding - refinement", 0.15);
    near(all, ContrastKind::Difference, "none", -0.25);
    near(all, ContrastKind::Removal, "grounding", -0.2);
    near(all, ContrastKind::Removal, "refinement", -0.05);
    near(all, ContrastKind::Sequence, "grounding - refinement", 0.15);
    let strata = &metric.strata["grounding"];
    let of = |label: &str| {
        strata.iter().find(|stratum| stratum.label.as_deref() == Some(label)).expect("a stratum")
    };
    assert_eq!((of("given").queries, of("no_box").queries), (80, 40));
    near(&of("given").contrasts, ContrastKind::Effect, "grounding", 0.3);
    near(&of("no_box").contrasts, ContrastKind::Effect, "grounding", 0.0);
    assert_eq!(ablation, found(0.3, 0.05), "the same again");
}

#[test]
fn the_verdict_follows_from_the_intervals() {
    let verdict = |grounding, refinement| {
        found(grounding, refinement).metrics.remove(0).verdict.expect("something was reported")
    };
    let reproduced = verdict(0.3, 0.05);
    assert_eq!(reproduced.outcome, Outcome::Reproduced);
    let start = "The reported direction is reproduced (t/hits@1): grounding helps (+0.";
    assert!(reproduced.sentence.starts_with(start), "{}", reproduced.sentence);
    for words in [
        "; grounding, taken away before refinement, costs more than refinement thereafter (+0.1",
        "; by their effects, grounding matters more than refinement (+0.1",
    ] {
        assert!(reproduced.sentence.contains(words), "{}", reproduced.sentence);
    }
    let swapped = verdict(0.05, 0.2);
    assert_eq!(swapped.outcome, Outcome::Contradicted);
    assert!(
        swapped.sentence.contains("by their effects, grounding matters less than refinement (-0.1")
    );
    let harms = verdict(0.3, -0.05);
    assert_eq!(harms.outcome, Outcome::Contradicted);
    assert!(harms.sentence.contains("refinement harms (-0.0"), "{}", harms.sentence);
    // 0.15 over two thirds of the queries is 0.1 over all.
    let even = verdict(0.15, 0.1);
    assert_eq!(even.outcome, Outcome::CannotTell);
    let words = "by their effects, it cannot be told whether grounding matters more (";
    assert!(even.sentence.contains(words), "{}", even.sentence);
}

/// Grounding that helps only captions that were refined: gone first, it takes the other's gain along.
#[test]
fn where_factors_need_each_other_the_order_of_removals_decides() {
    let mut reports = reports(0.0, 0.15);
    for report in &mut reports[0] {
        let task = report.tasks.get_mut("t").expect("there");
        let values = task.per_query.values.get_mut("hits@1").expect("there");
        values.iter_mut().for_each(|value| *value += 0.4);
    }
    let bootstrap = Bootstrap { resamples: 500, ..Bootstrap::default() };
    let found = Ablation::new(design(), &reports, &bootstrap).expect("comparable");
    let verdict = found.metrics[0].verdict.clone().expect("something was reported");
    assert_eq!(verdict.outcome, Outcome::Depends, "{}", verdict.sentence);
    for words in [
        "holds depends on how it is measured (t/hits@1): grounding helps (+0.2",
        "grounding, taken away before refinement, costs more than refinement thereafter (+0.2",
        "by their effects, grounding matters less than refinement (-0.1",
    ] {
        assert!(verdict.sentence.contains(words), "{words}: {}", verdict.sentence);
    }
}

#[test]
fn runs_that_cannot_be_compared_are_named() {
    let bootstrap = Bootstrap { resamples: 0, ..Bootstrap::default() };
    let message = |reports: &[Vec<Report>], metric: &str| {
        let design = Design { metrics: vec![metric.into()], ..design() };
        Ablation::new(design, reports, &bootstrap).expect_err("refused").to_string()
    };
    let good = reports(0.1, 0.1);
    assert_eq!(
        message(&good, "u/mrr"),
        "arm `full` with seed 0 has no `u`: evaluate it on the same tasks as the others"
    );
    assert!(message(&good, "t/hits@7").contains("has no `t/hits@7`"));
    let mut short = good.clone();
    short[2].pop();
    assert!(message(&short, "t/hits@1").starts_with("arm `no-text` with seed 2 has no `t`"));
    let change = |what: &dyn Fn(&mut crate::TaskReport)| {
        let mut reports = good.clone();
        what(reports[1][2].tasks.get_mut("t").expect("there"));
        message(&reports, "t/hits@1")
    };
    for (found, what) in [
        (change(&|task| task.per_query.ids.swap(0, 1)), "other queries"),
        (change(&|task| task.digests.items.push('0')), "another pool"),
        (change(&|task| task.digests.relevance.push('0')), "other judgements"),
        (change(&|task| task.per_query.labels.clear()), "other labels of the slices"),
    ] {
        let start = format!(
            "task `t`: arm `no-crop` with seed 2 was measured on {what} than the first run"
        );
        assert!(found.starts_with(&start), "{found}");
    }
}

#[test]
fn the_files_say_it_all_and_need_nothing() {
    let ablation = found(0.3, 0.05);
    let dir = tempfile::tempdir().expect("temporary folder");
    ablation.write(dir.path()).expect("written");
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).expect("written");
    let back: Ablation = serde_json::from_str(&read("ablation.json")).expect("valid");
    assert_eq!(back, ablation);
    let (markdown, html) = (read("ablation.md"), read("ablation.html"));
    assert!(markdown.starts_with("# Ablation: made <by> hand\n\n- The reported direction is"));
    for text in [
        "effect: grounding",
        "interaction: grounding x refinement",
        "removal: refinement",
        "seed 2",
        "-15 %",
        "### t/hits@1: grounding no_box, 40 queries",
        "Rao and Wu",
    ] {
        assert!(markdown.contains(text), "{text}: {markdown}");
    }
    for text in ["made &lt;by&gt; hand", "someone &amp; others", "-15 %", "Seed 2", "Rao and Wu"] {
        assert!(html.contains(text), "{text}");
    }
    for foreign in ["<script", "http:", "https:", "@import", "url(", "NaN"] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    let rows = |text: &str| markdown.lines().filter(|line| line.contains(text)).count();
    assert_eq!(rows("removal: grounding"), 3, "over all queries and two strata");
}
