//! PRECIS (RFC 8264, RFC 8265): which strings may be localparts, resourceparts and passwords, and
//! what they are compared as.
//!
//! The rules are evaluated on current Unicode data, as RFC 8264 § 11 intends, and in time linear
//! in the input. (The `precis-profiles` crate is frozen at Unicode 6.3, so it refuses an emoji
//! nickname from 2015; it serves as the oracle of the tests below for characters that old.)
//! ASCII takes a path without any table.

use icu_properties::props::{
    BidiClass, CanonicalCombiningClass, DefaultIgnorableCodePoint, EastAsianWidth, GeneralCategory,
    HangulSyllableType, JoiningType, NoncharacterCodePoint, Script,
};
use icu_properties::{CodePointMapData, CodePointSetData};
use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization;

/// RFC 8264 § 7: the rules are applied until the result is stable, at most this often.
const ROUNDS_MAX: usize = 4;

/// The string breaks its profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Disallowed;

/// Enforces `UsernameCaseMapped` (RFC 8265 § 3.3).
pub(crate) fn username(text: &str) -> Result<Cow<'_, str>, Disallowed> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.is_empty() {
        return Ok(if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(text.to_ascii_lowercase())
        } else {
            Cow::Borrowed(text)
        });
    }
    until_stable(text, |text| {
        let wide = map_width(text);
        identifier_class(&wide)?;
        let prepared: String = map_case(&wide).nfc().collect();
        bidi_rule(&prepared).then_some(prepared).ok_or(Disallowed)
    })
}

/// Enforces `OpaqueString` (RFC 8265 § 4.2): resourceparts and passwords.
pub(crate) fn opaque(text: &str) -> Result<Cow<'_, str>, Disallowed> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && !text.is_empty() {
        return Ok(Cow::Borrowed(text));
    }
    until_stable(text, |text| {
        allowed(text, true)?;
        let spaces = |c| {
            if category(c) == GeneralCategory::SpaceSeparator {
                ' '
            } else {
                c
            }
        };
        Ok(text.chars().map(spaces).nfc().collect())
    })
}

/// Whether all characters may stand in an identifier (RFC 8264 § 4.2), which is also what RFC
/// 5892 demands of a U-label but for a few characters that IDNA maps away.
pub(crate) fn identifier_class(text: &str) -> Result<(), Disallowed> {
    allowed(text, false)
}

fn until_stable(
    text: &str,
    enforce: impl Fn(&str) -> Result<String, Disallowed>,
) -> Result<Cow<'_, str>, Disallowed> {
    let mut now = Cow::Borrowed(text);
    for _ in 0..ROUNDS_MAX {
        let next = enforce(&now)?;
        if next == *now {
            return Ok(now);
        }
        now = Cow::Owned(next);
    }
    Err(Disallowed)
}

/// Fullwidth and halfwidth characters become what they are a width variant of. (Their complete
/// decomposition is used; where it differs from the single step, both are disallowed anyway.)
fn map_width(text: &str) -> Cow<'_, str> {
    let width = CodePointMapData::<EastAsianWidth>::new();
    let variant = |c| {
        matches!(
            width.get(c),
            EastAsianWidth::Fullwidth | EastAsianWidth::Halfwidth
        )
    };
    if !text.chars().any(variant) {
        return Cow::Borrowed(text);
    }
    let mut mapped = String::with_capacity(text.len());
    for c in text.chars() {
        if variant(c) {
            mapped.extend(std::iter::once(c).nfkd());
        } else {
            mapped.push(c);
        }
    }
    Cow::Owned(mapped)
}

/// Lower case, each character on its own: a final sigma stays what was typed, as in RFC 7622
/// § 3.5, example 12.
fn map_case(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}

fn script(c: char) -> Script {
    CodePointMapData::<Script>::new().get(c)
}

/// RFC 8264 § 8 for each character; `freeform` chooses the class.
fn allowed(text: &str, freeform: bool) -> Result<(), Disallowed> {
    if text.is_empty() {
        return Err(Disallowed);
    }
    let mut digits = ArabicDigits::default();
    let mut before = None;
    let mut cjk = None;
    for (at, c) in text.char_indices() {
        let fine = match derived(c) {
            Derived::Valid => true,
            Derived::FreeformOnly => freeform,
            Derived::Disallowed => false,
            Derived::Context => match c {
                '\u{30fb}' => *cjk.get_or_insert_with(|| text.chars().any(is_cjk)),
                '\u{660}'..='\u{669}' | '\u{6f0}'..='\u{6f9}' => digits.accept(c),
                _ => context_allows(text, at, before, c),
            },
        };
        if !fine {
            return Err(Disallowed);
        }
        before = Some(c);
    }
    Ok(())
}

enum Derived {
    Valid,
    FreeformOnly,
    Context,
    Disallowed,
}

/// The derived property of one character; the order is that of RFC 8264 § 8.
fn derived(c: char) -> Derived {
    use GeneralCategory as Gc;
    match c {
        // Exceptions (RFC 8264 § 9.6); ASCII7 (§ 9.11) does not overlap them.
        '\u{df}' | '\u{3c2}' | '\u{6fd}' | '\u{6fe}' | '\u{f0b}' | '\u{3007}' | '!'..='~' => {
            return Derived::Valid;
        }
        // ... of which these have a contextual rule, as does JoinControl (§ 9.8).
        '\u{b7}'
        | '\u{375}'
        | '\u{5f3}'
        | '\u{5f4}'
        | '\u{30fb}'
        | '\u{660}'..='\u{669}'
        | '\u{6f0}'..='\u{6f9}'
        | '\u{200c}'
        | '\u{200d}' => return Derived::Context,
        '\u{640}' | '\u{7fa}' | '\u{302e}' | '\u{302f}' | '\u{3031}'..='\u{3035}' | '\u{303b}' => {
            return Derived::Disallowed;
        }
        _ => {}
    }
    let category = category(c);
    let jamo = CodePointMapData::<HangulSyllableType>::new().get(c);
    if matches!(category, Gc::Unassigned | Gc::Control)
        || matches!(
            jamo,
            HangulSyllableType::LeadingJamo
                | HangulSyllableType::VowelJamo
                | HangulSyllableType::TrailingJamo
        )
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        || CodePointSetData::new::<NoncharacterCodePoint>().contains(c)
    {
        return Derived::Disallowed;
    }
    if has_compat(c) {
        return Derived::FreeformOnly;
    }
    match category {
        Gc::LowercaseLetter
        | Gc::UppercaseLetter
        | Gc::OtherLetter
        | Gc::DecimalNumber
        | Gc::ModifierLetter
        | Gc::NonspacingMark
        | Gc::SpacingMark => Derived::Valid,
        // Controls are gone; left are format, private use and surrogates, and the separators of
        // lines and paragraphs.
        Gc::Format
        | Gc::PrivateUse
        | Gc::Surrogate
        | Gc::LineSeparator
        | Gc::ParagraphSeparator => Derived::Disallowed,
        _ => Derived::FreeformOnly,
    }
}

/// Whether NFKC makes something else of it (RFC 8264 § 9.17).
fn has_compat(c: char) -> bool {
    let mut normal = std::iter::once(c).nfkc();
    normal.next() != Some(c) || normal.next().is_some()
}

fn is_cjk(c: char) -> bool {
    matches!(script(c), Script::Hiragana | Script::Katakana | Script::Han)
}

/// Arabic-Indic digits and extended ones do not mix (RFC 5892 appendices A.8 and A.9).
#[derive(Default)]
struct ArabicDigits {
    plain: bool,
    extended: bool,
}

impl ArabicDigits {
    fn accept(&mut self, digit: char) -> bool {
        if digit < '\u{6f0}' {
            self.plain = true;
        } else {
            self.extended = true;
        }
        !(self.plain && self.extended)
    }
}

/// The rules of RFC 5892 appendix A that look at a character's neighbours.
fn context_allows(text: &str, at: usize, before: Option<char>, c: char) -> bool {
    let (head, tail) = text.split_at(at);
    let after = tail.get(c.len_utf8()..).unwrap_or_default();
    let combining = CodePointMapData::<CanonicalCombiningClass>::new();
    let virama = || before.is_some_and(|b| combining.get(b) == CanonicalCombiningClass::Virama);
    match c {
        '\u{200c}' => virama() || joins(head, after),
        '\u{200d}' => virama(),
        '\u{b7}' => before == Some('l') && after.starts_with('l'),
        '\u{375}' => after
            .chars()
            .next()
            .is_some_and(|c| script(c) == Script::Greek),
        '\u{5f3}' | '\u{5f4}' => before.is_some_and(|b| script(b) == Script::Hebrew),
        _ => false,
    }
}

/// RFC 5892 appendix A.1: a cursive connection that a zero-width non-joiner breaks. A scan stops
/// at the next non-joiner, so that all scans together are linear.
fn joins(head: &str, after: &str) -> bool {
    let joining = CodePointMapData::<JoiningType>::new();
    let first = |mut side: Box<dyn Iterator<Item = char> + '_>| {
        side.find_map(|c| Some(joining.get(c)).filter(|kind| *kind != JoiningType::Transparent))
    };
    matches!(
        first(Box::new(head.chars().rev())),
        Some(JoiningType::LeftJoining | JoiningType::DualJoining)
    ) && matches!(
        first(Box::new(after.chars())),
        Some(JoiningType::RightJoining | JoiningType::DualJoining)
    )
}

/// RFC 5893 § 2, for text with right-to-left characters.
fn bidi_rule(text: &str) -> bool {
    use BidiClass as B;
    let classes = CodePointMapData::<BidiClass>::new();
    let class = |c| classes.get(c);
    let has = |wanted: BidiClass| text.chars().any(|c| class(c) == wanted);
    if !(has(B::RightToLeft) || has(B::ArabicLetter) || has(B::ArabicNumber)) {
        return true;
    }
    let last = text
        .chars()
        .rev()
        .map(class)
        .find(|class| *class != B::NonspacingMark);
    let neutral = |class| {
        matches!(
            class,
            B::EuropeanNumber
                | B::EuropeanSeparator
                | B::CommonSeparator
                | B::EuropeanTerminator
                | B::OtherNeutral
                | B::BoundaryNeutral
                | B::NonspacingMark
        )
    };
    // A left-to-right first character fails: condition 5 leaves no room for the
    // right-to-left character that brought us here.
    matches!(
        text.chars().next().map(class),
        Some(B::RightToLeft | B::ArabicLetter)
    ) && text.chars().map(class).all(|class| {
        neutral(class) || matches!(class, B::RightToLeft | B::ArabicLetter | B::ArabicNumber)
    }) && matches!(
        last,
        Some(B::RightToLeft | B::ArabicLetter | B::EuropeanNumber | B::ArabicNumber)
    ) && !(has(B::EuropeanNumber) && has(B::ArabicNumber))
}

#[cfg(test)]
mod tests {
    use super::*;
    use precis_core::profile::PrecisFastInvocation;
    use precis_profiles::{OpaqueString, UsernameCaseMapped};
    use proptest::prelude::*;

    #[test]
    fn usernames() {
        for (given, expected) in [
            ("Fußball", Some("fußball")),
            ("Σ", Some("σ")),
            ("σας", Some("σας")),
            ("ＡＬＩＣＥ", Some("alice")),
            ("ｶﾞ", Some("ガ")),
            ("İx", Some("i\u{307}x")),
            ("A\u{30a}", Some("å")),
            ("𞤀𞤣", Some("𞤢𞤣")), // Adlam, Unicode 9
            ("l·l", Some("l·l")),
            ("a·l", None),
            ("ア・イ", Some("ア・イ")),
            ("a・b", None),
            ("क्‍ष", Some("क्‍ष")),
            ("a\u{200d}b", None),
            ("١٢", None), // an Arabic number cannot stand first
            ("ا١٢", Some("ا١٢")),
            ("ا١۲", None),
            ("אa", None),
            ("aא", None),
            ("א1", Some("א1")),
            ("henryⅣ", None),
            ("♚", None),
            ("a b", None),
            ("a\u{ad}b", None),
            ("\u{1112}\u{1161}", None),
            ("😀", None),
            ("", None),
        ] {
            assert_eq!(username(given).ok().as_deref(), expected, "{given}");
        }
    }

    #[test]
    fn opaque_strings() {
        for (given, expected) in [
            (" a b ", Some(" a b ")),
            ("Correct\u{a0}Horse", Some("Correct Horse")),
            ("A\u{30a}", Some("Å")),
            ("♚Ⅳ", Some("♚Ⅳ")),
            ("😀🤔🫠", Some("😀🤔🫠")),
            ("my cat is a \u{9}by", None),
            ("\u{feff}", None),
            ("\u{e000}", None),
            ("\u{378}", None),
            ("", None),
        ] {
            assert_eq!(opaque(given).ok().as_deref(), expected, "{given}");
        }
    }

    /// Characters that were assigned in Unicode 6.3 mean the same to both implementations.
    #[test]
    fn agrees_with_precis_profiles_on_each_old_character() {
        use precis_core::{DerivedPropertyValue as Value, FreeformClass, StringClass};
        let mut differ = Vec::new();
        for c in '\0'..=char::MAX {
            let theirs = match FreeformClass::default().get_value_from_char(c) {
                Value::Unassigned => continue,
                Value::PValid => "valid",
                Value::SpecClassPval | Value::SpecClassDis => "freeform",
                Value::ContextJ | Value::ContextO => "context",
                Value::Disallowed => "disallowed",
            };
            let ours = match derived(c) {
                Derived::Valid => "valid",
                Derived::FreeformOnly => "freeform",
                Derived::Context => "context",
                Derived::Disallowed => "disallowed",
            };
            if ours != theirs {
                differ.push((c, ours, theirs));
            }
        }
        assert_eq!(differ, []);
    }

    proptest! {
        #[test]
        fn stable(text in "\\PC{0,12}") {
            if let Ok(once) = username(&text) {
                prop_assert_eq!(username(&once), Ok(once.clone()));
            }
            if let Ok(once) = opaque(&text) {
                prop_assert_eq!(opaque(&once), Ok(once.clone()));
            }
        }

        #[test]
        fn agrees_with_precis_profiles_on_old_scripts(
            text in "[a-zA-ZÀ-ſΑ-ώא-ת٠-٩ァ-ヶ・·一-十]{1,8}"
        ) {
            let theirs = UsernameCaseMapped::enforce(text.as_str()).ok();
            prop_assert_eq!(username(&text).ok(), theirs);
            let theirs = OpaqueString::enforce(text.as_str()).ok();
            prop_assert_eq!(opaque(&text).ok(), theirs);
        }
    }
}
