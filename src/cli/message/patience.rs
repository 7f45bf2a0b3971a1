//! Doing things again while a node is away or busy.

use super::inbox::{Inbox, Message};
use crate::cli::CliError;
use crate::cli::output::{note, plain};
use std::time::Duration;

/// The first pause.
const SHORTEST: Duration = Duration::from_millis(100);
/// The longest: a node that is back is not kept waiting for longer.
const LONGEST: Duration = Duration::from_secs(5);

/// Growing pauses, and each new reason for them told once.
#[derive(Debug, Default)]
pub(super) struct Patience {
    pause: Option<Duration>,
    told: Option<String>,
}

impl Patience {
    /// Waits before the next try, where the failure is for now; otherwise it is the end.
    pub(super) async fn bear(&mut self, error: CliError) -> Result<(), CliError> {
        if !error.may_pass() {
            return Err(error);
        }
        self.wait(&error.to_string()).await;
        Ok(())
    }

    /// Waits before the next try.
    pub(super) async fn wait(&mut self, reason: &str) {
        if self.told.as_deref() != Some(reason) {
            note(&format!("{}; trying again", plain(reason)));
            self.told = Some(reason.to_owned());
        }
        let pause = self.grow();
        tokio::time::sleep(pause).await;
    }

    fn grow(&mut self) -> Duration {
        let pause = self.pause.map_or(SHORTEST, |pause| pause.saturating_mul(2).min(LONGEST));
        self.pause = Some(pause);
        pause
    }

    /// The next message of an inbox, however long its node is away.
    pub(super) async fn next(&mut self, inbox: &mut Inbox) -> Result<Option<Message>, CliError> {
        loop {
            match inbox.next().await {
                Ok(found) => return Ok(found),
                Err(error) => self.bear(error).await?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_bounded() {
        let mut patience = Patience::default();
        let pauses: Vec<_> = (0..10).map(|_| patience.grow()).collect();
        assert_eq!(pauses[..3], [100, 200, 400].map(Duration::from_millis));
        assert_eq!(pauses[9], LONGEST);
    }
}
