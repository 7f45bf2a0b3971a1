//! Getting the genesis of a chain from its seeds.

use super::PeerUrl;
use super::client::{PeerClient, Reach};
use alloy_primitives::B256;
use bytes::Bytes;
use callboard_chain::genesis::{GenesisError, SealedGenesis};
use futures_util::{FutureExt, future::select_all};
use std::time::Duration;

/// Pause after the first failure at a seed; doubled with each further one up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// A seed that comes up is found within this time.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A genesis that may become this node's chain.
#[derive(Debug, Clone)]
pub struct FetchedGenesis {
    /// Checked: seal, commitment and, where one was given, the pin.
    pub genesis: SealedGenesis,
    /// The seed it came from.
    pub from: PeerUrl,
}

/// What went wrong at a seed. It is asked again after `pause`.
#[derive(Debug)]
pub struct GenesisTrouble {
    /// Which seed.
    pub url: PeerUrl,
    /// What, for people.
    pub reason: String,
    /// When it is asked again.
    pub pause: Duration,
}

/// The fetch cannot even begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no genesis to start from: set peers.seeds, or genesis.file")]
pub struct NoSeeds;

/// What a seed served is no genesis for this node.
#[derive(Debug, thiserror::Error)]
pub enum GenesisRefused {
    /// Not sealed, or not as its own configuration says.
    #[error("the genesis served there is refused: {0}")]
    Invalid(#[from] GenesisError),
    /// Not the pinned one.
    #[error("the genesis served there is {actual}, and genesis.hash pins {expected}")]
    NotPinned {
        /// The pin.
        expected: B256,
        /// What was served.
        actual: B256,
    },
}

/// Asks all seeds at once, each again and again with growing pauses, until the first serves a valid genesis (the one
/// with hash `pin`, where given). A seed that stalls or lies holds up nobody; `trouble` hears of each failure.
pub async fn fetch_genesis(
    client: &PeerClient,
    seeds: &[PeerUrl],
    pin: Option<B256>,
    trouble: impl Fn(GenesisTrouble),
) -> Result<FetchedGenesis, NoSeeds> {
    if seeds.is_empty() {
        return Err(NoSeeds);
    }
    let attempts = seeds.iter().map(|seed| fetch_from(client, seed, pin, &trouble).boxed_local());
    let (fetched, ..) = select_all(attempts).await;
    Ok(fetched)
}

/// Checks what a seed served.
pub fn check_genesis(json: &[u8], pin: Option<B256>) -> Result<SealedGenesis, GenesisRefused> {
    let genesis = SealedGenesis::from_json(json)?;
    match pin.filter(|pin| *pin != genesis.hash()) {
        Some(expected) => Err(GenesisRefused::NotPinned { expected, actual: genesis.hash() }),
        None => Ok(genesis),
    }
}

async fn fetch_from(
    client: &PeerClient,
    seed: &PeerUrl,
    pin: Option<B256>,
    trouble: &impl Fn(GenesisTrouble),
) -> FetchedGenesis {
    let mut pause = FIRST_PAUSE;
    loop {
        let reason = match client.genesis(seed, Reach::Anywhere).await {
            Ok(json) => match check_aside(json, pin).await {
                Ok(genesis) => return FetchedGenesis { genesis, from: seed.clone() },
                Err(reason) => reason,
            },
            Err(error) => error.to_string(),
        };
        trouble(GenesisTrouble { url: seed.clone(), reason, pause });
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}

/// On a thread of its own: a long genesis takes seconds to check.
async fn check_aside(json: Bytes, pin: Option<B256>) -> Result<SealedGenesis, String> {
    match tokio::task::spawn_blocking(move || check_genesis(&json, pin)).await {
        Ok(checked) => checked.map_err(|error| error.to_string()),
        Err(_) => Err("the check was interrupted".to_owned()),
    }
}
