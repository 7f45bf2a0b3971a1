//! `chain height`: of one node the bare number, of several whether they are on one chain.

use crate::cli::output::{cell, interval, line, note};
use crate::cli::{CliError, Output};
use crate::rpc_client::{RpcClient, RpcClientError};
use alloy_primitives::B256;
use serde_json::json;
use url::{Host, Url};

pub(super) async fn run(urls: &[String], watch: Option<f64>, output: Output) -> Result<(), CliError> {
    let watch = watch.map(|seconds| interval("--watch", seconds)).transpose()?;
    let clients = clients(urls)?;
    loop {
        let round = round(&clients, output).await;
        let Some(interval) = watch else { return round };
        // A node that is away for a while does not end the watch.
        match round {
            Err(error) if clients.len() == 1 => note(&format!("callboard: {error}")),
            _ => {}
        }
        tokio::time::sleep(interval).await;
        if let ([_, _, ..], Output::Text) = (clients.as_slice(), output) {
            line("")?;
        }
    }
}

/// A client for each node. One that is named twice would be compared with itself.
fn clients(urls: &[String]) -> Result<Vec<RpcClient>, CliError> {
    if urls.is_empty() {
        return Ok(vec![RpcClient::new(None)?]);
    }
    let clients: Vec<_> = urls.iter().map(|url| RpcClient::new(Some(url))).collect::<Result<_, _>>()?;
    for (place, client) in clients.iter().enumerate() {
        if clients[..place].iter().any(|other| is_same(other.url(), client.url())) {
            let url = &urls[place];
            return Err(CliError::usage(format!(
                "--rpc {url}: this node is named twice, and a node compared with itself is always equal; name another"
            )));
        }
    }
    Ok(clients)
}

/// Whether two addresses are those of one node: the same, or names of this machine at the same port.
fn is_same(one: &Url, other: &Url) -> bool {
    let is_here = |url: &Url| match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let rest = |url: &Url| (url.port_or_known_default(), url.path().trim_end_matches('/').to_owned());
    let host = |url: &Url| url.host_str().map(|host| host.trim_end_matches('.').to_ascii_lowercase());
    rest(one) == rest(other) && (host(one) == host(other) || is_here(one) && is_here(other))
}

async fn round(clients: &[RpcClient], output: Output) -> Result<(), CliError> {
    if let [client] = clients {
        let height = client.height().await?;
        return output.print(&json!(height), cell);
    }
    let nodes = compare(clients).await;
    let highest = nodes.iter().filter_map(|node| node.head.as_ref().ok()).map(|(height, _)| *height).max();
    for (client, node) in clients.iter().zip(&nodes) {
        print(client, node, highest.unwrap_or_default(), output)?;
    }
    if nodes.iter().any(|node| matches!(node.verdict, Verdict::Differ)) {
        return Err(CliError::failed("the nodes are not on one chain"));
    }
    match nodes.iter().all(|node| matches!(node.verdict, Verdict::Equal)) {
        true => Ok(()),
        false => Err(CliError::failed("not every node answered: whether they are on one chain is not known")),
    }
}

/// What is known of a node.
struct Node {
    head: Result<(u64, B256), RpcClientError>,
    verdict: Verdict,
}

/// How a node's chain compares with those of the others.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// It has the block of all others that answered at the lowest of their heights.
    Equal,
    /// It has another block there than one of the others.
    Differ,
    /// There is nothing to compare, and why.
    Unknown(String),
}

/// Compares the blocks that nodes have at the lowest of their heights: one that is merely behind is on the same chain.
async fn compare(clients: &[RpcClient]) -> Vec<Node> {
    let mut heads = Vec::new();
    for client in clients {
        heads.push(client.head().await);
    }
    let lowest = heads.iter().flatten().map(|(height, _)| *height).min().unwrap_or_default();
    let mut shared = Vec::new();
    for (client, head) in clients.iter().zip(&heads) {
        shared.push(match head {
            Ok((height, hash)) if *height == lowest => Ok(*hash),
            Ok(_) => match client.block_hash(lowest).await {
                Ok(hash) => hash.ok_or_else(|| format!("it gives no block {lowest}")),
                Err(error) => Err(error.to_string()),
            },
            Err(error) => Err(error.to_string()),
        });
    }
    let verdicts = verdicts(&shared);
    heads.into_iter().zip(verdicts).map(|(head, verdict)| Node { head, verdict }).collect()
}

/// The verdicts over the blocks that the nodes have at one height; an error is no block, and differs from none.
fn verdicts(shared: &[Result<B256, String>]) -> Vec<Verdict> {
    let known: Vec<_> = shared.iter().flatten().collect();
    let verdict = |block: &Result<B256, String>| match block {
        Err(reason) => Verdict::Unknown(reason.clone()),
        Ok(_) if known.len() < 2 => Verdict::Unknown("no other node answers".to_owned()),
        Ok(hash) if known.iter().all(|other| *other == hash) => Verdict::Equal,
        Ok(_) => Verdict::Differ,
    };
    shared.iter().map(verdict).collect()
}

fn print(client: &RpcClient, node: &Node, highest: u64, output: Output) -> Result<(), CliError> {
    let label = client.url().as_str().trim_end_matches('/');
    let (verdict, reason) = match &node.verdict {
        Verdict::Equal => ("equal", None),
        Verdict::Differ => ("differ", None),
        Verdict::Unknown(reason) => ("unknown", Some(reason)),
    };
    match (&node.head, output) {
        (Ok((height, hash)), Output::Json) => {
            let value = json!({ "label": label, "height": height, "hash": hash, "chain": verdict, "reason": reason });
            line(&value.to_string())
        }
        (Ok((height, hash)), Output::Text) => {
            let behind = highest.saturating_sub(*height);
            let behind = if behind > 0 { format!(" ({behind} behind)") } else { String::new() };
            let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            line(&format!("{label}  {height}  {hash}  {verdict}{reason}{behind}"))
        }
        (Err(error), Output::Json) => line(&json!({ "label": label, "error": error.to_string() }).to_string()),
        (Err(error), Output::Text) => line(&format!("{label}  -  -  no answer: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().expect("a URL")
    }

    #[test]
    fn a_node_that_is_alone_is_compared_with_nobody_and_an_error_is_no_difference() {
        let (a, b) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let gone = || Err("gone".to_owned());
        let unknown = |reason: &str| Verdict::Unknown(reason.to_owned());
        assert_eq!(verdicts(&[Ok(a), Ok(a)]), [Verdict::Equal, Verdict::Equal]);
        assert_eq!(verdicts(&[Ok(a), Ok(b)]), [Verdict::Differ, Verdict::Differ]);
        assert_eq!(verdicts(&[Ok(a), gone()]), [unknown("no other node answers"), unknown("gone")]);
        assert_eq!(verdicts(&[Ok(a), gone(), Ok(a)]), [Verdict::Equal, unknown("gone"), Verdict::Equal]);
    }

    #[test]
    fn a_node_that_is_named_twice_is_refused_before_it_is_asked() {
        let named = |urls: &[&str]| clients(&urls.iter().map(ToString::to_string).collect::<Vec<_>>());
        let error = named(&["http://127.0.0.1:1", "http://127.0.0.1:2", "http://localhost:1"]).expect_err("refused");
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("--rpc http://localhost:1: this node is named twice"), "{error}");
        assert_eq!(named(&["http://127.0.0.1:1", "http://127.0.0.1:2"]).map_or(0, |clients| clients.len()), 2);
    }

    #[test]
    fn one_node_under_two_names_is_one_node() {
        for (one, other) in [
            ("http://127.0.0.1:8545", "http://127.0.0.1:8545/"),
            ("http://localhost:8545", "http://127.0.0.1:8545"),
            ("http://[::1]:8545", "http://LOCALHOST:8545"),
            ("http://node.example", "http://node.example:80/"),
        ] {
            assert!(is_same(&url(one), &url(other)), "{one} {other}");
        }
        for (one, other) in [
            ("http://127.0.0.1:8545", "http://127.0.0.1:8546"),
            ("http://a.example/one", "http://a.example/two"),
            ("http://a.example", "http://b.example"),
        ] {
            assert!(!is_same(&url(one), &url(other)), "{one} {other}");
        }
    }
}
