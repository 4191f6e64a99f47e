//! A made-up shop with every part of a report: two models, four tasks, slices, drawn pictures.

use eval::{
    Bootstrap, Candidates, Card, CompareOptions, Embeddings, EvaluateOptions, Gallery, Labels,
    Qrels, Ranking, Report, SearchOptions, SelfMatch, Side, Subject, compare, evaluate, scores,
    search, space,
};
use fastrand::Rng;
use std::collections::BTreeMap;

const TYPES: [&str; 9] =
    ["mug", "handbag", "sneaker", "floor lamp", "scarf", "armchair", "backpack", "watch", "kettle"];
const COLOURS: [(&str, [u8; 3]); 8] = [
    ("red", [196, 52, 45]),
    ("navy", [38, 56, 108]),
    ("olive", [112, 118, 48]),
    ("cream", [226, 212, 178]),
    ("black", [38, 38, 42]),
    ("teal", [34, 128, 128]),
    ("mustard", [210, 160, 40]),
    ("pink", [226, 140, 160]),
];
const MATERIALS: [&str; 5] = ["leather", "cotton", "steel", "oak", "glass"];
const WIDTH: usize = 48;
const PRODUCTS: usize = 360;

/// A direction, of length about 1.
fn vector(random: &mut Rng) -> Vec<f32> {
    (0..WIDTH).map(|_| (random.f32() * 2.0 - 1.0) * 0.25).collect()
}

pub struct Product {
    id: String,
    title: String,
    kind: usize,
    colour: usize,
    grounding: Option<&'static str>,
    words: f64,
}

/// A report and what belongs to it.
pub struct Made {
    pub report: Report,
    pub rankings: BTreeMap<String, Ranking>,
    pub galleries: BTreeMap<String, Gallery>,
}

pub fn products() -> Vec<Product> {
    let mut random = Rng::with_seed(3);
    (0..PRODUCTS)
        .map(|index| {
            // Few watches, many mugs.
            let kind = random.usize(..TYPES.len()).min(random.usize(..TYPES.len() + 3));
            let (colour, material) =
                (random.usize(..COLOURS.len()), random.usize(..MATERIALS.len()));
            let title = format!("{} {} {}", COLOURS[colour].0, MATERIALS[material], TYPES[kind]);
            let tail = [
                "",
                ", new season",
                " with a removable strap and a lining of recycled cotton",
                " by Hartmann & Söhne, hand finished in small numbers",
            ][random.usize(..4)];
            let title = format!("{title}{tail}");
            Product {
                id: format!("sku-{:05}", 10_000 + index * 7),
                words: title.split(' ').count() as f64,
                title,
                kind,
                colour,
                grounding: [Some("grounded"), Some("grounded"), Some("below_threshold"), None]
                    [random.usize(..4)],
            }
        })
        .collect()
}

/// Embeddings of a model that hears the details of a product over `noise`.
struct Model {
    text: Embeddings,
    image: Embeddings,
    colours: Embeddings,
}

fn model(products: &[Product], noise: f32, seed: u64) -> Model {
    let mut fixed = Rng::with_seed(11);
    let kinds: Vec<_> = TYPES.iter().map(|_| vector(&mut fixed)).collect();
    let colours: Vec<_> = COLOURS.iter().map(|_| vector(&mut fixed)).collect();
    let details: Vec<_> = products.iter().map(|_| vector(&mut fixed)).collect();
    let offset = vector(&mut fixed);
    let mut random = Rng::with_seed(seed);
    let mut side = |sign: f32| {
        let mut rows = Vec::new();
        for (product, detail) in products.iter().zip(&details) {
            let own = vector(&mut random);
            // Scarves and lamps are hard; so are pictures that no box was found in.
            let hard = 1.0
                + 0.6 * f32::from(u8::from(product.kind == 3 || product.kind == 4))
                + 0.5 * f32::from(u8::from(product.grounding == Some("below_threshold")));
            for at in 0..WIDTH {
                rows.push(
                    kinds[product.kind][at]
                        + 0.7 * colours[product.colour][at]
                        + 0.8 * detail[at]
                        + noise * hard * own[at]
                        + sign * offset[at],
                );
            }
        }
        let ids = products.iter().map(|product| product.id.clone()).collect();
        Embeddings::normalised(ids, WIDTH, rows).expect("valid rows")
    };
    let (text, image) = (side(0.4), side(-0.4));
    let names = COLOURS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let rows = colours.iter().flat_map(|row| row.iter().zip(&offset).map(|(c, o)| c + 0.4 * o));
    let colours = Embeddings::normalised(names, WIDTH, rows.collect()).expect("valid rows");
    Model { text, image, colours }
}

fn slices(products: &[Product]) -> Vec<Labels> {
    let column =
        |column: &str, values: Vec<Option<String>>| Labels { column: column.into(), values };
    vec![
        column("product_type", products.iter().map(|p| Some(TYPES[p.kind].into())).collect()),
        column("grounding", products.iter().map(|p| p.grounding.map(Into::into)).collect()),
        Labels::binned("title words", &products.iter().map(|p| Some(p.words)).collect::<Vec<_>>()),
    ]
}

fn report(
    products: &[Product],
    model: &Model,
    subject: Subject,
) -> (Report, BTreeMap<String, Ranking>) {
    let same = |pairs: &mut dyn Iterator<Item = (usize, usize)>| {
        Qrels::new(pairs.map(|(a, b)| (products[a].id.clone(), products[b].id.clone(), 1)))
            .expect("distinct pairs")
    };
    let own = same(&mut (0..PRODUCTS).map(|at| (at, at)));
    let alike = same(&mut (0..PRODUCTS).flat_map(|a| {
        let is_alike = move |b: &usize| {
            a != *b
                && products[a].kind == products[*b].kind
                && products[a].colour == products[*b].colour
        };
        (0..PRODUCTS).filter(is_alike).map(move |b| (a, b))
    }));
    let coloured = products.iter().map(|p| (p.id.clone(), COLOURS[p.colour].0, 1));
    let coloured = Qrels::new(coloured).expect("distinct pairs");
    let classes = products.iter().map(|p| Some(COLOURS[p.colour].0.to_owned())).collect();
    let classes = Labels { column: "colour".into(), values: classes };
    let (text, image) = (&model.text, &model.image);
    let bootstrap = Bootstrap { resamples: 500, ..Bootstrap::default() };
    let mut tasks = BTreeMap::new();
    let mut rankings = BTreeMap::new();
    for (name, description, queries, items, qrels, self_match, classes) in [
        (
            "text_to_image",
            "caption → picture, distinct products",
            text,
            image,
            &own,
            SelfMatch::Keep,
            None,
        ),
        (
            "image_to_text",
            "picture → caption, distinct products",
            image,
            text,
            &own,
            SelfMatch::Keep,
            None,
        ),
        (
            "similar_items",
            "picture → pictures of the same type and colour",
            image,
            image,
            &alike,
            SelfMatch::Exclude,
            None,
        ),
        (
            "colour",
            "picture → “a photo of a {colour} product”",
            image,
            &model.colours,
            &coloured,
            SelfMatch::Keep,
            Some(classes),
        ),
    ] {
        let options = SearchOptions { self_match, ..SearchOptions::new(items.len().min(100)) };
        let ranking = search(queries, items, qrels, &options).expect("valid");
        let options = EvaluateOptions {
            slices: slices(products),
            classes,
            bootstrap,
            examples: 4,
            description: description.into(),
            candidates: Candidates::All,
            ..EvaluateOptions::new(if items.len() < 10 { &[1, 3] } else { &[1, 3, 5, 10] })
        };
        let mut task = evaluate(&ranking, &options).expect("valid");
        task.scores = scores(queries, items, &ranking, |_, _| true, 0).expect("of the ranking");
        tasks.insert(name.to_owned(), task);
        rankings.insert(name.to_owned(), ranking);
    }
    let mut report = Report::new(subject, &bootstrap, tasks).expect("usable names");
    let sides = (Side { name: "text", rows: text }, Side { name: "image", rows: image });
    report.space = Some(space(sides.0, Some(sides.1), &own, Some(37.25), 0).expect("valid"));
    (report, rankings)
}

/// The whole report, with a baseline.
pub fn made() -> Made {
    let products = products();
    let subject = |model: &str| Subject {
        model: model.into(),
        data: "/data/products/test (12 shards, split test)".into(),
        command: format!("vlclip eval --model {model} --items /data/products/test --out report"),
        hashes: BTreeMap::from([
            ("model.safetensors".into(), "5f2c".repeat(16)),
            ("tokenizer.json".into(), "91ab".repeat(16)),
        ]),
        data_hashes: BTreeMap::from([("part-000.parquet".into(), "77e0".repeat(16))]),
    };
    let (before, _) =
        report(&products, &model(&products, 1.75, 5), subject("openai/clip-vit-base-patch32"));
    let tuned = subject("checkpoints/runs/fashion-b32/step-00004000");
    let (mut report, rankings) = report(&products, &model(&products, 1.45, 6), tuned);
    let options = CompareOptions { changes: 5, ..CompareOptions::default() };
    report.baseline = Some(compare(&before, &report, &options).expect("same protocol"));
    let mut galleries = BTreeMap::new();
    for (name, shown) in report.shown() {
        let card = |id: &String, text: bool, image: bool| {
            let Some(product) = products.iter().find(|product| product.id == *id) else {
                let prompt = format!("a photo of a {id} product");
                return (id.clone(), Card { text: Some(prompt), picture: None });
            };
            let text = text.then(|| product.title.clone());
            (id.clone(), Card { text, picture: image.then(|| picture(product)) })
        };
        let (text_queries, text_items) = (name == "text_to_image", name == "image_to_text");
        let gallery = Gallery {
            queries: shown.queries.iter().map(|id| card(id, true, !text_queries)).collect(),
            items: shown.items.iter().map(|id| card(id, true, !text_items)).collect(),
        };
        galleries.insert(name, gallery);
    }
    Made { report, rankings, galleries }
}

/// A product as simple shapes on a plain ground: JPEG, 144 pixels.
fn picture(product: &Product) -> Vec<u8> {
    const SIDE: i32 = 144;
    let mut random = Rng::with_seed(product.id.bytes().map(u64::from).sum());
    let ground = [235 - random.u8(..30), 232, 226 - random.u8(..30)];
    let colour = COLOURS[product.colour].1;
    let pixels = image::RgbImage::from_fn(SIDE as u32, SIDE as u32, |x, y| {
        let (x, y) = (x as i32 - SIDE / 2, y as i32 - SIDE / 2);
        let ring = |x: i32, y: i32, outer: i32, inner: i32| {
            (inner * inner..outer * outer).contains(&(x * x + y * y))
        };
        let block = |wide: i32, top: i32, bottom: i32| x.abs() < wide && (top..bottom).contains(&y);
        let inside = match product.kind {
            0 => block(28, -30, 34) || ring(x - 34, y - 2, 22, 13),
            1 => block(44, -10, 44) || (ring(x, y + 10, 30, 23) && y < -10),
            2 => (block(54, 14, 34)) || (x < 10 && x > -54 && (-14..14).contains(&y)),
            3 => block(3, -30, 52) || block(24, 50, 56) || (y < -20 && y > -58 && x.abs() < 58 + y),
            4 => block(14, -50, 50) || ring(x, y + 34, 34, 16),
            5 => {
                block(50, 6, 34)
                    || block(34, -40, 10)
                    || (x.abs() < 50 && x.abs() > 38 && y > 0 && y < 52)
            }
            6 => block(34, -34, 44) || ring(x, y + 36, 16, 9),
            7 => ring(x, y, 30, 0) || block(12, -58, 58),
            _ => ring(x, y - 8, 40, 0) || ring(x, y + 34, 26, 18),
        };
        let shade = if inside { (y / 6) as i16 } else { (y / 12) as i16 };
        image::Rgb(
            (if inside { colour } else { ground })
                .map(|c| (i16::from(c) - shade).clamp(0, 255) as u8),
        )
    });
    let mut jpeg = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 80);
    pixels.write_with_encoder(encoder).expect("encodes");
    jpeg
}
