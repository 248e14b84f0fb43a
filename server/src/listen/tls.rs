//! TLS by rustls, from two PEM files.

use crate::config::Tls;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::PathBuf;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read as PEM.
    #[error("{path} holds no {what} in PEM")]
    File {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// Why not.
        #[source]
        cause: rustls::pki_types::pem::Error,
    },
    /// Certificate and key do not fit.
    #[error("the certificate and the key cannot be used together")]
    Pair(#[source] rustls::Error),
}

/// Makes the acceptor: TLS 1.3 and 1.2, HTTP/2 and HTTP/1.1.
pub fn acceptor(tls: &Tls) -> Result<TlsAcceptor, TlsError> {
    let chain = CertificateDer::pem_file_iter(&tls.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|cause| TlsError::File { path: tls.cert.clone(), what: "certificate", cause })?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|cause| TlsError::File {
        path: tls.key.clone(),
        what: "private key",
        cause,
    })?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(TlsError::Pair)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
