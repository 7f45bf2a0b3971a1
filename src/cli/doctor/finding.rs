//! One line of a doctor's report.

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Ok,
    Warn,
    Fail,
}

/// What was looked at, what was found, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) level: Level,
    check: &'static str,
    found: String,
    remedy: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, found: String) -> Self {
        Self { level: Level::Ok, check, found, remedy: None }
    }

    pub(super) fn warn(check: &'static str, found: String, remedy: impl Into<String>) -> Self {
        Self { level: Level::Warn, check, found, remedy: Some(remedy.into()) }
    }

    pub(super) fn fail(check: &'static str, found: String, remedy: impl Into<String>) -> Self {
        Self { level: Level::Fail, check, found, remedy: Some(remedy.into()) }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let level = match self.level {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Fail => "FAIL",
        };
        write!(f, "{level:<5} {:<14} {}", self.check, self.found)?;
        match &self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}
