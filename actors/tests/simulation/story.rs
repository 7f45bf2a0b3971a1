//! What happens in a run: who takes part, how bad the network is, and which faults come when. All of it follows from
//! the seed.

use super::chain::PLACES;
use super::liar::Lie;
use super::network::Conditions;
use super::rng::Rng;
use std::time::Duration;

/// The event a run is about, besides crashes, partitions and liars, which come in every kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    /// The authority is restarted on an older copy of its database.
    Restored,
    /// The same, and its high-water file is gone too.
    RestoredWithoutMark,
    /// The authority begins again with another genesis.
    Reset,
    /// Somebody has the authority's key and seals a second block of a height.
    Twin,
    /// A branch that the authority once sealed and nobody extends is shown again.
    DeadBranch,
    /// Wall clocks that are wrong, and one that jumps.
    Clocks,
    /// Somebody has the authority's key and goes on sealing a branch of his own beside the authority's.
    Rival,
    /// The authority is gone, and the last thing under its seal is a block whose state root nobody can confirm.
    Unconfirmable,
}

impl Kind {
    pub(crate) const ALL: [Self; 9] = [
        Self::Plain,
        Self::Restored,
        Self::RestoredWithoutMark,
        Self::Reset,
        Self::Twin,
        Self::DeadBranch,
        Self::Clocks,
        Self::Rival,
        Self::Unconfirmable,
    ];

    /// What the run of this seed is about.
    pub(crate) fn of(seed: u64) -> Self {
        Self::ALL[(seed % Self::ALL.len() as u64) as usize]
    }

    /// Whether two chains under the authority's seal may be left, of which an operator has to choose one. What the
    /// authority itself has sealed and lost, a liar can hold back from it for ever: then nobody can help.
    fn may_need_an_operator(self, has_liars: bool) -> bool {
        match self {
            Self::Plain | Self::Clocks | Self::Unconfirmable | Self::Rival => false,
            Self::Twin | Self::DeadBranch => true,
            Self::Restored | Self::RestoredWithoutMark | Self::Reset => !has_liars,
        }
    }
}

/// Something that goes wrong, or right again.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    Start(usize),
    Crash(usize),
    Conditions(Conditions),
    Partition([u8; PLACES]),
    Backup(usize),
    /// The node starts on its backup.
    Restore {
        place: usize,
        with_mark: bool,
    },
    Reset(usize),
    Clock {
        place: usize,
        ahead: i64,
    },
    /// The authority dies, and is never started again.
    Leave,
    /// From here on the network is good, everybody runs, and clocks are right.
    Heal,
    /// The operator looks at every node, and does what it tells him.
    Operator,
}

/// A run, before it begins.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) kind: Kind,
    /// Nodes; the first one is the authority.
    pub(crate) nodes: usize,
    /// The seeds of each node.
    pub(crate) seeds: Vec<Vec<usize>>,
    /// Liars, at the places after the nodes.
    pub(crate) liars: Vec<Lie>,
    pub(crate) conditions: Conditions,
    /// An operator ends the divergence.
    pub(crate) has_operator: bool,
    pub(crate) faults: Vec<(Duration, Fault)>,
}

/// When everything is well again.
pub(crate) const HEAL: Duration = Duration::from_secs(45);
/// When the operator comes for the first time: by then every node has had the time to say what is the matter.
const OPERATOR: Duration = Duration::from_secs(110);
/// He looks again after this, to see what has become of it.
const LOOKS_AGAIN: Duration = Duration::from_secs(30);
const LOOKS: u32 = 3;
/// From here on nobody does anything but the nodes.
pub(crate) const LAST_LOOK: Duration = Duration::from_secs(170);

impl Story {
    pub(crate) fn new(seed: u64, rng: &mut Rng) -> Self {
        let kind = Kind::of(seed);
        let nodes = 3 + rng.below(4);
        let liars = liars(kind, rng);
        let mut seeds: Vec<Vec<usize>> = (0..nodes).map(|place| seeds(place, nodes, liars.len(), rng)).collect();
        if let Some(at) = liars.iter().position(|lie| *lie == Lie::WrongRoot) {
            // It is what has become of the authority, so everybody knows it.
            seeds.iter_mut().skip(1).for_each(|seeds| seeds.push(nodes + at));
        }
        let has_operator = kind.may_need_an_operator(!liars.is_empty()) && rng.chance(500);
        let mut story =
            Self { kind, nodes, seeds, liars, conditions: conditions(rng), has_operator, faults: Vec::new() };
        story.start_all(rng);
        story.add_crashes(rng);
        story.add_partitions(rng);
        story.add_event(rng);
        story.faults.push((HEAL, Fault::Heal));
        if has_operator {
            story.faults.extend((0..LOOKS).map(|look| (OPERATOR + LOOKS_AGAIN * look, Fault::Operator)));
        }
        // Stable: what happens at one instant happens in this order.
        story.faults.sort_by_key(|(at, _)| *at);
        story
    }

    fn start_all(&mut self, rng: &mut Rng) {
        self.faults.push((Duration::ZERO, Fault::Start(0)));
        for place in 1..self.nodes {
            let late = self.kind != Kind::DeadBranch && rng.chance(200);
            let at = if late { rng.millis(10_000, 35_000) } else { rng.millis(0, 3_000) };
            self.faults.push((at, Fault::Start(place)));
        }
        for liar in 0..self.liars.len() {
            self.faults.push((rng.millis(0, 20_000), Fault::Start(self.nodes + liar)));
        }
    }

    fn add_crashes(&mut self, rng: &mut Rng) {
        for _ in 0..rng.below(8) {
            let (place, at) = (rng.below(self.nodes), rng.millis(4_000, 43_000));
            let back = at + if rng.chance(500) { rng.millis(10, 1_000) } else { rng.millis(1_000, 20_000) };
            self.faults.push((at, Fault::Crash(place)));
            self.faults.push((back, Fault::Start(place)));
        }
    }

    fn add_partitions(&mut self, rng: &mut Rng) {
        for _ in 0..rng.below(4) {
            let (at, parts) = (rng.millis(3_000, 35_000), 2 + rng.below(2) as u64);
            let partition = std::array::from_fn(|_| (rng.next() % parts) as u8);
            self.faults.push((at, Fault::Partition(partition)));
            self.faults.push((at + rng.millis(500, 20_000), Fault::Partition([0; PLACES])));
        }
        if rng.chance(300) {
            self.faults.push((rng.millis(3_000, 40_000), Fault::Conditions(conditions(rng))));
        }
    }

    fn add_event(&mut self, rng: &mut Rng) {
        match self.kind {
            Kind::Plain | Kind::Twin | Kind::DeadBranch | Kind::Rival => {}
            Kind::Unconfirmable => self.faults.push((rng.millis(12_000, 35_000), Fault::Leave)),
            Kind::Restored | Kind::RestoredWithoutMark => {
                let place = if self.kind == Kind::Restored && rng.chance(300) { rng.below(self.nodes) } else { 0 };
                let (backup, restore) = (rng.millis(3_000, 18_000), rng.millis(20_000, 40_000));
                let with_mark = self.kind == Kind::Restored;
                self.faults.push((backup, Fault::Backup(place)));
                self.faults.push((restore, Fault::Restore { place, with_mark }));
            }
            Kind::Reset => self.faults.push((rng.millis(15_000, 40_000), Fault::Reset(0))),
            Kind::Clocks => self.add_clocks(rng),
        }
    }

    fn add_clocks(&mut self, rng: &mut Rng) {
        for place in 1..self.nodes {
            let ahead = match rng.below(3) {
                0 => (rng.below(4_000) as i64) - 2_000,
                1 => (rng.below(20_000) as i64) - 10_000,
                _ => (rng.below(7_200_000) as i64) - 3_600_000,
            };
            self.faults.push((Duration::ZERO, Fault::Clock { place, ahead }));
        }
        let (at, ahead) = (rng.millis(10_000, 35_000), (rng.below(120_000) as i64) - 60_000);
        self.faults.push((at, Fault::Clock { place: 0, ahead }));
        self.faults.push((at + rng.millis(1_000, 15_000), Fault::Clock { place: 0, ahead: 0 }));
        // A process that started while its clock was wrong seals nothing when it is right: the operator starts it again.
        self.faults.push((HEAL, Fault::Crash(0)));
    }
}

fn conditions(rng: &mut Rng) -> Conditions {
    match rng.below(3) {
        0 => Conditions::GOOD,
        1 => Conditions { longest: Duration::from_millis(150), lost: 10, repeated: 20, ..Conditions::GOOD },
        _ => Conditions { longest: Duration::from_millis(900), lost: 100, repeated: 100, ..Conditions::GOOD },
    }
}

/// A few of different kinds, or a crowd of one kind: ids cost nothing.
fn liars(kind: Kind, rng: &mut Rng) -> Vec<Lie> {
    let ordinary = |rng: &mut Rng| loop {
        let lie = Lie::ALL[rng.below(Lie::ALL.len())];
        if !matches!(lie, Lie::DeadBranch | Lie::Twin | Lie::Rival | Lie::WrongRoot) {
            return lie;
        }
    };
    let mut liars = match rng.below(4) {
        0 => Vec::new(),
        1 => vec![ordinary(rng); 4 + rng.below(8)],
        _ => (0..1 + rng.below(3)).map(|_| ordinary(rng)).collect(),
    };
    match kind {
        Kind::Twin => liars.push(Lie::Twin),
        Kind::DeadBranch => liars.push(Lie::DeadBranch),
        Kind::Rival => liars.push(Lie::Rival),
        Kind::Unconfirmable => liars.push(Lie::WrongRoot),
        _ => {}
    }
    liars
}

/// Every node has a way to the authority over honest seeds; some have liars among their seeds too.
fn seeds(place: usize, nodes: usize, liars: usize, rng: &mut Rng) -> Vec<usize> {
    let mut seeds = Vec::new();
    if place == 0 {
        seeds.extend((1..nodes).filter(|_| rng.chance(700)));
    } else if rng.chance(700) {
        seeds.push(0);
    }
    if seeds.is_empty() {
        seeds.push(if place == 0 { 1 } else { rng.below(place) });
    }
    let other = rng.below(nodes);
    if other != place && !seeds.contains(&other) {
        seeds.push(other);
    }
    if liars > 0 && rng.chance(400) {
        seeds.push(nodes + rng.below(liars));
    }
    seeds
}
