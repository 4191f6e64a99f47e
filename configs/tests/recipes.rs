//! Every shipped recipe loads, survives overrides and a round trip; every model shape is sound.

#![allow(clippy::unwrap_used)]

use configs::{Duration, Micro, RunConfig};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect();
    found.sort();
    found
}

fn recipes() -> Vec<PathBuf> {
    let found = files(Path::new(env!("CARGO_MANIFEST_DIR")), "yaml");
    assert!(found.len() >= 3, "{found:?}");
    found
}

#[test]
fn every_recipe_loads_and_its_name_is_its_file_name() {
    for path in recipes() {
        let cfg = RunConfig::load(&path, &[]).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(cfg.name, path.file_stem().unwrap().to_str().unwrap());
        let eval = cfg.eval.as_ref().unwrap();
        assert_eq!(eval.k, [1, 5, 10]);
    }
}

#[test]
fn overridden_keys_resolve_in_every_recipe() {
    let overrides = [
        "name=other",
        "seed=7",
        "duration.steps=5000",
        "batch={size: 64, micro: 16}",
        "data.train=[a, b]",
        "data.train.1=c",
        "data.shuffle.streams=4",
        "data.workers=2",
        "optim.lr=1e-4",
        "model.freeze.text.blocks=2",
        "schedule.warmup_steps=3",
    ]
    .map(String::from);
    for path in recipes() {
        let cfg = RunConfig::load(&path, &overrides).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((cfg.name.as_str(), cfg.seed, cfg.optim.lr), ("other", 7, 1e-4));
        assert_eq!(cfg.duration, Duration::Steps(5000));
        assert_eq!((cfg.batch.size, cfg.batch.micro), (64, Some(Micro::Count(16))));
        assert_eq!(cfg.data.train, configs::Train::Paths(vec!["a".into(), "c".into()]));
        assert_eq!(cfg.data.shuffle.streams, configs::Streams::Count(4));
        assert_eq!(cfg.model.freeze.text, configs::FreezeTower::Blocks(2));
    }
}

#[test]
fn the_resolved_yaml_loads_to_an_equal_configuration() {
    for path in recipes() {
        let captions =
            "data.columns.captions=[title, {template: '{{\"{a.b}\": {c}', weight: 0.25}]";
        let overrides = ["name='0017'", "data.columns.product_id=null", captions];
        let cfg = RunConfig::load(&path, &overrides.map(String::from)).unwrap();
        let yaml = cfg.to_yaml().unwrap();
        assert!(yaml.contains("max_bad_fraction"), "defaults are written out:\n{yaml}");
        let again = RunConfig::parse(&yaml, "config.yaml", &[]).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(again, cfg, "{yaml}");
    }
}

#[test]
fn every_model_shape_is_one_clip_can_have() {
    let shapes = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models"), "json");
    assert!(shapes.len() >= 4, "{shapes:?}");
    for path in shapes {
        let shape: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let number = |tower: &str, key: &str| shape[tower][key].as_u64().unwrap();
        for tower in ["text_config", "vision_config"] {
            let (width, heads) =
                (number(tower, "hidden_size"), number(tower, "num_attention_heads"));
            assert_eq!(width % heads, 0, "{}", path.display());
            assert_eq!(shape[tower]["projection_dim"], shape["projection_dim"]);
            assert_eq!(shape[tower]["hidden_act"], shape["text_config"]["hidden_act"]);
        }
        assert_eq!(
            number("vision_config", "image_size") % number("vision_config", "patch_size"),
            0
        );
        let vocabulary = number("text_config", "vocab_size");
        assert_eq!(number("text_config", "eos_token_id"), vocabulary - 1);
        assert_eq!(number("text_config", "bos_token_id"), vocabulary - 2);
    }
}
