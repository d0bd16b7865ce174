//! What no route takes: 404, or 405 where the path has other methods.

use std::sync::OnceLock;

use axum::extract::Request;
use axum::response::Response;
use http::{HeaderValue, Method, StatusCode, header};
use satchel_inbound::http::error::problem;
use serde_json::Value;

use crate::document::TEXT;

/// A path of the document: its segments, none for a parameter, and its methods.
struct Known {
    segments: Vec<Option<String>>,
    methods: Vec<String>,
}

/// API Gateway routes by method and path together, so a known path with another method comes here as well.
pub(crate) async fn answer(request: Request) -> Response {
    let allowed = methods_of(request.uri().path());
    if allowed.is_empty() || allowed.iter().any(|method| *method == request.method().as_str()) {
        return problem(StatusCode::NOT_FOUND, "not_found", "no such route".into(), None);
    }
    let text = format!("this path has {}", allowed.join(", "));
    let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", text.into(), None);
    if let Ok(value) = HeaderValue::from_str(&allowed.join(", ")) {
        response.headers_mut().insert(header::ALLOW, value);
    }
    response
}

/// The methods of every path of the document that `path` could be; none where it could be none.
fn methods_of(path: &str) -> Vec<&'static str> {
    static KNOWN: OnceLock<Vec<Known>> = OnceLock::new();
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let known = KNOWN.get_or_init(|| paths(TEXT));
    // What is written out goes before what is a parameter: /devices/capable is no device.
    let fitting = known.iter().filter(|known| known.fits(&segments));
    let best = fitting.max_by_key(|known| known.segments.iter().filter(|segment| segment.is_some()).count());
    best.map_or_else(Vec::new, |known| known.methods.iter().map(String::as_str).collect())
}

impl Known {
    fn fits(&self, segments: &[&str]) -> bool {
        self.segments.len() == segments.len()
            && self.segments.iter().zip(segments).all(|(known, given)| match known {
                Some(text) => text == given,
                None => !given.is_empty(),
            })
    }
}

fn paths(document: &str) -> Vec<Known> {
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    let is_method =
        |name: &&String| Method::from_bytes(name.to_uppercase().as_bytes()).is_ok_and(|method| is_usual(&method));
    let paths = document["paths"].as_object().into_iter().flatten();
    paths
        .map(|(path, item)| {
            let segments = path.trim_start_matches('/').split('/');
            let methods = item.as_object().into_iter().flat_map(|item| item.keys()).filter(is_method);
            let mut known = Known {
                segments: segments.map(|segment| (!segment.starts_with('{')).then(|| segment.to_owned())).collect(),
                methods: methods.map(|name| name.to_uppercase()).collect(),
            };
            known.methods.sort_unstable();
            known
        })
        .collect()
}

fn is_usual(method: &Method) -> bool {
    [Method::GET, Method::PUT, Method::POST, Method::DELETE, Method::OPTIONS, Method::HEAD, Method::PATCH]
        .contains(method)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_fits_by_its_segments() {
        let known = paths(r#"{"paths": {"/a/{id}": {"get": {}, "delete": {}, "summary": ""}, "/a/b": {"post": {}}}}"#);
        let of = |path: &str| {
            let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
            known.iter().filter(|known| known.fits(&segments)).map(|known| known.methods.join(",")).collect::<Vec<_>>()
        };
        assert_eq!(of("/a/c"), ["DELETE,GET"]);
        assert_eq!(of("/a/b").len(), 2);
        assert!(of("/a/").is_empty() && of("/a/b/c").is_empty() && of("/").is_empty());
    }
}
