//! The core: what is known, what is looked at, and what is to be done next. It knows neither terminal nor network.

use super::answers::{Actor, Answers, Message};
use super::table::{Column, Order};
use std::time::Duration;

/// The first pause after a round without an answer; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause: a node that comes back is seen within it.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// Rows that Page up and Page down move by.
const PAGE: usize = 10;

/// The keys, as help and documents list them.
pub const KEYS: [(&str, &str); 13] = [
    ("Up Down  k j", "choose an actor; move in a list"),
    ("PgUp PgDn Home End", "the same by pages, to the first, to the last"),
    ("Enter", "the messages of the chosen actor"),
    ("Esc  Backspace", "back to the overview"),
    ("Left Right  < >", "order by the column to the left, to the right"),
    ("s", "order by the next column"),
    ("r", "turn the order round"),
    ("Space", "pause, and go on"),
    ("p", "all peers"),
    ("a", "all alerts, in full"),
    ("x", "refused blocks, in full"),
    ("?  h", "this help"),
    ("q  Ctrl-C", "quit"),
];

/// A key that means something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// Many rows up.
    PageUp,
    /// Many rows down.
    PageDown,
    /// To the first row.
    Home,
    /// To the last row.
    End,
    /// To the left.
    Left,
    /// To the right.
    Right,
    /// Into it.
    Enter,
    /// Back.
    Back,
    /// Ctrl-C.
    Interrupt,
    /// A letter or sign.
    Char(char),
}

/// What the shell has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Show the state, and wait.
    Wait,
    /// Ask the node, and bring its answer to [`State::on_answers`].
    Ask,
    /// End.
    Quit,
}

/// What fills the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// Everything in short.
    Overview,
    /// The messages of this actor.
    Messages(String),
    /// All peers.
    Peers,
    /// All alerts.
    Alerts,
    /// All refusals.
    Refusals,
}

/// Whether the node answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connection {
    /// It has not been asked to an end yet.
    Opening,
    /// It answered when it was asked last.
    Live,
    /// It did not.
    Lost {
        /// Since when.
        since: Duration,
        /// Why.
        reason: String,
        /// Rounds without an answer.
        rounds: u32,
    },
}

/// Everything that is shown. Times are since the start.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The node.
    pub url: String,
    /// Between two rounds.
    pub interval: Duration,
    /// Now.
    pub now: Duration,
    /// What the node said last.
    pub answers: Option<Answers>,
    /// Whether it answers.
    pub connection: Connection,
    /// Whether what is shown stays.
    pub paused: bool,
    /// The order of actors.
    pub order: Order,
    /// The chosen actor.
    pub chosen: Option<String>,
    /// What fills the screen.
    pub page: Page,
    /// Rows of a list that are above the screen.
    pub scrolled: usize,
    /// Whether help lies over it.
    pub help: bool,
    asking: bool,
    ask_at: Duration,
}

impl State {
    /// Nothing is known yet of the node at this URL.
    pub fn new(url: String, interval: Duration) -> Self {
        Self {
            url,
            interval,
            now: Duration::ZERO,
            answers: None,
            connection: Connection::Opening,
            paused: false,
            order: Order::by(Column::Name),
            chosen: None,
            page: Page::Overview,
            scrolled: 0,
            help: false,
            asking: false,
            ask_at: Duration::ZERO,
        }
    }

    /// Time has passed.
    pub fn on_time(&mut self, now: Duration) -> Step {
        self.now = now;
        if self.paused || self.asking || now < self.ask_at {
            return Step::Wait;
        }
        self.asking = true;
        Step::Ask
    }

    /// The node has answered, or why it has not.
    pub fn on_answers(&mut self, now: Duration, answers: Result<Answers, String>) {
        (self.now, self.asking) = (now, false);
        match answers {
            // What was asked before the pause does not move the picture.
            Ok(_) if self.paused => {}
            Ok(answers) => {
                self.answers = Some(answers);
                self.connection = Connection::Live;
                self.ask_at = now.saturating_add(self.interval);
                self.scrolled = self.scrolled.min(self.rows().saturating_sub(1));
            }
            Err(reason) => {
                let (since, rounds) = match &self.connection {
                    Connection::Lost { since, rounds, .. } => (*since, rounds.saturating_add(1)),
                    _ => (now, 1),
                };
                self.ask_at = now.saturating_add(pause_after(rounds));
                self.connection = Connection::Lost { since, reason, rounds };
            }
        }
    }

    /// A key was pressed.
    pub fn on_key(&mut self, key: Key) -> Step {
        if matches!(key, Key::Interrupt | Key::Char('q')) {
            return Step::Quit;
        }
        if self.help {
            self.help = false;
            return Step::Wait;
        }
        match key {
            Key::Up | Key::Char('k') => self.move_by(|row| row.saturating_sub(1)),
            Key::Down | Key::Char('j') => self.move_by(|row| row.saturating_add(1)),
            Key::PageUp => self.move_by(|row| row.saturating_sub(PAGE)),
            Key::PageDown => self.move_by(|row| row.saturating_add(PAGE)),
            Key::Home => self.move_by(|_| 0),
            Key::End => self.move_by(|_| usize::MAX),
            Key::Left | Key::Char('<') => self.order = Order::by(self.order.column.left()),
            Key::Right | Key::Char('>' | 's') => self.order = Order::by(self.order.column.right(1)),
            Key::Char('r') => self.order = self.order.reversed(),
            Key::Char(' ') => return self.pause(),
            Key::Enter => self.drill(),
            Key::Back => self.open(Page::Overview),
            Key::Char('p') => self.open(Page::Peers),
            Key::Char('a') => self.open(Page::Alerts),
            Key::Char('x') => self.open(Page::Refusals),
            Key::Char('?' | 'h') => self.help = true,
            Key::Char(_) | Key::Interrupt => {}
        }
        Step::Wait
    }

    /// When the node is asked next, unless something is to be waited for.
    pub fn ask_at(&self) -> Option<Duration> {
        (!self.paused && !self.asking).then_some(self.ask_at)
    }

    /// The actors in their order.
    pub fn actors(&self) -> Vec<&Actor> {
        self.order.of(self.answers.as_ref().and_then(|answers| answers.actors.as_deref().ok()).unwrap_or_default())
    }

    /// The row of the chosen actor; the first where none is chosen or it is gone.
    pub fn chosen_row(&self) -> usize {
        let is_chosen = |actor: &&Actor| self.chosen.as_ref() == Some(&actor.actor);
        self.actors().iter().position(is_chosen).unwrap_or(0)
    }

    /// An actor by its name.
    pub fn actor(&self, name: &str) -> Option<&Actor> {
        self.actors().into_iter().find(|actor| actor.actor == name)
    }

    /// The messages of an actor, those that came most often first.
    pub fn messages(&self, actor: &str) -> Vec<&Message> {
        let mut messages: Vec<_> = self.actor(actor).into_iter().flat_map(|actor| &actor.messages).collect();
        messages.sort_by(|one, other| {
            other.figures.handled.cmp(&one.figures.handled).then_with(|| one.message.cmp(&other.message))
        });
        messages
    }

    /// How many rows the list on the page has.
    fn rows(&self) -> usize {
        let Some(answers) = &self.answers else { return 0 };
        match &self.page {
            Page::Overview => self.actors().len(),
            Page::Messages(actor) => self.messages(actor).len(),
            Page::Peers => answers.peers.as_ref().map_or(0, Vec::len),
            Page::Alerts => answers.status.alerts.len(),
            Page::Refusals => answers.refusals.as_ref().map_or(0, Vec::len),
        }
    }

    fn move_by(&mut self, to: impl Fn(usize) -> usize) {
        let last = self.rows().saturating_sub(1);
        if self.page == Page::Overview {
            let row = to(self.chosen_row()).min(last);
            self.chosen = self.actors().get(row).map(|actor| actor.actor.clone());
        } else {
            self.scrolled = to(self.scrolled).min(last);
        }
    }

    fn drill(&mut self) {
        if self.page != Page::Overview {
            return;
        }
        let row = self.chosen_row();
        let Some(name) = self.actors().get(row).map(|actor| actor.actor.clone()) else { return };
        self.chosen = Some(name.clone());
        self.open(Page::Messages(name));
    }

    fn open(&mut self, page: Page) {
        (self.page, self.scrolled) = (page, 0);
    }

    /// After a pause the node is asked at once.
    fn pause(&mut self) -> Step {
        self.paused = !self.paused;
        self.ask_at = self.now;
        self.on_time(self.now)
    }
}

fn pause_after(rounds: u32) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << rounds.saturating_sub(1).min(16));
    doubled.min(LONGEST_PAUSE)
}
