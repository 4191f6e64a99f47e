//! A product's captions and where they come from.

/// The captions of one product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refined {
    /// The refined caption; the raw one where `stop` says so.
    pub caption: String,
    /// Further captions: those of the other templates. None of them equals `caption`.
    pub further: Vec<String>,
    /// Rounds of criticism and refinement.
    pub rounds: u32,
    /// Why no more was done.
    pub stop: Stop,
    /// The model that wrote the caption, as the server calls it; empty where none did.
    pub model: String,
    /// Why the raw caption was kept, where that counts as a failure.
    pub failure: Option<String>,
}

/// Why the agent did no more for a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stop {
    /// The Evaluator found nothing to criticise.
    Stop,
    /// All rounds were used; the last caption that fits the context is kept.
    MaxRounds,
    /// All rounds were used and no caption fitted the context; the raw one is kept.
    TooLong,
    /// A template was filled.
    Template,
    /// Nothing was to be done: `refine.kind` is none.
    None,
    /// The agent, or every template, failed; the raw caption is kept.
    Failed,
}

impl Stop {
    /// The word written into the `caption_stop` column.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::MaxRounds => "max_rounds",
            Self::TooLong => "too_long",
            Self::Template => "template",
            Self::None => "none",
            Self::Failed => "failed",
        }
    }
}
