//! What the system knows of a process: Linux's /proc.

use std::collections::BTreeMap;
use std::fs;

/// Ticks of the clock in which the system counts processor time; 100 on every Linux that this runs on.
const TICKS: f64 = 100.0;
const MIB: f64 = 1_024.0;

/// Processor seconds by thread, numbers of threads of one kind left out of their names.
pub(crate) fn cpu_by_thread(pid: u32) -> BTreeMap<String, f64> {
    let mut seconds = BTreeMap::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        // A thread may have ended since.
        if let Ok(stat) = fs::read_to_string(thread.path().join("stat"))
            && let Some((name, used)) = parse(&stat)
        {
            *seconds.entry(name).or_insert(0.0) += used;
        }
    }
    seconds
}

/// Processor seconds of the whole process, of threads that have ended, too.
pub(crate) fn cpu(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    parse(&stat).map_or(0.0, |(_, used)| used)
}

/// MiB that the process holds now, and has held at most.
pub(crate) fn memory(pid: u32) -> (f64, f64) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
        kib.unwrap_or(f64::NAN) / MIB
    };
    (field("VmRSS:"), field("VmHWM:"))
}

/// Name and processor seconds out of a `stat`: pid (name) state …, user and system time in fields 14 and 15.
fn parse(stat: &str) -> Option<(String, f64)> {
    let (head, rest) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1.trim_end_matches(|c: char| c.is_ascii_digit() || "-:_".contains(c));
    let mut fields = rest.split_whitespace().skip(11);
    let (user, system) = (fields.next()?.parse::<f64>().ok()?, fields.next()?.parse::<f64>().ok()?);
    Some((name.to_owned(), (user + system) / TICKS))
}
