//! Sizes of the binaries as they are deployed.

use std::path::Path;

use super::report::{Bar, Section};

/// The bar, in bytes.
const MOST: u64 = 10 * 1_000_000;

/// Sizes of the binaries `names` in `folder`.
///
/// # Errors
/// Where one is missing.
pub fn run(folder: &Path, names: &[String]) -> std::io::Result<Section> {
    let mut section = Section::new(20, "Size of the binaries");
    let mut rows = Vec::new();
    let mut largest = (0, "");
    for name in names {
        let size = folder.join(name).metadata()?.len();
        if size > largest.0 {
            largest = (size, name);
        }
        rows.push(vec![format!("`{name}`"), megabytes(size)]);
    }
    let empty = folder.join("empty-lambda").metadata()?.len();
    rows.push(vec!["empty axum on lambda_http".to_owned(), megabytes(empty)]);
    section.say("Release profile (LTO, one codegen unit, panic = abort, stripped), for this machine's architecture, dynamically linked, as `sam build` uploads them (before zipping).");
    section.table(&["binary", "MB"], &rows);
    let measured = format!("at most {} MB (`{}`)", megabytes(largest.0), largest.1);
    section.bars.push(Bar::judged("stripped binary", "≤ 10 MB each", measured, largest.0 <= MOST));
    Ok(section)
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1_000_000.0)
}
