//! Passwords of keys, and where they come from.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A shorter password is refused for a new key.
pub const MIN_PASSWORD_BYTES: usize = 5;

/// A password, and the name of the place it came from.
#[derive(Clone)]
pub struct Password {
    text: Zeroizing<String>,
    origin: String,
}

/// Why there is no password, or not one that will do.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too short for a new key.
    #[error("{origin}: the password is {actual} bytes long and must have at least {MIN_PASSWORD_BYTES}")]
    TooShort {
        /// Where it came from.
        origin: String,
        /// Its length, bytes.
        actual: usize,
    },
    /// The file cannot be read.
    #[error("{key} = \"{}\": the password file cannot be read ({source}); create it with the password on one line", path.display())]
    Unreadable {
        /// The key or flag that names the file.
        key: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No source gives one.
    #[error("no password for {what}: set {key} to a file that holds it, or the variable {variable}")]
    Missing {
        /// Whose key.
        what: String,
        /// The key or flag that names a file.
        key: String,
        /// The variable.
        variable: &'static str,
    },
    /// The terminal could not be read.
    #[error("no password could be read from the terminal: {0}")]
    Terminal(#[source] std::io::Error),
    /// Typed twice, and not alike.
    #[error("the two passwords typed differ; start again")]
    Differ,
}

impl Password {
    /// A password from somewhere that `origin` names in errors.
    pub fn new(text: impl Into<String>, origin: impl Into<String>) -> Self {
        Self { text: Zeroizing::new(text.into()), origin: origin.into() }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// Fails where the password is too short for a new key. Keys made elsewhere open with whatever they have.
    pub fn check_strength(&self) -> Result<(), PasswordError> {
        let actual = self.text.len();
        if actual >= MIN_PASSWORD_BYTES {
            return Ok(());
        }
        Err(PasswordError::TooShort { origin: self.origin.clone(), actual })
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Password(from {})", self.origin)
    }
}

/// Where a password may come from, in this order: the variable, the file, the terminal.
#[derive(Debug, Clone, Copy)]
pub struct PasswordSource<'a> {
    /// Whose password, to stand after "password for".
    pub what: &'a str,
    /// The environment variable that may hold it.
    pub variable: &'static str,
    /// The configuration key or flag that may name a file.
    pub key: &'a str,
    /// That file.
    pub file: Option<&'a Path>,
}

impl PasswordSource<'_> {
    /// The password of a key that exists.
    pub fn read(&self) -> Result<Password, PasswordError> {
        self.read_or(|| self.prompt())
    }

    /// The password for a new key: typed twice where it comes from a terminal, and long enough.
    pub fn read_new(&self) -> Result<Password, PasswordError> {
        let password = self.read_or(|| self.prompt_twice())?;
        password.check_strength()?;
        Ok(password)
    }

    fn read_or(&self, prompt: impl FnOnce() -> Result<Password, PasswordError>) -> Result<Password, PasswordError> {
        if let Ok(text) = std::env::var(self.variable) {
            return Ok(Password::new(text, self.variable));
        }
        if let Some(path) = self.file {
            return self.read_file(path);
        }
        if std::io::stdin().is_terminal() {
            return prompt();
        }
        Err(PasswordError::Missing { what: self.what.into(), key: self.key.into(), variable: self.variable })
    }

    fn read_file(&self, path: &Path) -> Result<Password, PasswordError> {
        let text = std::fs::read_to_string(path).map(Zeroizing::new);
        let text =
            text.map_err(|source| PasswordError::Unreadable { key: self.key.into(), path: path.into(), source })?;
        let first = text.lines().next().unwrap_or_default();
        Ok(Password::new(first, format!("{} = \"{}\"", self.key, path.display())))
    }

    fn prompt(&self) -> Result<Password, PasswordError> {
        let text = rpassword::prompt_password(format!("Password for {}: ", self.what));
        Ok(Password::new(text.map_err(PasswordError::Terminal)?, self.what))
    }

    fn prompt_twice(&self) -> Result<Password, PasswordError> {
        let first = self.prompt()?;
        let again = rpassword::prompt_password("Once more: ").map(Zeroizing::new).map_err(PasswordError::Terminal)?;
        if first.text == again { Ok(first) } else { Err(PasswordError::Differ) }
    }
}
