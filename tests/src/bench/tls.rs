//! HTTPS on loopback with a test authority, in front of the plain emulators: so that a function pays for its TLS client
//! and for a whole handshake, as it does before AWS.
//!
//! # Limits
//! The chain is shaped like an AWS endpoint's (leaf, intermediate, root) but signed with ECDSA P-256 where AWS has RSA
//! 2048 on the leaf; the handshake is TLS 1.3 with X25519, without session resumption.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// The server; it ends when it is dropped.
#[derive(Debug)]
pub struct TlsFront {
    port: u16,
    authority: PathBuf,
    server: JoinHandle<()>,
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn authority(name: &str) -> Result<(CertificateParams, KeyPair), rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok((params, KeyPair::generate()?))
}

impl TlsFront {
    /// Puts TLS in front of what listens at `target` (`127.0.0.1:port`); the authority's certificate goes into `folder`.
    ///
    /// # Errors
    /// Where a certificate cannot be made or a port had.
    pub async fn serve(target: String, folder: &Path) -> io::Result<Self> {
        let (root_params, root_key) = authority("Satchel test root").map_err(io::Error::other)?;
        let root = root_params.self_signed(&root_key).map_err(io::Error::other)?;
        let root_issuer = Issuer::new(root_params, root_key);
        let (middle_params, middle_key) = authority("Satchel test intermediate").map_err(io::Error::other)?;
        let middle = middle_params.signed_by(&middle_key, &root_issuer).map_err(io::Error::other)?;
        let middle_issuer = Issuer::new(middle_params, middle_key);
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).map_err(io::Error::other)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let leaf = params.signed_by(&key, &middle_issuer).map_err(io::Error::other)?;

        let authority = folder.join("test-root.pem");
        std::fs::write(&authority, root.pem())?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(tokio_rustls::rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(io::Error::other)?
                .with_no_client_auth()
                .with_single_cert(vec![leaf.der().clone(), middle.der().clone()], key)
                .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // AWS endpoints send no tickets that a new process could use.
        config.send_tls13_tickets = 0;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let server = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(forward(acceptor.clone(), socket, target.clone()));
            }
        });
        Ok(Self { port, authority, server })
    }

    /// What `AWS_ENDPOINT_URL` must be.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// What `AWS_CA_BUNDLE` must be.
    pub fn authority(&self) -> &Path {
        &self.authority
    }
}

async fn forward(acceptor: TlsAcceptor, socket: TcpStream, target: String) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut inside = acceptor.accept(socket).await?;
    let mut outside = TcpStream::connect(target).await?;
    outside.set_nodelay(true)?;
    copy_bidirectional(&mut inside, &mut outside).await.map(drop)
}
