//! What is wrong with how other servers reach a domain, and what to do: findings in, advice out.

use std::net::IpAddr;

/// What was found out about a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Findings {
    /// The domain, with A-labels.
    pub(crate) domain: String,
    /// Whether it is one of ours.
    pub(crate) ours: bool,
    /// `_xmpp-server._tcp`
    pub(crate) starttls: Records,
    /// `_xmpps-server._tcp`
    pub(crate) direct: Records,
    /// Each place that the records lead to, or port 5269 at the domain itself.
    pub(crate) visits: Vec<Visit>,
}

/// Service records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Records {
    /// There are none.
    Absent,
    /// One that says that there is no such service (RFC 2782).
    Denied,
    /// There are some.
    Found,
    /// The DNS did not answer, and how.
    NoAnswer(String),
}

/// An attempt to talk to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Visit {
    /// The host.
    pub(crate) host: String,
    /// Its port.
    pub(crate) port: u16,
    /// Its address, if it has any.
    pub(crate) address: Option<IpAddr>,
    /// Whether TLS begins with the first byte.
    pub(crate) direct: bool,
    /// What came of it.
    pub(crate) outcome: Result<Seen, Trouble>,
}

/// What a server showed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an observation of its own"
)]
pub(crate) struct Seen {
    /// Whether its certificate leads to an authority that is trusted here.
    pub(crate) trusted: bool,
    /// Whether the certificate names the domain.
    pub(crate) named: bool,
    /// What it names.
    pub(crate) names: Vec<String>,
    /// Whether the protocol was agreed on in the handshake (ALPN).
    pub(crate) alpn: bool,
    /// Whether it answers questions about dialback keys.
    pub(crate) dialback: bool,
}

/// Why nothing was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The host has no address.
    NoAddress,
    /// The address is not one of the public Internet.
    Private,
    /// Nobody takes the connection.
    Closed(String),
    /// TLS did not come about.
    Handshake(String),
    /// The server offers no STARTTLS.
    NoTls,
    /// The server does not serve the domain.
    Stranger,
    /// It ended the stream, or does not speak XMPP.
    Broken(String),
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// As it should be.
    Ok,
    /// It works, and could be better.
    Warn,
    /// Others cannot talk to the domain, or not all of them.
    Fail,
}

/// One line for the admin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Advice {
    /// How bad it is.
    pub(crate) level: Level,
    /// About what.
    pub(crate) what: String,
    /// What is so, and what to do.
    pub(crate) text: String,
}

/// What to tell.
pub(crate) fn judge(findings: &Findings) -> Vec<Advice> {
    let mut all = records(findings);
    all.extend(
        findings
            .visits
            .iter()
            .flat_map(|seen| visit(findings, seen)),
    );
    all
}

fn records(findings: &Findings) -> Vec<Advice> {
    use Records::{Absent, Denied, Found, NoAnswer};
    let domain = &findings.domain;
    let what = format!("DNS of {domain}");
    let record = |service: &str, port: u16| {
        format!(
            "`{service}._tcp.{domain}. 3600 IN SRV 5 0 {port} HOST.`, where HOST names the server's machine"
        )
    };
    let (starttls, direct) = (record("_xmpp-server", 5269), record("_xmpps-server", 5270));
    let (level, text) = match (&findings.starttls, &findings.direct) {
        (NoAnswer(error), _) | (_, NoAnswer(error)) => (
            Level::Fail,
            format!("the DNS does not answer ({error}); see that its name servers run"),
        ),
        (Denied, Denied | Absent) | (Absent, Denied) => (
            Level::Fail,
            format!(
                "a record with the target `.` says that there is no server; replace it by {starttls}"
            ),
        ),
        (Absent, Absent) => (
            Level::Warn,
            format!(
                "no records for servers; others try port 5269 at {domain} itself. Add {starttls}"
            ),
        ),
        (Found, Found) => (Level::Ok, "both kinds of records for servers".to_owned()),
        (Found, _) => (
            Level::Ok,
            format!("records for servers; if port 5270 is open, add {direct}"),
        ),
        (_, Found) => (
            Level::Warn,
            format!(
                "records for direct TLS only, which many servers do not look for; add {starttls}"
            ),
        ),
    };
    vec![Advice { level, what, text }]
}

fn visit(findings: &Findings, visit: &Visit) -> Vec<Advice> {
    let host = visit.host.trim_end_matches('.');
    let at = visit.address.map_or(String::new(), |ip| format!(" ({ip})"));
    let what = format!("{host}:{}{at}", visit.port);
    let found = match &visit.outcome {
        Ok(seen) => judge_seen(findings, visit, seen),
        Err(trouble) => vec![(Level::Fail, remedy(findings, visit, trouble))],
    };
    let advice = found.into_iter();
    advice
        .map(|(level, text)| Advice {
            level,
            what: what.clone(),
            text,
        })
        .collect()
}

/// What is wrong, and what the admin of the domain can do.
fn remedy(findings: &Findings, visit: &Visit, trouble: &Trouble) -> String {
    let (domain, port) = (&findings.domain, visit.port);
    let host = visit.host.trim_end_matches('.');
    let here = |ours: &str| {
        if findings.ours {
            ours.to_owned()
        } else {
            "tell its admin".to_owned()
        }
    };
    let setting = if visit.direct {
        "servers_direct_tls"
    } else {
        "servers"
    };
    match trouble {
        Trouble::NoAddress => format!(
            "the name has no address; add `{host}. 3600 IN A ADDRESS` (or AAAA) to the DNS"
        ),
        Trouble::Private => "the address is not one of the public Internet, so that nobody outside \
                             reaches it; put the public one into the DNS. For a network of your own set \
                             `federation.private_addresses = true`"
            .to_owned(),
        Trouble::Closed(error) => {
            let ours = format!(
                "start the server, see that `listen.{setting}` has port {port}, and open it for TCP in \
                 every firewall"
            );
            format!("nobody takes the connection ({error}); {}", here(&ours))
        }
        Trouble::Handshake(error) if visit.direct => format!(
            "no TLS from the first byte ({error}); if this is a port for STARTTLS, its record must be \
             `_xmpp-server`"
        ),
        Trouble::Handshake(error) => {
            let ours = here("see that `waxwing check` likes the certificate");
            format!("the TLS handshake fails ({error}); {ours}")
        }
        Trouble::NoTls => {
            let ours = here("another program than Waxwing listens there");
            format!("no STARTTLS is offered; {ours}")
        }
        Trouble::Stranger => {
            let ours = here(&format!(
                "the record leads to the wrong machine, or its `domains` lacks {domain}"
            ));
            format!("the server there does not know {domain}; {ours}")
        }
        Trouble::Broken(error) => format!(
            "what answers there does not speak XMPP between servers ({error}); another program has \
             the port"
        ),
    }
}

fn judge_seen(findings: &Findings, visit: &Visit, seen: &Seen) -> Vec<(Level, String)> {
    let domain = &findings.domain;
    let mut found = Vec::new();
    let policy = if findings.ours {
        String::new()
    } else {
        format!(
            ", or take it nevertheless: `federation.policies = {{ \"{domain}\" = \"dialback\" }}`"
        )
    };
    if !seen.named {
        let names = seen.names.join(", ");
        found.push((
            Level::Fail,
            format!("the certificate is for {names}, not for {domain}; it needs one with that name{policy}"),
        ));
    } else if !seen.trusted {
        found.push((
            Level::Fail,
            format!(
                "no authority that is trusted here vouches for the certificate: it is self-signed, has ended, or the file \
                 lacks the chain (use certbot's fullchain.pem); it needs one by an ordinary authority{policy}"
            ),
        ));
    }
    if visit.direct && !seen.alpn {
        found.push((
            Level::Warn,
            "the protocol `xmpp-server` is not agreed on in the handshake (ALPN); a proxy on the way must pass it on".to_owned(),
        ));
    }
    if !seen.dialback {
        found.push((
            Level::Warn,
            "questions about dialback keys are not answered; servers that cannot show a certificate will not be heard".to_owned(),
        ));
    }
    if found.is_empty() {
        let kind = if visit.direct {
            "direct TLS"
        } else {
            "STARTTLS"
        };
        let text = format!("{kind}, certificate and dialback work");
        found.push((Level::Ok, text));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(outcome: Result<Seen, Trouble>) -> Visit {
        Visit {
            host: "xmpp.a.example.".to_owned(),
            port: 5269,
            address: Some(IpAddr::from([192, 0, 2, 1])),
            direct: false,
            outcome,
        }
    }

    fn seen() -> Seen {
        Seen {
            trusted: true,
            named: true,
            names: vec!["b.example".to_owned()],
            alpn: true,
            dialback: true,
        }
    }

    fn findings(visits: Vec<Visit>) -> Findings {
        Findings {
            domain: "a.example".to_owned(),
            ours: true,
            starttls: Records::Found,
            direct: Records::Found,
            visits,
        }
    }

    #[test]
    fn records_are_judged_together() {
        use Records::{Absent, Denied, Found, NoAnswer};
        for (starttls, direct, level, word) in [
            (Found, Found, Level::Ok, "both"),
            (Found, Absent, Level::Ok, "_xmpps-server._tcp.a.example."),
            (Found, Denied, Level::Ok, "5270"),
            (Absent, Found, Level::Warn, "_xmpp-server._tcp.a.example."),
            (Absent, Absent, Level::Warn, "port 5269 at a.example"),
            (Denied, Absent, Level::Fail, "target `.`"),
            (Denied, Denied, Level::Fail, "target `.`"),
            (
                NoAnswer("refused".to_owned()),
                Found,
                Level::Fail,
                "refused",
            ),
            (Absent, NoAnswer("late".to_owned()), Level::Fail, "late"),
        ] {
            let found = Findings {
                starttls: starttls.clone(),
                direct: direct.clone(),
                ..findings(Vec::new())
            };
            let advice = judge(&found);
            assert_eq!(advice.len(), 1);
            assert_eq!(advice[0].level, level, "{starttls:?} {direct:?}");
            assert!(advice[0].text.contains(word), "{}", advice[0].text);
        }
    }

    #[test]
    fn trouble_is_named_with_what_to_do() {
        let error = || "why".to_owned();
        for (trouble, word) in [
            (Trouble::NoAddress, "`xmpp.a.example. 3600 IN A"),
            (Trouble::Private, "federation.private_addresses"),
            (Trouble::Closed(error()), "`listen.servers` has port 5269"),
            (Trouble::Handshake(error()), "why"),
            (Trouble::NoTls, "STARTTLS"),
            (Trouble::Stranger, "`domains` lacks a.example"),
            (Trouble::Broken(error()), "another program"),
        ] {
            let advice = judge(&findings(vec![visit(Err(trouble))]));
            assert_eq!(advice[1].level, Level::Fail);
            assert!(advice[1].text.contains(word), "{}", advice[1].text);
            assert_eq!(advice[1].what, "xmpp.a.example:5269 (192.0.2.1)");
        }
        let direct = Visit {
            direct: true,
            ..visit(Err(Trouble::Handshake(error())))
        };
        let advice = judge(&findings(vec![direct]));
        assert!(
            advice[1].text.contains("`_xmpp-server`"),
            "{}",
            advice[1].text
        );
    }

    #[test]
    fn what_a_server_shows_is_judged() {
        let direct = |seen| Visit {
            direct: true,
            ..visit(Ok(seen))
        };
        for (visit, level, word) in [
            (
                visit(Ok(seen())),
                Level::Ok,
                "STARTTLS, certificate and dialback work",
            ),
            (direct(seen()), Level::Ok, "direct TLS"),
            (
                visit(Ok(Seen {
                    alpn: false,
                    ..seen()
                })),
                Level::Ok,
                "work",
            ),
            (
                direct(Seen {
                    alpn: false,
                    ..seen()
                }),
                Level::Warn,
                "ALPN",
            ),
            (
                visit(Ok(Seen {
                    dialback: false,
                    ..seen()
                })),
                Level::Warn,
                "dialback",
            ),
            (
                visit(Ok(Seen {
                    trusted: false,
                    ..seen()
                })),
                Level::Fail,
                "fullchain.pem",
            ),
            (
                visit(Ok(Seen {
                    named: false,
                    ..seen()
                })),
                Level::Fail,
                "is for b.example, not for a.example",
            ),
        ] {
            let advice = judge(&findings(vec![visit.clone()]));
            assert_eq!((advice.len(), advice[1].level), (2, level), "{visit:?}");
            assert!(advice[1].text.contains(word), "{}", advice[1].text);
            assert!(!advice[1].text.contains("federation.policies"));
        }
        let theirs = Findings {
            ours: false,
            ..findings(vec![visit(Ok(Seen {
                trusted: false,
                ..seen()
            }))])
        };
        let advice = judge(&theirs);
        assert!(advice[1].text.contains("\"a.example\" = \"dialback\""));
    }
}
