//! Reading a request body within bounds of size, time and memory.

use super::limits::{Limit, Refusal};
use actix_web::HttpRequest;
use actix_web::http::header;
use actix_web::web::{self, BytesMut};
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

/// How long a body waits for memory.
const ROOM_WITHIN: Duration = Duration::from_secs(10);

/// What a body may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyBounds {
    /// Bytes.
    pub(crate) bytes: usize,
    /// Time to arrive.
    pub(crate) within: Duration,
    /// The bound that the size goes beyond.
    pub(crate) limit: Limit,
    /// What to do where it is too long; may be empty.
    pub(crate) remedy: &'static str,
}

/// A body that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// It goes beyond a bound.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The connection or its framing broke.
    #[error("request body could not be read: {0}")]
    Broken(String),
}

impl BodyBounds {
    fn too_large(self) -> Refusal {
        self.limit.refuse(format!("request body too large: at most {} bytes{}", self.bytes, self.remedy))
    }

    fn late(self) -> Refusal {
        Limit::BodyTime.refuse(format!("request body did not arrive within {} ms", self.within.as_millis()))
    }
}

/// Reads the body; never holds more than the bound and one chunk of it, and nothing of one that is announced as longer.
pub(crate) async fn read_body(
    request: &HttpRequest,
    payload: web::Payload,
    bounds: BodyBounds,
) -> Result<web::Bytes, BodyError> {
    read(request, payload, bounds, None).await
}

/// As [`read_body`], with the memory counted against `held`'s budget as the bytes arrive.
pub(crate) async fn read_counted_body(
    request: &HttpRequest,
    payload: web::Payload,
    bounds: BodyBounds,
    held: &mut Held,
) -> Result<web::Bytes, BodyError> {
    read(request, payload, bounds, Some(held)).await
}

async fn read(
    request: &HttpRequest,
    payload: web::Payload,
    bounds: BodyBounds,
    held: Option<&mut Held>,
) -> Result<web::Bytes, BodyError> {
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > bounds.bytes as u64) {
        return Err(bounds.too_large().into());
    }
    let collected = tokio::time::timeout(bounds.within, collect(payload, bounds, held)).await;
    collected.unwrap_or_else(|_| Err(bounds.late().into()))
}

async fn collect(
    mut payload: web::Payload,
    bounds: BodyBounds,
    mut held: Option<&mut Held>,
) -> Result<web::Bytes, BodyError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| BodyError::Broken(error.to_string()))?;
        if body.len() + chunk.len() > bounds.bytes {
            return Err(bounds.too_large().into());
        }
        if let Some(held) = &mut held {
            held.grow(body.len() + chunk.len()).await?;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Memory that all bodies of a kind may take together. A body counts for what has arrived of it, not for what it
/// announces, so clients that send slowly take no room from others.
#[derive(Clone)]
pub(crate) struct BodyBudget {
    pages: Arc<Semaphore>,
    /// While the budget is used up, one body at a time goes on beyond it: bodies that wait for each other never end.
    last: Arc<Mutex<()>>,
}

/// Bytes that are counted together.
const PAGE: usize = 4 << 10;

impl BodyBudget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self { pages: Arc::new(Semaphore::new(bytes.div_ceil(PAGE))), last: Arc::default() }
    }

    /// Nothing yet.
    pub(crate) fn hold(&self) -> Held {
        Held { budget: self.clone(), pages: None, beyond: None }
    }
}

/// What one body takes of a budget; given back when dropped.
pub(crate) struct Held {
    budget: BodyBudget,
    pages: Option<OwnedSemaphorePermit>,
    beyond: Option<OwnedMutexGuard<()>>,
}

impl Held {
    /// Makes room for `bytes` in all.
    async fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        let held = self.pages.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = u32::try_from(bytes.div_ceil(PAGE).saturating_sub(held)).unwrap_or(u32::MAX);
        if missing == 0 || self.beyond.is_some() {
            return Ok(());
        }
        match Arc::clone(&self.budget.pages).try_acquire_many_owned(missing) {
            Ok(more) => match &mut self.pages {
                Some(pages) => pages.merge(more),
                None => self.pages = Some(more),
            },
            Err(_) => {
                let last = tokio::time::timeout(ROOM_WITHIN, Arc::clone(&self.budget.last).lock_owned()).await;
                let busy = || Limit::Busy.refuse("busy: too many blocks are being received, try again later");
                self.beyond = Some(last.map_err(|_| busy())?);
            }
        }
        Ok(())
    }

    /// Keeps room for `bytes` and gives the rest back.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        if let Some(pages) = &mut self.pages {
            let rest = pages.num_permits().saturating_sub(bytes.div_ceil(PAGE));
            drop(pages.split(rest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::{FromRequest, test::TestRequest};

    #[actix_web::test]
    async fn a_body_that_is_read_takes_of_its_budget_until_it_is_let_go_of() {
        let (budget, request) = (BodyBudget::new(10 * PAGE), TestRequest::post().set_payload(vec![b' '; 4 * PAGE]));
        let (request, mut payload) = request.to_http_parts();
        let payload = web::Payload::from_request(&request, &mut payload).await.expect("a payload");
        let bounds = BodyBounds { bytes: 8 * PAGE, within: ROOM_WITHIN, limit: Limit::ImportBody, remedy: "" };
        let mut held = budget.hold();
        let body = read_counted_body(&request, payload, bounds, &mut held).await.expect("read");
        assert_eq!((body.len(), budget.pages.available_permits()), (4 * PAGE, 6));
        drop(held);
        assert_eq!(budget.pages.available_permits(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_budget_that_is_used_up_lets_one_body_at_a_time_go_beyond_it() {
        let budget = BodyBudget::new(2 * PAGE);
        let (mut first, mut second, mut third) = (budget.hold(), budget.hold(), budget.hold());
        first.grow(PAGE).await.unwrap();
        second.grow(PAGE).await.unwrap();
        first.grow(3 * PAGE).await.unwrap();
        let refusal = second.grow(2 * PAGE).await.unwrap_err();
        assert_eq!((refusal.limit, refusal.retry_after), (Limit::Busy, Some(1)));
        drop(first);
        second.grow(2 * PAGE).await.unwrap();
        assert!(third.grow(2 * PAGE).await.is_ok(), "the place beyond the budget is free again");
        assert!(third.beyond.is_some());
        second.shrink(PAGE);
        assert_eq!(budget.pages.available_permits(), 1);
    }
}
