//! Stream features: what a client may do next (RFC 6120 § 4.3.2).

use super::settings::{C2sSettings, HostSettings, Transport};
use crate::ns;
use crate::sasl::Mechanism;
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
    }
    if host.registration && may_authenticate(settings, transport) {
        xml.empty("register", ns::REGISTER_FEATURE);
    }
    write_always(&mut xml, &settings.limits_pre_auth, settings, host);
    wrap(out, xml);
}

/// Appends the features of an authenticated stream.
///
/// Stream management (XEP-0198) and client state (XEP-0352) will be announced here.
pub(super) fn write_after_auth(out: &mut Vec<u8>, settings: &C2sSettings, host: &HostSettings) {
    let mut xml = Writer::new(ns::CLIENT);
    xml.empty("bind", ns::BIND);
    // COMPAT(clients of RFC 3921): some open a session whenever it is offered and some insist on
    // an offer; `optional` (draft-cridland-xmpp-session) spares the others the round trip.
    xml.start_ns("session", ns::SESSION);
    xml.start("optional").end();
    xml.end();
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
