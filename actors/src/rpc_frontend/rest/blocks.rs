//! The head and ranges of blocks.

use super::query::Query;
use super::shape::RestBlock;
use super::{RestResult, error::RestError, ok_json, record, time::rfc3339};
use crate::rpc_frontend::jsonrpc::RpcError;
use crate::rpc_frontend::server::Frontend;
use crate::rpc_frontend::view::View;
use actix_web::{HttpRequest, web};
use callboard_chain::Block;
use serde::Serialize;
use serde_json::json;
use std::time::Instant;

/// Blocks of one answer where no limit is asked for.
const DEFAULT_BLOCKS: u64 = 100;
/// Most blocks of one answer.
const MAX_BLOCKS: u64 = 1_000;
/// Canonical bytes after which an answer ends: that of one full block, which as JSON is some five times as long.
const MAX_BYTES: usize = 8_388_608;
/// `end` where none is asked for, as in the first form of this route.
const DEFAULT_END: u64 = 10;

pub(super) async fn head(frontend: web::Data<Frontend>) -> RestResult {
    let begun = Instant::now();
    let result = frontend
        .read(|view| {
            let block = view.block(view.head.height)?;
            Ok(json!({
                "height": view.head.height,
                "hash": view.head.hash,
                "timestamp": rfc3339(view.head.timestamp),
                "tx_count": block.transactions().len(),
                "state_root": view.head.state_root,
            }))
        })
        .await;
    record(&frontend, "rest_head", begun, ok_json(result))
}

pub(super) async fn range(frontend: web::Data<Frontend>, request: HttpRequest) -> RestResult {
    let begun = Instant::now();
    let result = match Range::parse(&Query::parse(request.query_string())) {
        Ok(range) => ok_json(frontend.read(move |view| range.read(&view)).await),
        Err(error) => Err(error),
    };
    record(&frontend, "rest_blocks_range", begun, result)
}

struct Range {
    start: u64,
    end: u64,
    limit: u64,
    whole: bool,
}

#[derive(Serialize)]
struct Page {
    success: bool,
    blocks: Vec<RestBlock>,
    count: usize,
    next: Option<u64>,
}

impl Range {
    fn parse(query: &Query) -> Result<Self, RestError> {
        let start = query.optional("start")?.unwrap_or(0);
        let end = query.optional("end")?.unwrap_or(DEFAULT_END.max(start));
        if start > end {
            return Err(RestError::bad_request(format!("start {start} is above end {end}")));
        }
        let limit = query.optional("limit")?.unwrap_or(DEFAULT_BLOCKS).clamp(1, MAX_BLOCKS);
        Ok(Self { start, end, limit, whole: query.unless_false("include_tx")? })
    }

    /// Both ends included, up to the head; at least one block where there is one.
    fn read(&self, view: &View) -> Result<Page, RpcError> {
        let end = self.end.min(view.head.height);
        let (mut blocks, mut bytes, mut next) = (Vec::new(), 0, None);
        for height in self.start..=end {
            let block = view.block(height)?;
            bytes += block.bytes().len();
            let full = blocks.len() as u64 == self.limit || bytes > MAX_BYTES;
            if full && !blocks.is_empty() {
                next = Some(height);
                break;
            }
            blocks.push(if self.whole { whole(view, block)? } else { RestBlock::head(&block) });
        }
        Ok(Page { success: true, count: blocks.len(), blocks, next })
    }
}

fn whole(view: &View, block: Block) -> Result<RestBlock, RpcError> {
    let executed = view.executed_of(block)?;
    Ok(RestBlock::whole(&executed.block, &executed.senders, &executed.receipts))
}
