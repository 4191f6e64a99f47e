//! Captions to token ids, as the model was pretrained to read them.

mod clean;
mod tokenizer;

pub use clean::clean;
pub use tokenizer::{Encoded, EndToken, PadId, Tokenizer};
