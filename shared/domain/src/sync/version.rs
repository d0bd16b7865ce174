//! Versions of an entry: what is stored, what comes in, and which of two outranks the other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::clock::VectorClock;

/// How far in the future a client's `updated_at` counts, in seconds: a skewed clock must not win for ever.
pub const MAX_SKEW: i64 = 300;

/// How a client wrote its ciphertext.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Canonical padded base64 (RFC 4648, section 4); stored decoded.
    Base64,
    /// Any other text; stored as its UTF-8 bytes.
    Text,
}

/// Ciphertext as it is stored, and the form it comes back in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The stored bytes.
    pub bytes: Vec<u8>,
    /// The form it came in.
    pub form: Form,
}

impl Content {
    /// What `text` is stored as.
    pub fn parse(text: &str) -> Self {
        match STANDARD.decode(text) {
            // Only what encodes back to the same text may be stored decoded; and nothing is nothing in either form.
            Ok(bytes) if !text.is_empty() && STANDARD.encode(&bytes) == text => Self { bytes, form: Form::Base64 },
            _ => Self { bytes: text.as_bytes().to_vec(), form: Form::Text },
        }
    }

    /// The text it came as.
    pub fn text(&self) -> String {
        match self.form {
            Form::Base64 => STANDARD.encode(&self.bytes),
            Form::Text => String::from_utf8_lossy(&self.bytes).into_owned(),
        }
    }

    /// SHA-256 of the stored bytes.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(&self.bytes).into()
    }
}

/// Which of two concurrent versions wins: the later, then by author, then by content, so that the outcome is the same in
/// whatever order they arrive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Rank {
    /// The client's `updated_at`, at most [`MAX_SKEW`] ahead of the server, Unix seconds.
    pub at: i64,
    /// The author device.
    pub author: String,
    /// SHA-256 of the stored bytes, all zeros for a deletion; the form breaks the last tie.
    pub hash: [u8; 32],
    /// The form of the content.
    pub form: Form,
}

/// A stored version, without its ciphertext: all that a decision needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Merged clock.
    pub clock: VectorClock,
    /// The clock its content came with.
    pub content_clock: VectorClock,
    /// Its rank.
    pub rank: Rank,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// SHA-256 of the stored bytes; zeros for a tombstone.
    pub hash: [u8; 32],
    /// Form of the content.
    pub form: Form,
    /// Stored bytes of ciphertext.
    pub size: usize,
    /// The device whose push brought the content: one that only merged its clock has not seen it.
    pub written_by: String,
    /// The commit that wrote it last.
    pub seq: u64,
}

/// A version as a client pushes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// Its clock; empty for the seed's clients.
    pub clock: VectorClock,
    /// The content, or none for a deletion.
    pub content: Option<Content>,
    /// SHA-256 of the content's stored bytes; zeros for a deletion.
    pub hash: [u8; 32],
    /// The author: the entry's own `device_id`.
    pub author: String,
    /// Client time, Unix seconds.
    pub updated_at: i64,
    /// For a deletion without clock: the position its device had seen, where it said so, and the device.
    pub seen: Option<Seen>,
}

/// What a device had seen when it deleted without a clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The position of its `base_cursor`, where it sent one.
    pub position: Option<u64>,
    /// The pushing device.
    pub device: String,
}

impl Incoming {
    /// Whether it deletes.
    pub fn deletes(&self) -> bool {
        self.content.is_none()
    }

    /// Its rank at `now` (Unix seconds).
    pub fn rank(&self, now: i64) -> Rank {
        Rank {
            at: self.updated_at.min(now.saturating_add(MAX_SKEW)),
            author: self.author.clone(),
            hash: self.hash,
            form: self.form(),
        }
    }

    /// Form of its content; a deletion's is the one that a row without content is read with.
    pub fn form(&self) -> Form {
        self.content.as_ref().map_or(Form::Base64, |content| content.form)
    }

    /// Stored bytes of its ciphertext.
    pub fn size(&self) -> usize {
        self.content.as_ref().map_or(0, |content| content.bytes.len())
    }

    /// Whether it is what `stored` is: same bytes in the same form, or both deletions.
    pub fn is_same_as(&self, stored: &Stored) -> bool {
        match (&self.content, stored.deleted) {
            (None, true) => true,
            (Some(content), false) => self.hash == stored.hash && content.form == stored.form,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_base64_is_stored_decoded_and_all_comes_back_as_it_came() {
        for (text, form) in [
            ("aGVsbG8=", Form::Base64),
            ("aGVsbG8", Form::Text),
            ("aGVsbG9=", Form::Text),
            ("aGVs bG8=", Form::Text),
            ("_-_-", Form::Text),
            ("", Form::Text),
            ("version_b", Form::Text),
            ("base64_encrypted_content", Form::Text),
            ("abcd", Form::Base64),
            ("é🦀", Form::Text),
        ] {
            let content = Content::parse(text);
            assert_eq!(content.form, form, "{text}");
            assert_eq!(content.text(), text);
        }
    }
}
