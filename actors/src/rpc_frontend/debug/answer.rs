//! An answer that is written while its size is watched.

use crate::rpc_frontend::jsonrpc::{RpcError, RpcResult};
use crate::rpc_frontend::limits::Limit;
use serde::Serialize;
use serde_json::value::RawValue;
use std::io;

/// JSON text of at most so many bytes.
pub(super) struct BoundedAnswer {
    text: Vec<u8>,
    most: usize,
}

impl BoundedAnswer {
    pub(super) fn new(most: usize) -> Self {
        Self { text: Vec::new(), most }
    }

    /// Appends a value, or refuses one that does not fit.
    pub(super) fn value(&mut self, value: &impl Serialize) -> Result<(), RpcError> {
        serde_json::to_writer(&mut *self, value).map_err(|error| match error.io_error_kind() {
            Some(_) => too_large(self.most),
            None => RpcError::internal(format!("the answer could not be written: {error}")),
        })
    }

    /// Appends text as it is.
    pub(super) fn text(&mut self, text: &str) -> Result<(), RpcError> {
        io::Write::write_all(self, text.as_bytes()).map_err(|_| too_large(self.most))
    }

    /// What was written, which has to be JSON by now.
    pub(super) fn finish(self) -> RpcResult {
        let text = String::from_utf8(self.text).map_err(|error| RpcError::internal(error.to_string()))?;
        RawValue::from_string(text).map_err(|error| RpcError::internal(error.to_string()))
    }
}

impl io::Write for BoundedAnswer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.text.len().saturating_add(bytes.len()) > self.most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The refusal of a trace that is more than may be answered.
pub(super) fn too_large(most: usize) -> RpcError {
    Limit::TraceBytes.refuse(format!("the trace is too large: at most {most} bytes")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_refused_at_the_byte_that_is_too_many() {
        let write = |most| {
            let mut answer = BoundedAnswer::new(most);
            answer.text("[").and_then(|()| answer.value(&"four")).and_then(|()| answer.text("]"))?;
            answer.finish()
        };
        assert_eq!(write(8).unwrap().get(), r#"["four"]"#);
        let refused = write(7).unwrap_err();
        assert_eq!(refused.message, "the trace is too large: at most 7 bytes (rpc.limit.trace_bytes)");
    }
}
