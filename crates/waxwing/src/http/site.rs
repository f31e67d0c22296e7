//! Which domain a request is for, and under which address people reach it.

use crate::config::Config;
use hyper::Request;
use hyper::header::HOST;
use hyper::http::uri::Authority;
use std::net::IpAddr;
use waxwing_proto::stream::s2s::ascii_domain;

/// What HTTP needs to know of the settings.
#[derive(Debug)]
pub(crate) struct Web {
    sites: Vec<Site>,
    proxies: Vec<IpAddr>,
}

/// One domain.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Site {
    /// The domain, with A-labels.
    domain: String,
    /// Where people reach its HTTP: host, and port if it is not 443.
    pub(super) authority: String,
}

impl Web {
    /// As it is configured.
    pub(crate) fn new(config: &Config) -> Self {
        let site = |domain: &crate::config::Domain| {
            let name = domain.as_str();
            let ascii = ascii_domain(name).unwrap_or_else(|| name.to_owned());
            Site {
                domain: ascii,
                authority: config.web_authority(domain),
            }
        };
        Self {
            sites: config.domains.iter().map(site).collect(),
            proxies: config.http.proxies.clone(),
        }
    }

    /// Whether this is a reverse proxy of ours.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        self.proxies.contains(&peer.to_canonical())
    }

    /// The site that a request is for, by its `Host`.
    pub(super) fn site<B>(&self, request: &Request<B>) -> Option<&Site> {
        let host = request.headers().get(HOST)?.to_str().ok()?;
        let host: Authority = host.parse().ok()?;
        let is_named = |site: &&Site| site.domain.eq_ignore_ascii_case(host.host());
        self.sites.iter().find(is_named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_request_is_for_the_domain_that_it_names() {
        let check = |more: &str, host: &str, want: Option<&str>| {
            let text =
                format!("domains = [\"example.org\", \"bücher.example\"]\ndata = \"d\"\n{more}");
            let web = Web::new(&Config::parse(&text, Path::new("w.toml")).unwrap());
            let request = Request::builder().header(HOST, host).body(()).unwrap();
            let site = web.site(&request);
            assert_eq!(site.map(|site| &*site.authority), want, "{host}");
        };
        check("", "example.org", Some("example.org"));
        check("", "EXAMPLE.org:5443", Some("example.org"));
        check("", "xn--bcher-kva.example", Some("xn--bcher-kva.example"));
        check("", "other.example", None);
        check("", "", None);
        check("", "a b", None);
        let https = "[listen]\nhttps = [\"0.0.0.0:5443\"]";
        check(https, "example.org", Some("example.org:5443"));
        let web = "[domain.\"example.org\"]\nweb = \"https://xmpp.example.org/\"";
        check(web, "example.org", Some("xmpp.example.org"));
    }
}
