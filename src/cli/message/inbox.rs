//! The messages of an account, oldest first.

use crate::cli::CliError;
use crate::cli::output::plain;
use crate::rpc_client::RpcClient;
use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::VecDeque;

/// Messages of one request.
const PAGE: usize = 50;

/// A message, as `callboard_getMessages` gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Message {
    pub(super) hash: B256,
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) text: String,
    pub(super) height: u64,
    pub(super) index: u32,
    pub(super) timestamp: u64,
    pub(super) nonce: u64,
    pub(super) status: String,
}

impl Message {
    /// Where it stands, as a cursor.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.height, self.index)
    }

    /// For a terminal: its text is a stranger's.
    pub(super) fn line(&self) -> String {
        let failed = if self.status == "failed" { "  (reverted)" } else { "" };
        format!("{}  {}  {}{failed}", self.place(), self.from, plain(&self.text))
    }
}

#[derive(Deserialize)]
struct Page {
    messages: VecDeque<Message>,
    next: Option<String>,
}

/// Reads one message after another.
pub(super) struct Inbox {
    rpc: RpcClient,
    address: Address,
    after: String,
    waiting: VecDeque<Message>,
}

impl Inbox {
    /// The messages from the block at `from` on; those after the newest block where it is `None`.
    pub(super) async fn from(rpc: &RpcClient, address: Address, from: Option<u64>) -> Result<Self, CliError> {
        let after = match from {
            // Block 0 has no transactions.
            Some(height) => height.saturating_sub(1),
            None => rpc.height().await?,
        };
        Ok(Self::after(rpc, address, after.to_string()))
    }

    /// The messages after a place in the chain.
    pub(super) fn after(rpc: &RpcClient, address: Address, after: String) -> Self {
        Self { rpc: rpc.clone(), address, after, waiting: VecDeque::new() }
    }

    /// Behind the last message that was given out, or what was looked at since and is none.
    pub(super) fn place(&self) -> &str {
        &self.after
    }

    /// The next message; `None` where there is none yet.
    pub(super) async fn next(&mut self) -> Result<Option<Message>, CliError> {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                self.after = message.place();
                return Ok(Some(message));
            }
            let options = json!({ "after": self.after, "limit": PAGE });
            let page: Page = self.rpc.call("callboard_getMessages", json!([self.address, options])).await?;
            self.waiting = page.messages;
            match page.next {
                _ if !self.waiting.is_empty() => {}
                Some(next) => self.after = next,
                None => return Ok(None),
            }
        }
    }
}
