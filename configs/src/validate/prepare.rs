//! The checks of `vlclip prepare`'s sections.

use super::Checks;
use crate::error::Issue;
use crate::prepare::{
    Attributes, BoxColumns, Catalogue, Duplicates, Fetch, Format, Grounding, GroundingKind, Output,
    ProductType, RawPrepare, RefineKind, Roles,
};

/// Every problem of `cfg`, in the order of its sections; empty if it can run.
pub(crate) fn issues(cfg: &RawPrepare) -> Vec<Issue> {
    let mut checks = Checks::default();
    catalogue(&mut checks, &cfg.catalogue);
    grounding(&mut checks, &cfg.grounding);
    checks.0.extend(cfg.refine.issues());
    if cfg.refine.kind == RefineKind::Llm {
        let named = cfg.refine.tokenizer.is_some();
        let expected = "the model's folder or its tokenizer.json, which captions are measured with";
        checks.require(named, "refine.tokenizer", expected, "none");
    }
    duplicates(&mut checks, cfg.duplicates);
    output(&mut checks, &cfg.output);
    checks.0
}

fn catalogue(checks: &mut Checks, catalogue: &Catalogue) {
    let paths = &catalogue.paths.0;
    match paths.as_slice() {
        [only] => {
            let expected = "a file, folder, glob or URL";
            checks.require(!only.trim().is_empty(), "catalogue.paths", expected, "empty text");
        }
        _ => checks.paths("catalogue.paths", paths),
    }
    if let Some(delimiter) = catalogue.delimiter {
        let path = "catalogue.delimiter";
        let plain = delimiter.is_ascii() && !['"', '\r', '\n', '\0'].contains(&delimiter);
        let expected = "one ASCII character that is no quote and no line end";
        checks.require(plain, path, expected, format!("{delimiter:?}"));
        let holds = matches!(catalogue.format, Format::Auto | Format::Csv);
        checks.require(holds, path, "none: only catalogue.format csv has a choice", "one");
    }
    roles(checks, &catalogue.columns);
    if let Some(root) = &catalogue.image_root {
        let path = "catalogue.image_root";
        checks.require(!root.is_empty(), path, "a folder or an http(s) URL", "empty text");
        let web = ["http", "https"];
        let other = root.split_once("://").map(|(scheme, _)| scheme).filter(|s| !web.contains(s));
        let found = format!("`{root}`");
        checks.require(other.is_none(), path, "a folder or an http(s) URL", found);
    }
    types(checks, catalogue);
    fetch(checks, &catalogue.fetch);
}

fn types(checks: &mut Checks, catalogue: &Catalogue) {
    for (kind, phrase) in &catalogue.phrases {
        let path = format!("catalogue.phrases.{kind}");
        checks.require(!phrase.trim().is_empty(), &path, "a phrase", "empty text");
    }
    let Some(types) = &catalogue.product_types else { return };
    let path = "catalogue.product_types";
    if types.is_empty() {
        let message = "expected at least one product type, found none; leave it out to take any";
        checks.fail(path, message.into());
    }
    for (i, kind) in types.iter().enumerate() {
        let path = format!("{path}.{i}");
        let found = format!("{kind:?}");
        checks.require(is_trimmed(kind), &path, "a type without blanks around it", found);
    }
    for kind in catalogue.phrases.keys().filter(|kind| !types.contains(kind)) {
        let path = format!("catalogue.phrases.{kind}");
        checks.fail(
            &path,
            format!("expected a type of {path}, found `{kind}`", path = "catalogue.product_types"),
        );
    }
    if let ProductType::Constant(kind) = &catalogue.columns.product_type {
        let holds = types.contains(kind);
        let expected = "a type of catalogue.product_types";
        checks.require(holds, "catalogue.columns.product_type", expected, format!("`{kind}`"));
    }
}

fn is_trimmed(text: &str) -> bool {
    !text.is_empty() && text.trim() == text
}

fn roles(checks: &mut Checks, roles: &Roles) {
    let at = |role: &str| format!("catalogue.columns.{role}");
    let required =
        [("product_id", &roles.product_id), ("title", &roles.title), ("image", &roles.image)];
    let optional =
        [("description", &roles.description), ("weight", &roles.weight), ("group", &roles.group)];
    let optional = optional.into_iter().filter_map(|(role, name)| Some((role, name.as_ref()?)));
    for (role, name) in required.into_iter().chain(optional) {
        checks.require(!name.is_empty(), &at(role), "a column name", "empty text");
    }
    let attributes = match &roles.attributes {
        Attributes::Packed(name) => std::slice::from_ref(name),
        Attributes::Columns(names) => names.as_slice(),
    };
    for (i, name) in attributes.iter().enumerate() {
        let packed = matches!(roles.attributes, Attributes::Packed(_));
        let role = if packed { "attributes".into() } else { format!("attributes.{i}") };
        checks.require(!name.is_empty(), &at(&role), "a column name", "empty text");
        let twice = attributes[..i].contains(name);
        checks.require(!twice, &at(&role), "columns that differ", format!("`{name}` twice"));
    }
    match &roles.product_type {
        ProductType::Column(name) => {
            checks.require(!name.is_empty(), &at("product_type"), "a column name", "empty text");
        }
        ProductType::Constant(kind) => {
            let expected = "a type without blanks around it";
            checks.require(is_trimmed(kind), &at("product_type"), expected, format!("{kind:?}"));
        }
    }
}

fn fetch(checks: &mut Checks, fetch: &Fetch) {
    let at = |key: &str| format!("catalogue.fetch.{key}");
    let times = [("connect_timeout_s", fetch.connect_timeout_s), ("timeout_s", fetch.timeout_s)];
    for (key, seconds) in times {
        let holds = seconds > 0.0 && seconds <= 3600.0;
        checks.require(holds, &at(key), "more than 0 and at most 3600 seconds", seconds);
    }
    let holds = (0.0..=3600.0).contains(&fetch.backoff_s);
    checks.require(holds, &at("backoff_s"), "0 to 3600 seconds", fetch.backoff_s);
    megabytes(checks, &at("max_mb"), fetch.max_mb);
    checks.require(fetch.retries <= 100, &at("retries"), "at most 100", fetch.retries);
    checks.at_least_one(&at("per_host"), fetch.per_host);
    checks.require(fetch.per_host <= 1024, &at("per_host"), "at most 1024", fetch.per_host);
    checks.require(
        fetch.max_redirects <= 20,
        &at("max_redirects"),
        "at most 20",
        fetch.max_redirects,
    );
    let agent = &fetch.user_agent;
    let holds = !agent.is_empty() && agent.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    checks.require(holds, &at("user_agent"), "printable ASCII text", format!("{agent:?}"));
}

fn megabytes(checks: &mut Checks, path: &str, mb: f64) {
    // Far from where bytes would overflow a 64-bit number.
    let holds = mb > 0.0 && mb <= 1e9;
    checks.require(holds, path, "more than 0 and at most 1e9 MB", mb);
}

fn grounding(checks: &mut Checks, grounding: &Grounding) {
    if let Some(given) = &grounding.given {
        let names = match &given.columns {
            BoxColumns::One(name) => std::slice::from_ref(name),
            BoxColumns::Four(names) => names,
        };
        let holds = names.iter().all(|name| !name.is_empty());
        checks.require(holds, "grounding.box.columns", "column names", "empty text");
    }
    if let Some(model) = &grounding.model {
        let holds = !model.as_os_str().is_empty();
        checks.require(holds, "grounding.model", "a folder", "empty text");
    }
    match grounding.kind {
        GroundingKind::Given if grounding.given.is_none() => checks.fail(
            "grounding.box",
            "expected the columns of the boxes that grounding.kind given takes, found none; add \
             box: {columns: [x0, y0, x1, y1], format: xyxy, units: pixels}"
                .into(),
        ),
        GroundingKind::GroundingDino if grounding.model.is_none() => checks.fail(
            "grounding.model",
            "expected the folder of the detector that grounding.kind grounding_dino runs, found \
             none; add model: DIR"
                .into(),
        ),
        _ => {}
    }
    checks.fraction("grounding.box_threshold", grounding.box_threshold);
    checks.fraction("grounding.text_threshold", grounding.text_threshold);
    checks.at_least_one("grounding.batch", grounding.batch);
    let holds = (0.0..=10.0).contains(&grounding.padding);
    checks.require(holds, "grounding.padding", "a share from 0 to 10", grounding.padding);
}

fn duplicates(checks: &mut Checks, duplicates: Duplicates) {
    let distance = duplicates.max_distance;
    // Unrelated pictures differ in half of the bits.
    checks.require(distance < 32, "duplicates.max_distance", "0 to 31 of 64 bits", distance);
}

fn output(checks: &mut Checks, output: &Output) {
    const DIR: &str = "a folder, or a URL that begins with s3://, gs:// or az://";
    checks.require(!output.dir.trim().is_empty(), "output.dir", DIR, "empty text");
    if let Some((scheme, _)) = output.dir.split_once("://") {
        let holds = ["s3", "s3a", "gs", "az", "azure", "abfs", "abfss"].contains(&scheme);
        checks.require(holds, "output.dir", DIR, format!("`{}`", output.dir));
    }
    if let Some(dir) = &output.work_dir {
        let holds = !dir.as_os_str().is_empty();
        checks.require(holds, "output.work_dir", "a folder", "empty text");
    }
    if let Some(side) = output.short_side {
        let holds = (1..=16_384).contains(&side);
        checks.require(holds, "output.short_side", "1 to 16384 pixels, or null", side);
    }
    let holds = (1..=100).contains(&output.quality);
    checks.require(holds, "output.quality", "1 to 100", output.quality);
    checks.at_least_one("output.row_group_rows", output.row_group_rows);
    megabytes(checks, "output.row_group_mb", output.row_group_mb);
    megabytes(checks, "output.file_mb", output.file_mb);
    let splits = output.splits;
    let shares = [("train", splits.train), ("val", splits.val), ("test", splits.test)];
    for (name, share) in shares {
        checks.fraction(&format!("output.splits.{name}"), share);
    }
    let sum: f64 = shares.iter().map(|(_, share)| share).sum();
    let holds = (sum - 1.0).abs() <= 1e-9;
    checks.require(holds, "output.splits", "shares that add up to 1", format!("a sum of {sum}"));
    checks.fraction("output.max_reject_fraction", output.max_reject_fraction);
}
