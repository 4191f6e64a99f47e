//! Captions from templates: deterministic, without a network.

use super::{Listing, Refined, Stop};
use configs::prepare::{CaptionTemplate, Field, TextPiece};

/// The captions of the templates that the product can fill, in their order, each once; or why
/// there is none.
pub(super) fn captions(
    templates: &[CaptionTemplate],
    listing: &Listing,
) -> Result<Refined, String> {
    let mut captions: Vec<String> = Vec::new();
    for caption in templates.iter().filter_map(|template| fill(template, listing)) {
        if !captions.contains(&caption) {
            captions.push(caption);
        }
    }
    if captions.is_empty() {
        return Err("it has not the fields of any of refine.templates".into());
    }
    let caption = captions.remove(0);
    let (stop, model) = (Stop::Template, String::new());
    Ok(Refined { caption, further: captions, rounds: 0, stop, model, failure: None })
}

/// The text; `None` where a field outside of brackets is missing, or nothing is left.
fn fill(template: &CaptionTemplate, listing: &Listing) -> Option<String> {
    let mut text = String::new();
    for section in template.sections() {
        let pieces = section.pieces.iter().map(|piece| match piece {
            TextPiece::Text(text) => Some(text.clone()),
            TextPiece::Field(field) => value(field, listing),
        });
        match pieces.collect::<Option<String>>() {
            Some(filled) => text.push_str(&filled),
            None if section.optional => {}
            None => return None,
        }
    }
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// A field's text on one line; `None` where it is missing or blank.
fn value(field: &Field, listing: &Listing) -> Option<String> {
    let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = match field {
        Field::Title => line(listing.title),
        Field::Description => line(listing.description?),
        Field::ProductType => line(listing.product_type),
        Field::Attribute(name) => {
            let (_, value) = listing.attributes.iter().find(|(other, _)| other == name)?;
            line(value)
        }
        Field::Attributes => {
            let said = listing.attributes.iter().filter(|(_, value)| !value.trim().is_empty());
            said.map(|(name, value)| format!("{name}: {}", line(value)))
                .collect::<Vec<_>>()
                .join(", ")
        }
    };
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refined(templates: &[&str], listing: &Listing) -> Result<Refined, String> {
        let templates: Vec<CaptionTemplate> =
            templates.iter().map(|t| t.parse().unwrap()).collect();
        captions(&templates, listing)
    }

    #[test]
    fn what_is_missing_leaves_no_trace() {
        let attributes = [("colour", "red"), ("material", " "), ("made in", "the\n Alps")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let listing = Listing {
            product_id: "1",
            title: " Mug ",
            description: None,
            product_type: "mug",
            attributes: &attributes,
        };
        let all = refined(
            &[
                "{description}",
                "{title}[, {attributes.colour}][, {attributes.material}][, {attributes.size}]",
                "[{attributes.colour} ]{product_type}[ of {attributes.material}][ from \
                 {attributes.made in}]",
                "Mug, {attributes.colour}",
                "{product_type} ({attributes})",
            ],
            &listing,
        )
        .unwrap();
        assert_eq!(all.caption, "Mug, red");
        assert_eq!(all.further, ["red mug from the Alps", "mug (colour: red, made in: the Alps)"]);
        assert_eq!((all.stop, all.rounds, all.model.as_str()), (Stop::Template, 0, ""));
        assert_eq!(
            refined(&["{description}", "[{attributes.size}]"], &listing).unwrap_err(),
            "it has not the fields of any of refine.templates"
        );
    }
}
