//! A row's caption: drawn in training, listed in evaluation, from the columns and templates that
//! the config gives as alternatives.

use crate::DataError;
use crate::rng::Rng;
use configs::{CaptionChoice, CaptionSource};
use std::collections::HashSet;
use std::sync::Arc;

/// The alternatives of a source of rows, their columns by position.
#[derive(Debug, PartialEq)]
pub(crate) struct CaptionPlan {
    columns: Vec<String>,
    alternatives: Vec<Alternative>,
    /// No captions are wanted.
    none: bool,
}

#[derive(Debug, PartialEq)]
struct Alternative {
    weight: f64,
    /// Positions in [`CaptionPlan::columns`], each once.
    columns: Vec<usize>,
    pieces: Vec<Piece>,
    /// A column as it is, and not one within a template.
    plain: bool,
}

#[derive(Debug, PartialEq)]
enum Piece {
    Text(String),
    /// Position in [`Alternative::columns`].
    Column(usize),
}

/// The position of `item` in `list`, where it is put if it is not there.
fn position<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    list.iter().position(|other| *other == item).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    })
}

impl CaptionPlan {
    /// The plan of those who want no captions.
    pub fn none() -> Self {
        Self { columns: vec![], alternatives: vec![], none: true }
    }

    /// The plan that `choice` states.
    pub fn new(choice: &CaptionChoice) -> Self {
        let mut plan = Self { columns: vec![], alternatives: vec![], none: false };
        for configs::Alternative { source, weight } in &choice.0 {
            let mut columns = Vec::new();
            let mut column = |name: &str| {
                let column = position(&mut plan.columns, name.to_owned());
                Piece::Column(position(&mut columns, column))
            };
            let (pieces, plain) = match source {
                CaptionSource::Column(name) => (vec![column(name)], true),
                CaptionSource::Template(template) => {
                    let pieces = template.pieces().iter().map(|piece| match piece {
                        configs::Piece::Text(text) => Piece::Text(text.clone()),
                        configs::Piece::Column(name) => column(name),
                    });
                    (pieces.collect(), false)
                }
            };
            plan.alternatives.push(Alternative { weight: *weight, columns, pieces, plain });
        }
        plan
    }

    /// The columns that any alternative needs, each once.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The columns, and whether each is also an alternative as it is.
    pub fn uses(&self) -> impl Iterator<Item = (&String, bool)> {
        self.columns.iter().enumerate().map(|(index, name)| {
            let plain = |a: &Alternative| a.plain && a.columns.contains(&index);
            (name, self.alternatives.iter().any(plain))
        })
    }

    /// Refuses a choice among nothing and weights that cannot be drawn by.
    pub fn check(&self) -> Result<(), DataError> {
        let refuse = |expected: &str, found: String| {
            let field = "data.columns.captions";
            Err(DataError::Config { field, expected: expected.into(), found })
        };
        if self.none {
            return Ok(());
        }
        if self.alternatives.is_empty() {
            return refuse("at least one column or template", "none".into());
        }
        let total: f64 = self.alternatives.iter().map(|a| a.weight).sum();
        match self.alternatives.iter().find(|a| a.weight.is_nan() || a.weight <= 0.0) {
            Some(bad) => refuse("weights above 0", bad.weight.to_string()),
            None if total.is_infinite() => refuse("weights with a finite sum", total.to_string()),
            None => Ok(()),
        }
    }
}

impl Alternative {
    /// The text with the given one for each of `columns`.
    fn fill(&self, texts: &[&str]) -> String {
        let pieces = self.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text,
            Piece::Column(index) => texts[*index],
        });
        pieces.collect()
    }
}

/// The texts of one row that a plan needs.
#[derive(Clone, Debug)]
pub(crate) struct RowCaptions {
    plan: Arc<CaptionPlan>,
    /// Of each of the plan's columns those that say anything.
    texts: Vec<Vec<String>>,
}

impl RowCaptions {
    /// `texts` are those of the plan's columns, in their order.
    pub fn new(plan: Arc<CaptionPlan>, texts: impl Iterator<Item = Vec<String>>) -> Self {
        let usable = |mut texts: Vec<String>| {
            texts.retain(|text| !text.trim().is_empty());
            texts
        };
        Self { texts: texts.map(usable).collect(), plan }
    }

    /// Whether any alternative can be filled.
    pub fn any(&self) -> bool {
        self.usable().next().is_some()
    }

    /// The alternatives whose columns all have a text, in the config's order.
    fn usable(&self) -> impl Iterator<Item = &Alternative> {
        let filled = |a: &&Alternative| a.columns.iter().all(|&c| !self.texts[c].is_empty());
        self.plan.alternatives.iter().filter(filled)
    }

    /// One text: a usable alternative by weight, then one of the texts of each of its columns.
    /// `None` where no alternative is usable.
    ///
    /// Takes exactly one draw of `sample`, which decides on crop and flip next, so that those do
    /// not depend on what captions are made of. A column that is the only alternative needs no
    /// other draw; templates and choices draw from `caption`.
    pub fn draw(&self, sample: &mut Rng, caption: &mut Rng) -> Option<String> {
        if let [only] = self.plan.alternatives.as_slice()
            && let (true, [column]) = (only.plain, only.columns.as_slice())
        {
            return pick(&self.texts[*column], sample).map(str::to_owned);
        }
        sample.bits();
        let total: f64 = self.usable().map(|a| a.weight).sum();
        let mut left = caption.unit() * total;
        let mut chosen = None;
        for alternative in self.usable() {
            // The last one stays chosen where rounding leaves something over.
            chosen = Some(alternative);
            left -= alternative.weight;
            if left < 0.0 {
                break;
            }
        }
        let chosen = chosen?;
        let texts = chosen.columns.iter().map(|&c| pick(&self.texts[c], caption));
        Some(chosen.fill(&texts.collect::<Option<Vec<_>>>()?))
    }

    /// The first usable alternative with the first text of each of its columns.
    pub fn first(&self) -> Option<String> {
        let first = self.usable().next()?;
        let texts = first.columns.iter().filter_map(|&c| self.texts[c].first());
        Some(first.fill(&texts.map(String::as_str).collect::<Vec<_>>()))
    }

    /// Every text that training may draw, each once: the usable alternatives in their order, of a
    /// template every combination of its columns' texts, the last column's changing fastest.
    pub fn all(&self) -> Vec<String> {
        let mut seen = HashSet::new();
        let mut all = Vec::new();
        for alternative in self.usable() {
            let mut combinations: Vec<Vec<&str>> = vec![vec![]];
            for &column in &alternative.columns {
                let longer = combinations.iter().flat_map(|begun| {
                    let next = self.texts[column].iter();
                    next.map(move |text| [begun.as_slice(), &[text]].concat())
                });
                combinations = longer.collect();
            }
            let texts = combinations.iter().map(|texts| alternative.fill(texts));
            all.extend(texts.filter(|text| seen.insert(text.clone())));
        }
        all
    }

    /// Why no alternative is usable: the columns without a text. Empty where that is plain.
    pub fn missing(&self) -> String {
        let empty = self.plan.columns.iter().zip(&self.texts).filter(|(_, texts)| texts.is_empty());
        let empty: Vec<String> = empty.map(|(name, _)| format!("`{name}`")).collect();
        match self.plan.alternatives.as_slice() {
            [only] if only.plain => String::new(),
            _ => format!("no text in {}", empty.join(", ")),
        }
    }
}

fn pick<'a>(texts: &'a [String], rng: &mut Rng) -> Option<&'a str> {
    if texts.is_empty() {
        return None;
    }
    Some(&texts[rng.below(texts.len() as u64) as usize])
}

#[cfg(test)]
#[path = "captions_tests.rs"]
mod tests;
