//! Certificates: found, read, checked and chosen by name.

use crate::config::{Config, Domain};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// A certificate ready for use.
#[derive(Debug)]
pub(crate) struct Certificate {
    /// The chain and the key.
    pub(crate) key: Arc<CertifiedKey>,
    /// The binding of RFC 5929, if defined for it.
    pub(crate) end_point: Option<Vec<u8>>,
    /// The names it is for.
    pub(crate) names: Vec<String>,
    /// When it ends, in seconds since 1970.
    pub(crate) not_after: i64,
    /// Where it was read from.
    pub(crate) files: CertificateFiles,
}

/// Where a certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CertificateFiles {
    /// The chain, PEM.
    pub(crate) chain: PathBuf,
    /// The private key, PEM.
    pub(crate) key: PathBuf,
}

/// The certificates in use, by domain.
#[derive(Debug)]
pub(crate) struct Certificates {
    by_domain: BTreeMap<Domain, Arc<Certificate>>,
    /// For clients that name no domain, or none of ours.
    first: Arc<Certificate>,
}

impl Certificates {
    /// Reads the certificate of each domain. With `tls.self_signed`, makes those that are missing.
    /// The error says what is wrong with which file and what to do.
    pub(crate) fn load(config: &Config, provider: &CryptoProvider) -> Result<Self, String> {
        let mut by_domain = BTreeMap::new();
        for domain in &config.domains {
            let files = CertificateFiles::of(config, domain);
            if config.tls.self_signed && !files.chain.exists() && !files.key.exists() {
                files.make_self_signed(domain)?;
            }
            by_domain.insert(
                domain.clone(),
                Arc::new(Certificate::read(files, provider)?),
            );
        }
        let first = config
            .domains
            .first()
            .and_then(|domain| by_domain.get(domain))
            .cloned();
        let first = first.ok_or("no domain is configured")?;
        Ok(Self { by_domain, first })
    }

    /// The certificate for a server name (RFC 6066 § 3): the domain's, else one that has the name
    /// among its own, else the first domain's.
    pub(crate) fn choose(&self, server_name: Option<&str>) -> &Arc<Certificate> {
        let Some(name) = server_name else {
            return &self.first;
        };
        self.by_domain
            .iter()
            .find(|(domain, _)| domain.as_str().eq_ignore_ascii_case(name))
            .or_else(|| {
                self.by_domain
                    .iter()
                    .find(|(_, certificate)| certificate.covers(name))
            })
            .map_or(&self.first, |(_, certificate)| certificate)
    }

    /// The certificates by domain, in order of names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Domain, &Arc<Certificate>)> {
        self.by_domain.iter()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.choose(hello.server_name()).key))
    }
}

impl Certificate {
    /// Reads and checks one: the chain parses, the key fits, the dates are readable.
    pub(crate) fn read(files: CertificateFiles, provider: &CryptoProvider) -> Result<Self, String> {
        let shown = files.chain.display();
        let chain = CertificateDer::pem_file_iter(&files.chain)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|e| unreadable(&files.chain, &e))?;
        let leaf = chain.first().ok_or_else(|| {
            format!("{shown}: no certificate in it; it must be PEM, the server's own first")
        })?;
        let key =
            PrivateKeyDer::from_pem_file(&files.key).map_err(|e| unreadable(&files.key, &e))?;
        let (_, parsed) = X509Certificate::from_der(leaf)
            .map_err(|e| format!("{shown}: the first certificate cannot be parsed: {e}"))?;
        let names = names(&parsed);
        let not_after = parsed.validity().not_after.timestamp();
        let end_point = super::endpoint::server_end_point(leaf);
        let key = CertifiedKey::from_der(chain, key, provider).map_err(|e| match e {
            rustls::Error::InconsistentKeys(_) => format!(
                "{}: this key does not belong to the certificate in {shown}",
                files.key.display()
            ),
            e => format!("{}: the key cannot be used: {e}", files.key.display()),
        })?;
        Ok(Self {
            key: Arc::new(key),
            end_point,
            names,
            not_after,
            files,
        })
    }

    /// Whether it is for this host name (RFC 6125 § 6.4: a wildcard stands for one whole label).
    pub(crate) fn covers(&self, host: &str) -> bool {
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            Some(rest) => host
                .split_once('.')
                .is_some_and(|(_, parent)| parent.eq_ignore_ascii_case(rest)),
            None => name.eq_ignore_ascii_case(host),
        })
    }

    /// Whole days until it ends; negative once it has.
    pub(crate) fn days_left(&self, now: SystemTime) -> i64 {
        let now = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX));
        self.not_after.saturating_sub(now).div_euclid(86_400)
    }
}

impl CertificateFiles {
    /// Where a domain's certificate is: as its own table says, else in the folder.
    pub(crate) fn of(config: &Config, domain: &Domain) -> Self {
        let host = config.host(domain);
        if let (Some(chain), Some(key)) = (host.certificate, host.key) {
            return Self {
                chain: config.data.join(chain),
                key: config.data.join(key),
            };
        }
        let folder = config.certificates();
        let flat = Self {
            chain: folder.join(format!("{domain}.crt")),
            key: folder.join(format!("{domain}.key")),
        };
        if flat.chain.exists() {
            return flat;
        }
        let own = folder.join(domain.as_str());
        Self {
            chain: own.join("fullchain.pem"),
            key: own.join("privkey.pem"),
        }
    }

    /// What changes when somebody replaces a file.
    pub(crate) fn stamp(&self) -> [Option<(SystemTime, u64)>; 2] {
        [&self.chain, &self.key].map(|path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        })
    }

    fn make_self_signed(&self, domain: &Domain) -> Result<(), String> {
        let made = rcgen::generate_simple_self_signed([domain.as_str().to_owned()])
            .map_err(|e| format!("no self-signed certificate could be made for {domain}: {e}"))?;
        let store = || -> std::io::Result<()> {
            if let Some(folder) = self.chain.parent() {
                crate::files::create_private_folder(folder)?;
            }
            crate::files::write_private(&self.key, made.signing_key.serialize_pem().as_bytes())?;
            crate::files::write_private(&self.chain, made.cert.pem().as_bytes())
        };
        store().map_err(|e| format!("{}: cannot be written: {e}", self.chain.display()))?;
        tracing::info!(
            %domain,
            file = %self.chain.display(),
            "made a self-signed certificate; clients will warn about it"
        );
        Ok(())
    }
}

/// DNS names of the certificate (subjectAltName only; the common name has been out of use since
/// RFC 6125).
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let dns = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    };
    extension
        .value
        .general_names
        .iter()
        .filter_map(dns)
        .collect()
}

fn unreadable(path: &Path, error: &rustls::pki_types::pem::Error) -> String {
    use rustls::pki_types::pem::Error;
    let path = path.display();
    match error {
        Error::Io(e) if e.kind() == std::io::ErrorKind::NotFound => format!(
            "{path}: there is no such file; put the certificate there, or name it in \
             [domain.\"…\"], or set tls.self_signed = true to try the server out"
        ),
        Error::Io(e) => format!("{path}: cannot be read: {e}"),
        e => format!("{path}: is not usable PEM: {e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // proves: RFC6120-5.4.3.1-c
    #[test]
    fn each_domain_shows_its_own_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "domains = [\"one.example\", \"two.example\"]\ndata = \"{}\"\n\
             [tls]\nself_signed = true\n",
            folder.path().display()
        );
        let config = Config::parse(&text, Path::new("test")).unwrap();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let certificates = Certificates::load(&config, &provider).unwrap();
        for (asked, shown) in [
            (Some("one.example"), "one.example"),
            (Some("two.example"), "two.example"),
            (Some("three.example"), "one.example"),
            (None, "one.example"),
        ] {
            let chosen = certificates.choose(asked);
            assert_eq!(chosen.names, [shown], "{asked:?}");
        }
    }
}
