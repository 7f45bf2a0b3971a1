//! The table in use: with the node's role and phase, and a count of each delivery.

use super::table::{Delivery, Kind, Origin, Phase, Role, route};
use parking_lot::RwLock;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const ORIGINS: usize = Origin::ALL.len();
const KINDS: usize = Kind::ALL.len();
const DELIVERIES: usize = Delivery::ALL.len();

/// Directs every block and transaction of a node, and counts where they went. Shared; cheap to clone.
#[derive(Debug, Clone)]
pub struct Callboard(Arc<Board>);

#[derive(Debug)]
struct Board {
    now: RwLock<(Role, Phase)>,
    counts: [[[AtomicU64; DELIVERIES]; KINDS]; ORIGINS],
}

impl Callboard {
    /// A board for a node of this role; its phase is [`Phase::Genesis`] until the sync coordinator sets another.
    pub fn new(role: Role) -> Self {
        let counts = [const { [const { [const { AtomicU64::new(0) }; DELIVERIES] }; KINDS] }; ORIGINS];
        Self(Arc::new(Board { now: RwLock::new((role, Phase::Genesis)), counts }))
    }

    /// What the node is.
    pub fn role(&self) -> Role {
        self.0.now.read().0
    }

    /// What the sync coordinator is doing.
    pub fn phase(&self) -> Phase {
        self.0.now.read().1
    }

    /// Sets the role, once key and genesis are known. Only assembly calls it.
    pub fn set_role(&self, role: Role) {
        self.0.now.write().0 = role;
    }

    /// Sets the phase. Only the sync coordinator calls it.
    pub fn set_phase(&self, phase: Phase) {
        self.0.now.write().1 = phase;
    }

    /// What the table says for one block or transaction now. Whoever carries a delivery out counts it with
    /// [`Callboard::count`]: a block that turns out to be invalid was not imported.
    pub fn deliveries(&self, origin: Origin, kind: Kind) -> Vec<Delivery> {
        let (role, phase) = *self.0.now.read();
        route(origin, kind, role, phase)
    }

    /// Counts a delivery that was carried out.
    pub fn count(&self, origin: Origin, kind: Kind, delivery: Delivery) {
        tracing::trace!(%origin, %kind, route = %delivery, "routed");
        self.0.counts[origin as usize][kind as usize][delivery as usize].fetch_add(1, Relaxed);
    }

    /// How often `delivery` was given to this kind from this origin.
    pub fn delivered(&self, origin: Origin, kind: Kind, delivery: Delivery) -> u64 {
        self.0.counts[origin as usize][kind as usize][delivery as usize].load(Relaxed)
    }

    /// The counts that are not zero.
    pub fn counts(&self) -> Vec<RouteCount> {
        let mut counts = Vec::new();
        for &origin in Origin::ALL {
            for &kind in Kind::ALL {
                for &route in Delivery::ALL {
                    let count = self.delivered(origin, kind, route);
                    if count > 0 {
                        counts.push(RouteCount { origin, kind, route, count });
                    }
                }
            }
        }
        counts
    }

    /// The answer to `callboard_routes`.
    pub fn routes(&self) -> Routes {
        Routes { table: whole_table(), counts: self.counts() }
    }
}

/// The answer to `callboard_routes`: the whole table and what was delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Routes {
    /// Every combination.
    pub table: Vec<TableEntry>,
    /// Deliveries since the start, without the zeros.
    pub counts: Vec<RouteCount>,
}

/// One line of the routing table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableEntry {
    /// From where.
    pub origin: Origin,
    /// What.
    pub kind: Kind,
    /// On a node of this role.
    pub role: Role,
    /// In this phase.
    pub phase: Phase,
    /// What is done, in order.
    pub routes: Vec<Delivery>,
}

/// How often something was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RouteCount {
    /// From where.
    pub origin: Origin,
    /// What.
    pub kind: Kind,
    /// What was done.
    pub route: Delivery,
    /// How often.
    pub count: u64,
}

fn whole_table() -> Vec<TableEntry> {
    let mut table = Vec::with_capacity(ORIGINS * KINDS * Role::ALL.len() * Phase::ALL.len());
    for &origin in Origin::ALL {
        for &kind in Kind::ALL {
            for &role in Role::ALL {
                for &phase in Phase::ALL {
                    table.push(TableEntry { origin, kind, role, phase, routes: route(origin, kind, role, phase) });
                }
            }
        }
    }
    table
}
