//! The lines of curl that the page has: enough of a shell and of curl to ask what they ask.

use super::entry::{ADMIN, RPC};
use crate::support::http::Request;
use crate::support::node::Node;
use serde_json::Value;

/// A line of curl, perhaps with `| grep WORD` after it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) request: Request,
    /// Only lines that contain this are of interest.
    pub(super) lines_with: Option<String>,
}

/// Reads a line.
pub(super) fn parse(line: &str) -> Asked {
    let (curl, grep) = line.split_once(" | grep ").map_or((line, None), |(curl, word)| (curl, Some(word)));
    let mut words = words(curl).into_iter();
    assert_eq!(words.next().as_deref(), Some("curl"), "{line}");
    let (mut url, mut headers, mut body) = (None, Vec::new(), None);
    while let Some(word) = words.next() {
        match word.as_str() {
            // Not to wait for more than came.
            "-N" => {}
            "-H" => {
                let header = words.next().expect("a header");
                let (name, value) = header.split_once(": ").expect("name: value");
                headers.push((name.to_owned(), value.to_owned()));
            }
            "-d" => body = words.next(),
            flag if flag.starts_with('-') => panic!("{flag} is not understood here: {line}"),
            _ => url = Some(word),
        }
    }
    let method = if body.is_some() { "POST" } else { "GET" }.to_owned();
    let request = Request { method, url: url.expect("a URL"), headers, body };
    Asked { request, lines_with: grep.map(|word| word.trim_matches('\'').to_owned()) }
}

/// The words of a line; single quotes hold one together.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for letter in line.chars() {
        match letter {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            _ => word.push(letter),
        }
    }
    assert!(!quoted, "a quote is open: {line}");
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

impl Asked {
    /// The same of this node, which listens elsewhere.
    pub(super) fn to(mut self, node: &Node) -> Self {
        let there = [(RPC, node.rpc_url()), (ADMIN, node.admin_url())];
        let found = there.iter().find_map(|(shown, url)| Some((self.request.url.strip_prefix(shown)?, url)));
        let (path, url) = found.unwrap_or_else(|| panic!("{} is no address of the page", self.request.url));
        self.request.url = format!("{url}{path}");
        self
    }

    /// Whether it asks what bears this name.
    pub(super) fn is_of(&self, name: &str) -> bool {
        let Some((method, path)) = name.split_once(' ') else {
            let body = self.request.body.as_deref().unwrap_or_default();
            return serde_json::from_str::<Value>(body).is_ok_and(|call| call["method"] == name);
        };
        let asked = self.request.url.strip_prefix(RPC).unwrap_or_default();
        let asked = asked.split_once('?').map_or(asked, |(path, _)| path);
        let (asked, path): (Vec<_>, Vec<_>) = (asked.split('/').collect(), path.split('/').collect());
        let is_part = |(asked, part): (&&str, &&str)| part.starts_with('{') || asked == part;
        method == self.request.method && asked.len() == path.len() && asked.iter().zip(&path).all(is_part)
    }
}
