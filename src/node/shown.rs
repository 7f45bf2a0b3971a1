//! Catching up, as the terminal or the log shows it.

use super::ports::NodePorts;
use crate::configuration::Progress;
use crate::progress::{Console, Indicator, Standing};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Often enough for an eye.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Shows how far the node is while it catches up, for as long as this is kept.
pub(super) struct Shown(Option<JoinHandle<()>>);

impl Shown {
    pub(super) fn start(ports: &NodePorts, console: &Console, progress: Progress) -> Self {
        let mut indicator = Indicator::new(console.clone(), progress, |_, text| tracing::info!("{text}"));
        if indicator.is_silent() {
            return Self(None);
        }
        let ports = ports.clone();
        Self(Some(actix::spawn(async move {
            loop {
                match Standing::of(&ports.report()) {
                    Some(standing) => indicator.show(&standing),
                    None => indicator.clear(),
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        })))
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        // The bar is away when the task is, before the process ends.
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}
