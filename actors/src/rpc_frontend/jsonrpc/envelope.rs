//! JSON-RPC 2.0 requests and answers as text: what is a request, a notification, a batch.

use super::error::RpcError;
use crate::rpc_frontend::limits::Limit;
use crate::rpc_frontend::text::Text;
use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Deepest nesting of arrays and objects in a request. Real calls stay below ten; serde_json's own bound is 128.
pub(crate) const MAX_DEPTH: usize = 64;

/// Longest id, bytes: it is written into the answer, whatever else that holds. Real ones are numbers and short names.
pub(crate) const MAX_ID_BYTES: usize = 1 << 10;

/// A body that is JSON: one call or several.
#[derive(Debug)]
pub(crate) enum Envelope<'a> {
    /// One value.
    Single(&'a RawValue),
    /// The elements of an array.
    Batch(Vec<&'a RawValue>),
}

/// A well-formed call.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// What the caller calls the answer by, as it was written; `None` in a notification.
    pub(crate) id: Option<&'a RawValue>,
    /// The method's name.
    pub(crate) method: String,
    /// The parameters, as they were written.
    pub(crate) params: Option<&'a RawValue>,
}

/// Why a value of a body is no call, with the id to answer to where there is one.
#[derive(Debug)]
pub(crate) struct MalformedCall<'a> {
    /// The id, where it could be read.
    pub(crate) id: Option<&'a RawValue>,
    /// What is wrong.
    pub(crate) error: RpcError,
}

/// The answer to the call with `id`. A long result is not copied: it was written where the work was done.
pub(crate) fn answer(id: Option<&RawValue>, outcome: Result<Box<RawValue>, RpcError>) -> Text {
    let mut text = Text::default();
    text.write(br#"{"jsonrpc":"2.0","id":"#);
    text.write(id.map_or("null", RawValue::get).as_bytes());
    match outcome {
        Ok(result) => {
            text.write(br#","result":"#);
            text.push(into_bytes(result));
        }
        Err(error) => {
            text.write(br#","error":"#);
            text.push(serde_json::to_vec(&error).expect("strings, numbers and raw JSON always serialise").into());
        }
    }
    text.write(b"}");
    text
}

/// JSON as it was written.
pub(crate) fn into_bytes(json: Box<RawValue>) -> Bytes {
    String::from(<Box<str>>::from(json)).into()
}

/// Splits a body into calls. `max_batch` bounds the elements of an array.
pub(crate) fn parse(body: &[u8], max_batch: usize) -> Result<Envelope<'_>, RpcError> {
    let text = std::str::from_utf8(body).map_err(|error| RpcError::parse(format!("parse error: {error}")))?;
    check_depth(text)?;
    let value: &RawValue =
        serde_json::from_str(text).map_err(|error| RpcError::parse(format!("parse error: {error}")))?;
    if !value.get().starts_with('[') {
        return Ok(Envelope::Single(value));
    }
    let elements = BoundedElements { max: max_batch };
    let mut deserializer = serde_json::Deserializer::from_str(value.get());
    let calls =
        deserializer.deserialize_seq(elements).map_err(|error| RpcError::parse(format!("parse error: {error}")))?;
    match calls {
        None => Err(Limit::Batch.refuse(format!("batch too large: at most {max_batch} calls")).into()),
        Some(calls) if calls.is_empty() => Err(RpcError::invalid_request("invalid request: empty batch")),
        Some(calls) => Ok(Envelope::Batch(calls)),
    }
}

/// Reads one value of a body as a call.
pub(crate) fn parse_call(value: &RawValue) -> Result<Call<'_>, MalformedCall<'_>> {
    if !value.get().starts_with('{') {
        let error = RpcError::invalid_request("invalid request: a request is a JSON object");
        return Err(MalformedCall { id: None, error });
    }
    let request: RawRequest<'_> = serde_json::from_str(value.get()).map_err(|error| MalformedCall {
        id: None,
        error: RpcError::invalid_request(format!("invalid request: {error}")),
    })?;
    if let Some(bytes) = request.id.map(|id| id.get().len()).filter(|bytes| *bytes > MAX_ID_BYTES) {
        let sentence = format!("invalid request: \"id\" has {bytes} bytes, at most {MAX_ID_BYTES} are allowed");
        return Err(MalformedCall { id: None, error: RpcError::invalid_request(sentence) });
    }
    let malformed =
        |message: &str| MalformedCall { id: request.id, error: RpcError::invalid_request(message.to_owned()) };
    if request.jsonrpc.map(RawValue::get) != Some("\"2.0\"") {
        return Err(malformed("invalid request: \"jsonrpc\" must be \"2.0\""));
    }
    let method = request
        .method
        .and_then(|method| serde_json::from_str::<String>(method.get()).ok())
        .ok_or_else(|| malformed("invalid request: \"method\" must be a string"))?;
    Ok(Call { id: request.id, method, params: request.params })
}

/// Counts brackets outside strings. A body that nests deeper is refused before anything is built from it.
fn check_depth(text: &str) -> Result<(), RpcError> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(RpcError::parse(format!("parse error: nested deeper than {MAX_DEPTH} levels")));
        }
    }
    Ok(())
}

/// The members of a request, unread. A duplicate member is an error of the derived reader.
#[derive(Deserialize)]
struct RawRequest<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

/// A member that is there, even if it is null: a call with `"id": null` is no notification.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Collects up to `max` elements; `None` where there are more, which are skipped and never held.
struct BoundedElements {
    max: usize,
}

impl<'de> Visitor<'de> for BoundedElements {
    type Value = Option<Vec<&'de RawValue>>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an array of calls")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut calls = Vec::new();
        while let Some(call) = sequence.next_element()? {
            calls.push(call);
            if calls.len() > self.max {
                while sequence.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(None);
            }
        }
        Ok(Some(calls))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc_frontend::text::PIECE;

    #[test]
    fn a_long_result_is_answered_as_it_was_written() {
        let id: &RawValue = serde_json::from_str("7").unwrap();
        for length in [1, 3 * PIECE] {
            let result = serde_json::value::to_raw_value(&"x".repeat(length)).unwrap();
            let written = result.get().as_bytes().as_ptr_range();
            let expected = format!(r#"{{"jsonrpc":"2.0","id":7,"result":{}}}"#, result.get());
            let mut answer = answer(Some(id), Ok(result));
            let pieces: Vec<_> = std::iter::from_fn(|| answer.piece(usize::MAX)).collect();
            assert_eq!(pieces.concat(), expected.as_bytes());
            let shared = pieces.iter().filter(|piece| written.contains(&piece.as_ptr())).map(Bytes::len).sum::<usize>();
            assert_eq!(shared, if length > PIECE { length + 2 } else { 0 }, "short ones are put together");
        }
        let mut failed = answer(None, Err(RpcError::refused("no")));
        let expected = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no"}}"#;
        assert_eq!(failed.piece(PIECE).unwrap(), expected);
    }
}
