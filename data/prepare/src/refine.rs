//! The caption agent: from a product's listing to the caption that it is trained with.
//!
//! | `refine.kind` | captions | `caption_stop` |
//! |---|---|---|
//! | `none` | the title | `none` |
//! | `template` | the templates that the product can fill | `template`, `failed` |
//! | `llm` | Summarizer, then Evaluator and Refiner in turns | `stop`, `max_rounds`, `too_long`, `failed` |
//!
//! ```text
//! listing, crop ─► Summarizer ─► caption ─► fits the context? ─► Evaluator ─► <STOP>: done
//!                                   ▲             │ no              │ critique
//!                                   └── Refiner ◄─┴─────────────────┘   at most max_rounds times
//! ```
//!
//! The roles and the loop are those of VL-CLIP (arXiv 2507.17080); the prompts and everything about
//! length, failures and limits are ours.
//!
//! **Prompts** are text files: what stands above a line `---` is the system message, what stands
//! below it the user's. Placeholders: `{product}` (all that is known), `{title}`, `{description}`,
//! `{product_type}`, `{attributes}`, `{caption}`, `{critique}`, `{max_tokens}`, `{max_words}`;
//! `{{` and `}}` are braces. The Evaluator's must have `{caption}` and `<STOP>`, the Refiner's
//! `{caption}` and `{critique}`. Of a description they show the first 4000 characters.
//!
//! **Answers** lose quotes, fences, labels such as `Caption:` and a reasoning model's thoughts. One
//! that is empty, refuses, or was cut or withheld is asked for again with the reason, up to
//! `max_reasks` times. Each answer is kept in the cache by the SHA-256 of the address and the whole
//! request, picture included, those of every round and those that could not be used: a rerun makes
//! no call, and an interrupted one goes on where it was.
//!
//! **Failures.** A timeout, a cut connection, an answer that is no JSON, and HTTP 408, 409, 425,
//! 429 and 5xx are tried again. A wrong key, model or address stops the run at once; any other
//! refusal fails the product, which keeps its title. A server that asks to wait longer than ten
//! minutes stops the run.
//!
//! **Keys** come from the environment and go to the server alone: not into the cache, a message or
//! `Debug`. What a server quotes of one is masked.
//!
//! **Limits.** At most `concurrency` calls at once; in no 60 seconds more calls or tokens than the
//! limits per minute. The budget is looked at before each call, so that calls under way may end
//! above the limits on tokens and money.

mod agent;
mod answer;
mod backoff;
mod cache;
mod caller;
mod caption_limit;
mod chat;
mod endpoint;
mod error;
mod failures;
mod key;
mod ledger;
mod listing;
mod pace;
mod prompts;
mod refined;
mod rounds;
mod templates;
mod values;

pub use agent::Agent;
pub use caption_limit::CaptionLimit;
pub use error::RefineError;
pub use ledger::Spent;
pub use listing::{Crop, Listing};
pub use refined::{Refined, Stop};
