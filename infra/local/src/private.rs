//! Files that only their owner may read: a stack keeps keys, secrets and rows of people in its folder.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

/// Makes the folder at `path`, for its owner alone. One that is there stays as it is: it may be anybody's.
pub(crate) fn folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Options that make a file for its owner alone.
pub(crate) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Writes a file, whole or not at all.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = options().write(true).create(true).truncate(true).open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(draft, path)
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_made_is_for_its_owner_and_a_folder_that_was_there_stays_as_it_was() {
        let temporary = tempfile::tempdir().unwrap();
        let made = temporary.path().join("made");
        folder(&made).unwrap();
        assert_eq!(mode(&made), 0o700);
        write(&made.join("file"), b"x").unwrap();
        assert_eq!(mode(&made.join("file")), 0o600);
        let older = temporary.path().join("older");
        fs::create_dir(&older).unwrap();
        fs::set_permissions(&older, fs::Permissions::from_mode(0o755)).unwrap();
        folder(&older).unwrap();
        assert_eq!(mode(&older), 0o755);
    }
}
