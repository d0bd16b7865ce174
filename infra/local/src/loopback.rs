//! Who may use the ports besides the API: programs of this machine. A request that names another host, as a page that
//! rebinds its name would, and one from a page of another origin are not of this machine.

use http::{HeaderMap, header};

/// Whether a request with `headers` was made by a program of this machine, or by a page that it serves itself.
pub(crate) fn is_of_this_machine(headers: &HeaderMap) -> bool {
    let is_local = |authority: &str| {
        let host = authority.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
        matches!(host.map_or(authority, |(host, _)| host), "127.0.0.1" | "localhost" | "[::1]")
    };
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let origin = text(header::ORIGIN).map(|origin| origin.strip_prefix("http://").unwrap_or("?"));
    text(header::HOST).is_none_or(is_local) && origin.is_none_or(is_local)
}
