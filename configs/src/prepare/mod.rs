//! The sections of a `vlclip prepare` file.

mod caption_template;
mod refine;

pub use caption_template::{CaptionTemplate, CaptionTemplateError, Field, Section, TextPiece};
pub use refine::*;
