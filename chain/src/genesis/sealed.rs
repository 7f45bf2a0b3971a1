//! A genesis that its authority has sealed.

use super::{Genesis, GenesisError, GenesisFile, MAX_JSON_BYTES, account, json};
use crate::{Block, BlockChanges, ChainConfig, Confirmed, SecretKey, Verified, verify::constants_at};
use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes};
use std::sync::Arc;

/// A genesis whose configuration, accounts and seal have been checked. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SealedGenesis(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    genesis: Genesis,
    block: Block,
    json: Bytes,
}

impl SealedGenesis {
    /// Seals a genesis with its authority's key.
    pub fn seal(genesis: Genesis, key: &SecretKey) -> Result<Self, GenesisError> {
        genesis.validate()?;
        let (expected, actual) = (genesis.config.authority, key.address());
        if expected != actual {
            return Err(GenesisError::NotTheAuthority { expected, actual });
        }
        let block = Block::sealed(header(&genesis), Vec::new(), key);
        let sealed = Self::new(genesis, block);
        match sealed.json().len() {
            actual if actual > MAX_JSON_BYTES => Err(GenesisError::TooLong { limit: MAX_JSON_BYTES, actual }),
            _ => Ok(sealed),
        }
    }

    /// Reads a sealed genesis and checks all of it. [`Self::json`] is then the one form of that genesis, however the
    /// file was formatted.
    pub fn from_json(bytes: &[u8]) -> Result<Self, GenesisError> {
        let file = GenesisFile::from_json(bytes)?;
        let seal = file.seal().ok_or(GenesisError::NotSealed)?;
        let genesis = file.committed()?;
        genesis.validate()?;
        let header = header(&genesis);
        file.check_header(&header)?;
        let block = Block::from_parts(header, Vec::new(), seal);
        block.seal().verify(block.hash(), genesis.config.authority)?;
        Ok(Self::new(genesis, block))
    }

    fn new(mut genesis: Genesis, block: Block) -> Self {
        for account in genesis.alloc.values_mut() {
            account.storage.retain(|_, value| !value.is_zero());
        }
        let json = json::write(&genesis, block.header(), block.seal()).into();
        Self(Arc::new(Parts { genesis, block, json }))
    }

    /// `genesis.json`: the bytes that every node of the chain serves.
    pub fn json(&self) -> &Bytes {
        &self.0.json
    }

    /// Block 0.
    pub fn block(&self) -> &Block {
        &self.0.block
    }

    /// The hash of block 0, by which a chain is known.
    pub fn hash(&self) -> B256 {
        self.0.block.hash()
    }

    /// The values every header commits to.
    pub fn config(&self) -> &ChainConfig {
        &self.0.genesis.config
    }

    /// What was sealed.
    pub fn genesis(&self) -> &Genesis {
        &self.0.genesis
    }

    /// The state of block 0, as changes to the empty state. Storage roots are filled in.
    pub fn changes(&self) -> BlockChanges {
        account::changes(&self.0.genesis.alloc)
    }

    /// Block 0 as a confirmed block: its seal and its state root have been checked.
    pub fn confirmed(&self) -> Confirmed<Block> {
        let verified = Verified::new(self.0.block.clone(), Arc::from([]));
        Confirmed::new(verified, Arc::from([]), Arc::new(self.changes()))
    }
}

fn header(genesis: &Genesis) -> Header {
    Header {
        timestamp: genesis.timestamp,
        state_root: account::state_root(&account::changes(&genesis.alloc)),
        ..constants_at(0, &genesis.config)
    }
}
