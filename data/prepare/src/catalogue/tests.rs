//! Catalogues of every format, sound and broken.

mod messages;
mod parquet;
mod resume;

use std::io::Write;
use std::path::{Path, PathBuf};

use configs::prepare::PrepareConfig;

use super::*;

/// A folder for a test's files, and the configuration of a catalogue in it.
pub(super) struct Shop {
    dir: tempfile::TempDir,
    yaml: String,
}

/// The shortest configuration: columns `id`, `title`, `type`, `image`.
const COLUMNS: &str = "columns: {product_id: id, title: title, product_type: type, image: image";

impl Shop {
    /// A file of the name and content; `more`: further roles.
    pub(super) fn new(name: &str, content: impl AsRef<[u8]>, more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let shop = Self { dir, yaml: String::new() };
        let path = shop.add(name, content);
        let yaml = format!("paths: {}, {COLUMNS}{more}}}", path.display());
        Self { yaml, ..shop }
    }

    pub(super) fn add(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn open(&self, overrides: &[&str]) -> Result<Catalogue, PrepareError> {
        let yaml = format!("catalogue: {{{}}}\noutput: {{dir: out}}", self.yaml);
        let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
        let config = PrepareConfig::parse(&yaml, "test.yaml", &overrides);
        let config = config.unwrap_or_else(|error| panic!("{error}\n{yaml}"));
        Catalogue::open(&config.catalogue, &config.grounding)
    }

    /// Every row: `Ok(product)`, or what its rejection says without the folder.
    pub(super) fn rows(&self, overrides: &[&str]) -> Vec<Result<Product, String>> {
        let catalogue = self.open(overrides).unwrap_or_else(|error| panic!("{error}"));
        let rows = catalogue.products(Position::default());
        rows.map(|row| row.unwrap().map_err(|reject| self.plain(&reject.to_string()))).collect()
    }

    pub(super) fn products(&self, overrides: &[&str]) -> Vec<Product> {
        self.rows(overrides).into_iter().map(|row| row.unwrap_or_else(|e| panic!("{e}"))).collect()
    }

    pub(super) fn rejects(&self, overrides: &[&str]) -> Vec<String> {
        self.rows(overrides).into_iter().filter_map(Result::err).collect()
    }

    /// What opening the catalogue is refused with.
    pub(super) fn refusal(&self, overrides: &[&str]) -> String {
        match self.open(overrides) {
            Ok(_) => panic!("it opens"),
            Err(error) => self.plain(&error.to_string()),
        }
    }

    fn plain(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.dir.path().display()), "")
    }
}

pub(super) fn ids(products: &[Product]) -> Vec<&str> {
    products.iter().map(|product| product.product_id.as_str()).collect()
}

const CSV: &str = "\
id,title,type,image,text,colour,size,w,grp\n\
1, Red shoe ,shoe,img/1.jpg,\"soft, \"\"light\"\"\nand red\",red,42,2.5,g\n\
\n\
2,Bag,bag,https://host/2.png,,,,,\n";

const ROLES: &str = ", description: text, attributes: [colour, size], weight: w, group: grp";

#[test]
fn a_csv_row_is_a_product_with_all_its_roles() {
    let shop = Shop::new("shop.csv", CSV, ROLES);
    let products = shop.products(&["catalogue.phrases={shoe: sneaker}"]);
    let first = Product {
        row: RowRef { file: shop.path("shop.csv").into(), file_index: 0, row: 0, line: Some(2) },
        product_id: "1".into(),
        title: "Red shoe".into(),
        description: Some("soft, \"light\"\nand red".into()),
        product_type: "shoe".into(),
        phrase: "sneaker".into(),
        attributes: vec![("colour".into(), "red".into()), ("size".into(), "42".into())],
        image: ImageRef::Path(shop.path("img/1.jpg")),
        given_box: None,
        weight: Some(2.5),
        group: Some("g".into()),
    };
    let second = Product {
        row: RowRef { file: shop.path("shop.csv").into(), file_index: 0, row: 1, line: Some(5) },
        product_id: "2".into(),
        title: "Bag".into(),
        description: None,
        product_type: "bag".into(),
        phrase: "bag".into(),
        attributes: vec![],
        image: ImageRef::Url("https://host/2.png".parse().unwrap()),
        given_box: None,
        weight: Some(1.0),
        group: None,
    };
    assert_eq!(products, [first, second]);
}

#[test]
fn line_ends_marks_delimiters_and_compression_change_nothing() {
    let expected = Shop::new("shop.csv", CSV, ROLES).products(&[]);
    let windows = CSV.replace("\"\"\nand", "\"\" and").replace('\n', "\r\n");
    let plain = CSV.replace("\"\"\nand", "\"\" and");
    let same = |shop: Shop, overrides: &[&str], what: &str| {
        let strip = |products: Vec<Product>| -> Vec<_> {
            let strip = |p: Product| {
                let text = p.description.map(|text| text.replace('\n', " "));
                (p.product_id, p.title, text, p.attributes, p.weight)
            };
            products.into_iter().map(strip).collect()
        };
        assert_eq!(strip(shop.products(overrides)), strip(expected.clone()), "{what}");
    };
    same(Shop::new("a.csv", &windows, ROLES), &[], "windows");
    same(Shop::new("a.csv", plain.replace('\n', "\r"), ROLES), &[], "old mac");
    same(Shop::new("a.csv", format!("\u{feff}{CSV}"), ROLES), &[], "mark");
    same(Shop::new("a.csv", CSV.trim_end(), ROLES), &[], "no last line end");
    let tabs = CSV.replace(',', "\t").replace("soft\t", "soft,");
    same(Shop::new("a.tsv", &tabs, ROLES), &[], "tsv");
    same(Shop::new("a.txt", &tabs, ROLES), &[], "tsv by content");
    let semicolons = CSV.replace(',', ";").replace("soft;", "soft,");
    same(Shop::new("a.csv", semicolons, ROLES), &["catalogue.delimiter=;"], "semicolons");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(CSV.as_bytes()).unwrap();
    same(Shop::new("a.csv.gz", gzip.finish().unwrap(), ROLES), &[], "gzip");
    let zstd = zstd::stream::encode_all(CSV.as_bytes(), 1).unwrap();
    same(Shop::new("a.csv.zst", zstd, ROLES), &[], "zstd");
}

#[test]
fn json_lines_have_lists_objects_numbers_and_dots() {
    let text = "\
{\"id\": 7, \"title\": \"Sofa\", \"type\": \"sofa\", \"image\": \"a.jpg\", \"w\": 0.5, \"specs\": {\"colour\": \"red\", \"sizes\": [\"S\", 4], \"dim\": {\"w\": 2}, \"old\": null, \"new\": true}, \"seo\": {\"text\": \"soft\"}}\n\
\n\
{\"id\": \"8\", \"title\": \"Bed\", \"type\": \"bed\", \"image\": {\"path\": \"b.jpg\"}, \"specs\": [{\"key\": \"colour\", \"value\": \"blue\"}]}\r\n";
    let roles = ", attributes: specs, weight: w, description: seo.text";
    for name in ["shop.jsonl", "shop.ndjson", "shop"] {
        let shop = Shop::new(name, text, roles);
        let products = shop.products(&[]);
        assert_eq!(ids(&products), ["7", "8"]);
        let attributes: Vec<String> =
            products[0].attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(attributes, ["colour=red", "sizes=S, 4", "dim.w=2", "new=true"]);
        assert_eq!(products[0].description.as_deref(), Some("soft"));
        assert_eq!((products[0].weight, products[1].weight), (Some(0.5), Some(1.0)));
        assert_eq!(products[1].attributes, [("colour".to_owned(), "blue".to_owned())]);
        assert_eq!(products[1].image, ImageRef::Path(shop.path("b.jpg")));
        assert_eq!(products[1].row.line, Some(3));
    }
}

#[test]
fn boxes_are_four_columns_a_list_or_text() {
    let grounding = "grounding={kind: given, box: {columns: [x, y, x2, y2]}}";
    let four = "id,title,type,image,x,y,x2,y2\n1,a,b,c,1,2.5,30,4e1\n2,a,b,c,,,,\n3,a,b,c,nan,NaN,NaN,NaN\n";
    let boxes = |products: Vec<Product>| -> Vec<_> {
        products.into_iter().map(|product| product.given_box).collect()
    };
    let expected = Some([1.0, 2.5, 30.0, 40.0]);
    let shop = Shop::new("a.csv", four, "");
    assert_eq!(boxes(shop.products(&[grounding])), [expected, None, None]);
    assert_eq!(boxes(shop.products(&[])), [None, None, None]);
    let one = "grounding={kind: given, box: {columns: box}}";
    let text = "id\ttitle\ttype\timage\tbox\n1\ta\tb\tc\t[1, 2.5, 30,40]\n2\ta\tb\tc\t1 2.5 30 40\n3\ta\tb\tc\t\n";
    assert_eq!(boxes(Shop::new("a.tsv", text, "").products(&[one])), [expected, expected, None]);
    let json = "{\"id\":1,\"title\":\"a\",\"type\":\"b\",\"image\":\"c\",\"box\":[1,2.5,30,40]}\n";
    assert_eq!(boxes(Shop::new("a.jsonl", json, "").products(&[one])), [expected]);
}

#[test]
fn files_come_in_the_order_of_their_names_and_constants_stand_for_columns() {
    let header = "id,title,image\n";
    let shop = Shop::new("b.csv", format!("{header}3,a,c\n"), "");
    shop.add("a.csv", format!("{header}1,a,c\n2,a,c\n"));
    shop.add("c.csv", format!("{header}4,a,c\n"));
    let glob = format!(
        "catalogue.paths=[{}, {}]",
        shop.path("c.csv").display(),
        shop.path("*.csv").display()
    );
    let constant = "catalogue.columns.product_type={constant: chair}";
    let products = shop.products(&[&glob, constant]);
    assert_eq!(ids(&products), ["1", "2", "3", "4"]);
    assert!(products.iter().all(|product| product.phrase == "chair"));
    let catalogue = shop.open(&[&glob, constant]).unwrap();
    let stamps = catalogue.stamps();
    assert_eq!((stamps.len(), stamps[0].bytes), (3, 27));
    assert_eq!(shop.open(&[&glob, constant]).unwrap().stamps(), stamps);
    shop.add("a.csv", format!("{header}1,a,c\n2,a,d\n"));
    assert_ne!(shop.open(&[&glob, constant]).unwrap().stamps(), stamps, "written again");
    let mut products = catalogue.products(Position::default());
    assert_eq!(products.fraction(), 0.0);
    assert!(products.by_ref().take(1).all(|row| row.is_err()), "it has changed since");
}

/// Memory is not that of the file: a row ten thousand times is read through a window that stays
/// small.
#[test]
fn a_long_file_is_read_through_a_small_window() {
    let row = |id: usize| format!("{id},\"{}\",b,c\n", "long title ".repeat(20));
    let text: String = (0..20_000).map(row).collect();
    let shop = Shop::new("a.csv", format!("id,title,type,image\n{text}"), "");
    let mut products = shop.open(&[]).unwrap().products(Position::default());
    let mut count = 0;
    while let Some(row) = products.next() {
        assert_eq!(row.unwrap().unwrap().product_id, count.to_string());
        count += 1;
        assert!(products.reader.as_ref().is_none_or(|reader| reader.held_bytes() < 2 << 20));
    }
    assert_eq!((count, products.fraction()), (20_000, 1.0));
}

fn folder_of(path: &Path) -> String {
    path.parent().unwrap().display().to_string()
}

#[test]
fn the_nearest_folder_is_where_relative_pictures_begin() {
    let shop = Shop::new("a.csv", "id,title,type,image\n1,a,b,c.jpg\n", "");
    let image = |overrides: &[&str]| shop.products(overrides)[0].image.clone();
    let beside = PathBuf::from(folder_of(&shop.path("a.csv"))).join("c.jpg");
    assert_eq!(image(&[]), ImageRef::Path(beside));
    let root = "catalogue.image_root=/pictures";
    assert_eq!(image(&[root]), ImageRef::Path("/pictures/c.jpg".into()));
    let web = "catalogue.image_root=https://host/pictures";
    let url = ImageRef::Url("https://host/pictures/c.jpg".parse().unwrap());
    assert_eq!(image(&[web]), url, "a folder's URL needs no slash at its end");
}
