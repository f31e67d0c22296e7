//! Names in a room (XEP-0045 § 17.1.1): prepared like resources (RFC 7622), without spaces at the
//! ends or in rows (RFC 8266 § 2.1), and not to be mistaken for somebody else's.

use waxwing_proto::jid::skeleton;

/// Bytes of a nick.
const NICK_BYTES_MAX: usize = 256;

/// A name that can be had.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Nick(Box<str>);

impl Nick {
    /// The nick that a resource, which is prepared already, becomes; `None` if nothing is left of
    /// it or it is too long. Where it is not what was given, its owner has to be told (§ 7.2.3, 210).
    pub(super) fn new(resource: &str) -> Option<Self> {
        let mut nick = String::with_capacity(resource.len());
        for word in resource.split(' ').filter(|word| !word.is_empty()) {
            if !nick.is_empty() {
                nick.push(' ');
            }
            nick.push_str(word);
        }
        let seen = nick.chars().any(is_seen);
        (seen && nick.len() <= NICK_BYTES_MAX).then(|| Self(nick.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// What it has in common with all nicks that look like it, whatever their case.
    pub(super) fn look(&self) -> Look {
        let lower = self.0.to_lowercase();
        let look = skeleton(&lower).to_lowercase();
        Look(look.chars().filter(|c| is_seen(*c)).collect())
    }
}

/// What nicks that look alike have in common; for comparison alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Look(Box<str>);

/// Whether a character leaves something to be seen. PRECIS has refused most of the others; those
/// that join letters are left, and characters that are drawn as nothing.
fn is_seen(c: char) -> bool {
    !c.is_whitespace()
        && !matches!(
            c,
            '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{2800}' | '\u{3164}'
                | '\u{feff}' | '\u{fe00}'..='\u{fe0f}' | '\u{115f}' | '\u{1160}' | '\u{ffa0}'
        )
}

#[cfg(test)]
mod tests {
    use super::Nick;

    fn nick(text: &str) -> Option<String> {
        Nick::new(text).map(|nick| nick.as_str().to_owned())
    }

    #[test]
    fn spaces() {
        for (given, wanted) in [
            ("vic", Some("vic")),
            (" vic ", Some("vic")),
            ("vic  the   third", Some("vic the third")),
            (" ", None),
            ("", None),
            ("\u{200d}", None),
            ("\u{2800}", None),
            ("\u{1f600}", Some("\u{1f600}")),
        ] {
            assert_eq!(nick(given).as_deref(), wanted, "{given:?}");
        }
        assert!(nick(&"x".repeat(256)).is_some());
        assert!(nick(&"x".repeat(257)).is_none());
    }

    #[test]
    fn lookalikes() {
        let look = |text: &str| Nick::new(text).unwrap().look();
        for (one, other, same) in [
            ("vic", "Vic", true),
            ("vic", "v\u{456}c", true),
            ("vic", "vic\u{200d}", true),
            ("paypal", "paypa1", true),
            ("vic", "vick", false),
            ("anna", "hanna", false),
            ("\u{1f600}", "\u{1f601}", false),
        ] {
            assert_eq!(look(one) == look(other), same, "{one} {other}");
        }
    }
}
