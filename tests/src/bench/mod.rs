//! The machinery of `bench-process`: what is measured, on what, and how it is told.

pub mod cpu;
pub mod machine;
pub mod stats;
pub mod tls;
