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

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    /// Certificates made and hashed by OpenSSL: `openssl x509 -outform der | openssl dgst -sha256`.
    #[test]
    fn the_hash_goes_with_the_signature() {
        for (name, want) in [
            (
                "rsa-sha1",
                "1972ab029809ef2fff591bfecb9bf12e51732938100c5ee275a5188853264454",
            ),
            (
                "rsa-sha256",
                "2b637225845298f12e8bf31e9c58db74f592ee83cba648a9b2c09a9cfe040f04",
            ),
            (
                "rsa-sha512",
                "a2bf663eb3037dd762db801de847085b9af962fadea9bc285fe31200270b5fe4\
                 cfbfa3c3aba57e2e2f9cf9bd712b1e8bd72e6d1d56e578359e38d84d533c5e04",
            ),
            (
                "rsa-pss-sha1",
                "a5caa56c904e46e52215804f211a7ff5ec81b7dc4aabb653ebf73b97c0f028dd",
            ),
            (
                "rsa-pss-sha384",
                "4c090dec78dce164cb77783676963658332ad293717eee4c\
                 d55e4350a802275a41ffd27ba485a1e7929b00842bfd1db2",
            ),
            (
                "ecdsa-sha256",
                "44f5027f40a0567ca282cd4f70fa7b14a3860249f83c47a72f004ac3fa468e77",
            ),
            (
                "ecdsa-sha384",
                "e68ead9cb0917f3c8a082db5b9733848097787805075c9b9\
                 fb2dd538b6bdbb6d3280144d1d37ae82ea220b744ef62b91",
            ),
            (
                "ecdsa-sha512",
                "b4a0fa40c88c253f49d324af4d7d447d28b06e4036db7b5426234714dc3a3a80\
                 a38d5209ec8b797762326822ff39db9287177df13c2d48a8e059c1e961ccb7b3",
            ),
            ("ed25519", ""),
        ] {
            let path = format!(
                "{}/testdata/end-point/{name}.pem",
                env!("CARGO_MANIFEST_DIR")
            );
            let certificate = CertificateDer::from_pem_file(path).unwrap();
            let hash = server_end_point(&certificate).unwrap_or_default();
            let hex = hash
                .iter()
                .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
            assert_eq!(hex, want, "{name}");
        }
        assert_eq!(server_end_point(b"no certificate"), None);
    }
}
