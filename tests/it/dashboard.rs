//! Where the dashboard is. What is on it is tested in a browser: tests/clients/dashboard.test.mjs.

use crate::support::http::{Http, Request};
use crate::support::node::{Node, SOON};
use crate::support::until;

#[test]
fn a_start_prints_where_the_dashboard_is_and_a_browser_finds_it_there() {
    let mut node = Node::authority();
    node.start();
    let url = format!("{}/", node.rpc_url());
    until("the print-out", SOON, || node.has_logged(&format!("<=> dashboard  {url}\n")).then_some(()));
    let headers = vec![("Accept".to_owned(), "text/html".to_owned())];
    let asked = Request { method: "GET".to_owned(), url, headers, body: None };
    let (status, page) = Http::new().request(&asked, None).expect("an answer");
    assert_eq!(status, 200);
    assert!(page.starts_with("<!doctype html>") && page.contains("<title>Callboard</title>"), "{page}");
}
