//! Admin methods: on the admin listener, and nowhere else.

use super::chain::TestChain;
use super::harness::Harness;
use crate::rpc_frontend::{AdminSurface, ChainAccess};
use serde_json::json;

fn methods() -> [(&'static str, serde_json::Value); 2] {
    [("callboard_verify", json!([{ "from": 3 }])), ("callboard_dropTransaction", json!([format!("0x{:064x}", 7)]))]
}

#[actix_web::test]
async fn admin_methods_are_unknown_on_the_public_listener_which_says_where_they_are() {
    let elsewhere = Harness::with(|config| config.admin = AdminSurface::At("127.0.0.1:8547".parse().unwrap()));
    let off = Harness::start();
    for (method, params) in methods() {
        let (code, message) = elsewhere.error(method, params.clone()).await;
        assert_eq!(code, -32601);
        assert!(message.contains("127.0.0.1:8547"), "{message}");
        let (code, message) = off.error(method, params).await;
        assert_eq!(code, -32601);
        assert!(message.contains("rpc.admin = true"), "{message}");
    }
    assert!(elsewhere.admin.asked.lock().is_empty() && off.admin.asked.lock().is_empty());
}

#[actix_web::test]
async fn the_admin_listener_answers_them_and_waits_for_a_check_to_end() {
    let chain = TestChain::new();
    let harness = Harness::serve(chain.access.clone(), |config| config.admin = AdminSurface::Here);
    let done = harness.result("callboard_verify", json!([{ "from": 3 }])).await;
    assert_eq!(done, json!({ "state": "done", "from": 3, "to": 9, "fault": null }));
    assert_eq!(*harness.admin.asked.lock(), [(Some(3), None), (Some(3), None)]);
    let (code, message) = harness.error("callboard_verify", json!([{ "form": 3 }])).await;
    assert_eq!(code, -32602, "{message}");
    let nothing = harness.result("callboard_dropTransaction", methods()[1].1.clone()).await;
    assert_eq!(nothing, json!({ "dropped": false }));
}

#[actix_web::test]
async fn the_admin_listener_looks_at_host_and_content_type_as_the_public_one_does() {
    let harness = Harness::serve(ChainAccess::new(), |config| config.admin = AdminSurface::Here);
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "callboard_dropTransaction", "params": [] }).to_string();
    let json_type = ("Content-Type", "application/json");
    let rebound = harness.request("POST", "/", &[json_type, ("Host", "evil.example")], call.as_bytes()).await;
    assert_eq!(rebound.status, 403);
    let form = harness.request("POST", "/", &[("Content-Type", "text/plain")], call.as_bytes()).await;
    assert_eq!(form.status, 415);
}
