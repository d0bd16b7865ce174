//! Process-level figures.
fn main() {}
