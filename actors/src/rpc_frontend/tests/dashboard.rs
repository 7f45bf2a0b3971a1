//! The page at `/` and its parts, which are there before the genesis is known.

use super::harness::{Harness, Response};
use crate::rpc_frontend::RateConfig;
use std::collections::BTreeSet;
use std::num::NonZeroU32;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What a browser sends.
const BROWSER: (&str, &str) = ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");

async fn page(harness: &Harness) -> Response {
    harness.request("GET", "/", &[BROWSER], b"").await
}

/// What `text` names between `before` and a quote.
fn named<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
    text.split(before).skip(1).filter_map(|rest| rest.split(['"', '\'']).next()).collect()
}

fn assert_protected(path: &str, response: &Response) {
    let expected = [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-cache"),
    ];
    for (name, value) in expected {
        assert_eq!(response.headers.get(name).map(String::as_str), Some(value), "{name} of {path}");
    }
}

/// Every part that the page needs, found as a browser finds them: in the page, and in the scripts that it loads.
async fn parts(harness: &Harness) -> BTreeSet<String> {
    let page = page(harness).await.body;
    let mut waiting: Vec<String> = [named(&page, "src=\""), named(&page, "<link rel=\"stylesheet\" href=\"")]
        .concat()
        .into_iter()
        .chain(named(&page, "<link rel=\"icon\" href=\""))
        .map(|path| format!("/{path}"))
        .collect();
    let mut found = BTreeSet::new();
    while let Some(path) = waiting.pop() {
        if found.insert(path.clone()) {
            let text = harness.get(&path).await.body;
            waiting.extend(named(&text, "from './").into_iter().map(|name| format!("/dashboard/{name}")));
        }
    }
    found
}

#[actix_web::test]
async fn a_browser_gets_one_page_that_loads_nothing_from_elsewhere() {
    let harness = Harness::start();
    let response = page(&harness).await;
    assert_eq!((response.status, response.headers["content-type"].as_str()), (200, "text/html; charset=utf-8"));
    assert_protected("/", &response);
    let parts = parts(&harness).await;
    assert!(parts.len() > 10, "{parts:?}");
    for path in &parts {
        let part = harness.get(path).await;
        assert_eq!(part.status, 200, "{path}");
        assert_protected(path, &part);
        let media_type = match path.rsplit_once('.').map(|(_, extension)| extension) {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            _ => "image/svg+xml",
        };
        assert_eq!(part.headers["content-type"], media_type, "{path}");
        let outside = part.body.replace("http://www.w3.org/2000/svg", "");
        assert!(!outside.contains("http://") && !outside.contains("https://"), "{path} names another place");
        for sink in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"] {
            assert!(!part.body.contains(sink), "{path} makes markup of text: {sink}");
        }
    }
    assert!(!response.body.contains("style=") && !response.body.contains("onclick"), "nothing inline");
}

#[actix_web::test]
async fn what_a_browser_has_already_is_not_sent_again() {
    let harness = Harness::start();
    for path in ["/", "/dashboard/main.js", "/dashboard/style.css"] {
        let tag = harness.get(path).await.headers["etag"].clone();
        let weak = format!("\"other\", W/{tag}");
        for known in [tag.as_str(), weak.as_str(), "*"] {
            let again = harness.request("GET", path, &[("If-None-Match", known)], b"").await;
            assert_eq!((again.status, again.body.as_str()), (304, ""), "{path} {known}");
            assert_eq!(again.headers["etag"], tag);
            assert_protected(path, &again);
        }
        let other = harness.request("GET", path, &[("If-None-Match", "\"other\"")], b"").await;
        assert_eq!(other.status, 200, "{path}");
    }
}

#[actix_web::test]
async fn the_page_is_read_and_nothing_else() {
    let harness = Harness::start();
    for path in ["/", "/dashboard/main.js"] {
        let head = harness.request("HEAD", path, &[], b"").await;
        let get = harness.get(path).await;
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        assert_eq!(head.headers["content-length"], get.body.len().to_string(), "{path}");
    }
    for method in ["POST", "PUT", "DELETE"] {
        let headers = [("Content-Type", "application/json")];
        let response = harness.request(method, "/dashboard/main.js", &headers, b"{}").await;
        assert_eq!((response.status, response.headers["allow"].as_str()), (405, "GET, HEAD"), "{method}");
        assert_eq!(response.error(), format!("/dashboard/main.js is read by GET, not {method}"));
    }
    assert_eq!(harness.request("PUT", "/", &[], b"").await.status, 405);
}

#[actix_web::test]
async fn json_rpc_stays_where_it_was() {
    let harness = Harness::start();
    let call = br#"{"jsonrpc":"2.0","id":1,"method":"net_listening"}"#;
    let headers = [("Content-Type", "application/json"), BROWSER];
    assert_eq!(harness.request("POST", "/", &headers, call).await.json()["result"], true);
    // It is JSON-RPC's path, and no page.
    assert_eq!(harness.get("/rpc").await.status, 405);
}

#[actix_web::test]
async fn what_is_no_part_of_the_page_is_not_there() {
    let harness = Harness::start();
    for path in
        ["/dashboard", "/dashboard/", "/dashboard/assets.rs", "/dashboard/index.html", "/dashboard/%2e%2e/server.rs"]
    {
        let response = harness.get(path).await;
        assert_eq!(response.status, 404, "{path}");
        assert!(response.error().starts_with("there is nothing at GET /dashboard"), "{}", response.body);
    }
}

#[actix_web::test]
async fn a_foreign_host_name_gets_no_page() {
    let harness = Harness::with(|config| config.hosts = vec!["node.example".to_owned()]);
    for path in ["/", "/dashboard/main.js"] {
        assert_eq!(harness.request("GET", path, &[("Host", "evil.example")], b"").await.status, 403, "{path}");
        assert_eq!(harness.request("GET", path, &[("Host", "node.example")], b"").await.status, 200, "{path}");
    }
}

#[actix_web::test]
async fn a_limit_on_requests_counts_the_page_and_not_its_parts() {
    let harness = Harness::with(|config| {
        config.rate = Some(RateConfig {
            requests_per_second: NonZeroU32::MIN,
            burst: NonZeroU32::new(2).unwrap(),
            exempt: Vec::new(),
        });
    });
    assert_eq!(page(&harness).await.status, 200);
    for _ in 0..30 {
        assert_eq!(harness.get("/dashboard/main.js").await.status, 200);
    }
    let mut answers = Vec::new();
    for _ in 0..10 {
        answers.push(page(&harness).await.status);
    }
    assert!(answers.contains(&429), "{answers:?}");
    assert_eq!(harness.get("/dashboard/no_part.js").await.status, 429, "only what is there is free");
}
