//! `rpc.discover`: an [OpenRPC](https://spec.open-rpc.org) document of every method that is dispatched.
//!
//! A method has its entry in one of the tables here, [`ethereum`], [`debug`], [`callboard`] or [`websocket`]: name, what it
//! answers, parameters, result, errors. A test holds tables and dispatch together, another one holds real answers against
//! the schemas. The schemas that Ethereum's answers share are those of the
//! [execution API](https://github.com/ethereum/execution-apis) (CC0), `schemas/ethereum.json`; ours are
//! `schemas/callboard.json`.

mod callboard;
mod debug;
mod describe;
mod ethereum;
#[cfg(test)]
mod tests;
mod websocket;

use super::jsonrpc::{RpcError, RpcResult};
use describe::Method;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::sync::OnceLock;

/// The method of this module.
pub(crate) const METHODS: &[&str] = &["rpc.discover"];

const ETHEREUM_SCHEMAS: &str = include_str!("schemas/ethereum.json");
const CALLBOARD_SCHEMAS: &str = include_str!("schemas/callboard.json");

/// The methods by where and to whom they are answered.
fn groups() -> [(&'static str, &'static [Method]); 5] {
    [
        ("ethereum", ethereum::METHODS),
        ("debug", debug::METHODS),
        ("websocket", websocket::METHODS),
        ("callboard", callboard::METHODS),
        ("admin", callboard::ADMIN_METHODS),
    ]
}

/// The OpenRPC document.
pub fn openrpc_document() -> Value {
    let methods = groups().into_iter().flat_map(|(tag, methods)| methods.iter().map(move |method| method.object(tag)));
    json!({
        "openrpc": "1.3.2",
        "info": {
            "title": "Callboard JSON-RPC",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "JSON-RPC 2.0 by HTTP POST and WebSocket. Methods with the tag `websocket` are answered over \
                            a WebSocket alone, those with the tag `admin` on the admin listener alone (`rpc.admin`). \
                            Every method may answer -32603 where this node fails, -32000 before it knows its genesis \
                            and where a bound refuses the call.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "methods": methods.collect::<Vec<_>>(),
        "components": { "schemas": schemas() },
    })
}

fn schemas() -> Map<String, Value> {
    let read = |text: &str| serde_json::from_str::<Map<String, Value>>(text).expect("a test reads them");
    let mut schemas = read(ETHEREUM_SCHEMAS);
    schemas.extend(read(CALLBOARD_SCHEMAS));
    schemas
}

/// Answers [`METHODS`].
pub(crate) fn discover() -> RpcResult {
    static DOCUMENT: OnceLock<Box<RawValue>> = OnceLock::new();
    if let Some(document) = DOCUMENT.get() {
        return Ok(document.clone());
    }
    let document = serde_json::value::to_raw_value(&openrpc_document())
        .map_err(|error| RpcError::internal(format!("the document could not be written: {error}")))?;
    Ok(DOCUMENT.get_or_init(|| document).clone())
}
