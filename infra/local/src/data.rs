//! The folder a stack keeps its data in over restarts.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::private;

/// Shape of what is in the folder; raised when an older process could no longer read it.
const SCHEMA: u32 = 1;
/// How long the process before this one may take to let go: it may just be stopping, and a child that it is starting
/// holds the lock until it runs its own program.
const PATIENCE: Duration = Duration::from_millis(500);

/// A folder that belongs to this process until it is dropped.
#[derive(Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Opens the folder at `path`, or makes it for its owner alone.
    ///
    /// # Errors
    /// A sentence: it cannot be written, another process uses it, or a newer Satchel wrote it.
    pub(crate) async fn open(path: &Path) -> Result<Self, String> {
        let failed = |error: io::Error| format!("the data folder {} cannot be used: {error}", path.display());
        private::folder(path).map_err(failed)?;
        let lock = File::options().create(true).truncate(false).write(true).open(path.join("lock")).map_err(failed)?;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(format!("the data folder {} is in use by another process", path.display()));
                }
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
        let schema = path.join("schema");
        match fs::read_to_string(&schema) {
            Ok(text) => match text.trim().parse::<u32>() {
                Ok(found) if found <= SCHEMA => {}
                Ok(found) => {
                    return Err(format!(
                        "the data folder {} has schema {found}, this Satchel knows {SCHEMA} and no newer: \
                         use the newer Satchel, or another folder with --data",
                        path.display()
                    ));
                }
                Err(_) => return Err(format!("{} does not hold a schema's number", schema.display())),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::write(&schema, format!("{SCHEMA}\n")).map_err(failed)?;
            }
            Err(error) => return Err(failed(error)),
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// The file `name` in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_newer_schema_and_a_folder_in_use_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let held = DataFolder::open(folder.path()).await.unwrap();
        assert!(DataFolder::open(folder.path()).await.unwrap_err().contains("in use"));
        drop(held);
        fs::write(folder.path().join("schema"), "2").unwrap();
        assert!(DataFolder::open(folder.path()).await.unwrap_err().contains("schema 2"));
        fs::write(folder.path().join("schema"), "1\n").unwrap();
        DataFolder::open(folder.path()).await.unwrap();
    }
}
