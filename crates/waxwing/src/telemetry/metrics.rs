//! Figures for Prometheus. Labels name kinds and domains, never people or networks.

use crate::net::certificates::Certificates;
use crate::net::listener::Kind;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Metric, Registry};
use std::fmt::Write as _;
use std::sync::Arc;
use waxwing_engine::{Engine, metrics as engine_metrics};

/// Every figure: the shell's own, and the engine's.
pub(crate) struct Metrics {
    engine: Engine,
    registry: Registry,
    described: Vec<Described>,
    /// Open sockets of clients.
    pub(crate) sockets: Family<KindLabel, Gauge>,
    /// Sockets accepted so far.
    pub(crate) accepted: Family<KindLabel, Counter>,
    /// Connections refused because their address had too many unauthenticated ones.
    pub(crate) refused: Counter,
    /// Times that accepting paused for want of places or files.
    pub(crate) accept_pauses: Counter,
    /// TLS handshakes so far.
    pub(crate) tls_handshakes: Family<OutcomeLabel, Counter>,
    /// Streams ended because bytes followed `<starttls/>` in clear.
    pub(crate) starttls_injections: Counter,
    /// Reloads that were refused because of a mistake.
    pub(crate) reload_failures: Counter,
    /// Addresses that calls are relayed through now.
    pub(crate) allocations: Gauge,
    /// Datagrams relayed to peers.
    pub(crate) relayed: Counter,
    /// When certificates end.
    certificate_not_after: Family<DomainLabel, Gauge>,
}

struct Described {
    name: &'static str,
    kind: &'static str,
    label: &'static str,
    help: &'static str,
}

impl Metrics {
    /// The shell's figures at their start, beside those of an engine.
    pub(crate) fn new(engine: Engine) -> Self {
        let mut list = List::new();
        Self {
            sockets: list.add("sockets", "gauge", "listener", "Open sockets of clients."),
            accepted: list.add("sockets_accepted", "counter", "listener", "Sockets accepted."),
            refused: list.add(
                "sockets_refused",
                "counter",
                "",
                "Sockets closed at once because their address had too many that were not logged in.",
            ),
            accept_pauses: list.add(
                "accept_pauses",
                "counter",
                "",
                "Times that accepting paused for want of places or open files.",
            ),
            tls_handshakes: list.add(
                "tls_handshakes",
                "counter",
                "outcome",
                "TLS handshakes: done, failed or timed_out.",
            ),
            starttls_injections: list.add(
                "starttls_injections",
                "counter",
                "",
                "Streams ended because bytes followed <starttls/> in clear: an attack, or a broken \
                 client.",
            ),
            reload_failures: list.add(
                "reload_failures",
                "counter",
                "",
                "Reloads refused because of a mistake; what was in use stayed in use.",
            ),
            allocations: list.add(
                "turn_allocations",
                "gauge",
                "",
                "Addresses that calls are relayed through now.",
            ),
            relayed: list.add(
                "turn_datagrams_relayed",
                "counter",
                "",
                "Datagrams relayed to peers.",
            ),
            certificate_not_after: list.add(
                "certificate_not_after_seconds",
                "gauge",
                "domain",
                "When the certificate in use ends, in seconds since 1970.",
            ),
            engine,
            registry: list.registry,
            described: list.described,
        }
    }

    /// Figures of a server that does nothing, for the reference.
    pub(crate) async fn for_reference() -> Result<Self, String> {
        let store = Arc::new(waxwing_store::MemoryStore::default());
        let settings = waxwing_engine::Settings::for_domain("localhost");
        let engine = Engine::new(crate::env::system(), store, settings).await;
        engine.map(Self::new).map_err(|e| e.to_string())
    }

    /// Takes note of the certificates in use.
    pub(crate) fn certificates(&self, certificates: &Certificates) {
        for (domain, certificate) in certificates.iter() {
            let label = DomainLabel {
                domain: domain.to_string(),
            };
            self.certificate_not_after
                .get_or_create(&label)
                .set(certificate.not_after);
        }
    }

    /// Counts a handler that panicked.
    pub(crate) fn panicked(&self) {
        self.engine.metrics().panics.inc();
    }

    /// Everything in the format of Prometheus (`OpenMetrics`).
    pub(crate) fn encode(&self) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        _ = text::encode_registry(&mut out, &self.registry);
        for (name, kind, help, value) in self.engine.metrics().all() {
            plain(&mut out, name, kind_name(kind), &help, value);
        }
        let Described {
            name, kind, help, ..
        } = LOG_DROPPED;
        plain(&mut out, name, kind, help, super::logging::dropped());
        _ = text::encode_eof(&mut out);
        out
    }

    /// Name, kind, label and help of each, in the order of [`Metrics::encode`].
    fn list(&self) -> Vec<(&'static str, &'static str, &'static str, String)> {
        let described = |d: &Described| (d.name, d.kind, d.label, d.help.to_owned());
        let own = self.described.iter().map(described);
        let engine = self.engine.metrics().all();
        let engine = engine
            .into_iter()
            .map(|(name, kind, help, _)| (name, kind_name(kind), "", help));
        own.chain(engine).chain([described(&LOG_DROPPED)]).collect()
    }
}

const LOG_DROPPED: Described = Described {
    name: "log_lines_dropped",
    kind: "counter",
    label: "",
    help: "Log lines that could not be written.",
};

fn kind_name(kind: engine_metrics::Kind) -> &'static str {
    match kind {
        engine_metrics::Kind::Counter => "counter",
        engine_metrics::Kind::Gauge => "gauge",
    }
}

/// A figure without labels.
fn plain(out: &mut String, name: &str, kind: &str, help: &str, value: u64) {
    let suffix = if kind == "counter" { "_total" } else { "" };
    _ = write!(
        out,
        "# HELP waxwing_{name} {help}\n# TYPE waxwing_{name} {kind}\nwaxwing_{name}{suffix} {value}\n"
    );
}

/// `docs/metrics.md`.
pub(crate) fn reference(metrics: &Metrics) -> String {
    let mut out = String::from(
        "# Metrics\n\n<!-- Generated by `cargo xtask gen`; do not edit. -->\n\n\
         Served at `/metrics` of the addresses in `listen.metrics`, in the format of Prometheus. \
         Counters carry the suffix `_total` there. No figure names a person or a network.\n\n\
         | name | kind | label | what it counts |\n|---|---|---|---|\n",
    );
    for (name, kind, label, help) in metrics.list() {
        let _ = writeln!(out, "| `waxwing_{name}` | {kind} | {label} | {help} |");
    }
    out
}

/// Registers and describes at once, so that the reference cannot miss one.
struct List {
    registry: Registry,
    described: Vec<Described>,
}

impl List {
    fn new() -> Self {
        Self {
            registry: Registry::with_prefix("waxwing"),
            described: Vec::new(),
        }
    }

    fn add<M: Metric + Clone + Default>(
        &mut self,
        name: &'static str,
        kind: &'static str,
        label: &'static str,
        help: &'static str,
    ) -> M {
        let metric = M::default();
        // The encoder adds the full stop.
        self.registry
            .register(name, help.trim_end_matches('.'), metric.clone());
        self.described.push(Described {
            name,
            kind,
            label,
            help,
        });
        metric
    }
}

/// Label `listener`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct KindLabel {
    /// Which kind.
    pub(crate) listener: Kind,
}

/// Label `outcome`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OutcomeLabel {
    outcome: HandshakeOutcome,
}

/// Label `domain`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct DomainLabel {
    domain: String,
}

/// How a TLS handshake ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum HandshakeOutcome {
    /// TLS is up.
    Done,
    /// The two did not agree, or the connection broke.
    Failed,
    /// It took longer than `tls.handshake_timeout_seconds`.
    TimedOut,
}

impl From<HandshakeOutcome> for OutcomeLabel {
    fn from(outcome: HandshakeOutcome) -> Self {
        Self { outcome }
    }
}

impl EncodeLabelValue for HandshakeOutcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        encoder.write_str(match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
        })
    }
}

impl EncodeLabelValue for Kind {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        encoder.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_figure_is_described_and_served() {
        let metrics = Metrics::for_reference().await.unwrap();
        metrics
            .sockets
            .get_or_create(&KindLabel {
                listener: Kind::Starttls,
            })
            .inc();
        metrics
            .accepted
            .get_or_create(&KindLabel {
                listener: Kind::DirectTls,
            })
            .inc();
        metrics
            .tls_handshakes
            .get_or_create(&HandshakeOutcome::TimedOut.into())
            .inc();
        let label = DomainLabel {
            domain: "example.org".to_owned(),
        };
        metrics.certificate_not_after.get_or_create(&label).set(1);
        let served = metrics.encode();
        for (name, kind, label, _) in metrics.list() {
            let type_line = format!("# TYPE waxwing_{name} {kind}\n");
            assert_eq!(
                served.matches(&type_line).count(),
                1,
                "{type_line} in {served}"
            );
            if !label.is_empty() {
                assert!(
                    served.contains(&format!("{label}=\"")),
                    "{label} in {served}"
                );
            }
        }
        assert_eq!(served.matches("# TYPE").count(), metrics.list().len());
        assert!(served.ends_with("# EOF\n"));
    }
}
