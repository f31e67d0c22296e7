//! What the kernel counts about a server: its process, and all that this has started.

use crate::Result;
use std::{collections::HashMap, fs, time::Duration};

/// Processor time of all threads so far, user and system, living and ended. The kernel gives it in
/// hundredths of a second, so a run must be long.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let mut ticks = 0;
    for process in family(pid)? {
        // One that has ended meanwhile is counted by its parent.
        ticks += fields(process).map_or(0, |fields| fields.ticks);
    }
    Ok(Duration::from_millis(ticks * 10))
}

/// Proportional set size in KiB: memory of the processes, shared pages counted by their share.
pub(crate) fn pss_kib(pid: u32) -> Result<u64> {
    let mut sum = 0;
    for process in family(pid)? {
        let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
        let line = rollup.lines().find(|line| line.starts_with("Pss:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        sum += number.ok_or("no Pss in smaps_rollup")?.parse::<u64>()?;
    }
    Ok(sum)
}

/// The process and its descendants.
fn family(pid: u32) -> Result<Vec<u32>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // Others may end while they are listed.
        if let Ok(fields) = fields(process) {
            children.entry(fields.parent).or_default().push(process);
        }
    }
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(parent) = family.get(next) {
        family.extend(children.remove(parent).unwrap_or_default());
        next += 1;
    }
    Ok(family)
}

struct Fields {
    parent: u32,
    /// Of the process and of its children that have ended, in hundredths of a second.
    ticks: u64,
}

fn fields(pid: u32) -> Result<Fields> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the program's name in brackets and may contain anything.
    let (_, fields) = stat.rsplit_once(')').ok_or("no such process")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let parent = fields.get(1).ok_or("no parent in stat")?.parse()?;
    let times = fields.get(11..15).ok_or("no times in stat")?;
    let ticks = times.iter().map(|time| time.parse::<u64>());
    let ticks = ticks.sum::<std::result::Result<u64, _>>()?;
    Ok(Fields { parent, ticks })
}

/// As many open files as the system permits; each session is one here and one in the server.
pub(crate) fn raise_open_files() -> Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    Ok(setrlimit(Resource::Nofile, raised)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_family_is_a_process_and_what_it_started() -> Result<()> {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn()?;
        let found = family(std::process::id());
        // Its input ends.
        drop(child.stdin.take());
        child.wait()?;
        let found = found?;
        assert!(found.contains(&std::process::id()) && found.contains(&child.id()));
        assert!(!found.contains(&1), "the ancestor of all is no descendant");
        Ok(())
    }
}
