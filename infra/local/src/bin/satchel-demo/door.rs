//! The way to the stack: over HTTP to one that runs, or into one of our own.

use std::io::Write;

use axum::http::{Method, Request, header};
use satchel_local::{Bytes, Local, LocalOptions};
use satchel_outbound::Http;
use serde_json::Value;

use crate::Surprise;

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum As<'a> {
    /// Nobody.
    Nobody,
    /// Who holds an access token.
    Token(&'a str),
}

/// A way to a stack.
pub(crate) enum Door {
    Running { url: String, http: Http },
    Own(Box<Local>),
}

impl Door {
    /// To the stack at `url`, or to one in memory where nothing listens there.
    pub(crate) async fn open(url: &str, told: &mut impl Write) -> Result<Self, Surprise> {
        let door = Self::Running { url: url.trim_end_matches('/').to_owned(), http: Http::network() };
        match door.call(Method::GET, "/health", As::Nobody, None).await {
            Ok((200, _)) => {
                writeln!(told, "The stack at {url} answers.")?;
                Ok(door)
            }
            Ok((status, body)) => Err(format!("{url}/health answered {status}: {body}").into()),
            Err(_) => {
                writeln!(
                    told,
                    "Nothing listens on {url} (`make dev` would), so one is started in memory for this story."
                )?;
                Ok(Self::Own(Box::new(Local::start(LocalOptions::default()).await?)))
            }
        }
    }

    /// A call with a JSON body; status and answer.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        who: As<'_>,
        body: Option<Value>,
    ) -> Result<(u16, Value), Surprise> {
        let body = body.map(|body| ("application/json", body.to_string()));
        self.send(method, path, who, body).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        who: As<'_>,
        body: Option<(&str, String)>,
    ) -> Result<(u16, Value), Surprise> {
        let url = match self {
            Self::Running { url, .. } => format!("{url}{path}"),
            Self::Own(_) => path.to_owned(),
        };
        let mut request = Request::builder().method(method).uri(url);
        request = match who {
            As::Nobody => request,
            As::Token(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
        };
        let bytes = match body {
            Some((kind, text)) => {
                request = request.header(header::CONTENT_TYPE, kind);
                Bytes::from(text)
            }
            None => Bytes::new(),
        };
        let request = request.body(bytes)?;
        let answer = match self {
            Self::Running { http, .. } => http.call(request).await?,
            Self::Own(local) => local.call(request).await,
        };
        Ok((answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or_default()))
    }
}
