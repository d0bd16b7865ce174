//! What looks at Satchel from above: a Lambda Runtime API and the real binaries under it, the workspace and its template
//! as a model, and the benchmark's machinery.
//!
//! The tests themselves stand in `tests/tests`, the process-level benchmark in `src/bin/bench-process.rs`.

pub mod bench;
pub mod binaries;
pub mod events;
pub mod process;
pub mod runtime_api;
pub mod simulation;
pub mod stage;
pub mod workspace;
