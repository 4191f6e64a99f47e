//! An index finds what exact search finds, within a type only items of it, and refuses what it
//! cannot answer.

use eval::{
    Embeddings, ModelFiles, ORIGIN_VERSION, Origin, Qrels, SearchOptions, SelfMatch, StoreReader,
    StoreWriter, StoredDtype, search,
};
use fastrand::Rng;
use index::{How, INFO, Index, IndexInfo, IndexOptions, Queries, Scalar, build, replaceable};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const WIDTH: usize = 48;
const TYPES: [&str; 5] = ["bag", "lamp", "mug", "scarf", "shoe"];

/// Numbers of mean 0 and variance 1, times `scale`.
fn vector(random: &mut Rng, scale: f32) -> Vec<f32> {
    // The sum of twelve uniform numbers.
    let mut normal = || (0..12).map(|_| random.f32()).sum::<f32>() - 6.0;
    (0..WIDTH).map(|_| normal() * scale).collect()
}

/// What a trained model's space looks like: pictures lie around the centres of types, those of equal
/// colour and material closer, and captions in a cone of their own.
struct Space {
    ids: Vec<String>,
    types: Vec<Option<String>>,
    pictures: Vec<f32>,
    captions: Vec<f32>,
}

fn sum(parts: &[&[f32]]) -> Vec<f32> {
    let mut total = [0.0; WIDTH];
    for part in parts {
        total.iter_mut().zip(*part).for_each(|(total, part)| *total += part);
    }
    let norm = total.iter().map(|x| x * x).sum::<f32>().sqrt();
    total.iter().map(|x| x / norm).collect()
}

fn space(items: usize) -> Space {
    let mut random = Rng::with_seed(3);
    let mut directions = |count: usize, scale| -> Vec<Vec<f32>> {
        (0..count).map(|_| vector(&mut random, scale)).collect()
    };
    let (kinds, colours, materials) =
        (directions(TYPES.len(), 1.0), directions(12, 0.7), directions(9, 0.5));
    let cones = directions(2, 1.2);
    let mut space = Space { ids: vec![], types: vec![], pictures: vec![], captions: vec![] };
    for item in 0..items {
        let kind = item % TYPES.len();
        let meant = [&kinds[kind][..], &colours[random.usize(..12)], &materials[random.usize(..9)]];
        let own = vector(&mut random, 0.4);
        for (side, cone) in [&mut space.pictures, &mut space.captions].into_iter().zip(&cones) {
            let noise = vector(&mut random, 0.25);
            side.extend(sum(&[meant[0], meant[1], meant[2], &own, &noise, cone]));
        }
        space.ids.push(format!("p{item}"));
        space.types.push((item % 50 != 7).then(|| TYPES[kind].to_owned()));
    }
    space
}

fn store(dir: &Path, space: &Space) -> PathBuf {
    let path = dir.join("items.parquet");
    let origin = Origin {
        schema_version: ORIGIN_VERSION,
        model: ModelFiles::default(),
        side: "image".into(),
        clean: "hf".into(),
        data: vec![],
        normalised: true,
        group: Some("product_type".into()),
    };
    let mut writer = StoreWriter::create(&path, WIDTH, StoredDtype::F32, &origin).expect("creates");
    writer.push(&space.ids, Some(&space.types), &space.pictures).expect("takes");
    writer.finish().expect("writes");
    path
}

fn captions(space: &Space, every: usize) -> Queries {
    let rows: Vec<usize> = (0..space.ids.len()).step_by(every).collect();
    let ids = rows.iter().map(|row| space.ids[*row].clone()).collect();
    let values = rows.iter().flat_map(|row| &space.captions[row * WIDTH..(row + 1) * WIDTH]);
    Queries {
        name: "captions".into(),
        vectors: Embeddings::new(ids, WIDTH, values.copied().collect()).expect("unit rows"),
        groups: rows.iter().map(|row| space.types[*row].clone()).collect(),
        self_match: SelfMatch::Keep,
    }
}

/// The share of the exact first ten that the index finds, over all captions given.
fn recall(index: &Index, store: &Path, queries: &Queries, how: How) -> f64 {
    let (items, _) = StoreReader::open(store).and_then(StoreReader::read_all).expect("reads");
    let exact = search(&queries.vectors, &items, &Qrels::default(), &SearchOptions::new(10));
    let exact = exact.expect("searches");
    let mut right = 0;
    for (vector, ranked) in queries.vectors.rows().zip(exact.queries()) {
        let found = index.search(vector, 10, None, how).expect("searches");
        let found: BTreeSet<&str> = found.iter().map(|found| found.id.as_str()).collect();
        assert_eq!(found.len(), 10, "distinct items");
        let ids = ranked.top.iter().map(|hit| items.ids()[hit.item as usize].as_str());
        right += ids.filter(|id| found.contains(id)).count();
    }
    right as f64 / (10 * queries.vectors.len()) as f64
}

#[test]
fn recall_at_default_settings_is_at_least_0_95() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let space = space(3000);
    let (store, queries) = (store(dir.path(), &space), captions(&space, 6));
    for (scalar, least) in [(Scalar::F16, 0.95), (Scalar::F32, 0.95), (Scalar::I8, 0.8)] {
        let folder = dir.path().join(scalar.to_string());
        let options = IndexOptions { scalar, ..IndexOptions::default() };
        let mut done = 0;
        let info = build(&store, &folder, std::slice::from_ref(&queries), &options, |n| done = n);
        let info = info.expect("builds");
        assert_eq!((done, info.items, info.graphs.len()), (3000, 3000, 1));
        assert_eq!(IndexInfo::read(&folder).expect("reads"), info);
        let names: Vec<&str> = info.measured.iter().map(|m| m.queries.as_str()).collect();
        assert_eq!(names, ["items", "captions"]);
        for measured in &info.measured {
            assert!((500..=501).contains(&measured.num_queries), "{measured:?}");
            // Not more than it takes: what i8 rounds away, no number of candidates brings back.
            assert!(info.expansion_search <= 256, "{scalar}: {}", info.expansion_search);
            assert!(measured.recall >= least && measured.recall <= 1.0, "{scalar}: {measured:?}");
            assert!(measured.recall_min <= measured.recall, "{measured:?}");
            assert!(0.0 < measured.p50_us && measured.p50_us <= measured.p95_us, "{measured:?}");
            let rate = 1e6 / measured.mean_us;
            assert!((measured.queries_per_s - rate).abs() < 1e-6 * rate, "{measured:?}");
        }
        // What was measured while building is what the written index does.
        let index = Index::open(&folder).expect("opens");
        let found = recall(&index, &store, &queries, How::Graph);
        assert!((found - info.measured[1].recall).abs() < 0.01, "{found}, {:?}", info.measured[1]);
        let exact = recall(&index, &store, &queries, How::Exact);
        let (vector, own) = (&space.pictures[..WIDTH], "p0");
        let nearest = index.search(vector, 1, None, How::Exact).expect("searches");
        assert_eq!(nearest[0].id, own);
        assert!((nearest[0].score - 1.0).abs() < 0.02, "{scalar}: {nearest:?}");
        assert!(
            exact + 0.002 >= found && (scalar == Scalar::I8 || exact > 0.98),
            "{scalar}: {exact}"
        );
    }
    assert!(
        std::fs::read_dir(dir.path())
            .expect("lists")
            .all(|entry| { !entry.expect("entry").file_name().to_string_lossy().starts_with('.') })
    );
}

#[test]
fn candidates_are_added_until_the_recall_is_reached() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let space = space(3000);
    let (store, queries) = (store(dir.path(), &space), captions(&space, 10));
    // A graph of few edges needs more candidates.
    let poor = IndexOptions { connectivity: 4, expansion_add: 8, ..IndexOptions::default() };
    let with = |recall| {
        let options = IndexOptions { recall, ..poor };
        build(&store, &dir.path().join("i"), std::slice::from_ref(&queries), &options, |_| {})
            .expect("builds")
    };
    let (low, high) = (with(0.0), with(0.99));
    assert_eq!(low.expansion_search, 64);
    assert!(high.expansion_search > 64, "{high:?}");
    assert!(high.measured[1].recall > low.measured[1].recall, "{high:?} {low:?}");
}

#[test]
fn a_search_within_a_type_gives_that_type_alone() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let space = space(1500);
    let (store, queries) = (store(dir.path(), &space), captions(&space, 25));
    let folder = dir.path().join("grouped");
    let options = IndexOptions { grouped: true, ..IndexOptions::default() };
    let info = build(&store, &folder, std::slice::from_ref(&queries), &options, |_| {});
    let info = info.expect("builds");
    assert!(info.measured.iter().all(|measured| measured.recall >= 0.95), "{:?}", info.measured);
    let groups: Vec<_> = info.graphs.iter().map(|graph| graph.group.as_deref()).collect();
    let mut expected = vec![None];
    expected.extend(TYPES.map(Some));
    assert_eq!(groups, expected);
    assert_eq!(info.graphs.iter().map(|graph| graph.items).sum::<u64>(), 1500);

    let index = Index::open(&folder).expect("opens");
    let (items, types) = StoreReader::open(&store).and_then(StoreReader::read_all).expect("reads");
    for (vector, own) in queries.vectors.rows().zip(&queries.groups) {
        for group in TYPES {
            let found = index.search(vector, 20, Some(group), How::Exact).expect("searches");
            assert!(found.iter().all(|found| found.group.as_deref() == Some(group)));
            // The same as all others left out.
            let mut scores: Vec<(f32, &str)> = items
                .rows()
                .zip(&types)
                .zip(items.ids())
                .filter(|((_, of), _)| of.as_deref() == Some(group))
                .map(|((row, _), id)| {
                    (row.iter().zip(vector).map(|(a, b)| a * b).sum(), id.as_str())
                })
                .collect();
            scores.sort_by(|a, b| b.0.total_cmp(&a.0));
            for (found, (score, _)) in found.iter().zip(&scores) {
                assert!((found.score - score).abs() < 2e-3, "{} {score}", found.score);
            }
            assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score));
        }
        let all = index.search(vector, 20, None, How::Graph).expect("searches");
        assert!(own.is_none() || all.iter().any(|found| found.group == *own));
    }
    let ungrouped = |how| recall(&index, &store, &queries, how);
    assert!(ungrouped(How::Graph) >= 0.95 && ungrouped(How::Exact) > 0.97);
}

#[test]
fn what_cannot_be_answered_is_refused() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let space = space(200);
    let (store, folder) = (store(dir.path(), &space), dir.path().join("i"));
    let at = folder.display().to_string();
    let make = |grouped| {
        let options = IndexOptions { grouped, ..IndexOptions::default() };
        build(&store, &folder, &[], &options, |_| {}).expect("builds")
    };
    make(false);
    let query = &space.captions[..WIDTH];
    let open = || Index::open(&folder).expect("opens");
    let message = |query: &[f32], k, group| {
        open().search(query, k, group, How::Graph).expect_err("must be refused").to_string()
    };
    assert_eq!(
        message(query, 201, None),
        "k = 201 is larger than the 200 items that are searched: choose k of at most 200"
    );
    assert_eq!(open().search(query, 200, None, How::Graph).expect("searches").len(), 200);
    assert_eq!(message(query, 0, None), "k must be at least 1");
    assert_eq!(
        message(&query[1..], 5, None),
        "the query has width 47, but the index has width 48: it is of another model"
    );
    let mut bad = query.to_vec();
    bad[3] = f32::NAN;
    assert!(message(&bad, 5, None).contains("component 3 = NaN"));
    assert_eq!(
        message(query, 5, Some("mug")),
        format!(
            "index `{at}` is not grouped, so `mug` cannot be searched alone: build it with `vlclip \
             embed --group product_type`"
        )
    );
    make(true);
    assert_eq!(
        message(query, 5, Some("hat")),
        format!("index `{at}` has no product_type `hat`; it has: bag, lamp, mug, scarf, shoe")
    );
    assert!(message(query, 50, Some("mug")).starts_with("k = 50 is larger than the "));

    let refused = |dir: &Path| Index::open(dir).err().expect("must be refused").to_string();
    assert!(refused(&dir.path().join("none")).ends_with("found nothing there"));
    assert!(refused(&store).ends_with("found a file"));
    assert!(refused(dir.path()).ends_with("found a folder without index.json"));
    for occupied in [dir.path(), store.as_path()] {
        let error = replaceable(occupied).expect_err("must be refused").to_string();
        assert!(error.contains("is there already and is no index"), "{error}");
    }

    // usearch trusts what it maps: a graph with a changed byte must not come so far.
    let graph = folder.join("00001.usearch");
    let whole = std::fs::read(&graph).expect("reads");
    let mut bytes = whole.clone();
    bytes[whole.len() / 2] ^= 1;
    std::fs::write(&graph, &bytes).expect("writes");
    let text = message(query, 5, Some("bag"));
    assert!(text.contains("00001.usearch` is damaged: its sha256 is "), "{text}");
    assert!(open().search(query, 5, Some("mug"), How::Graph).is_ok(), "the others are whole");
    std::fs::write(&graph, &whole[..100]).expect("writes");
    assert!(message(query, 5, None).contains("it has 100 bytes, index.json says"));
    std::fs::remove_file(&graph).expect("removes");
    assert!(message(query, 5, None).contains("is damaged: it is missing"));
    std::fs::write(folder.join("items.parquet"), "x").expect("writes");
    assert!(refused(&folder).contains("items.parquet` is damaged"));
    let info = std::fs::read_to_string(folder.join(INFO)).expect("reads");
    let newer = info
        .replace("\"schema_version\": 1,\n  \"origin\"", "\"schema_version\": 2,\n  \"origin\"");
    assert_ne!(newer, info);
    std::fs::write(folder.join(INFO), newer).expect("writes");
    assert!(
        refused(&folder).contains("version 2, but this program reads \"vlclip.index\" version 1")
    );
    std::fs::write(folder.join(INFO), "{").expect("writes");
    assert!(refused(&folder).contains("index.json`: not valid JSON"));
}

#[test]
fn equal_embeddings_are_all_found() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let mut space = space(300);
    let first = space.pictures[..WIDTH].to_vec();
    space.pictures.chunks_exact_mut(WIDTH).for_each(|row| row.copy_from_slice(&first));
    let (store, folder) = (store(dir.path(), &space), dir.path().join("i"));
    build(&store, &folder, &[], &IndexOptions::default(), |_| {}).expect("builds");
    let index = Index::open(&folder).expect("opens");
    let found = index.search(&first, 300, None, How::Graph).expect("searches");
    let ids: BTreeSet<&str> = found.iter().map(|found| found.id.as_str()).collect();
    assert_eq!(ids.len(), 300);
    assert!(found.iter().all(|found| (found.score - 1.0).abs() < 2e-3));
}
