//! What was measured on, and what a process used, as Linux tells it.

use std::fs;
use std::time::Duration;

/// The machine in one line: CPU, cores, memory, kernel.
pub fn describe() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown CPU");
    let model = model.trim_start_matches(['\t', ' ', ':']);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory =
        memory.lines().next().and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // The release's name after the dash is the hoster's.
    let kernel = kernel.trim().split('-').next().unwrap_or_default().to_owned();
    format!("{model}, {cores} cores, {:.0} GB of memory, Linux {kernel}, virtual machine", memory as f64 / 1_048_576.0)
}

/// CPU time that the process `pid` has used, all its threads, user and system.
pub fn cpu_time(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold spaces.
    let mut fields = stat.rsplit_once(") ")?.1.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    // USER_HZ is 100 on every Linux that this runs on.
    Some(Duration::from_millis((user + system) * 10))
}

/// Resident memory of the process `pid`, in bytes.
pub fn resident(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1_024)
}

/// Whether a compiler is at work on this machine: then times mean little.
pub fn is_busy() -> bool {
    let Ok(entries) = fs::read_dir("/proc") else { return false };
    entries.flatten().any(|entry| {
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        ["rustc", "ld", "lld", "rust-lld", "cc1"].contains(&name.trim())
    })
}
