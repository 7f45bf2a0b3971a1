//! `doctor --evidence FILE` and `doctor --check FILE`.

use super::super::args::DoctorArgs;
use super::super::output::line;
use super::super::{CliError, Output};
use super::rpc_of;
use crate::configuration::Configuration;
use crate::rpc_client::RpcClient;
use callboard_actors::rpc_frontend::EvidenceDocument;
use callboard_chain::evidence::Equivocation;
use callboard_chain::genesis::SealedGenesis;
use callboard_store::{NodeStore, OpenError};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;

/// Longest file that is looked at: all that a node keeps has less than half of it.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Writes all that the node keeps: the running one's, or that of a stopped one's data folder.
pub(super) async fn write(args: &DoctorArgs, file: &Path) -> Result<(), CliError> {
    let document = if args.client.rpc.is_some() {
        fetch(&RpcClient::new(args.client.rpc.as_deref())?).await?
    } else {
        let configuration = Configuration::load(&args.config.sources())?;
        match read_stopped(&configuration)? {
            Some(document) => document,
            None => fetch(&rpc_of(args, &configuration)?).await?,
        }
    };
    let output = Output::from(&args.client.json);
    let count = document.evidence.len();
    if count == 0 {
        return output.print(&json!({ "evidence": 0 }), |_| {
            "this node has met no two sealed blocks of one height; no file is written".to_owned()
        });
    }
    let text = serde_json::to_string_pretty(&document).map_err(CliError::failed)?;
    let created = std::fs::File::create_new(file).and_then(|mut created| created.write_all(text.as_bytes()));
    created.map_err(|error| CliError::failed(format!("{} cannot be written: {error}", file.display())))?;
    output.print(&json!({ "evidence": count, "file": file }), |_| {
        format!(
            "{}: proof for {count} heights; anybody can check it with `callboard doctor --check FILE`",
            file.display()
        )
    })
}

/// `None` where a running node holds the database.
fn read_stopped(configuration: &Configuration) -> Result<Option<EvidenceDocument>, CliError> {
    let (genesis, path) = (configuration.genesis_path(), configuration.node_database_path());
    let unreadable = |error: &dyn std::fmt::Display| {
        CliError::failed(format!("{}: {error}; name a running node with --rpc URL", genesis.display()))
    };
    let json = std::fs::read(&genesis).map_err(|error| unreadable(&error))?;
    let sealed = SealedGenesis::from_json(&json).map_err(|error| unreadable(&error))?;
    let kept = match path.exists().then(|| NodeStore::open(&path)) {
        None => Vec::new(),
        Some(Err(OpenError::InUse { .. })) => return Ok(None),
        Some(Err(error)) => return Err(CliError::failed(error)),
        Some(Ok(store)) => store.evidence().map_err(CliError::failed)?,
    };
    Ok(Some(EvidenceDocument::new(sealed.config().authority, sealed.block(), kept)))
}

/// Page by page.
async fn fetch(client: &RpcClient) -> Result<EvidenceDocument, CliError> {
    let mut whole: EvidenceDocument = client.call("callboard_evidence", json!([{}])).await?;
    while let Some(from) = whole.next.take() {
        let page: EvidenceDocument = client.call("callboard_evidence", json!([{ "from": from }])).await?;
        whole.evidence.extend(page.evidence);
        // A node that does not go on is not asked for ever.
        whole.next = page.next.filter(|next| *next > from);
    }
    Ok(whole)
}

/// Needs no node and no chain.
pub(super) fn check(file: &Path, output: Output) -> Result<(), CliError> {
    let named = |error: &dyn std::fmt::Display| CliError::failed(format!("{}: {error}", file.display()));
    let length = std::fs::metadata(file).map_err(|error| named(&error))?.len();
    if length > MAX_FILE_BYTES {
        return Err(named(&format!("{length} bytes are more than evidence has ({MAX_FILE_BYTES} at most)")));
    }
    let bytes = std::fs::read(file).map_err(|error| named(&error))?;
    let document: EvidenceDocument =
        serde_json::from_slice(&bytes).map_err(|error| named(&format!("it is no evidence: {error}")))?;
    let proven = document.check().map_err(|error| named(&format!("it proves nothing: {error}")))?;
    match output {
        Output::Json => line(&format!("{:#}", as_json(&document, &proven))),
        Output::Text => proven.iter().try_for_each(|pair| line(&in_words(&document, pair))),
    }
}

fn in_words(document: &EvidenceDocument, pair: &Equivocation) -> String {
    let [first, second] = pair.hashes;
    format!(
        "proves that {}, the authority of the chain with genesis {}, sealed two blocks of height {}: {first} and {second}",
        document.authority, pair.genesis, pair.height
    )
}

fn as_json(document: &EvidenceDocument, proven: &[Equivocation]) -> Value {
    let pairs: Vec<_> = proven.iter().map(|pair| json!({ "height": pair.height, "hashes": pair.hashes })).collect();
    json!({ "authority": document.authority, "genesis": document.genesis.hash, "proven": pairs })
}
