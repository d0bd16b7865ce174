//! A map that survives a restart: an append-only file of changes, one JSON line each, read back at start.
//!
//! Written at once, so that nothing acknowledged is lost when the process is killed. A line cut off by a crash is the
//! last one and is left out. Only the owner may read it: the journal of secrets holds the signing key.
//!
//! # Limits
//! Not synced to disk: it survives the process, not the machine.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::private;

/// Lines the file may hold beyond its live entries before it is rewritten.
const SLACK: usize = 10_000;

/// Where changes are written; without a file it does nothing.
#[derive(Debug, Default)]
pub(crate) struct Journal(Option<Log>);

#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: File,
    lines: usize,
}

impl Journal {
    /// Opens the journal `name` in the folder `data` and reads what it holds; without a folder it is empty and stays so.
    pub(crate) fn open<T: DeserializeOwned>(
        data: Option<&Path>,
        name: &str,
    ) -> io::Result<(Self, BTreeMap<String, T>)> {
        let Some(folder) = data else { return Ok((Self(None), BTreeMap::new())) };
        private::folder(folder)?;
        let path = folder.join(name);
        let entries = if path.exists() { read(&path)? } else { BTreeMap::new() };
        let mut log = Log { file: private::options().create(true).append(true).open(&path)?, path, lines: 0 };
        log.rewrite(entries.iter().map(|(key, value)| (key.as_str(), value.as_ref())))?;
        let values =
            entries.into_iter().filter_map(|(key, value)| Some((key, serde_json::from_str(value.get()).ok()?)));
        Ok((Self(Some(log)), values.collect()))
    }

    /// Writes that `key` is now `value`.
    pub(crate) fn put(&mut self, key: &str, value: &impl Serialize) {
        self.append(&(key, value));
    }

    /// Writes that `key` is gone.
    pub(crate) fn delete(&mut self, key: &str) {
        self.append(&(key,));
    }

    /// Whether so much was written that [`Journal::compact`] is worth its time.
    pub(crate) fn is_long(&self, live: usize) -> bool {
        self.0.as_ref().is_some_and(|log| log.lines > live * 4 + SLACK)
    }

    /// Rewrites the file with `entries` alone.
    pub(crate) fn compact<'e, T: Serialize + 'e>(&mut self, entries: impl Iterator<Item = (&'e str, &'e T)>) {
        if let Some(log) = &mut self.0
            && let Err(error) = log.rewrite(entries)
        {
            tracing::error!(%error, path = %log.path.display(), "could not rewrite a journal");
        }
    }

    fn append(&mut self, line: &impl Serialize) {
        let Some(log) = &mut self.0 else { return };
        let written = serde_json::to_vec(line).map_err(io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            log.file.write_all(&line)
        });
        log.lines += 1;
        if let Err(error) = written {
            tracing::error!(%error, path = %log.path.display(), "could not write to a journal");
        }
    }
}

impl Log {
    fn rewrite<'e, T: Serialize + ?Sized + 'e>(
        &mut self,
        entries: impl Iterator<Item = (&'e str, &'e T)>,
    ) -> io::Result<()> {
        let new = self.path.with_extension("new");
        // One that a killed process left behind may have been made for everybody to read.
        fs::remove_file(&new).ok();
        let mut writer = BufWriter::new(private::options().write(true).create_new(true).open(&new)?);
        self.lines = 0;
        for entry in entries {
            serde_json::to_writer(&mut writer, &entry)?;
            writer.write_all(b"\n")?;
            self.lines += 1;
        }
        writer.into_inner()?;
        fs::rename(&new, &self.path)?;
        self.file = OpenOptions::new().append(true).open(&self.path)?;
        Ok(())
    }
}

fn read(path: &Path) -> io::Result<BTreeMap<String, Box<RawValue>>> {
    let mut entries = BTreeMap::new();
    for line in BufReader::new(File::open(path)?).split(b'\n') {
        match serde_json::from_slice::<Vec<Box<RawValue>>>(&line?) {
            Ok(parts) => {
                let mut parts = parts.into_iter();
                let Some(Ok(key)) = parts.next().map(|key| serde_json::from_str::<String>(key.get())) else { continue };
                match parts.next() {
                    Some(value) => entries.insert(key, value),
                    None => entries.remove(&key),
                };
            }
            Err(error) => tracing::warn!(%error, path = %path.display(), "left out a journal line that was cut off"),
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_there_after_a_restart_and_a_torn_line_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, empty) = Journal::open::<u32>(Some(folder.path()), "numbers").unwrap();
        assert!(empty.is_empty());
        journal.put("one", &1);
        journal.put("two", &2);
        journal.put("one", &11);
        journal.delete("two");
        drop(journal);
        let path = folder.path().join("numbers");
        OpenOptions::new().append(true).open(path).unwrap().write_all(b"[\"three\", 3").unwrap();
        let (_, numbers) = Journal::open::<u32>(Some(folder.path()), "numbers").unwrap();
        assert_eq!(numbers, BTreeMap::from([("one".to_owned(), 11)]));
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_may_read_it_even_where_everybody_could_before() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.jsonl");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        let (mut journal, _) = Journal::open::<u32>(Some(folder.path()), "secrets.jsonl").unwrap();
        journal.put("one", &1);
        assert_eq!(mode(), 0o600);
        journal.compact([("one", &1)].into_iter());
        assert_eq!(mode(), 0o600);
        drop(journal);
        for left in ["secrets.jsonl", "secrets.new"] {
            let left = folder.path().join(left);
            fs::write(&left, b"[\"one\", 1]\n").unwrap();
            fs::set_permissions(&left, fs::Permissions::from_mode(0o644)).unwrap();
        }
        let (_, kept) = Journal::open::<u32>(Some(folder.path()), "secrets.jsonl").unwrap();
        assert_eq!((mode(), kept.len()), (0o600, 1));
    }
}
