//! Two of our own machines, joined by what they send.

use super::*;
use crate::stream::s2s::dialback;

/// Lets an initiating stream from `there.example` talk to an accepting one of `here.example`; gives
/// whether it may send in the end, and whether both ways.
fn meet(certificate_of_initiator: &[&str], first: &[&str]) -> (Vec<String>, bool) {
    let there = S2sSettings {
        hosts: ["there.example".to_owned()].into(),
        ..S2sSettings::new(Secret::new(&[8; 32]))
    };
    let target = Target {
        pair: pair("there.example", "here.example"),
        purpose: Purpose::Send,
    };
    let secret = there.secret.clone();
    let mut out = S2sOutStream::new(Arc::new(there), target, Transport::Plain);
    let mut accepting = S2sInStream::new(Arc::new(settings()), Transport::Plain, ids());
    let (mut to_in, mut to_out) = (BytesMut::new(), BytesMut::new());
    let mut log = Vec::new();
    // Until nobody has anything to say.
    loop {
        let (mut quiet, mut tls_in, mut tls_out) = (true, false, false);
        while let Some(effect) = out.next_effect(&mut to_out) {
            quiet = false;
            match effect {
                S2sEffect::Send(bytes) => to_in.extend_from_slice(&bytes),
                S2sEffect::StartTls => tls_out = true,
                other => log.push(format!("out {other:?}")),
            }
        }
        while let Some(effect) = accepting.next_effect(&mut to_in) {
            quiet = false;
            match effect {
                S2sEffect::Send(bytes) => to_out.extend_from_slice(&bytes),
                S2sEffect::StartTls => tls_in = true,
                S2sEffect::Verify(asked) => {
                    let Pair { local, remote } = &asked.pair;
                    let verdict = dialback::judge(&secret, local, remote, &asked.id, &asked.key);
                    accepting.verified(&asked.pair, verdict);
                }
                other => log.push(format!("in {other:?}")),
            }
        }
        if tls_in {
            accepting.tls_started(tls(certificate_of_initiator));
        }
        if tls_out {
            out.tls_started(tls(first));
        }
        if quiet {
            return (log, accepting.is_bidirectional());
        }
    }
}

#[test]
fn by_certificate_and_by_dialback() {
    for (certificate, managed) in [(&["there.example"][..], true), (&[], false)] {
        let (log, bidi) = meet(certificate, &["here.example"]);
        let want = [
            "in Authorized(there.example to here.example)".to_owned(),
            format!("out Ready(managed: {managed})"),
            "out Authorized(here.example to there.example)".to_owned(),
        ];
        assert_eq!(log, want);
        assert!(bidi);
    }
}
