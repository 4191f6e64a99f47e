//! `data.train` as a list of sources: how it is written, and what a user reads when it is wrong.

#![allow(clippy::unwrap_used)]

use configs::{RunConfig, Source, Train};

/// A configuration with `train` as its sources, which begins in line 6.
fn load(train: &str, overrides: &[&str]) -> Result<RunConfig, String> {
    let text = format!(
        "name: demo\nduration: {{steps: 100}}\nmodel: {{init: {{pretrained: models/clip}}}}\n\
         data:\n  train:\n{train}batch: {{size: 64}}\noptim: {{lr: 1.0e-5}}\n"
    );
    let overrides: Vec<String> = overrides.iter().map(|o| (*o).to_owned()).collect();
    RunConfig::parse(&text, "run.yaml", &overrides).map_err(|error| error.to_string())
}

const GOOD: &str = "    \
    - {name: shop, paths: [shards/shop], weight: 3}
    - name: web
      paths: [s3://bucket/web, 'shards/{00..09}.parquet']
      weight: 0.5
      columns: {captions: alt, product_id: null}
";

#[test]
fn sources_are_read_and_written_back() {
    let cfg = load(GOOD, &[]).unwrap();
    let Train::Sources(sources) = &cfg.data.train else { panic!("{:?}", cfg.data.train) };
    let [shop, web] = &sources[..] else { panic!("{sources:?}") };
    let paths = vec!["shards/shop".into()];
    let expected = Source { name: "shop".into(), paths, weight: 3.0, columns: None };
    assert_eq!(shop, &expected);
    let columns = web.columns.as_ref().unwrap();
    assert_eq!((web.weight, columns.product_id.as_deref()), (0.5, None));
    assert_eq!(columns.captions, "alt".into());
    assert_eq!(columns.image, "image", "what a source leaves out has its default");

    let yaml = cfg.to_yaml().unwrap();
    assert_eq!(RunConfig::parse(&yaml, "config.yaml", &[]).unwrap(), cfg, "{yaml}");
    assert!(!yaml.contains("columns: null"), "{yaml}");
}

#[test]
fn overrides_reach_into_sources_and_replace_them() {
    let cfg = load(GOOD, &["data.train.1.weight=2", "data.train.0.paths=[a, b]"]).unwrap();
    let Train::Sources(sources) = &cfg.data.train else { panic!("{:?}", cfg.data.train) };
    assert_eq!((sources[1].weight, &sources[0].paths[..]), (2.0, &["a".into(), "b".into()][..]));
    let cfg = load(GOOD, &["data.train=[shards/all]"]).unwrap();
    assert_eq!(cfg.data.train, Train::Paths(vec!["shards/all".into()]));
}

#[test]
fn wrong_sources_name_place_and_remedy() {
    let cases = [
        (
            "",
            "    - shards/web\n",
            "run.yaml:6:5: data.train: expected paths alone or sources alone, found both; give \
             `shards/web` a name and a weight too: {name: .., paths: [shards/web], weight: ..}",
        ),
        (
            "weight: 3",
            "weight: 0",
            "0.weight: expected a finite number above 0, found 0 (run.yaml:6:50)",
        ),
        (
            "weight: 3",
            "weight: -1",
            "data.train.0.weight: expected a finite number above 0, found -1",
        ),
        ("weight: 3", "weight: .inf", "data.train.0.weight: expected a finite number"),
        (
            "weight: 3",
            "weight: many",
            "run.yaml:6:50: data.train.0.weight: expected a finite number",
        ),
        (", weight: 3", "", "run.yaml:6:7: data.train.0: required key `weight` is missing; add it"),
        (
            "name: web",
            "name: shop",
            "data.train.1.name: expected names that differ, found `shop` twice (run.yaml:7:13)",
        ),
        ("name: web", "name: ' '", "data.train.1.name: expected a name, found empty text"),
        (
            "paths: [shards/shop]",
            "paths: []",
            "data.train.0.paths: expected at least one file, folder, glob or URL, found none",
        ),
        (
            "paths: [shards/shop]",
            "paths: ['']",
            "data.train.0.paths.0: expected a file, folder, glob or URL, found empty text",
        ),
        (
            "paths: [shards/shop]",
            "paths: shards/shop",
            "data.train.0.paths: expected a list such as [a, b], found `shards/shop`",
        ),
        (
            "weight: 3",
            "wieght: 3",
            "data.train.0.wieght: unknown key `wieght`; valid keys: `name`, `paths`, `weight`, \
             `columns`; did you mean `weight`?",
        ),
        (
            "captions: alt",
            "captions: image",
            "data.train.1.columns.captions: expected a column of its own, found `image`, which is \
             the picture (data.train.1.columns.image)",
        ),
        (
            "captions: alt",
            "caption: alt",
            "run.yaml:10:17: data.train.1.columns.caption: unknown key `caption`",
        ),
    ];
    for (from, to, expected) in cases {
        let train = GOOD.replacen(from, to, 1);
        let found = load(&train, &[]).expect_err(&train);
        assert!(found.contains(expected), "expected {expected}\nfound    {found}");
    }
}

/// The example of the README.
#[test]
fn the_readme_shows_a_data_section_that_loads() {
    let readme = include_str!("../../README.md");
    let after = readme.split("### Data").nth(1).unwrap();
    let yaml = after.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let text = format!(
        "name: demo\nduration: {{steps: 100}}\nmodel: {{init: {{pretrained: models/clip}}}}\n{yaml}\
         batch: {{size: 64}}\noptim: {{lr: 1.0e-5}}\n"
    );
    let cfg = RunConfig::parse(&text, "README.md", &[]).unwrap_or_else(|e| panic!("{e}"));
    assert!(matches!(&cfg.data.train, Train::Sources(sources) if sources.len() == 2));
}
