//! What processes cost: the system's own account in `/proc`.

use std::collections::BTreeMap;
use std::fs;

/// Clock ticks a second, in which the account is kept (`USER_HZ`: 100 on every Linux of today).
const TICKS: f64 = 100.0;

/// A process whose costs are read together with those of its children.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    /// What it is called in the report.
    pub name: &'static str,
    /// Its process id.
    pub pid: u32,
}

/// Seconds of a core that processes have used, by name.
#[derive(Clone, Debug, Default)]
pub struct Cpu(BTreeMap<&'static str, f64>);

impl Cpu {
    /// So far.
    #[must_use]
    pub fn of(watched: &[Watched]) -> Self {
        let children = children();
        Self(watched.iter().map(|it| (it.name, tree(it.pid, &children))).collect())
    }

    /// What each has used since `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let before = |name| before.0.get(name).copied().unwrap_or_default();
        Self(self.0.iter().map(|(name, used)| (*name, (used - before(*name)).max(0.0))).collect())
    }

    /// Seconds of a core in all.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.0.values().sum()
    }

    /// Microseconds of a core for each of `events`.
    #[must_use]
    pub fn per_event(&self, events: u64) -> BTreeMap<&'static str, f64> {
        self.0.iter().map(|(name, used)| (*name, used * 1e6 / events.max(1) as f64)).collect()
    }
}

/// A process and its children, those that have ended among them.
fn tree(pid: u32, children: &BTreeMap<u32, Vec<u32>>) -> f64 {
    let own = fs::read_to_string(format!("/proc/{pid}/stat")).ok().and_then(|stat| ticks(&stat));
    let below = children.get(&pid).into_iter().flatten().map(|child| tree(*child, children));
    own.unwrap_or_default() + below.sum::<f64>()
}

/// utime, stime, cutime and cstime: fields 14 to 17 of `man 5 proc_pid_stat`.
fn ticks(stat: &str) -> Option<f64> {
    // The name before may hold anything but ends with the last parenthesis; field 3 follows.
    let fields = stat.rsplit_once(')')?.1;
    let ticks =
        fields.split_whitespace().skip(11).take(4).map(|field| field.parse::<f64>().unwrap_or_default());
    Some(ticks.sum::<f64>() / TICKS)
}

/// The children of every process.
fn children() -> BTreeMap<u32, Vec<u32>> {
    let mut children = BTreeMap::<u32, Vec<u32>>::new();
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        children.entry(parent.unwrap_or_default()).or_default().push(pid);
    }
    children
}

/// A process's resident memory in MiB: now, and the most it ever was.
#[must_use]
pub fn memory(pid: u32) -> (f64, f64) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or_default() / 1024.0
    };
    (field("VmRSS:"), field("VmHWM:"))
}

/// The machine's load averages, as they stand.
#[must_use]
pub fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 100 50 20 30 20 0";
        assert_eq!(ticks(stat), Some(2.0));
    }

    #[test]
    fn this_process_has_used_something() {
        let watched = [Watched { name: "me", pid: std::process::id() }];
        let before = Cpu::of(&watched);
        let mut sum = 0_u64;
        while Cpu::of(&watched).since(&before).per_event(1).values().sum::<f64>() < 20_000.0 {
            sum = (0..100_000).fold(sum, u64::wrapping_add);
        }
        assert!(memory(std::process::id()).1 > 1.0, "{sum}");
    }
}
