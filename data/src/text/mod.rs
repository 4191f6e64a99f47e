//! Captions to token ids, as the model was pretrained to read them.

mod captions;
mod clean;
mod dropout;
mod tokenizer;

pub(crate) use captions::{CaptionPlan, RowCaptions};
pub use clean::clean;
pub(crate) use dropout::Dropout;
pub use tokenizer::{Encoded, EndToken, PadId, Tokenizer};
