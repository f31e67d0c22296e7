//! One line of the journal.

use std::fmt;

/// One client of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DeviceId {
    pub(crate) account: u32,
    pub(crate) index: u32,
}

impl DeviceId {
    /// Resource of its sessions.
    pub(crate) fn resource(self) -> String {
        format!("d{}", self.index)
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a{}.d{}", self.account, self.index)
    }
}

/// The localpart of an account.
pub(crate) fn account_name(account: u32) -> String {
    format!("a{account}")
}

/// Who messages are for, and who has an archive of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Party {
    Account(u32),
    Room(u32),
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(number) => write!(f, "a{number}"),
            Self::Room(number) => write!(f, "r{number}"),
        }
    }
}

/// One message, wherever it turns up: also its `id` and origin-id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) sender: DeviceId,
    /// Counts the sender's streams; a resumed one is the same.
    pub(crate) stream: u32,
    pub(crate) seq: u32,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.sender, self.stream, self.seq)
    }
}

/// What a message says, in short: equal if the content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest(pub(crate) u64);

/// How a message reached a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Channel {
    /// As a message to it.
    Live,
    /// As one that has waited (XEP-0203).
    Late,
    /// As a carbon of one received by another device.
    CarbonReceived,
    /// As a carbon of one sent by another device.
    CarbonSent,
    /// Asked for, from the archive.
    Archive,
}

/// How a connection began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// With binding.
    Bound,
    /// With binding, after the server refused to resume.
    Refused,
    /// By resuming the session of the one before.
    Resumed,
}

/// What can stand between two spaces of a line.
pub(crate) trait Word: Sized {
    /// As it is written.
    fn word(&self) -> String;
    /// What [`Word::word`] has written.
    fn read(word: &str) -> Option<Self>;
}

macro_rules! plain_words {
    ($($type:ty),*) => { $(
        impl Word for $type {
            fn word(&self) -> String {
                self.to_string()
            }
            fn read(word: &str) -> Option<Self> {
                word.parse().ok()
            }
        }
    )* };
}
plain_words!(u32, u64, bool);

macro_rules! named_words {
    ($type:ident: $($variant:ident $name:literal),*) => {
        impl Word for $type {
            fn word(&self) -> String {
                match self { $( Self::$variant => $name, )* }.into()
            }
            fn read(word: &str) -> Option<Self> {
                match word { $( $name => Some(Self::$variant), )* _ => None }
            }
        }
    };
}
named_words!(Channel: Live "live", Late "late", CarbonReceived "carbon-received",
    CarbonSent "carbon-sent", Archive "archive");
named_words!(Beginning: Bound "bound", Refused "refused", Resumed "resumed");

/// Blanks become `_`, for good.
impl Word for String {
    fn word(&self) -> String {
        if self.is_empty() {
            return "-".into();
        }
        self.replace(char::is_whitespace, "_")
    }
    fn read(word: &str) -> Option<Self> {
        Some(word.into())
    }
}

impl Word for Digest {
    fn word(&self) -> String {
        format!("{:016x}", self.0)
    }
    fn read(word: &str) -> Option<Self> {
        u64::from_str_radix(word, 16).ok().map(Self)
    }
}

impl Word for DeviceId {
    fn word(&self) -> String {
        self.to_string()
    }
    fn read(word: &str) -> Option<Self> {
        let (account, index) = word.strip_prefix('a')?.split_once(".d")?;
        Some(Self {
            account: account.parse().ok()?,
            index: index.parse().ok()?,
        })
    }
}

impl Word for Party {
    fn word(&self) -> String {
        self.to_string()
    }
    fn read(word: &str) -> Option<Self> {
        let number = |text: &str| text.parse().ok();
        match word.split_at_checked(1)? {
            ("a", rest) => number(rest).map(Self::Account),
            ("r", rest) => number(rest).map(Self::Room),
            _ => None,
        }
    }
}

impl Word for Key {
    fn word(&self) -> String {
        self.to_string()
    }
    fn read(word: &str) -> Option<Self> {
        let mut parts = word.split('/');
        let key = Self {
            sender: Word::read(parts.next()?)?,
            stream: parts.next()?.parse().ok()?,
            seq: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(key)
    }
}

/// The enum, its lines and their reading, from one list.
macro_rules! entries {
    ($( $(#[$doc:meta])* $name:ident $word:literal { $($field:ident: $type:ty),* } )*) => {
        /// What a client, or whoever kills the server, did or saw.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(crate) enum Entry {
            $( $(#[$doc])* $name { $($field: $type),* }, )*
        }

        impl fmt::Display for Entry {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $( Self::$name { $($field),* } => {
                        f.write_str($word)?;
                        $( write!(f, " {}", $field.word())?; )*
                        Ok(())
                    } )*
                }
            }
        }

        impl Entry {
            /// Reads a line.
            pub(crate) fn parse(line: &str) -> Option<Self> {
                let mut words = line.split(' ');
                let entry = match words.next()? {
                    $( $word => Self::$name { $( $field: Word::read(words.next()?)? ),* }, )*
                    _ => return None,
                };
                words.next().is_none().then_some(entry)
            }
        }
    };
}

entries! {
    /// A message is about to be sent; `again` if it was before.
    Sent "sent" { key: Key, to: Party, digest: Digest, again: bool }
    /// The server has taken responsibility for it (XEP-0198).
    Acked "acked" { key: Key }
    /// The server has answered it with an error.
    Refused "error" { key: Key, condition: String }
    /// A device got it. `connection` counts the connections of that device. `id` is the archive id
    /// that the copy bears, `-` if none.
    Received "recv" {
        device: DeviceId, connection: u32, channel: Channel, id: String, key: Key, digest: Digest
    }
    /// The session of a device stands.
    Connected "connected" {
        device: DeviceId, connection: u32, beginning: Beginning, after_crash: bool
    }
    /// The connection of a device has ended.
    Cut "cut" { device: DeviceId }
    /// The archive does not know an id that it gave out.
    Vanished "vanished" { device: DeviceId, id: String }
    /// A device is in a room now.
    Entered "entered" { device: DeviceId, room: u32 }
    /// A device that has resumed its session asked a room whether it is there (XEP-0410).
    Asked "asked" { device: DeviceId, room: u32, there: bool }
    /// A room has told a device that it is no longer there.
    Removed "removed" { device: DeviceId, room: u32 }
    /// A value is about to be written.
    Write "write" { account: u32, what: String, value: String }
    /// The write before was answered with a result, or, if not `done`, with an error.
    Written "written" { account: u32, what: String, done: bool }
    /// A value was read.
    Read "read" { account: u32, what: String, value: String }
    /// The server takes connections, so many milliseconds after it was started.
    Open "open" { millis: u64 }
    /// Somebody has logged in, so many milliseconds after it was started.
    FirstLogin "first-login" { millis: u64 }
    /// The server died in this way.
    Killed "killed" { how: String }
    /// Something did not happen in time, or something happened that must not.
    Trouble "trouble" { device: DeviceId, text: String }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_were_written() {
        for line in [
            "sent a0.d1/3/17 a2 00000000000000ff false",
            "sent a0.d1/3/18 r0 00000000000000ff true",
            "entered a2.d0 1",
            "asked a2.d0 1 true",
            "removed a2.d0 1",
            "acked a0.d1/3/17",
            "error a0.d1/3/17 service-unavailable",
            "recv a2.d0 4 carbon-received id-7 a0.d1/3/17 00000000000000ff",
            "connected a2.d0 4 resumed true",
            "cut a2.d0",
            "vanished a2.d0 id-7",
            "write 2 roster v7",
            "written 2 roster true",
            "read 2 roster v7",
            "open 12",
            "first-login 40",
            "killed after-commit:3",
            "trouble a2.d0 no_answer",
        ] {
            let entry = Entry::parse(line);
            assert_eq!(entry.map(|entry| entry.to_string()).as_deref(), Some(line));
        }
        for wrong in [
            "",
            "sent",
            "acked a0",
            "sent a0.d1/3/17 d2 00000000000000ff false",
            "acked a0.d1/3/17/5",
            "cut a2.d0 more",
            "recv a2.d0 4 pigeon - a0.d1/3/17 00",
        ] {
            assert_eq!(Entry::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn text_is_one_word() {
        let device = DeviceId {
            account: 1,
            index: 0,
        };
        let text = "no answer\nin time".to_owned();
        let line = Entry::Trouble { device, text }.to_string();
        assert_eq!(line, "trouble a1.d0 no_answer_in_time");
    }
}
