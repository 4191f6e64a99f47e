//! Parquet of the types that other programs write.

use std::fs::File;
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::file::properties::WriterProperties;
use arrow_array::builder::{ListBuilder, MapBuilder, StringBuilder};
use arrow_array::types::Int8Type;
use arrow_array::{
    Array, ArrayRef, BinaryArray, DictionaryArray, FixedSizeListArray, Float32Array, Float64Array,
    Int64Array, LargeStringArray, RecordBatch, StringArray, StructArray,
};
use arrow_schema::{DataType, Field};

use super::*;

/// One row with the columns `id`, `title`, `type`, `image`.
pub(super) struct Row {
    pub id: Option<String>,
    pub title: Option<String>,
    pub image: Option<Vec<u8>>,
}

impl Row {
    pub(super) fn new(number: usize) -> Self {
        let image = Some(vec![number as u8 + 1; 100]);
        Self { id: Some(number.to_string()), title: Some("a".into()), image }
    }
}

pub(super) fn write(path: &Path, rows: &[Row], group: usize) {
    let text = |get: fn(&Row) -> Option<&String>| -> ArrayRef {
        Arc::new(rows.iter().map(|row| get(row).cloned()).collect::<StringArray>())
    };
    let images: BinaryArray = rows.iter().map(|row| row.image.as_deref()).collect();
    let types: StringArray = rows.iter().map(|_| Some("b")).collect();
    let columns = [
        ("image", Arc::new(images) as ArrayRef),
        ("id", text(|row| row.id.as_ref())),
        ("title", text(|row| row.title.as_ref())),
        ("type", Arc::new(types)),
    ];
    write_columns(path, columns.to_vec(), group);
}

fn write_columns(path: &Path, columns: Vec<(&str, ArrayRef)>, group: usize) {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(group)).build();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// Two rows; each column as a test wants it.
fn columns() -> Vec<(&'static str, ArrayRef)> {
    let types: DictionaryArray<Int8Type> = ["shoe", "shoe"].into_iter().collect();
    vec![
        ("id", Arc::new(Int64Array::from(vec![10, 11]))),
        ("title", Arc::new(LargeStringArray::from(vec!["a", "b"]))),
        ("type", Arc::new(types)),
        ("image", Arc::new(BinaryArray::from(vec![&b"one"[..], b"two"]))),
    ]
}

fn shop(columns: Vec<(&str, ArrayRef)>, more: &str) -> Shop {
    let shop = Shop::new("a.parquet", "", more);
    write_columns(&shop.path("a.parquet"), columns, 100);
    shop
}

#[test]
fn rows_have_numbers_and_pictures() {
    let shop = shop(columns(), "");
    let products = shop.products(&[]);
    assert_eq!(ids(&products), ["10", "11"]);
    assert_eq!((products[1].title.as_str(), products[1].product_type.as_str()), ("b", "shoe"));
    assert_eq!(products[1].image, ImageRef::Bytes(bytes::Bytes::from_static(b"two")));
    let row = &products[1].row;
    assert_eq!((row.row, row.line), (1, None));
    let mut same = columns();
    same[0].1 = Arc::new(Int64Array::from(vec![10, 10]));
    write_columns(&shop.path("a.parquet"), same, 1);
    assert_eq!(
        shop.rejects(&[]),
        [
            "`a.parquet` row 1 (product `10`): the id is that of row 0, which is kept; ids must differ"
        ]
    );
}

#[test]
fn hugging_face_pictures_are_bytes_or_paths() {
    let mut columns = columns();
    let field = |name: &str, kind| Arc::new(Field::new(name, kind, true));
    columns[3].1 = Arc::new(StructArray::from(vec![
        (
            field("bytes", DataType::Binary),
            Arc::new(BinaryArray::from(vec![Some(&b"one"[..]), None])) as ArrayRef,
        ),
        (field("path", DataType::Utf8), Arc::new(StringArray::from(vec!["x.jpg", "y.jpg"]))),
    ]));
    let shop = shop(columns, "");
    let products = shop.products(&[]);
    assert_eq!(products[0].image, ImageRef::Bytes(bytes::Bytes::from_static(b"one")));
    assert_eq!(products[1].image, ImageRef::Path(shop.path("y.jpg")));
}

#[test]
fn attributes_are_maps_structs_or_lists_of_pairs_and_boxes_are_lists() {
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for values in [vec![("colour", "red"), ("size", "M")], vec![]] {
        for (key, value) in values {
            map.keys().append_value(key);
            map.values().append_value(value);
        }
        map.append(true).unwrap();
    }
    let field = |name: &str, kind: &DataType| Arc::new(Field::new(name, kind.clone(), true));
    let mut materials = ListBuilder::new(StringBuilder::new());
    materials.append_value([Some("wool"), Some("silk")]);
    materials.append_null();
    let materials: ArrayRef = Arc::new(materials.finish());
    let fit: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.5), None]));
    let nested = StructArray::from(vec![
        (field("material", materials.data_type()), materials),
        (field("fit", &DataType::Float64), fit),
    ]);
    let corners: ArrayRef =
        Arc::new(Float32Array::from(vec![1.0, 2.0, 30.5, 40.0, 0.0, 0.0, f32::NAN, 1.0]));
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let boxes = FixedSizeListArray::new(item, 4, corners, None);
    let mut all = columns();
    all.push(("map", Arc::new(map.finish())));
    all.push(("specs", Arc::new(nested)));
    all.push(("box", Arc::new(boxes)));
    let shop = shop(all, "");
    let attributes = |overrides: &[&str]| -> Vec<String> {
        let products = shop.products(overrides);
        products.iter().flat_map(|p| &p.attributes).map(|(k, v)| format!("{k}={v}")).collect()
    };
    assert_eq!(attributes(&["catalogue.columns.attributes=map"]), ["colour=red", "size=M"]);
    let packed = attributes(&["catalogue.columns.attributes=specs"]);
    assert_eq!(packed, ["material=wool, silk", "fit=0.5"]);
    let each = attributes(&["catalogue.columns.attributes=[specs.fit, title]"]);
    assert_eq!(each, ["specs.fit=0.5", "title=a", "title=b"]);
    let rows = shop.rows(&["grounding={kind: given, box: {columns: box}}"]);
    assert_eq!(rows[0].as_ref().unwrap().given_box, Some([1.0, 2.0, 30.5, 40.0]));
    assert_eq!(
        rows[1],
        Err("`a.parquet` row 1 (product `11`): column `box`: expected four numbers for the box, \
             found 0, 0, NaN, 1"
            .into())
    );
}

#[test]
fn columns_that_cannot_play_their_role_are_refused() {
    let mut floats = columns();
    floats[0].1 = Arc::new(Float64Array::from(vec![1.0, 2.0]));
    assert_eq!(
        shop(floats, "").refusal(&[]),
        "`a.parquet`: column `id` (catalogue.columns.product_id): expected a string or \
         integer, found Float64"
    );
    let mut numbers = columns();
    numbers[3].1 = Arc::new(Int64Array::from(vec![1, 2]));
    assert_eq!(
        shop(numbers, "").refusal(&[]),
        "`a.parquet`: column `image` (catalogue.columns.image): expected binary, \
         struct<bytes, path> or string, found Int64"
    );
    let mut few = columns();
    few.remove(1);
    assert_eq!(
        shop(few, "").refusal(&[]),
        "`a.parquet`: no column `title` (catalogue.columns.title); there are `id`, \
         `type`, `image`"
    );
}

#[test]
fn a_damaged_file_is_an_error_and_no_panic() {
    let shop = Shop::new("a.parquet", "", "");
    let rows: Vec<Row> = (0..50).map(Row::new).collect();
    write(&shop.path("a.parquet"), &rows, 10);
    let sound = std::fs::read(shop.path("a.parquet")).unwrap();
    shop.add("a.parquet", &sound[..sound.len() - 9]);
    let cut = shop.refusal(&[]);
    assert!(cut.starts_with("`a.parquet`: not a readable Parquet file: "), "{cut}");
    let mut failed = 0;
    for at in (4..sound.len()).step_by(101) {
        let mut damaged = sound.clone();
        damaged[at] ^= 0x55;
        shop.add("a.parquet", damaged);
        let Ok(catalogue) = shop.open(&[]) else { continue };
        for row in catalogue.products(Position::default()) {
            if let Err(error) = row {
                let text = error.to_string();
                assert!(text.contains("a.parquet`: cannot be read near row "), "{text}");
                failed += 1;
            }
        }
    }
    assert!(failed > 0, "some of the damage lies in pages");
}
