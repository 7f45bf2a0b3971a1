//! A whole run: nodes and liars at their places, faults as the story has them, and the properties along the way.

use super::chain::FIXTURES;
use super::disk::Disk;
use super::env::{Env, Event, Guard, Log};
use super::liar::Liar;
use super::network::{Conditions, Network};
use super::node::Node;
use super::properties::Properties;
use super::rng::Rng;
use super::story::{Fault, HEAL, Kind, Story};
use alloy_primitives::B256;
use callboard_actors::callboard::{Phase, Role};
use callboard_chain::Block;
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

/// Runs one seed, with one guard of the shell removed where a test wants that.
pub(crate) fn run(seed: u64, removed: Option<Guard>, print: bool) -> Ending {
    World::new(seed, removed, print).run()
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
        properties.other_branches.extend(FIXTURES.dead_branch.iter().map(|block| block.hash()));
        let network = Network::new(story.conditions);
        let mut env = Env::new(rng, network, properties, Log::new(print), removed);
        for (number, (at, _)) in story.faults.iter().enumerate() {
            env.after(*at, Event::Fault(number));
        }
        env.after(Duration::from_secs(1), Event::Submit);
        Self { story, nodes, liars, env, level_since: None }
    }

    fn run(mut self) -> Ending {
        while let Some(event) = self.env.next_event() {
            self.handle(event);
            if self.env.properties.violation().is_some() || self.is_over() {
                break;
            }
        }
        self.check_end();
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
            Fault::Start(place) => self.nodes[place].start(&mut self.env),
            Fault::Crash(place) => self.nodes[place].crash(&mut self.env),
            Fault::Conditions(conditions) => self.env.network.conditions = conditions,
            Fault::Partition(parts) => self.env.network.parts = parts,
            Fault::Backup(place) => self.nodes[place].backup = Some(self.nodes[place].disk.copy()),
            Fault::Restore { place, with_mark } => self.restore(place, with_mark),
            Fault::Reset(place) => self.reset(place),
            Fault::Clock { place, ahead } => self.nodes[place].clock_ahead = ahead,
            Fault::Heal => self.heal(),
        }
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
        for node in &mut self.nodes {
            node.clock_ahead = 0;
            node.start(&mut self.env);
        }
    }

    fn is_over(&mut self) -> bool {
        if self.env.now < HEAL {
            return false;
        }
        let is_level = self.nodes.iter().all(|node| self.is_where_it_ends(node));
        if !is_level {
            self.level_since = None;
            return self.env.now > HEAL + RECOVERY;
        }
        let since = *self.level_since.get_or_insert(self.env.now);
        self.env.now.saturating_sub(since) > SETTLED
    }

    fn is_where_it_ends(&self, node: &Node) -> bool {
        match self.story.kind {
            Kind::Reset => !self.is_shown_reset(node) || node.phase() == Some(Phase::Diverged),
            _ => self.is_level(node) || self.is_on_other_branch(node) || self.waits_for_operator(),
        }
    }

    /// The node's own seed shows that the chain has begun anew.
    fn is_shown_reset(&self, node: &Node) -> bool {
        self.story.kind == Kind::Reset && node.place > 0 && node.seeds.contains(&0)
    }

    /// Whether the node says that it is in sync, and is.
    fn is_level(&self, node: &Node) -> bool {
        let authority = &self.nodes[0];
        let height = node.disk.height();
        node.is_ready(&self.env)
            && height + ON_THE_WAY >= authority.disk.height()
            && authority.disk.hash(height).is_none_or(|hash| node.disk.hash(height) == Some(hash))
    }

    fn check_end(&mut self) {
        for node in &self.nodes {
            self.env.properties.kept(node.place, |height| node.disk.hash(height));
        }
        let converges = !self.env.properties.equivocated;
        for node in &self.nodes {
            if (converges || self.is_shown_reset(node)) && !self.is_where_it_ends(node) {
                let (height, authority, phase) = (node.disk.height(), self.nodes[0].disk.height(), node.phase());
                let what = format!("node {} is at {height} ({phase:?}) and the authority at {authority}", node.place);
                self.env.properties.violate(what);
            }
        }
    }

    /// A node that took a branch which the authority sealed, and which is not the one it extends, cannot get back
    /// without its operator.
    fn is_on_other_branch(&self, node: &Node) -> bool {
        let other =
            |height| node.disk.hash(height).is_some_and(|hash| self.env.properties.other_branches.contains(&hash));
        (1..=node.disk.height()).any(other)
    }

    /// The authority seals no more until its operator decides: it has met a living branch under its own seal, or a
    /// block that it once sealed, and that somebody has seen, is on no disk any more.
    fn waits_for_operator(&self) -> bool {
        let authority = &self.nodes[0];
        match self.story.kind {
            Kind::Twin => authority.phase() == Some(Phase::Diverged),
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
