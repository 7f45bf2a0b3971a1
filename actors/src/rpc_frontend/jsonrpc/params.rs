//! Positional parameters.

use super::error::RpcError;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// Most parameters of any method is four; what follows the sixteenth is an error rather than memory.
const MAX_PARAMS: usize = 16;

/// The parameters of a call, read one by one.
#[derive(Debug)]
pub(crate) struct Params<'a>(Vec<&'a RawValue>);

impl<'a> Params<'a> {
    /// Splits the `params` member; absent and null are no parameters.
    pub(crate) fn parse(params: Option<&'a RawValue>) -> Result<Self, RpcError> {
        let Some(params) = params else { return Ok(Self(Vec::new())) };
        if !params.get().starts_with('[') {
            return Err(RpcError::invalid_params("parameters must be an array"));
        }
        let values: Vec<&RawValue> = serde_json::from_str(params.get())
            .map_err(|error| RpcError::invalid_params(format!("invalid parameters: {error}")))?;
        if values.len() > MAX_PARAMS {
            return Err(RpcError::invalid_params(format!("too many parameters: at most {MAX_PARAMS}")));
        }
        Ok(Self(values))
    }

    /// The parameter at `index`; missing or null is an error that names it.
    pub(crate) fn required<T: DeserializeOwned>(&self, index: usize, name: &str) -> Result<T, RpcError> {
        self.optional(index, name)?
            .ok_or_else(|| RpcError::invalid_params(format!("missing value for required argument {index} ({name})")))
    }

    /// The parameter at `index`, where it is given and not null.
    pub(crate) fn optional<T: DeserializeOwned>(&self, index: usize, name: &str) -> Result<Option<T>, RpcError> {
        match self.0.get(index).map(|value| value.get()) {
            None | Some("null") => Ok(None),
            Some(text) => serde_json::from_str(text)
                .map(Some)
                .map_err(|error| RpcError::invalid_params(format!("invalid argument {index} ({name}): {error}"))),
        }
    }
}
