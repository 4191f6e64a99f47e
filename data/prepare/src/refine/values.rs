//! What the placeholders of a prompt are filled with.

use super::Listing;

/// A description's characters that a prompt shows; sellers paste whole web pages.
const MAX_DESCRIPTION: usize = 4000;

/// What a placeholder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Product,
    Title,
    Description,
    ProductType,
    Attributes,
    Caption,
    Critique,
    MaxTokens,
    MaxWords,
}

/// Every placeholder by its name.
pub(super) const VALUES: [(&str, Value); 9] = [
    ("product", Value::Product),
    ("title", Value::Title),
    ("description", Value::Description),
    ("product_type", Value::ProductType),
    ("attributes", Value::Attributes),
    ("caption", Value::Caption),
    ("critique", Value::Critique),
    ("max_tokens", Value::MaxTokens),
    ("max_words", Value::MaxWords),
];

/// What the placeholders of one call are filled with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values<'a> {
    pub(super) listing: Listing<'a>,
    pub(super) caption: &'a str,
    pub(super) critique: &'a str,
    pub(super) max_tokens: usize,
    pub(super) max_words: usize,
}

impl Values<'_> {
    /// The text for a placeholder.
    pub(super) fn text(&self, value: Value) -> String {
        let Listing { title, description, product_type, attributes, .. } = self.listing;
        let description = description.unwrap_or_default().trim();
        match value {
            Value::Product => {
                let mut lines = vec![format!("Title: {}", title.trim())];
                if !product_type.trim().is_empty() {
                    lines.push(format!("Product type: {}", product_type.trim()));
                }
                lines.extend(
                    attributes.iter().map(|(name, value)| format!("{name}: {}", value.trim())),
                );
                if !description.is_empty() {
                    lines.push(format!("Description: {}", self.text(Value::Description)));
                }
                lines.join("\n")
            }
            Value::Title => title.trim().to_owned(),
            Value::Description => description.chars().take(MAX_DESCRIPTION).collect(),
            Value::ProductType => product_type.trim().to_owned(),
            Value::Attributes => {
                let each = attributes.iter().map(|(name, value)| format!("{name}: {value}"));
                each.collect::<Vec<_>>().join("\n")
            }
            Value::Caption => self.caption.to_owned(),
            Value::Critique => self.critique.to_owned(),
            Value::MaxTokens => self.max_tokens.to_string(),
            Value::MaxWords => self.max_words.to_string(),
        }
    }
}
