//! HTTP for tests, one request at a time.

use alloy_primitives::Bytes;
use serde_json::Value;
use std::time::Duration;

/// Longer than any answer takes.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A client that waits for its answers.
pub(crate) struct Http {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
}

/// A request, as curl would be told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<String>,
}

impl Http {
    pub(crate) fn new() -> Self {
        // Fails only where another test has installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        // A connection that is kept may be to a process that has ended since.
        let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(TIMEOUT);
        let client = client.build().expect("a client");
        Self { runtime, client }
    }

    /// Status and JSON body of a `GET`.
    pub(crate) fn get(&self, url: &str) -> Result<(u16, Value), String> {
        self.json(self.client.get(url))
    }

    /// Status and JSON body of a `POST`.
    pub(crate) fn post(&self, url: &str, body: &Value) -> Result<(u16, Value), String> {
        self.json(self.client.post(url).json(body))
    }

    /// The body of a `GET` that succeeds.
    pub(crate) fn bytes(&self, url: &str) -> Result<Bytes, String> {
        self.answer(self.client.get(url)).and_then(|(status, bytes)| match status {
            200 => Ok(bytes),
            _ => Err(format!("{url}: status {status}")),
        })
    }

    /// Status and text of any request. Of a stream that does not end, what comes up to the `pieces`th empty line.
    pub(crate) fn request(&self, asked: &Request, pieces: Option<usize>) -> Result<(u16, String), String> {
        let method = asked.method.parse().map_err(|error| format!("{error:?}"))?;
        let mut request = self.client.request(method, &asked.url);
        for (name, value) in &asked.headers {
            request = request.header(name, value);
        }
        if let Some(body) = &asked.body {
            request = request.body(body.clone());
        }
        self.runtime.block_on(async {
            let mut response = request.send().await.map_err(|error| format!("{error:?}"))?;
            let (status, mut text) = (response.status().as_u16(), String::new());
            while pieces.is_none_or(|pieces| text.matches("\n\n").count() < pieces)
                && let Some(chunk) = response.chunk().await.map_err(|error| format!("{error:?}"))?
            {
                text.push_str(&String::from_utf8_lossy(&chunk));
            }
            Ok((status, text))
        })
    }

    fn json(&self, request: reqwest::RequestBuilder) -> Result<(u16, Value), String> {
        let (status, bytes) = self.answer(request)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok((status, serde_json::from_slice(&bytes).unwrap_or(Value::String(text))))
    }

    fn answer(&self, request: reqwest::RequestBuilder) -> Result<(u16, Bytes), String> {
        self.runtime.block_on(async {
            let response = request.send().await.map_err(|error| format!("{error:?}"))?;
            let status = response.status().as_u16();
            let bytes = response.bytes().await.map_err(|error| format!("{error:?}"))?;
            Ok((status, bytes.to_vec().into()))
        })
    }
}
