//! CORS as an HTTP API does it: the gateway answers preflights itself and puts its own headers on every answer.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use serde_json::Value;

/// `CorsConfiguration` of the template's API.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cors {
    origins: Vec<String>,
    methods: String,
    headers: String,
    expose: String,
    max_age: Option<u64>,
    credentials: bool,
}

impl Cors {
    /// Reads the properties of an `AWS::Serverless::HttpApi`.
    pub(crate) fn read(api: Option<&Value>) -> Self {
        let Some(cors) = api.and_then(|api| api.get("CorsConfiguration")) else { return Self::default() };
        let list = |name: &str| -> Vec<String> {
            let texts = cors[name].as_array().into_iter().flatten().filter_map(Value::as_str);
            texts.map(|text| text.trim().to_owned()).collect()
        };
        Self {
            origins: list("AllowOrigins"),
            methods: list("AllowMethods").join(","),
            headers: list("AllowHeaders").join(","),
            expose: list("ExposeHeaders").join(","),
            max_age: cors["MaxAge"].as_u64().or_else(|| cors["MaxAge"].as_str()?.parse().ok()),
            credentials: cors["AllowCredentials"] == true || cors["AllowCredentials"] == "true",
        }
    }

    /// Whether the gateway answers `request` itself.
    pub(crate) fn is_preflight<B>(&self, request: &Request<B>) -> bool {
        let has = |name| request.headers().contains_key(name);
        !self.origins.is_empty()
            && request.method() == Method::OPTIONS
            && has(header::ORIGIN)
            && has(header::ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// The gateway's own answer to a preflight.
    pub(crate) fn preflight(&self) -> StatusCode {
        StatusCode::NO_CONTENT
    }

    /// Puts the headers on an answer to a request from `origin`.
    pub(crate) fn dress(&self, origin: Option<&HeaderValue>, is_preflight: bool, headers: &mut HeaderMap) {
        let Some(origin) = origin else { return };
        let allowed =
            self.origins.iter().any(|allowed| allowed == "*" || Some(allowed.as_str()) == origin.to_str().ok());
        if !allowed {
            return;
        }
        let mut set = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value)
                && !value.is_empty()
            {
                headers.insert(name, value);
            }
        };
        let any = !self.credentials && self.origins.iter().any(|allowed| allowed == "*");
        set(header::ACCESS_CONTROL_ALLOW_ORIGIN, if any { "*" } else { origin.to_str().unwrap_or_default() });
        if self.credentials {
            set(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
        }
        if is_preflight {
            set(header::ACCESS_CONTROL_ALLOW_METHODS, &self.methods);
            set(header::ACCESS_CONTROL_ALLOW_HEADERS, &self.headers);
            set(header::ACCESS_CONTROL_MAX_AGE, &self.max_age.map(|age| age.to_string()).unwrap_or_default());
        } else {
            set(header::ACCESS_CONTROL_EXPOSE_HEADERS, &self.expose);
        }
    }
}
