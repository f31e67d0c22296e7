//! Which certificates of other servers are believed, and what they say (RFC 6120 § 13.7).

use crate::config::Config;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};
use std::sync::Arc;
use waxwing_proto::stream::s2s::Certificate;
use webpki::{EndEntityCert, KeyUsage};
use x509_parser::asn1_rs::{Any, Class, Tag};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// `id-on-xmppAddr` (RFC 6120 § 13.7.1.4).
const XMPP_ADDRESS: &str = "1.3.6.1.5.5.7.8.5";
/// `id-on-dnsSRV` (RFC 4985).
const SRV_NAME: &str = "1.3.6.1.5.5.7.8.7";

/// The authorities that are trusted.
#[derive(Debug)]
pub(crate) struct Trust {
    provider: Arc<CryptoProvider>,
    anchors: Vec<TrustAnchor<'static>>,
}

impl Trust {
    /// Reads the authorities that the configuration names. The error says what is wrong with which
    /// file.
    pub(crate) fn load(config: &Config, provider: &Arc<CryptoProvider>) -> Result<Self, String> {
        let mut certificates = Vec::new();
        let federation = &config.federation;
        if federation.enabled && federation.system_authorities {
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                tracing::warn!(%error, "some authorities of the system cannot be read");
            }
            certificates.extend(found.certs);
        }
        for file in &federation.authorities {
            let path = config.data.join(file);
            let read = CertificateDer::pem_file_iter(&path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|e| format!("{}: {e}", path.display()))?;
            if read.is_empty() {
                return Err(format!("{}: no certificate in it", path.display()));
            }
            certificates.extend(read);
        }
        let anchors = certificates.iter().filter_map(|certificate| {
            // Some that systems have are too old to be understood; nobody uses them.
            let anchor = webpki::anchor_from_trusted_cert(certificate).ok()?;
            Some(anchor.to_owned())
        });
        Ok(Self {
            provider: Arc::clone(provider),
            anchors: anchors.collect(),
        })
    }

    /// What a chain says, the server's own certificate first; nothing if there is none.
    pub(crate) fn read(&self, chain: &[CertificateDer<'_>]) -> Certificate {
        let Some((own, others)) = chain.split_first() else {
            return Certificate::default();
        };
        let Ok((_, parsed)) = X509Certificate::from_der(own) else {
            return Certificate::default();
        };
        let mut certificate = Certificate {
            trusted: self.trusts(own, others),
            ..Certificate::default()
        };
        let names = parsed.subject_alternative_name().ok().flatten();
        for name in names.iter().flat_map(|names| &names.value.general_names) {
            match name {
                GeneralName::DNSName(name) => certificate.dns_names.push((*name).to_owned()),
                GeneralName::OtherName(oid, value) => match oid.to_id_string().as_str() {
                    XMPP_ADDRESS => certificate.xmpp_addresses.extend(text(value)),
                    SRV_NAME => certificate.srv_names.extend(text(value)),
                    _ => {}
                },
                _ => {}
            }
        }
        certificate
    }

    /// Whether the chain leads to an authority. Servers use one certificate both ways, and most
    /// authorities say no more than that it is for servers.
    fn trusts(&self, own: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> bool {
        let Ok(own) = EndEntityCert::try_from(own) else {
            return false;
        };
        let algorithms = self.provider.signature_verification_algorithms.all;
        let now = UnixTime::now();
        [KeyUsage::server_auth(), KeyUsage::client_auth()]
            .into_iter()
            .any(|usage| {
                let anchors = &self.anchors;
                let path =
                    own.verify_for_usage(algorithms, anchors, others, now, usage, None, None);
                path.is_ok()
            })
    }
}

/// The text in the value of an `otherName`: `[0] EXPLICIT`, then a `UTF8String` or an `IA5String`.
fn text(value: &[u8]) -> Option<String> {
    let outer = whole(value)?;
    if outer.class() != Class::ContextSpecific || outer.tag() != Tag(0) {
        return None;
    }
    let inner = whole(outer.data)?;
    let is_text = [Tag::Utf8String, Tag::Ia5String].contains(&inner.tag());
    (is_text && inner.class() == Class::Universal)
        .then(|| String::from_utf8(inner.data.to_vec()).ok())?
}

/// A DER element with nothing behind it.
fn whole(der: &[u8]) -> Option<Any<'_>> {
    let (rest, element) = Any::from_der(der).ok()?;
    rest.is_empty().then_some(element)
}

/// Lets every certificate pass whose owner is at the other end: what it is worth is decided by the
/// stream, which may want none (XEP-0220) or one for a certain domain (XEP-0178).
#[derive(Debug)]
pub(crate) struct AnyCertificate(pub(crate) Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for AnyCertificate {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ServerCertVerifier::verify_tls12_signature(self, message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ServerCertVerifier::verify_tls13_signature(self, message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ServerCertVerifier::supported_verify_schemes(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tls::provider;
    use rcgen::{
        BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
        SanType,
    };

    struct Authority {
        issuer: Issuer<'static, KeyPair>,
        trust: Trust,
    }

    fn authority() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let own = params.self_signed(&key).unwrap();
        let anchor = webpki::anchor_from_trusted_cert(own.der())
            .unwrap()
            .to_owned();
        Authority {
            issuer: Issuer::new(params, key),
            trust: Trust {
                provider: provider(),
                anchors: vec![anchor],
            },
        }
    }

    fn certificate(
        authority: &Authority,
        change: impl FnOnce(&mut CertificateParams),
    ) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let made = params.signed_by(&key, &authority.issuer).unwrap();
        made.der().clone()
    }

    #[test]
    fn names_of_each_kind_are_read_and_the_common_name_is_not() {
        let authority = authority();
        let made = certificate(&authority, |params| {
            let long = "x".repeat(150) + ".example";
            let name = |oid: &[u64], text: &str| {
                SanType::OtherName((oid.to_vec(), rcgen::OtherNameValue::Utf8String(text.into())))
            };
            params.subject_alt_names = vec![
                SanType::DnsName("a.example".try_into().unwrap()),
                name(&[1, 3, 6, 1, 5, 5, 7, 8, 5], "b.example"),
                name(&[1, 3, 6, 1, 5, 5, 7, 8, 7], "_xmpp-server.c.example"),
                name(&[1, 3, 6, 1, 5, 5, 7, 8, 5], &long),
                name(&[1, 3, 6, 1, 5, 5, 7, 8, 9], "d.example"),
            ];
            let common = rcgen::DnType::CommonName;
            params.distinguished_name.push(common, "e.example");
        });
        let read = authority.trust.read(&[made]);
        assert!(read.trusted);
        assert_eq!(read.dns_names, ["a.example"]);
        assert_eq!(read.srv_names, ["_xmpp-server.c.example"]);
        assert_eq!(read.xmpp_addresses[0], "b.example");
        assert_eq!(read.xmpp_addresses[1].len(), 158);
        for (domain, want) in [
            ("a", true),
            ("b", true),
            ("c", true),
            ("d", false),
            ("e", false),
        ] {
            assert_eq!(read.proves(&format!("{domain}.example")), want, "{domain}");
        }
    }

    #[test]
    fn only_chains_to_an_authority_that_are_valid_now_are_trusted() {
        let (ours, theirs) = (authority(), authority());
        let named = |params: &mut CertificateParams| {
            params.subject_alt_names = vec![SanType::DnsName("a.example".try_into().unwrap())];
        };
        let trusted = |certificate| ours.trust.read(&[certificate]).trusted;
        assert!(trusted(certificate(&ours, named)));
        assert!(!trusted(certificate(&theirs, named)));
        let with_usage = |usage: ExtendedKeyUsagePurpose| {
            certificate(&ours, |params| {
                named(params);
                params.extended_key_usages = vec![usage];
            })
        };
        assert!(trusted(with_usage(ExtendedKeyUsagePurpose::ServerAuth)));
        assert!(trusted(with_usage(ExtendedKeyUsagePurpose::ClientAuth)));
        assert!(!trusted(with_usage(ExtendedKeyUsagePurpose::CodeSigning)));
        assert!(!trusted(certificate(&ours, |params| {
            named(params);
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        })));
        assert_eq!(ours.trust.read(&[]), Certificate::default());
        assert!(!trusted(CertificateDer::from(vec![0x30, 0])));
    }
}
