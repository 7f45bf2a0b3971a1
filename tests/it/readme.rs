//! The README's first page, command by command, with ports chosen by the system.

use crate::support::callboard;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// The authority of the README seals every two seconds; on a loaded machine everything takes its time.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that ends with the test.
struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, lines }
    }

    /// Reads on to the line that begins with `start`, and gives what follows.
    fn line(&mut self, start: &str) -> String {
        let mut line = String::new();
        while self.lines.read_line(&mut line).expect("text") > 0 {
            if let Some(rest) = line.strip_prefix(start) {
                return rest.trim().to_owned();
            }
            line.clear();
        }
        panic!("the process ended before it said {start:?}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The commands of the section "Start", without `cargo run --release --`.
fn commands(readme: &str) -> Vec<Vec<String>> {
    let (_, section) = readme.split_once("\n## Start\n").expect("a section Start");
    let (section, _) = section.split_once("\n## ").expect("a section after it");
    let lines = section.lines().filter_map(|line| line.strip_prefix("cargo run --release -- "));
    lines.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

fn node(folder: &Path, arguments: &[String], seed: Option<&str>) -> Running {
    let mut command = callboard();
    command.current_dir(folder).args(arguments);
    command.env("CALLBOARD__RPC__LISTEN", "127.0.0.1:0").env("CALLBOARD__PEERS__LISTEN", "127.0.0.1:0");
    command.envs(seed.map(|seed| ("CALLBOARD__PEERS__SEEDS", seed)));
    Running::start(command)
}

/// Runs a client command, again and again until its answer holds `wanted`.
fn answers(folder: &Path, authority: &str, arguments: &[String], wanted: &str) {
    let begun = Instant::now();
    loop {
        let mut command = callboard();
        let output = command.current_dir(folder).args(arguments).env("CALLBOARD_RPC_URL", authority).output();
        let output = output.expect("the program starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {text}");
        if text.contains(wanted) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{arguments:?} never showed {wanted:?}: {text}");
    }
}

#[test]
fn first_page_of_the_readme_works_as_it_stands() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let place = tempfile::tempdir().expect("temporary folder");
    fs::create_dir_all(place.path().join("docs/examples")).expect("a folder");
    for file in ["node.toml", "docs/examples/follower.toml"] {
        fs::copy(root.join(file), place.path().join(file)).expect("copied");
    }
    let readme = fs::read_to_string(root.join("README.md")).expect("README.md");
    let commands = commands(&readme);
    let [first, second, clients @ ..] = commands.as_slice() else { panic!("two nodes: {commands:?}") };

    let mut authority = node(place.path(), first, None);
    let authority_rpc = authority.line("<=> RPC");
    let seed = authority.line("<=> peers");
    let mut follower = node(place.path(), second, Some(&seed));
    let follower_rpc = follower.line("<=> RPC");

    let mut done = Vec::new();
    for command in clients {
        let arguments: Vec<_> =
            command.iter().map(|word| word.replace("http://127.0.0.1:8546", &follower_rpc)).collect();
        let on_follower = &arguments != command;
        let wanted = match arguments[0].as_str() {
            "routes" if on_follower => "peer    block  ImportBlock",
            "routes" => "proposer  block  BroadcastBlock",
            "tx" => "hash   0x",
            "account" => "10001 ether",
            "actors" => {
                let mut watching = callboard();
                watching.current_dir(place.path()).args(&arguments).env("CALLBOARD_RPC_URL", &authority_rpc);
                let mut watching = Running::start(watching);
                watching.line("ConfirmedState");
                watching.line("ConfirmedState");
                done.push("actors");
                continue;
            }
            other => panic!("the README has a command that this test does not know: {other}"),
        };
        answers(place.path(), &authority_rpc, &arguments, wanted);
        done.push(command[0].as_str());
    }
    assert_eq!(done, ["routes", "routes", "actors", "tx", "account"]);
}
