//! Draws and lists of a row's captions.

use super::*;
use crate::Purpose;
use serde_json::{Value, json};

fn plan(choice: Value) -> Arc<CaptionPlan> {
    Arc::new(CaptionPlan::new(&serde_json::from_value(choice).unwrap()))
}

/// A row with these texts in the plan's columns; other columns are empty.
fn row(plan: &Arc<CaptionPlan>, cells: &[(&str, &[&str])]) -> RowCaptions {
    let texts = plan.columns().iter().map(|name| {
        let cell = cells.iter().find(|(column, _)| column == name);
        cell.map_or(vec![], |(_, texts)| texts.iter().map(|&t| t.to_owned()).collect())
    });
    RowCaptions::new(plan.clone(), texts)
}

fn rng(purpose: Purpose, number: u64) -> Rng {
    Rng::new(purpose, &[3, 0, number])
}

fn draw(row: &RowCaptions, number: u64) -> String {
    row.draw(&mut rng(Purpose::Sample, number), &mut rng(Purpose::Caption, number)).unwrap()
}

/// How often each text is drawn among 20,000 numbers.
fn frequencies(row: &RowCaptions) -> Vec<(String, f64)> {
    let mut counts = std::collections::BTreeMap::new();
    (0..20_000).for_each(|number| *counts.entry(draw(row, number)).or_insert(0u32) += 1);
    counts.into_iter().map(|(text, count)| (text, f64::from(count) / 20_000.0)).collect()
}

fn assert_frequencies(row: &RowCaptions, expected: &[(&str, f64)]) {
    let found = frequencies(row);
    let texts: Vec<&str> = found.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(texts, expected.iter().map(|(text, _)| *text).collect::<Vec<_>>());
    for ((text, share), (_, expected)) in found.iter().zip(expected) {
        // Six standard deviations of a share near 1/2 are 0.021.
        assert!((share - expected).abs() < 0.021, "{text}: {share} instead of {expected}");
    }
}

#[test]
fn a_column_alone_draws_as_it_always_did() {
    let row = row(&plan(json!("c")), &[("c", &["a", " ", "b", "c"])]);
    for number in 0..200 {
        let mut before = rng(Purpose::Sample, number);
        let expected = ["a", "b", "c"][before.below(3) as usize];
        let (mut sample, mut caption) =
            (rng(Purpose::Sample, number), rng(Purpose::Caption, number));
        assert_eq!(row.draw(&mut sample, &mut caption).unwrap(), expected);
        assert_eq!(sample.bits(), before.bits(), "crops follow from the draws after it");
        assert_eq!(caption.bits(), rng(Purpose::Caption, number).bits(), "untouched");
    }
}

#[test]
fn alternatives_are_drawn_by_weight_among_those_the_row_can_fill() {
    let plan = plan(json!([
        {"column": "list", "weight": 3},
        {"template": "{brand} {list}", "weight": 2},
        "title"
    ]));
    assert_eq!(plan.columns(), ["list", "brand", "title"]);
    let full = row(&plan, &[("list", &["x", "y"]), ("brand", &["B"]), ("title", &["t"])]);
    let sixth = 1.0 / 6.0;
    let expected =
        [("B x", sixth), ("B y", sixth), ("t", sixth), ("x", 1.5 * sixth), ("y", 1.5 * sixth)];
    assert_frequencies(&full, &expected);
    let unbranded = row(&plan, &[("list", &["x"]), ("brand", &["  "]), ("title", &["t"])]);
    assert_frequencies(&unbranded, &[("t", 0.25), ("x", 0.75)]);
    let branded = row(&plan, &[("brand", &["B"])]);
    assert!(!branded.any());
    assert_eq!(branded.missing(), "no text in `list`, `title`");
}

#[test]
fn whatever_captions_are_made_of_crops_stay_the_same() {
    let choices = [json!("a"), json!({"template": "{a} {b} {a}"}), json!(["b", "a"])];
    for choice in choices {
        let row = row(&plan(choice), &[("a", &["x", "y", "z"]), ("b", &["p", "q"])]);
        let mut sample = rng(Purpose::Sample, 5);
        row.draw(&mut sample, &mut rng(Purpose::Caption, 5)).unwrap();
        let mut expected = rng(Purpose::Sample, 5);
        expected.bits();
        assert_eq!(sample.bits(), expected.bits());
    }
}

#[test]
fn templates_keep_braces_and_use_one_text_per_column() {
    let plan = plan(json!({"template": "{{{a}}} of {b}, {a}"}));
    let row = row(&plan, &[("a", &["x", "y"]), ("b", &["1.5"])]);
    assert_frequencies(&row, &[("{x} of 1.5, x", 0.5), ("{y} of 1.5, y", 0.5)]);
    assert_eq!(row.first().unwrap(), "{x} of 1.5, x");
    assert_eq!(row.all(), ["{x} of 1.5, x", "{y} of 1.5, y"]);
}

#[test]
fn evaluation_takes_the_first_or_all_in_order_each_once() {
    let plan = plan(json!([{"template": "{a} {b}"}, "b", "a"]));
    let full = row(&plan, &[("a", &["x", "y"]), ("b", &["p", "q", "p"])]);
    assert_eq!(full.first().unwrap(), "x p");
    assert_eq!(full.all(), ["x p", "x q", "y p", "y q", "p", "q", "x", "y"]);
    let half = row(&plan, &[("a", &["", "x"])]);
    assert_eq!((half.first(), half.all()), (Some("x".into()), vec!["x".to_owned()]));
    let none = row(&plan, &[]);
    assert_eq!((none.first(), none.all().len(), none.any()), (None, 0, false));
}

#[test]
fn choices_that_cannot_be_drawn_from_are_refused() {
    let message = |choice| plan(choice).check().unwrap_err().to_string();
    assert_eq!(
        message(json!([])),
        "data.columns.captions: expected at least one column or template, found none"
    );
    let weights = |a: f64, b: f64| {
        message(json!([{"column": "a", "weight": a}, {"column": "b", "weight": b}]))
    };
    assert_eq!(weights(1.0, -2.0), "data.columns.captions: expected weights above 0, found -2");
    assert_eq!(
        weights(1e308, 1e308),
        "data.columns.captions: expected weights with a finite sum, found inf"
    );
}
