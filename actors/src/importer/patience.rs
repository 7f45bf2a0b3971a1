//! A peer that is busy is asked again. A search is made once, when the block is refused: what it cannot say then, nobody
//! looks for again until a restart.

use crate::transport::client::CallError;
use std::time::Duration;

/// How often one peer may say in one search that it is busy. It lets an asker wait for seconds before it says so.
const TIMES: u32 = 20;
/// Between two times.
const PAUSE: Duration = Duration::from_millis(500);

/// What is left of it with one peer.
pub(super) struct Patience {
    times: u32,
    pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { times: TIMES, pause: PAUSE }
    }
}

impl Patience {
    /// Asks until there is another answer than *busy*, or no patience is left.
    pub(super) async fn insist<T, F>(&mut self, question: impl Fn() -> F) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        loop {
            match question().await {
                Err(error) if error.refusal_code() == Some("busy") && self.times > 0 => self.times -= 1,
                answer => return answer,
            }
            tokio::time::sleep(self.pause).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::client::Problem;
    use crate::transport::wire::Refusal;
    use std::cell::Cell;

    fn refused(code: &str) -> CallError {
        let refusal = Refusal { code: code.to_owned(), message: String::new(), genesis_hash: None, chain: None };
        CallError { url: String::new(), problem: Problem::Refused { status: 503, refusal: Box::new(refusal) } }
    }

    /// Asks a peer that says `code` so many times before it answers: the answer, and how often it was asked.
    async fn asked(patience: &mut Patience, code: &str, times: u32) -> (Result<(), CallError>, u32) {
        let count = Cell::new(0);
        let answer = patience.insist(|| {
            count.set(count.get() + 1);
            std::future::ready(if count.get() > times { Ok(()) } else { Err(refused(code)) })
        });
        (answer.await, count.get())
    }

    #[actix_rt::test]
    async fn a_busy_peer_is_asked_again_until_it_answers_and_not_for_ever() {
        let mut patience = Patience { times: 5, pause: Duration::ZERO };
        assert_eq!(asked(&mut patience, "no_such_block", 1).await, (Err(refused("no_such_block")), 1));
        assert_eq!(asked(&mut patience, "busy", 3).await, (Ok(()), 4));
        assert_eq!(asked(&mut patience, "busy", 9).await, (Err(refused("busy")), 3), "one bound for the whole search");
    }
}
