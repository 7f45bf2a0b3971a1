//! What an agent must not forget.

use crate::cli::CliError;
use crate::start::chain_files;
use alloy_primitives::{Address, B256, Bytes};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// How far an agent is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct State {
    /// The agent's account.
    pub(super) address: Address,
    /// Block 0 of the chain.
    pub(super) genesis: B256,
    /// Behind the last message that was dealt with.
    pub(super) after: String,
    /// Answers that were confirmed.
    pub(super) answered: u64,
    /// The answer that is under way.
    pub(super) answering: Option<Answer>,
}

/// A signed answer. Until it is known what became of it no other bytes are sent, so that nobody is answered twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Answer {
    /// The message that it answers.
    pub(super) message: B256,
    /// Its own transaction hash.
    pub(super) hash: B256,
    /// Its nonce.
    pub(super) nonce: u64,
    /// The signed bytes.
    pub(super) raw: Bytes,
}

/// The file, where there is one.
#[derive(Debug)]
pub(super) struct StateFile(Option<PathBuf>);

impl StateFile {
    pub(super) fn new(path: Option<&Path>) -> Result<Self, CliError> {
        let absolute = path.map(std::path::absolute).transpose();
        absolute.map(Self).map_err(|error| CliError::usage(format!("--state: {error}")))
    }

    /// What it holds; `None` where there is none yet. One of another account or chain is an error.
    pub(super) fn read(&self, address: Address, genesis: B256) -> Result<Option<State>, CliError> {
        let Some(path) = &self.0 else { return Ok(None) };
        let name = path.display();
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(CliError::usage(format!("{name} cannot be read: {error}"))),
        };
        let state: State = serde_json::from_slice(&text)
            .map_err(|error| CliError::usage(format!("{name} does not hold the state of an agent: {error}")))?;
        let differs = |what: &str, expected: String, actual: String| {
            CliError::usage(format!("{name} is of {what} {actual}, expected {expected}; name another file"))
        };
        if state.address != address {
            return Err(differs("the account", address.to_string(), state.address.to_string()));
        }
        if state.genesis != genesis {
            return Err(differs("the chain with block 0", genesis.to_string(), state.genesis.to_string()));
        }
        Ok(Some(state))
    }

    /// Writes it whole: after a crash there is the old one or the new one.
    pub(super) fn write(&self, state: &State) -> Result<(), CliError> {
        let Some(path) = &self.0 else { return Ok(()) };
        let text = serde_json::to_vec_pretty(state).map_err(CliError::failed)?;
        chain_files::write(path, &text)
            .map_err(|error| CliError::failed(format!("{} cannot be written: {error}", path.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let answer = Answer { message: B256::ZERO, hash: B256::ZERO, nonce: 3, raw: Bytes::from_static(b"raw") };
        let address = Address::repeat_byte(1);
        State { address, genesis: B256::ZERO, after: "7:1".to_owned(), answered: 2, answering: Some(answer) }
    }

    #[test]
    fn what_is_written_is_read_and_a_file_of_another_account_or_chain_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("agent.json");
        let file = StateFile::new(Some(&path)).expect("a path");
        let state = state();
        assert_eq!(file.read(state.address, state.genesis).expect("none yet"), None);
        file.write(&state).expect("written");
        assert_eq!(file.read(state.address, state.genesis).expect("read"), Some(state.clone()));
        let account = file.read(Address::ZERO, state.genesis).expect_err("another account").to_string();
        assert!(account.contains("is of the account"), "{account}");
        let chain = file.read(state.address, B256::repeat_byte(9)).expect_err("another chain").to_string();
        assert!(chain.contains("is of the chain"), "{chain}");
        std::fs::write(&path, "{").expect("cut");
        assert_eq!(file.read(state.address, state.genesis).expect_err("damaged").exit_code(), 2);
    }
}
