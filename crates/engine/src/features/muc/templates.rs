//! What a new room is where its owner does not say otherwise: templates.
//!
//! Clients do not know of templates, and need not. One that makes a group says that it is for members
//! who see who is who; one that makes a channel says that it is public. What they do not say beside
//! that, because they leave it to the server or have never heard of it, comes from the template that
//! fits. Where nothing fits, it is the template of the settings. Whatever a form says counts, with one
//! exception: if its owner chooses a template in the form itself, the values that the form was shown
//! with are no wishes.

use super::config::{NotAcceptable, RoomConfig, Whisper};
use crate::settings::RoomTemplate;
use waxwing_proto::form::{FieldKind, Form, FormWriter, NewField};

/// The field of the first form. Ours, and therefore with this prefix (XEP-0068 § 3.4).
const FIELD: &str = "x-template";

const OPTIONS: &[(&str, &str)] = &[
    ("As set here", ""),
    ("Group: for members who see who is who", "group"),
    ("Channel: public, addresses are hidden", "channel"),
    (
        "Announcements: a channel in which few speak",
        "announcements",
    ),
];

impl RoomConfig {
    /// What a template says.
    pub(super) fn of(template: RoomTemplate) -> Self {
        let usual = Self::default();
        match template {
            RoomTemplate::Open => usual,
            // End-to-end encryption needs both: members only, and no secrets who they are.
            RoomTemplate::Group => Self {
                persistent: true,
                members_only: true,
                semi_anonymous: false,
                changesubject: true,
                allowinvites: true,
                ..usual
            },
            RoomTemplate::Channel => Self {
                persistent: true,
                public: true,
                allowinvites: true,
                ..usual
            },
            RoomTemplate::Announcements => Self {
                persistent: true,
                public: true,
                moderated: true,
                allowinvites: true,
                allowpm: Whisper::Moderators,
                ..usual
            },
        }
    }

    /// The options of a new room, of which the form was shown with these.
    pub(super) fn first(&self, form: &Form) -> Result<Self, NotAcceptable> {
        let chosen = form.value(FIELD).map_err(|_| NotAcceptable)?;
        let mut said = self.clone();
        said.apply(form)?;
        let mut config = match chosen.filter(|name| !name.is_empty()) {
            Some(name) => {
                let template = named(name).ok_or(NotAcceptable)?;
                let mut config = Self::of(template);
                config.take_changes(self, &said);
                return Ok(config);
            }
            None => fitting(&said, form).map_or_else(|| self.clone(), Self::of),
        };
        config.apply(form)?;
        Ok(config)
    }
}

/// Writes the choice into the first form.
pub(super) fn offer(form: &mut FormWriter<'_>) {
    form.field(&NewField {
        var: FIELD,
        kind: FieldKind::ListSingle,
        label: Some("Kind of room; what is changed below counts beside it"),
        values: &[""],
        options: OPTIONS,
        ..NewField::default()
    });
}

/// The template that fits what a form says, as far as it says what makes one.
fn fitting(said: &RoomConfig, form: &Form) -> Option<RoomTemplate> {
    let says = |name: &str| form.values(&format!("muc#roomconfig_{name}")).is_some();
    if said.members_only {
        let group = says("membersonly") && says("whois") && !said.semi_anonymous;
        return group.then_some(RoomTemplate::Group);
    }
    if !(says("publicroom") && said.public) {
        return None;
    }
    if says("moderatedroom") && said.moderated {
        return Some(RoomTemplate::Announcements);
    }
    Some(RoomTemplate::Channel)
}

fn named(name: &str) -> Option<RoomTemplate> {
    [
        ("group", RoomTemplate::Group),
        ("channel", RoomTemplate::Channel),
        ("announcements", RoomTemplate::Announcements),
    ]
    .into_iter()
    .find_map(|(known, template)| (known == name).then_some(template))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::muc::config::FORM_TYPE;
    use waxwing_proto::{
        form::FormKind,
        ns,
        xml::{Limits, Tree, Writer},
    };

    fn submitted(fields: &[(&str, &str)]) -> Form {
        let mut xml = Writer::new(ns::CLIENT);
        let mut form = FormWriter::start(&mut xml, FormKind::Submit, FORM_TYPE);
        for (name, value) in fields {
            let var = if *name == FIELD {
                FIELD.to_owned()
            } else {
                format!("muc#roomconfig_{name}")
            };
            form.field(&NewField {
                var: &var,
                values: &[value],
                ..NewField::default()
            });
        }
        form.end();
        let tree = Tree::parse(xml.finish(), ns::CLIENT, &Limits::C2S).unwrap();
        Form::read(tree.root()).unwrap()
    }

    fn first(fields: &[(&str, &str)]) -> Result<RoomConfig, NotAcceptable> {
        RoomConfig::default().first(&submitted(fields))
    }

    #[test]
    fn what_clients_leave_open_comes_from_what_they_make() {
        let group = RoomConfig::of(RoomTemplate::Group);
        let channel = RoomConfig::of(RoomTemplate::Channel);
        let announcements = RoomConfig::of(RoomTemplate::Announcements);
        for (fields, wanted) in [
            (&[][..], RoomConfig::default()),
            // Beagle does not say that its groups are to stay.
            (
                &[
                    ("membersonly", "1"),
                    ("publicroom", "0"),
                    ("whois", "anyone"),
                ],
                group.clone(),
            ),
            (
                &[
                    ("membersonly", "1"),
                    ("whois", "anyone"),
                    ("changesubject", "0"),
                ],
                RoomConfig {
                    changesubject: false,
                    ..group.clone()
                },
            ),
            // The rooms of Dino's group calls are not.
            (
                &[
                    ("membersonly", "1"),
                    ("whois", "anyone"),
                    ("persistentroom", "0"),
                ],
                RoomConfig {
                    persistent: false,
                    ..group
                },
            ),
            // Who does not say that everybody sees everybody has not made a group.
            (
                &[("membersonly", "1")],
                RoomConfig {
                    members_only: true,
                    ..RoomConfig::default()
                },
            ),
            (
                &[("publicroom", "1"), ("membersonly", "0")],
                channel.clone(),
            ),
            (
                &[("publicroom", "1"), ("whois", "anyone")],
                RoomConfig {
                    semi_anonymous: false,
                    ..channel
                },
            ),
            (
                &[("publicroom", "1"), ("moderatedroom", "1")],
                announcements,
            ),
        ] {
            assert_eq!(first(fields), Ok(wanted), "{fields:?}");
        }
    }

    /// The whole form comes back, with the template chosen and little else changed.
    #[test]
    fn a_chosen_template_yields_to_changes_only() {
        let form = [
            (FIELD, "announcements"),
            ("roomname", "News"),
            ("persistentroom", "0"),
            ("publicroom", "0"),
            ("moderatedroom", "0"),
            ("allowpm", "none"),
        ];
        let wanted = RoomConfig {
            name: "News".to_owned(),
            allowpm: Whisper::Nobody,
            ..RoomConfig::of(RoomTemplate::Announcements)
        };
        assert_eq!(first(&form), Ok(wanted));
        assert_eq!(first(&[(FIELD, "party")]), Err(NotAcceptable));
        assert_eq!(first(&[(FIELD, "")]), Ok(RoomConfig::default()));
    }

    #[test]
    fn groups_can_be_encrypted() {
        let group = RoomConfig::of(RoomTemplate::Group);
        assert!(group.members_only && !group.semi_anonymous && !group.public);
    }
}
