//! How captions become token ids.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How captions are cleaned before tokenising.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Text {
    /// The cleaning that the pretrained model was trained with.
    pub clean: Clean,
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
