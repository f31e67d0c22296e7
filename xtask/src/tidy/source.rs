//! A Rust file taken apart just far enough for the rules: code, comments, and which lines are
//! tests. A full parser would say more and cost every newcomer a minute of building it.

use std::ops::Range;

/// One Rust file.
pub(super) struct Source {
    /// Path from the top folder, with `/`.
    pub(super) path: String,
    /// The file as it is.
    pub(super) text: String,
    /// The file with comments and literals blanked; the same length, the same lines.
    pub(super) code: String,
    /// The file with everything but comments blanked.
    pub(super) comments: String,
    /// Byte ranges under `#[cfg(test)]`; the whole file if it is a test file.
    test_ranges: Vec<Range<usize>>,
}

/// A function: its name, where it starts, and how many lines it has.
pub(super) struct Function {
    pub(super) name: String,
    pub(super) at: usize,
    pub(super) lines: usize,
}

impl Source {
    pub(super) fn new(path: String, text: String) -> Self {
        let (code, comments) = split(&text);
        // The store's contract is tests that each back end calls.
        let is_test_file = ["/tests/", "/tests.rs", "/contract"]
            .iter()
            .any(|part| path.contains(part));
        let test_ranges = if is_test_file {
            std::iter::once(0..text.len()).collect()
        } else {
            test_ranges(&code)
        };
        Self {
            path,
            text,
            code,
            comments,
            test_ranges,
        }
    }

    /// Whether the byte is part of a test.
    pub(super) fn is_test(&self, at: usize) -> bool {
        self.test_ranges.iter().any(|range| range.contains(&at))
    }

    /// The number of the line the byte is on, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        newlines(&self.text, 0..at) + 1
    }

    /// Lines that are no tests.
    pub(super) fn lines_without_tests(&self) -> usize {
        let mut at = 0;
        let mut count = 0;
        for line in self.text.split_inclusive('\n') {
            if !self.is_test(at) {
                count += 1;
            }
            at += line.len();
        }
        count
    }

    /// All functions with a body.
    pub(super) fn functions(&self) -> Vec<Function> {
        let starts = words(&self.code, "fn");
        starts.filter_map(|at| self.function(at)).collect()
    }

    fn function(&self, at: usize) -> Option<Function> {
        let rest = self.code.get(at + 2..)?.trim_start();
        let name: String = rest.chars().take_while(|c| is_word(*c)).collect();
        if name.is_empty() {
            return None; // a function type
        }
        let body = block_after(&self.code, at)?;
        Some(Function {
            name,
            at,
            lines: newlines(&self.code, at..body.end) + 1,
        })
    }

    /// The modules that this file declares in files of their own: name, and the path attribute if
    /// there is one.
    pub(super) fn modules(&self) -> Vec<(String, Option<String>)> {
        let mut found = Vec::new();
        for at in words(&self.code, "mod") {
            let rest = self.code.get(at + 3..).unwrap_or_default().trim_start();
            let name: String = rest.chars().take_while(|c| is_word(*c)).collect();
            let after = rest.get(name.len()..).unwrap_or_default().trim_start();
            if name.is_empty() || !after.starts_with(';') {
                continue;
            }
            let before = self.code.get(..at).unwrap_or_default();
            let item = before.rfind([';', '}']).map_or(0, |end| end + 1);
            let head = self.text.get(item..at).unwrap_or_default();
            let path = head
                .split_once("#[path = \"")
                .and_then(|(_, path)| path.split_once('"').map(|(path, _)| path.to_owned()));
            found.push((name, path));
        }
        found
    }
}

/// Where `word` stands as a whole word.
pub(super) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |at| {
            let before = code.get(..*at).and_then(|text| text.chars().next_back());
            let after = code
                .get(at + word.len()..)
                .and_then(|text| text.chars().next());
            !before.is_some_and(is_word) && !after.is_some_and(is_word)
        })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn newlines(text: &str, range: Range<usize>) -> usize {
    let slice = text.get(range).unwrap_or_default();
    slice.bytes().filter(|byte| *byte == b'\n').count()
}

/// The next `{ … }` at or after `from`, unless a `;` outside brackets ends the item before it.
fn block_after(code: &str, from: usize) -> Option<Range<usize>> {
    let mut brackets = 0_usize;
    let mut braces = 0_usize;
    let mut start = None;
    for (offset, byte) in code.as_bytes().get(from..)?.iter().enumerate() {
        match byte {
            b'(' | b'[' if start.is_none() => brackets += 1,
            b')' | b']' if start.is_none() => brackets = brackets.saturating_sub(1),
            b';' if start.is_none() && brackets == 0 => return None,
            b'{' => {
                start.get_or_insert(from + offset);
                braces += 1;
            }
            b'}' => {
                braces = braces.saturating_sub(1);
                if braces == 0 {
                    return Some(start?..from + offset + 1);
                }
            }
            _ => {}
        }
    }
    None
}

fn test_ranges(code: &str) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (at, attribute) in code.match_indices("#[cfg(test)]") {
        let after = at + attribute.len();
        let end = block_after(code, after).map_or_else(
            || {
                code.get(after..)
                    .and_then(|rest| rest.find(';'))
                    .map(|end| after + end + 1)
            },
            |block| Some(block.end),
        );
        ranges.push(at..end.unwrap_or(code.len()));
    }
    ranges
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

/// The text as code alone and as comments alone, everything else blanked.
fn split(text: &str) -> (String, String) {
    let mut code = Vec::with_capacity(text.len());
    let mut comments = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    let mut in_word = false;
    while let Some(first) = rest.first().copied() {
        let (kind, length) = piece(rest, in_word);
        let (taken, left) = rest.split_at(length.clamp(1, rest.len()));
        in_word = kind == Kind::Code && is_word(char::from(first));
        for byte in taken.iter().copied() {
            let blank = if byte == b'\n' { b'\n' } else { b' ' };
            code.push(if kind == Kind::Code { byte } else { blank });
            comments.push(if kind == Kind::Comment { byte } else { blank });
        }
        rest = left;
    }
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (text(code), text(comments))
}

/// What the bytes begin with, and how long it is.
fn piece(rest: &[u8], in_word: bool) -> (Kind, usize) {
    match rest {
        [b'/', b'/', ..] => (Kind::Comment, until(rest, |byte| byte == b'\n')),
        [b'/', b'*', ..] => (Kind::Comment, block_comment(rest)),
        [b'"', ..] => (Kind::Literal, quoted(rest, 0)),
        [b'b' | b'c', b'"', ..] if !in_word => (Kind::Literal, quoted(rest, 1)),
        [b'r', b'"' | b'#', ..] if !in_word => raw(rest, 1),
        [b'b' | b'c', b'r', b'"' | b'#', ..] if !in_word => raw(rest, 2),
        [b'\'', ..] => character(rest),
        _ => (Kind::Code, 1),
    }
}

fn until(rest: &[u8], stop: impl Fn(u8) -> bool) -> usize {
    let end = rest.iter().position(|byte| stop(*byte));
    end.unwrap_or(rest.len())
}

fn block_comment(rest: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        match rest.get(at..) {
            Some([b'/', b'*', ..]) => {
                depth += 1;
                at += 2;
            }
            Some([b'*', b'/', ..]) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            Some([_, ..]) => at += 1,
            _ => return rest.len(),
        }
    }
}

/// The length of a quoted literal whose opening quote stands at `open`.
fn quoted(rest: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    loop {
        match rest.get(at) {
            Some(b'\\') => at += 2,
            Some(b'"') => return at + 1,
            Some(_) => at += 1,
            None => return rest.len(),
        }
    }
}

/// A raw string whose hashes or quote start at `open`, or a raw identifier.
fn raw(rest: &[u8], open: usize) -> (Kind, usize) {
    let tail = rest.get(open..).unwrap_or_default();
    let hashes = until(tail, |byte| byte != b'#');
    if tail.get(hashes) != Some(&b'"') {
        return (Kind::Code, 1);
    }
    let mut end = b"\"".to_vec();
    end.resize(hashes + 1, b'#');
    let body = tail.get(hashes + 1..).unwrap_or_default();
    let length = body.windows(end.len()).position(|window| window == end);
    let body_length = length.map_or(body.len(), |length| length + end.len());
    (Kind::Literal, open + hashes + 1 + body_length)
}

/// A character literal, or the quote of a lifetime.
fn character(rest: &[u8]) -> (Kind, usize) {
    match rest {
        [_, b'\\', _, tail @ ..] => (Kind::Literal, 3 + until(tail, |byte| byte == b'\'') + 1),
        [_, first, tail @ ..] => {
            let width = match first {
                0..0xC0 => 0,
                0xC0..0xE0 => 1,
                0xE0..0xF0 => 2,
                _ => 3,
            };
            match tail.get(width) {
                Some(b'\'') => (Kind::Literal, width + 3),
                _ => (Kind::Code, 1),
            }
        }
        _ => (Kind::Code, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("crates/a/src/b.rs".to_owned(), text.to_owned())
    }

    #[test]
    fn comments_and_literals_are_told_from_code() {
        let rows = [
            ("a // b\nc", "a     \nc", "  // b\n "),
            (
                "a /* b /* c */ d */ e",
                "a                   e",
                "  /* b /* c */ d */  ",
            ),
            (r#"a("// no") b"#, r"a(       ) b", "            "),
            (r##"a(r#"x " y"#) b"##, "a(          ) b", "               "),
            (r#"a(b"\"{") b"#, "a(      ) b", "           "),
            (
                "f('{', '\\'', 'ä') g<'a>()",
                "f(   ,     ,     ) g<'a>()",
                "                          ",
            ),
            ("r#fn x", "r#fn x", "      "),
        ];
        for (text, code, comments) in rows {
            let got = source(text);
            assert_eq!(got.code.trim_end(), code.trim_end(), "code of {text}");
            assert_eq!(
                got.comments.trim_end(),
                comments.trim_end(),
                "comments of {text}"
            );
        }
    }

    #[test]
    fn functions_are_measured_from_fn_to_brace() {
        let got = source("fn a(x: [u8; 3]) {\n let f: fn(u8) = g;\n}\ntrait T { fn b(); }\n");
        let found: Vec<_> = got
            .functions()
            .iter()
            .map(|f| (f.name.clone(), f.lines))
            .collect();
        assert_eq!(found, [("a".to_owned(), 3)]);
    }

    #[test]
    fn test_modules_do_not_count() {
        let got = source("fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\nfn c() {}\n");
        assert_eq!(got.lines_without_tests(), 2);
        let marks: Vec<_> = got.functions().iter().map(|f| got.is_test(f.at)).collect();
        assert_eq!(marks, [false, true, false]);
    }

    #[test]
    fn modules_in_files_are_found() {
        let got = source("mod a;\npub(crate) mod b;\nmod c { }\n#[path = \"x/d.rs\"]\nmod d;\n");
        let wanted = [("a", None), ("b", None), ("d", Some("x/d.rs"))];
        let wanted = wanted.map(|(name, path)| (name.to_owned(), path.map(str::to_owned)));
        assert_eq!(got.modules(), wanted);
    }
}
