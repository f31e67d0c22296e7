//! `tls-server-end-point` (RFC 5929 § 4.1): the hash of the certificate that the server showed.

use aws_lc_rs::digest::{Algorithm, SHA256, SHA384, SHA512, digest};
use x509_parser::prelude::{FromDer, X509Certificate};

/// The binding of a certificate (DER), or `None` if its signature algorithm has no single hash, for
/// which RFC 5929 defines no binding.
pub(crate) fn server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let signature = &parsed.signature_algorithm;
    let algorithm = if signature.algorithm.to_id_string() == RSASSA_PSS {
        pss_hash(signature.parameters.as_ref()?)?
    } else {
        hash_of(&signature.algorithm.to_id_string())?
    };
    Some(digest(algorithm, certificate).as_ref().to_vec())
}

const RSASSA_PSS: &str = "1.2.840.113549.1.1.10";

/// The hash of a signature algorithm; MD5 and SHA-1 count as SHA-256.
fn hash_of(oid: &str) -> Option<&'static Algorithm> {
    match oid {
        // RSA with MD5, SHA-1, SHA-256
        "1.2.840.113549.1.1.4" | "1.2.840.113549.1.1.5" | "1.2.840.113549.1.1.11"
        // ECDSA with SHA-1, SHA-256
        | "1.2.840.10045.4.1" | "1.2.840.10045.4.3.2"
        // DSA with SHA-1, SHA-256
        | "1.2.840.10040.4.3" | "2.16.840.1.101.3.4.3.2" => Some(&SHA256),
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Some(&SHA384),
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Some(&SHA512),
        // Ed25519 and Ed448 hash inside the signature; RFC 5929 leaves the binding undefined.
        _ => None,
    }
}

/// The hash named in the parameters of RSASSA-PSS (RFC 4055 § 3.1); SHA-1, the default, counts as
/// SHA-256.
fn pss_hash(parameters: &x509_parser::asn1_rs::Any<'_>) -> Option<&'static Algorithm> {
    let parsed = x509_parser::signature_algorithm::RsaSsaPssParams::try_from(parameters).ok()?;
    match parsed.hash_algorithm_oid().to_id_string().as_str() {
        "1.3.14.3.2.26" | "2.16.840.1.101.3.4.2.1" => Some(&SHA256),
        "2.16.840.1.101.3.4.2.2" => Some(&SHA384),
        "2.16.840.1.101.3.4.2.3" => Some(&SHA512),
        _ => None,
    }
}
