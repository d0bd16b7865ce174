//! Bodies in `aws-chunked` encoding, which the SDK uses for a stream whose checksum follows it.

use axum::body::Bytes;

use crate::services::request::Request;

/// The content of a request's body, out of its chunks where it has any.
pub(super) fn content(request: &Request) -> Option<Bytes> {
    let streaming = request.header("x-amz-content-sha256").is_some_and(|kind| kind.starts_with("STREAMING-"));
    if streaming { decode(&request.body) } else { Some(request.body.clone()) }
}

/// `size[;signature]` CRLF, so many bytes, CRLF, and again until a size of 0, which trailers follow.
fn decode(mut body: &[u8]) -> Option<Bytes> {
    let mut content = Vec::with_capacity(body.len());
    loop {
        let end = body.windows(2).position(|pair| pair == b"\r\n")?;
        let head = std::str::from_utf8(&body[..end]).ok()?;
        let size = usize::from_str_radix(head.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(content.into());
        }
        let start = end + 2;
        content.extend_from_slice(body.get(start..start + size)?);
        body = body.get(start + size..)?.strip_prefix(b"\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_joined_and_trailers_left_out() {
        let body = b"5\r\nhello\r\n6;chunk-signature=ab\r\n world\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
        assert_eq!(decode(body).unwrap(), Bytes::from_static(b"hello world"));
        assert!(decode(b"5\r\nhel").is_none());
    }
}
