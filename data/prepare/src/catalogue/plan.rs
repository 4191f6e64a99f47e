//! Which columns are read, and which role each of them plays.

use std::collections::HashSet;

use configs::prepare::{Attributes, BoxColumns, Catalogue, Grounding, GroundingKind, ProductType};

use crate::PrepareError;

/// The columns to read, each once, and the roles as indices into them.
#[derive(Debug)]
pub(super) struct Plan {
    pub columns: Vec<Column>,
    pub product_id: usize,
    pub title: usize,
    pub description: Option<usize>,
    /// None: a constant.
    pub product_type: Option<usize>,
    pub attributes: AttributeColumns,
    /// The picture, whose value is moved and not copied. None: queries without pictures.
    pub image: Option<usize>,
    pub given_box: Option<BoxPlan>,
    pub weight: Option<usize>,
    pub group: Option<usize>,
    /// The types that there are, where they are listed.
    pub types: Option<HashSet<String>>,
}

/// One column, by name.
#[derive(Debug)]
pub(super) struct Column {
    pub name: String,
    /// The configuration's key that names it first.
    pub role: &'static str,
}

#[derive(Debug)]
pub(super) enum AttributeColumns {
    Each(Vec<usize>),
    Packed(usize),
}

#[derive(Debug)]
pub(super) enum BoxPlan {
    One(usize),
    Four([usize; 4]),
}

impl Plan {
    /// Columns without the roles of a product: an id, perhaps a text, perhaps a picture, labels.
    pub(super) fn of_queries(
        id: &str,
        text: Option<&str>,
        image: Option<&str>,
        labels: &[String],
    ) -> Self {
        let mut columns: Vec<Column> = Vec::new();
        let mut add = |role: &'static str, name: &str| {
            columns.push(Column { name: name.to_owned(), role });
            columns.len() - 1
        };
        let product_id = add("the query's id", id);
        let title = text.map_or(product_id, |name| add("the query's text", name));
        let image = image.map(|name| add("the query's picture", name));
        let labels = labels.iter().map(|name| add("a slice", name)).collect();
        Self {
            columns,
            product_id,
            title,
            description: None,
            product_type: None,
            attributes: AttributeColumns::Each(labels),
            image,
            given_box: None,
            weight: None,
            group: None,
            types: None,
        }
    }

    pub(super) fn new(config: &Catalogue, grounding: &Grounding) -> Result<Self, PrepareError> {
        let mut columns: Vec<Column> = Vec::new();
        let mut add = |role: &'static str, name: &str| {
            let known = columns.iter().position(|column| column.name == name);
            known.unwrap_or_else(|| {
                columns.push(Column { name: name.to_owned(), role });
                columns.len() - 1
            })
        };
        let roles = &config.columns;
        let product_id = add("catalogue.columns.product_id", &roles.product_id);
        let title = add("catalogue.columns.title", &roles.title);
        let mut optional = |role, name: &Option<String>| name.as_ref().map(|name| add(role, name));
        let description = optional("catalogue.columns.description", &roles.description);
        let weight = optional("catalogue.columns.weight", &roles.weight);
        let group = optional("catalogue.columns.group", &roles.group);
        let product_type = match &roles.product_type {
            ProductType::Column(name) => Some(add("catalogue.columns.product_type", name)),
            ProductType::Constant(_) => None,
        };
        let attributes = match &roles.attributes {
            Attributes::Packed(name) => {
                AttributeColumns::Packed(add("catalogue.columns.attributes", name))
            }
            Attributes::Columns(names) => {
                let each = names.iter().map(|name| add("catalogue.columns.attributes", name));
                AttributeColumns::Each(each.collect())
            }
        };
        let given = grounding.given.as_ref().filter(|_| grounding.kind == GroundingKind::Given);
        let given_box = given.map(|given| match &given.columns {
            BoxColumns::One(name) => BoxPlan::One(add("grounding.box.columns", name)),
            BoxColumns::Four(names) => {
                BoxPlan::Four(names.each_ref().map(|name| add("grounding.box.columns", name)))
            }
        });
        let image = add("catalogue.columns.image", &roles.image);
        let types = config.product_types.as_ref().map(|types| types.iter().cloned().collect());
        let plan = Self {
            columns,
            product_id,
            title,
            description,
            product_type,
            attributes,
            image: Some(image),
            given_box,
            weight,
            group,
            types,
        };
        // What is moved out as the picture can be nothing else.
        let column = &plan.columns[image];
        match column.role == "catalogue.columns.image" {
            true => Ok(plan),
            false => {
                Err(PrepareError::SharedColumn { column: column.name.clone(), role: column.role })
            }
        }
    }

    /// The error of a file that lacks column `index`; `present` are those that it has.
    pub(super) fn missing(
        &self,
        index: usize,
        path: &std::path::Path,
        present: &[&str],
        hint: &str,
    ) -> PrepareError {
        let Column { name, role } = &self.columns[index];
        let near = configs::nearest(name, present);
        let near = near.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
        let present = present.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        PrepareError::MissingColumn {
            path: path.into(),
            column: name.clone(),
            role,
            present: if present.is_empty() { "none".into() } else { present },
            hint: format!("{near}{hint}"),
        }
    }
}
