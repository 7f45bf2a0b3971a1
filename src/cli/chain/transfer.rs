//! `chain export` and `chain import`.

use super::source::{Source, find};
use crate::apply::{Applied, Applier};
use crate::chain_file::{ChainFileReader, ChainFileWriter, Contents};
use crate::cli::args::{ExportArgs, ImportArgs};
use crate::cli::output::fields;
use crate::cli::{CliError, Output};
use crate::configuration::{Configuration, Progress};
use crate::progress::Reporter;
use crate::rpc_client::RpcClient;
use crate::start::Chain;
use alloy_primitives::{B256, Bytes};
use callboard_chain::Block;
use callboard_store::{StorageError, Store};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// Blocks of a stopped node are read and imported so many at a time, or up to [`CHUNK_BYTES`]: enough to keep all cores
/// busy and commits large.
const CHUNK_BLOCKS: usize = 256;
/// Bytes of blocks held at a time.
const CHUNK_BYTES: usize = 32 << 20;
/// How often a node that is busy is asked again, a second apart.
const TRIES: u32 = 60;

pub(super) async fn export(args: &ExportArgs) -> Result<(), CliError> {
    let (contents, bytes) = match find(&args.config, &args.client, "rpc", false)? {
        Source::Stopped(chain) => export_stopped(args, &chain.store)?,
        Source::Running(client) => export_running(args, &client).await?,
    };
    let Contents { genesis_hash, from, to } = contents;
    let value = json!({ "file": args.file, "genesisHash": genesis_hash, "from": from, "to": to, "bytes": bytes });
    Output::from(&args.client.json).print(&value, |_| {
        fields([
            ("file", args.file.display().to_string()),
            ("genesis", genesis_hash.to_string()),
            ("blocks", format!("{from} to {to}")),
            ("bytes", bytes.to_string()),
        ])
    })
}

/// The heights asked for, where the head is `head`.
fn range(args: &ExportArgs, head: u64) -> Result<(u64, u64), CliError> {
    let (from, to) = (args.from.unwrap_or(0), args.to.unwrap_or(head));
    if to > head {
        return Err(CliError::failed(format!("block {to} is not there: the head is {head}")));
    }
    if from > to {
        return Err(CliError::usage(format!("--from {from} is above {to}, the last block to export")));
    }
    Ok((from, to))
}

fn export_stopped(args: &ExportArgs, store: &Store) -> Result<(Contents, u64), CliError> {
    // One snapshot for as long as it takes: the node is stopped, nobody writes meanwhile.
    let snapshot = store.snapshot().map_err(CliError::failed)?;
    let (from, to) = range(args, snapshot.head().height)?;
    let contents = Contents { genesis_hash: snapshot.genesis_hash().map_err(CliError::failed)?, from, to };
    let mut file = ChainFileWriter::create(&args.file, contents).map_err(CliError::failed)?;
    let mut progress = Reporter::new("exporting", args.progress.progress);
    for height in from..=to {
        let bytes = snapshot.block_bytes(height).map_err(CliError::failed)?;
        file.write(&bytes.ok_or_else(|| missing(height))?).map_err(CliError::failed)?;
        progress.at(height, to, 1, None);
    }
    Ok((contents, file.finish().map_err(CliError::failed)?))
}

fn missing(height: u64) -> CliError {
    CliError::failed(StorageError::damaged("blocks", format!("block {height} is missing")))
}

async fn export_running(args: &ExportArgs, client: &RpcClient) -> Result<(Contents, u64), CliError> {
    let (from, to) = range(args, client.height().await?)?;
    let contents = Contents { genesis_hash: genesis_hash(client).await?, from, to };
    let mut file = ChainFileWriter::create(&args.file, contents).map_err(CliError::failed)?;
    let mut progress = Reporter::new("exporting", args.progress.progress);
    for height in from..=to {
        file.write(&sealed_block(client, height).await?).map_err(CliError::failed)?;
        progress.at(height, to, 1, None);
    }
    Ok((contents, file.finish().map_err(CliError::failed)?))
}

async fn sealed_block(client: &RpcClient, height: u64) -> Result<Bytes, CliError> {
    Ok(client.call("callboard_getSealedBlock", json!([height])).await?)
}

async fn genesis_hash(client: &RpcClient) -> Result<B256, CliError> {
    let block = Block::decode(sealed_block(client, 0).await?);
    block.map(|block| block.hash()).map_err(|error| CliError::failed(format!("block 0 of {}: {error}", client.url())))
}

pub(super) async fn import(args: &ImportArgs) -> Result<(), CliError> {
    let mut file = ChainFileReader::open(&args.file).map_err(CliError::failed)?;
    let applied = match find(&args.config, &args.client, "rpc", true)? {
        Source::Stopped(mut chain) => {
            let configuration = Configuration::load(&args.config.sources())?;
            import_stopped(&mut file, &mut chain, configuration.node_database_path(), args.progress.progress)?
        }
        Source::Running(client) => import_running(&mut file, &client, args.progress.progress).await?,
    };
    let Contents { from, to, .. } = file.contents();
    let value = json!({ "from": from, "to": to, "imported": applied.imported, "known": applied.known });
    Output::from(&args.client.json).print(&value, |_| {
        fields([
            ("blocks", format!("{from} to {to}")),
            ("imported", applied.imported.to_string()),
            ("known already", applied.known.to_string()),
        ])
    })
}

/// A file of another chain is refused before any of its blocks is looked at.
fn check_chain(contents: Contents, ours: B256, head: u64) -> Result<(), CliError> {
    if contents.genesis_hash != ours {
        let theirs = contents.genesis_hash;
        return Err(CliError::failed(format!(
            "block 0 differs: the file is of the chain with genesis {theirs}, this node's chain has genesis {ours}; nothing was imported"
        )));
    }
    match head.checked_add(1) {
        Some(next) if contents.from > next => Err(CliError::failed(format!(
            "the file begins with block {}, and the next block of this node is {next}; import the blocks between them first",
            contents.from
        ))),
        _ => Ok(()),
    }
}

fn import_stopped(
    file: &mut ChainFileReader,
    chain: &mut Chain,
    records: PathBuf,
    progress: Progress,
) -> Result<Applied, CliError> {
    let head = chain.store.snapshot().map_err(CliError::failed)?.head().height;
    check_chain(file.contents(), chain.genesis.hash(), head)?;
    let mut reporter = Reporter::new("importing", progress);
    let mut applier = Applier::new(chain).map_err(CliError::failed)?;
    applier.remember_in(records);
    let mut applied = Applied::default();
    loop {
        let (blocks, end) = chunk(file);
        let Some((last, _)) = blocks.last() else { return end.map(|()| applied) };
        let done = applier.apply(&blocks).map_err(|error| stopped_at(&applier, &error))?;
        applied.imported += done.imported;
        applied.known += done.known;
        reporter.at(*last, file.contents().to, done.imported.saturating_add(done.known), Some(done.transactions));
        // What came before the fault is in the chain; what it says of the next block is the news.
        end.map_err(|error| stopped_at(&applier, &error))?;
    }
}

/// The next blocks of the file, and whether it broke after them.
fn chunk(file: &mut ChainFileReader) -> (Vec<(u64, Bytes)>, Result<(), CliError>) {
    let (mut blocks, mut bytes) = (Vec::new(), 0);
    while blocks.len() < CHUNK_BLOCKS && bytes < CHUNK_BYTES {
        match file.read() {
            Ok(Some(block)) => {
                bytes += block.1.len();
                blocks.push(block);
            }
            Ok(None) => break,
            Err(error) => return (blocks, Err(CliError::failed(error))),
        }
    }
    (blocks, Ok(()))
}

fn stopped_at(applier: &Applier<'_>, error: &impl std::fmt::Display) -> CliError {
    match applier.store().snapshot() {
        Ok(snapshot) => CliError::failed(format!("{error}; the chain ends with block {}", snapshot.head().height)),
        Err(storage) => CliError::failed(format!("{error}; {storage}")),
    }
}

async fn import_running(
    file: &mut ChainFileReader,
    client: &RpcClient,
    progress: Progress,
) -> Result<Applied, CliError> {
    check_chain(file.contents(), genesis_hash(client).await?, client.height().await?)?;
    let mut reporter = Reporter::new("importing", progress);
    let mut applied = Applied::default();
    while let Some((height, bytes)) = file.read().map_err(CliError::failed)? {
        if import_one(client, height, &bytes).await? {
            applied.imported += 1;
        } else {
            applied.known += 1;
        }
        reporter.at(height, file.contents().to, 1, None);
    }
    Ok(applied)
}

/// Posts a block; whether it is new there. Over REST, whose bound is by the chain's longest block.
async fn import_one(client: &RpcClient, height: u64, bytes: &Bytes) -> Result<bool, CliError> {
    for _ in 0..TRIES {
        let (status, answer) = client.post("/rpc/importBlock", &json!({ "raw": bytes })).await?;
        match status {
            200 if answer["height"] == height => return Ok(answer["imported"] == true),
            429 | 503 => tokio::time::sleep(Duration::from_secs(1)).await,
            _ => return Err(refused(client, height, &answer)),
        }
    }
    Err(CliError::failed(format!("the node at {} stays too busy to take block {height}; try again", client.url())))
}

fn refused(client: &RpcClient, height: u64, answer: &Value) -> CliError {
    let reason = match (&answer["error"], answer["height"].as_u64()) {
        (_, Some(actual)) => format!("the bytes are those of block {actual}"),
        (Value::String(text), None) => text.clone(),
        (error, None) => error["message"].as_str().unwrap_or("no reason was given").to_owned(),
    };
    CliError::failed(format!("the node at {} did not import block {height}: {reason}", client.url()))
}
