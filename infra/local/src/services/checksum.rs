//! The checksums SQS and S3 answer with, which clients compare with their own.

use md5::{Digest as _, Md5};

/// MD5 of `bytes`.
pub(super) fn md5(bytes: &[u8]) -> [u8; 16] {
    Md5::digest(bytes).into()
}

/// MD5 of `bytes` in hexadecimal.
pub(super) fn md5_hex(bytes: &[u8]) -> String {
    hex(&md5(bytes))
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
