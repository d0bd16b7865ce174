//! Real sockets on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use satchel_inbound::http::ClientAddress;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long requests under way may take once the process stops.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// A port on loopback, taken but not served yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

/// A port that is being served.
#[derive(Debug)]
pub struct Served {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Listener {
    /// Takes `port` on 127.0.0.1; 0 is any free one.
    ///
    /// # Errors
    /// A sentence that names the port and what to do.
    pub async fn bind(port: u16, flag: &str) -> Result<Self, String> {
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let socket = bound.map_err(|error| match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                format!("port {port} is taken: stop what listens there, or choose another with {flag}")
            }
            _ => format!("port {port} cannot be used: {error}"),
        })?;
        let address = socket.local_addr().map_err(|error| format!("port {port} cannot be used: {error}"))?;
        Ok(Self { socket, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Serves `router` until [`Served::stop`].
    #[must_use]
    pub fn serve(self, router: Router) -> Served {
        let (stop, mut stopped) = watch::channel(false);
        let router = router.layer(axum::middleware::map_request(
            async |ConnectInfo(peer): ConnectInfo<SocketAddr>, mut request: axum::extract::Request| {
                request.extensions_mut().insert(ClientAddress(peer.ip().to_string()));
                request
            },
        ));
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let task = tokio::spawn(async move {
            let serving = axum::serve(self.socket, service).with_graceful_shutdown(async move {
                stopped.wait_for(|stopped| *stopped).await.ok();
            });
            if let Err(error) = serving.await {
                tracing::error!(%error, "a listener ended");
            }
        });
        Served { stop, task }
    }
}

impl Served {
    /// Takes no more connections and lets the requests under way end.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if tokio::time::timeout(LAST_REQUESTS, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}
