//! The configuration of `vlclip prepare`: what loads, and what a user reads when it does not.

#![allow(clippy::unwrap_used)]

use configs::ConfigError;
use configs::prepare::{
    Attributes, BoxColumns, BoxFormat, BoxUnits, GroundingKind, PrepareConfig, ProductType,
};
use serde_json::Value;

const GOOD: &str = "\
catalogue:
  paths: products.csv
  columns: {product_id: sku, title: name, product_type: category}
output: {dir: shards}
";

fn load(text: &str, overrides: &[&str]) -> Result<PrepareConfig, ConfigError> {
    let overrides: Vec<String> = overrides.iter().map(|o| (*o).to_owned()).collect();
    PrepareConfig::parse(text, "prepare.yaml", &overrides)
}

fn set(overrides: &[&str]) -> PrepareConfig {
    load(GOOD, overrides).unwrap_or_else(|e| panic!("{e}"))
}

fn message(overrides: &[&str]) -> String {
    match load(GOOD, overrides) {
        Ok(cfg) => panic!("accepted: {cfg:#?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn little_is_needed_and_the_rest_has_defaults() {
    let cfg = set(&[]);
    assert_eq!(cfg.catalogue.paths.0, ["products.csv"]);
    assert_eq!(cfg.catalogue.columns.image, "image");
    assert_eq!(cfg.grounding.kind, GroundingKind::None);
    assert_eq!((cfg.grounding.box_threshold, cfg.grounding.text_threshold), (0.35, 0.25));
    assert_eq!((cfg.duplicates.enabled, cfg.duplicates.max_distance), (true, 4));
    assert_eq!((cfg.output.short_side, cfg.output.quality), (Some(288), 90));
    assert_eq!(cfg.output.max_reject_fraction, 0.05);
    assert_eq!((cfg.catalogue.fetch.per_host, cfg.catalogue.fetch.allow_private), (8, false));
}

#[test]
fn every_spelling_of_a_choice_is_read_and_written_back() {
    let cfg = set(&[
        "catalogue.paths=[a.csv, b/*.parquet]",
        "catalogue.delimiter=;",
        "catalogue.columns.product_type.constant=handbag",
        "catalogue.columns.attributes=[colour, 2024]",
        "catalogue.phrases={tee: t-shirt}",
        "grounding={kind: given, box: {columns: [x, y, w, h], format: xywh, units: relative}}",
        "output.short_side=null",
    ]);
    assert_eq!(cfg.catalogue.paths.0, ["a.csv", "b/*.parquet"]);
    assert_eq!(cfg.catalogue.columns.product_type, ProductType::Constant("handbag".into()));
    let attributes = Attributes::Columns(vec!["colour".into(), "2024".into()]);
    assert_eq!(cfg.catalogue.columns.attributes, attributes);
    let given = cfg.grounding.given.clone().unwrap();
    assert_eq!(given.columns, BoxColumns::Four(["x", "y", "w", "h"].map(String::from)));
    assert_eq!((given.format, given.units), (BoxFormat::Xywh, BoxUnits::Relative));
    assert_eq!(cfg.output.short_side, None);
    let packed = set(&["catalogue.columns.attributes=specs", "grounding.box={columns: bbox}"]);
    assert_eq!(packed.catalogue.columns.attributes, Attributes::Packed("specs".into()));
    for cfg in [set(&[]), cfg, packed] {
        let yaml = cfg.to_yaml().unwrap();
        let again = PrepareConfig::parse(&yaml, "resolved.yaml", &[]);
        assert_eq!(again.unwrap_or_else(|e| panic!("{e}\n{yaml}")), cfg, "{yaml}");
    }
}

#[test]
fn a_key_or_type_that_does_not_fit_is_placed() {
    let text = GOOD.replace("title: name", "tilte: name");
    assert_eq!(
        load(&text, &[]).unwrap_err().to_string(),
        "prepare.yaml:3:30: catalogue.columns.tilte: unknown key `tilte`; valid keys: \
         `product_id`, `title`, `description`, `product_type`, `attributes`, `image`, `weight`, \
         `group`; did you mean `title`?\n  |\n3 |   columns: {product_id: sku, tilte: name, \
         product_type: category}\n  |                              ^^^^^"
    );
    assert_eq!(
        message(&["grounding.box={columns: [x0, y0, x1]}"]),
        "--set grounding.box={columns: [x0, y0, x1]}: grounding.box.columns: expected the name of \
         a column, or a list of four, found a list of 3"
    );
    assert_eq!(
        message(&["grounding.kind=dino"]),
        "--set grounding.kind=dino: grounding.kind: expected one of `none`, `given`, \
         `grounding_dino`, found `dino`"
    );
    assert_eq!(
        message(&["catalogue.columns.product_type=[a]"]),
        "--set catalogue.columns.product_type=[a]: catalogue.columns.product_type: expected a \
         column's name, or {constant: TEXT}, found a list"
    );
}

#[test]
fn all_values_that_do_not_go_together_come_at_once() {
    let text = GOOD.replace("products.csv", "''");
    let found = load(
        &text,
        &[
            "catalogue.delimiter=\"\\n\"",
            "catalogue.image_root=s3://pictures",
            "catalogue.product_types=[shoe, ' bag']",
            "catalogue.phrases={tee: t-shirt}",
            "catalogue.fetch.timeout_s=0",
            "catalogue.fetch.user_agent=''",
            "grounding.kind=given",
            "grounding.padding=-1",
            "duplicates.max_distance=32",
            "output.dir=ftp://host/x",
            "output.quality=0",
            "output.splits.train=0.9",
        ],
    );
    assert_eq!(
        found.unwrap_err().to_string(),
        "the configuration has 13 errors:\
         \n  catalogue.paths: expected a file, folder, glob or URL, found empty text \
         (prepare.yaml:2:10)\
         \n  catalogue.delimiter: expected one ASCII character that is no quote and no line end, \
         found '\\n' (--set catalogue.delimiter=\"\\n\")\
         \n  catalogue.image_root: expected a folder or an http(s) URL, found `s3://pictures` \
         (--set catalogue.image_root=s3://pictures)\
         \n  catalogue.product_types.1: expected a type without blanks around it, found \" bag\" \
         (--set catalogue.product_types=[shoe, ' bag'])\
         \n  catalogue.phrases.tee: expected a type of catalogue.product_types, found `tee` \
         (--set catalogue.phrases={tee: t-shirt})\
         \n  catalogue.fetch.timeout_s: expected more than 0 and at most 3600 seconds, found 0 \
         (--set catalogue.fetch.timeout_s=0)\
         \n  catalogue.fetch.user_agent: expected printable ASCII text, found \"\" \
         (--set catalogue.fetch.user_agent='')\
         \n  grounding.box: expected the columns of the boxes that grounding.kind given takes, \
         found none; add box: {columns: [x0, y0, x1, y1], format: xyxy, units: pixels}\
         \n  grounding.padding: expected a share from 0 to 10, found -1 (--set grounding.padding=-1)\
         \n  duplicates.max_distance: expected 0 to 31 of 64 bits, found 32 \
         (--set duplicates.max_distance=32)\
         \n  output.dir: expected a folder, or a URL that begins with s3://, gs:// or az://, found \
         `ftp://host/x` (--set output.dir=ftp://host/x)\
         \n  output.quality: expected 1 to 100, found 0 (--set output.quality=0)\
         \n  output.splits: expected shares that add up to 1, found a sum of 1.1 \
         (--set output.splits.train=0.9)"
    );
    assert!(message(&["grounding.kind=grounding_dino"]).contains(
        "grounding.model: expected the folder of the detector that grounding.kind grounding_dino \
         runs, found none; add model: DIR"
    ));
}

#[test]
fn every_key_of_the_schema_is_described() {
    fn walk(at: &str, schema: &Value, bare: &mut Vec<String>) {
        for (key, property) in schema["properties"].as_object().into_iter().flatten() {
            if property.get("description").is_none() {
                bare.push(format!("{at}.{key}"));
            }
        }
    }
    let schema = configs::prepare::schema();
    let mut bare = Vec::new();
    walk("", &schema, &mut bare);
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        walk(name, definition, &mut bare);
    }
    assert!(bare.is_empty(), "{bare:?}");
    let columns = &schema["$defs"]["BoxColumns"]["oneOf"][1];
    assert_eq!((&columns["minItems"], &columns["maxItems"]), (&4.into(), &4.into()));
}

#[test]
fn every_recipe_loads_and_comes_back_from_its_resolved_text() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("prepare");
    let mut found = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let cfg = PrepareConfig::load(&path, &[]).unwrap_or_else(|e| panic!("{e}"));
        let again = load(&cfg.to_yaml().unwrap(), &[]).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(cfg, again, "{}", path.display());
        found += 1;
    }
    assert!(found >= 2);
}

#[test]
fn an_agent_needs_a_tokenizer() {
    let llm = ["refine.kind=llm", "refine.model=m", "refine.endpoint={url: 'http://localhost/v1'}"];
    let said = message(&llm);
    assert!(
        said.contains(
            "refine.tokenizer: expected the model's folder or its tokenizer.json, which captions \
             are measured with, found none"
        ),
        "{said}"
    );
    let mut all = llm.to_vec();
    all.push("refine.tokenizer=clip");
    assert_eq!(set(&all).refine.tokenizer.as_deref(), Some(std::path::Path::new("clip")));
}
