//! The shell: terminal, keys, timer and HTTP around the core.

use super::answers::{self, Answers};
use super::state::{Key, State, Step};
use super::view::{self, Look};
use crate::rpc_client::{RpcClient, RpcClientError};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// A node that has not answered by then is gone, or might as well be.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// How often the picture is drawn where nothing happens: clocks go on.
const REDRAW_EVERY: Duration = Duration::from_secs(1);
/// Keys that may wait; who types faster waits.
const KEYS_AHEAD: usize = 64;

/// What is watched, and how.
#[derive(Debug)]
pub struct Setup {
    /// The node.
    pub client: RpcClient,
    /// Between two rounds.
    pub interval: Duration,
    /// What the terminal can show.
    pub look: Look,
}

/// Why nothing could be shown.
#[derive(Debug, thiserror::Error)]
pub enum TopError {
    /// There is nobody to look.
    #[error(
        "callboard top needs a terminal, and {0} is none; for scripts there are `callboard actors --watch 1 --json` and `callboard chain height --watch 1`"
    )]
    NoTerminal(&'static str),
    /// The terminal does not do what it should.
    #[error("the terminal: {0}")]
    Terminal(#[from] io::Error),
}

/// Shows the node until the user quits, or a signal comes.
pub async fn run(setup: Setup) -> Result<(), TopError> {
    for (name, is_terminal) in
        [("standard input", io::stdin().is_terminal()), ("standard output", io::stdout().is_terminal())]
    {
        if !is_terminal {
            return Err(TopError::NoTerminal(name));
        }
    }
    let mut screen = Screen::enter()?;
    Ok(watch(&mut screen, setup).await?)
}

/// The terminal while this shows something on it. However it ends, by the end of this, an error or a panic: the terminal
/// is as it was.
#[derive(Debug)]
pub struct Screen(DefaultTerminal);

impl Screen {
    /// Raw mode, and a screen of our own. The panic hook that is set restores both before the panic's message is printed.
    pub fn enter() -> io::Result<Self> {
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self(terminal)),
            Err(error) => {
                ratatui::restore();
                Err(error)
            }
        }
    }

    fn draw(&mut self, state: &State, look: Look) -> io::Result<()> {
        self.0.draw(|frame| view::draw(frame, state, look)).map(drop)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // After a panic the hook has done it, and has said why: to leave the screen twice would put the cursor back to
        // where it was before, and what comes next over the panic's message.
        if !std::thread::panicking() {
            ratatui::restore();
        }
    }
}

async fn watch(screen: &mut Screen, setup: Setup) -> io::Result<()> {
    let Setup { client, interval, look } = setup;
    let begun = Instant::now();
    let mut state = State::new(client.url().to_string(), interval);
    let (mut terminate, mut hang_up) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    let mut keys = listen()?;
    let (answered, mut answers) = mpsc::channel(1);
    loop {
        if state.on_time(begun.elapsed()) == Step::Ask {
            ask(client.clone(), answered.clone());
        }
        screen.draw(&state, look)?;
        let until_ask = state.ask_at().map(|at| at.saturating_sub(begun.elapsed()));
        let step = tokio::select! {
            key = keys.recv() => match key {
                Some(Ok(Some(key))) => state.on_key(key),
                // The size has changed, or a key that means nothing.
                Some(Ok(None)) => Step::Wait,
                Some(Err(error)) => return Err(error),
                None => Step::Quit,
            },
            Some(answer) = answers.recv() => {
                state.on_answers(begun.elapsed(), answer);
                Step::Wait
            }
            _ = terminate.recv() => Step::Quit,
            _ = hang_up.recv() => Step::Quit,
            () = tokio::time::sleep(until_ask.unwrap_or(REDRAW_EVERY).min(REDRAW_EVERY)) => Step::Wait,
        };
        match step {
            Step::Wait => {}
            Step::Ask => ask(client.clone(), answered.clone()),
            Step::Quit => return Ok(()),
        }
    }
}

/// One round, whose end is told.
fn ask(client: RpcClient, answered: mpsc::Sender<Result<Answers, String>>) {
    tokio::spawn(async move {
        let answer = match tokio::time::timeout(ANSWERS_WITHIN, client.batch(answers::calls())).await {
            Ok(Ok(results)) => Answers::read(results),
            Ok(Err(RpcClientError::Unreachable { reason, .. })) => Err(reason),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("it takes longer than {} s", ANSWERS_WITHIN.as_secs())),
        };
        // Nobody waits for it where the user has quit.
        let _ = answered.send(answer).await;
    });
}

/// Reads the terminal on a thread of its own, which ends with the process.
fn listen() -> io::Result<mpsc::Receiver<io::Result<Option<Key>>>> {
    let (sender, keys) = mpsc::channel(KEYS_AHEAD);
    let read = move || {
        loop {
            let read = event::read().map(|event| meaning(&event));
            let failed = read.is_err();
            if sender.blocking_send(read).is_err() || failed {
                return;
            }
        }
    };
    std::thread::Builder::new().name("keys".to_owned()).spawn(read)?;
    Ok(keys)
}

/// The key that an event means.
fn meaning(event: &Event) -> Option<Key> {
    let Event::Key(KeyEvent { code, modifiers, kind, .. }) = event else { return None };
    if *kind == KeyEventKind::Release {
        return None;
    }
    let control = modifiers.contains(KeyModifiers::CONTROL);
    Some(match code {
        KeyCode::Char('c') if control => Key::Interrupt,
        KeyCode::Char(_) if control => return None,
        KeyCode::Char(char) => Key::Char(*char),
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc | KeyCode::Backspace => Key::Back,
        _ => return None,
    })
}
