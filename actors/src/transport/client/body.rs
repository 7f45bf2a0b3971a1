//! Reading answers: every one bounded in length and in slowness.

use super::{CallError, Problem};
use crate::transport::wire::{MAX_REFUSAL_BYTES, Refusal, RefusalBody, printable};
use bytes::{Bytes, BytesMut};
use reqwest::{RequestBuilder, Response};
use serde::de::DeserializeOwned;
use std::{error::Error, time::Duration};
use tokio::time::{Instant, timeout, timeout_at};

/// How slow a peer may be: in each window at least `min_bytes` must come, or the end of the answer.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Length of a window; also how long the beginning of an answer may take.
    pub window: Duration,
    /// Fewest bytes in a window.
    pub min_bytes: u64,
}

impl Default for Pace {
    /// 4 KiB in 10 s: any link that can follow a chain is faster, and a peer that drips a byte now and then is found
    /// out as surely as one that is silent.
    fn default() -> Self {
        Self { window: Duration::from_secs(10), min_bytes: 4 << 10 }
    }
}

/// An answer whose body is still to be read.
#[derive(Debug)]
pub(super) struct Answer {
    url: String,
    response: Response,
    pace: Pace,
    window_ends: Instant,
    window_bytes: u64,
    /// The reader is busy with what it has, since then.
    paused_since: Option<Instant>,
}

impl Answer {
    /// Sends a request and waits for the beginning of a successful answer.
    pub(super) async fn to(request: RequestBuilder, url: &reqwest::Url, pace: Pace) -> Result<Self, CallError> {
        let fail = |problem| CallError { url: url.to_string(), problem };
        let response = timeout(pace.window, request.send())
            .await
            .map_err(|_| fail(Problem::Stalled { expected: 1, actual: 0, window: pace.window }))?
            .map_err(|error| fail(unreachable(&error)))?;
        let status = response.status();
        let window_ends = Instant::now() + pace.window;
        let mut answer =
            Self { url: url.to_string(), response, pace, window_ends, window_bytes: 0, paused_since: None };
        if status.is_success() {
            return Ok(answer);
        }
        let body = answer.bytes(MAX_REFUSAL_BYTES).await.unwrap_or_default();
        Err(fail(Problem::Refused { status: status.as_u16(), refusal: Box::new(refusal(&body)) }))
    }

    /// Who answered.
    pub(super) fn remote(&self) -> Option<std::net::IpAddr> {
        self.response.remote_addr().map(|address| address.ip())
    }

    /// The whole body, of at most `max` bytes.
    pub(super) async fn bytes(&mut self, max: u64) -> Result<Bytes, CallError> {
        let too_long = Problem::TooLong { expected: max };
        if self.response.content_length().is_some_and(|length| length > max) {
            return Err(self.fail(too_long));
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if (body.len() + chunk.len()) as u64 > max {
                return Err(self.fail(too_long));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    /// The whole body as JSON.
    pub(super) async fn json<T: DeserializeOwned>(&mut self, max: u64, expected: &'static str) -> Result<T, CallError> {
        let body = self.bytes(max).await?;
        serde_json::from_slice(&body)
            .map_err(|error| self.fail(Problem::Malformed { expected, actual: printable(&error.to_string()) }))
    }

    /// The next piece; `None` at the end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, CallError> {
        loop {
            match timeout_at(self.window_ends, self.response.chunk()).await {
                Ok(Ok(chunk)) => {
                    self.window_bytes += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
                    return Ok(chunk);
                }
                Ok(Err(error)) => return Err(self.fail(unreachable(&error))),
                Err(_) if self.window_bytes < self.pace.min_bytes => {
                    let (expected, window) = (self.pace.min_bytes, self.pace.window);
                    return Err(self.fail(Problem::Stalled { expected, actual: self.window_bytes, window }));
                }
                Err(_) => self.new_window(),
            }
        }
    }

    /// The next piece where the peer owes nothing: waits up to `silence` for it, and then a new window begins.
    pub(super) async fn chunk_after_silence(&mut self, silence: Duration) -> Result<Option<Bytes>, CallError> {
        let chunk = match timeout(silence, self.response.chunk()).await {
            Ok(chunk) => chunk.map_err(|error| self.fail(unreachable(&error)))?,
            Err(_) => return Err(self.fail(Problem::Silent { waited: silence })),
        };
        self.new_window();
        self.window_bytes = chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        Ok(chunk)
    }

    /// The reader is busy with what it has: until [`Self::resume`] the peer owes nothing.
    pub(super) fn pause(&mut self) {
        self.paused_since = Some(Instant::now());
    }

    /// The reader is back. The window is as much longer as it was away, and no more: what a peer owed before, it owes
    /// still, or pieces just in time would never be found slow.
    pub(super) fn resume(&mut self) {
        if let Some(since) = self.paused_since.take() {
            self.window_ends += since.elapsed();
        }
    }

    fn new_window(&mut self) {
        self.window_ends = Instant::now() + self.pace.window;
        self.window_bytes = 0;
    }

    pub(super) fn fail(&self, problem: impl Into<Problem>) -> CallError {
        CallError { url: self.url.clone(), problem: problem.into() }
    }
}

fn refusal(body: &[u8]) -> Refusal {
    match serde_json::from_slice::<RefusalBody>(body) {
        Ok(RefusalBody { error }) => {
            Refusal { code: printable(&error.code), message: printable(&error.message), ..error }
        }
        Err(_) => {
            let message = printable(&String::from_utf8_lossy(body));
            Refusal { code: "unknown".to_owned(), message, genesis_hash: None, chain: None }
        }
    }
}

/// reqwest's message names the URL again and hides the cause; the innermost cause says what happened.
fn unreachable(error: &reqwest::Error) -> Problem {
    let mut cause: &dyn Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    Problem::Unreachable { reason: printable(&cause.to_string()) }
}
