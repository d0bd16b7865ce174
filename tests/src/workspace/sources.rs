//! Rust sources, read as text: enough to find a call by its name, without pretending to be a compiler.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::ReadError;

/// One source file.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// Its path from the root of the workspace.
    pub path: PathBuf,
    /// Its text without comments, and without its unit tests where it is no test itself.
    pub text: String,
}

impl Source {
    /// A source as the rules read it.
    pub fn new(path: impl Into<PathBuf>, text: &str) -> Self {
        let path = path.into();
        let text = without_comments(text);
        let is_test = path.components().any(|part| part.as_os_str() == "tests");
        let text = if is_test { text } else { before_tests(&text).to_owned() };
        Self { path, text }
    }

    /// Whether the file lies in `folder`.
    pub fn is_in(&self, folder: impl AsRef<Path>) -> bool {
        self.path.starts_with(folder)
    }

    /// The settings it reads: the first argument of the reader's methods, where it is a text.
    pub fn settings(&self) -> BTreeSet<String> {
        let calls = [".text", ".value", ".optional", ".list", ".get"];
        let mut found = BTreeSet::new();
        for call in calls {
            for (at, _) in self.text.match_indices(call) {
                let rest = self.text.get(at + call.len()..).unwrap_or_default();
                // `.value::<u32>(` as well as `.value(`
                let rest = if rest.starts_with("::<") {
                    rest.split_once(">(").map_or("", |(_, rest)| rest)
                } else {
                    rest.strip_prefix('(').unwrap_or_default()
                };
                let rest = rest.trim_start();
                let name = rest.strip_prefix('"').and_then(|rest| rest.split('"').next()).unwrap_or_default();
                if is_setting(name) {
                    found.insert(name.to_owned());
                }
            }
        }
        found
    }
}

/// `TABLE_SYNC`, not `Retry-After` or `pk`.
fn is_setting(name: &str) -> bool {
    name.len() > 2
        && name.starts_with(|letter: char| letter.is_ascii_uppercase())
        && name.chars().all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_')
}

/// Cuts comments off, line by line; a `//` inside of a text (a URL) stays.
fn without_comments(text: &str) -> String {
    text.lines().map(|line| line.get(..comment(line)).unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn comment(line: &str) -> usize {
    let bytes = line.as_bytes();
    let (mut in_text, mut at) = (false, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if in_text => at += 1,
            b'"' => in_text = !in_text,
            // A quote as a character is no text.
            b'\'' if !in_text && bytes.get(at + 1) == Some(&b'"') && bytes.get(at + 2) == Some(&b'\'') => at += 2,
            b'/' if !in_text && bytes.get(at + 1) == Some(&b'/') => return at,
            _ => {}
        }
        at += 1;
    }
    line.len()
}

fn before_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or(text)
}

/// Every Rust source of the workspace.
///
/// # Errors
/// Where a folder cannot be read.
pub fn read(root: &Path) -> Result<Vec<Source>, ReadError> {
    let mut sources = Vec::new();
    for folder in ["functions", "shared", "infra", "tests"] {
        collect(root, &root.join(folder), &mut sources)?;
    }
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(sources)
}

fn collect(root: &Path, folder: &Path, sources: &mut Vec<Source>) -> Result<(), ReadError> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                collect(root, &path, sources)?;
            }
        } else if name.ends_with(".rs") {
            let relative = path.strip_prefix(root).unwrap_or(&path);
            sources.push(Source::new(relative, &std::fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_tells_which_settings_it_reads_and_keeps_quiet_about_its_tests_and_comments() {
        let text = "let a = settings.text(\"TABLE_SYNC\"); // settings.text(\"IN_A_COMMENT\")\nlet b = read.value::<u32>(\n    \
            \"SYNC_QUOTA_BYTES\", 1);\nheaders.get(\"Retry-After\"); let url = \"https://x\"; s.list(\"GOOGLE_CLIENT_IDS\");\n\
            #[cfg(test)]\nmod tests {\n s.text(\"IN_A_TEST\") }";
        let found = Source::new("functions/x/src/lib.rs", text).settings();
        let found: Vec<_> = found.iter().map(String::as_str).collect();
        assert_eq!(found, ["GOOGLE_CLIENT_IDS", "SYNC_QUOTA_BYTES", "TABLE_SYNC"]);
    }

    #[test]
    fn a_test_is_read_whole() {
        let source = Source::new("functions/x/tests/api.rs", "#[cfg(test)]\nmod tests { s.text(\"IN_A_TEST\") }");
        assert!(source.settings().contains("IN_A_TEST"));
    }
}
