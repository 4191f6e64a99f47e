//! The API key: read from the environment, sent to the server, shown nowhere.

use super::RefineError;
use configs::prepare::Endpoint;
use reqwest::header::HeaderValue;
use std::fmt;
use url::Url;

/// The variable that counts where none is named, and the server it is for.
const USUAL: (&str, &str) = ("OPENAI_API_KEY", "api.openai.com");
/// Shorter keys are placeholders such as `none`, which servers without keys are given; they may
/// stand in any text.
const SHORTEST_SECRET: usize = 8;

/// A key, or that there is none.
pub(super) struct ApiKey(Option<Key>);

struct Key {
    variable: String,
    secret: String,
    header: HeaderValue,
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variable = self.0.as_ref().map(|key| key.variable.as_str());
        f.debug_tuple("ApiKey").field(&variable).finish()
    }
}

impl ApiKey {
    /// The key that the section names; `variable` reads the environment.
    pub(super) fn read(
        endpoint: &Endpoint,
        url: &Url,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, RefineError> {
        // The usual key goes to no server but its own unless somebody says so.
        let name = match &endpoint.api_key_env {
            Some(name) => name.as_str(),
            None if url.host_str() == Some(USUAL.1) => USUAL.0,
            None => return Ok(Self(None)),
        };
        let wrong = |problem| RefineError::Key { variable: name.to_owned(), problem };
        let secret = match variable(name).map(|key| key.trim().to_owned()) {
            Some(key) if !key.is_empty() => key,
            Some(_) => return Err(wrong("is empty")),
            None => return Err(wrong("is not set")),
        };
        let mut header = HeaderValue::from_str(&format!("Bearer {secret}"))
            .map_err(|_| wrong("holds characters that no API key has, such as a line's end"))?;
        header.set_sensitive(true);
        Ok(Self(Some(Key { variable: name.to_owned(), secret, header })))
    }

    /// The value of the Authorization header.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        self.0.as_ref().map(|key| key.header.clone())
    }

    /// What to do when the server wants another key.
    pub(super) fn advice(&self) -> String {
        match &self.0 {
            Some(key) => format!(
                "it does not accept the API key in the environment variable `{}`; set that to a \
                 valid one, or name another in refine.endpoint.api_key_env",
                key.variable
            ),
            None => "it wants an API key and none was sent; put the key into an environment \
                     variable and name that in refine.endpoint.api_key_env"
                .into(),
        }
    }

    /// `text` without the key: servers quote what they were sent.
    pub(super) fn redact(&self, text: String) -> String {
        match &self.0 {
            Some(key) if key.secret.len() >= SHORTEST_SECRET && text.contains(&key.secret) => {
                text.replace(&key.secret, "***")
            }
            _ => text,
        }
    }
}
