//! One attempt to get a picture from a web server, redirects included.

use std::error::Error;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use configs::prepare::Fetch;
use reqwest::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use url::Url;

use super::address::{self, PublicOnly, Refused};
use super::hosts::Hosts;
use super::local::too_large;
use super::retry::{Failure, LONGEST_PAUSE};
use super::shown;
use crate::{Cause, Fault, PrepareError};

/// A client that fetches pictures.
pub(super) struct Web {
    client: Client,
    pub(super) hosts: Hosts,
    timeout: Duration,
    max_bytes: u64,
    max_redirects: usize,
    allow_private: bool,
    /// An address that a test's server may have.
    #[cfg(test)]
    pub(super) excepted: Option<String>,
}

/// What a server sent.
pub(super) struct Answer {
    pub bytes: Bytes,
    pub content_type: Option<String>,
}

impl Web {
    pub(super) fn new(config: &Fetch, max_bytes: u64) -> Result<Self, PrepareError> {
        // Fails where the program has chosen one already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(&config.user_agent)
            .connect_timeout(Duration::from_secs_f64(config.connect_timeout_s))
            .pool_max_idle_per_host(config.per_host)
            // Each hop is checked here.
            .redirect(reqwest::redirect::Policy::none())
            // Behind a proxy nobody could say which address a name is resolved to.
            .no_proxy()
            // Pictures are compressed already; what unpacks without need can be a bomb.
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate();
        let client = match config.allow_private {
            true => client,
            false => client.dns_resolver(PublicOnly),
        };
        let client = client.build().map_err(|error| PrepareError::Fetch(causes(&error)))?;
        Ok(Self {
            client,
            hosts: Hosts::new(config.per_host),
            timeout: Duration::from_secs_f64(config.timeout_s),
            max_bytes,
            max_redirects: config.max_redirects,
            allow_private: config.allow_private,
            #[cfg(test)]
            excepted: None,
        })
    }

    /// What a URL gives, redirects followed.
    pub(super) async fn get(&self, url: &Url) -> Result<Answer, Failure> {
        let mut at = url.clone();
        for _ in 0..=self.max_redirects {
            match self.hop(&at).await? {
                Hop::Arrived(answer) => return Ok(answer),
                Hop::On(next) => at = next,
            }
        }
        let most = self.max_redirects;
        let detail = format!("more than {most} redirects (catalogue.fetch.max_redirects)");
        Err(Failure::for_good(Fault::new(Cause::FetchFailed, detail)))
    }

    async fn hop(&self, url: &Url) -> Result<Hop, Failure> {
        if !self.may_be_private(url) {
            address::check(url).map_err(|refused| refused_for_good(&refused))?;
        }
        let name = &url[url::Position::BeforeHost..url::Position::AfterPort];
        let host = self.hosts.host(name);
        let _turn = host.turn().await;
        let answered = tokio::time::timeout(self.timeout, self.ask(url)).await;
        let hop = answered.unwrap_or_else(|_| {
            let seconds = self.timeout.as_secs_f64();
            let detail = format!("no whole answer within {seconds} s (catalogue.fetch.timeout_s)");
            Err(Failure::for_now(Fault::new(Cause::FetchFailed, detail)))
        });
        if let Err(Failure { again: Some(pause), .. }) = &hop {
            host.rest((*pause).min(LONGEST_PAUSE));
        }
        hop
    }

    fn may_be_private(&self, url: &Url) -> bool {
        #[cfg(test)]
        if url.host_str() == self.excepted.as_deref() {
            return true;
        }
        let _ = url;
        self.allow_private
    }

    async fn ask(&self, url: &Url) -> Result<Hop, Failure> {
        let request = self.client.get(url.clone()).header(ACCEPT, "image/*");
        let response = request.send().await.map_err(|error| not_sent(&error))?;
        let status = response.status();
        if status.is_redirection() && response.headers().contains_key(LOCATION) {
            return redirected(url, response.headers()).map(Hop::On);
        }
        if !status.is_success() {
            return Err(refusal(status, response.headers()));
        }
        let text = |name| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
        let content_type = text(CONTENT_TYPE);
        if let Some(encoding) = text(CONTENT_ENCODING).filter(|name| name != "identity") {
            let detail = format!("the server sends it packed as `{encoding}`, unasked");
            return Err(Failure::for_good(Fault::new(Cause::NotAPicture, detail)));
        }
        let bytes = self.body(response).await?;
        Ok(Hop::Arrived(Answer { bytes, content_type }))
    }

    /// The body, as long as it is not too long, whatever its announced length.
    async fn body(&self, mut response: Response) -> Result<Bytes, Failure> {
        let announced = response.content_length();
        if let Some(length) = announced.filter(|length| *length > self.max_bytes) {
            let found = format!("it has {length} bytes");
            return Err(Failure::for_good(too_large(&found, self.max_bytes)));
        }
        let mut bytes = BytesMut::new();
        loop {
            let chunk = response.chunk().await.map_err(|error| {
                let got = bytes.len();
                let of = announced.map_or_else(String::new, |all| format!(" of {all}"));
                let reason = causes(&error);
                let detail = format!("the connection broke after {got}{of} bytes: {reason}");
                Failure::for_now(Fault::new(Cause::FetchFailed, detail))
            })?;
            let Some(chunk) = chunk else { return Ok(bytes.freeze()) };
            if (bytes.len() + chunk.len()) as u64 > self.max_bytes {
                let found = format!("it has more than {} bytes", self.max_bytes);
                return Err(Failure::for_good(too_large(&found, self.max_bytes)));
            }
            bytes.extend_from_slice(&chunk);
        }
    }
}

/// Where a request leads.
enum Hop {
    Arrived(Answer),
    On(Url),
}

fn redirected(from: &Url, headers: &HeaderMap) -> Result<Url, Failure> {
    let bad = |detail: String| Failure::for_good(Fault::new(Cause::FetchFailed, detail));
    let location = headers.get(LOCATION).map(|value| value.as_bytes()).unwrap_or_default();
    let text = String::from_utf8_lossy(location);
    let url = from
        .join(&text)
        .map_err(|error| bad(format!("it is redirected to `{text}`, which is no URL: {error}")))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err(bad(format!("it is redirected to `{}`: expected http or https", shown(&url)))),
    }
}

/// A status that brings no picture.
fn refusal(status: StatusCode, headers: &HeaderMap) -> Failure {
    let said = format!("the server answers {status}");
    match status.as_u16() {
        404 | 410 => Failure::for_good(Fault::new(Cause::ImageNotFound, said)),
        408 | 425 | 429 | 500 | 502..=504 | 520..=599 => {
            let pause = retry_after(headers).unwrap_or_default();
            let fault = match pause > LONGEST_PAUSE {
                true => format!("{said} and asks for a pause of {} s", pause.as_secs()),
                false => said,
            };
            Failure { fault: Fault::new(Cause::FetchFailed, fault), again: Some(pause) }
        }
        _ => Failure::for_good(Fault::new(Cause::FetchFailed, said)),
    }
}

/// The pause that a server asks for: seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

fn refused_for_good(refused: &Refused) -> Failure {
    Failure::for_good(Fault::new(Cause::PrivateAddress, refused.to_string()))
}

/// Why there is no answer at all.
fn not_sent(error: &reqwest::Error) -> Failure {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        if let Some(refused) = inner.downcast_ref::<Refused>() {
            return refused_for_good(refused);
        }
        cause = inner.source();
    }
    let detail = match (error.is_connect(), error.is_timeout()) {
        (true, true) => {
            "the server cannot be reached in time (catalogue.fetch.connect_timeout_s)".to_owned()
        }
        (true, false) => format!("the server cannot be reached: {}", causes(error)),
        _ => format!("the request failed: {}", causes(error)),
    };
    Failure::for_now(Fault::new(Cause::FetchFailed, detail))
}

/// What lies behind an error, the outermost left out, which names the URL again.
fn causes(error: &reqwest::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if texts.last().is_none_or(|last| !last.contains(&text)) {
            texts.push(text);
        }
        cause = inner.source();
    }
    if texts.is_empty() { error.to_string() } else { texts.join(": ") }
}
