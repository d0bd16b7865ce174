//! The CPU share of a small Lambda, by a control group with a quota.
//!
//! Lambda gives a function CPU in proportion to its memory: one vCPU at 1,769 MB (Lambda developer guide, *Configure
//! Lambda function memory*), so 256 MB are 14.5 % of one and 128 MB 7.2 %. It does so by a quota a period, as here; the
//! period of 20 ms is what measurements of Lambda from inside found.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fs, io};

/// Memory at which a function has one vCPU.
const FULL_MB: f64 = 1_769.0;
/// The period in microseconds.
const PERIOD_US: f64 = 20_000.0;

/// A control group with a quota; processes join it by its `cgroup.procs`. It is removed when it is dropped.
#[derive(Debug)]
pub struct CpuShare {
    folder: PathBuf,
    version: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl CpuShare {
    /// The share of a function with `memory_mb`.
    ///
    /// # Errors
    /// Where control groups cannot be made here: it needs root and a writable `/sys/fs/cgroup`.
    pub fn of_memory(memory_mb: u32) -> io::Result<Self> {
        let share = Self::make()?;
        share.set(Some(memory_mb))?;
        Ok(share)
    }

    /// A group without a quota as yet.
    ///
    /// # Errors
    /// As for [`CpuShare::of_memory`].
    pub fn unlimited() -> io::Result<Self> {
        let share = Self::make()?;
        share.set(None)?;
        Ok(share)
    }

    fn make() -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("satchel-bench-{}-{number}", std::process::id());
        let one = Path::new("/sys/fs/cgroup/cpu");
        let (root, version) =
            if one.is_dir() { (one, Version::One) } else { (Path::new("/sys/fs/cgroup"), Version::Two) };
        let folder = root.join(name);
        fs::create_dir(&folder)?;
        Ok(Self { folder, version })
    }

    /// Changes the quota while processes are inside; `None` is none.
    ///
    /// # Errors
    /// Where the group is not to be written.
    pub fn set(&self, memory_mb: Option<u32>) -> io::Result<()> {
        let quota = memory_mb.map(|memory| (PERIOD_US * f64::from(memory) / FULL_MB).round());
        match self.version {
            Version::One => {
                fs::write(self.folder.join("cpu.cfs_period_us"), PERIOD_US.to_string())?;
                fs::write(self.folder.join("cpu.cfs_quota_us"), quota.unwrap_or(-1.0).to_string())
            }
            Version::Two => {
                let quota = quota.map_or_else(|| "max".to_owned(), |quota| quota.to_string());
                fs::write(self.folder.join("cpu.max"), format!("{quota} {PERIOD_US}"))
            }
        }
    }

    /// The group's folder, for [`crate::process::Launch::inside`].
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for CpuShare {
    fn drop(&mut self) {
        // Its processes are killed before it, but the kernel takes a moment to forget them.
        for _ in 0..50 {
            if fs::remove_dir(&self.folder).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}
