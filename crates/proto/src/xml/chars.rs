//! Which characters XML 1.0 (fifth edition) allows where.

/// Byte stops a scan of character data: markup, a reference, a possible `]]>`, a control
/// character, or the first byte of a possible U+FFFE or U+FFFF.
const TEXT_STOP: u8 = 1;
/// As [`TEXT_STOP`], for attribute values; quotes of both kinds stop.
const VALUE_STOP: u8 = 2;
/// As [`TEXT_STOP`], for CDATA sections, where `<` and `&` mean nothing.
const CDATA_STOP: u8 = 4;
/// ASCII letter or `_` (XML Namespaces § 3: `:` is never part of an `NCName`).
const NAME_START: u8 = 8;
/// ASCII character of an `NCName`.
const NAME: u8 = 16;
/// White space (XML 1.0 § 2.3).
const SPACE: u8 = 32;

const CLASSES: [u8; 256] = classes();

#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "evaluated at compile time; the counter ends at 255"
)]
const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        let control = byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r');
        let mut class = 0;
        if control || byte == 0xEF {
            class |= TEXT_STOP | VALUE_STOP | CDATA_STOP;
        }
        if matches!(byte, b'<' | b'&') {
            class |= TEXT_STOP | VALUE_STOP;
        }
        if byte == b'>' {
            class |= TEXT_STOP | CDATA_STOP;
        }
        if matches!(byte, b'\'' | b'"') {
            class |= VALUE_STOP;
        }
        if byte.is_ascii_alphabetic() || byte == b'_' {
            class |= NAME_START | NAME;
        }
        if byte.is_ascii_digit() || matches!(byte, b'-' | b'.') {
            class |= NAME;
        }
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            class |= SPACE;
        }
        table[at] = class;
        at += 1;
    }
    table
}

#[expect(
    clippy::indexing_slicing,
    reason = "a table of 256 entries indexed by a byte"
)]
fn has(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

/// Bytes of plain character data at the start of `bytes`.
pub(super) fn text_run(bytes: &[u8]) -> usize {
    run(bytes, TEXT_STOP)
}

/// Bytes of plain attribute value at the start of `bytes`.
pub(super) fn value_run(bytes: &[u8]) -> usize {
    run(bytes, VALUE_STOP)
}

/// Bytes of plain CDATA at the start of `bytes`.
pub(super) fn cdata_run(bytes: &[u8]) -> usize {
    run(bytes, CDATA_STOP)
}

/// Bytes of white space at the start of `bytes`.
pub(super) fn space_run(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .position(|&byte| !has(byte, SPACE))
        .unwrap_or(bytes.len())
}

/// Bytes of ASCII name characters at the start of `bytes`.
pub(super) fn name_run(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .position(|&byte| !has(byte, NAME))
        .unwrap_or(bytes.len())
}

fn run(bytes: &[u8], stop: u8) -> usize {
    bytes
        .iter()
        .position(|&byte| has(byte, stop))
        .unwrap_or(bytes.len())
}

pub(super) fn is_space(byte: u8) -> bool {
    has(byte, SPACE)
}

/// Whether an ASCII byte may stand in an `NCName`, at its start or further on.
pub(super) fn is_ascii_name(byte: u8, first: bool) -> bool {
    has(byte, if first { NAME_START } else { NAME })
}

/// `Char` (XML 1.0 § 2.2).
pub(super) fn is_char(c: char) -> bool {
    !matches!(c, '\0'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}')
}

/// `NameStartChar` without `:` (XML 1.0 § 2.3, XML Namespaces § 3).
pub(super) fn is_name_start(c: char) -> bool {
    matches!(c,
        'A'..='Z' | '_' | 'a'..='z'
        | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}'
        | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}'
        | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}'
        | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}' | '\u{10000}'..='\u{EFFFF}')
}

/// `NameChar` without `:`.
pub(super) fn is_name(c: char) -> bool {
    is_name_start(c)
        || matches!(c,
            '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

/// The character that starts at `at`, if all its bytes are there. `bytes` is UTF-8 there.
pub(super) fn char_at(bytes: &[u8], at: usize) -> Option<char> {
    let length = match bytes.get(at)? {
        0..0x80 => 1,
        0x80..0xE0 => 2,
        0xE0..0xF0 => 3,
        0xF0.. => 4,
    };
    let text = std::str::from_utf8(bytes.get(at..at + length)?).ok()?;
    text.chars().next()
}
