//! A Lambda Runtime API on loopback: what a real function binary asks for its next event and gives its answers to
//! (Lambda developer guide, *Building a custom runtime*).
//!
//! # Limits
//! One function at a time and one event at a time, as in a Lambda instance. Answers are buffered, not streamed.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use http::{HeaderMap, StatusCode};
use satchel_inbound::Clock;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

/// Largest answer that Lambda takes, in bytes.
pub const MAX_ANSWER: usize = 6 * 1024 * 1024;

/// What a function did with an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It answered.
    Answer(Bytes),
    /// It reported a failure: the type of the error and its JSON.
    Failure(String, Bytes),
}

/// An outcome and when its last byte had arrived.
#[derive(Debug, Clone)]
pub struct Reply {
    /// What the function did.
    pub outcome: Outcome,
    /// When.
    pub at: Instant,
}

struct Invocation {
    id: String,
    event: Bytes,
    timeout: Duration,
}

#[derive(Default)]
struct Waiting {
    replies: Mutex<HashMap<String, oneshot::Sender<Reply>>>,
    first_next: OnceLock<Instant>,
    init_error: OnceLock<Bytes>,
    told: Notify,
}

#[derive(Clone)]
struct Shared {
    queue: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>>,
    waiting: Arc<Waiting>,
    function_arn: Arc<str>,
    clock: Clock,
}

/// The server; it ends when it is dropped.
pub struct RuntimeApi {
    address: SocketAddr,
    queue: mpsc::UnboundedSender<Invocation>,
    waiting: Arc<Waiting>,
    next_id: AtomicU64,
    server: JoinHandle<()>,
}

impl std::fmt::Debug for RuntimeApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RuntimeApi({})", self.address)
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl RuntimeApi {
    /// Serves a Runtime API for the function `name` on a free port.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn serve(name: &str) -> io::Result<Self> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let waiting = Arc::new(Waiting::default());
        let shared = Shared {
            queue: Arc::new(tokio::sync::Mutex::new(receiver)),
            waiting: Arc::clone(&waiting),
            function_arn: format!("arn:aws:lambda:us-east-1:000000000000:function:satchel-local-{name}").into(),
            clock: Clock::system(),
        };
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .layer(DefaultBodyLimit::max(MAX_ANSWER))
            .with_state(shared);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        // Without this the last bytes of an answer wait for the peer's delayed acknowledgement.
        let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
        let server = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { address, queue: sender, waiting, next_id: AtomicU64::new(1), server })
    }

    /// What `AWS_LAMBDA_RUNTIME_API` must be.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Hands `event` to the function and waits for its reply; `None` where the server ended.
    pub async fn invoke(&self, event: Bytes, timeout: Duration) -> Option<Reply> {
        let number = self.next_id.fetch_add(1, Ordering::Relaxed);
        let id = format!("8476a536-e9f4-11e8-9739-{number:012x}");
        let (sender, receiver) = oneshot::channel();
        lock(&self.waiting.replies).insert(id.clone(), sender);
        self.queue.send(Invocation { id, event, timeout }).ok()?;
        receiver.await.ok()
    }

    /// When the function first asked for an event: its init phase ended.
    pub async fn initialised(&self) -> Instant {
        loop {
            let told = self.waiting.told.notified();
            if let Some(at) = self.waiting.first_next.get() {
                return *at;
            }
            told.await;
        }
    }

    /// What the function posted to `/init/error`, where it did.
    pub fn init_error(&self) -> Option<Bytes> {
        self.waiting.init_error.get().cloned()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn plain(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

async fn next(State(shared): State<Shared>) -> Response {
    shared.waiting.first_next.get_or_init(Instant::now);
    shared.waiting.told.notify_waiters();
    let Some(invocation) = shared.queue.lock().await.recv().await else {
        return plain(StatusCode::GONE, Body::empty());
    };
    let deadline =
        shared.clock.now().as_millisecond() + i64::try_from(invocation.timeout.as_millis()).unwrap_or(i64::MAX);
    let trace =
        format!("Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0;Lineage={}", invocation.id);
    let built = Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", &invocation.id)
        .header("lambda-runtime-deadline-ms", deadline)
        .header("lambda-runtime-invoked-function-arn", &*shared.function_arn)
        .header("lambda-runtime-trace-id", trace)
        .body(Body::from(invocation.event));
    built.unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR, Body::empty()))
}

fn reply(shared: &Shared, id: &str, outcome: Outcome) -> Response {
    let at = Instant::now();
    match lock(&shared.waiting.replies).remove(id) {
        Some(sender) => {
            // Who asked may have given up.
            drop(sender.send(Reply { outcome, at }));
            plain(StatusCode::ACCEPTED, Body::from(r#"{"status":"OK"}"#))
        }
        None => plain(
            StatusCode::BAD_REQUEST,
            Body::from(r#"{"errorType":"InvalidRequestID","errorMessage":"no such invocation"}"#),
        ),
    }
}

async fn response(State(shared): State<Shared>, Path(id): Path<String>, body: Bytes) -> Response {
    reply(&shared, &id, Outcome::Answer(body))
}

async fn error(State(shared): State<Shared>, Path(id): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let kind =
        headers.get("lambda-runtime-function-error-type").and_then(|kind| kind.to_str().ok()).unwrap_or("Unhandled");
    reply(&shared, &id, Outcome::Failure(kind.to_owned(), body))
}

async fn init_error(State(shared): State<Shared>, body: Bytes) -> Response {
    shared.waiting.init_error.get_or_init(|| body);
    plain(StatusCode::ACCEPTED, Body::from(r#"{"status":"OK"}"#))
}
