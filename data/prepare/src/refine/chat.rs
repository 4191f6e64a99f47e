//! One question to a chat model and its answer, as `/v1/chat/completions` spells them.

use configs::prepare::Sampling;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Bytes of English text per token, for estimates.
const BYTES_PER_TOKEN: usize = 4;
/// Tokens that a picture is estimated to take.
const TOKENS_OF_A_PICTURE: u64 = 1000;
/// Tokens that an answer is estimated to take where nothing limits it.
const TOKENS_OF_AN_ANSWER: u64 = 500;

/// What a model is asked.
#[derive(Clone, Debug)]
pub(super) struct Question<'a> {
    pub(super) model: &'a str,
    pub(super) system: Option<String>,
    pub(super) user: String,
    /// The picture as a `data:` URL.
    pub(super) picture: Option<&'a str>,
}

impl Question<'_> {
    /// The request's body. Equal questions have equal bodies, byte by byte.
    pub(super) fn body(&self, sampling: &Sampling) -> String {
        let mut messages = Vec::new();
        if let Some(system) = &self.system {
            messages.push(json!({"role": "system", "content": system}));
        }
        let content = match self.picture {
            None => json!(self.user),
            Some(url) => json!([
                {"type": "text", "text": self.user},
                {"type": "image_url", "image_url": {"url": url}},
            ]),
        };
        messages.push(json!({"role": "user", "content": content}));
        let mut body = Map::new();
        body.insert("model".into(), json!(self.model));
        body.insert("messages".into(), Value::Array(messages));
        if let Some(temperature) = sampling.temperature {
            body.insert("temperature".into(), json!(temperature));
        }
        if let Some(seed) = sampling.seed {
            body.insert("seed".into(), json!(seed));
        }
        if let Some(max_tokens) = sampling.max_tokens {
            body.insert("max_tokens".into(), json!(max_tokens));
        }
        let extra = sampling.extra.iter().map(|(key, value)| (key.clone(), value.clone()));
        body.extend(extra);
        Value::Object(body).to_string()
    }

    /// Tokens asked, as estimated.
    pub(super) fn input_tokens(&self) -> u64 {
        let text = self.user.len() + self.system.as_ref().map_or(0, String::len);
        let picture = if self.picture.is_some() { TOKENS_OF_A_PICTURE } else { 0 };
        (text / BYTES_PER_TOKEN) as u64 + picture
    }

    /// Tokens that it takes with its answer, before anything is known.
    pub(super) fn estimate(&self, sampling: &Sampling) -> u64 {
        self.input_tokens() + sampling.max_tokens.unwrap_or(TOKENS_OF_AN_ANSWER)
    }
}

/// What a model answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answer {
    /// The text.
    pub(super) content: String,
    /// Why it ends: `stop`, `length`, `content_filter` or whatever else the server says.
    pub(super) finish: String,
    /// A refusal that the server marked as such.
    pub(super) refusal: Option<String>,
    /// The model as the server calls it.
    pub(super) model: String,
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
}

impl Answer {
    /// The answer with its texts changed.
    pub(super) fn map_text(self, change: impl Fn(String) -> String) -> Self {
        let (content, refusal) = (change(self.content), self.refusal.map(&change));
        Self { content, refusal, model: change(self.model), ..self }
    }

    /// Reads what the server sent with status 200 to a question to `model` of about so many
    /// tokens.
    ///
    /// # Errors
    /// Why it is no answer.
    pub(super) fn read(body: &[u8], model: &str, input_tokens: u64) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| format!("the answer is not JSON ({error}): {}", excerpt(body)))?;
        // Some gateways report errors with status 200.
        if let Some(error) = value.get("error").filter(|error| !error.is_null()) {
            return Err(format!("the server reports an error: {}", said(error)));
        }
        let choice = value
            .get("choices")
            .and_then(|choices| choices.get(0))
            .ok_or_else(|| format!("the answer has no choices: {}", excerpt(body)))?;
        let message = choice
            .get("message")
            .ok_or_else(|| format!("the answer's choice has no message: {}", excerpt(body)))?;
        let content = match message.get("content") {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(parts)) => {
                parts.iter().filter_map(|part| part.get("text")?.as_str()).collect()
            }
            Some(_) => {
                return Err(format!("the answer's content is not text: {}", excerpt(body)));
            }
        };
        let counted = |key| value.get("usage").and_then(|usage| usage.get(key)?.as_u64());
        let estimated = (content.len() / BYTES_PER_TOKEN) as u64;
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            finish: text(choice.get("finish_reason")).unwrap_or_default(),
            refusal: text(message.get("refusal")),
            model: text(value.get("model"))
                .filter(|model| !model.trim().is_empty())
                .unwrap_or_else(|| model.to_owned()),
            input_tokens: counted("prompt_tokens").unwrap_or(input_tokens),
            output_tokens: counted("completion_tokens").unwrap_or(estimated),
            content,
        })
    }
}

/// The message within an error object, or all of it.
pub(super) fn said(error: &Value) -> String {
    let message = error.get("message").and_then(Value::as_str).or(error.as_str());
    one_line(message.unwrap_or(&error.to_string()))
}

/// The beginning of a body, for messages.
pub(super) fn excerpt(body: &[u8]) -> String {
    if body.is_empty() {
        return "nothing".into();
    }
    format!("`{}`", one_line(&String::from_utf8_lossy(body)))
}

/// The beginning of a text on one line.
fn one_line(text: &str) -> String {
    const LONGEST: usize = 300;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Question<'static> =
        Question { model: "m", system: None, user: String::new(), picture: None };

    fn answer(value: &Value) -> Result<Answer, String> {
        Answer::read(value.to_string().as_bytes(), "m", 5)
    }

    #[test]
    fn the_body_says_what_is_set_and_nothing_else() {
        let mut sampling = Sampling::default();
        let question = Question { user: "hello".into(), ..ASKED };
        assert_eq!(
            question.body(&sampling),
            r#"{"model":"m","messages":[{"role":"user","content":"hello"}],"temperature":0.0,"max_tokens":512}"#
        );
        (sampling.temperature, sampling.max_tokens, sampling.seed) = (None, None, Some(3));
        sampling.extra.insert("top_p".into(), json!(0.5));
        let seeing = Question { picture: Some("data:x"), system: Some("s".into()), ..question };
        assert_eq!(
            seeing.body(&sampling),
            r#"{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"hello"},{"type":"image_url","image_url":{"url":"data:x"}}]}],"seed":3,"top_p":0.5}"#
        );
        assert_eq!(seeing.estimate(&sampling), 1 + 1000 + 500);
    }

    #[test]
    fn answers_as_servers_spell_them() {
        let full = json!({"model": "m-2024", "usage": {"prompt_tokens": 9, "completion_tokens": 2},
            "choices": [{"finish_reason": "stop", "message": {"content": "A mug"}}]});
        let expected = Answer {
            content: "A mug".into(),
            finish: "stop".into(),
            refusal: None,
            model: "m-2024".into(),
            input_tokens: 9,
            output_tokens: 2,
        };
        assert_eq!(answer(&full).unwrap(), expected);
        let parts = json!([{"type": "text", "text": "A "}, {"type": "text", "text": "mug mug"}]);
        let bare = answer(&json!({"choices": [{"message": {"content": parts}}]})).unwrap();
        assert_eq!((bare.content.as_str(), bare.model.as_str()), ("A mug mug", "m"));
        assert_eq!((bare.input_tokens, bare.output_tokens), (5, 2));
        let null = json!({"choices": [{"message": {"content": null, "refusal": "no"}}]});
        assert_eq!(answer(&null).unwrap().refusal.as_deref(), Some("no"));
    }

    #[test]
    fn what_is_no_answer_is_quoted() {
        let cases = [
            (json!({"choices": []}), "the answer has no choices: `{\"choices\":[]}`"),
            (json!({"choices": [{}]}), "the answer's choice has no message: `{\"choices\":[{}]}`"),
            (
                json!({"choices": [{"message": {"content": 7}}]}),
                "the answer's content is not text: \
                 `{\"choices\":[{\"message\":{\"content\":7}}]}`",
            ),
            (
                json!({"error": {"message": "out of\nmemory"}}),
                "the server reports an error: out of memory",
            ),
        ];
        for (value, message) in cases {
            assert_eq!(answer(&value).unwrap_err(), message);
        }
        assert_eq!(
            Answer::read(b"<html> no", "m", 5).unwrap_err(),
            "the answer is not JSON (expected value at line 1 column 1): `<html> no`"
        );
        assert_eq!(
            Answer::read(b"", "m", 5).unwrap_err(),
            "the answer is not JSON (EOF while parsing a value at line 1 column 0): nothing"
        );
    }
}
