//! The server: one call over HTTP, and what its answer means.

use super::backoff::retry_after;
use super::chat::{excerpt, said};
use super::key::ApiKey;
use super::{RefineError, error::Trouble};
use configs::prepare::Endpoint;
use data::source::chain;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use url::Url;

/// More than any answer has.
const MAX_BODY: usize = 16 << 20;
/// Connecting takes no longer, whatever the answer may take.
const MAX_CONNECT: Duration = Duration::from_secs(10);
/// A run does not wait longer at a server's request.
const MAX_WAIT: Duration = Duration::from_secs(600);

/// Where questions go.
#[derive(Debug)]
pub(super) struct Server {
    client: Client,
    url: Url,
    key: ApiKey,
    /// Whether a call was ever answered as it should be.
    pub(super) answered: AtomicBool,
}

/// A call that failed in a way that may pass.
#[derive(Debug)]
pub(super) struct Passing {
    /// What happened.
    pub(super) why: String,
    /// The least pause that the server asks for.
    pub(super) after: Option<Duration>,
    /// Whether this is how it looks when something else or nothing at all is at the address.
    pub(super) foreign: bool,
}

/// How a call failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// It may be repeated.
    Passing(Passing),
    /// It must not.
    For(Trouble),
}

impl Server {
    /// The server of the section; `variable` reads the environment.
    pub(super) fn new(
        endpoint: &Endpoint,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, RefineError> {
        let url = address(&endpoint.url)?;
        let key = ApiKey::read(endpoint, &url, variable)?;
        // Fails where the program has chosen one already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let timeout = Duration::from_secs_f64(endpoint.timeout_s);
        let mut client = Client::builder()
            .user_agent(concat!("vlclip/", env!("CARGO_PKG_VERSION")))
            // Following one would turn the POST into a GET, or carry the key to another host.
            .redirect(Policy::none())
            .timeout(timeout)
            .connect_timeout(timeout.min(MAX_CONNECT));
        if is_loopback(&url) {
            client = client.no_proxy();
        }
        let client = client.build().map_err(|error| RefineError::Client(chain(&error)))?;
        Ok(Self { client, url, key, answered: AtomicBool::new(false) })
    }

    /// The address that calls go to, for cache keys.
    pub(super) fn url(&self) -> &str {
        self.url.as_str()
    }

    /// The address without a query, which may hold what is nobody's business.
    pub(super) fn shown(&self) -> String {
        self.url[..url::Position::AfterPath].to_owned()
    }

    /// `text` without the API key, which servers quote.
    pub(super) fn redact(&self, text: String) -> String {
        self.key.redact(text)
    }

    /// Sends one call, and gives the body of an answer with status 200.
    pub(super) async fn send(&self, model: &str, body: String) -> Result<String, Failed> {
        let mut request =
            self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json").body(body);
        if let Some(key) = self.key.header() {
            request = request.header(AUTHORIZATION, key);
        }
        let response = request.send().await.map_err(|error| self.network(error))?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = whole(response).await.map_err(|error| match error {
            Cut::Network(error) => self.network(error),
            Cut::TooLong => {
                let why = format!("its answer is longer than {} MiB", MAX_BODY >> 20);
                passing(why, None, true)
            }
        })?;
        let body = self.key.redact(String::from_utf8_lossy(&body).into_owned());
        if status == 200 {
            return Ok(body);
        }
        Err(self.refusal(model, status, &headers, &body))
    }

    /// What a status other than 200 means.
    fn refusal(&self, model: &str, status: u16, headers: &HeaderMap, body: &str) -> Failed {
        let error =
            serde_json::from_str::<Value>(body).ok().map(|value| match value.get("error") {
                Some(error) if !error.is_null() => error.clone(),
                _ => value.get("detail").cloned().unwrap_or(value),
            });
        let code = error.as_ref().and_then(|error| error.get("code")).and_then(Value::as_str);
        let quoted = match &error {
            Some(error) => said(error),
            None if body.trim().is_empty() => String::new(),
            None => excerpt(body.as_bytes()),
        };
        let quoted = self.redact(quoted);
        let said = if quoted.is_empty() { quoted } else { format!(" ({quoted})") };
        let stop = |advice: String| {
            let (url, said) = (self.shown(), said.clone());
            Failed::For(Trouble::Run(RefineError::Refused { url, status, said, advice }))
        };
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let unknown_model = || {
            stop(format!(
                "it has no model `{model}`, or nothing at this address; check refine.model, the \
                 models of refine.roles, and refine.endpoint.url (it mostly ends in /v1)"
            ))
        };
        let unproven = !self.answered.load(Ordering::Relaxed);
        let parameter = code.is_some_and(|code| {
            ["unsupported_parameter", "unsupported_value", "unknown_parameter"].contains(&code)
        });
        let wrong_request = "it does not take the request as it is; check refine.sampling (null \
                             leaves a field out)";
        let names_model =
            ["'", "`", "\""].iter().any(|quote| said.contains(&[*quote, model, *quote].concat()));
        match status {
            401 => stop(self.key.advice()),
            403 => stop(format!(
                "access is refused, to the model `{model}` or altogether; {}",
                self.key.advice()
            )),
            402 => stop("the account must be paid for first".into()),
            404 => unknown_model(),
            _ if code == Some("model_not_found") => unknown_model(),
            429 if code == Some("insufficient_quota") => stop(
                "the account has no quota left; raise it with the provider, then start again: the \
                 run goes on from its answers so far"
                    .into(),
            ),
            300..=399 => {
                let to = header(LOCATION).and_then(|to| self.url.join(to).ok());
                let to = to.map(|to| format!(" to {}", &to[..url::Position::AfterPath]));
                stop(format!(
                    "it redirects{}; set refine.endpoint.url to where the server is",
                    to.unwrap_or_default()
                ))
            }
            405 | 501 => stop(
                "this is no chat endpoint; check refine.endpoint.url (it mostly ends in /v1)"
                    .into(),
            ),
            408 | 409 | 425 | 429 | 500.. => {
                let after =
                    header(RETRY_AFTER).and_then(|value| retry_after(value, SystemTime::now()));
                if let Some(long) = after.filter(|after| *after > MAX_WAIT) {
                    let (url, seconds) = (self.shown(), long.as_secs());
                    return Failed::For(Trouble::Run(RefineError::Wait { url, seconds, said }));
                }
                passing(format!("HTTP {status}{said}"), after, false)
            }
            400 | 422 if parameter => stop(wrong_request.into()),
            // Before anything was answered it is the request's form that is refused.
            400 | 422 if unproven && names_model => unknown_model(),
            422 if unproven => stop(wrong_request.into()),
            // What is left concerns this question: too long, a picture that is not taken, a policy.
            _ => Failed::For(Trouble::Product(format!("the server answered HTTP {status}{said}"))),
        }
    }

    fn network(&self, error: reqwest::Error) -> Failed {
        let foreign = error.is_connect();
        let why = if error.is_timeout() && error.is_connect() {
            "connecting took too long".into()
        } else if error.is_timeout() {
            "no whole answer came within refine.endpoint.timeout_s".into()
        } else {
            self.key.redact(chain(&error.without_url()))
        };
        passing(why, None, foreign)
    }
}

fn passing(why: String, after: Option<Duration>, foreign: bool) -> Failed {
    Failed::Passing(Passing { why, after, foreign })
}

/// The address of the chat endpoint below the configured one.
fn address(text: &str) -> Result<Url, RefineError> {
    let wrong = |problem: String| RefineError::Url(problem);
    let mut url = Url::parse(text).map_err(|error| wrong(format!("`{text}`: {error}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        let problem = "expected an address without a user's name and password, found one with; \
                       name the variable that holds the key in refine.endpoint.api_key_env";
        return Err(wrong(problem.into()));
    }
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix("/chat/completions").unwrap_or(path);
    let path = format!("{path}/chat/completions");
    url.set_path(&path);
    url.set_fragment(None);
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

enum Cut {
    Network(reqwest::Error),
    TooLong,
}

async fn whole(mut response: Response) -> Result<Vec<u8>, Cut> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Cut::Network)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_BODY {
            return Err(Cut::TooLong);
        }
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_and_without_the_endpoint() {
        let full = |text: &str| address(text).unwrap().to_string();
        let expected = "https://api.openai.com/v1/chat/completions";
        assert_eq!(full("https://api.openai.com/v1"), expected);
        assert_eq!(full("https://api.openai.com/v1/"), expected);
        assert_eq!(full("https://api.openai.com/v1/chat/completions"), expected);
        assert_eq!(
            full("https://x.azure.com/openai/v1?api-version=1"),
            "https://x.azure.com/openai/v1/chat/completions?api-version=1"
        );
        assert_eq!(
            address("https://me:secret@x.com/v1").unwrap_err().to_string(),
            "refine.endpoint.url: expected an address without a user's name and password, found \
             one with; name the variable that holds the key in refine.endpoint.api_key_env"
        );
        assert_eq!(
            address("http://[x/v1").unwrap_err().to_string(),
            "refine.endpoint.url: `http://[x/v1`: invalid IPv6 address"
        );
    }
}
