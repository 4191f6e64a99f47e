//! Reading from a position on gives what is left, ids that stood before it included.

use super::parquet::{Row, write};
use super::*;

fn check(shop: &Shop, overrides: &[&str]) {
    let catalogue = shop.open(overrides).unwrap();
    let all: Vec<_> = catalogue.products(Position::default()).map(Result::unwrap).collect();
    assert!(all.iter().any(Result::is_err) && all.iter().filter(|row| row.is_ok()).count() > 5);
    for (done, row) in all.iter().enumerate() {
        let at = match row {
            Ok(product) => &product.row,
            Err(reject) => &reject.row,
        };
        let rest: Vec<_> = catalogue.products(at.next()).map(Result::unwrap).collect();
        assert_eq!(rest, all[done + 1..], "from {:?} on", at.next());
        let with: Vec<_> = catalogue.products(at.position()).map(Result::unwrap).collect();
        assert_eq!(with, all[done..], "from {:?} on", at.position());
    }
}

#[test]
fn from_any_row_of_any_text_file() {
    let header = "id,title,type,image\n";
    let rows = "1,\"two\nlines\",b,c\n2,a,b,c\n\n1,a,b,c\n3,\"open,b,c\n4,a,b,\n5,a,b,c\n2,a,b,c\n6,a,b,c\n";
    let shop = Shop::new("a.csv", format!("{header}{rows}"), "");
    shop.add("b.csv", format!("{header}7,a,b,c\n5,a,b,c\n4,a,b,c\n8,a,b,c\n"));
    let both = format!("catalogue.paths={}", shop.path("*.csv").display());
    check(&shop, &[&both]);
    let object = |id| format!("{{\"id\":{id},\"title\":\"a\",\"type\":\"b\",\"image\":\"c\"}}\n");
    let lines: String = [1, 2, 1, 3, 4, 2, 5, 6, 7].into_iter().map(object).collect();
    check(&Shop::new("a.jsonl", lines, ""), &[]);
}

#[test]
fn from_any_row_of_parquet_across_row_groups() {
    let shop = Shop::new("a.parquet", "", "");
    let mut rows: Vec<Row> = (0..23).map(Row::new).collect();
    rows[4].id = Some("2".into());
    rows[9].image = None;
    rows[15].id = Some("9".into()); // row 9 has no picture, and its id all the same
    rows[20].title = None;
    write(&shop.path("a.parquet"), &rows, 7);
    check(&shop, &[]);
}
