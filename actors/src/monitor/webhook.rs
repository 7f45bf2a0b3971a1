//! Alarms as HTTP requests to whoever the operator names.
//!
//! One request at a time, each within its own time; what fails is tried again a few times, ever later, and then given
//! up. The node waits for none of it. No redirect is followed and no proxy used; the answer's body is not read.

use super::notices::{Notice, Notices};
use crate::transport::client::plain_client;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;
use url::Url;

/// A receiver that has not answered within this time will not.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// Before the second try; then twice as long each time. Six tries take about half a minute besides the answers' time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// How often one notice is sent at most.
const MAX_TRIES: u32 = 6;

/// Who sends: the same in every notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// `node.name`.
    pub node: String,
    /// The chain's id.
    pub chain_id: u64,
    /// Its genesis hash, `0x…`.
    pub genesis: String,
}

/// The HTTP client for the webhook cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for alerts.webhook cannot be set up: {0}")]
pub struct WebhookSetupError(#[source] reqwest::Error);

/// Where notices go.
#[derive(Debug)]
pub struct Webhook {
    url: Url,
    client: reqwest::Client,
    sender: Sender,
    first_pause: Duration,
}

/// Why a notice did not arrive.
#[derive(Debug)]
struct Failed {
    reason: String,
    /// Whether it may arrive later.
    passing: bool,
}

impl Webhook {
    /// Posts to `url`. The process must have installed a rustls crypto provider.
    pub fn new(url: Url, sender: Sender) -> Result<Self, WebhookSetupError> {
        let client = plain_client().timeout(ANSWERS_WITHIN).build().map_err(WebhookSetupError)?;
        Ok(Self { url, client, sender, first_pause: FIRST_PAUSE })
    }

    /// Posts what comes, in order, for as long as the node runs.
    pub async fn run(self, notices: Notices) {
        loop {
            let notice = notices.next().await;
            let delivered = self.deliver(&notice).await;
            notices.count(if delivered { "delivered" } else { "failed" });
        }
    }

    /// Tries until it has arrived or is given up.
    async fn deliver(&self, notice: &Notice) -> bool {
        let (body, to) = (body(notice, &self.sender), shown(&self.url));
        let mut pause = self.first_pause;
        for tries in 1..=MAX_TRIES {
            let Err(failed) = self.post(&body).await else { return true };
            let (alarm, reason) = (notice.alarm.name(), failed.reason);
            if !failed.passing || tries == MAX_TRIES {
                tracing::warn!(to, alarm, tries, reason, "the webhook was not told of an alarm");
                return false;
            }
            tracing::debug!(to, alarm, tries, reason, again_in = ?pause, "the webhook did not take an alarm");
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2);
        }
        false
    }

    async fn post(&self, body: &Value) -> Result<(), Failed> {
        // The error's own text would name the whole URL.
        let sent = self.client.post(self.url.clone()).json(body).send().await;
        let answer = sent.map_err(|error| Failed { reason: chain(&error.without_url()), passing: true })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let passing =
            status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
        let redirects = if status.is_redirection() { "; redirects are not followed" } else { "" };
        Err(Failed { reason: format!("it answered {status}{redirects}"), passing })
    }
}

/// What is posted.
fn body(notice: &Notice, sender: &Sender) -> Value {
    json!({
        "name": notice.alarm.name(),
        "state": if notice.raised { "raised" } else { "cleared" },
        "sentence": notice.sentence,
        "remedy": notice.alarm.remedy(),
        "at": notice.at,
        "node": sender.node,
        "chain": { "id": sender.chain_id, "genesis": sender.genesis },
    })
}

/// The URL as it may be logged: path, query, user and password of a webhook are its secret.
fn shown(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// The error with its causes: reqwest's own text says next to nothing.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::{Alarm, Metrics};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    const SECRET: &str = "T0P-SECRET";

    /// A receiver that answers with these statuses, the last of them for ever, and shows the bodies it was sent.
    async fn receiver(statuses: &'static [&'static str]) -> (Url, mpsc::UnboundedReceiver<Value>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://user:{SECRET}@{}/{SECRET}", listener.local_addr().unwrap()).parse().unwrap();
        let (seen, bodies) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            for at in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                let status = statuses[at.min(statuses.len() - 1)];
                let (mut text, mut piece) = (String::new(), [0; 4_096]);
                let body = loop {
                    let length = stream.read(&mut piece).await.unwrap();
                    text += std::str::from_utf8(&piece[..length]).unwrap();
                    if let Some((_, body)) = text.split_once("\r\n\r\n")
                        && let Ok(body) = serde_json::from_str(body)
                    {
                        break body;
                    }
                    assert_ne!(length, 0, "{text}");
                };
                seen.send(body).unwrap();
                let answer =
                    format!("HTTP/1.1 {status}\r\nlocation: /\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        (url, bodies)
    }

    fn webhook(url: Url) -> Webhook {
        rustls::crypto::ring::default_provider().install_default().ok();
        let sender = Sender { node: "n".to_owned(), chain_id: 7, genesis: "0x01".to_owned() };
        Webhook { first_pause: Duration::from_millis(1), ..Webhook::new(url, sender).unwrap() }
    }

    fn notice(raised: bool) -> Notice {
        Notice { alarm: Alarm::NoPeers, raised, sentence: "nobody is there".to_owned(), at: 5 }
    }

    #[tokio::test]
    async fn what_fails_is_sent_again_and_in_order() {
        let (url, mut bodies) = receiver(&["500 No", "429 Later", "204 Taken"]).await;
        let metrics = Metrics::new();
        let notices = Notices::new(&metrics);
        [true, false].into_iter().for_each(|raised| notices.push(notice(raised)));
        let running = tokio::spawn(webhook(url).run(notices));
        let mut states = Vec::new();
        for _ in 0..4 {
            states.push(bodies.recv().await.unwrap()["state"].as_str().unwrap().to_owned());
        }
        assert_eq!(states, ["raised", "raised", "raised", "cleared"]);
        while !metrics.encode().contains("callboard_webhook_notices_total{outcome=\"delivered\"} 2\n") {
            tokio::task::yield_now().await;
        }
        running.abort();
    }

    #[tokio::test]
    async fn what_a_receiver_does_not_want_is_sent_once_and_no_redirect_is_followed() {
        for status in ["404 No", "302 Elsewhere"] {
            let (url, mut bodies) = receiver(std::slice::from_ref(Box::leak(Box::new(status)))).await;
            assert!(!webhook(url).deliver(&notice(true)).await, "{status}");
            assert_eq!(bodies.recv().await.unwrap()["name"], "no_peers");
            assert!(bodies.try_recv().is_err(), "{status}");
        }
    }

    #[tokio::test]
    async fn tries_are_bounded() {
        let (url, mut bodies) = receiver(&["503 Never"]).await;
        assert!(!webhook(url).deliver(&notice(true)).await);
        let mut tries = 0;
        while bodies.try_recv().is_ok() {
            tries += 1;
        }
        assert_eq!(tries, MAX_TRIES);
    }

    #[tokio::test]
    async fn no_secret_of_the_url_is_said() {
        let (url, _bodies) = receiver(&["302 Elsewhere"]).await;
        let unreachable: Url = format!("http://user:{SECRET}@127.0.0.1:1/{SECRET}?key={SECRET}").parse().unwrap();
        for url in [url, unreachable] {
            assert!(!shown(&url).contains(SECRET));
            let failed = webhook(url).post(&json!({})).await.unwrap_err();
            assert!(!failed.reason.contains(SECRET), "{}", failed.reason);
        }
    }

    #[test]
    fn the_body_has_what_the_book_says() {
        let sender = Sender { node: "n".to_owned(), chain_id: 7, genesis: "0x01".to_owned() };
        let expected = json!({
            "name": "no_peers", "state": "raised", "sentence": "nobody is there", "remedy": Alarm::NoPeers.remedy(),
            "at": 5, "node": "n", "chain": { "id": 7, "genesis": "0x01" },
        });
        assert_eq!(body(&notice(true), &sender), expected);
        assert_eq!(body(&notice(false), &sender)["state"], "cleared");
    }
}
