//! One client's events: pulled by its connection, so that nothing is made before the client has read what came before.

use super::frame;
use super::replay::Replay;
use super::topics::Wanted;
use crate::event_stream::{BlockEvent, Event, Subscription};
use crate::rpc_frontend::connections::Cutter;
use crate::rpc_frontend::server::Frontend;
use actix_web::web;
use bytes::Bytes;
use futures_util::{Stream, stream};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// How long a connection may be quiet before a comment is sent.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(15);
/// Longest piece that is handed to the connection at once: the connection copies it, the frame itself is shared.
const PIECE: usize = 16 << 10;

/// One client's events.
pub(super) struct Feed {
    frontend: web::Data<Frontend>,
    wanted: Wanted,
    frames: VecDeque<Bytes>,
    replay: Option<Replay>,
    /// Blocks up to this height have been sent again.
    sent: Option<u64>,
    batch: Option<(Arc<[BlockEvent]>, usize)>,
    live: Subscription<Event>,
    done: bool,
    _cutter: Option<Cutter>,
}

impl Feed {
    pub(super) fn new(
        frontend: web::Data<Frontend>,
        wanted: Wanted,
        live: Subscription<Event>,
        replay: Option<Replay>,
        cutter: Option<Cutter>,
    ) -> Self {
        let mut frames = VecDeque::from([frame::OPENING]);
        if wanted.sync {
            frames.push_back(frame::sync_now(&frontend.ports.status.sync_status()));
        }
        if wanted.routes {
            frames.push_back(frame::routes_now(&frontend.ports.status.routes()));
        }
        let sent = replay.as_ref().map(Replay::head);
        Self { frontend, wanted, frames, replay, sent, batch: None, live, done: false, _cutter: cutter }
    }

    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, |mut feed| async move { feed.next().await.map(|piece| (Ok(piece), feed)) })
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(piece) = self.piece() {
                return Some(piece);
            }
            if self.done {
                return None;
            }
            self.refill().await;
        }
    }

    /// The next piece of what is ready.
    fn piece(&mut self) -> Option<Bytes> {
        let frame = self.frames.front_mut()?;
        let piece = frame.split_to(frame.len().min(PIECE));
        if frame.is_empty() {
            self.frames.pop_front();
        }
        Some(piece)
    }

    async fn refill(&mut self) {
        if let Some(why) = self.live.ended().filter(|why| why.is_too_slow()) {
            return self.finish(frame::end(why));
        }
        if let Some(replay) = &mut self.replay {
            match replay.next(&self.frontend, self.wanted).await {
                Ok(Some(frames)) => self.frames.extend(frames.into_iter().filter(|frame| !frame.is_empty())),
                Ok(None) => self.replay = None,
                Err(error) => self.finish(frame::failure("failed", &error.message)),
            }
            return;
        }
        if let Some((blocks, next)) = self.batch.take() {
            if let Some(event) = blocks.get(next) {
                self.push_block(event);
                self.batch = Some((blocks, next + 1));
            }
            return;
        }
        match tokio::time::timeout(HEARTBEAT_EVERY, self.live.next()).await {
            Err(_) => self.frames.push_back(frame::HEARTBEAT),
            Ok(Err(ended)) => self.finish(frame::end(ended)),
            Ok(Ok(Event::Blocks(blocks))) => self.batch = Some((blocks, 0)),
            Ok(Ok(Event::Pending(event))) => self.frames.push_back(frame::pending(&event)),
            Ok(Ok(Event::Sync(event))) => self.frames.push_back(frame::sync(&event)),
            Ok(Ok(Event::Routes(event))) => self.frames.push_back(frame::routes(&event)),
        }
    }

    fn push_block(&mut self, event: &BlockEvent) {
        let block = event.block.value();
        if self.sent.is_some_and(|sent| block.height() <= sent) {
            return;
        }
        let has_transactions = self.wanted.transactions && !block.transactions().is_empty();
        if has_transactions {
            self.frames.push_back(frame::shared_transactions(event));
        }
        if self.wanted.blocks {
            self.frames.push_back(frame::shared_block(event));
        } else if has_transactions {
            self.frames.push_back(frame::id(block.height()));
        }
    }

    fn finish(&mut self, last: Bytes) {
        self.batch = None;
        self.replay = None;
        self.frames.push_back(last);
        self.done = true;
    }
}
