//! A JSON-RPC client for the commands that talk to a node.

use alloy_primitives::{B256, U64, U256};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;
use url::Url;

/// Where a node is looked for when nothing else is said.
pub const DEFAULT_URL: &str = "http://127.0.0.1:8545";
/// Variables that may name a node, the first one that is set.
pub const VARIABLES: [&str; 2] = ["CALLBOARD_RPC_URL", "NODE_URL"];
/// Longer than any answer of a node that is alive.
const TIMEOUT: Duration = Duration::from_secs(30);

/// One node's JSON-RPC.
#[derive(Debug, Clone)]
pub struct RpcClient {
    url: Url,
    http: reqwest::Client,
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum RpcClientError {
    /// The URL is none.
    #[error("{origin}: \"{text}\" is not the URL of a node; it must be http(s)://host:port")]
    InvalidUrl {
        /// Where it was given.
        origin: &'static str,
        /// What was given.
        text: String,
    },
    /// The client could not be made.
    #[error("no HTTP client could be made: {0}")]
    Client(#[source] reqwest::Error),
    /// Nobody answers.
    #[error("no node answers at {url} ({reason}); start one with `callboard node`, or name another with --rpc URL")]
    Unreachable {
        /// Where.
        url: Url,
        /// Why.
        reason: String,
    },
    /// Something answers that is no JSON-RPC server.
    #[error("{url} does not answer as a JSON-RPC server: {reason}; name the node's RPC address with --rpc URL")]
    NotJsonRpc {
        /// Where.
        url: Url,
        /// What it did.
        reason: String,
    },
    /// The node refuses the call.
    #[error("the node at {url} refused {method}: {message} (code {code})")]
    Refused {
        /// Where.
        url: Url,
        /// The method called.
        method: &'static str,
        /// JSON-RPC error code.
        code: i64,
        /// The node's words.
        message: String,
    },
}

/// JSON-RPC: the node failed.
const INTERNAL_ERROR: i64 = -32603;
/// JSON-RPC: a limit was reached (EIP-1474).
const LIMIT_EXCEEDED: i64 = -32005;
/// How the refusals of a node begin that are for now and not for good.
const FOR_NOW: [&str; 4] = ["busy", "genesis not known yet", "transactions are not taken while", "txpool is full"];

impl RpcClientError {
    /// Whether the same call may go well later: the node is gone, starts, or has too much to do.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::NotJsonRpc { .. } => true,
            Self::Refused { code, message, .. } => {
                [INTERNAL_ERROR, LIMIT_EXCEEDED].contains(code)
                    || FOR_NOW.iter().any(|begin| message.starts_with(begin))
            }
            Self::InvalidUrl { .. } | Self::Client(_) => false,
        }
    }
}

impl RpcClient {
    /// A client for `url`; where that is `None`, for what the environment names, or the default.
    pub fn new(url: Option<&str>) -> Result<Self, RpcClientError> {
        let variable = || VARIABLES.into_iter().find_map(|name| Some((name, std::env::var(name).ok()?)));
        let (origin, text) = match url {
            Some(url) => ("--rpc", url.to_owned()),
            None => variable().unwrap_or_else(|| ("default", DEFAULT_URL.to_owned())),
        };
        let parsed = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        // `http://https://host` is read as a host named "https".
        let parsed = parsed.filter(|url| !url.path().starts_with("//"));
        let url = parsed.ok_or(RpcClientError::InvalidUrl { origin, text })?;
        crate::install_tls();
        let http = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().map_err(RpcClientError::Client)?;
        Ok(Self { url, http })
    }

    /// The node's address.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Calls a method.
    pub async fn call<T: DeserializeOwned>(&self, method: &'static str, params: Value) -> Result<T, RpcClientError> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let (_, answer) = self.exchange(self.url.clone(), &body).await?;
        self.result(method, answer)
    }

    /// Calls several methods at once, in one request; each has a result of its own, in the order of the calls.
    pub async fn batch<const N: usize>(
        &self,
        calls: [(&'static str, Value); N],
    ) -> Result<[Result<Value, RpcClientError>; N], RpcClientError> {
        let call = |(id, (method, params)): (usize, &(&str, Value))| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let body: Vec<_> = calls.iter().enumerate().map(call).collect();
        let (status, answer) = self.exchange(self.url.clone(), &json!(body)).await?;
        let Value::Array(mut answers) = answer else {
            let said = answer["error"]["message"].as_str().map_or_else(|| format!("status {status}"), str::to_owned);
            return Err(self.not_json_rpc(format!("a batch was not answered as one: {said}")));
        };
        // Answers of a batch may come in any order (JSON-RPC 2.0, section 6).
        let mut ids = 0usize..;
        Ok(calls.map(|(method, _)| {
            let id = ids.next();
            let answer = answers.iter_mut().find(|answer| answer["id"] == json!(id)).map(Value::take);
            self.result(method, answer.unwrap_or_default())
        }))
    }

    /// What one answer says.
    fn result<T: DeserializeOwned>(&self, method: &'static str, mut answer: Value) -> Result<T, RpcClientError> {
        if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
            let code = error["code"].as_i64().unwrap_or_default();
            let message = error["message"].as_str().unwrap_or("no message").to_owned();
            return Err(RpcClientError::Refused { url: self.url.clone(), method, code, message });
        }
        let result = answer.get_mut("result").map(Value::take);
        let result = result.ok_or_else(|| self.not_json_rpc("its answer has no result".to_owned()))?;
        serde_json::from_value(result).map_err(|error| self.not_json_rpc(format!("its answer to {method}: {error}")))
    }

    /// Posts JSON to a REST route: status and answer.
    pub async fn post(&self, path: &str, body: &Value) -> Result<(u16, Value), RpcClientError> {
        self.exchange(self.join(path)?, body).await
    }

    /// The URL of a route of the node.
    pub fn join(&self, path: &str) -> Result<Url, RpcClientError> {
        let invalid = |_| RpcClientError::InvalidUrl { origin: "--rpc", text: self.url.to_string() };
        self.url.join(path).map_err(invalid)
    }

    async fn exchange(&self, url: Url, body: &Value) -> Result<(u16, Value), RpcClientError> {
        let unreachable =
            |error: reqwest::Error| RpcClientError::Unreachable { url: self.url.clone(), reason: innermost(&error) };
        let response = self.http.post(url).json(body).send().await.map_err(unreachable)?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(unreachable)?;
        let answer = serde_json::from_slice(&bytes);
        answer
            .map(|answer| (status.as_u16(), answer))
            .map_err(|_| self.not_json_rpc(format!("its answer has status {status}")))
    }

    /// `eth_blockNumber`.
    pub async fn height(&self) -> Result<u64, RpcClientError> {
        Ok(self.call::<U64>("eth_blockNumber", json!([])).await?.to())
    }

    /// `eth_chainId`.
    pub async fn chain_id(&self) -> Result<u64, RpcClientError> {
        Ok(self.call::<U64>("eth_chainId", json!([])).await?.to())
    }

    /// Height and hash of the newest block. An answer that is no block is an error, and never height 0.
    pub async fn head(&self) -> Result<(u64, B256), RpcClientError> {
        let block: Value = self.call("eth_getBlockByNumber", json!(["latest", false])).await?;
        let part = |name: &str| {
            let reason = || format!("the newest block has no {name}");
            block.get(name).cloned().ok_or_else(reason)
        };
        let height = part("number").and_then(|height| parse::<U64>("number", height));
        let hash = part("hash").and_then(|hash| parse("hash", hash));
        match (height, hash) {
            (Ok(height), Ok(hash)) => Ok((height.to(), hash)),
            (Err(reason), _) | (_, Err(reason)) => Err(self.not_json_rpc(reason)),
        }
    }

    /// The hash of the block at `height`; `None` above the head.
    pub async fn block_hash(&self, height: u64) -> Result<Option<B256>, RpcClientError> {
        let block: Value = self.call("eth_getBlockByNumber", json!([U64::from(height), false])).await?;
        Ok(serde_json::from_value(block["hash"].clone()).ok())
    }

    /// Balance (wei) and nonce of an account at `tag`: `latest` or `pending`.
    pub async fn account(&self, address: alloy_primitives::Address, tag: &str) -> Result<(U256, u64), RpcClientError> {
        let balance: U256 = self.call("eth_getBalance", json!([address, tag])).await?;
        let nonce: U64 = self.call("eth_getTransactionCount", json!([address, tag])).await?;
        Ok((balance, nonce.to()))
    }

    fn not_json_rpc(&self, reason: String) -> RpcClientError {
        RpcClientError::NotJsonRpc { url: self.url.clone(), reason }
    }
}

/// The cause at the bottom: "Connection refused" rather than the layers above it.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).last().map(ToString::to_string).unwrap_or_default()
}

fn parse<T: serde::de::DeserializeOwned>(name: &str, value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| format!("the newest block's {name} cannot be read: {error}"))
}
