//! `account new`, `import`, `list`, `balance` and `history`.

use super::args::{AccountCommand, ClientArgs, KeystoreArgs, PasswordArgs};
use super::output::{cell, table, wei};
use super::{CliError, Output};
use crate::amount::Wei;
use crate::configuration::Configuration;
use crate::keystore::{KeyEntry, Keystore, PasswordSource};
use crate::rpc_client::RpcClient;
use alloy_primitives::Address;
use callboard_chain::keys::SecretKey;
use serde_json::{Value, json};
use std::io::Read;
use std::path::Path;
use zeroize::Zeroizing;

pub(super) async fn run(command: &AccountCommand) -> Result<(), CliError> {
    match command {
        AccountCommand::New { keystore, password, json } => {
            let password = password_source("the new key", password).read_new().map_err(CliError::usage)?;
            let keystore = open_keystore(keystore)?;
            let key = keystore.create(&password).map_err(CliError::failed)?;
            print_key(&keystore, &key, Output::from(json))
        }
        AccountCommand::Import { file, keystore, password, json } => {
            let key = read_key(file)?;
            let password = password_source("the imported key", password).read_new().map_err(CliError::usage)?;
            let keystore = open_keystore(keystore)?;
            keystore.import(&key, &password).map_err(CliError::failed)?;
            print_key(&keystore, &key, Output::from(json))
        }
        AccountCommand::List { keystore, json } => list(&open_keystore(keystore)?, Output::from(json)),
        AccountCommand::Balance { address, client } => {
            let rpc = RpcClient::new(client.rpc.as_deref())?;
            let (balance, nonce) = rpc.account(*address, "latest").await?;
            let value = json!({ "address": address, "balance": balance.to_string(), "nonce": nonce });
            Output::from(&client.json).print(&value, |_| format!("{}  ({balance} wei, nonce {nonce})", Wei(balance)))
        }
        AccountCommand::History { address, limit, before, client } => {
            history(*address, json!({ "limit": limit, "before": before }), client).await
        }
    }
}

async fn history(address: Address, options: Value, client: &ClientArgs) -> Result<(), CliError> {
    let rpc = RpcClient::new(client.rpc.as_deref())?;
    let page: Value = rpc.call("callboard_getAccountHistory", json!([address, options])).await?;
    Output::from(&client.json).print(&page, |page| {
        let row = |state: &Value| match state["exists"] == json!(true) {
            true => [cell(&state["height"]), wei(&state["balance"]), cell(&state["nonce"])],
            false => [cell(&state["height"]), "no account".to_owned(), cell(&Value::Null)],
        };
        let rows: Vec<_> = page["states"].as_array().into_iter().flatten().map(row).collect();
        let text = table(["from block", "balance", "nonce"], &rows);
        match (&page["next"], &page["prunedBelow"]) {
            (Value::Null, Value::Null) => text,
            (Value::Null, oldest) => format!("{text}\nstates of blocks below {oldest} were pruned on this node\n"),
            (next, _) => format!("{text}\nmore: --before {next}\n"),
        }
    })
}

/// The keystore a command works with.
pub(super) fn open_keystore(args: &KeystoreArgs) -> Result<Keystore, CliError> {
    match &args.keystore {
        Some(folder) => Ok(Keystore::new(folder)),
        None => Ok(Keystore::new(Configuration::load(&args.config.sources())?.authority.keystore)),
    }
}

/// Where a command takes a key's password from.
pub(super) fn password_source<'a>(what: &'a str, args: &'a PasswordArgs) -> PasswordSource<'a> {
    PasswordSource { what, variable: "CALLBOARD_PASSWORD", key: "--password-file", file: args.password_file.as_deref() }
}

fn print_key(keystore: &Keystore, key: &SecretKey, output: Output) -> Result<(), CliError> {
    let address = key.address();
    let path = keystore.find(address).map_err(CliError::failed)?.path;
    output.print(&json!({ "address": address, "file": path }), |_| format!("{address}  {}", path.display()))
}

fn list(keystore: &Keystore, output: Output) -> Result<(), CliError> {
    let entries = keystore.list().map_err(CliError::failed)?;
    let values: Vec<_> = entries.iter().map(|entry| json!({ "address": entry.address, "file": entry.path })).collect();
    output.print(&json!(values), |_| {
        let row = |entry: &KeyEntry| [entry.address.to_string(), entry.path.display().to_string()];
        table(["address", "file"], &entries.iter().map(row).collect::<Vec<_>>())
    })
}

fn read_key(file: &Path) -> Result<SecretKey, CliError> {
    let mut text = Zeroizing::new(String::new());
    let read = match file.to_str() {
        Some("-") => std::io::stdin().take(4_096).read_to_string(&mut text),
        _ => std::fs::File::open(file).and_then(|file| file.take(4_096).read_to_string(&mut text)),
    };
    read.map_err(|error| CliError::usage(format!("{} cannot be read: {error}", file.display())))?;
    let digits = text.trim();
    let mut bytes = Zeroizing::new([0u8; 32]);
    let key = hex::decode_to_slice(digits.strip_prefix("0x").unwrap_or(digits), bytes.as_mut_slice());
    let key = key.ok().and_then(|()| SecretKey::from_bytes(*bytes).ok());
    key.ok_or_else(|| CliError::usage(format!("{} does not hold a key of 64 hex digits", file.display())))
}
