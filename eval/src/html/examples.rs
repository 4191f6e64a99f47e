//! Queries with what was retrieved and what was right, as pictures and texts. Owns how cards are
//! drawn and that the page stays small.

use super::numbers;
use crate::gallery::{Card, Gallery, MAX_PICTURE_BYTES, MAX_PICTURES_BYTES, MAX_TEXT_CHARS};
use crate::{Example, ExampleItem, QueryChange, TaskComparison};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use maud::{Markup, html};

/// What the page has taken in so far, and what it has not.
#[derive(Default)]
pub(super) struct Pictures {
    bytes: usize,
    /// Pictures shown.
    pub(super) shown: usize,
    /// Pictures left out since they or the page would be too large.
    pub(super) left_out: usize,
}

impl Pictures {
    fn take(&mut self, jpeg: &[u8]) -> Result<String, &'static str> {
        let refused = if !jpeg.starts_with(&[0xff, 0xd8, 0xff]) {
            "picture is no JPEG"
        } else if jpeg.len() > MAX_PICTURE_BYTES {
            "picture too large"
        } else if self.bytes + jpeg.len() > MAX_PICTURES_BYTES {
            "too many pictures"
        } else {
            self.bytes += jpeg.len();
            self.shown += 1;
            return Ok(format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(jpeg)));
        };
        self.left_out += 1;
        Err(refused)
    }
}

/// The examples, as rows of cards.
pub(super) fn list(
    examples: &[Example],
    metric: &str,
    gallery: &Gallery,
    pictures: &mut Pictures,
) -> Markup {
    if examples.is_empty() {
        return html! {
            p.absent { "Not computed: no examples were asked for, or no query is left to show." }
        };
    }
    html! {
        ol.examples {
            @for example in examples {
                li.example {
                    div.query {
                        p.role { "Query" }
                        (card(&example.query, gallery.queries.get(&example.query), pictures))
                        p.figures {
                            (metric) " " b { (numbers::short(example.value)) }
                            @if let Some(rank) = example.first_rank {
                                br; "first right answer at rank " b { (numbers::count(rank)) }
                            } @else {
                                br; "no right answer"
                            }
                        }
                    }
                    div.answers {
                        p.role { "Retrieved" }
                        (items(&example.retrieved, gallery, pictures))
                    }
                    div.answers.right {
                        p.role { "Right" }
                        (items(&example.relevant, gallery, pictures))
                    }
                }
            }
        }
    }
}

fn items(items: &[ExampleItem], gallery: &Gallery, pictures: &mut Pictures) -> Markup {
    html! {
        @if items.is_empty() { p.absent { "none" } }
        ol.items {
            @for item in items {
                li.item.relevant[item.relevant] {
                    (card(&item.item, gallery.items.get(&item.item), pictures))
                    p.figures {
                        span.rank { "#" (numbers::count(item.rank)) }
                        " " (numbers::minus(f64::from(item.score), 3))
                        @if item.relevant { " " span.yes { "✓ right" } }
                    }
                }
            }
        }
    }
}

/// A picture with its text, or what there is of them; the id is always there.
fn card(id: &str, card: Option<&Card>, pictures: &mut Pictures) -> Markup {
    let text =
        card.and_then(|card| card.text.as_deref()).map(|text| numbers::cut(text, MAX_TEXT_CHARS));
    let picture = card.and_then(|card| card.picture.as_deref()).map(|jpeg| pictures.take(jpeg));
    html! {
        @match picture {
            Some(Ok(data)) => img src=(data) alt={ "picture of " (numbers::cut(id, 80)) } width="112" height="112";,
            Some(Err(why)) => p.missing { (why) },
            None => {},
        }
        @if let Some(text) = &text { p.text dir="auto" { (text) } }
        p.id { bdi { (numbers::cut(id, 80)) } }
    }
}

/// The queries whose ranks the baseline and this report differ in most.
pub(super) fn changes(
    task: Option<&TaskComparison>,
    gallery: &Gallery,
    pictures: &mut Pictures,
) -> Markup {
    let Some(task) = task else {
        return html! { p.absent { "Not computed: the baseline lacks this task." } };
    };
    html! {
        div.changes {
            (change_table("Gained", &task.gained, &task.changed_by, gallery, pictures))
            (change_table("Lost", &task.lost, &task.changed_by, gallery, pictures))
        }
    }
}

fn change_table(
    title: &str,
    changes: &[QueryChange],
    metric: &str,
    gallery: &Gallery,
    pictures: &mut Pictures,
) -> Markup {
    let rank = |rank: Option<usize>| rank.map_or_else(|| "–".into(), numbers::count);
    html! {
        div {
            h4 { (title) }
            @if changes.is_empty() {
                p.absent { "No query." }
            } @else {
                div.scroll tabindex="0" role="region" aria-label={ (title) ": queries" } {
                    table.changed {
                        thead {
                            tr {
                                th scope="col" { "Query" }
                                th.n scope="col" { "Rank, baseline → here" }
                                th.n scope="col" { (metric) }
                            }
                        }
                        tbody {
                            @for change in changes {
                                tr {
                                    th.label scope="row" {
                                        div.mini { (card(&change.query, gallery.queries.get(&change.query), pictures)) }
                                    }
                                    td.n { (rank(change.a_rank)) " → " b { (rank(change.b_rank)) } }
                                    td.n { (numbers::short(change.a)) " → " b { (numbers::short(change.b)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
