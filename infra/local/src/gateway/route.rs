//! Which function takes a request: API Gateway's rules for the routes of an HTTP API.
//!
//! The most specific route wins: segment by segment a text before a variable before `{name+}`, then a method before
//! `ANY`, and `$default` (here also SAM's `/{proxy+}` for `ANY`) last (API Gateway developer guide, *Create routes for
//! HTTP APIs*).

use http::Method;

/// A part of a route's path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    /// This text; the order of the variants is the order of preference.
    Text(String),
    /// Any one segment.
    Variable,
    /// All segments from here on, at least one.
    Rest,
}

/// One route.
#[derive(Debug, Clone)]
pub(crate) struct Route<T> {
    /// `None` is any.
    method: Option<Method>,
    segments: Vec<Segment>,
    /// As the template writes it.
    key: String,
    target: T,
}

/// The routes of an API.
#[derive(Debug, Clone)]
pub(crate) struct Routes<T> {
    routes: Vec<Route<T>>,
    default: Option<T>,
}

impl<T: Clone> Routes<T> {
    /// Routes of (method, path, target).
    ///
    /// # Errors
    /// Paths that API Gateway would not take, and routes that stand there twice.
    pub(crate) fn new(list: impl IntoIterator<Item = (String, String, T)>) -> Result<Self, Vec<String>> {
        let mut complaints = Vec::new();
        let mut routes: Vec<Route<T>> = Vec::new();
        let mut default = None;
        for (method, path, target) in list {
            if path == "$default" || (method == "ANY" && path == "/{proxy+}") {
                if default.replace(target).is_some() {
                    complaints.push("there is more than one $default route".to_owned());
                }
                continue;
            }
            let key = format!("{method} {path}");
            let method = match method.as_str() {
                "ANY" => None,
                name => match name.parse() {
                    Ok(method) => Some(method),
                    Err(_) => {
                        complaints.push(format!("`{key}`: no such method"));
                        continue;
                    }
                },
            };
            match segments(&path) {
                Ok(segments) => {
                    if routes.iter().any(|route| route.method == method && route.segments == segments) {
                        complaints.push(format!("the route `{key}` stands there twice"));
                    }
                    routes.push(Route { method, segments, key, target });
                }
                Err(error) => complaints.push(format!("`{key}`: {error}")),
            }
        }
        routes.sort_by(|left, right| {
            (&left.segments, left.method.is_none()).cmp(&(&right.segments, right.method.is_none()))
        });
        if complaints.is_empty() { Ok(Self { routes, default }) } else { Err(complaints) }
    }

    /// The target of a request, with the key of its route.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Option<(&str, T)> {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let wanted = |route: &&Route<T>| {
            route.method.as_ref().is_none_or(|own| own == method) && matches(&route.segments, &parts)
        };
        match self.routes.iter().find(wanted) {
            Some(route) => Some((&route.key, route.target.clone())),
            None => self.default.clone().map(|target| ("$default", target)),
        }
    }
}

fn segments(path: &str) -> Result<Vec<Segment>, String> {
    let rest = path.strip_prefix('/').ok_or("a path begins with /")?;
    let parts: Vec<&str> = rest.split('/').collect();
    let mut segments = Vec::with_capacity(parts.len());
    for (index, part) in parts.iter().enumerate() {
        segments.push(match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) if name.ends_with('+') => {
                if index + 1 != parts.len() {
                    return Err(format!("{{{name}}} is not the last segment"));
                }
                Segment::Rest
            }
            Some(_) => Segment::Variable,
            None if part.contains(['{', '}']) => return Err(format!("`{part}` is neither a text nor a variable")),
            None => Segment::Text((*part).to_owned()),
        });
    }
    Ok(segments)
}

fn matches(segments: &[Segment], parts: &[&str]) -> bool {
    match (segments.split_first(), parts.split_first()) {
        (None, None) => true,
        (Some((Segment::Rest, _)), Some((first, rest))) => !(first.is_empty() && rest.is_empty()),
        (Some((Segment::Text(text), segments)), Some((part, parts))) => text == part && matches(segments, parts),
        (Some((Segment::Variable, segments)), Some((part, parts))) => !part.is_empty() && matches(segments, parts),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(list: &[(&str, &str)]) -> Result<Routes<String>, Vec<String>> {
        Routes::new(
            list.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned(), format!("{method} {path}"))),
        )
    }

    #[test]
    fn the_most_specific_route_wins_in_any_order_of_writing() {
        let mut list = vec![
            ("ANY", "/{proxy+}"),
            ("GET", "/devices/{id}"),
            ("GET", "/devices/capable"),
            ("ANY", "/devices/{id}"),
            ("GET", "/devices/{rest+}"),
            ("POST", "/devices"),
        ];
        for _ in 0..2 {
            let routes = routes(&list).unwrap();
            for (method, path, wanted) in [
                (Method::GET, "/devices/capable", "GET /devices/capable"),
                (Method::GET, "/devices/dev_1", "GET /devices/{id}"),
                (Method::PATCH, "/devices/dev_1", "ANY /devices/{id}"),
                (Method::GET, "/devices/dev_1/x/y", "GET /devices/{rest+}"),
                (Method::POST, "/devices", "POST /devices"),
                (Method::GET, "/devices", "ANY /{proxy+}"),
                (Method::GET, "/devices/", "ANY /{proxy+}"),
                (Method::GET, "/", "ANY /{proxy+}"),
            ] {
                let (_, found) = routes.find(&method, path).unwrap();
                assert_eq!(found, wanted, "{method} {path}");
            }
            list.reverse();
        }
    }

    #[test]
    fn nothing_takes_what_no_route_names() {
        assert!(routes(&[("GET", "/a")]).unwrap().find(&Method::GET, "/b").is_none());
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let complaints = routes(&[("GET", "/a"), ("GET", "/a"), ("GET", "b"), ("GET", "/{x+}/y"), ("GET", "/a{b}")]);
        assert_eq!(complaints.unwrap_err().len(), 4);
    }
}
