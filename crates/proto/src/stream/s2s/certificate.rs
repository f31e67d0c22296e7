//! Whether a certificate is one for a domain (RFC 6120 § 13.7.1.2, RFC 9525).

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// What a peer's certificate says, as far as it is to be believed. The common name is not read
/// (RFC 9525 § 2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Certificate {
    /// Whether the chain leads to an authority that we trust, and is valid now.
    pub trusted: bool,
    /// `dNSName` entries.
    pub dns_names: Vec<String>,
    /// `id-on-dnsSRV` entries (RFC 4985): `_xmpp-server.example.org`.
    pub srv_names: Vec<String>,
    /// `id-on-xmppAddr` entries (RFC 6120 § 13.7.1.4).
    pub xmpp_addresses: Vec<String>,
}

impl Certificate {
    /// Whether it shows that its owner is the XMPP server of this prepared domainpart.
    pub fn proves(&self, domain: &str) -> bool {
        self.trusted && self.names(domain)
    }

    /// Whether it is for this prepared domainpart, whoever vouches for it or does not.
    pub fn names(&self, domain: &str) -> bool {
        let Some(ascii) = ascii_domain(domain) else {
            return false;
        };
        self.dns_names.iter().any(|name| matches(name, &ascii))
            || self.srv_names.iter().any(|name| is_srv_of(name, &ascii))
            || self
                .xmpp_addresses
                .iter()
                .any(|address| super::domain(address).as_deref() == Some(domain))
    }
}

/// A domainpart as it stands in the DNS and in certificates: with A-labels.
pub fn ascii_domain(domain: &str) -> Option<String> {
    // An IP address has no certificate of this kind and no service records.
    if domain.parse::<std::net::IpAddr>().is_ok() || domain.starts_with('[') {
        return None;
    }
    let ascii = Uts46::new().to_ascii(
        domain.as_bytes(),
        AsciiDenyList::STD3,
        Hyphens::Check,
        DnsLength::Verify,
    );
    ascii.ok().map(std::borrow::Cow::into_owned)
}

/// A DNS-ID; a wildcard stands for exactly one label, the first (RFC 9525 § 6.3).
fn matches(name: &str, domain: &str) -> bool {
    match name.strip_prefix("*.") {
        // `*.` before a single label would be every domain of a registry.
        Some(parent) if parent.contains('.') && !parent.contains('*') => domain
            .split_once('.')
            .is_some_and(|(_, own)| own.eq_ignore_ascii_case(parent)),
        Some(_) => false,
        None => name.eq_ignore_ascii_case(domain),
    }
}

/// An SRV-ID of the service that servers look for; wildcards do not belong there.
fn is_srv_of(name: &str, domain: &str) -> bool {
    name.split_once('.').is_some_and(|(service, name)| {
        let is_service = ["_xmpp-server", "_xmpps-server"]
            .iter()
            .any(|known| service.eq_ignore_ascii_case(known));
        is_service && name.eq_ignore_ascii_case(domain)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proves(kind: &str, name: &str, domain: &str) -> bool {
        let mut certificate = Certificate {
            trusted: true,
            ..Certificate::default()
        };
        let names = match kind {
            "dns" => &mut certificate.dns_names,
            "srv" => &mut certificate.srv_names,
            _ => &mut certificate.xmpp_addresses,
        };
        names.push(name.to_owned());
        certificate.proves(domain)
    }

    #[test]
    fn names() {
        for (kind, name, domain, want) in [
            ("dns", "example.org", "example.org", true),
            ("dns", "EXAMPLE.org", "example.org", true),
            ("dns", "example.org", "im.example.org", false),
            ("dns", "*.example.org", "im.example.org", true),
            ("dns", "*.example.org", "example.org", false),
            ("dns", "*.example.org", "a.im.example.org", false),
            ("dns", "*.org", "example.org", false),
            ("dns", "*", "org", false),
            ("dns", "*.*.org", "a.*.org", false),
            ("dns", "i*.example.org", "im.example.org", false),
            ("dns", "example.org.", "example.org", false),
            ("dns", "example.org\0.evil.example", "example.org", false),
            ("dns", "xn--bcher-kva.example", "bücher.example", true),
            ("dns", "192.0.2.1", "192.0.2.1", false),
            ("srv", "_xmpp-server.example.org", "example.org", true),
            ("srv", "_xmpps-server.example.org", "example.org", true),
            ("srv", "_xmpp-client.example.org", "example.org", false),
            ("srv", "example.org", "example.org", false),
            ("srv", "_xmpp-server.*.example.org", "im.example.org", false),
            ("xmpp", "example.org", "example.org", true),
            ("xmpp", "Bücher.example", "bücher.example", true),
            ("xmpp", "user@example.org", "example.org", false),
            ("xmpp", "*.example.org", "im.example.org", false),
        ] {
            assert_eq!(
                proves(kind, name, domain),
                want,
                "{kind} {name} for {domain}"
            );
        }
    }

    #[test]
    fn who_is_not_trusted_proves_nothing() {
        let certificate = Certificate {
            dns_names: vec!["example.org".to_owned()],
            ..Certificate::default()
        };
        assert!(!certificate.proves("example.org"));
    }
}
