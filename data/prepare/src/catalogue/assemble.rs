//! From the values of a row to a product, or to what is wrong with it.

use configs::prepare::{Catalogue, ProductType};

use super::cell::Cell;
use super::files::CatalogueFile;
use super::image_ref::image_ref;
use super::plan::{AttributeColumns, BoxPlan, Plan};
use super::{ImageRef, Product};
use crate::{Cause, Fault, Reject, RowRef};

/// The product without its picture.
pub(super) fn texts(
    config: &Catalogue,
    plan: &Plan,
    cells: &[Cell],
    row: RowRef,
) -> Result<Product, Reject> {
    let product_id = match required(plan, cells, plan.product_id, Cause::EmptyId) {
        Ok(id) => id.to_owned(),
        Err(fault) => return Err(fault.at(row, None)),
    };
    let values = Values { config, plan, cells };
    values.product(product_id.clone(), &row).map_err(|fault| fault.at(row, Some(product_id)))
}

/// The product with its picture.
pub(super) fn picture(
    plan: &Plan,
    mut cells: Vec<Cell>,
    file: &CatalogueFile,
    product: Product,
) -> Result<Product, Reject> {
    let Some(index) = plan.image else { return Ok(product) };
    let cell = std::mem::replace(&mut cells[index], Cell::Null);
    match image(cell, &plan.columns[index].name, file) {
        Ok(image) => Ok(Product { image, ..product }),
        Err(fault) => Err(fault.at(product.row, Some(product.product_id))),
    }
}

pub(super) fn image(cell: Cell, name: &str, file: &CatalogueFile) -> Result<ImageRef, Fault> {
    let missing = || Fault::new(Cause::MissingImage, format!("column `{name}` has no picture"));
    match cell {
        Cell::Bytes(bytes) if bytes.is_empty() => Err(missing()),
        Cell::Bytes(bytes) => Ok(ImageRef::Bytes(bytes)),
        // Hugging Face's pictures: the bytes, or where they are.
        Cell::Map(_) => {
            let mut cell = cell;
            match (cell.take("bytes"), cell.take("path")) {
                (Cell::Bytes(bytes), _) if !bytes.is_empty() => Ok(ImageRef::Bytes(bytes)),
                (_, Cell::Text(path)) => image(Cell::Text(path), name, file),
                _ => Err(missing()),
            }
        }
        other => match text_of(&other, name)? {
            Some(text) => image_ref(text, &file.base),
            None => Err(missing()),
        },
    }
}

pub(super) fn text_of<'a>(cell: &'a Cell, name: &str) -> Result<Option<&'a str>, Fault> {
    cell.text().map_err(|found| {
        Fault::new(Cause::BadValue, format!("column `{name}`: expected text, found {found}"))
    })
}

fn required<'a>(
    plan: &Plan,
    cells: &'a [Cell],
    index: usize,
    cause: Cause,
) -> Result<&'a str, Fault> {
    let name = &plan.columns[index].name;
    let empty = || Fault::new(cause, format!("column `{name}` is empty"));
    text_of(&cells[index], name)?.ok_or_else(empty)
}

/// The values of one row.
struct Values<'a> {
    config: &'a Catalogue,
    plan: &'a Plan,
    cells: &'a [Cell],
}

impl Values<'_> {
    fn product(&self, product_id: String, row: &RowRef) -> Result<Product, Fault> {
        let plan = self.plan;
        let title = required(plan, self.cells, plan.title, Cause::EmptyTitle)?.to_owned();
        let product_type = self.product_type()?;
        let phrase = self.config.phrases.get(&product_type).unwrap_or(&product_type);
        Ok(Product {
            row: row.clone(),
            product_id,
            title,
            description: self.optional(plan.description)?,
            phrase: phrase.trim().to_owned(),
            product_type,
            attributes: self.attributes()?,
            image: ImageRef::Bytes(bytes::Bytes::new()),
            given_box: self.given_box()?,
            weight: plan.weight.map(|index| self.weight(index)).transpose()?,
            group: self.optional(plan.group)?,
        })
    }

    fn name(&self, index: usize) -> &str {
        &self.plan.columns[index].name
    }

    fn optional(&self, index: Option<usize>) -> Result<Option<String>, Fault> {
        let Some(index) = index else { return Ok(None) };
        Ok(text_of(&self.cells[index], self.name(index))?.map(str::to_owned))
    }

    fn product_type(&self) -> Result<String, Fault> {
        let found = match (&self.config.columns.product_type, self.plan.product_type) {
            (ProductType::Constant(kind), _) => return Ok(kind.clone()),
            (_, index) => {
                required(self.plan, self.cells, index.unwrap_or(self.plan.title), Cause::EmptyType)?
            }
        };
        let Some(known) = &self.plan.types else { return Ok(found.to_owned()) };
        if known.contains(found) {
            return Ok(found.to_owned());
        }
        let names: Vec<&str> =
            self.config.product_types.iter().flatten().map(String::as_str).collect();
        let near = configs::nearest(found, &names);
        let near = near.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
        Err(Fault::new(
            Cause::UnknownType,
            format!(
                "the product type `{found}` is none of the {} in catalogue.product_types{near}",
                names.len()
            ),
        ))
    }

    fn weight(&self, index: usize) -> Result<f32, Fault> {
        let name = self.name(index);
        let Some(text) = text_of(&self.cells[index], name)? else { return Ok(1.0) };
        let weight = text.parse::<f32>().ok().filter(|w| w.is_finite() && *w > 0.0);
        weight.ok_or_else(|| {
            let detail = format!("column `{name}`: expected a number above 0, found `{text}`");
            Fault::new(Cause::BadWeight, detail)
        })
    }

    fn attributes(&self) -> Result<Vec<(String, String)>, Fault> {
        let mut found = Vec::new();
        match &self.plan.attributes {
            AttributeColumns::Each(columns) => {
                for index in columns {
                    let name = self.name(*index);
                    flatten(name, &self.cells[*index], name, &mut found)?;
                }
            }
            AttributeColumns::Packed(index) => {
                packed(&self.cells[*index], self.name(*index), &mut found)?;
            }
        }
        Ok(found)
    }

    fn given_box(&self) -> Result<Option<[f64; 4]>, Fault> {
        match &self.plan.given_box {
            None => Ok(None),
            Some(BoxPlan::Four(columns)) => {
                let name = self.plan.columns[columns[0]].name.as_str();
                let texts = columns.map(|index| text_of(&self.cells[index], self.name(index)));
                let mut parts = Vec::with_capacity(4);
                for text in texts {
                    parts.push(text?);
                }
                four_numbers(&parts, &format!("columns `{name}` ..."))
            }
            Some(BoxPlan::One(index)) => {
                let name = format!("column `{}`", self.name(*index));
                match &self.cells[*index] {
                    Cell::List(items) => {
                        let mut parts = Vec::with_capacity(4);
                        for item in items {
                            parts.push(text_of(item, self.name(*index))?);
                        }
                        four_numbers(&parts, &name)
                    }
                    cell => {
                        let Some(text) = text_of(cell, self.name(*index))? else { return Ok(None) };
                        let brackets = ['[', ']', '(', ')', '{', '}'];
                        let text = text.trim_matches(brackets.as_slice());
                        let parts = text.split(|c: char| c == ',' || c == ';' || c.is_whitespace());
                        let parts: Vec<_> = parts.filter(|p| !p.is_empty()).map(Some).collect();
                        four_numbers(&parts, &name)
                    }
                }
            }
        }
    }
}

/// The numbers of a box; `None` where there is none: nothing at all, or NaN, which some writers put
/// for nothing.
fn four_numbers(parts: &[Option<&str>], columns: &str) -> Result<Option<[f64; 4]>, Fault> {
    let is_nan = |part: &Option<&str>| part.is_none_or(|text| text.eq_ignore_ascii_case("nan"));
    if parts.iter().all(is_nan) {
        return Ok(None);
    }
    let number = |part: &Option<&str>| part.and_then(|text| text.parse::<f64>().ok());
    let numbers: Vec<f64> =
        parts.iter().filter_map(number).filter(|number| number.is_finite()).collect();
    if let (4, Ok(four)) = (parts.len(), <[f64; 4]>::try_from(numbers)) {
        return Ok(Some(four));
    }
    let found: Vec<&str> = parts.iter().map(|part| part.unwrap_or("nothing")).collect();
    let detail =
        format!("{columns}: expected four numbers for the box, found {}", found.join(", "));
    Err(Fault::new(Cause::BadBox, detail))
}

/// Names and values of one column that holds them all.
fn packed(cell: &Cell, column: &str, found: &mut Vec<(String, String)>) -> Result<(), Fault> {
    let bad = |detail: &str| Fault::new(Cause::BadValue, format!("column `{column}`: {detail}"));
    match cell {
        Cell::Null => Ok(()),
        Cell::Map(entries) => {
            entries.iter().try_for_each(|(name, value)| flatten(name, value, column, found))
        }
        Cell::List(items) => items.iter().try_for_each(|item| match item {
            Cell::Null => Ok(()),
            Cell::Map(entry) if entry.len() == 2 => {
                let [(_, key), (_, value)] = entry.as_slice() else { return Ok(()) };
                match text_of(key, column)? {
                    Some(key) => flatten(key, value, column, found),
                    None => Ok(()),
                }
            }
            other => {
                Err(bad(&format!("expected pairs of a name and a value, found {}", other.kind())))
            }
        }),
        Cell::Text(text) if text.trim().is_empty() => Ok(()),
        Cell::Text(text) => match serde_json::from_str::<serde_json::Value>(text).map(Cell::from) {
            Ok(Cell::Text(_)) | Err(_) => {
                Err(bad("expected names and values as a JSON object, found other text"))
            }
            Ok(inner) => packed(&inner, column, found),
        },
        Cell::Bytes(_) => Err(bad("expected names and values, found bytes")),
    }
}

/// One attribute: values of a list are joined by commas, and names within a name by dots.
fn flatten(
    name: &str,
    cell: &Cell,
    column: &str,
    found: &mut Vec<(String, String)>,
) -> Result<(), Fault> {
    match cell {
        Cell::Map(entries) => entries.iter().try_for_each(|(inner, value)| {
            flatten(&format!("{name}.{inner}"), value, column, found)
        }),
        Cell::List(items) => {
            let mut texts = Vec::with_capacity(items.len());
            for item in items {
                texts.extend(text_of(item, column)?);
            }
            if !texts.is_empty() {
                found.push((name.to_owned(), texts.join(", ")));
            }
            Ok(())
        }
        other => {
            // NaN stands for nothing where pandas wrote numbers.
            let text = text_of(other, column)?.filter(|text| *text != "NaN");
            found.extend(text.map(|text| (name.to_owned(), text.to_owned())));
            Ok(())
        }
    }
}
