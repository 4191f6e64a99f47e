//! How captions become token ids.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How captions become token ids. What is dropped is dropped in training alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Text {
    /// The cleaning that the pretrained model was trained with.
    pub clean: Clean,
    /// The probability that a caption is replaced by the empty text, from 0 to below 1. The model
    /// then sees a start and an end token. All empty captions of a batch are the same caption:
    /// with `loss.duplicates` other than `product` they are duplicates of one another.
    pub caption_dropout: f64,
    /// The probability that a word (what white space parts) is left out, from 0 to below 1. At
    /// least one word stays.
    pub word_dropout: f64,
}

/// Caption cleaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Clean {
    /// Nothing beyond what `tokenizer.json` states, as `transformers` does.
    #[default]
    Hf,
    /// ftfy, HTML unescaping twice, white space collapsed, lower case: as `open_clip` does.
    OpenClip,
}
