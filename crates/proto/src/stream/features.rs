//! Stream features: what a client may do next (RFC 6120 § 4.3.2).

use super::sasl2;
use super::settings::{C2sSettings, HostSettings, Transport};
use crate::ns;
use crate::sasl::{FastMechanism, Mechanism};
use crate::xml::{Limits, Writer};

/// Whether passwords may cross this transport. The one place that decides it, asked again at each
/// use.
pub(super) fn may_authenticate(settings: &C2sSettings, transport: &Transport) -> bool {
    matches!(transport, Transport::Tls(_)) || settings.plaintext_allowed
}

/// Whether STARTTLS can be had.
pub(super) fn may_start_tls(settings: &C2sSettings, transport: &Transport) -> bool {
    matches!(transport, Transport::Plain) && settings.starttls
}

/// The mechanisms that a client may use here and now, best first.
pub(super) fn mechanisms(
    settings: &C2sSettings,
    host: &HostSettings,
    transport: &Transport,
) -> Vec<Mechanism> {
    if !may_authenticate(settings, transport) {
        return Vec::new();
    }
    let can_bind = transport
        .bindings()
        .is_some_and(|bindings| !bindings.is_empty());
    let usable = |mechanism: &Mechanism| can_bind || !mechanism.plus();
    host.mechanisms.iter().copied().filter(usable).collect()
}

/// The mechanisms for tokens that a client may use here and now, best first.
pub(super) fn fast(
    settings: &C2sSettings,
    host: &HostSettings,
    transport: &Transport,
) -> Vec<FastMechanism> {
    let Some(sasl2) = host.sasl2.as_ref() else {
        return Vec::new();
    };
    if !may_authenticate(settings, transport) {
        return Vec::new();
    }
    let usable = |mechanism: &FastMechanism| match transport.bindings() {
        Some(bindings) => mechanism.usable(bindings),
        None => mechanism.binding().is_none(),
    };
    sasl2.fast.iter().copied().filter(usable).collect()
}

/// Appends the features of a stream that is not authenticated.
pub(super) fn write_before_auth(
    out: &mut Vec<u8>,
    settings: &C2sSettings,
    host: &HostSettings,
    transport: &Transport,
) {
    let mut xml = Writer::new(ns::CLIENT);
    if may_start_tls(settings, transport) {
        xml.start_ns("starttls", ns::TLS);
        if !may_authenticate(settings, transport) {
            xml.start("required").end();
        }
        xml.end();
    }
    let mechanisms = mechanisms(settings, host, transport);
    if !mechanisms.is_empty() {
        if let Some(bindings) = transport.bindings()
            && mechanisms.iter().any(|mechanism| mechanism.plus())
        {
            xml.start_ns("sasl-channel-binding", ns::SASL_CB);
            for binding in bindings.types() {
                xml.start("channel-binding")
                    .attr("type", binding.name())
                    .end();
            }
            xml.end();
        }
        xml.start_ns("mechanisms", ns::SASL);
        for mechanism in &mechanisms {
            xml.leaf("mechanism", mechanism.name());
        }
        xml.end();
        write_sasl2(&mut xml, settings, host, transport, &mechanisms);
    }
    if host.registration && may_authenticate(settings, transport) {
        xml.empty("register", ns::REGISTER_FEATURE);
    }
    write_always(&mut xml, &settings.limits_pre_auth, settings, host);
    wrap(out, xml);
}

/// The extensible SASL profile (XEP-0388 § 2.1). It does not depend on the client's stream header:
/// whose the account is, the client says when it authenticates.
fn write_sasl2(
    xml: &mut Writer,
    settings: &C2sSettings,
    host: &HostSettings,
    transport: &Transport,
    mechanisms: &[Mechanism],
) {
    let Some(sasl2) = &host.sasl2 else { return };
    xml.start_ns("authentication", ns::SASL2);
    for mechanism in mechanisms {
        xml.leaf("mechanism", mechanism.name());
    }
    let fast = fast(settings, host, transport);
    if sasl2.bind || host.sm || !fast.is_empty() {
        xml.start("inline");
        if sasl2.bind {
            write_bind2(xml, host, &sasl2.bind_features);
        }
        if host.sm {
            xml.empty("sm", ns::SM);
        }
        if !fast.is_empty() {
            xml.start_ns("fast", ns::FAST);
            for mechanism in fast {
                xml.leaf("mechanism", mechanism.name());
            }
            xml.end();
        }
        xml.end();
    }
    for hash in &sasl2.upgrades {
        xml.start_ns("upgrade", ns::SASL_UPGRADE)
            .text(sasl2::upgrade_name(*hash))
            .end();
    }
    xml.end();
}

/// What can be switched on when binding (XEP-0386 § 3.1).
fn write_bind2(xml: &mut Writer, host: &HostSettings, others: &[String]) {
    let csi = host.csi.then_some(ns::CSI);
    let sm = host.sm.then_some(ns::SM);
    xml.start_ns("bind", ns::BIND2).start("inline");
    let others = others.iter().map(String::as_str);
    for name in others.chain(csi).chain(sm) {
        xml.start("feature").attr("var", name).end();
    }
    xml.end().end();
}

/// Appends the features of an authenticated stream; `is_bound` if it has got a resource together
/// with its authentication.
pub(super) fn write_after_auth(
    out: &mut Vec<u8>,
    settings: &C2sSettings,
    host: &HostSettings,
    is_bound: bool,
) {
    let mut xml = Writer::new(ns::CLIENT);
    if !is_bound {
        xml.empty("bind", ns::BIND);
        // COMPAT(clients of RFC 3921): some open a session whenever it is offered and some insist
        // on an offer; `optional` (draft-cridland-xmpp-session) spares the others the round trip.
        xml.start_ns("session", ns::SESSION);
        xml.start("optional").end();
        xml.end();
    }
    if host.sm {
        xml.empty("sm", ns::SM);
    }
    if host.csi {
        xml.empty("csi", ns::CSI);
    }
    xml.empty("ver", ns::ROSTER_VER);
    xml.empty("sub", ns::PRE_APPROVAL);
    write_always(&mut xml, &settings.limits, settings, host);
    wrap(out, xml);
}

/// What is true before and after authentication.
fn write_always(xml: &mut Writer, limits: &Limits, settings: &C2sSettings, host: &HostSettings) {
    if let Some(caps) = &host.caps {
        xml.start_ns("c", ns::CAPS)
            .attr("hash", "sha-1")
            .attr("node", &caps.node)
            .attr("ver", &caps.ver)
            .end();
    }
    xml.start_ns("limits", ns::STREAM_LIMITS);
    xml.leaf("max-bytes", &limits.bytes_max.to_string());
    if let Some(seconds) = settings.idle_seconds {
        xml.leaf("idle-seconds", &seconds.to_string());
    }
    xml.end();
}

/// Appends the children as `<stream:features/>`: our header has declared the prefix.
fn wrap(out: &mut Vec<u8>, children: Writer) {
    out.extend_from_slice(b"<stream:features>");
    out.extend_from_slice(&children.finish());
    out.extend_from_slice(b"</stream:features>");
}
