//! What a user reads about a catalogue that is broken, word for word.

use super::Shop;

const HEADER: &str = "id,title,type,image\n";

fn rejects(rows: &str, overrides: &[&str]) -> Vec<String> {
    Shop::new("shop.csv", format!("{HEADER}{rows}"), "").rejects(overrides)
}

fn reject(rows: &str) -> String {
    let mut all = rejects(rows, &[]);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[test]
fn a_missing_column_names_those_there_are_and_the_nearest() {
    let shop = Shop::new("shop.csv", "id,titel,type,image\n1,a,b,c\n", "");
    assert_eq!(
        shop.refusal(&[]),
        "`shop.csv`: no column `title` (catalogue.columns.title); there are `id`, \
         `titel`, `type`, `image`; did you mean `titel`?"
    );
    let shop = Shop::new("shop.csv", "id;title;type;image\n1;a;b;c\n", "");
    assert_eq!(
        shop.refusal(&[]),
        "`shop.csv`: no column `id` (catalogue.columns.product_id); there are \
         `id;title;type;image`; the fields are not parted by ',': is it ';'? Then set \
         catalogue.delimiter to ';'"
    );
    let shop = Shop::new("shop.csv", "id,title,type,image,title\n1,a,b,c,d\n", "");
    assert_eq!(
        shop.refusal(&[]),
        "`shop.csv`: the columns 2 and 5 are both called `title` \
         (catalogue.columns.title): names must differ"
    );
    let shop = Shop::new("shop.jsonl", "{\"id\": 1, \"name\": \"a\"}\n", "");
    assert_eq!(
        shop.refusal(&["catalogue.columns.image=picture"]),
        "`shop.jsonl`: no column `title` (catalogue.columns.title); there are `id`, \
         `name` (of the first 1 objects)"
    );
    let shop = Shop::new("shop.csv", "id,title,type,image\n", "");
    assert_eq!(
        shop.refusal(&["catalogue.columns.title=image"]),
        "column `image` is named by catalogue.columns.title and by catalogue.columns.image: the \
         picture's column can be nothing else"
    );
}

#[test]
fn a_file_that_is_no_catalogue_is_refused() {
    let refusal = |name: &str, content: &[u8], overrides: &[&str]| {
        Shop::new(name, content, "").refusal(overrides)
    };
    assert_eq!(
        refusal("shop.csv", b"", &[]),
        "`shop.csv`: the file is empty: expected a line of column names"
    );
    let utf16: Vec<u8> = "id,title".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked = [&[0xff, 0xfe], utf16.as_slice()].concat();
    for content in [&utf16, &marked] {
        let found = refusal("shop.csv", content, &[]);
        assert!(
            found.starts_with(
                "`shop.csv`: is encoded in UTF-16LE: expected UTF-8; convert it: iconv \
                 -f UTF-16LE -t UTF-8 shop.csv > converted"
            ),
            "{found}"
        );
    }
    assert_eq!(
        refusal("shop.csv", b"id,t\xeftle\n", &[]),
        "`shop.csv`: the line of column names (line 1): line 1 character 5 is the byte \
         0xEF, which is not UTF-8; if the file is from Windows, convert it: iconv -f WINDOWS-1252 \
         -t UTF-8 shop.csv > converted"
    );
    assert_eq!(
        refusal("shop.csv", b"PK\x03\x04....", &[]),
        "`shop.csv`: is a zip archive or an Excel workbook; unpack it, or save the sheet \
         as CSV"
    );
    assert_eq!(
        refusal("shop.parquet", b"id,title\n", &[]),
        "`shop.parquet`: is not a Parquet file: it does not begin with `PAR1`"
    );
    assert_eq!(
        refusal("shop.csv", b"PAR1", &["catalogue.format=csv"]),
        "`shop.csv`: is a Parquet file; set catalogue.format to auto or parquet"
    );
    assert_eq!(
        refusal("shop.jsonl", b"[\n{\"id\": 1}\n]\n", &[]),
        "`shop.jsonl`: begins with `[`: expected one JSON object per line; convert it: \
         jq -c '.[]' FILE > converted.jsonl"
    );
    assert_eq!(
        refusal("shop.jsonl", b"id,title\n", &[]),
        "`shop.jsonl`: no JSON object in the first 1000 lines: expected one per line"
    );
    let shop = Shop::new("shop.csv", HEADER, "");
    assert_eq!(
        shop.refusal(&["catalogue.paths=no/such.csv"]),
        "`no/such.csv`: no such file or folder"
    );
    assert_eq!(shop.refusal(&["catalogue.paths=no/*.csv"]), "`no/*.csv`: the glob matches no file");
    let folder = format!("catalogue.paths={}", shop.path(".").display());
    assert!(shop.refusal(&[&folder]).ends_with(
        "the folder holds no file ending in .parquet; name files of other formats with a glob, \
             such as `folder/*.csv`"
    ));
}

#[test]
fn broken_rows_are_named_by_line_and_the_others_are_read() {
    let rows = "1,a,b,c\n2,\"one\ntwo\",b,c\n3,a,b\n4,a,b,c,d\n5,a,b,c\n";
    let shop = Shop::new("shop.csv", format!("{HEADER}{rows}"), "");
    let found = shop.rows(&[]);
    assert_eq!(found.len(), 5);
    assert_eq!(found[1].as_ref().unwrap().title, "one\ntwo");
    assert_eq!(
        found[2],
        Err("`shop.csv` line 5: expected 4 fields as in the column names (line 1), found 3; a \
             field that holds ',' needs quotes around it"
            .into())
    );
    assert_eq!(
        found[3],
        Err("`shop.csv` line 6: expected 4 fields as in the column names (line 1), found 5; a \
             field that holds ',' needs quotes around it"
            .into())
    );
    assert_eq!(found[4].as_ref().unwrap().row.line, Some(7));
}

#[test]
fn quotes_that_do_not_end_cost_their_row_alone() {
    let rows = "1,a,b,c\n2,\"open,b,c\n3,a,b,c\n4,\"fine\",b,c\n5,a,b,c\n";
    let shop = Shop::new("shop.csv", format!("{HEADER}{rows}"), "");
    let found = shop.rows(&[]);
    let kept: Vec<&str> = found.iter().flatten().map(|p| p.product_id.as_str()).collect();
    assert_eq!(kept, ["1", "3", "4", "5"]);
    assert_eq!(
        found[1],
        Err(
            "`shop.csv` line 3: field 2 is quoted from line 3 on, and behind its closing quote in \
             line 5 stands more text; write quotes within a quoted field twice (\"\"), or set \
             catalogue.quotes to false"
                .into()
        )
    );
    assert_eq!(
        reject("1,a,b,c\r\n2,\"open,b,c\r\n3,a,b,c\r\n"),
        "`shop.csv` line 3: the quote that opens field 2 in line 3 is not closed by the end of the \
         file; close it, or set catalogue.quotes to false"
    );
    let inches = "1,5\" pipe,b,c\n2,\"5\" pipe\",b,c\n3,a,b,c\n";
    assert_eq!(
        reject(inches),
        "`shop.csv` line 3: field 2 is quoted from line 3 on, and behind its closing quote in line \
         3 stands more text; write quotes within a quoted field twice (\"\"), or set \
         catalogue.quotes to false"
    );
    let shop = Shop::new("shop.csv", format!("{HEADER}{inches}"), "");
    let products = shop.products(&["catalogue.quotes=false"]);
    assert_eq!(products[1].title, "\"5\" pipe\"");
}

#[test]
fn bytes_that_are_not_utf8_are_placed() {
    let rows = b"id,title,type,image\n1,\"two\nlines caf\xe9\",b,c\n2,a,b,c\n";
    let shop = Shop::new("shop.csv", rows, "");
    let found = shop.rows(&[]);
    assert_eq!(
        found[0],
        Err("`shop.csv` line 2: line 3 character 10 is the byte 0xE9, which is not UTF-8; if the \
             file is from Windows, convert it: iconv -f WINDOWS-1252 -t UTF-8 shop.csv > converted"
            .into())
    );
    assert_eq!(found[1].as_ref().unwrap().product_id, "2");
}

#[test]
fn values_that_no_product_can_have_are_said() {
    assert_eq!(reject(" ,a,b,c\n"), "`shop.csv` line 2: column `id` is empty");
    assert_eq!(reject("1,,b,c\n"), "`shop.csv` line 2 (product `1`): column `title` is empty");
    assert_eq!(reject("1,a,,c\n"), "`shop.csv` line 2 (product `1`): column `type` is empty");
    assert_eq!(
        reject("1,a,b,\n"),
        "`shop.csv` line 2 (product `1`): column `image` has no picture"
    );
    assert_eq!(
        reject("1,a,b,ftp://host/a.jpg\n"),
        "`shop.csv` line 2 (product `1`): the picture's URL `ftp://host/a.jpg` begins with `ftp`: \
         expected http, https, file or data, or a path"
    );
    assert_eq!(
        rejects("1,a,hand bag,c\n2,a,zebra,c\n", &["catalogue.product_types=[handbag, shoe]"]),
        [
            "`shop.csv` line 2 (product `1`): the product type `hand bag` is none of the 2 in \
             catalogue.product_types; did you mean `handbag`?",
            "`shop.csv` line 3 (product `2`): the product type `zebra` is none of the 2 in \
             catalogue.product_types",
        ]
    );
    let given = "grounding={kind: given, box: {columns: [id, title, type, w]}}";
    let shop = Shop::new("shop.csv", "id,title,type,image,w\n1,a,2,c,-3\n", "");
    assert_eq!(
        shop.rejects(&["catalogue.columns.weight=w"]),
        ["`shop.csv` line 2 (product `1`): column `w`: expected a number above 0, found `-3`"]
    );
    assert_eq!(
        shop.rejects(&[given]),
        ["`shop.csv` line 2 (product `1`): columns `id` ...: expected four numbers for the box, \
          found 1, a, 2, -3"]
    );
    assert_eq!(
        shop.rejects(&["catalogue.columns.attributes=title"]),
        ["`shop.csv` line 2 (product `1`): column `title`: expected names and values as a JSON \
          object, found other text"]
    );
}

#[test]
fn of_equal_ids_the_first_is_kept() {
    assert_eq!(
        rejects("1,,b,c\n1,a,b,c\n2,a,b,c\n1,a,b,c\n1 ,a,b,c\n", &[]),
        [
            "`shop.csv` line 2 (product `1`): column `title` is empty",
            "`shop.csv` line 5 (product `1`): the id is that of line 3, which is kept; ids must \
             differ",
            "`shop.csv` line 6 (product `1`): the id is that of line 3, which is kept; ids must \
             differ",
        ]
    );
    let shop = Shop::new("a.csv", format!("{HEADER}1,a,b,c\n"), "");
    shop.add("b.csv", format!("{HEADER}1,a,b,c\n"));
    let both = format!("catalogue.paths={}", shop.path("*.csv").display());
    let found = shop.rejects(&[&both]);
    assert_eq!(found.len(), 1);
    let folder = shop.path("a.csv").display().to_string();
    let folder = folder.trim_end_matches("a.csv");
    assert_eq!(
        found[0].replace(folder, ""),
        "`b.csv` line 2 (product `1`): the id is that of line 2 of `a.csv`, which is kept; ids must \
         differ"
    );
}

#[test]
fn lines_that_are_no_json_objects_are_said() {
    let good = "{\"id\": 1, \"title\": \"a\", \"type\": \"b\", \"image\": \"c\"}\n";
    let text = format!("{good}{{\"id\": 2,\n[1]\n\"x\"\n{}", good.replace('1', "{}"));
    assert_eq!(
        Shop::new("shop.jsonl", text, "").rejects(&[]),
        [
            "`shop.jsonl` line 2: not a JSON object: EOF while parsing a value at character 9",
            "`shop.jsonl` line 3: expected a JSON object, found a list",
            "`shop.jsonl` line 4: expected a JSON object, found text",
            "`shop.jsonl` line 5: column `id`: expected text, found names with values",
        ]
    );
    let text = [good.as_bytes(), b"{\"id\": \"\xff\"}\n"].concat();
    assert_eq!(
        Shop::new("shop.jsonl", text, "").rejects(&[]),
        ["`shop.jsonl` line 2: line 2 character 9 is the byte 0xFF, which is not UTF-8; if the \
          file is from Windows, convert it: iconv -f WINDOWS-1252 -t UTF-8 shop.jsonl > converted"]
    );
}
