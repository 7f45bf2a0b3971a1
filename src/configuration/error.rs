//! Why a configuration is refused.

use super::Origin;
use std::path::PathBuf;

/// Why a configuration is refused: each is one sentence that names file (or variable, or flag), key, value and what
/// is allowed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// The file that was named is not there or cannot be read.
    #[error("{}: the configuration file cannot be read ({source}); name an existing file with --config", file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{}: line {line} is not TOML: {reason}", file.display())]
    Syntax {
        /// Which file.
        file: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What the parser says.
        reason: String,
    },
    /// There is no such key.
    #[error("{origin}: unknown key {key} = {value}; {}", suggestion(*nearest))]
    UnknownKey {
        /// Where it stands.
        origin: Origin,
        /// Its full name.
        key: String,
        /// Its value.
        value: String,
        /// The known key nearest to it.
        nearest: Option<&'static str>,
    },
    /// The value is of the wrong type or not allowed.
    #[error("{origin}: {key} = {value} is not allowed: it must be {allowed}")]
    NotAllowed {
        /// Where it stands.
        origin: Origin,
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// A section's name holds a plain value.
    #[error("{origin}: {section} = {value} is not allowed: it must be a section, written [{section}]")]
    NotASection {
        /// Where it stands.
        origin: Origin,
        /// The section.
        section: &'static str,
        /// The value.
        value: String,
    },
    /// The loader and the typed configuration disagree.
    #[error("the configuration cannot be read: {0}")]
    Inconsistent(#[from] config::ConfigError),
}

fn suggestion(nearest: Option<&'static str>) -> String {
    match nearest {
        Some(name) => format!("the nearest known name is {name}"),
        None => format!("the known sections are {}", super::keys::SECTIONS.join(", ")),
    }
}
