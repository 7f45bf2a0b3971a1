use super::core::{free, sender};
use crate::broadcaster::{ForwardOutcome, TransactionForwarded};
use crate::callboard::{Callboard, Delivery, Kind, Origin, Phase, Role};
use crate::event_stream::TransactionPending;
use crate::guard::{Stop, StopOrder, StopOutcome};
use crate::monitor::Metrics;
use crate::send::probe::{Probe, idle_probe, probe};
use crate::send::{ActorRegistry, Inbox, Mailbox};
use crate::transport::NodeId;
use crate::transport::wire::{TransactionAnswer, TransactionResult};
use crate::tx_pool::*;
use actix::Arbiter;
use alloy_primitives::{Address, B256, U256};
use callboard_chain::keys::SecretKey;
use callboard_chain::{BaseFeePolicy, StateReadError};
use std::sync::Arc;
use std::time::Duration;

/// The sender that has nothing.
const BROKE: u8 = 0xee;
const SOON: Duration = Duration::from_secs(20);

struct Bench {
    accepted: Probe<TransactionAccepted>,
    proposer: Probe<PendingChanged>,
    events: Probe<TransactionPending>,
    callboard: Callboard,
    metrics: Metrics,
}

impl Bench {
    /// A running pool on a node of this role and phase. The account of `sender(0xff)` cannot be read.
    async fn start(role: Role, phase: Phase) -> (Self, Inboxes) {
        let (accepted_port, accepted) = probe(|_| ()).await;
        Self::start_with(role, phase, accepted_port, accepted, PoolConfig::default()).await
    }

    async fn start_with(
        role: Role,
        phase: Phase,
        accepted_port: Inbox<TransactionAccepted>,
        accepted: Probe<TransactionAccepted>,
        config: PoolConfig,
    ) -> (Self, Inboxes) {
        let (registry, _deaths) = ActorRegistry::new();
        let mailbox = Mailbox::open(&Arbiter::current(), registry.actor("TxPool", 64)).await.expect("it runs");
        let inboxes = Inboxes::of(&mailbox);
        let (proposer_port, proposer) = probe(|_| ()).await;
        let callboard = Callboard::new(role);
        callboard.set_phase(phase);
        let accounts: ReadAccount = Arc::new(|address: Address| {
            if address == sender(0xff) {
                return Err(StateReadError("the disk is gone".into()));
            }
            let balance = if address == sender(BROKE) { U256::ZERO } else { U256::MAX };
            Ok(AccountState { nonce: 0, balance })
        });
        let metrics = Metrics::new();
        let pool_metrics = PoolMetrics::register(&metrics);
        let (events_port, events) = probe(|_| ()).await;
        let ports = Ports {
            accepted: accepted_port,
            events: events_port,
            proposer: Some(proposer_port),
            accounts,
            callboard: callboard.clone(),
        };
        mailbox.start(move |_| TxPool::new(config, BaseFeePolicy::Zero, 0, ports, pool_metrics));
        (Self { accepted, proposer, events, callboard, metrics }, inboxes)
    }
}

struct Inboxes {
    submit: Inbox<SubmitTransaction>,
    batch: Inbox<SubmitTransactions>,
    stored: Inbox<BlocksStored>,
    rolled_back: Inbox<ChainRolledBack>,
    drop: Inbox<DropTransaction>,
    best: Inbox<BestTransactions>,
    nonce: Inbox<PendingNonce>,
    pending: Inbox<PendingTransaction>,
    content: Inbox<PoolContent>,
    status: Inbox<PoolStatus>,
    held: Inbox<HeldTransactions>,
    fate: Inbox<TransactionFate>,
    refused: Inbox<TransactionsRefused>,
    forwarded: Inbox<TransactionForwarded>,
    stop: Inbox<Stop>,
}

impl Inboxes {
    fn of(mailbox: &Mailbox<TxPool>) -> Self {
        Self {
            submit: mailbox.inbox(),
            batch: mailbox.inbox(),
            stored: mailbox.inbox(),
            rolled_back: mailbox.inbox(),
            drop: mailbox.inbox(),
            best: mailbox.inbox(),
            nonce: mailbox.inbox(),
            pending: mailbox.inbox(),
            content: mailbox.inbox(),
            status: mailbox.inbox(),
            held: mailbox.inbox(),
            fate: mailbox.inbox(),
            refused: mailbox.inbox(),
            forwarded: mailbox.inbox(),
            stop: mailbox.inbox(),
        }
    }
}

fn by_rpc(byte: u8, nonce: u64) -> SubmitTransaction {
    SubmitTransaction { transaction: free(byte, nonce), sender: sender(byte), origin: Origin::Rpc }
}

fn peer() -> NodeId {
    NodeId::of(&SecretKey::from_bytes([7; 32]).expect("a key"))
}

#[actix::test]
async fn a_transaction_from_rpc_is_held_and_goes_on_as_the_routing_table_says() {
    let (mut bench, pool) = Bench::start(Role::Follower, Phase::Following).await;
    let hash = *free(1, 0).hash();
    assert_eq!(pool.submit.ask(by_rpc(1, 0), SOON).await, Ok(Ok(hash)));
    let accepted = bench.accepted.next().await;
    assert_eq!((accepted.transaction.hash(), accepted.origin, accepted.peer), (hash, Origin::Rpc, None));
    assert_eq!(accepted.deliveries, [Delivery::ForwardTransaction, Delivery::RelayTransaction]);
    assert_eq!(bench.events.next().await.transaction.hash(), hash);
    assert_eq!(bench.callboard.delivered(Origin::Rpc, Kind::Transaction, Delivery::PoolTransaction), 1);

    assert_eq!(pool.submit.ask(by_rpc(1, 0), SOON).await, Ok(Err(PoolError::AlreadyKnown)));
    assert!(bench.accepted.try_next().is_none(), "a known transaction is not relayed again");
    assert_eq!(bench.callboard.delivered(Origin::Rpc, Kind::Transaction, Delivery::PoolTransaction), 1);

    assert_eq!(pool.nonce.ask(PendingNonce { address: sender(1) }, SOON).await, Ok(Ok(1)));
    let found = pool.pending.ask(PendingTransaction { hash }, SOON).await.expect("answered").expect("held");
    assert_eq!(found.sender, sender(1));
    let best = BestTransactions { gas: u64::MAX, bytes: usize::MAX, base_fee: 0, block_gas: u64::MAX };
    assert_eq!(pool.best.ask(best, SOON).await.expect("answered").len(), 1);
    assert_eq!(pool.content.ask(PoolContent { sender: None }, SOON).await.expect("answered").pending.len(), 1);
    assert_eq!(pool.status.ask(PoolStatus, SOON).await.expect("answered").pending, 1);
}

#[actix::test]
async fn each_transaction_of_a_peer_gets_its_own_answer() {
    let (mut bench, pool) = Bench::start(Role::Authority, Phase::Following).await;
    let of = |byte, nonce| (free(byte, nonce), sender(byte));
    let batch = SubmitTransactions { transactions: vec![of(1, 0), of(1, 0), of(2, 5_000), of(3, 0)], peer: peer() };
    let answers = pool.batch.ask(batch, SOON).await.expect("answered");
    assert_eq!((&answers[0], &answers[1], &answers[3]), (&Taken::Taken, &Taken::Known, &Taken::Taken));
    assert!(matches!(answers[2], Taken::Refused(PoolError::NonceTooHigh { .. })));
    let accepted = bench.accepted.next().await;
    assert_eq!((accepted.origin, accepted.peer), (Origin::Peer, Some(peer())));
    assert_eq!(accepted.deliveries, [Delivery::RelayTransaction]);
    assert_eq!(bench.accepted.next().await.transaction.sender, sender(3));
}

#[actix::test]
async fn a_node_that_catches_up_takes_none_from_peers_and_counts_them() {
    let (mut bench, pool) = Bench::start(Role::Follower, Phase::CatchingUp).await;
    let batch = SubmitTransactions { transactions: vec![(free(1, 0), sender(1))], peer: peer() };
    let answers = pool.batch.ask(batch, SOON).await.expect("answered");
    assert_eq!(answers, [Taken::Refused(PoolError::NotNow { phase: Phase::CatchingUp })]);
    assert_eq!(bench.callboard.delivered(Origin::Peer, Kind::Transaction, Delivery::DropTransaction), 1);
    assert!(bench.accepted.try_next().is_none());
    assert_eq!(pool.submit.ask(by_rpc(1, 0), SOON).await, Ok(Ok(*free(1, 0).hash())));
    assert_eq!(bench.accepted.next().await.deliveries, [Delivery::ForwardTransaction]);
}

#[actix::test]
async fn the_proposer_hears_of_the_first_pending_transaction_and_again_after_each_block() {
    let (mut bench, pool) = Bench::start(Role::Authority, Phase::Following).await;
    pool.submit.ask(by_rpc(1, 1), SOON).await.expect("answered").expect("held behind a gap");
    assert!(bench.proposer.try_next().is_none(), "nothing could be included");
    for nonce in [0, 2, 3] {
        pool.submit.ask(by_rpc(1, nonce), SOON).await.expect("answered").expect("taken");
    }
    assert_eq!(bench.proposer.next().await, PendingChanged { pending: true });
    assert!(bench.proposer.try_next().is_none(), "told once");
    pool.stored.ask(BlocksStored { blocks: Arc::new([]), next_base_fee: 0 }, SOON).await.expect("answered");
    assert_eq!(bench.proposer.next().await, PendingChanged { pending: true });
}

#[actix::test]
async fn an_account_that_cannot_be_read_refuses_its_transactions_only() {
    let (bench, pool) = Bench::start(Role::Authority, Phase::Following).await;
    let error = pool.submit.ask(by_rpc(0xff, 0), SOON).await.expect("answered").expect_err("unreadable");
    assert_eq!(error.blame(), callboard_chain::Blame::Local);
    assert!(matches!(error, PoolError::State { .. }), "{error}");
    pool.submit.ask(by_rpc(1, 0), SOON).await.expect("answered").expect("taken");
    let text = bench.metrics.encode();
    for line in ["callboard_pool_refused_total{reason=\"state\"} 1", "callboard_pool_accepted_total 1"] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

#[actix::test]
async fn transactions_of_undone_blocks_come_back_without_being_relayed() {
    let (mut bench, pool) = Bench::start(Role::Authority, Phase::Following).await;
    let returned = vec![(free(1, 0), sender(1)), (free(1, 1), sender(1))];
    pool.rolled_back.ask(ChainRolledBack { returned }, SOON).await.expect("answered");
    assert_eq!(pool.status.ask(PoolStatus, SOON).await.expect("answered").pending, 2);
    assert!(bench.accepted.try_next().is_none());
    let drop = DropTransaction { hash: *free(1, 0).hash(), reason: DropReason::Operator, detail: None };
    assert_eq!(pool.drop.ask(drop.clone(), SOON).await, Ok(true));
    assert_eq!(pool.drop.ask(drop, SOON).await, Ok(false));
    assert_eq!(pool.status.ask(PoolStatus, SOON).await.expect("answered").queued, 1);
}

impl Inboxes {
    async fn story_of(&self, hash: B256) -> Option<Story> {
        self.fate.ask(TransactionFate { hash }, SOON).await.expect("answered")
    }

    async fn fate_of(&self, hash: B256) -> Option<Fate> {
        self.story_of(hash).await.map(|story| story.fate)
    }

    async fn steps_of(&self, hash: B256) -> Vec<Step> {
        let story = self.story_of(hash).await.expect("known");
        story.timeline.into_iter().map(|entry| entry.step).collect()
    }

    async fn by_peer(&self, byte: u8, nonce: u64) -> Taken {
        let batch = SubmitTransactions { transactions: vec![(free(byte, nonce), sender(byte))], peer: peer() };
        self.batch.ask(batch, SOON).await.expect("answered").remove(0)
    }

    async fn told(&self, hash: B256, outcome: ForwardOutcome) {
        self.forwarded.ask(TransactionForwarded { hash, outcome }, SOON).await.expect("told");
    }

    /// The authority answers a forwarded transaction.
    async fn answered(&self, hash: B256, result: TransactionResult) {
        self.told(hash, ForwardOutcome::Answered { by: peer(), answer: TransactionAnswer { hash, result } }).await;
    }
}

#[actix::test]
async fn forward_that_the_broadcaster_had_no_room_for_is_handed_on_later() {
    let (accepted_port, run) = idle_probe(1).await;
    let (_, nobody) = probe(|_| ()).await;
    let (_bench, pool) =
        Bench::start_with(Role::Follower, Phase::Following, accepted_port.clone(), nobody, PoolConfig::default()).await;
    for byte in 1..=3 {
        pool.submit.ask(by_rpc(byte, 0), SOON).await.expect("answered").expect("taken");
    }
    assert_eq!(accepted_port.meter().refused(), 2, "the mailbox has room for one");
    let mut broadcaster = run();
    let arrived = [broadcaster.next().await, broadcaster.next().await, broadcaster.next().await];
    assert_eq!(arrived.each_ref().map(|accepted| accepted.transaction.sender), [1, 2, 3].map(sender));
    assert!(arrived.iter().all(|accepted| accepted.deliveries.contains(&Delivery::ForwardTransaction)));
}

#[actix::test]
async fn forward_that_the_authority_refused_is_dropped_and_the_pool_knows_why() {
    let (mut bench, pool) = Bench::start(Role::Follower, Phase::Following).await;
    let hash = *free(1, 0).hash();
    assert_eq!(pool.fate_of(hash).await, None);
    pool.submit.ask(by_rpc(1, 0), SOON).await.expect("answered").expect("taken");
    let held = |acknowledged_by| Some(Fate::Held { waiting: Waiting::Ready, forwarded: true, acknowledged_by });
    assert_eq!(pool.fate_of(hash).await, held(None));
    pool.answered(hash, TransactionResult::Taken).await;
    assert_eq!(pool.fate_of(hash).await, held(Some(peer())));

    let reason = "nonce too low: next nonce 1, tx nonce 0".to_owned();
    let refused = TransactionResult::Refused { reason: reason.clone(), later: false, confirmed: None };
    pool.answered(hash, refused).await;
    assert_eq!(pool.fate_of(hash).await, Some(Fate::RefusedBy { by: peer(), reason }));
    assert_eq!(pool.status.ask(PoolStatus, SOON).await.expect("answered"), Status::default());
    let line = "callboard_pool_dropped_total{reason=\"refused_by_authority\"} 1";
    assert!(bench.metrics.encode().lines().any(|found| found == line));

    // Resent, it travels again.
    bench.accepted.next().await;
    pool.submit.ask(by_rpc(1, 0), SOON).await.expect("answered").expect("taken again");
    assert_eq!(bench.accepted.next().await.transaction.hash(), hash);
    assert_eq!(pool.fate_of(hash).await, held(None));
}

#[actix::test]
async fn forward_that_a_block_has_already_waits_here_for_that_block() {
    let (_bench, pool) = Bench::start(Role::Follower, Phase::Following).await;
    let hash = *free(1, 0).hash();
    pool.submit.ask(by_rpc(1, 0), SOON).await.expect("answered").expect("taken");
    let reason = "already confirmed in block 7".to_owned();
    pool.answered(hash, TransactionResult::Refused { reason, later: false, confirmed: Some(7) }).await;
    let nonce = pool.nonce.ask(PendingNonce { address: sender(1) }, SOON).await;
    assert_eq!(nonce, Ok(Ok(1)), "it does not go backwards before the block is here");
}

#[actix::test]
async fn pool_says_which_transactions_it_holds_and_how_others_ended() {
    let (_bench, pool) = Bench::start(Role::Authority, Phase::Following).await;
    pool.submit.ask(by_rpc(1, 1), SOON).await.expect("answered").expect("held behind a gap");
    let hashes = vec![*free(1, 0).hash(), *free(1, 1).hash()];
    assert_eq!(pool.held.ask(HeldTransactions { hashes }, SOON).await, Ok(vec![false, true]));
    let waiting = Waiting::Nonces { missing: vec![0..=0] };
    let waiting = Fate::Held { waiting, forwarded: false, acknowledged_by: None };
    assert_eq!(pool.fate_of(*free(1, 1).hash()).await, Some(waiting));
    let error = pool.submit.ask(by_rpc(2, 5_000), SOON).await.expect("answered").expect_err("far ahead");
    assert_eq!(pool.fate_of(*free(2, 5_000).hash()).await, Some(Fate::Refused { reason: error.to_string() }));
    let drop = DropTransaction { hash: *free(1, 1).hash(), reason: DropReason::Operator, detail: None };
    assert_eq!(pool.drop.ask(drop.clone(), SOON).await, Ok(true));
    assert_eq!(pool.fate_of(drop.hash).await, Some(Fate::Dropped(DropReason::Operator)));
}

#[actix::test]
async fn what_the_operator_dropped_is_refused_to_peers_for_good_and_taken_over_rpc() {
    let (_bench, pool) = Bench::start(Role::Authority, Phase::Following).await;
    let hash = *free(1, 0).hash();
    assert_eq!(pool.by_peer(1, 0).await, Taken::Taken);
    let drop = DropTransaction { hash, reason: DropReason::Operator, detail: None };
    assert_eq!(pool.drop.ask(drop, SOON).await, Ok(true));
    for _ in 0..2 {
        assert_eq!(pool.by_peer(1, 0).await, Taken::Refused(PoolError::DroppedByOperator));
    }
    assert_eq!(pool.fate_of(hash).await, Some(Fate::Dropped(DropReason::Operator)), "and why it is not there");
    assert_eq!(pool.steps_of(hash).await.last(), Some(&Step::KeptOut { from: Source::Peer(peer()) }));
    assert_eq!(pool.submit.ask(by_rpc(1, 0), SOON).await, Ok(Ok(hash)));
    assert_eq!(pool.by_peer(1, 0).await, Taken::Known);
}

#[actix::test]
async fn what_failed_in_a_block_is_refused_to_peers_with_the_reason_of_the_build() {
    let (_bench, pool) = Bench::start(Role::Authority, Phase::Following).await;
    let hash = *free(1, 0).hash();
    assert_eq!(pool.by_peer(1, 0).await, Taken::Taken);
    let detail = Some("the sender has code".to_owned());
    let drop = DropTransaction { hash, reason: DropReason::Invalid, detail: detail.clone() };
    assert_eq!(pool.drop.ask(drop, SOON).await, Ok(true));
    let reason = "the sender has code".to_owned();
    assert_eq!(pool.by_peer(1, 0).await, Taken::Refused(PoolError::Invalid { reason }));
    let dropped = Step::Dropped { reason: DropReason::Invalid, by: None, detail };
    assert!(pool.steps_of(hash).await.contains(&dropped));
}

#[actix::test]
async fn forward_that_the_authority_has_to_put_off_is_acknowledged_no_longer() {
    let (_bench, pool) = Bench::start(Role::Follower, Phase::Following).await;
    let hash = *free(1, 0).hash();
    pool.submit.ask(by_rpc(1, 0), SOON).await.expect("answered").expect("taken");
    pool.told(hash, ForwardOutcome::Sent { to: vec![peer()] }).await;
    pool.answered(hash, TransactionResult::Taken).await;
    let held = |acknowledged_by| Some(Fate::Held { waiting: Waiting::Ready, forwarded: true, acknowledged_by });
    assert_eq!(pool.fate_of(hash).await, held(Some(peer())));
    // The authority had to make room since, and is full.
    let reason = "txpool is full".to_owned();
    pool.told(hash, ForwardOutcome::NotNow { by: peer(), reason: reason.clone() }).await;
    assert_eq!(pool.fate_of(hash).await, held(None));
    let expected = [
        Step::Arrived { from: Source::Rpc },
        Step::Checked,
        Step::Forwarded { to: vec![peer()] },
        Step::Acknowledged { by: peer() },
        Step::NotNow { by: peer(), reason },
    ];
    assert_eq!(pool.steps_of(hash).await, expected);
    pool.answered(hash, TransactionResult::Known).await;
    pool.told(hash, ForwardOutcome::Unacknowledged).await;
    assert_eq!(pool.fate_of(hash).await, held(None), "the last forward came to nobody");
}

#[actix::test]
async fn what_was_refused_before_it_came_to_the_pool_can_be_asked_for() {
    let (_bench, pool) = Bench::start(Role::Follower, Phase::Following).await;
    let hash = B256::repeat_byte(7);
    let (refused, from) = (vec![(hash, "intrinsic gas too low".to_owned())], Source::Peer(peer()));
    pool.refused.ask(TransactionsRefused { refused, from }, SOON).await.expect("told");
    let reason = "intrinsic gas too low".to_owned();
    assert_eq!(pool.fate_of(hash).await, Some(Fate::Refused { reason: reason.clone() }));
    assert_eq!(pool.steps_of(hash).await, [Step::Refused { from, reason }]);
}

#[actix::test]
async fn limits_on_senders_hold_for_what_peers_bring_as_well() {
    let config = PoolConfig { senders: [sender(1)].into(), ..PoolConfig::default() };
    let (accepted_port, accepted) = probe(|_| ()).await;
    let (_bench, pool) = Bench::start_with(Role::Authority, Phase::Following, accepted_port, accepted, config).await;
    assert_eq!(pool.by_peer(1, 0).await, Taken::Taken);
    assert_eq!(pool.by_peer(2, 0).await, Taken::Refused(PoolError::SenderNotAllowed { sender: sender(2) }));

    let config = PoolConfig { unfunded: Unfunded::Limit, max_transactions: 10, ..PoolConfig::default() };
    let (accepted_port, accepted) = probe(|_| ()).await;
    let (_bench, pool) = Bench::start_with(Role::Authority, Phase::Following, accepted_port, accepted, config).await;
    assert_eq!(pool.by_peer(BROKE, 0).await, Taken::Taken);
    let Taken::Refused(error) = pool.by_peer(BROKE, 1).await else { panic!("one in ten is held") };
    assert!(matches!(error, PoolError::Unfunded { limit: 1, .. }) && error.is_passing(), "{error}");
    assert_eq!(pool.by_peer(1, 0).await, Taken::Taken);
}

#[actix::test]
async fn the_pool_stops_when_told() {
    let (_bench, pool) = Bench::start(Role::Authority, Phase::Following).await;
    assert_eq!(StopOrder::new().then(pool.stop, SOON).stop().await, [("TxPool", StopOutcome::Stopped)]);
}
