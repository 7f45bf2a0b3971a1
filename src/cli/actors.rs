//! `actors` and `routes`.

use super::args::{ClientArgs, WatchArgs};
use super::output::{cell, interval, table};
use super::{CliError, Output};
use crate::rpc_client::RpcClient;
use serde_json::{Value, json};

pub(super) async fn show(args: &WatchArgs) -> Result<(), CliError> {
    let client = RpcClient::new(args.client.rpc.as_deref())?;
    let watch = args.watch.map(|seconds| interval("--watch", seconds)).transpose()?;
    loop {
        let actors: Value = client.call("callboard_actors", json!([])).await?;
        Output::from(&args.client.json).print(&actors, actors_table)?;
        let Some(interval) = watch else { return Ok(()) };
        tokio::time::sleep(interval).await;
    }
}

fn actors_table(actors: &Value) -> String {
    let row = |actor: &Value| {
        let mailbox = format!("{}/{}", cell(&actor["mailboxDepth"]), cell(&actor["mailboxCapacity"]));
        let busy = actor["busy"].as_f64().map_or_else(|| "-".to_owned(), |busy| format!("{:.0}%", busy * 100.0));
        let [handled, refused, rate] = ["handled", "refused", "perSecond"].map(|field| cell(&actor[field]));
        let [wait, handle] = ["waitP99Us", "handleP99Us"].map(|field| cell(&actor[field]));
        [cell(&actor["actor"]), cell(&actor["state"]), mailbox, handled, refused, rate, wait, handle, busy]
    };
    let rows: Vec<_> = actors.as_array().into_iter().flatten().map(row).collect();
    let heading = ["actor", "state", "mailbox", "handled", "refused", "/s", "wait p99 us", "handle p99 us", "busy"];
    table(heading, &rows)
}

pub(super) async fn routes(args: &ClientArgs) -> Result<(), CliError> {
    let client = RpcClient::new(args.rpc.as_deref())?;
    let routes: Value = client.call("callboard_routes", json!([])).await?;
    Output::from(&args.json).print(&routes, routes_table)
}

fn routes_table(routes: &Value) -> String {
    let names = |list: &Value| {
        let names: Vec<_> = list.as_array().into_iter().flatten().map(cell).collect();
        if names.is_empty() { "-".to_owned() } else { names.join(", ") }
    };
    let entry = |entry: &Value| {
        let [origin, kind, role, phase] = ["origin", "kind", "role", "phase"].map(|field| cell(&entry[field]));
        [origin, kind, role, phase, names(&entry["routes"])]
    };
    let entries: Vec<_> = routes["table"].as_array().into_iter().flatten().map(entry).collect();
    let count = |count: &Value| ["origin", "kind", "route", "count"].map(|field| cell(&count[field]));
    let counts: Vec<_> = routes["counts"].as_array().into_iter().flatten().map(count).collect();
    let table_text = table(["origin", "kind", "role", "phase", "routes"], &entries);
    format!("{table_text}\n{}", table(["origin", "kind", "route", "delivered"], &counts))
}
