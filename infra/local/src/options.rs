//! How a stack is started, and what keeps it from starting.

use std::collections::BTreeMap;
use std::path::PathBuf;

use satchel_inbound::Function;

use crate::clock::LocalClock;
use crate::registry;

const TEMPLATE: &str = include_str!("../../../template.yaml");

/// How a stack is started.
#[derive(Clone)]
pub struct LocalOptions {
    /// Folder that keeps its data; in memory without one.
    pub data: Option<PathBuf>,
    /// Values of template parameters.
    pub params: BTreeMap<String, String>,
    /// The clock of everything in it.
    pub clock: LocalClock,
    /// Where ids and random bytes come from; the system's randomness without one.
    pub seed: Option<u64>,
    /// The port of its API: only for addresses it gives out, nothing listens by itself.
    pub port: u16,
    /// The port of its AWS services, likewise: presigned links name it.
    pub aws_port: u16,
    /// Where emulators run that another process started; its own without one.
    pub aws_endpoint: Option<String>,
    /// Only the emulators, without functions.
    pub services_only: bool,
    /// A root certificate (DER) that is trusted for the App Store in the place of the stand-in's own.
    pub apple_root: Option<Vec<u8>>,
    /// The template; the repository's own unless a test of the local process brings another.
    pub template: &'static str,
    /// The functions that its blocks may name.
    pub functions: Vec<Function>,
}

impl std::fmt::Debug for LocalOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalOptions").field("data", &self.data).field("params", &self.params).finish_non_exhaustive()
    }
}

impl Default for LocalOptions {
    fn default() -> Self {
        Self {
            data: None,
            params: BTreeMap::new(),
            clock: LocalClock::real(),
            seed: None,
            port: 3000,
            aws_port: 3002,
            aws_endpoint: None,
            services_only: false,
            apple_root: None,
            template: TEMPLATE,
            functions: registry::all(),
        }
    }
}

/// Everything that keeps a stack from starting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct StartError(pub Vec<String>);

impl From<String> for StartError {
    fn from(complaint: String) -> Self {
        Self(vec![complaint])
    }
}
