//! The search against brute force, however it is divided, and what it refuses.

use super::kernel::Kernel;
use super::select::order;
use super::*;
use crate::Hit;
use crate::testing::{Random, embeddings, random_rows, repeated_rows};

pub(super) const SMALL: Blocks = Blocks { items: 40, strip: 20, queries: 7, on_device: (50, 4) };

/// The score of one query and one item, computed alone.
fn score_alone(query: &[f32], item: &[f32]) -> f32 {
    let (kernel, mut scores) = (Kernel::new(), Vec::new());
    let width = query.len();
    kernel.score(
        &kernel.queries(&[query], width),
        &kernel.items(&[item], width),
        0..1,
        &mut scores,
    );
    scores[0]
}

/// Judges one item in `rarity` for each query, with grades from 0 to 3.
fn random_qrels(
    random: &mut Random,
    queries: &Embeddings,
    items: &[String],
    rarity: usize,
) -> Qrels {
    let mut judged = Vec::new();
    for query in queries.ids() {
        for item in items {
            if random.below(rarity) == 0 {
                let grade = i32::try_from(random.below(4)).expect("small");
                judged.push((query.clone(), item.clone(), grade));
            }
        }
    }
    Qrels::new(judged).expect("distinct pairs")
}

/// Compares every figure of `found` with a full sort of scores that were computed one at a time.
fn assert_brute_force(
    found: &Ranking,
    queries: &Embeddings,
    items: &Embeddings,
    qrels: &Qrels,
    is_candidate: &dyn Fn(usize, usize) -> bool,
) {
    for (index, result) in found.queries().iter().enumerate() {
        let mut sorted: Vec<Hit> = (0..items.len())
            .filter(|item| is_candidate(index, *item))
            .map(|item| Hit {
                item: item as u32,
                score: score_alone(queries.row(index), items.row(item)),
            })
            .collect();
        sorted.sort_by(order);
        assert_eq!(result.pool, sorted.len());
        assert_eq!(result.top, sorted[..found.depth().min(sorted.len())]);
        let places = result.relevant.as_deref().unwrap_or_default();
        let grades = qrels.of(&queries.ids()[index]).into_iter().flatten();
        let expected = grades
            .filter(|(id, grade)| {
                *grade > 0 && sorted.iter().any(|hit| items.ids()[hit.item as usize] == *id)
            })
            .count();
        assert_eq!(places.len(), expected);
        for place in places {
            let count =
                |keep: &dyn Fn(f32) -> bool| sorted.iter().filter(|hit| keep(hit.score)).count();
            assert_eq!(sorted[place.rank - 1].item, place.item);
            assert_eq!(place.score.to_bits(), sorted[place.rank - 1].score.to_bits());
            assert_eq!(place.optimistic, count(&|other| other > place.score) + 1);
            assert_eq!(place.pessimistic, count(&|other| other >= place.score));
        }
    }
}

fn assert_same(found: &Ranking, expected: &Ranking) {
    for (found, expected) in found.queries().iter().zip(expected.queries()) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.queries().len(), expected.queries().len());
    assert_eq!(found.depth(), expected.depth());
}

#[test]
fn equals_brute_force_for_any_blocks_threads_and_duplicates() {
    let mut random = Random::new(11);
    for (num_queries, num_items, distinct, width, rarity) in [
        (1, 1, 1, 3, 1),
        (23, 150, 12, 5, 6),
        (9, 101, 101, 300, 6),
        (31, 64, 1, 8, 6),
        (3, 400, 400, 9, 2),
    ] {
        let queries = embeddings("q", &repeated_rows(&mut random, num_queries, 20, width));
        let items = embeddings("d", &repeated_rows(&mut random, num_items, distinct, width));
        let qrels = random_qrels(&mut random, &queries, items.ids(), rarity);
        let depth = 1 + random.below(num_items);
        for (threads, blocks) in [(Some(1), SMALL), (Some(3), SMALL), (None, Blocks::DEFAULT)] {
            let options = SearchOptions { threads, ..SearchOptions::new(depth) };
            let mut search =
                Search::new(&queries, items.shared_ids(), &qrels, &options).expect("valid");
            search.blocks = blocks;
            let scores = search.score_relevant(&items).expect("valid");
            let partial = search.scan(&items, &scores).expect("valid");
            let found = search.finish(partial).expect("whole");
            assert_brute_force(&found, &queries, &items, &qrels, &|_, _| true);
        }
    }
}

/// Deals the items to shares in blocks of random length.
fn deal(random: &mut Random, items: &Embeddings, num_shares: usize, most: usize) -> Vec<ItemShare> {
    let mut shares = vec![Vec::new(); num_shares];
    let mut first = 0;
    while first < items.len() {
        let end = items.len().min(first + 1 + random.below(most));
        let values = items.values()[first * items.width()..end * items.width()].to_vec();
        shares[random.below(num_shares)].push((first, values));
        first = end;
    }
    shares.into_iter().map(|blocks| ItemShare::new(items.width(), blocks)).collect()
}

#[test]
fn any_division_of_the_items_gives_the_ranking_of_one_process() {
    let mut random = Random::new(12);
    for case in 0..24 {
        let width = [4, 40][case % 2];
        let num_items = 1 + random.below(200);
        let distinct = [3, 200][case / 2 % 2];
        let queries = embeddings("q", &random_rows(&mut random, 17, width));
        let items = embeddings("d", &repeated_rows(&mut random, num_items, distinct, width));
        let qrels = random_qrels(&mut random, &queries, items.ids(), 5);
        let labels = |random: &mut Random, count| -> Vec<String> {
            (0..count).map(|_| random.below(4).to_string()).collect()
        };
        let labels = Pools::new(&labels(&mut random, 17), &labels(&mut random, num_items));
        let options = SearchOptions {
            within: (case % 3 == 0).then_some(&labels),
            threads: Some(1 + case % 2),
            ..SearchOptions::new(1 + random.below(30))
        };
        let whole = search(&queries, &items, &qrels, &options).expect("valid");

        let num_shares = 1 + random.below(5);
        let shares = deal(&mut random, &items, num_shares, [1, 70][case / 4 % 2]);
        // Each share as its own process would do it; what they exchange goes through bytes.
        let process = || {
            let mut search =
                Search::new(&queries, items.shared_ids(), &qrels, &options).expect("valid");
            search.blocks = SMALL;
            search
        };
        let mut all: Option<RelevantScores> = None;
        for share in &shares {
            let scores = process().score_relevant(share).expect("valid");
            let scores = RelevantScores::from_bytes(&scores.to_bytes()).expect("own bytes");
            match &mut all {
                Some(all) => all.merge(&scores).expect("same search"),
                None => all = Some(scores),
            }
        }
        let mut merged: Option<Partial> = None;
        for share in shares.iter().rev() {
            let partial = process().scan(share, all.as_ref().expect("a share")).expect("valid");
            let partial = Partial::from_bytes(&partial.to_bytes()).expect("own bytes");
            match &mut merged {
                Some(merged) => merged.merge(partial).expect("same search"),
                None => merged = Some(partial),
            }
        }
        let found = process().finish(merged.expect("a share")).expect("whole");
        assert_same(&found, &whole);
    }
}

#[test]
fn items_that_stream_are_read_twice() {
    /// Makes its rows anew on each pass.
    struct Stream<'a>(&'a Embeddings, std::cell::Cell<usize>);
    impl Items for Stream<'_> {
        fn width(&self) -> usize {
            self.0.width()
        }
        fn blocks(&self) -> Box<dyn Iterator<Item = Result<Block<'_>, EvalError>> + '_> {
            self.1.set(self.1.get() + 1);
            let blocks = self.0.values().chunks(23 * self.0.width());
            Box::new(
                (0..)
                    .step_by(23)
                    .zip(blocks)
                    .map(|(first, values)| Ok(Block::new(first, values.to_vec()))),
            )
        }
    }
    let mut random = Random::new(13);
    let queries = embeddings("q", &random_rows(&mut random, 9, 6));
    let items = embeddings("d", &repeated_rows(&mut random, 130, 40, 6));
    let qrels = random_qrels(&mut random, &queries, items.ids(), 9);
    let options = SearchOptions::new(7);
    let stream = Stream(&items, std::cell::Cell::new(0));
    let found = search_items(&queries, items.shared_ids(), &stream, &qrels, &options);
    assert_eq!(stream.1.get(), 2);
    assert_same(
        &found.expect("valid"),
        &search(&queries, &items, &qrels, &options).expect("valid"),
    );
}

#[test]
fn labels_confine_the_candidates() {
    let mut random = Random::new(14);
    let queries = embeddings("d", &repeated_rows(&mut random, 40, 12, 7));
    let items = embeddings("d", &repeated_rows(&mut random, 90, 12, 7));
    let qrels = random_qrels(&mut random, &queries, items.ids(), 4);
    // No item has the label of queries 0, 5, 10 ...
    let of_queries: Vec<String> = (0..40).map(|index| format!("type {}", index % 5)).collect();
    let of_items: Vec<String> = (0..90).map(|_| format!("type {}", 1 + random.below(6))).collect();
    let labels = Pools::new(&of_queries, &of_items);
    for self_match in [SelfMatch::Keep, SelfMatch::Exclude] {
        let options = SearchOptions { within: Some(&labels), self_match, ..SearchOptions::new(11) };
        let found = search(&queries, &items, &qrels, &options).expect("valid");
        assert_brute_force(&found, &queries, &items, &qrels, &|query, item| {
            of_queries[query] == of_items[item] && (self_match == SelfMatch::Keep || query != item)
        });
        let first = &found.queries()[0];
        assert_eq!((first.pool, first.top.len()), (0, 0));
        assert_eq!(first.relevant.as_deref(), Some(&[][..]));
        assert!(first.outside > 0 && first.irrelevant.is_empty());
        // Small pools are part of the task: k may exceed them, but not all.
        let most = found.queries().iter().map(|query| query.pool).max().expect("queries");
        assert!(
            crate::evaluate(&found, &crate::EvaluateOptions::new(&[most]))
                .expect("valid")
                .queries
                .without_relevant
                >= 8
        );
        assert!(crate::evaluate(&found, &crate::EvaluateOptions::new(&[most + 1])).is_err());
    }
}

#[test]
fn refuses_shares_that_do_not_make_up_the_pool() {
    let mut random = Random::new(15);
    let items = embeddings("d", &random_rows(&mut random, 10, 3));
    let qrels = Qrels::new([("d0", "d7", 1)]).expect("valid");
    let options = SearchOptions::new(2);
    let process = || Search::new(&items, items.shared_ids(), &qrels, &options).expect("valid");
    let share = |rows: std::ops::Range<usize>| {
        ItemShare::new(3, vec![(rows.start, items.values()[rows.start * 3..rows.end * 3].to_vec())])
    };
    let all = process().score_relevant(&items).expect("valid");
    let message = |first, second| {
        let mut partial = process().scan(&share(first), &all).expect("valid");
        partial.merge(process().scan(&share(second), &all).expect("valid")).expect("same search");
        process().finish(partial).expect_err("must be refused").to_string()
    };
    let rule = "of the searched shares: every item must be in exactly one";
    assert_eq!(message(0..4, 5..10), format!("item `d4` (row 4 of the pool) is in none {rule}"));
    assert_eq!(message(0..4, 3..10), format!("item `d3` (row 3 of the pool) is in two {rule}"));
    assert_eq!(message(0..4, 4..9), format!("item `d9` (row 9 of the pool) is in none {rule}"));

    let part = process().score_relevant(&share(0..4)).expect("valid");
    assert_eq!(
        process().scan(&items, &part).expect_err("d7 is not scored").to_string(),
        format!("item `d7` (row 7 of the pool) is in none {rule}")
    );
    let other = Search::new(&items, items.shared_ids(), &qrels, &SearchOptions::new(3));
    let other = other.expect("valid").scan(&items, &all).expect("valid");
    let mut partial = process().scan(&items, &all).expect("valid");
    assert_eq!(
        partial.merge(other).expect_err("other depth").to_string(),
        "parts of different searches: one has 2 items to keep per query, the other 3"
    );
    let bytes = partial.to_bytes();
    assert_eq!(
        Partial::from_bytes(&bytes[..bytes.len() - 4]).expect_err("cut short").to_string(),
        format!(
            "the {} bytes of a part of a search cannot be read: they end too early",
            bytes.len() - 4
        )
    );
    assert!(Partial::from_bytes(&[bytes, vec![0; 4]].concat()).is_err());
    assert!(RelevantScores::from_bytes(&[0; 7]).is_err());
}

#[test]
fn refuses_blocks_that_cannot_be_searched_and_says_where() {
    let queries = embeddings("q", &[vec![1.0, 0.0]]);
    let ids: Vec<String> = ["a", "b", "c"].map(String::from).into();
    let message = |ids: &[String], blocks: Vec<(usize, Vec<f32>)>| {
        // Not sorted, as a faulty source would hand them out.
        let share = ItemShare { width: 2, blocks };
        let found =
            search_items(&queries, ids.into(), &share, &Qrels::default(), &SearchOptions::new(1));
        found.expect_err("must be refused").to_string()
    };
    let unit = [1.0, 0.0];
    assert_eq!(
        message(&ids, vec![(0, unit.into()), (1, vec![f32::NAN, 0.0])]),
        "embedding `b` (row 1) has NaN at component 0: expected a finite number; did the model \
         diverge?"
    );
    assert_eq!(
        message(&ids, vec![(0, unit.into()), (1, vec![1.0, 0.0, 3.0, 4.0])]),
        "embedding `c` (row 2) has norm 5: expected 1 within 0.01; normalise the rows first"
    );
    assert_eq!(
        message(&ids, vec![(1, vec![1.0, 0.0, 1.0])]),
        "the block of items from row 1 on has 3 values: expected whole rows of 2"
    );
    assert_eq!(
        message(&ids, vec![(0, unit.repeat(2)), (1, unit.into())]),
        "a block of items starts at row 1 of the pool, but the block before it ended at row 2: \
         blocks must come in ascending order, each row once"
    );
    assert_eq!(
        message(&ids, vec![(2, unit.repeat(2))]),
        "a block of items holds rows 2 to 3 of the pool, which has only 3 items"
    );
    assert_eq!(
        message(&ids, vec![(0, unit.repeat(2))]),
        "item `c` (row 2 of the pool) is in none of the searched shares: every item must be in \
         exactly one"
    );
    let twice: Vec<String> = ["a", "b", "a"].map(String::from).into();
    assert_eq!(
        message(&twice, Vec::new()),
        "id `a` names rows 0 and 2: ids must be distinct, keep one row of each"
    );
}

#[test]
fn finds_by_hand() {
    let queries = embeddings("q", &[vec![1.0, 0.0], vec![0.0, 1.0]]);
    let rows = [vec![0.6, 0.8], vec![1.0, 0.0], vec![0.8, 0.6], vec![1.0, 0.0]];
    let items = embeddings("d", &rows);
    let qrels = Qrels::new([("q0", "d3", 1), ("q0", "d0", 2), ("q1", "d2", 1), ("q1", "d1", 0)]);
    let found = search(&queries, &items, &qrels.expect("valid"), &SearchOptions::new(3));
    let found = found.expect("valid");
    let tops: Vec<Vec<u32>> = found
        .queries()
        .iter()
        .map(|query| query.top.iter().map(|hit| hit.item).collect())
        .collect();
    assert_eq!(tops, [[1, 3, 2], [0, 2, 1]]);
    let place = |query: usize, at: usize| {
        let place = found.queries()[query].relevant.as_ref().expect("judged")[at];
        (place.item, place.grade, place.rank, place.optimistic, place.pessimistic)
    };
    assert_eq!(place(0, 0), (3, 1, 2, 1, 2));
    assert_eq!(place(0, 1), (0, 2, 4, 4, 4));
    assert_eq!(place(1, 0), (2, 1, 2, 2, 2));
    assert_eq!(found.queries()[1].irrelevant, [(1, 0)]);
}

#[test]
fn the_querys_own_item_can_be_excluded() {
    let rows = [vec![1.0, 0.0], vec![0.9, 0.1], vec![0.0, 1.0]];
    let items = embeddings("d", &rows);
    let qrels = Qrels::new([("d0", "d0", 1), ("d0", "d2", 1), ("d1", "d0", 1)]).expect("valid");
    let options = SearchOptions { self_match: SelfMatch::Exclude, ..SearchOptions::new(3) };
    let found = search(&items, &items, &qrels, &options).expect("valid");
    let first = &found.queries()[0];
    assert_eq!(first.pool, 2);
    assert_eq!(first.top.iter().map(|hit| hit.item).collect::<Vec<_>>(), [1, 2]);
    let ranks: Vec<_> =
        first.relevant.iter().flatten().map(|place| (place.item, place.rank)).collect();
    assert_eq!(ranks, [(2, 2)]);
    let mut dumped = Vec::new();
    found.write_qrels("", &mut dumped).expect("writes to memory");
    assert_eq!(String::from_utf8_lossy(&dumped), "d0 0 d2 1\nd1 0 d0 1\n");
}

#[test]
fn refuses_inputs_that_do_not_fit_together() {
    let two = embeddings("q", &[vec![1.0, 0.0]]);
    let three = embeddings("d", &[vec![1.0, 0.0, 0.0]]);
    let none = Embeddings::new(Vec::new(), 2, Vec::new()).expect("valid");
    let judged = |pairs: &[(&str, &str, i32)]| Qrels::new(pairs.to_vec()).expect("distinct");
    let message = |queries, items, qrels: &Qrels, depth| {
        let found = search(queries, items, qrels, &SearchOptions::new(depth));
        found.expect_err("must be refused").to_string()
    };
    let nothing = Qrels::default();
    assert_eq!(
        message(&two, &three, &nothing, 1),
        "queries have width 2 and items have width 3: both must come from the same model"
    );
    assert_eq!(message(&none, &two, &nothing, 1), "there are no queries to evaluate");
    assert_eq!(message(&two, &none, &nothing, 1), "there are no items to evaluate");
    let labels = Pools::new(&["shoe"], &["shoe", "mug"]);
    let options = SearchOptions { within: Some(&labels), ..SearchOptions::new(1) };
    assert_eq!(
        search(&two, &two, &nothing, &options).expect_err("2 labels for 1 item").to_string(),
        "2 labels for 1 items: expected one for each"
    );
    assert!(message(&two, &two, &nothing, 0).starts_with("depth 0 is not possible"));
    assert_eq!(
        message(&two, &two, &judged(&[("q0", "x", 1), ("q0", "y", 0)]), 1),
        "the qrels name item `x` for query `q0`, which is not among the 1 items of the pool \
         (and 1 more like it)"
    );
    assert_eq!(
        message(&two, &two, &judged(&[("q0", "q0", 1), ("p", "q0", 1)]), 1),
        "the qrels name query `p`, which is not among the 1 queries"
    );
}
