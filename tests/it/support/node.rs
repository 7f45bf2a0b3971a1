//! A running node: a process of the program with a folder, a configuration and a log of its own.

use super::http::Http;
use super::{Finished, Place, callboard, chain, until};
use alloy_primitives::{B256, Bytes, U256};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// A node answers within this time of its start, on a machine that runs other tests too.
const START: Duration = Duration::from_secs(40);
/// A node that stops in order does so within this time.
const STOP: Duration = Duration::from_secs(10);
/// What nodes do by themselves takes at most this long.
pub(crate) const SOON: Duration = Duration::from_secs(40);
/// Lines of log that a failed test shows of each node.
const SHOWN_LINES: usize = 60;

/// A node, running or not. Its process ends with it.
pub(crate) struct Node {
    name: &'static str,
    place: Place,
    settings: BTreeMap<String, BTreeMap<String, Value>>,
    child: Option<Child>,
    file_limit: Option<u64>,
    descriptor_limit: Option<u64>,
    variables: Vec<(&'static str, String)>,
    arguments: Vec<&'static str>,
    http: Http,
    rpc: String,
    peers: String,
}

impl Node {
    /// A node with nothing but ports of its own.
    pub(crate) fn new(name: &'static str) -> Self {
        let mut node = Self {
            name,
            place: Place::new(),
            settings: BTreeMap::new(),
            child: None,
            file_limit: None,
            descriptor_limit: None,
            variables: Vec::new(),
            arguments: Vec::new(),
            http: Http::new(),
            rpc: String::new(),
            peers: String::new(),
        };
        node.set("node.name", name).set("rpc.listen", "127.0.0.1:0").set("peers.listen", "127.0.0.1:0");
        node
    }

    /// The authority of a development chain; it seals 50 ms after a transaction came.
    pub(crate) fn authority() -> Self {
        let mut node = Self::new("authority");
        node.set("node.dev", true).set("authority.block_interval_ms", 50);
        node
    }

    /// An authority, not started, with a chain of so many blocks of so many transfers each; it seals no block by itself.
    pub(crate) fn authority_over(blocks: u64, transfers: u64) -> Self {
        let mut node = Self::authority();
        chain::build(&node.path(""), blocks, transfers).expect("a chain");
        node.set("genesis.heartbeat_s", 3_600);
        node
    }

    /// An authority whose key is in a keystore outside its data folder.
    pub(crate) fn authority_with_keystore() -> Self {
        let mut node = Self::new("authority");
        node.place.write("password", "correct horse battery staple\n");
        node.set("node.role", "authority").set("authority.password_file", "password");
        node.set("authority.block_interval_ms", 50).set("genesis.chain_id", 1337);
        node.set("genesis.owner", super::wallet::address(0)).set("genesis.owner_balance", "1000ether");
        node
    }

    /// A follower of these nodes, which run.
    pub(crate) fn follower(name: &'static str, seeds: &[&Self]) -> Self {
        let mut node = Self::new(name);
        node.set("node.role", "follower").follow(seeds);
        node
    }

    /// Sets the nodes it knows from its next start on.
    pub(crate) fn follow(&mut self, seeds: &[&Self]) -> &mut Self {
        let urls: Vec<_> = seeds.iter().map(|seed| seed.peer_url()).collect();
        self.set("peers.seeds", urls)
    }

    /// Sets a value of its configuration, from its next start on.
    pub(crate) fn set(&mut self, key: &str, value: impl Into<Value>) -> &mut Self {
        let (section, name) = key.rsplit_once('.').expect("section.name");
        self.settings.entry(section.to_owned()).or_default().insert(name.to_owned(), value.into());
        self
    }

    /// Takes a value out of its configuration.
    pub(crate) fn unset(&mut self, key: &str) -> &mut Self {
        let (section, name) = key.rsplit_once('.').expect("section.name");
        self.settings.get_mut(section).and_then(|values| values.remove(name)).expect("it was set");
        self
    }

    /// Sets a variable of its environment, from its next start on.
    pub(crate) fn variable(&mut self, name: &'static str, value: impl Into<String>) -> &mut Self {
        self.variables.push((name, value.into()));
        self
    }

    /// Adds these flags to its command line, at its next start only.
    pub(crate) fn arguments(&mut self, arguments: &[&'static str]) -> &mut Self {
        self.arguments = arguments.to_vec();
        self
    }

    /// From its next start on, none of its files can grow beyond this many KiB.
    pub(crate) fn limit_files(&mut self, kib: Option<u64>) -> &mut Self {
        self.file_limit = kib;
        self
    }

    /// From its next start on, it may have this many files and sockets open, and no more.
    pub(crate) fn limit_descriptors(&mut self, count: u64) -> &mut Self {
        self.descriptor_limit = Some(count);
        self
    }

    fn program(&self) -> Command {
        let program = callboard();
        if self.file_limit.is_none() && self.descriptor_limit.is_none() {
            return program;
        }
        let limit = |limit: Option<u64>| limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
        let descriptors = self.descriptor_limit.map_or_else(String::new, |count| format!("ulimit -n {count}; "));
        // Where the signal is ignored, a write beyond the limit is an error, as on a full disk.
        let mut command = Command::new("bash");
        command
            .args(["-c", &format!("trap '' XFSZ; {descriptors}ulimit -f \"$0\"; exec \"$@\""), &limit(self.file_limit)])
            .arg(program.get_program());
        program.get_envs().for_each(|(name, _)| _ = command.env_remove(name));
        command.stdin(Stdio::null());
        command
    }

    /// A path in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.path(name)
    }

    /// A path in its data folder.
    pub(crate) fn data(&self, name: &str) -> PathBuf {
        self.place.path("data").join(name)
    }

    /// Its database.
    pub(crate) fn database(&self) -> PathBuf {
        self.data("chain.redb")
    }

    pub(crate) fn peer_url(&self) -> String {
        format!("http://{}", self.peers)
    }

    pub(crate) fn rpc_url(&self) -> String {
        format!("http://{}", self.rpc)
    }

    /// Where it answers admin methods.
    pub(crate) fn admin_url(&self) -> String {
        let addresses = fs::read(self.data("addresses.json")).expect("it listens");
        let addresses: Value = serde_json::from_slice(&addresses).expect("JSON");
        format!("http://{}", addresses["admin"].as_str().expect("rpc.admin is set"))
    }

    /// Everything in its folder but the log, by name.
    pub(crate) fn files(&self) -> Vec<String> {
        self.place.files().into_iter().filter(|name| name != "log").collect()
    }

    /// Its configuration file, written, for who starts its process by other means than [`Self::start`].
    pub(crate) fn configured(&self) -> PathBuf {
        self.write_settings();
        self.path("node.toml")
    }

    fn write_settings(&self) {
        let mut text = String::new();
        for (section, values) in &self.settings {
            text.push_str(&format!("[{section}]\n"));
            // Strings, numbers, truth values and lists are written in TOML as in JSON.
            values.iter().for_each(|(name, value)| text.push_str(&format!("{name} = {value}\n")));
        }
        self.place.write("node.toml", &text);
    }

    /// Starts the process, and waits until it listens.
    pub(crate) fn start(&mut self) -> &mut Self {
        self.start_within(START)
    }

    /// The same, where there is much to do first.
    #[track_caller]
    pub(crate) fn start_within(&mut self, within: Duration) -> &mut Self {
        self.spawn();
        self.listens_within(within);
        self
    }

    /// Starts the process.
    pub(crate) fn spawn(&mut self) -> &mut Self {
        assert!(self.child.is_none(), "{} runs already", self.name);
        self.write_settings();
        let _ = fs::remove_file(self.data("addresses.json"));
        let log = File::options().create(true).append(true).open(self.path("log")).expect("log");
        let mut command = self.program();
        command.args(["node", "--config"]).arg(self.path("node.toml")).args(std::mem::take(&mut self.arguments));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdout(log.try_clone().expect("log")).stderr(Stdio::from(log));
        self.child = Some(command.spawn().expect("the program starts"));
        self
    }

    /// Waits until it listens. From then on it listens there at each start, so that its peers find it again.
    #[track_caller]
    pub(crate) fn listens(&mut self) {
        self.listens_within(START);
    }

    #[track_caller]
    fn listens_within(&mut self, within: Duration) {
        let file = self.data("addresses.json");
        let addresses: Value = until(&format!("{} listens", self.name), within, || {
            if let Some(status) = self.exited() {
                panic!("{} ended with {status}:\n{}", self.name, self.log());
            }
            serde_json::from_slice(&fs::read(&file).ok()?).ok()
        });
        let address = |name: &str| addresses[name].as_str().expect("address").to_owned();
        (self.rpc, self.peers) = (address("rpc"), address("peers"));
        let (rpc, peers) = (self.rpc.clone(), self.peers.clone());
        self.set("rpc.listen", rpc).set("peers.listen", peers);
    }

    /// Waits until its RPC answers at the address it was given, whatever else it lacks.
    #[track_caller]
    pub(crate) fn rpc_answers(&mut self) {
        self.rpc = self.settings["rpc"]["listen"].as_str().expect("address").to_owned();
        until(&format!("{} answers", self.name), START, || {
            self.http.get(&format!("{}/health/live", self.rpc_url())).ok()
        });
    }

    /// Starts it where it may also refuse to: how it then ended.
    pub(crate) fn starts_or_ends(&mut self) -> Option<Finished> {
        self.spawn();
        let file = self.data("addresses.json");
        let status = until(&format!("{} starts or ends", self.name), START, || match self.exited() {
            Some(status) => Some(Some(status)),
            None => file.exists().then_some(None),
        });
        let Some(status) = status else {
            self.listens();
            return None;
        };
        self.child = None;
        Some(Finished::with_log(status, &self.log()))
    }

    /// Runs it where it must not start: the one sentence it ends with, at exit code 2.
    #[track_caller]
    pub(crate) fn refused(&self) -> String {
        self.ended().refused(2)
    }

    /// Runs it to its end.
    pub(crate) fn ended(&self) -> Finished {
        self.run(&["node"])
    }

    /// Runs another command in its folder.
    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        self.write_settings();
        self.place.run(arguments)
    }

    /// Waits until its process has ended by itself.
    #[track_caller]
    pub(crate) fn dies(&mut self) -> ExitStatus {
        let status = until(&format!("{} ends", self.name), SOON, || self.exited());
        self.child = None;
        status
    }

    fn exited(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().expect("a child")
    }

    /// SIGTERM: it stops in order, and soon.
    #[track_caller]
    pub(crate) fn stop(&mut self) -> &mut Self {
        self.signal("-TERM");
        let status = until(&format!("{} stops", self.name), STOP, || self.exited());
        self.child = None;
        assert_eq!(status.code(), Some(0), "{} stopped with {status}:\n{}", self.name, self.log());
        self
    }

    /// Its process stands still: it holds its connections and answers nobody.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    /// Goes on after [`Self::pause`].
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    #[track_caller]
    fn signal(&self, signal: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill").success());
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) -> &mut Self {
        if let Some(mut child) = self.child.take() {
            child.kill().and_then(|()| child.wait()).expect("it is killed");
        }
        self
    }

    /// What it has printed, the last of it.
    pub(crate) fn log(&self) -> String {
        let text = fs::read_to_string(self.path("log")).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }

    /// Whether it has printed this.
    pub(crate) fn has_logged(&self, text: &str) -> bool {
        fs::read_to_string(self.path("log")).is_ok_and(|log| log.contains(text))
    }

    /// Calls a method; the error object where it is refused.
    pub(crate) fn try_call(&self, method: &str, params: Value) -> Result<Value, Value> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let (_, mut answer) = self.http.post(&self.rpc_url(), &body).map_err(Value::String)?;
        match answer.get_mut("result") {
            Some(result) => Ok(result.take()),
            None => Err(answer["error"].take()),
        }
    }

    /// Calls a method.
    #[track_caller]
    pub(crate) fn call(&self, method: &str, params: Value) -> Value {
        self.try_call(method, params).unwrap_or_else(|error| panic!("{}: {method}: {error}", self.name))
    }

    /// `GET` of a REST route: status and answer.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        self.http.get(&format!("{}{path}", self.rpc_url())).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// As [`Self::post`]; `None` where nobody answers.
    pub(crate) fn try_post(&self, path: &str, body: &Value) -> Option<(u16, Value)> {
        self.http.post(&format!("{}{path}", self.rpc_url()), body).ok()
    }

    /// `POST` of JSON to a REST route: status and answer.
    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}{path}", self.rpc_url());
        self.http.post(&url, body).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// The sum of a metric over all its labels.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        self.metric_with(name, "")
    }

    /// The sum of a metric over the labels that contain this, such as `check="seal"`.
    pub(crate) fn metric_with(&self, name: &str, label: &str) -> u64 {
        let text = self.metrics();
        let is_meant = |line: &&str| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']) && rest.contains(label))
        };
        let value = |line: &str| line.rsplit(' ').next().and_then(|value| value.parse::<u64>().ok()).expect("a number");
        text.lines().filter(is_meant).map(value).sum()
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Processor seconds that its process has used so far.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("a Linux process");
        let (_, rest) = stat.rsplit_once(')').expect("a name in brackets");
        let used = rest.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<f64>().expect("ticks"));
        // On every Linux that this runs on there are 100 of them in a second.
        used.sum::<f64>() / 100.0
    }

    /// The most memory that its process has held so far, KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let pid = self.pid();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a Linux process");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        peak.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Whether an alarm stands, as its metrics say.
    pub(crate) fn alarm(&self, name: &str) -> bool {
        self.metric_with("callboard_alert", &format!("name=\"{name}\"")) == 1
    }

    /// Everything that its `GET /metrics` answers.
    pub(crate) fn metrics(&self) -> String {
        let text = self.http.bytes(&format!("{}/metrics", self.rpc_url())).expect("metrics");
        String::from_utf8(text.to_vec()).expect("UTF-8")
    }

    /// The body of a `GET` on its peer listener.
    #[track_caller]
    pub(crate) fn peer_get(&self, path: &str) -> Bytes {
        let url = format!("{}/peer/v1/{path}", self.peer_url());
        self.http.bytes(&url).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// Sends signed transactions in one batch; each is taken.
    #[track_caller]
    pub(crate) fn send(&self, transactions: &[Bytes]) -> Vec<B256> {
        let call = |(id, raw): (usize, &Bytes)| json!({ "jsonrpc": "2.0", "id": id, "method": "eth_sendRawTransaction", "params": [raw] });
        let batch: Vec<_> = transactions.iter().enumerate().map(call).collect();
        let (_, answers) = self.http.post(&self.rpc_url(), &json!(batch)).expect("an answer");
        let taken = |answer: &Value| serde_json::from_value(answer["result"].clone());
        let answers = answers.as_array().expect("a batch").iter();
        answers.map(|answer| taken(answer).unwrap_or_else(|_| panic!("{}: {answer}", self.name))).collect()
    }

    /// Waits for a transaction's receipt.
    #[track_caller]
    pub(crate) fn receipt(&self, hash: B256) -> Value {
        until(&format!("{} confirms {hash}", self.name), SOON, || {
            Some(self.call("eth_getTransactionReceipt", json!([hash]))).filter(|receipt| !receipt.is_null())
        })
    }

    pub(crate) fn height(&self) -> u64 {
        hex_number(&self.call("eth_blockNumber", json!([])))
    }

    /// Waits until it has a block of this height.
    #[track_caller]
    pub(crate) fn reaches(&self, height: u64) {
        until(&format!("{} reaches {height}", self.name), SOON, || (self.height() >= height).then_some(()));
    }

    pub(crate) fn hash(&self, height: u64) -> B256 {
        let block = self.call("eth_getBlockByNumber", json!([format!("{height:#x}"), false]));
        serde_json::from_value(block["hash"].clone()).expect("a hash")
    }

    /// An account's balance in the newest block.
    pub(crate) fn balance(&self, account: impl serde::Serialize) -> U256 {
        serde_json::from_value(self.call("eth_getBalance", json!([account, "latest"]))).expect("a balance")
    }

    /// The canonical bytes of a block.
    pub(crate) fn block(&self, height: u64) -> Bytes {
        let bytes = self.call("callboard_getSealedBlock", json!([height]));
        serde_json::from_value(bytes).expect("bytes")
    }

    /// The hashes of all of its blocks.
    pub(crate) fn hashes(&self) -> Vec<B256> {
        (0..=self.height()).map(|height| self.hash(height)).collect()
    }

    pub(crate) fn status(&self) -> Value {
        self.call("callboard_syncStatus", json!([]))
    }

    /// Waits until it is in this phase.
    #[track_caller]
    pub(crate) fn is_phase(&self, phase: &str) {
        let mut seen = Value::Null;
        let look = || {
            seen = self.status();
            (seen["phase"] == phase).then_some(())
        };
        until(&format!("{} is {phase}", self.name), SOON, look);
    }

    /// How many blocks and transactions took this route since its start.
    pub(crate) fn routed(&self, route: &str) -> u64 {
        let routes = self.call("callboard_routes", json!([]));
        let counts = routes["counts"].as_array().expect("counts").iter();
        counts.filter(|count| count["route"] == route).map(|count| count["count"].as_u64().expect("a count")).sum()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("=== log of {}\n{}", self.name, self.log());
        }
    }
}

/// A number in Ethereum's hexadecimal form.
pub(crate) fn hex_number(value: &Value) -> u64 {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x")).expect("a hexadecimal number");
    u64::from_str_radix(digits, 16).expect("a number")
}

/// For every height both have, the two have the same canonical bytes, over JSON-RPC and in `raw` of blocks-range.
#[track_caller]
pub(crate) fn assert_same_blocks(one: &Node, other: &Node) {
    let height = one.height();
    assert_eq!(height, other.height());
    for height in 0..=height {
        let bytes = one.block(height);
        assert_eq!(bytes, other.block(height), "block {height}");
        let page = other.get(&format!("/rpc/blocks-range?start={height}&end={height}")).1;
        assert_eq!(page["blocks"][0]["raw"], json!(bytes), "block {height}");
    }
}
