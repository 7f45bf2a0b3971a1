//! The open connections: how many there are, which of them keep the node waiting, and what cuts those that do so too long.
//!
//! A server thread that is busy looks at a connection late. So no time is up by a clock alone: a client whose bytes lie in
//! the socket has sent them, whenever they are read.

use actix_web::rt::task::JoinHandle;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a subscriber that was dropped has to read why, before its connection is cut.
const FAREWELL: Duration = Duration::from_secs(5);
/// Bytes that the system takes of an answer beyond what is under way: it takes megabytes otherwise, which nobody counts, and
/// a client's reading shows only when it has read them.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 << 10;
/// What a client hears whose request does not come.
const TOO_LATE: &[u8] = b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\ncontent-length: 74\r\n\
    connection: close\r\n\r\n{\"success\":false,\"error\":\"the head of the request did not arrive in time\"}";

/// How long a client may keep the node waiting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For the first request's head.
    pub(crate) head: Duration,
    /// For an answer to be read.
    pub(crate) reading: Duration,
}

/// The open connections of a listener.
#[derive(Debug, Default)]
pub(crate) struct Connections(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    lines: HashMap<u64, Arc<Line>>,
    last: u64,
}

/// One open connection; counts itself out when it closes.
pub(crate) struct Connection {
    all: Arc<Connections>,
    number: u64,
    line: Arc<Line>,
    /// Whether there were as many as are allowed before it.
    over: bool,
}

/// What is known of a connection from outside of it.
#[derive(Debug)]
pub(crate) struct Line {
    /// A second handle of the socket: the first is the server's, which waits for a client that does not read.
    socket: Option<TcpStream>,
    opened: Instant,
    /// The head of a request has come.
    asked: AtomicBool,
    /// Since when an answer waits to be read.
    unread: Mutex<Option<Instant>>,
}

impl Connections {
    /// Counts a connection in, of which so many are allowed.
    pub(crate) fn open(self: &Arc<Self>, most: usize, socket: Option<OwnedFd>) -> Connection {
        let line = Arc::new(Line::new(socket.map(TcpStream::from)));
        let mut table = self.0.lock();
        table.last = table.last.wrapping_add(1);
        let (number, over) = (table.last, table.lines.len() >= most);
        table.lines.insert(number, Arc::clone(&line));
        Connection { all: Arc::clone(self), number, line, over }
    }

    /// Cuts the connections of clients that keep the node waiting too long. Returns who did not read.
    pub(crate) fn sweep(&self, now: Instant, patience: Patience) -> Vec<Option<SocketAddr>> {
        let lines: Vec<_> = self.0.lock().lines.values().cloned().collect();
        lines.iter().filter(|line| line.is_silent(now, patience.head)).for_each(|line| line.say_too_late());
        let unread = lines.iter().filter(|line| line.is_unread(now, patience.reading));
        unread.map(|line| line.give_up()).collect()
    }
}

impl Connection {
    /// Whether there were as many as are allowed before it.
    pub(crate) const fn is_over(&self) -> bool {
        self.over
    }

    /// What is known of it from outside.
    pub(crate) fn line(&self) -> Arc<Line> {
        Arc::clone(&self.line)
    }

    /// What can cut it.
    pub(crate) fn cut_handle(&self) -> CutHandle {
        CutHandle(self.line())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.all.0.lock().lines.remove(&self.number);
    }
}

impl Line {
    fn new(socket: Option<TcpStream>) -> Self {
        #[cfg(target_os = "linux")]
        if let Some(Err(error)) =
            socket.as_ref().map(|socket| socket2::SockRef::from(socket).set_tcp_notsent_lowat(UNSENT))
        {
            tracing::debug!(%error, "the system takes as much of an answer as it likes");
        }
        Self { socket, opened: Instant::now(), asked: AtomicBool::new(false), unread: Mutex::new(None) }
    }

    /// A request's head has come.
    pub(crate) fn on_request(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// From now on the client has the whole time to read.
    pub(crate) fn wait_for_client(&self) {
        *self.unread.lock() = Some(Instant::now());
    }

    /// There is nothing to be read.
    pub(crate) fn go_on(&self) {
        *self.unread.lock() = None;
    }

    /// Whether there is something to be read.
    pub(crate) fn waits_for_client(&self) -> bool {
        self.unread.lock().is_some()
    }

    /// Since when an answer waits to be read.
    #[cfg(test)]
    pub(crate) fn unread_since(&self) -> Option<Instant> {
        *self.unread.lock()
    }

    fn is_unread(&self, now: Instant, within: Duration) -> bool {
        self.unread.lock().is_some_and(|since| now.saturating_duration_since(since) > within)
    }

    /// Whether the first request's head has not come, and nothing of it lies in the socket.
    fn is_silent(&self, now: Instant, within: Duration) -> bool {
        let late = now.saturating_duration_since(self.opened) > within && !self.asked.load(Ordering::Relaxed);
        late && !self.socket.as_ref().is_some_and(has_bytes)
    }

    /// Nothing else was ever sent on it.
    fn say_too_late(&self) {
        if let Some(mut socket) = self.socket.as_ref() {
            // Whoever is gone needs no answer.
            let _ = socket.write(TOO_LATE);
        }
        self.cut();
        self.on_request();
    }

    fn give_up(&self) -> Option<SocketAddr> {
        self.go_on();
        let from = self.socket.as_ref().and_then(|socket| socket.peer_addr().ok());
        self.cut();
        from
    }

    fn cut(&self) {
        if let Some(socket) = &self.socket {
            // One that is closed already needs no cutting.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

fn has_bytes(socket: &TcpStream) -> bool {
    match socket.peek(&mut [0]) {
        Ok(bytes) => bytes > 0,
        Err(error) => error.kind() == io::ErrorKind::Interrupted,
    }
}

/// Cuts a connection: a client that does not read would keep it for ever.
#[derive(Clone)]
pub(crate) struct CutHandle(Arc<Line>);

impl CutHandle {
    /// Some seconds after `end`.
    pub(crate) fn after<T>(&self, end: impl Future<Output = T> + 'static) -> Cutter {
        let line = Arc::clone(&self.0);
        Cutter(actix_web::rt::spawn(async move {
            end.await;
            tokio::time::sleep(FAREWELL).await;
            line.cut();
        }))
    }
}

/// Cuts a connection some time after a subscription has ended, unless it is dropped before.
pub(crate) struct Cutter(JoinHandle<()>);

impl Drop for Cutter {
    fn drop(&mut self) {
        self.0.abort();
    }
}
