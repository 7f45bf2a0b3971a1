//! Query parameters and paths, read by name; an unreadable one is named in the answer.

use super::error::RestError;
use std::str::FromStr;

/// The parameters of a query string.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        Self(url::form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// The parameter `name`, where it is given and not empty.
    pub(super) fn optional<T: FromStr>(&self, name: &str) -> Result<Option<T>, RestError> {
        match self.0.iter().find(|(key, _)| key == name) {
            Some((_, value)) if !value.is_empty() => parse(name, value).map(Some),
            _ => Ok(None),
        }
    }

    /// The parameter `name`.
    pub(super) fn required<T: FromStr>(&self, name: &str) -> Result<T, RestError> {
        self.optional(name)?.ok_or_else(|| RestError::bad_request(format!("the parameter {name} is missing")))
    }

    /// A switch: true unless it says otherwise.
    pub(super) fn unless_false(&self, name: &str) -> Result<bool, RestError> {
        match self.optional::<String>(name)?.as_deref().map(str::to_ascii_lowercase).as_deref() {
            None | Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(_) => Err(RestError::bad_request(format!("the parameter {name} must be true or false"))),
        }
    }
}

/// A value of a query or a path.
pub(super) fn parse<T: FromStr>(name: &str, value: &str) -> Result<T, RestError> {
    value.parse().map_err(|_| {
        let value: String = value.chars().take(100).collect();
        RestError::bad_request(format!("{name}: {value:?} cannot be read"))
    })
}
