//! Agents that talk to each other over two nodes: each message is answered once, whatever becomes of a node.

use crate::forge::unsigned;
use crate::support::node::{Node, assert_same_blocks};
use crate::support::wallet::{address, sign};
use crate::support::{Place, callboard, until};
use alloy_consensus::TxLegacy;
use alloy_primitives::{Address, Bytes};
use callboard::dev;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

/// Messages each way.
const ROUNDS: usize = 100;
/// A hundred rounds take at most this long, on a machine that runs other tests too.
const LONG: Duration = Duration::from_secs(150);

/// An authority that seals as soon as there is something to seal, and its follower.
fn two_nodes() -> (Node, Node) {
    let mut authority = Node::authority();
    authority.set("authority.block_interval_ms", 20).start();
    let mut follower = Node::follower("follower", &[&authority]);
    follower.start().is_phase("following");
    (authority, follower)
}

/// An agent process; it ends with this.
struct Agent {
    child: Child,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Agent {
    /// Answers what account number `account` receives, on this node; returns once it listens.
    fn start(node: &Node, account: u32, more: &[&str]) -> Self {
        let mut command = callboard();
        command.args(["agent", &address(account), "--dev", "--json", "--rpc", &node.rpc_url()]).args(more);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut notes = BufReader::new(child.stderr.take().expect("piped")).lines();
        let first = notes.next().expect("a line").expect("UTF-8");
        assert!(first.starts_with("answering messages to"), "{first}");
        // What it says later must not fill the pipe.
        std::thread::spawn(move || notes.for_each(drop));
        let answers = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { child, answers }
    }

    /// Its next answer: the message, its own transaction, the receipt.
    #[track_caller]
    fn answer(&mut self) -> Value {
        serde_json::from_str(&self.answers.next().expect("an answer").expect("UTF-8")).expect("JSON")
    }

    #[track_caller]
    fn ends(&mut self) {
        let status = until("the agent ends", LONG, || self.child.try_wait().expect("a child"));
        assert_eq!(status.code(), Some(0));
    }

    fn kill(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).expect("killed");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// Says something, and waits until it is in a block.
fn say(node: &Node, from: u32, to: u32, text: &str) -> Value {
    let arguments = ["message", "send", "--dev", "--wait", "--json", "--from", &address(from), "--to", &address(to)];
    let said = node.run(&[&arguments[..], &["--rpc", &node.rpc_url(), text]].concat()).succeeded();
    serde_json::from_str(&said).expect("JSON")
}

/// Every message that an account received, oldest first, a few at a time.
fn received(node: &Node, account: u32) -> Vec<Value> {
    let (mut all, mut after) = (Vec::new(), json!(0));
    loop {
        let page = node.call("callboard_getMessages", json!([address(account), { "after": after, "limit": 7 }]));
        all.extend(page["messages"].as_array().expect("messages").iter().cloned());
        match &page["next"] {
            Value::Null => return all,
            next => after = next.clone(),
        }
    }
}

#[test]
fn two_agents_exchange_a_hundred_messages_each_way_although_a_follower_is_killed_in_the_middle() {
    let (authority, mut follower) = two_nodes();
    // The first ping is ours.
    let (pings, pongs) = ((ROUNDS - 1).to_string(), ROUNDS.to_string());
    let mut one = Agent::start(&authority, 1, &["--reply", "ping", "--count", &pings]);
    let mut two = Agent::start(&follower, 2, &["--reply", "pong", "--count", &pongs]);
    say(&authority, 1, 2, "ping");
    for round in 0..ROUNDS {
        assert_eq!(two.answer()["receipt"]["status"], "0x1");
        if round < ROUNDS - 1 {
            assert_eq!(one.answer()["receipt"]["status"], "0x1");
        }
        if round == ROUNDS / 2 {
            // The next ping is in a block or on its way, and the other agent is about to answer it.
            follower.kill().start();
        }
    }
    one.ends();
    two.ends();
    follower.reaches(authority.height());
    for node in [&authority, &follower] {
        for (account, text) in [(1, "pong"), (2, "ping")] {
            let messages = received(node, account);
            assert!(messages.iter().all(|message| message["text"] == text), "{messages:?}");
            assert_eq!(messages.len(), ROUNDS, "to account {account}");
            for message in messages {
                let receipt = node.call("eth_getTransactionReceipt", json!([message["hash"]]));
                assert_eq!((&receipt["status"], &message["status"]), (&json!("0x1"), &json!("confirmed")));
            }
        }
    }
    assert_same_blocks(&authority, &follower);
}

/// A message as raw bytes, signed here.
fn message(from: u32, to: u32, nonce: u64, text: &str) -> Bytes {
    let input = Bytes::copy_from_slice(text.as_bytes());
    let to: Address = address(to).parse().expect("an address");
    sign(&dev::key(from), TxLegacy { input, gas_limit: 100_000, ..unsigned(nonce, to, 0) })
}

/// Somebody who has nothing but `GET` and `POST /rpc/transactions` of one node.
struct Hand<'a> {
    node: &'a Node,
    own: u32,
    other: u32,
}

impl Hand<'_> {
    /// The next nonce: one above that of the newest transaction sent.
    fn nonce(&self) -> u64 {
        let newest = format!("/rpc/transactions?address={}&direction=sent&limit=1", address(self.own));
        let newest = self.node.get(&newest).1["transactions"][0]["nonce"].clone();
        newest.as_u64().map_or(0, |nonce| nonce + 1)
    }

    /// Sends text and waits until this node has it in a block.
    fn say(&self, text: &str) {
        let raw = message(self.own, self.other, self.nonce(), text);
        let (status, answer) = self.node.post("/rpc/transactions", &json!({ "raw": raw }));
        assert_eq!((status, &answer["success"]), (200, &json!(true)), "{answer}");
        let path = format!("/rpc/transactions/{}", answer["hash"].as_str().expect("a hash"));
        until("the message is confirmed", LONG, || {
            let (_, found) = self.node.get(&path);
            (found["transaction"]["status"] == "confirmed").then_some(())
        });
    }

    /// Waits for this text from the other one, after a place; the place of it.
    fn hear(&self, text: &str, after: &str) -> String {
        let path = format!("/rpc/transactions?address={}&direction=received&after={after}", address(self.own));
        until("the message comes", LONG, || {
            let page = self.node.get(&path).1;
            let [received] = page["transactions"].as_array()?.as_slice() else { return None };
            assert_eq!(received["data"], json!(Bytes::copy_from_slice(text.as_bytes())));
            assert_eq!(received["sender"], json!(address(self.other).parse::<Address>().expect("an address")));
            Some(format!("{}:{}", received["block_height"], received["index"]))
        })
    }
}

#[test]
fn a_hundred_rounds_work_with_nothing_but_post_and_get_of_transactions() {
    let (authority, follower) = two_nodes();
    let one = Hand { node: &authority, own: 1, other: 2 };
    let two = Hand { node: &follower, own: 2, other: 1 };
    let (mut heard_by_one, mut heard_by_two) = ("0".to_owned(), "0".to_owned());
    for round in 0..ROUNDS {
        let (ping, pong) = (format!("ping {round}"), format!("pong {round}"));
        one.say(&ping);
        heard_by_two = two.hear(&ping, &heard_by_two);
        two.say(&pong);
        heard_by_one = one.hear(&pong, &heard_by_one);
    }
    follower.reaches(authority.height());
    assert_same_blocks(&authority, &follower);
}

/// The answers that account 1 has given, as the chain has them.
fn answers(node: &Node) -> usize {
    received(node, 2).iter().filter(|message| message["text"] == "noted").count()
}

#[test]
fn an_agent_that_is_killed_with_an_answer_signed_and_started_again_gives_each_answer_once() {
    let mut authority = Node::authority();
    // Nothing is sealed until the end of the first act.
    authority.set("authority.block_interval_ms", 1_500).start();
    let place = Place::new();
    let file = place.path("agent.json");
    let state = |file: &Path| -> Option<Value> { serde_json::from_slice(&std::fs::read(file).ok()?).ok() };
    let more = ["--reply", "noted", "--state", file.to_str().expect("UTF-8"), "--count", "3"];
    let mut agent = Agent::start(&authority, 1, &more);
    say(&authority, 2, 1, "first");
    let signed = until("an answer is signed", LONG, || {
        state(&file).map(|state| state["answering"].clone()).filter(|answer| !answer.is_null())
    });
    agent.kill();
    say(&authority, 2, 1, "second");
    // The answer to the first message is in a block by now, or was never sent.
    let mut agent = Agent::start(&authority, 1, &more);
    assert_eq!(agent.answer()["answer"], signed["hash"], "the same bytes");
    assert_eq!(agent.answer()["message"]["text"], "second");
    agent.kill();
    say(&authority, 2, 1, "third");
    let mut agent = Agent::start(&authority, 1, &more);
    assert_eq!(agent.answer()["message"]["text"], "third");
    agent.ends();
    assert_eq!(answers(&authority), 3);
    let kept = state(&file).expect("a state");
    assert_eq!((&kept["answered"], &kept["answering"]), (&json!(3), &Value::Null));
}

#[test]
fn an_answer_whose_nonce_went_to_another_transaction_is_signed_again() {
    let mut authority = Node::authority();
    authority.start();
    let question = say(&authority, 2, 1, "question")["hash"].clone();
    say(&authority, 1, 3, "something else");
    let lost = message(1, 2, 0, "noted");
    let hash = callboard_chain::keccak256(&lost);
    let answering = json!({ "message": question, "hash": hash, "nonce": 0, "raw": lost });
    let state = json!({ "address": address(1), "genesis": authority.hash(0), "after": "0", "answered": 0, "answering": answering });
    let place = Place::new();
    place.write("agent.json", &state.to_string());
    let file = place.path("agent.json");
    let more = ["--reply", "noted", "--count", "1", "--state", file.to_str().expect("UTF-8")];
    let mut agent = Agent::start(&authority, 1, &more);
    let answer = agent.answer();
    assert_eq!((&answer["message"]["hash"], &answer["receipt"]["status"]), (&question, &json!("0x1")));
    assert_ne!(answer["answer"], json!(hash));
    agent.ends();
    assert_eq!(answers(&authority), 1);
}

#[test]
fn an_agent_does_not_answer_itself_and_answers_from_the_block_it_is_told() {
    let mut authority = Node::authority();
    authority.start();
    say(&authority, 2, 1, "before");
    say(&authority, 1, 1, "to myself");
    say(&authority, 2, 1, "after");
    let mut agent = Agent::start(&authority, 1, &["--reply", "noted", "--from", "1", "--count", "2"]);
    assert_eq!([agent.answer(), agent.answer()].map(|answer| answer["message"]["text"].clone()), ["before", "after"]);
    agent.ends();
    assert_eq!(answers(&authority), 2);
}

#[test]
fn messages_are_sent_read_and_listened_to_and_a_strangers_text_moves_no_cursor() {
    let mut node = Node::authority();
    node.start();
    let mut command = callboard();
    command.args(["message", "listen", &address(1), "--rpc", &node.rpc_url()]);
    let mut listener = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut notes = BufReader::new(listener.stderr.take().expect("piped")).lines();
    assert!(notes.next().expect("a line").expect("UTF-8").starts_with("listening for messages to"));
    // The price of long data is above what executing it costs (EIP-7623): an estimate without it would be too low.
    let long = "x".repeat(1_000);
    assert_eq!(say(&node, 2, 1, &long)["receipt"]["status"], "0x1");
    let nasty = "hé\u{1b}[2J\r\u{202e}there";
    say(&node, 2, 1, nasty);
    let mut lines = BufReader::new(listener.stdout.take().expect("piped")).lines();
    let mut heard = || lines.next().expect("a line").expect("UTF-8");
    assert!(heard().ends_with(&long));
    assert!(heard().ends_with("  hé [2J  there"));
    node.stop().start();
    say(&node, 2, 1, "once more");
    let last = heard();
    assert!(last.ends_with("  once more"), "{last}");
    listener.kill().and_then(|()| listener.wait()).expect("killed");
    let inbox = |more: &[&str]| {
        let rpc = node.rpc_url();
        node.run(&[&["message", "inbox", &address(1), "--rpc", &rpc, "--limit", "2"], more].concat()).succeeded()
    };
    let newest = inbox(&[]);
    let newest: Vec<_> = newest.lines().collect();
    assert!(newest[0].ends_with("  once more") && newest[1].ends_with("  hé [2J  there"), "{newest:?}");
    let more: Vec<_> = newest[3].strip_prefix("more: ").expect("more").split(' ').collect();
    assert!(inbox(&more).trim_end().ends_with(&long));
    let json: Value = serde_json::from_str(&inbox(&["--after", "0", "--json"])).expect("JSON");
    assert_eq!(json["messages"][1]["text"], nasty);
    let nothing = node.run(&["message", "send", "--dev", "--from", &address(1), "--to", &address(2), ""]);
    assert_eq!(nothing.code, 2, "an empty text is no message");
}
