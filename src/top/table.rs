//! The columns of the tables of actors and of messages, and the orders they can be in.

use super::answers::{Actor, Figures};
use std::cmp::Ordering;

/// A column by which actors can be ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Name.
    Name,
    /// Where it is in its life.
    State,
    /// Messages that wait.
    Depth,
    /// Share of busy time.
    Busy,
    /// Messages a second.
    Rate,
    /// Median of waiting.
    WaitP50,
    /// 99 in 100 waited at most so long.
    WaitP99,
    /// Median of handling.
    HandleP50,
    /// 99 in 100 took at most so long.
    HandleP99,
    /// Messages that did not fit.
    Refused,
}

impl Column {
    /// From left to right.
    pub const ALL: [Self; 10] = [
        Self::Name,
        Self::State,
        Self::Depth,
        Self::Busy,
        Self::Rate,
        Self::WaitP50,
        Self::WaitP99,
        Self::HandleP50,
        Self::HandleP99,
        Self::Refused,
    ];

    /// As its heading says.
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "actor",
            Self::State => "state",
            Self::Depth => "mailbox",
            Self::Busy => "busy",
            Self::Rate => "msg/s",
            Self::WaitP50 => "wait p50",
            Self::WaitP99 => "wait p99",
            Self::HandleP50 => "handle p50",
            Self::HandleP99 => "handle p99",
            Self::Refused => "refused",
        }
    }

    /// The one `steps` to the right; round the end.
    pub fn right(self, steps: usize) -> Self {
        let place = Self::ALL.iter().position(|column| *column == self).unwrap_or(0);
        Self::ALL[(place + steps) % Self::ALL.len()]
    }

    /// The one to the left; round the end.
    pub fn left(self) -> Self {
        self.right(Self::ALL.len() - 1)
    }

    /// Names go up first; of figures the largest is what one looks for.
    pub fn begins_descending(self) -> bool {
        !matches!(self, Self::Name | Self::State)
    }

    fn compare(self, one: &Actor, other: &Actor) -> Ordering {
        let figure = |of: fn(&Figures) -> u64| of(&one.figures).cmp(&of(&other.figures));
        match self {
            Self::Name => one.actor.cmp(&other.actor),
            Self::State => one.state.cmp(&other.state),
            Self::Depth => one.mailbox_depth.cmp(&other.mailbox_depth),
            Self::Busy => one.busy.total_cmp(&other.busy),
            Self::Rate => one.figures.per_second.total_cmp(&other.figures.per_second),
            Self::WaitP50 => figure(|figures| figures.wait_p50),
            Self::WaitP99 => figure(|figures| figures.wait_p99),
            Self::HandleP50 => figure(|figures| figures.handle_p50),
            Self::HandleP99 => figure(|figures| figures.handle_p99),
            Self::Refused => figure(|figures| figures.refused),
        }
    }
}

/// An order of actors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// By which column.
    pub column: Column,
    /// The largest first.
    pub descending: bool,
}

impl Order {
    /// By this column, in the direction in which one looks at it.
    pub fn by(column: Column) -> Self {
        Self { column, descending: column.begins_descending() }
    }

    /// The other way round.
    pub fn reversed(self) -> Self {
        Self { descending: !self.descending, ..self }
    }

    /// The actors in this order; equal ones by name, so that rows do not dance.
    pub fn of(self, actors: &[Actor]) -> Vec<&Actor> {
        let mut ordered: Vec<_> = actors.iter().collect();
        ordered.sort_by(|one, other| {
            let order = self.column.compare(one, other);
            let order = if self.descending { order.reverse() } else { order };
            order.then_with(|| one.actor.cmp(&other.actor))
        });
        ordered
    }
}
