//! What a room is: its options (XEP-0045 § 16.5.3), as a form and as stored; both are made from one
//! table.

use super::{pace::SLOW_SECONDS_MAX, rights::Role};
use bytes::Bytes;
use waxwing_proto::{
    form::{FieldKind, Form, FormKind, FormWriter, NewField},
    ns,
    xml::{self, Limits, Tree, Writer},
};

/// Messages of the past that a room shows to newcomers, at most.
pub(crate) const HISTORY_MAX: u32 = 100;
/// Occupants of a room, at most.
pub(super) const OCCUPANTS_MAX: u32 = 5000;
/// Bytes of a name or a password.
const NAME_BYTES_MAX: usize = 256;
/// Bytes of a description.
const DESCRIPTION_BYTES_MAX: usize = 4096;

/// `FORM_TYPE` of the form.
pub(super) const FORM_TYPE: &str = "http://jabber.org/protocol/muc#roomconfig";

/// Who may send private messages (`allowpm`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whisper {
    Anyone,
    Participants,
    Moderators,
    Nobody,
}

impl Whisper {
    pub(super) fn includes(self, role: Role) -> bool {
        match self {
            Self::Anyone => role > Role::None,
            Self::Participants => role >= Role::Participant,
            Self::Moderators => role >= Role::Moderator,
            Self::Nobody => false,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::Participants => "participants",
            Self::Moderators => "moderators",
            Self::Nobody => "none",
        }
    }

    fn named(name: &str) -> Option<Self> {
        let all = [
            Self::Anyone,
            Self::Participants,
            Self::Moderators,
            Self::Nobody,
        ];
        all.into_iter().find(|known| known.name() == name)
    }
}

/// The options of a room.
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the independent switches of a form"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoomConfig {
    /// Its name.
    pub(super) name: String,
    /// What it is for.
    pub(super) description: String,
    /// The language spoken.
    pub(super) lang: String,
    /// It stays when nobody is in it.
    pub(super) persistent: bool,
    /// It is in the list of rooms.
    pub(super) public: bool,
    /// Only members may enter.
    pub(super) members_only: bool,
    /// Newcomers only listen.
    pub(super) moderated: bool,
    /// A password is asked for.
    pub(super) protected: bool,
    /// The password.
    pub(super) password: String,
    /// Only moderators see who the occupants are.
    pub(super) semi_anonymous: bool,
    /// Participants may change the subject.
    pub(super) changesubject: bool,
    /// Whoever is in the room may invite, and so make members.
    pub(super) allowinvites: bool,
    /// Who may send private messages.
    pub(super) allowpm: Whisper,
    /// Occupants at most; owners and admins come in beyond it.
    pub(super) occupants_max: u32,
    /// Messages of the past shown to newcomers.
    pub(super) history: u32,
    /// Messages are archived.
    pub(super) archived: bool,
    /// People can register by themselves; where only members may enter, admins approve it.
    pub(super) registration: bool,
    /// Seconds to wait between two messages (XEP-0500); 0 for none.
    pub(super) slow_seconds: u32,
}

impl Default for RoomConfig {
    /// What a room is whose owner says nothing about it: open to those who know of it, and gone with
    /// the last of them.
    fn default() -> Self {
        Self {
            name: String::new(),
            description: String::new(),
            lang: String::new(),
            persistent: false,
            public: false,
            members_only: false,
            moderated: false,
            protected: false,
            password: String::new(),
            semi_anonymous: true,
            changesubject: false,
            allowinvites: false,
            allowpm: Whisper::Anyone,
            occupants_max: 500,
            history: 20,
            archived: true,
            registration: true,
            slow_seconds: 0,
        }
    }
}

/// The submitted options cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotAcceptable;

/// One option.
struct Field {
    /// Its name in forms.
    var: &'static str,
    /// What else clients call it.
    aliases: &'static [&'static str],
    kind: FieldKind,
    label: &'static str,
    options: &'static [(&'static str, &'static str)],
    /// The smallest number, if it takes numbers.
    min: Option<&'static str>,
    read: fn(&RoomConfig) -> String,
    write: fn(&mut RoomConfig, &str) -> Option<()>,
}

/// An option that is on or off.
macro_rules! flag {
    ($var:literal, $label:literal, $field:ident) => {
        flag!($var, $label, $field, &[])
    };
    ($var:literal, $label:literal, $field:ident, $aliases:expr) => {
        Field {
            var: $var,
            aliases: $aliases,
            kind: FieldKind::Boolean,
            label: $label,
            options: &[],
            min: None,
            read: |config| boolean(config.$field).to_owned(),
            write: |config, value| {
                config.$field = xml::boolean(value)?;
                Some(())
            },
        }
    };
}

/// An option that is text.
macro_rules! text {
    ($var:literal, $label:literal, $field:ident, $kind:ident, $max:ident) => {
        Field {
            var: $var,
            aliases: &[],
            kind: FieldKind::$kind,
            label: $label,
            options: &[],
            min: None,
            read: |config| config.$field.clone(),
            write: |config, value| {
                config.$field = (value.len() <= $max).then(|| value.to_owned())?;
                Some(())
            },
        }
    };
}

const FIELDS: &[Field] = &[
    text!(
        "muc#roomconfig_roomname",
        "Name",
        name,
        TextSingle,
        NAME_BYTES_MAX
    ),
    text!(
        "muc#roomconfig_roomdesc",
        "Description",
        description,
        TextSingle,
        DESCRIPTION_BYTES_MAX
    ),
    text!(
        "muc#roomconfig_lang",
        "Language",
        lang,
        TextSingle,
        NAME_BYTES_MAX
    ),
    flag!(
        "muc#roomconfig_persistentroom",
        "The room stays when nobody is in it",
        persistent
    ),
    flag!(
        "muc#roomconfig_publicroom",
        "The room can be found in the list",
        public
    ),
    flag!(
        "muc#roomconfig_membersonly",
        "Only members may enter",
        members_only
    ),
    flag!(
        "muc#roomconfig_moderatedroom",
        "Newcomers may only listen",
        moderated
    ),
    flag!(
        "muc#roomconfig_passwordprotectedroom",
        "A password is needed to enter",
        protected
    ),
    text!(
        "muc#roomconfig_roomsecret",
        "Password",
        password,
        TextPrivate,
        NAME_BYTES_MAX
    ),
    Field {
        var: "muc#roomconfig_whois",
        aliases: &[],
        kind: FieldKind::ListSingle,
        label: "Who sees the addresses of others",
        options: &[
            ("Moderators", "moderators"),
            ("Everybody in the room", "anyone"),
        ],
        min: None,
        read: |config| {
            let who = if config.semi_anonymous {
                "moderators"
            } else {
                "anyone"
            };
            who.to_owned()
        },
        write: |config, value| {
            config.semi_anonymous = match value {
                "moderators" => true,
                "anyone" => false,
                _ => return None,
            };
            Some(())
        },
    },
    flag!(
        "muc#roomconfig_changesubject",
        "Participants may change the subject",
        changesubject
    ),
    flag!(
        "muc#roomconfig_allowinvites",
        "Those in the room may invite others",
        allowinvites,
        &["{http://prosody.im/protocol/muc}roomconfig_allowmemberinvites"]
    ),
    Field {
        var: "muc#roomconfig_allowpm",
        aliases: &[],
        kind: FieldKind::ListSingle,
        label: "Who may send private messages",
        options: &[
            ("Everybody", "anyone"),
            ("Those who may speak", "participants"),
            ("Moderators", "moderators"),
            ("Nobody", "none"),
        ],
        min: None,
        read: |config| config.allowpm.name().to_owned(),
        write: |config, value| {
            config.allowpm = Whisper::named(value)?;
            Some(())
        },
    },
    Field {
        var: "muc#roomconfig_maxusers",
        aliases: &[],
        kind: FieldKind::ListSingle,
        label: "People in the room at most",
        options: &[("50", "50"), ("500", "500"), ("5000", "5000")],
        min: None,
        read: |config| config.occupants_max.to_string(),
        write: |config, value| {
            config.occupants_max = match value {
                "" | "none" => OCCUPANTS_MAX,
                number => number.parse().ok().filter(|number| *number > 0)?,
            };
            config.occupants_max = config.occupants_max.min(OCCUPANTS_MAX);
            Some(())
        },
    },
    Field {
        var: "muc#maxhistoryfetch",
        aliases: &["muc#roomconfig_historylength"],
        kind: FieldKind::TextSingle,
        label: "Messages of the past that newcomers are shown",
        options: &[],
        min: Some("0"),
        read: |config| config.history.to_string(),
        write: |config, value| {
            config.history = value.parse::<u32>().ok()?.min(HISTORY_MAX);
            Some(())
        },
    },
    Field {
        var: "muc#roomconfig_slow_mode_duration",
        aliases: &[],
        kind: FieldKind::TextSingle,
        label: "Seconds to wait between two messages; 0 for none",
        options: &[],
        min: Some("0"),
        read: |config| config.slow_seconds.to_string(),
        write: |config, value| {
            config.slow_seconds = value.parse::<u32>().ok()?.min(SLOW_SECONDS_MAX);
            Some(())
        },
    },
    flag!(
        "muc#roomconfig_enablearchiving",
        "Messages are kept in the room's archive",
        archived,
        &["muc#roomconfig_mam", "mam"]
    ),
    flag!(
        "x-roomconfig_registration",
        "People may ask to become members",
        registration
    ),
];

impl RoomConfig {
    /// § 7.2.12: whether people who are not in the room can read what is said in it. They can where
    /// they could have come in to hear it.
    pub(super) fn is_logged(&self) -> bool {
        self.archived && !self.members_only && !self.protected
    }

    /// Takes the options that a form has; fields that are none are ignored, because clients send
    /// those of all servers in one form. Nothing is taken of a form that cannot be.
    pub(super) fn apply(&mut self, form: &Form) -> Result<(), NotAcceptable> {
        let mut changed = self.clone();
        for given in &form.fields {
            let Some(field) = field(&given.var) else {
                continue;
            };
            let value = match given.values.as_slice() {
                [] => "",
                [value] => value.as_str(),
                _ => return Err(NotAcceptable),
            };
            if value.is_empty() && matches!(field.kind, FieldKind::Boolean | FieldKind::ListSingle)
            {
                // Left as it is.
                continue;
            }
            (field.write)(&mut changed, value).ok_or(NotAcceptable)?;
        }
        // § 10.1.3
        if changed.protected && changed.password.is_empty() {
            return Err(NotAcceptable);
        }
        *self = changed;
        Ok(())
    }

    /// Takes the options in which one set differs from another.
    pub(super) fn take_changes(&mut self, before: &Self, after: &Self) {
        for field in FIELDS {
            let value = (field.read)(after);
            if value != (field.read)(before) {
                // What one set has, another can have.
                let _ = (field.write)(self, &value);
            }
        }
    }

    /// Writes the options into a form that is open.
    pub(super) fn write(&self, form: &mut FormWriter<'_>) {
        for field in FIELDS {
            form.field(&NewField {
                var: field.var,
                kind: field.kind,
                label: Some(field.label),
                values: &[&(field.read)(self)],
                options: field.options,
                min: field.min,
                ..NewField::default()
            });
        }
    }

    /// What the store keeps.
    pub(crate) fn encode(&self) -> Bytes {
        let mut xml = Writer::new(ns::CLIENT);
        let mut form = FormWriter::start(&mut xml, FormKind::Submit, FORM_TYPE);
        for field in FIELDS {
            form.field(&NewField {
                var: field.var,
                kind: field.kind,
                values: &[&(field.read)(self)],
                ..NewField::default()
            });
        }
        form.end();
        xml.finish()
    }

    /// What the store kept; `None` if it is damaged.
    pub(crate) fn decode(stored: &Bytes) -> Option<Self> {
        let tree = Tree::parse(stored.clone(), ns::CLIENT, &Limits::S2S).ok()?;
        let form = Form::read(tree.root()).ok()?;
        let mut config = Self::default();
        config.apply(&form).ok()?;
        Some(config)
    }
}

fn field(var: &str) -> Option<&'static Field> {
    FIELDS
        .iter()
        .find(|field| field.var == var || field.aliases.contains(&var))
}

fn boolean(value: bool) -> &'static str {
    if value { "1" } else { "0" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn submitted(fields: &[(&str, &str)]) -> Form {
        let mut xml = Writer::new(ns::CLIENT);
        let mut form = FormWriter::start(&mut xml, FormKind::Submit, FORM_TYPE);
        for (var, value) in fields {
            form.field(&NewField {
                var,
                values: &[value],
                ..NewField::default()
            });
        }
        form.end();
        let tree = Tree::parse(xml.finish(), ns::CLIENT, &Limits::C2S).unwrap();
        Form::read(tree.root()).unwrap()
    }

    fn changed(fields: &[(&str, &str)]) -> Result<RoomConfig, NotAcceptable> {
        let mut config = RoomConfig::default();
        config.apply(&submitted(fields)).map(|()| config)
    }

    /// What Conversations submits for a private group, fields of other servers included.
    #[test]
    fn what_clients_send() {
        let group = changed(&[
            ("muc#roomconfig_persistentroom", "1"),
            ("muc#roomconfig_membersonly", "1"),
            ("muc#roomconfig_publicroom", "0"),
            ("muc#roomconfig_whois", "anyone"),
            ("muc#roomconfig_changesubject", "0"),
            ("muc#roomconfig_allowinvites", "1"),
            ("muc#roomconfig_enablearchiving", "1"),
            ("mam", "1"),
            ("muc#roomconfig_mam", "1"),
            ("muc#roomconfig_enablelogging", "0"),
            ("members_by_default", "1"),
            ("allow_private_messages", "0"),
            (
                "{http://prosody.im/protocol/muc}roomconfig_allowmemberinvites",
                "1",
            ),
        ]);
        let wanted = RoomConfig {
            persistent: true,
            members_only: true,
            semi_anonymous: false,
            allowinvites: true,
            ..RoomConfig::default()
        };
        assert_eq!(group, Ok(wanted));
    }

    #[test]
    fn what_cannot_be() {
        for fields in [
            &[("muc#roomconfig_whois", "nobody")][..],
            &[("muc#roomconfig_membersonly", "perhaps")],
            &[("muc#roomconfig_passwordprotectedroom", "1")],
            &[
                ("muc#roomconfig_passwordprotectedroom", "1"),
                ("muc#roomconfig_roomsecret", ""),
            ],
            &[("muc#roomconfig_maxusers", "0")],
            &[("muc#roomconfig_maxusers", "many")],
            &[("muc#maxhistoryfetch", "-1")],
            &[("muc#roomconfig_allowpm", "friends")],
        ] {
            assert_eq!(changed(fields), Err(NotAcceptable), "{fields:?}");
        }
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        let fields = [("muc#roomconfig_roomname", long.as_str())];
        assert_eq!(changed(&fields), Err(NotAcceptable));
    }

    #[test]
    fn bounds() {
        for (fields, wanted) in [
            (&[("muc#roomconfig_maxusers", "none")][..], (5000, 20)),
            (&[("muc#roomconfig_maxusers", "9999")], (5000, 20)),
            (&[("muc#roomconfig_maxusers", "30")], (30, 20)),
            (&[("muc#maxhistoryfetch", "4000")], (500, 100)),
            (&[("muc#roomconfig_historylength", "0")], (500, 0)),
            (&[("muc#roomconfig_membersonly", "")], (500, 20)),
        ] {
            let config = changed(fields).unwrap();
            assert_eq!((config.occupants_max, config.history), wanted, "{fields:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_kept_is_read_again(
            name in ".{0,40}",
            password in "[a-z]{1,20}",
            flags in any::<u16>(),
            history in 0..=HISTORY_MAX,
            occupants_max in 1..=OCCUPANTS_MAX,
            allowpm in 0..4_usize,
            slow_seconds in 0..=SLOW_SECONDS_MAX,
        ) {
            let on = |bit: u16| flags & (1 << bit) != 0;
            // What XML cannot carry is replaced when it is written.
            let name: String = name.chars().filter(|c| !c.is_control()).collect();
            prop_assume!(!name.contains(['\u{fffe}', '\u{ffff}']));
            let config = RoomConfig {
                description: name.clone(),
                name,
                lang: "en".to_owned(),
                persistent: on(0),
                public: on(1),
                members_only: on(2),
                moderated: on(3),
                protected: on(4),
                password,
                semi_anonymous: on(5),
                changesubject: on(6),
                allowinvites: on(7),
                allowpm: [
                    Whisper::Anyone,
                    Whisper::Participants,
                    Whisper::Moderators,
                    Whisper::Nobody,
                ][allowpm],
                occupants_max,
                history,
                archived: on(8),
                registration: on(9),
                slow_seconds,
            };
            prop_assert_eq!(RoomConfig::decode(&config.encode()), Some(config));
        }
    }
}
