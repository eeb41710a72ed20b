//! Whose certificates are believed, of a relay, a channel or the main server; and connections on that ground.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::listen::Stream;

/// A connection to a server, encrypted from its first byte where `tls` is there. `Err`: why there is none, for
/// whoever reads it.
pub async fn connect(
    host: &str,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
) -> Result<Box<dyn Stream>, String> {
    let tcp = TcpStream::connect((host, port)).await;
    let tcp = tcp.map_err(|error| format!("no connection: {error}"))?;
    // Small requests must not wait for more to come.
    let _ = tcp.set_nodelay(true);
    let Some(tls) = tls else {
        return Ok(Box::new(tcp));
    };
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| "its name can't be checked against a certificate".to_owned())?;
    let stream = TlsConnector::from(tls).connect(name, tcp).await;
    Ok(Box::new(
        stream.map_err(|error| format!("no encryption: {error}"))?,
    ))
}

/// The public authorities, and those of `ca_file`. `Err`: what is wrong with that file.
pub fn client(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots(ca_file)?)
        .with_no_client_auth())
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let Some(file) = ca_file else {
        return Ok(roots);
    };
    let wrong = |problem: String| {
        format!(
            "{}: {problem}. Expected a PEM file with at least one CERTIFICATE",
            file.display()
        )
    };
    let mut found = 0;
    for certificate in
        CertificateDer::pem_file_iter(file).map_err(|error| wrong(error.to_string()))?
    {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| wrong(error.to_string()))?;
        found += 1;
    }
    if found == 0 {
        Err(wrong("no certificate in it".into()))
    } else {
        Ok(roots)
    }
}
