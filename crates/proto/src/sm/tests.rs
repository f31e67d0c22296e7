//! Counting beside a naive model, and the elements.

use super::*;
use crate::ns;
use crate::stanza::Condition;
use crate::stream::StreamError;
use crate::xml::{Limits, Tree};
use proptest::prelude::*;

/// The counts of § 4 without the modulus, and every stanza ever sent.
struct Model {
    sent: u64,
    acknowledged: u64,
}

impl Model {
    fn count(number: u64) -> u32 {
        u32::try_from(number % (1 << 32)).expect("below 2^32")
    }

    fn h(&self) -> u32 {
        Self::count(self.acknowledged)
    }
}

#[derive(Debug, Clone)]
enum Step {
    Push(u8),
    /// So far beyond what is acknowledged, or before it.
    Acknowledge(i64),
    Resume(i64),
    Request,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..6_u8).prop_map(Step::Push),
        3 => (-2..12_i64).prop_map(Step::Acknowledge),
        1 => (-2..12_i64).prop_map(Step::Resume),
        1 => any::<i32>().prop_map(|far| Step::Acknowledge(far.into())),
        2 => Just(Step::Request),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    #[test]
    fn outbound_is_the_model(
        start in prop_oneof![Just(0_u64), (1 << 32) - 20..(1 << 32) + 20_u64, any::<u32>().prop_map(u64::from)],
        steps in steps(),
    ) {
        let pace = Pace { request_every: 3, unacknowledged_max: 20 };
        let mut model = Model { sent: start, acknowledged: start };
        let mut outbound = Outbound::restore(pace, Model::count(start), []);
        let mut since_request = 0;
        let mut asked = false;
        for step in steps {
            match step {
                Step::Push(count) => for _ in 0..count {
                    model.sent += 1;
                    since_request += 1;
                    prop_assert_eq!(outbound.push(model.sent), Model::count(model.sent));
                },
                Step::Acknowledge(by) | Step::Resume(by) => {
                    let reached = i64::try_from(model.acknowledged).expect("small") + by;
                    let h = Model::count(u64::try_from(reached.rem_euclid(1 << 32)).expect("positive"));
                    let resumes = matches!(step, Step::Resume(_));
                    let result = if resumes { outbound.resume(h) } else { outbound.acknowledge(h) };
                    let result = result.map(Iterator::collect::<Vec<_>>);
                    let reached = u64::try_from(reached).unwrap_or(0);
                    if by >= 0 && reached <= model.sent {
                        let released: Vec<_> = (model.acknowledged + 1..=reached).collect();
                        prop_assert_eq!(result, Ok(released));
                        model.acknowledged = reached;
                        asked = false;
                        if resumes {
                            since_request = model.sent - reached;
                        }
                    } else {
                        prop_assert_eq!(result, Err(TooHigh { h, send_count: Model::count(model.sent) }));
                    }
                }
                Step::Request => {
                    let due = since_request > 0 && (!asked || since_request >= 3);
                    prop_assert_eq!(outbound.request(), due);
                    if due {
                        since_request = 0;
                        asked = true;
                    }
                }
                Step::Restart => {
                    outbound = Outbound::restore(pace, outbound.acknowledged(), outbound.into_unacknowledged());
                    since_request = 0;
                    asked = false;
                }
            }
            let waiting: Vec<_> = (model.acknowledged + 1..=model.sent).collect();
            prop_assert!(outbound.unacknowledged().eq(&waiting));
            prop_assert_eq!(outbound.acknowledged(), model.h());
            prop_assert_eq!(outbound.send_count(), Model::count(model.sent));
            prop_assert_eq!(outbound.is_full(), waiting.len() >= 20);
            prop_assert_eq!(outbound.awaits_answer(), asked);
        }
    }

    #[test]
    fn inbound_is_the_model(
        start in prop_oneof![Just(0_u32), u32::MAX - 5..=u32::MAX],
        steps in prop::collection::vec((any::<bool>(), 0..5_u32), 0..60),
    ) {
        let mut inbound = Inbound::restore(start);
        let (mut received, mut handled) = (u64::from(start), u64::from(start));
        for (receives, count) in steps {
            if receives {
                inbound.received();
                received += 1;
            } else {
                let truly = u64::from(count).min(received - handled);
                prop_assert_eq!(u64::from(inbound.handled(count)), truly);
                handled += truly;
            }
            prop_assert_eq!(inbound.h(), Model::count(handled), "received does not show");
            prop_assert_eq!(u64::from(inbound.pending()), received - handled);
        }
        prop_assert_eq!(u64::from(inbound.abandon()), received - handled);
        prop_assert_eq!(inbound.handled(1), 0);
    }

    #[test]
    fn any_attributes(name in "enable|resume|resumed|enabled|failed|a|r|x", h in "[ +-]?[0-9]{0,12}", text in "[a-z0-9]{0,9}") {
        let xml = format!("<{name} xmlns='urn:xmpp:sm:3' h='{h}' previd='{text}' resume='{text}' max='{h}' id='{text}'/>");
        if let Ok(nonza) = read(&xml) {
            // What has been understood once is understood again.
            prop_assert_eq!(read(&wire(&nonza)), Ok(nonza));
        }
    }
}

fn read(xml: &str) -> Result<Nonza, Malformed> {
    let tree = Tree::parse(xml.to_owned().into(), ns::CLIENT, &Limits::C2S).expect("well-formed");
    Nonza::read(tree.root())
}

fn wire(nonza: &Nonza) -> String {
    String::from_utf8(nonza.to_bytes().to_vec()).expect("UTF-8")
}

/// The examples of XEP-0198 § 3–6, with attributes in our order.
#[test]
fn examples() {
    let enable = |resume, max_seconds| {
        Nonza::Enable(Enable {
            resume,
            max_seconds,
        })
    };
    let id = "some-long-sm-id".to_owned();
    let examples = [
        ("<enable xmlns='urn:xmpp:sm:3'/>", enable(false, None)),
        (
            "<enable xmlns='urn:xmpp:sm:3' resume='true'/>",
            enable(true, None),
        ),
        (
            "<enable xmlns='urn:xmpp:sm:3' resume='true' max='600'/>",
            enable(true, Some(600)),
        ),
        (
            "<enabled xmlns='urn:xmpp:sm:3'/>",
            Nonza::Enabled(Enabled::default()),
        ),
        (
            "<enabled xmlns='urn:xmpp:sm:3' id='some-long-sm-id' resume='true' \
             location='[2001:41D0:1:A49b::1]:9222'/>",
            Nonza::Enabled(Enabled {
                id: Some(id.clone()),
                resume: true,
                max_seconds: None,
                location: Some("[2001:41D0:1:A49b::1]:9222".to_owned()),
            }),
        ),
        (
            "<resume xmlns='urn:xmpp:sm:3' h='7' previd='some-long-sm-id'/>",
            Nonza::Resume(Resume {
                h: 7,
                previd: id.clone(),
            }),
        ),
        (
            "<resumed xmlns='urn:xmpp:sm:3' h='4294967295' previd='some-long-sm-id'/>",
            Nonza::Resumed(Resume {
                h: u32::MAX,
                previd: id,
            }),
        ),
        (
            "<failed xmlns='urn:xmpp:sm:3' h='8'>\
             <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>",
            Nonza::Failed(Failed {
                h: Some(8),
                condition: Some(Condition::ItemNotFound),
            }),
        ),
        (
            "<failed xmlns='urn:xmpp:sm:3'>\
             <unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>",
            Nonza::failed(Condition::UnexpectedRequest),
        ),
        ("<r xmlns='urn:xmpp:sm:3'/>", Nonza::Request),
        ("<a xmlns='urn:xmpp:sm:3' h='1'/>", Nonza::Answer(1)),
    ];
    for (xml, nonza) in examples {
        assert_eq!(read(xml).as_ref(), Ok(&nonza), "{xml}");
        assert_eq!(wire(&nonza), xml);
    }
}

#[test]
fn lenient_and_strict() {
    for (xml, expected) in [
        ("<enable xmlns='urn:xmpp:sm:3' max='0' resume='1'/>", None),
        ("<enable xmlns='urn:xmpp:sm:3' max='x' resume='1'/>", None),
        (
            "<enable xmlns='urn:xmpp:sm:3' max='99999999999' resume='1'/>",
            Some(u32::MAX),
        ),
    ] {
        let enable = Enable {
            resume: true,
            max_seconds: expected,
        };
        assert_eq!(read(xml), Ok(Nonza::Enable(enable)));
    }
    let long = format!(
        "<resume xmlns='urn:xmpp:sm:3' h='1' previd='{}'/>",
        "x".repeat(PREVID_BYTES_MAX + 1)
    );
    for bad in [
        "<a xmlns='urn:xmpp:sm:3'/>",
        "<a xmlns='urn:xmpp:sm:3' h=''/>",
        "<a xmlns='urn:xmpp:sm:3' h='-1'/>",
        "<a xmlns='urn:xmpp:sm:3' h='+1'/>",
        "<a xmlns='urn:xmpp:sm:3' h='1.0'/>",
        "<a xmlns='urn:xmpp:sm:3' h='4294967296'/>",
        "<a xmlns='urn:xmpp:sm:2' h='1'/>",
        "<enable xmlns='urn:xmpp:sm:3' resume='yes'/>",
        "<resume xmlns='urn:xmpp:sm:3' previd='x'/>",
        "<resume xmlns='urn:xmpp:sm:3' h='1'/>",
        "<resume xmlns='urn:xmpp:sm:3' h='1' previd=''/>",
        "<failed xmlns='urn:xmpp:sm:3' h='x'/>",
        "<sm xmlns='urn:xmpp:sm:3'/>",
        &long,
    ] {
        assert_eq!(read(bad), Err(Malformed), "{bad}");
    }
}

/// § 6: the error's two counts, and a queue that has not moved.
#[test]
fn too_high() {
    let mut outbound = Outbound::new(Pace::default());
    for stanza in 0..8 {
        outbound.push(stanza);
    }
    let error = outbound.acknowledge(10).map(|_| ()).expect_err("too high");
    let xml = String::from_utf8(StreamError::from(error).element().to_vec()).expect("UTF-8");
    assert!(
        xml.starts_with(
            "<stream:error><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
        ) && xml.ends_with(
            "<handled-count-too-high xmlns='urn:xmpp:sm:3' h='10' send-count='8'/></stream:error>"
        ),
        "{xml}"
    );
    assert_eq!(outbound.unacknowledged_len(), 8);
    assert!(outbound.acknowledge(5).is_ok());
    assert!(outbound.unacknowledged().eq(&[5, 6, 7]));
    assert!(outbound.acknowledge(4).is_err(), "no taking back");
    assert!(outbound.resume(4).is_err());
    assert!(outbound.resume(6).is_ok());
    assert!(outbound.unacknowledged().eq(&[6, 7]));
    assert!(outbound.request(), "what is sent again asks again");
}
