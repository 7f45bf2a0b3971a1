//! `cargo bench --bench catch_up [-- BLOCKS TRANSFERS [RUNS]]`: how fast a follower that starts from nothing catches up,
//! two processes on one machine, every block fully verified. Default: 1,000 blocks of 10 transfers, 3 runs.
//!
//! The chain is built once, by the same code that an authority runs. An authority serves it; a follower in an empty
//! folder fetches genesis and blocks. Measured from the follower's start to the durable head, and from the first to
//! the last block alone.

#[path = "../tests/it/support/chain.rs"]
mod chain;

use chain::Failure;
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A run that takes longer than this has failed.
const DEADLINE: Duration = Duration::from_secs(600);
/// How often a height is asked for.
const POLL: Duration = Duration::from_millis(5);

fn main() -> Result<(), Failure> {
    // `cargo bench` adds a flag of its own, and `cargo test` runs this without one: then there is nothing to measure.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let mut numbers = arguments.iter().filter_map(|argument| argument.parse::<u64>().ok());
    let (blocks, transfers, runs) =
        (numbers.next().unwrap_or(1_000), numbers.next().unwrap_or(10), numbers.next().unwrap_or(3));
    let folder = tempfile::tempdir()?;
    chain::build(&folder.path().join("authority"), blocks, transfers)?;

    let authority = Node::start(&folder.path().join("authority"), chain::AUTHORITY)?;
    let peers = authority.address("peers")?;
    println!("{blocks} blocks of {transfers} transfers, {runs} runs");
    println!("{:>4}  {:>10}  {:>10}  {:>10}  {:>10}", "run", "seconds", "syncing", "blocks/s", "tx/s");
    for run in 1..=runs {
        let home = folder.path().join(format!("follower-{run}"));
        let began = Instant::now();
        let follower =
            Node::start(&home, &format!("[node]\nrole = \"follower\"\n[peers]\nseeds = [\"http://{peers}\"]\n"))?;
        let (first, last) = follower.wait_for(blocks)?;
        let (all, syncing) = (last - began, (last - first).as_secs_f64().max(0.001));
        println!(
            "{run:>4}  {:>10.2}  {syncing:>10.2}  {:>10.0}  {:>10.0}",
            all.as_secs_f64(),
            blocks as f64 / syncing,
            (blocks * transfers) as f64 / syncing
        );
        for stage in follower.call("callboard_syncStatus")?["stages"].as_array().into_iter().flatten() {
            println!(
                "      {:<8} {:>8.2} s",
                stage["name"].as_str().unwrap_or(""),
                stage["seconds"].as_f64().unwrap_or(0.0)
            );
        }
    }
    Ok(())
}

/// A running process of the node; killed when dropped.
struct Node {
    process: Child,
    addresses: std::path::PathBuf,
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.process.kill().and_then(|()| self.process.wait()).ok();
    }
}

impl Node {
    fn start(home: &Path, toml: &str) -> Result<Self, Failure> {
        std::fs::create_dir_all(home)?;
        let file = home.join("node.toml");
        std::fs::write(&file, toml)?;
        let arguments = ["--rpc-listen", "127.0.0.1:0", "--peer-listen", "127.0.0.1:0"];
        let process = Command::new(env!("CARGO_BIN_EXE_callboard"))
            .arg("node")
            .arg("--config")
            .arg(&file)
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(home.join("log"))?)
            .spawn()?;
        let node = Self { process, addresses: home.join("data/addresses.json") };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !node.addresses.exists() {
            if Instant::now() > deadline {
                return Err(format!("no start; see {}", home.join("log").display()).into());
            }
            std::thread::sleep(POLL);
        }
        Ok(node)
    }

    fn address(&self, of: &str) -> Result<String, Failure> {
        let addresses: Value = serde_json::from_slice(&std::fs::read(&self.addresses)?)?;
        Ok(addresses[of].as_str().ok_or("an address")?.to_owned())
    }

    fn call(&self, method: &str) -> Result<Value, Failure> {
        use std::io::{Read, Write};
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":[]}}"#);
        let address = self.address("rpc")?;
        let mut stream = std::net::TcpStream::connect(&address)?;
        write!(
            stream,
            "POST / HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let json = answer.split_once("\r\n\r\n").ok_or("an HTTP answer")?.1;
        Ok(serde_json::from_str::<Value>(json)?["result"].clone())
    }

    /// When syncing was first seen to have begun, and when the durable head reached `height`.
    fn wait_for(&self, height: u64) -> Result<(Instant, Instant), Failure> {
        let began = Instant::now();
        loop {
            let status = self.call("callboard_syncStatus")?;
            if status["head"]["height"].as_u64() == Some(height) {
                return Ok((began, Instant::now()));
            }
            if began.elapsed() > DEADLINE {
                return Err(format!("the follower stopped at {}", status["head"]).into());
            }
            std::thread::sleep(POLL);
        }
    }
}
