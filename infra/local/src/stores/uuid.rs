//! Random UUIDs of the stack's own chance.

use satchel_inbound::Ids;

use super::keys::hex;

/// A UUID of version 4 (RFC 9562, 5.4).
pub(super) fn uuid(ids: &Ids) -> String {
    let mut bytes = ids.bytes::<16>();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex(&bytes);
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}
