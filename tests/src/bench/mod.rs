//! The machinery of `bench-process`: what is measured, on what, and how it is told. Load goes to loopback only.

pub mod capacity;
pub mod client;
pub mod cold;
pub mod cpu;
pub mod load;
pub mod machine;
pub mod memory;
pub mod purchases;
pub mod replay;
pub mod report;
pub mod sizes;
pub mod space;
pub mod stats;
pub mod tls;
pub mod warm;
pub mod work;
