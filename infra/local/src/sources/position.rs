//! How far each stream was read, kept over a restart.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::services::Position;

/// Positions by mapping; with a file, every change is written before it counts.
#[derive(Debug)]
pub(crate) struct Positions {
    file: Option<PathBuf>,
    known: Mutex<BTreeMap<String, Position>>,
}

impl Positions {
    /// What `file` holds, or nothing.
    ///
    /// # Errors
    /// A sentence, where the file cannot be read.
    pub(crate) fn open(file: Option<PathBuf>) -> Result<Self, String> {
        let known = match &file {
            Some(path) if path.exists() => fs::read(path)
                .map_err(|error| error.to_string())
                .and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()))
                .map_err(|error| format!("{}: {error}", path.display()))?,
            _ => BTreeMap::new(),
        };
        Ok(Self { file, known: Mutex::new(known) })
    }

    /// Where `mapping` stands.
    pub(crate) fn get(&self, mapping: &str) -> Option<Position> {
        self.lock().get(mapping).cloned()
    }

    /// `mapping` has handled everything up to `position`.
    pub(crate) fn set(&self, mapping: &str, position: Position) {
        let mut known = self.lock();
        known.insert(mapping.to_owned(), position);
        self.write(&known);
    }

    fn write(&self, known: &BTreeMap<String, Position>) {
        let Some(path) = &self.file else { return };
        // A write that is lost means that records are delivered again, as Lambda may do at any time.
        let draft = path.with_extension("new");
        let written = serde_json::to_vec(known)
            .map_err(std::io::Error::from)
            .and_then(|bytes| fs::write(&draft, bytes))
            .and_then(|()| fs::rename(&draft, path));
        if let Err(error) = written {
            tracing::error!(%error, path = %path.display(), "stream positions cannot be kept");
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Position>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
