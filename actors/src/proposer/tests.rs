//! A real proposer with probe ports and a clock of its own.

use super::*;
use crate::confirmed_state::{BuildBlock, SealBlock};
use crate::guard::DeathWatch;
use crate::monitor::{Alarm, Alarms};
use crate::send::probe::{Probe, probe};
use crate::send::{ActorRegistry, Inbox, Mailbox};
use crate::testing::{genesis, key};
use crate::tx_pool::{BestTransactions, DropTransaction};
use alloy_primitives::B256;
use callboard_chain::live::{BuildError, SealCandidateError};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);
const SOON: Duration = Duration::from_secs(20);

/// An authority that seals a block, also an empty one, whenever it may. Building fails, so it tries again and again.
struct Bench {
    clock: Arc<Mutex<Now>>,
    alarms: Alarms,
    asked: Probe<BestTransactions>,
    _permission: Inbox<ProposePermission>,
    _deaths: DeathWatch,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn start() -> Self {
        let genesis = genesis(1337, 30_000_000);
        let folder = tempfile::tempdir().unwrap();
        let (best, asked) = probe(|_: &BestTransactions| Vec::new()).await;
        let (build, _) = probe(|_: &BuildBlock| Err(BuildError::HeightExhausted)).await;
        let (seal, _) = probe(|_: &SealBlock| Err(SealCandidateError::NoCandidate { hash: B256::ZERO })).await;
        let (drop, _) = probe(|_: &DropTransaction| false).await;
        let clock = Arc::new(Mutex::new(Now { monotonic: Duration::ZERO, wall: HOUR }));
        let (alarms, read) = (Alarms::default(), clock.clone());
        let setup = Setup {
            schedule: Schedule { interval: Duration::ZERO, empty_blocks: true, heartbeat: HOUR },
            config: Arc::new(genesis.config().clone()),
            key: key(1),
            mark: HighWater::open(folder.path(), genesis.hash()).unwrap(),
            next_base_fee: 0,
            head_height: 0,
            head_timestamp: HOUR.as_secs(),
            has_room: Box::new(|| Ok(())),
            alarms: alarms.clone(),
            clock: Box::new(move || *read.lock()),
        };
        let (registry, deaths) = ActorRegistry::new();
        let mailbox = Mailbox::open(&actix::Arbiter::current(), registry.actor("Proposer", 64)).await.unwrap();
        let permission: Inbox<ProposePermission> = mailbox.inbox();
        mailbox.start(move |_| Proposer::new(Ports { best, drop, build, seal, passports: Default::default() }, setup));
        permission.signal(ProposePermission { may_propose: true });
        Self { clock, alarms, asked, _permission: permission, _deaths: deaths, _folder: folder }
    }

    /// So much time passes on the monotonic clock, and so much by the wall clock.
    fn passes(&self, monotonic: Duration, wall: Duration) {
        let mut clock = self.clock.lock();
        (clock.monotonic, clock.wall) = (clock.monotonic + monotonic, clock.wall + wall);
    }

    async fn alarm_is(&self, raised: bool) {
        let changed = async {
            while self.alarms.is_raised(Alarm::ProposerClock) != raised {
                tokio::time::sleep(Duration::from_millis(1)).await; // the clocks are read every few milliseconds
            }
        };
        tokio::time::timeout(SOON, changed).await.expect("the alarm changes");
    }

    async fn proposes(&mut self) {
        tokio::time::timeout(SOON, self.asked.next()).await.expect("it goes on");
    }
}

#[actix_rt::test]
async fn an_authority_whose_wall_clock_moved_raises_the_alarm_and_seals_nothing_until_the_clocks_agree() {
    let mut bench = Bench::start().await;
    bench.proposes().await;
    bench.passes(Duration::from_secs(1), Duration::from_secs(32));
    bench.alarm_is(true).await;
    assert!(bench.alarms.sentences().join("").contains("the wall clock has moved 31 s"));
    // What was asked before the clock was moved.
    while bench.asked.try_next().is_some() {}
    // The pause after the failure is over again and again meanwhile.
    for _ in 0..20 {
        bench.passes(Duration::from_secs(1), Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(10)).await; // two looks at the clocks
    }
    assert_eq!(bench.asked.try_next(), None, "it proposes");
    assert!(bench.alarms.is_raised(Alarm::ProposerClock));
    bench.passes(Duration::from_secs(31), Duration::ZERO);
    bench.alarm_is(false).await;
    bench.proposes().await;
}

#[actix_rt::test]
async fn an_authority_whose_host_was_suspended_goes_on_without_an_alarm() {
    let mut bench = Bench::start().await;
    bench.proposes().await;
    while bench.asked.try_next().is_some() {}
    bench.passes(8 * HOUR, 8 * HOUR);
    bench.proposes().await;
    assert_eq!(bench.alarms.sentences(), Vec::<String>::new());
}
