//! `tx prove` and `tx verify`.

use crate::cli::args::{ClientArgs, ProofArgs};
use crate::cli::output::{cell, fields};
use crate::cli::{CliError, Output, genesis};
use crate::configuration::Configuration;
use crate::rpc_client::RpcClient;
use alloy_primitives::{Address, B256, Bytes};
use callboard_actors::rpc_frontend::{TransactionProof, proven};
use callboard_chain::proof::{InclusionProof, Subject};
use serde_json::{Value, json};
use std::io::Read;
use std::path::Path;

/// Longest file that is read as a proof: two transactions' size as hex, the trie nodes beside them.
const MAX_PROOF_BYTES: u64 = 4 << 20;

/// Prints a proof, always as JSON: it is a document to keep.
pub(super) async fn prove(hash: B256, client: &ClientArgs) -> Result<(), CliError> {
    let rpc = RpcClient::new(client.rpc.as_deref())?;
    let proof: Value = rpc.call("callboard_getTransactionProof", json!([hash])).await?;
    Output::Json.print(&proof, |_| String::new())
}

/// Checks a proof: offline where the authority is known without a node, otherwise the node checks it.
pub(super) async fn verify(args: &ProofArgs) -> Result<(), CliError> {
    let text = read(&args.file)?;
    let name = args.file.display();
    let proof: TransactionProof = serde_json::from_slice(&text)
        .map_err(|error| CliError::usage(format!("{name} does not hold a proof: {error}")))?;
    let verdict = match judge(args)? {
        Some(judge) => offline(proof, &judge)?,
        None => {
            let rpc = RpcClient::new(args.client.rpc.as_deref())?;
            rpc.call("callboard_verifyTransactionProof", json!([proof])).await?
        }
    };
    let valid = verdict["valid"] == json!(true);
    // Whoever asks a node wants to know whether it is in that node's chain.
    let elsewhere = valid && verdict["inThisChain"] == json!(false);
    Output::from(&args.client.json).print(&verdict, describe)?;
    match (valid, elsewhere) {
        (true, false) => Ok(()),
        (true, true) => Err(CliError::failed("the authority sealed this block, but it is not in the node's chain")),
        _ => Err(CliError::failed(format!("{name} proves nothing: {}", cell(&verdict["reason"])))),
    }
}

/// Who must have sealed the block, and what every header of that chain holds.
struct Judge {
    authority: Address,
    commitment: Option<Bytes>,
}

/// `--authority`, or the genesis that is named or lies in the data folder; `None` asks the node.
fn judge(args: &ProofArgs) -> Result<Option<Judge>, CliError> {
    if let Some(authority) = args.authority {
        return Ok(Some(Judge { authority, commitment: None }));
    }
    let path = match &args.genesis {
        Some(path) => path.clone(),
        None if args.client.rpc.is_some() => return Ok(None),
        None => Configuration::load(&args.config.sources())?.genesis_path(),
    };
    if args.genesis.is_none() && !path.exists() {
        return Ok(None);
    }
    let genesis = genesis::read_file(&path)?;
    let commitment = Some(genesis.block().header().extra_data.clone());
    Ok(Some(Judge { authority: genesis.config().authority, commitment }))
}

fn offline(proof: TransactionProof, judge: &Judge) -> Result<Value, CliError> {
    let proof = InclusionProof::try_from(proof).map_err(CliError::usage)?;
    if proof.subject != Subject::Transaction {
        return Err(CliError::usage("the proof is of a receipt, not of a transaction"));
    }
    let invalid = |reason: String| json!({ "valid": false, "reason": reason });
    let block_hash = match proof.verify(judge.authority) {
        Ok(block_hash) => block_hash,
        Err(error) => return Ok(invalid(error.to_string())),
    };
    // One key may seal several chains.
    if let Some(expected) = judge.commitment.as_ref().filter(|expected| **expected != proof.header.extra_data) {
        let actual = &proof.header.extra_data;
        return Ok(invalid(format!("the block is of another chain: its extraData is {actual}, expected {expected}")));
    }
    Ok(proven(&proof, block_hash))
}

fn describe(verdict: &Value) -> String {
    if verdict["valid"] != json!(true) {
        return fields([("valid", "false".to_owned())]);
    }
    let names = ["transactionHash", "blockHash", "height", "index", "timestamp"];
    let shown = ["transaction", "block", "height", "index", "timestamp"];
    let checked = match verdict.get("inThisChain") {
        None => "the seal and the trie nodes, offline".to_owned(),
        Some(found) => format!("by the node; in its chain: {found}"),
    };
    let facts = shown.into_iter().zip(names.map(|name| cell(&verdict[name])));
    fields([("valid", "true".to_owned())].into_iter().chain(facts).chain([("checked", checked)]))
}

fn read(file: &Path) -> Result<Vec<u8>, CliError> {
    let mut text = Vec::new();
    let read = match file.to_str() {
        Some("-") => std::io::stdin().take(MAX_PROOF_BYTES).read_to_end(&mut text),
        _ => std::fs::File::open(file).and_then(|file| file.take(MAX_PROOF_BYTES).read_to_end(&mut text)),
    };
    read.map_err(|error| CliError::usage(format!("{} cannot be read: {error}", file.display())))?;
    Ok(text)
}
