//! Opens the engine with what it lacks: an index on its stream records.
//!
//! Without it the engine reads all records of all streams for each number it gives and each poll, and writes become
//! slower with every write. The index is SQLite's affair alone: the engine's own statements use it as they are.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dynoxide::storage::Storage;
use dynoxide::storage_backend::Clock;
use dynoxide::{Database, DynoxideError};

const INDEX: &str = "CREATE INDEX IF NOT EXISTS satchel_stream_records \
                     ON _stream_records (table_name, CAST(sequence_number AS INTEGER))";

/// An engine on the file at `path`.
pub(super) fn on_file(path: &Path) -> Result<Database, DynoxideError> {
    let path = path.to_string_lossy();
    Storage::new(&path)?.conn().execute_batch(INDEX)?;
    let db = Database::new(&path)?;
    // There is no other way to the pragma: after this pair, a commit is no longer a sync of the disk.
    db.enable_bulk_loading()?;
    db.disable_bulk_loading()?;
    Ok(db)
}

/// An engine in memory, which tells the time by `clock`.
pub(super) fn in_memory(clock: Arc<dyn Clock>) -> Result<Database, DynoxideError> {
    // The connection of an engine in memory is out of reach, but not that of the database it is restored from.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let source = format!("file:satchel-{}?mode=memory&cache=shared", NEXT.fetch_add(1, Ordering::Relaxed));
    let prepared = Storage::new(&source)?;
    prepared.conn().execute_batch(INDEX)?;
    let db = Database::memory_with_clock(clock)?;
    db.restore_from(&source)?;
    Ok(db)
}
