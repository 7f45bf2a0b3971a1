//! Reading what peers send: bounded in length and time.

use super::refused::Refused;
use crate::transport::frames::FrameDecoder;
use actix_web::{http::StatusCode, web::Payload};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use std::time::Duration;

/// A request's body that is not there within this time does not come.
pub(super) const BODY_DEADLINE: Duration = Duration::from_secs(15);

/// The whole body, of at most `max` bytes.
pub(super) async fn read(payload: Payload, max: u64) -> Result<Bytes, Refused> {
    match tokio::time::timeout(BODY_DEADLINE, collect(payload, max)).await {
        Ok(body) => body,
        Err(_) => Err(Refused::new(StatusCode::REQUEST_TIMEOUT, "slow", "the request's body did not come in time")),
    }
}

async fn collect(mut payload: Payload, max: u64) -> Result<Bytes, Refused> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(Refused::malformed)?;
        if (body.len() + chunk.len()) as u64 > max {
            let message = format!("the body is longer than the {max} bytes that are allowed here");
            return Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "too_long", message));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The frames of a body: at most `max_frames`, each of at most `max_frame` bytes.
pub(super) fn frames(body: &Bytes, max_frames: usize, max_frame: u64) -> Result<Vec<Bytes>, Refused> {
    let mut decoder = FrameDecoder::new(max_frame);
    decoder.push(body);
    let mut frames = Vec::new();
    while let Some(frame) = decoder.next_frame().map_err(Refused::malformed)? {
        if frames.len() == max_frames {
            return Err(Refused::malformed(format!("more than {max_frames} items came in one request")));
        }
        frames.push(frame);
    }
    decoder.finish().map_err(Refused::malformed)?;
    Ok(frames)
}
