//! The checks of a `prepare` file's `refine` section.

use super::Checks;
use crate::Issue;
use crate::prepare::{AgentRole, Endpoint, Price, Refine, RefineKind, Sampling};

/// What the agent itself puts into a request.
const RESERVED: [&str; 7] =
    ["model", "messages", "temperature", "seed", "max_tokens", "stream", "n"];

impl Refine {
    /// Every problem of the section, each naming its key; empty if it can run.
    pub fn issues(&self) -> Vec<Issue> {
        let mut checks = Checks::default();
        checks.fraction("refine.max_failed_fraction", self.max_failed_fraction);
        match self.kind {
            RefineKind::None => {}
            RefineKind::Template => {
                let found = self.templates.is_empty();
                let expected = "at least one template where kind is template";
                checks.require(!found, "refine.templates", expected, "none");
            }
            RefineKind::Llm => llm(&mut checks, self),
        }
        checks.0
    }
}

fn llm(checks: &mut Checks, refine: &Refine) {
    match &refine.endpoint {
        Some(section) => endpoint(checks, section),
        None => {
            let path = "refine.endpoint";
            checks.require(false, path, "a server ({url: ...}) where kind is llm", "none");
        }
    }
    let named = |model: &Option<String>| model.as_ref().is_some_and(|m| !m.trim().is_empty());
    let roles = [
        ("summarizer", &refine.roles.summarizer),
        ("evaluator", &refine.roles.evaluator),
        ("refiner", &refine.roles.refiner),
    ];
    let holds = named(&refine.model) || roles.iter().all(|(_, role)| role.model.is_some());
    checks.require(holds, "refine.model", "a model's name where kind is llm", "none");
    for (name, AgentRole { model, prompt }) in roles {
        let holds = model.is_none() || named(model);
        checks.require(holds, &format!("refine.roles.{name}.model"), "a name", "empty text");
        let holds = prompt.as_ref().is_none_or(|path| !path.as_os_str().is_empty());
        checks.require(holds, &format!("refine.roles.{name}.prompt"), "a file", "empty text");
    }
    if let Some(tokens) = refine.max_tokens_caption {
        // Fewer hold a start, an end and nothing.
        checks.require(tokens >= 3, "refine.max_tokens_caption", "at least 3", tokens);
    }
    let rounds = refine.max_rounds;
    checks.require(rounds <= 100, "refine.max_rounds", "at most 100", rounds);
    let reasks = refine.max_reasks;
    checks.require(reasks <= 100, "refine.max_reasks", "at most 100", reasks);
    sampling(checks, &refine.sampling);
    if let Some(tokens) = refine.budget.tokens {
        checks.require(tokens >= 1, "refine.budget.tokens", "at least 1", tokens);
    }
    if let Some(requests) = refine.budget.requests {
        checks.require(requests >= 1, "refine.budget.requests", "at least 1", requests);
    }
    prices(checks, refine);
}

fn endpoint(checks: &mut Checks, endpoint: &Endpoint) {
    let web = endpoint.url.starts_with("http://") || endpoint.url.starts_with("https://");
    let expected = "a URL that starts with http:// or https://";
    checks.require(web, "refine.endpoint.url", expected, format!("`{}`", endpoint.url));
    if let Some(name) = &endpoint.api_key_env {
        // Whoever writes the key itself here must not find it in a message.
        let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let holds = !name.is_empty() && name.chars().all(plain);
        let expected = "the name of an environment variable such as OPENAI_API_KEY (capital \
                        letters, digits, underscores)";
        checks.require(holds, "refine.endpoint.api_key_env", expected, "something else");
    }
    checks.at_least_one("refine.endpoint.concurrency", endpoint.concurrency);
    let most = endpoint.concurrency <= 4096;
    checks.require(most, "refine.endpoint.concurrency", "at most 4096", endpoint.concurrency);
    for (key, limit) in [
        ("requests_per_minute", endpoint.requests_per_minute),
        ("tokens_per_minute", endpoint.tokens_per_minute),
    ] {
        let path = format!("refine.endpoint.{key}");
        checks.require(limit != Some(0), &path, "at least 1", 0);
    }
    for (key, seconds) in [("timeout_s", endpoint.timeout_s), ("backoff_s", endpoint.backoff_s)] {
        let holds = seconds > 0.0 && seconds <= 86_400.0;
        let path = format!("refine.endpoint.{key}");
        checks.require(holds, &path, "seconds above 0, at most a day", seconds);
    }
    let retries = endpoint.max_retries;
    checks.require(retries <= 100, "refine.endpoint.max_retries", "at most 100", retries);
}

fn sampling(checks: &mut Checks, sampling: &Sampling) {
    if let Some(temperature) = sampling.temperature {
        let holds = temperature >= 0.0 && temperature.is_finite();
        checks.require(holds, "refine.sampling.temperature", "0 or more", temperature);
    }
    let none = sampling.max_tokens != Some(0);
    checks.require(none, "refine.sampling.max_tokens", "at least 1", 0);
    for key in sampling.extra.keys() {
        let holds = !RESERVED.contains(&key.as_str());
        let path = format!("refine.sampling.extra.{key}");
        let expected = "a field that the agent does not set itself (it sets model, messages, \
                        temperature, seed and max_tokens, and asks for one whole answer)";
        checks.require(holds, &path, expected, format!("`{key}`"));
    }
}

fn prices(checks: &mut Checks, refine: &Refine) {
    for (model, Price { input_per_million, output_per_million }) in &refine.prices {
        for (key, price) in
            [("input_per_million", *input_per_million), ("output_per_million", *output_per_million)]
        {
            let holds = price >= 0.0 && price.is_finite();
            let path = format!("refine.prices.{model}.{key}");
            checks.require(holds, &path, "a price, 0 or more", price);
        }
    }
    let Some(money) = refine.budget.money else { return };
    checks.positive("refine.budget.money", money);
    let roles = &refine.roles;
    let mut missing: Vec<&String> = [&roles.summarizer, &roles.evaluator, &roles.refiner]
        .into_iter()
        .filter_map(|role| role.model.as_ref().or(refine.model.as_ref()))
        .filter(|model| !refine.prices.contains_key(*model))
        .collect();
    missing.dedup();
    if let [model, ..] = missing.as_slice() {
        let expected = format!("the price of `{model}` where refine.budget.money is set");
        checks.require(false, "refine.prices", &expected, "none");
    }
}

#[cfg(test)]
mod tests {
    use crate::prepare::{CaptionTemplate, Refine, RefineKind};
    use crate::tree::{self, Origin};
    use serde::Deserialize;
    use serde_json::json;

    #[test]
    fn yaml_is_read_as_it_is_written() {
        let read = |yaml: &str| {
            let place = |_: &serde_saphyr::Location| Origin::Override(0);
            Refine::deserialize(&tree::parse(yaml, &place).unwrap())
        };
        let llm = read(
            "
kind: llm
endpoint: {url: https://api.openai.com/v1, requests_per_minute: 500}
model: gpt-4o-mini
vision: true
roles: {evaluator: {model: gpt-4.1, prompt: prompts/evaluator.txt}}
sampling: {temperature: 0, max_tokens: null, extra: {top_p: 0.9, stop: [a, b]}}
budget: {money: 20}
prices:
  gpt-4o-mini: {input_per_million: 0.15, output_per_million: 0.6}
  gpt-4.1: {input_per_million: 2, output_per_million: 8}
",
        )
        .unwrap();
        assert_eq!(llm.issues(), []);
        assert_eq!((llm.sampling.temperature, llm.sampling.max_tokens), (Some(0.0), None));
        assert_eq!(llm.sampling.extra["stop"], json!(["a", "b"]));
        assert_eq!(llm.prices["gpt-4.1"].output_per_million, 8.0);
        let endpoint = llm.endpoint.unwrap();
        assert_eq!((endpoint.concurrency, endpoint.max_retries), (8, 5));
        let filled =
            read("{kind: template, templates: [\"{title}[ in {attributes.colour}]\"]}").unwrap();
        let expected: CaptionTemplate = "{title}[ in {attributes.colour}]".parse().unwrap();
        assert_eq!((filled.kind, filled.templates), (RefineKind::Template, vec![expected]));
        let message = |yaml: &str| read(yaml).unwrap_err().to_string();
        assert_eq!(
            message("{templates: [{title}]}"),
            "expected text in quotes with fields in braces, such as \"{title}[, {product_type}]\", \
             found a mapping"
        );
        assert!(message("{knid: llm}").contains("did you mean `kind`?"));
    }

    fn issues(value: serde_json::Value) -> Vec<String> {
        let refine: Refine = serde_json::from_value(value).unwrap();
        refine.issues().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_can_run_has_no_issues() {
        assert_eq!(issues(json!({})), [""; 0]);
        assert_eq!(issues(json!({"kind": "template", "templates": ["{title}"]})), [""; 0]);
        let endpoint = json!({"url": "http://localhost:8000/v1", "api_key_env": "MY_KEY"});
        let llm = json!({"kind": "llm", "endpoint": endpoint, "model": "m",
                         "budget": {"money": 2.5},
                         "sampling": {"extra": {"top_p": 0.9}},
                         "prices": {"m": {"input_per_million": 0.15, "output_per_million": 0.6}}});
        assert_eq!(issues(llm), [""; 0]);
    }

    #[test]
    fn every_issue_names_its_key() {
        assert_eq!(
            issues(json!({"kind": "template", "max_failed_fraction": 2.0})),
            [
                "refine.max_failed_fraction: expected a fraction from 0 to 1, found 2",
                "refine.templates: expected at least one template where kind is template, found \
                 none",
            ]
        );
        assert_eq!(
            issues(json!({"kind": "llm"})),
            [
                "refine.endpoint: expected a server ({url: ...}) where kind is llm, found none",
                "refine.model: expected a model's name where kind is llm, found none",
            ]
        );
        let endpoint = json!({"url": "localhost:8000", "api_key_env": "sk-secret-1234",
                              "concurrency": 0, "tokens_per_minute": 0, "timeout_s": 0.0});
        assert_eq!(
            issues(json!({"kind": "llm", "endpoint": endpoint, "model": "m",
                          "max_tokens_caption": 2, "budget": {"requests": 0, "money": 1.0},
                          "sampling": {"temperature": -1.0, "extra": {"stream": true}}})),
            [
                "refine.endpoint.url: expected a URL that starts with http:// or https://, found \
                 `localhost:8000`",
                "refine.endpoint.api_key_env: expected the name of an environment variable such \
                 as OPENAI_API_KEY (capital letters, digits, underscores), found something else",
                "refine.endpoint.concurrency: expected at least 1, found 0",
                "refine.endpoint.tokens_per_minute: expected at least 1, found 0",
                "refine.endpoint.timeout_s: expected seconds above 0, at most a day, found 0",
                "refine.max_tokens_caption: expected at least 3, found 2",
                "refine.sampling.temperature: expected 0 or more, found -1",
                "refine.sampling.extra.stream: expected a field that the agent does not set \
                 itself (it sets model, messages, temperature, seed and max_tokens, and asks for \
                 one whole answer), found `stream`",
                "refine.budget.requests: expected at least 1, found 0",
                "refine.prices: expected the price of `m` where refine.budget.money is set, found \
                 none",
            ]
        );
    }
}
