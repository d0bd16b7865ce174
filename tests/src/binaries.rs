//! Where the function binaries lie. `CARGO_BIN_EXE_…` knows only those of its own package, so they are looked up beside
//! the running executable.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Why a binary cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BinaryError {
    /// Nobody built it.
    #[error("the binary `{name}` is not in {folder}: run `cargo build --workspace --bins` first (`make test` does)")]
    Missing {
        /// Its name.
        name: String,
        /// Where it was looked for.
        folder: String,
    },
    /// A source is younger.
    #[error(
        "the binary `{name}` is older than {source_file}: run `cargo build --workspace --bins` first (`make test` does)"
    )]
    Stale {
        /// Its name.
        name: String,
        /// The first younger source.
        source_file: String,
    },
}

/// A folder with built binaries.
#[derive(Debug, Clone)]
pub struct Binaries {
    folder: PathBuf,
    /// When the running executable was built: what changed later, while tests run, says nothing about the binaries.
    until: Option<SystemTime>,
}

impl Binaries {
    /// The folder of the running executable's profile: a test lies in its `deps`.
    pub fn beside_this() -> Self {
        let exe = std::env::current_exe().unwrap_or_default();
        let folder = exe.parent().unwrap_or(Path::new("."));
        let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
        Self { folder: folder.to_owned(), until: modified(&exe) }
    }

    /// The folder `folder`.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), until: std::env::current_exe().ok().as_deref().and_then(modified) }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The binary `name`, where it is there and no older than its sources.
    ///
    /// # Errors
    /// [`BinaryError`].
    pub fn find(&self, name: &str) -> Result<PathBuf, BinaryError> {
        let path = self.folder.join(name);
        let Ok(built) = path.metadata().and_then(|it| it.modified()) else {
            return Err(BinaryError::Missing { name: name.to_owned(), folder: self.folder.display().to_string() });
        };
        // Cargo leaves beside each binary the list of what it was made of.
        let list = std::fs::read_to_string(self.folder.join(format!("{name}.d"))).unwrap_or_default();
        let until = self.until;
        let younger =
            |source: &Path| modified(source).is_some_and(|at| at > built && until.is_none_or(|until| at <= until));
        match sources(&list).into_iter().find(|source| younger(source)) {
            Some(source) => {
                Err(BinaryError::Stale { name: name.to_owned(), source_file: source.display().to_string() })
            }
            None => Ok(path),
        }
    }

    /// All problems with the binaries `names`, in one text.
    ///
    /// # Errors
    /// One line a problem.
    pub fn check<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<(), String> {
        let problems: BTreeSet<String> =
            names.into_iter().filter_map(|name| self.find(name).err()).map(|error| error.to_string()).collect();
        if problems.is_empty() { Ok(()) } else { Err(problems.into_iter().collect::<Vec<_>>().join("\n")) }
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|it| it.modified()).ok()
}

/// The sources in a dependency file of cargo: `target: source source…`, spaces in paths escaped.
fn sources(list: &str) -> Vec<PathBuf> {
    let Some((_, rest)) = list.split_once(": ") else { return Vec::new() };
    let rest = rest.replace("\\ ", "\u{0}");
    rest.split_whitespace().map(|source| PathBuf::from(source.replace('\u{0}', " "))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_that_nobody_built_is_named_with_the_command_that_builds_it() {
        let folder = tempfile::tempdir().unwrap();
        let error = Binaries::at(folder.path()).check(["sync", "auth"]).unwrap_err();
        assert!(error.contains("`auth`") && error.contains("`sync`") && error.contains("cargo build"), "{error}");
    }

    #[test]
    fn a_binary_older_than_a_source_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("sync", "");
        write("new source.rs", "");
        let age = |name: &str, seconds: u64| {
            let file = std::fs::File::options().write(true).open(folder.path().join(name)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds)).unwrap();
        };
        age("sync", 100);
        age("new source.rs", 200);
        let source = folder.path().join("new source.rs").display().to_string();
        write("sync.d", &format!("sync: {}\n", source.replace(' ', "\\ ")));
        let error = Binaries::at(folder.path()).find("sync").unwrap_err().to_string();
        assert!(error.contains("older than") && error.contains("new source.rs"), "{error}");
        age("sync", 300);
        Binaries::at(folder.path()).find("sync").unwrap();
    }
}
