//! A program in a terminal of its own, whose screen can be read and whose keys can be pressed.

use super::{callboard, until};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a program does on its screen takes at most this long.
const SOON: Duration = Duration::from_secs(60);

/// The terminal and the program in it, which ends with it.
pub(crate) struct Pty {
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    screen: Arc<Mutex<vt100::Parser>>,
    reader: Option<JoinHandle<()>>,
}

impl Pty {
    /// Runs this program with these arguments on a screen of so many columns and rows.
    pub(crate) fn callboard(arguments: &[&str], size: (u16, u16)) -> Self {
        let program = callboard();
        let mut command = CommandBuilder::new(program.get_program());
        command.args(arguments);
        program.get_envs().for_each(|(name, _)| command.env_remove(name));
        Self::start(command, size)
    }

    /// Runs a line of shell, in which `$0` is `program`.
    pub(crate) fn shell(line: &str, program: impl AsRef<OsStr>, size: (u16, u16)) -> Self {
        let mut command = CommandBuilder::new("sh");
        command.args(["-c", line]);
        command.arg(program);
        callboard().get_envs().for_each(|(name, _)| command.env_remove(name));
        Self::start(command, size)
    }

    fn start(mut command: CommandBuilder, (cols, rows): (u16, u16)) -> Self {
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        command.env_remove("NO_COLOR");
        let pair = native_pty_system().openpty(size(cols, rows)).expect("a terminal");
        let child = pair.slave.spawn_command(command).expect("the program starts");
        let mut output = pair.master.try_clone_reader().expect("its output");
        let keys = pair.master.take_writer().expect("its input");
        let screen = Arc::new(Mutex::new(vt100::Parser::new(many(rows), many(cols), 1_000)));
        let seen = screen.clone();
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4_096];
            // The end of the program is an error of the terminal.
            while let Ok(length @ 1..) = output.read(&mut bytes) {
                seen.lock().expect("no panic").process(&bytes[..length]);
            }
        });
        Self { master: pair.master, keys, child, screen, reader: Some(reader) }
    }

    /// The text on the screen, row by row.
    pub(crate) fn text(&self) -> String {
        let parser = self.screen.lock().expect("no panic");
        let (_, cols) = parser.screen().size();
        parser.screen().rows(0, cols.get()).map(|row| row.trim_end().to_owned() + "\n").collect()
    }

    /// Waits until this is on the screen, and gives all of it.
    #[track_caller]
    pub(crate) fn shows(&self, wanted: &str) -> String {
        self.shows_all(&[wanted])
    }

    /// Waits until all of these are on the screen at once.
    #[track_caller]
    pub(crate) fn shows_all(&self, wanted: &[&str]) -> String {
        let mut last = String::new();
        let begun = std::time::Instant::now();
        while begun.elapsed() < SOON {
            last = self.text();
            if wanted.iter().all(|wanted| last.contains(wanted)) {
                return last;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{wanted:?} never was on the screen:\n{last}");
    }

    /// Waits until this is not on the screen.
    #[track_caller]
    pub(crate) fn hides(&self, unwanted: &str) -> String {
        until(&format!("{unwanted:?} goes away"), SOON, || Some(self.text()).filter(|text| !text.contains(unwanted)))
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).expect("it reads");
    }

    /// The window gets another size.
    pub(crate) fn resize(&self, cols: u16, rows: u16) {
        self.screen.lock().expect("no panic").screen_mut().set_size(many(rows), many(cols));
        self.master.resize(size(cols, rows)).expect("resized");
    }

    /// Whether the program has the screen for itself, or hides the cursor.
    pub(crate) fn is_taken(&self) -> bool {
        let parser = self.screen.lock().expect("no panic");
        parser.screen().alternate_screen() || parser.screen().hide_cursor()
    }

    /// Sends the program a signal.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.process_id().expect("it runs").to_string();
        assert!(std::process::Command::new("kill").args([signal, &pid]).status().expect("kill").success());
    }

    /// Waits until it has ended, and all that it wrote is on the screen: its exit code.
    #[track_caller]
    pub(crate) fn ends(&mut self) -> u32 {
        let child = &mut self.child;
        let status = until("the program ends", SOON, || child.try_wait().expect("a child"));
        self.reader.take().map(JoinHandle::join).transpose().expect("no panic");
        status.exit_code()
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("=== the screen\n{}", self.text());
        }
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn many(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).expect("a screen has rows and columns")
}

fn size(cols: u16, rows: u16) -> PtySize {
    PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }
}
