//! Cursors of pages: where the next page begins, authenticated, so that an altered one or one of another list is refused.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use satchel_domain::refresh::keyed;
use satchel_domain::{Error, Result};
use subtle::ConstantTimeEq as _;

/// Bytes of the authentication code.
const TAG: usize = 16;

/// Writes and reads cursors.
pub struct Cursors([u8; 32]);

impl Cursors {
    /// Cursors by a key that `secret` gives.
    pub(crate) fn derive(secret: &[u8]) -> Self {
        Self(keyed(secret, b"satchel/auth/cursor/v1"))
    }

    /// The cursor after `place` in `list`.
    pub(crate) fn write(&self, list: &str, place: &str) -> String {
        URL_SAFE_NO_PAD.encode([&self.tag(list, place)[..], place.as_bytes()].concat())
    }

    /// The place that `cursor` of `list` names.
    pub(crate) fn read(&self, list: &str, cursor: &str) -> Result<String> {
        self.open(list, cursor).ok_or_else(|| Error::Malformed {
            code: "invalid_cursor",
            message: "the cursor is not one of this list".to_owned(),
        })
    }

    fn open(&self, list: &str, cursor: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (tag, place) = bytes.split_first_chunk::<TAG>()?;
        let place = String::from_utf8(place.to_vec()).ok()?;
        bool::from(tag.ct_eq(&self.tag(list, &place))).then_some(place)
    }

    fn tag(&self, list: &str, place: &str) -> [u8; TAG] {
        let mac = keyed(&self.0, format!("{list}\0{place}").as_bytes());
        let mut tag = [0; TAG];
        tag.copy_from_slice(&mac[..TAG]);
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_of_its_list_and_unaltered_or_refused() {
        let cursors = Cursors::derive(&[1; 32]);
        let cursor = cursors.write("members/acme", "usr_ada");
        assert_eq!(cursors.read("members/acme", &cursor).unwrap(), "usr_ada");
        for (list, cursor) in [
            ("members/other", cursor.clone()),
            ("members/acme", cursor[1..].to_owned()),
            ("members/acme", format!("{cursor}A")),
            ("members/acme", String::new()),
            ("members/acme", "ü".to_owned()),
        ] {
            assert!(
                matches!(cursors.read(list, &cursor), Err(Error::Malformed { code: "invalid_cursor", .. })),
                "{cursor}"
            );
        }
    }
}
