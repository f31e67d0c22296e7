//! TLS for both ends, with a certificate made for the run.

use crate::Result;
use std::{path::Path, sync::Arc};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        client::Resumption,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

/// The domain of the run.
pub(crate) const DOMAIN: &str = "localhost";

/// Writes a self-signed certificate and its key.
pub(crate) fn make_certificate(folder: &Path) -> Result<()> {
    let made = rcgen::generate_simple_self_signed([DOMAIN.to_owned()])?;
    std::fs::write(folder.join("certificate.pem"), made.cert.pem())?;
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem())?;
    Ok(())
}

/// A client that trusts that certificate. Without resumption, so that every session costs what the
/// first one costs.
pub(crate) fn client(folder: &Path) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate(folder)?)?;
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The relay's side.
pub(crate) fn server(folder: &Path) -> Result<TlsAcceptor> {
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem"))?;
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate(folder)?], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificate(folder: &Path) -> Result<CertificateDer<'static>> {
    Ok(CertificateDer::from_pem_file(
        folder.join("certificate.pem"),
    )?)
}
