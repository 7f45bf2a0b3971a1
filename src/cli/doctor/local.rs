//! What is found without asking anybody: files, their permissions, disk, and a stopped node's chain.

use super::finding::Finding;
use crate::configuration::{Configuration, Role};
use crate::start;
use callboard_actors::proposer::HighWater;
use callboard_chain::genesis::SealedGenesis;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// With less than this many times `store.min_free_bytes` the disk is soon too full.
const ROOM: u64 = 4;

/// The data folder and everything that is secret.
pub(super) fn files(configuration: &Configuration, runs: bool) -> Vec<Finding> {
    let mut findings = vec![data_folder(configuration)];
    findings.extend(genesis(configuration));
    findings.extend(private("node key", &configuration.node_key_path()));
    if let Some(file) = &configuration.authority.password_file {
        findings.extend(private("password", file));
    }
    for entry in fs::read_dir(&configuration.authority.keystore).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_file() && entry.file_name().to_string_lossy().starts_with("UTC--") {
            findings.extend(private("keystore", &path));
        }
    }
    if !runs {
        findings
            .extend([port("rpc.listen", configuration.rpc.listen), port("peers.listen", configuration.peers.listen)]);
    }
    findings
}

fn data_folder(configuration: &Configuration) -> Finding {
    let folder = &configuration.node.data_dir;
    match fs::metadata(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Finding::warn("data folder", format!("{} does not exist yet", folder.display()), "the first start makes it")
        }
        Err(error) => Finding::fail("data folder", format!("{}: {error}", folder.display()), "let this user into it"),
        Ok(found) if !found.is_dir() => {
            Finding::fail("data folder", format!("{} is a file", folder.display()), "set node.data_dir to a folder")
        }
        Ok(_) => match tempfile_in(folder) {
            Ok(()) => Finding::ok("data folder", folder.display().to_string()),
            Err(error) => Finding::fail(
                "data folder",
                format!("{} cannot be written to: {error}", folder.display()),
                "give it to the user that runs the node",
            ),
        },
    }
}

fn tempfile_in(folder: &Path) -> std::io::Result<()> {
    let probe = folder.join(format!("doctor-{}", std::process::id()));
    fs::File::create_new(&probe)?;
    fs::remove_file(&probe)
}

fn genesis(configuration: &Configuration) -> Option<Finding> {
    let path = configuration.genesis_path();
    let json = fs::read(&path).ok()?;
    let genesis = match SealedGenesis::from_json(&json) {
        Ok(genesis) => genesis,
        Err(error) => {
            let found = format!("{}: {error}", path.display());
            return Some(Finding::fail("genesis", found, "take genesis.json from another node of the chain"));
        }
    };
    Some(match configuration.genesis.hash {
        Some(pin) if pin != genesis.hash() => Finding::fail(
            "genesis",
            format!("{} in the data folder, {pin} in genesis.hash", genesis.hash()),
            "this folder is of another chain: use an empty one, or correct the pin",
        ),
        Some(_) => Finding::ok("genesis", format!("{}, as pinned", genesis.hash())),
        None => Finding::warn(
            "genesis",
            format!("{}, not pinned", genesis.hash()),
            format!("set genesis.hash = \"{}\"", genesis.hash()),
        ),
    })
}

/// Nothing is said of a file that is not there.
fn private(check: &'static str, path: &Path) -> Option<Finding> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    Some(if mode & 0o077 == 0 {
        Finding::ok(check, format!("{} is private", path.display()))
    } else {
        let found = format!("{} can be read by others (mode {mode:o})", path.display());
        Finding::warn(check, found, format!("chmod 600 {}", path.display()))
    })
}

fn port(check: &'static str, address: SocketAddr) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Finding::ok(check, format!("{address} is free")),
        Err(error) => {
            Finding::fail(check, format!("{address}: {error}"), "stop what holds it, or choose another address")
        }
    }
}

/// Room for more blocks.
pub(super) fn disk(configuration: &Configuration) -> Finding {
    let (folder, wanted) = (&configuration.node.data_dir, configuration.store.min_free_bytes);
    let existing = folder.ancestors().find(|folder| folder.exists()).unwrap_or(folder);
    match fs4::available_space(existing) {
        Err(error) => Finding::warn("disk", format!("{}: {error}", existing.display()), "look at it by hand"),
        Ok(free) if free < wanted => Finding::fail(
            "disk",
            format!("{free} bytes free, store.min_free_bytes asks for {wanted}"),
            "free some, or move the data folder; an authority seals nothing",
        ),
        Ok(free) if free < wanted.saturating_mul(ROOM) => {
            Finding::warn("disk", format!("{free} bytes free, sealing stops below {wanted}"), "free some soon")
        }
        Ok(free) => Finding::ok("disk", format!("{free} bytes free")),
    }
}

/// The chain of a node that does not run.
pub(super) fn stopped(configuration: &Configuration) -> Vec<Finding> {
    let stopped = Finding::warn("node", "no node answers".to_owned(), "start it with `callboard node`");
    if !configuration.chain_path().exists() {
        return vec![stopped];
    }
    let (role, chain) = match start::open_stopped(configuration) {
        Ok(opened) => opened,
        Err(error) => return vec![stopped, Finding::fail("chain", error.to_string(), "see above")],
    };
    let head = match chain.store.snapshot() {
        Ok(snapshot) => snapshot.head(),
        Err(error) => return vec![stopped, Finding::fail("chain", error.to_string(), "restore a backup")],
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let age = now.saturating_sub(head.timestamp);
    let mut findings = vec![stopped, Finding::ok("chain", format!("head {} {}, {age} s old", head.height, head.hash))];
    if role == Role::Authority {
        findings.push(high_water(configuration, &chain.genesis, head.height));
    }
    findings
}

fn high_water(configuration: &Configuration, genesis: &SealedGenesis, head: u64) -> Finding {
    let node = &configuration.node;
    let folder = if node.dev { &node.data_dir } else { &configuration.authority.keystore };
    match HighWater::open(folder, genesis.hash()) {
        Err(error) => Finding::fail("high water", error.to_string(), "the authority does not start without it"),
        Ok(mark) => match mark.sealed().map_or(0, |block| block.height()) {
            0 if head > 0 => Finding::fail(
                "high water",
                format!("there is no mark, and the head is {head}"),
                "put the high-water file back beside the keystore: without it a height could be sealed twice",
            ),
            mark if mark > head => Finding::warn(
                "high water",
                format!("block {mark} was sealed, and the head is {head}"),
                "the node takes its own blocks back from its peers before it seals",
            ),
            mark => Finding::ok("high water", format!("mark {mark}, head {head}")),
        },
    }
}
