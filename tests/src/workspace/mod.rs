//! The workspace as a model: its crates, its template, its sources. [`Workspace::read`] reads the real one, the rules in
//! [`rules`] judge any.

pub mod crates;
pub mod exceptions;
pub mod rules;
pub mod sources;
pub mod template;

use std::path::{Path, PathBuf};

pub use crates::Package;
pub use exceptions::Exceptions;
pub use sources::Source;
pub use template::Template;

/// Why the workspace cannot be read.
pub type ReadError = Box<dyn std::error::Error + Send + Sync>;

/// What the rules look at.
#[derive(Debug, Clone, Default)]
pub struct Workspace {
    /// Crates of ours.
    pub packages: Vec<Package>,
    /// `template.yaml`.
    pub template: Template,
    /// Rust sources of ours.
    pub sources: Vec<Source>,
}

impl Workspace {
    /// The workspace at `root`.
    ///
    /// # Errors
    /// Where cargo or the template cannot be read.
    pub fn read(root: &Path) -> Result<Self, ReadError> {
        Ok(Self {
            packages: crates::read(root)?,
            template: Template::parse(&std::fs::read_to_string(root.join("template.yaml"))?)?,
            sources: sources::read(root)?,
        })
    }

    /// The packages in `functions/`.
    pub fn families(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.layer() == Some(crates::Layer::Function))
    }
}

/// The folder of the workspace this crate was built in.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The rule, in kebab case.
    pub rule: &'static str,
    /// What breaks it: a crate, a function, a file.
    pub subject: String,
    /// How, and what to do.
    pub why: String,
}

impl Violation {
    pub(crate) fn new(rule: &'static str, subject: impl Into<String>, why: impl Into<String>) -> Self {
        Self { rule, subject: subject.into(), why: why.into() }
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} | {} | {}", self.rule, self.subject, self.why)
    }
}
