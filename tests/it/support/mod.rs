//! The program under test, and places for it to run in.

pub(crate) mod chain;
pub(crate) mod guest;
pub(crate) mod http;
pub(crate) mod node;
pub(crate) mod pty;
pub(crate) mod receiver;
pub(crate) mod wallet;
pub(crate) mod websocket;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// The program.
pub(crate) fn callboard() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callboard"));
    // What the machine that runs the tests has set must not matter.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CALLBOARD_") || name == "NODE_URL" {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// A folder of its own to run in.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("temporary folder") }
    }

    /// With a node.toml.
    pub(crate) fn with(node_toml: &str) -> Self {
        let place = Self::new();
        place.write("node.toml", node_toml);
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
    }

    /// Everything in the folder, by name.
    pub(crate) fn files(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.folder.path()).expect("folder");
        let mut names: Vec<_> =
            files.map(|file| file.expect("entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Runs the program here to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        self.run_with(arguments, &[])
    }

    /// The same, with environment variables.
    pub(crate) fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Finished {
        let mut command = callboard();
        command.current_dir(self.folder.path()).args(arguments).envs(variables.iter().copied());
        Finished::new(command.output().expect("the program starts"), arguments)
    }
}

/// What a run left behind.
pub(crate) struct Finished {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    arguments: String,
}

impl Finished {
    fn new(output: Output, arguments: &[&str]) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Self {
            code: output.status.code().expect("an exit code"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
            arguments: arguments.join(" "),
        }
    }

    /// A run whose output went into a log.
    fn with_log(status: ExitStatus, log: &str) -> Self {
        let code = status.code().expect("an exit code");
        Self { code, stdout: String::new(), stderr: log.to_owned(), arguments: "node".to_owned() }
    }

    /// Standard output of a run that succeeded.
    #[track_caller]
    pub(crate) fn succeeded(self) -> String {
        assert_eq!(self.code, 0, "callboard {}: {}", self.arguments, self.stderr);
        self.stdout
    }

    /// The one sentence of a run that was refused with exit code `code`.
    #[track_caller]
    pub(crate) fn refused(self, code: i32) -> String {
        assert_eq!(self.code, code, "callboard {}: {}{}", self.arguments, self.stdout, self.stderr);
        let sentence = self.stderr.trim_end().to_owned();
        assert_eq!(sentence.lines().count(), 1, "one sentence: {sentence}");
        sentence
    }
}

/// Whether there is anything at a path.
pub(crate) fn exists(path: &Path) -> bool {
    path.try_exists().expect("readable")
}

/// Looks again and again until there is something to see.
#[track_caller]
pub(crate) fn until<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "{what}: not within {within:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
