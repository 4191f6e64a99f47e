//! The `refine` section of a `prepare` file: where the captions come from.

use super::CaptionTemplate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where the captions come from: the titles as they are, templates, or an agent of language
/// models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Refine {
    /// Which of them.
    pub kind: RefineKind,
    /// For `template`: texts to be filled from a product, the best first. The first one that the
    /// product can fill is its refined caption; the others that it can fill are further captions.
    pub templates: Vec<CaptionTemplate>,
    /// For `llm`: the server.
    pub endpoint: Option<Endpoint>,
    /// For `llm`: the model's name at the server.
    pub model: Option<String>,
    /// For `llm`: whether the model sees the crop beside the text.
    pub vision: bool,
    /// For `llm`: what differs between Summarizer, Evaluator and Refiner.
    pub roles: AgentRoles,
    /// For `llm`: how answers are sampled.
    pub sampling: Sampling,
    /// For `llm`: the most rounds of criticism and refinement; 5 in VL-CLIP (arXiv 2507.17080).
    pub max_rounds: u32,
    /// For `llm`: the tokenizer of the model that the shards are for, which captions are measured
    /// with: a `tokenizer.json`, or a model's folder.
    pub tokenizer: Option<PathBuf>,
    /// For `llm`: the most tokens of a caption, start and end included. Left out: the model's
    /// context length, or 77 where `tokenizer` is a file.
    pub max_tokens_caption: Option<usize>,
    /// For `llm`: how often an empty, refusing or malformed answer is asked for again.
    pub max_reasks: u32,
    /// For `llm`: what one run may spend. An interrupted run that is started again does not ask
    /// again for what was answered, and may spend as much once more.
    pub budget: Budget,
    /// For `llm`: prices by model, in any one currency.
    pub prices: BTreeMap<String, Price>,
    /// The share of all products that may keep their titles because nothing better could be made,
    /// in [0, 1]. Beyond it the run stops.
    pub max_failed_fraction: f64,
}

impl Default for Refine {
    fn default() -> Self {
        Self {
            kind: RefineKind::None,
            templates: Vec::new(),
            endpoint: None,
            model: None,
            vision: false,
            roles: AgentRoles::default(),
            sampling: Sampling::default(),
            max_rounds: 5,
            tokenizer: None,
            max_tokens_caption: None,
            max_reasks: 2,
            budget: Budget::default(),
            prices: BTreeMap::new(),
            max_failed_fraction: 0.01,
        }
    }
}

/// Where the captions come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefineKind {
    /// The titles stay as they are.
    #[default]
    None,
    /// `templates`, filled from the products; no network.
    Template,
    /// Summarizer, Evaluator and Refiner at an OpenAI-compatible server.
    Llm,
}

/// An OpenAI-compatible server: a hosted one, vLLM, llama.cpp, Ollama.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// What `/chat/completions` is appended to: `https://api.openai.com/v1`,
    /// `http://localhost:8000/v1` (vLLM), `http://localhost:11434/v1` (Ollama).
    pub url: String,
    /// The environment variable with the API key; it must be set. Left out: OPENAI_API_KEY where
    /// the server is api.openai.com, otherwise no key is sent.
    #[serde(default)]
    pub api_key_env: Option<String>,
    /// Calls at once.
    #[serde(default = "concurrency")]
    pub concurrency: usize,
    /// The most calls in any 60 seconds. Left out: no limit.
    #[serde(default)]
    pub requests_per_minute: Option<u64>,
    /// The most tokens, asked and answered, in any 60 seconds. Left out: no limit.
    #[serde(default)]
    pub tokens_per_minute: Option<u64>,
    /// Seconds from sending a call to the end of its answer.
    #[serde(default = "timeout_s")]
    pub timeout_s: f64,
    /// How often a call is repeated after a timeout, a cut connection, or status 408, 409, 429 or
    /// 5xx.
    #[serde(default = "max_retries")]
    pub max_retries: u32,
    /// Seconds before the first repetition, of which half to all are waited; doubled for each
    /// further one, up to 60. A server's Retry-After counts where it is longer.
    #[serde(default = "backoff_s")]
    pub backoff_s: f64,
}

fn concurrency() -> usize {
    8
}
fn timeout_s() -> f64 {
    120.0
}
fn max_retries() -> u32 {
    5
}
fn backoff_s() -> f64 {
    1.0
}

/// What differs between the agent's roles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AgentRoles {
    /// Writes the first caption from the product.
    pub summarizer: AgentRole,
    /// Criticises a caption, or answers `<STOP>`.
    pub evaluator: AgentRole,
    /// Rewrites a caption by the criticism.
    pub refiner: AgentRole,
}

/// One role of the agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AgentRole {
    /// Its model. Left out: `refine.model`.
    pub model: Option<String>,
    /// A text file with its prompt. Left out: the built-in one.
    pub prompt: Option<PathBuf>,
}

/// How answers are sampled. What is `null` is not sent, for servers that refuse it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sampling {
    /// Randomness of the answers, 0 or more.
    pub temperature: Option<f64>,
    /// The server's random seed.
    pub seed: Option<u64>,
    /// The most tokens of an answer.
    pub max_tokens: Option<u64>,
    /// Further fields of the request's body, e.g. `{top_p: 0.9}` or
    /// `{max_completion_tokens: 1000}`.
    pub extra: BTreeMap<String, serde_json::Value>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: Some(0.0), seed: None, max_tokens: Some(512), extra: BTreeMap::new() }
    }
}

/// What one run may spend. What is left out has no limit. Calls that are on their way when a limit
/// on tokens or money is reached are still paid: at most `endpoint.concurrency` of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Calls, repeated ones included.
    pub requests: Option<u64>,
    /// Tokens, asked and answered.
    pub tokens: Option<u64>,
    /// Money, in the currency of `refine.prices`.
    pub money: Option<f64>,
}

/// What a model costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// A million tokens asked.
    pub input_per_million: f64,
    /// A million tokens answered.
    pub output_per_million: f64,
}
