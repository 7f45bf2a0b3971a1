//! Server-sent events of a node, for the commands that listen.

use crate::rpc_client::{RpcClient, RpcClientError, innermost};
use reqwest::Response;
use serde_json::Value;
use std::time::Duration;
use url::Url;

/// A node that listens to us sends something every 15 s.
const SILENT_FOR: Duration = Duration::from_secs(45);
/// Longest text that may come without the end of an event.
const LONGEST: usize = 64 << 20;

/// The pause before a lost connection is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What a [`Listener`] has to tell.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// An event.
    Event(ServerEvent),
    /// The connection is lost, and why. The next call tries again until there is one.
    Lost(String),
    /// There is a connection again.
    Connected,
}

/// Listens to a node for as long as it takes, over as many connections as it takes.
#[derive(Debug)]
pub struct Listener {
    client: RpcClient,
    topic: &'static str,
    /// The height after which a new connection begins; `None`: with what comes then.
    after: Option<u64>,
    /// The height of the event that was told last. Only the next call shows that it was dealt with.
    told: Option<u64>,
    events: Option<ServerEvents>,
}

impl Listener {
    /// Listens to a topic. With `after`, first to what was confirmed above that height, and across lost connections to
    /// everything. A node that does not answer now is an error.
    pub async fn open(client: &RpcClient, topic: &'static str, after: Option<u64>) -> Result<Self, RpcClientError> {
        let events = Some(ServerEvents::open(client, topic, after).await?);
        Ok(Self { client: client.clone(), topic, after, told: None, events })
    }

    /// The next event, or what became of the connection.
    pub async fn next(&mut self) -> Heard {
        if let (Some(_), Some(told)) = (self.after, self.told.take()) {
            self.after = Some(told);
        }
        let Some(events) = &mut self.events else { return self.connect().await };
        match events.next().await {
            Ok(event) if event.event == "end" => {
                let message = event.data["message"].as_str().unwrap_or("the node has ended the stream");
                self.lose(message.to_owned())
            }
            Ok(event) => {
                self.told = event.id;
                Heard::Event(event)
            }
            Err(lost) => self.lose(lost),
        }
    }

    /// Gives up the connection. What was told last could not be dealt with, and is told again.
    pub fn lose(&mut self, reason: String) -> Heard {
        (self.events, self.told) = (None, None);
        Heard::Lost(reason)
    }

    async fn connect(&mut self) -> Heard {
        loop {
            tokio::time::sleep(AGAIN_AFTER).await;
            if let Ok(events) = ServerEvents::open(&self.client, self.topic, self.after).await {
                self.events = Some(events);
                return Heard::Connected;
            }
        }
    }
}

/// An open stream of events.
#[derive(Debug)]
pub struct ServerEvents {
    response: Response,
    text: Vec<u8>,
}

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerEvent {
    /// What it is about; empty where only an id came.
    pub event: String,
    /// The height up to which everything came.
    pub id: Option<u64>,
    /// What happened.
    pub data: Value,
}

impl ServerEvents {
    /// Listens to a topic; with `after` first to what was confirmed above that height.
    pub async fn open(client: &RpcClient, topic: &str, after: Option<u64>) -> Result<Self, RpcClientError> {
        let url = client.join(&format!("/rpc/events?topics={topic}"))?;
        crate::install_tls();
        let builder = reqwest::Client::builder().no_proxy().connect_timeout(SILENT_FOR).read_timeout(SILENT_FOR);
        let mut request = builder.build().map_err(RpcClientError::Client)?.get(url.clone());
        if let Some(after) = after {
            request = request.header("Last-Event-ID", after);
        }
        let unreachable = |error: reqwest::Error| RpcClientError::Unreachable {
            url: client.url().clone(),
            reason: innermost(&error),
        };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        if !status.is_success() {
            return Err(refused(url, status.as_u16(), response).await);
        }
        Ok(Self { response, text: Vec::new() })
    }

    /// The next event, or how the stream ended.
    pub async fn next(&mut self) -> Result<ServerEvent, String> {
        loop {
            if let Some(end) = self.text.windows(2).position(|pair| pair == b"\n\n") {
                let piece: Vec<u8> = self.text.drain(..end + 2).collect();
                match parse(&String::from_utf8_lossy(&piece)) {
                    Some(event) => return Ok(event),
                    None => continue,
                }
            }
            if self.text.len() > LONGEST {
                return Err(format!("an event of more than {LONGEST} bytes"));
            }
            match self.response.chunk().await {
                Ok(Some(chunk)) => self.text.extend_from_slice(&chunk),
                Ok(None) => return Err("the node has closed the connection".to_owned()),
                Err(error) => return Err(innermost(&error)),
            }
        }
    }
}

async fn refused(url: Url, status: u16, response: Response) -> RpcClientError {
    let answer: Value = response.json().await.unwrap_or_default();
    let reason = answer["error"].as_str().map_or_else(|| format!("status {status}"), str::to_owned);
    RpcClientError::NotJsonRpc { url, reason }
}

/// Reads one event; comments are none.
fn parse(piece: &str) -> Option<ServerEvent> {
    let field = |name: &str| piece.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let (event, id) = (field("event:"), field("id:"));
    event.or(id)?;
    Some(ServerEvent {
        event: event.unwrap_or_default().to_owned(),
        id: id.and_then(|id| id.parse().ok()),
        data: field("data:").and_then(|data| serde_json::from_str(data).ok()).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_are_read_and_comments_are_not() {
        let event = parse("id: 7\nevent: blocks\ndata: {\"height\":7}\n\n").unwrap();
        assert_eq!(event, ServerEvent { event: "blocks".to_owned(), id: Some(7), data: json!({ "height": 7 }) });
        assert_eq!(parse(": still here\n\n"), None);
        assert_eq!(parse("id: 8\n\n").unwrap().id, Some(8));
    }
}
