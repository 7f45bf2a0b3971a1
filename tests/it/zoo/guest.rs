//! A bad peer that dials: it knows the protocol, and keeps to it as far as the test likes.

use super::http::{ask, frame};
use super::peer::{Chain, identity, random};
use crate::support::node::Node;
use callboard_actors::transport::hello::{Identity, OpenedHello};
use serde_json::Value;

/// What a node answered: HTTP status, and the refusal's code where it refused.
pub(super) type Answered = (u16, String);

/// Somebody who dials a node.
pub(super) struct Guest {
    address: String,
    pub(super) identity: Identity,
}

impl Guest {
    /// A stranger with a key of its own, at the door of `node`.
    pub(super) fn of(node: &Node, chain: &Chain) -> Self {
        Self { address: node.peer_url().replace("http://", ""), identity: identity(chain) }
    }

    /// The first message of a hello, and what is to be remembered of it.
    pub(super) fn open(&self) -> (OpenedHello, Vec<u8>) {
        OpenedHello::open(&self.identity, None, random())
    }

    /// Sends a message of a hello: status and body of the answer.
    pub(super) fn hello(&self, message: &[u8]) -> (u16, Vec<u8>) {
        self.ask("POST", "hello", "", message)
    }

    /// Says hello as an honest node does: the proof it gave, and the token it got.
    pub(super) fn greet(&self) -> Result<(Vec<u8>, String), Answered> {
        let (opened, message) = self.open();
        let challenge = succeeded(self.hello(&message))?;
        let (proved, proof) = opened.on_challenge(&self.identity, &challenge).expect("an honest challenge");
        let session = succeeded(self.hello(&proof))?;
        let greeted = proved.on_session(&session).expect("a session");
        Ok((proof, greeted.token.to_hex()))
    }

    /// A request of a session.
    pub(super) fn request(&self, token: &str, method: &str, route: &str, body: &[u8]) -> Answered {
        answered(&self.ask(method, route, &format!("callboard-session: {token}\r\n"), body))
    }

    /// Hands in transactions: what was said of each.
    pub(super) fn submit(&self, token: &str, transactions: &[impl AsRef<[u8]>]) -> Result<Vec<Value>, Answered> {
        let body: Vec<u8> = transactions.iter().flat_map(|transaction| frame(transaction.as_ref())).collect();
        let answer = self.ask("POST", "transactions", &format!("callboard-session: {token}\r\n"), &body);
        let answers: Value = serde_json::from_slice(&succeeded(answer)?).expect("JSON");
        Ok(answers["answers"].as_array().expect("answers").clone())
    }

    /// The same request with other headers.
    pub(super) fn ask(&self, method: &str, route: &str, headers: &str, body: &[u8]) -> (u16, Vec<u8>) {
        ask(&self.address, method, route, headers, body).unwrap_or_else(|error| panic!("{route}: {error}"))
    }
}

fn succeeded(answer: (u16, Vec<u8>)) -> Result<Vec<u8>, Answered> {
    if answer.0 == 200 { Ok(answer.1) } else { Err(answered(&answer)) }
}

/// Status and refusal code of an answer.
pub(super) fn answered((status, body): &(u16, Vec<u8>)) -> Answered {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    (*status, body["error"]["code"].as_str().unwrap_or_default().to_owned())
}
