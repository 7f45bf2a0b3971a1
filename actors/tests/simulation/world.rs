//! A whole run: nodes and liars at their places, faults as the story has them, and the properties along the way.

use super::chain::FIXTURES;
use super::disk::Disk;
use super::env::is_stale;
use super::env::{Env, Event, Guard, Log};
use super::liar::Liar;
use super::liar::Lie;
use super::network::{Conditions, Network};
use super::node::Node;
use super::properties::Properties;
use super::rng::Rng;
use super::story::{Fault, HEAL, Kind, LAST_LOOK, Story};
use alloy_primitives::B256;
use callboard_actors::callboard::{Phase, Role};
use callboard_chain::Block;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// Within this time after everything is well again, every honest node is level with the authority. A configured seed
/// that lied is banned for a minute and dialled again within half of one; that may be all there is.
const RECOVERY: Duration = Duration::from_secs(120);
/// A network that has been level for this long is looked at no longer.
const SETTLED: Duration = Duration::from_secs(10);
/// A follower is level with at most this many blocks on their way to it.
const ON_THE_WAY: u64 = 2;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) violation: Option<String>,
    /// The hash of all events.
    pub(crate) log: u64,
    /// The authority's height.
    pub(crate) height: u64,
    /// How long the run took in its own time.
    pub(crate) lasted: Duration,
}

pub(crate) struct World {
    story: Story,
    nodes: Vec<Node>,
    liars: Vec<Liar>,
    env: Env,
    level_since: Option<Duration>,
}

/// Runs one seed, with one guard of the shell removed where a test wants that. A panic is a violation like any other.
pub(crate) fn run(seed: u64, removed: Option<Guard>, print: bool) -> Ending {
    let mut world = World::new(seed, removed, print);
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| world.run())) {
        world.env.properties.violate(format!("panicked: {}", words(panic.as_ref())));
    }
    world.ending()
}

fn words(panic: &dyn Any) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("without words")
}

impl World {
    fn new(seed: u64, removed: Option<Guard>, print: bool) -> Self {
        let mut rng = Rng::new(seed);
        let story = Story::new(seed, &mut rng);
        if print {
            println!("{story:#?}");
        }
        let role = |place| if place == 0 { Role::Authority } else { Role::Follower };
        let nodes = (0..story.nodes).map(|place| Node::new(place, role(place), story.seeds[place].clone())).collect();
        let liars = story.liars.iter().enumerate();
        let liars = liars.map(|(at, lie)| Liar::new(story.nodes + at, *lie, story.nodes)).collect();
        let mut properties = Properties::default();
        properties.honest.extend(&FIXTURES.ids[..story.nodes]);
        if story.kind == Kind::DeadBranch {
            FIXTURES.dead_branch.iter().for_each(|block| properties.exists(block));
            properties.dead_branch.extend(FIXTURES.dead_branch.iter().map(Block::hash));
            properties.other_branches.extend(&properties.dead_branch);
        }
        // Nobody but the authority is to blame for what it has sealed.
        let honest = |at: &usize| story.liars[*at] == Lie::WrongRoot;
        properties.honest.extend((0..story.liars.len()).filter(honest).map(|at| FIXTURES.ids[story.nodes + at]));
        let network = Network::new(story.conditions);
        let mut env = Env::new(rng, network, properties, Log::new(print), removed);
        for (number, (at, _)) in story.faults.iter().enumerate() {
            env.after(*at, Event::Fault(number));
        }
        env.after(Duration::from_secs(1), Event::Submit);
        Self { story, nodes, liars, env, level_since: None }
    }

    fn run(&mut self) {
        while let Some(event) = self.env.next_event() {
            self.handle(event);
            if self.env.properties.violation().is_some() || self.is_over() {
                break;
            }
        }
        self.check_end();
    }

    fn ending(&self) -> Ending {
        Ending {
            violation: self.env.properties.violation().map(str::to_owned),
            log: self.env.log.hash(),
            height: self.nodes[0].disk.height(),
            lasted: self.env.now,
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Arrive(packet) => match self.liars.get_mut(packet.to.wrapping_sub(self.story.nodes)) {
                Some(liar) => liar.on_message(packet, &mut self.env),
                None => self.nodes[packet.to].on_message(packet, &mut self.env),
            },
            Event::Tick { place, epoch } => match self.liars.get_mut(place.wrapping_sub(self.story.nodes)) {
                Some(liar) => liar.on_tick(&mut self.env),
                None => self.nodes[place].on_tick(epoch, &mut self.env),
            },
            Event::Committed { place, epoch } => self.nodes[place].on_committed(epoch, &mut self.env),
            Event::Marked { place, epoch } => self.nodes[place].on_marked(epoch, &mut self.env),
            Event::Submit => self.submit(),
            Event::Fault(number) => {
                let (_, fault) = self.story.faults[number].clone();
                self.apply(fault);
            }
        }
    }

    /// A client's transaction reaches the authority.
    fn submit(&mut self) {
        assert!(!self.env.is_removed(Guard::NoPanic), "no guard against this panic");
        self.env.submitted = (self.env.submitted + 1).min(FIXTURES.transfers.len());
        let delay = self.env.rng.millis(300, 3_000);
        self.env.after(delay, Event::Submit);
    }

    fn apply(&mut self, fault: Fault) {
        if !matches!(fault, Fault::Start(_)) {
            self.env.note(format_args!("{fault:?}"));
        }
        match fault {
            Fault::Start(place) if place >= self.nodes.len() => {
                self.env.after(Duration::ZERO, Event::Tick { place, epoch: 0 });
            }
            Fault::Start(place) => self.start(place),
            Fault::Crash(place) => self.nodes[place].crash(&mut self.env),
            Fault::Conditions(conditions) => self.env.network.conditions = conditions,
            Fault::Partition(parts) => self.env.network.parts = parts,
            Fault::Backup(place) => self.nodes[place].backup = Some(self.nodes[place].disk.copy()),
            Fault::Restore { place, with_mark } => self.restore(place, with_mark),
            Fault::Reset(place) => self.reset(place),
            Fault::Clock { place, ahead } => self.set_clock(place, ahead),
            Fault::Leave => {
                self.nodes[0].crash(&mut self.env);
                self.env.authority_is_gone = true;
            }
            Fault::Heal => self.heal(),
            Fault::Operator => (0..self.nodes.len()).for_each(|place| self.operate(place)),
        }
    }

    fn start(&mut self, place: usize) {
        if place > 0 || !self.env.authority_is_gone {
            self.nodes[place].start(&mut self.env);
        }
    }

    fn set_clock(&mut self, place: usize, ahead: i64) {
        self.nodes[place].clock_ahead = ahead;
        self.env.properties.gets_on(place);
    }

    /// The operator does what the node says: on the authority he accepts the other branch as known and dead, or gives
    /// up what nobody has; of the others he takes those that are on another branch back to where it parts.
    fn operate(&mut self, place: usize) {
        let Some(process) = &self.nodes[place].process else { return };
        let (phase, found) = (process.sync.phase(), process.sync.divergence().cloned());
        let waits = self.waits_for_operator();
        let node = &mut self.nodes[place];
        match (phase, found) {
            (_, _) if self.story.kind == Kind::Reset && place > 0 => return self.join_new_chain(place),
            (Phase::Diverged, Some(found)) if place == 0 => _ = node.accepted.insert((found.height, found.theirs)),
            (Phase::Stalled, _) if place == 0 && waits => {
                node.abandon();
                self.env.properties.mark_is_lost = true;
            }
            (Phase::Diverged, Some(found)) if !self.is_on_the_authoritys_branch(place) => {
                let Some(common) = found.last_common_height else { return };
                let node = &mut self.nodes[place];
                node.crash(&mut self.env);
                node.decide_for(&found);
                node.roll_back(common, &mut self.env);
            }
            _ => return,
        }
        let node = &mut self.nodes[place];
        self.env.note(format_args!("the operator starts node {place} anew"));
        node.crash(&mut self.env);
        node.start(&mut self.env);
    }

    /// The follower starts with an empty data directory, and takes the genesis that the authority has now.
    fn join_new_chain(&mut self, place: usize) {
        let genesis = self.nodes[0].genesis.clone();
        let node = &mut self.nodes[place];
        if node.genesis.hash() == genesis.hash() {
            return;
        }
        node.crash(&mut self.env);
        node.disk = Disk::new(&genesis);
        node.genesis = genesis;
        self.env.properties.forget_genesis(place);
        node.start(&mut self.env);
    }

    fn restore(&mut self, place: usize, with_mark: bool) {
        let node = &mut self.nodes[place];
        node.crash(&mut self.env);
        let Some(backup) = node.backup.take() else { return };
        node.disk = backup;
        if !with_mark {
            node.mark = None;
            self.env.properties.mark_is_lost = true;
        }
        self.env.properties.restored(place, node.disk.height());
        node.start(&mut self.env);
    }

    fn reset(&mut self, place: usize) {
        let node = &mut self.nodes[place];
        node.crash(&mut self.env);
        node.genesis = FIXTURES.other_genesis.clone();
        node.disk = Disk::new(&node.genesis);
        node.mark = None;
        self.env.properties.mark_is_lost = true;
        self.env.properties.equivocated = true;
        self.env.properties.restored(place, 0);
        self.env.properties.forget_genesis(place);
        node.start(&mut self.env);
    }

    fn heal(&mut self) {
        self.env.network.parts = Default::default();
        self.env.network.conditions = Conditions::GOOD;
        for place in 0..self.nodes.len() {
            self.set_clock(place, 0);
            self.start(place);
        }
    }

    fn is_over(&mut self) -> bool {
        let last = if self.story.has_operator { LAST_LOOK } else { HEAL };
        if self.env.now < last {
            return false;
        }
        if !(0..self.nodes.len()).all(|place| self.is_where_it_ends(place)) {
            self.level_since = None;
            return self.env.now > last + RECOVERY;
        }
        let since = *self.level_since.get_or_insert(self.env.now);
        self.env.now.saturating_sub(since) > SETTLED
    }

    fn check_end(&mut self) {
        for node in &self.nodes {
            self.env.properties.kept(node.place, |height| node.disk.hash(height));
        }
        for place in (0..self.nodes.len()).filter(|place| !self.is_where_it_ends(*place)).collect::<Vec<_>>() {
            let (node, authority) = (&self.nodes[place], &self.nodes[0]);
            let (height, phase) = (node.disk.height(), node.phase());
            let (at, its_phase) = (authority.disk.height(), authority.phase());
            let what = format!("node {place} is at {height} ({phase:?}) and the authority at {at} ({its_phase:?})");
            self.env.properties.violate(what);
        }
    }

    /// Everybody is level with the authority and says so, unless an operator is needed: then each node that he has to
    /// look at says that it is stalled or diverged.
    fn is_where_it_ends(&self, place: usize) -> bool {
        let kind = self.story.kind;
        if kind == Kind::Unconfirmable {
            return self.has_halted(place);
        }
        if self.story.has_operator {
            return self.is_level(place);
        }
        if kind == Kind::Reset {
            return self.ends_beside_new_chain(place);
        }
        if !self.is_on_the_authoritys_branch(place) {
            return self.ends_on_other_branch(place);
        }
        let says_why = self.waits_for_operator() && self.says_so(place) || self.meets_the_rival(place);
        self.is_level(place) || ((self.is_at_the_end(place) || self.waits_for_the_rival(place)) && says_why)
    }

    /// It is shown the rival's head, the only living one, by somebody who sends no blocks. So it does not know that they
    /// are of another branch, and takes nothing old.
    fn waits_for_the_rival(&self, place: usize) -> bool {
        let is_dead = is_stale(self.nodes[0].disk.header().timestamp, self.env.wall(0));
        self.story.kind == Kind::Rival && is_dead && self.nodes[place].phase() == Some(Phase::Stalled)
    }

    /// Whether the node says that it is in sync, and is.
    fn is_level(&self, place: usize) -> bool {
        self.nodes[place].is_ready(&self.env) && self.is_on_the_authoritys_branch(place) && self.is_at_the_end(place)
    }

    /// Whether it holds what the authority holds, but for what is on its way.
    fn is_at_the_end(&self, place: usize) -> bool {
        self.nodes[place].disk.height() + ON_THE_WAY >= self.nodes[0].disk.height()
    }

    fn is_on_the_authoritys_branch(&self, place: usize) -> bool {
        let (node, authority) = (&self.nodes[place].disk, &self.nodes[0].disk);
        let height = node.height().min(authority.height());
        node.hash(height) == authority.hash(height)
    }

    /// Whether the node says that something is wrong.
    fn says_so(&self, place: usize) -> bool {
        matches!(self.nodes[place].phase(), Some(Phase::Stalled | Phase::Diverged))
    }

    /// A node that has met the living branch of a rival says so, wherever it is itself: it cannot know which is right. The
    /// authority need not have met it.
    fn meets_the_rival(&self, place: usize) -> bool {
        let Some(process) = self.nodes[place].process.as_ref().filter(|_| self.story.kind == Kind::Rival) else {
            return false;
        };
        let is_rivals = |theirs: &B256| self.env.properties.other_branches.contains(theirs);
        process.sync.phase() == Phase::Diverged
            && process.sync.divergence().is_some_and(|found| is_rivals(&found.theirs))
    }

    /// A node on a branch that the authority does not extend cannot get back without its operator, and says that it is
    /// diverged, or, where nobody that it is connected to shows it another branch, that it is stalled. Unless its branch is
    /// the living one: then the authority's is the one that nobody extends.
    fn ends_on_other_branch(&self, place: usize) -> bool {
        let (node, authority) = (&self.nodes[place], &self.nodes[0]);
        let may_be = match self.story.kind {
            Kind::Twin | Kind::Rival | Kind::DeadBranch => true,
            Kind::RestoredWithoutMark => self.env.properties.equivocated,
            _ => false,
        };
        let is_the_living_one =
            self.story.kind == Kind::Rival && is_stale(authority.disk.header().timestamp, self.env.wall(0));
        // Who shows that branch streams nothing live: a node on it is now level, now behind.
        let follows_it = is_the_living_one && node.phase() != Some(Phase::Stalled);
        let sees_nothing_else = !is_the_living_one
            && node.phase() == Some(Phase::Stalled)
            && !self.is_connected_to_the_authoritys_branch(place);
        may_be && (node.phase() == Some(Phase::Diverged) || follows_it || sees_nothing_else)
    }

    fn is_connected_to_the_authoritys_branch(&self, place: usize) -> bool {
        let sessions = self.nodes[place].process.iter().flat_map(|process| process.sessions.values());
        let mut honest = sessions.map(|session| session.place).filter(|place| *place < self.nodes.len());
        honest.any(|place| self.is_on_the_authoritys_branch(place))
    }

    /// Who has the authority as a seed is shown that the chain has begun anew. The others see no new block any more.
    /// The authority itself meets the old chain at its seeds, and decides nothing without its operator.
    fn ends_beside_new_chain(&self, place: usize) -> bool {
        let node = &self.nodes[place];
        match place {
            0 => self.is_level(0) || self.says_so(0),
            _ if node.seeds.contains(&0) => node.phase() == Some(Phase::Diverged),
            _ => self.says_so(place),
        }
    }

    /// Everybody has what came before the block that nobody can confirm, and says why nothing comes after it.
    fn has_halted(&self, place: usize) -> bool {
        let node = &self.nodes[place];
        let Some(process) = &node.process else { return place == 0 };
        let wrong = self.env.properties.unconfirmable.map(|(height, _)| height);
        process.sync.halted().is_some()
            && process.sync.phase() == Phase::Stalled
            && wrong == Some(node.disk.height() + 1)
    }

    /// The authority seals no more until its operator decides: it has met a living branch under its own seal, or a
    /// block that it once sealed, and that somebody has seen, is on no disk any more.
    fn waits_for_operator(&self) -> bool {
        let authority = &self.nodes[0];
        let meets_another = authority.phase() == Some(Phase::Diverged);
        match self.story.kind {
            Kind::Twin => meets_another,
            // The rival's branch may be higher than its own, and none of it be had.
            Kind::Rival => self.says_so(0),
            Kind::RestoredWithoutMark if self.env.properties.equivocated && meets_another => true,
            Kind::Restored | Kind::RestoredWithoutMark => {
                let is_kept = |height, hash| self.nodes.iter().any(|node| node.disk.hash(height) == Some(hash));
                let marked = authority.mark.as_ref().map(Block::hash);
                let lost = |(height, hash): (u64, B256)| !is_kept(height, hash) && marked != Some(hash);
                authority.phase() == Some(Phase::Stalled) && self.env.properties.all_sealed().any(lost)
            }
            _ => false,
        }
    }
}
