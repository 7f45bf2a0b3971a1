//! Who waits for a proof: one is made after the other, and a bounded number of askers wait for theirs.

use super::refused::Refused;
use actix_web::web;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// Questions that are read, wait or are answered: several followers refuse one block at the same moment, and each of
/// them looks for what differs.
pub(super) const PLACES: usize = 16;
/// How long one waits. The asker hears nothing meanwhile, and gives up an answer that does not begin within 10 s.
const PATIENCE: Duration = Duration::from_secs(5);

/// First come, first served. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Turns {
    places: Arc<Semaphore>,
    turn: Arc<Semaphore>,
    patience: Duration,
}

impl Default for Turns {
    fn default() -> Self {
        Self::of(PLACES, PATIENCE)
    }
}

impl Turns {
    fn of(places: usize, patience: Duration) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), turn: Arc::new(Semaphore::new(1)), patience }
    }

    /// A place among those who wait, before the question is read.
    pub(super) fn place(&self) -> Result<Place, Refused> {
        match self.places.clone().try_acquire_owned() {
            Ok(permit) => Ok(Place { turns: self.clone(), permit }),
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => {
                Err(Refused::busy("too many nodes wait for a proof; ask again"))
            }
        }
    }
}

/// A place among those who wait.
#[derive(Debug)]
pub(super) struct Place {
    turns: Turns,
    permit: OwnedSemaphorePermit,
}

impl Place {
    /// Waits until nobody else is being answered.
    pub(super) async fn turn(self) -> Result<Turn, Refused> {
        let Self { turns, permit } = self;
        match tokio::time::timeout(turns.patience, turns.turn.acquire_owned()).await {
            Ok(Ok(turn)) => Ok(Turn { _place: permit, _turn: turn }),
            _ => Err(Refused::busy(format!("other proofs have been made for {:?}; ask again", turns.patience))),
        }
    }
}

/// Nobody else's question is answered until this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _place: OwnedSemaphorePermit,
    _turn: OwnedSemaphorePermit,
}

impl Turn {
    /// Answers the question on a thread that may wait. The turn goes with the work, which goes on where the asker has left.
    pub(super) async fn work<T: Send + 'static>(
        self,
        work: impl FnOnce() -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, Refused> {
        let answer = move || {
            let _turn = self;
            work()
        };
        web::block(answer).await.map_err(Refused::internal)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn a_second_asker_waits_for_the_first_and_then_has_its_turn() {
        let turns = Turns::of(2, Duration::from_secs(20));
        let first = turns.place().unwrap().turn().await.unwrap();
        let second = actix_rt::spawn(turns.place().unwrap().turn());
        tokio::task::yield_now().await;
        assert!(!second.is_finished(), "one is answered at a time");
        drop(first);
        assert!(second.await.unwrap().is_ok());
    }

    #[actix_rt::test]
    async fn who_finds_no_place_or_waits_too_long_hears_busy_and_leaves_its_place() {
        let turns = Turns::of(2, Duration::ZERO);
        let first = turns.place().unwrap().turn().await.unwrap();
        let second = turns.place().unwrap();
        assert_eq!(turns.place().unwrap_err().code(), "busy", "a third finds no place");
        assert_eq!(second.turn().await.unwrap_err().code(), "busy");
        let third = turns.place().unwrap();
        drop(first);
        assert!(third.turn().await.is_ok(), "the second one's place is free again");
    }
}
