//! What is wrong with a file, where, and what to do.

use std::ops::Range;
use std::path::Path;

/// A mistake in the configuration: `file:line:column: what; what to do`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigError(String);

impl ConfigError {
    /// The file cannot be read.
    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        let path = path.display();
        Self(match error.kind() {
            std::io::ErrorKind::NotFound => format!(
                "{path}: there is no such file; name yours with --config, start one from \
                 waxwing.example.toml, or try the server out with `waxwing run --dev`"
            ),
            _ => format!("{path}: cannot be read: {error}"),
        })
    }

    /// The text does not decode.
    pub(super) fn decode(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let message = error.message().trim_end().replace('\n', ", ");
        Self::at(path, text, error.span(), &advise(&message))
    }

    /// A setting is wrong beside others; the place is where its key first stands.
    pub(super) fn at_key(path: &Path, text: &str, key: &str, message: &str) -> Self {
        let mut start = 0;
        let mut span = None;
        for line in text.split_inclusive('\n') {
            let code = line.split('#').next().unwrap_or("");
            if let Some(at) = code.find(key) {
                span = Some(start + at..start + at + key.len());
                break;
            }
            start += line.len();
        }
        Self::at(path, text, span, message)
    }

    fn at(path: &Path, text: &str, span: Option<Range<usize>>, message: &str) -> Self {
        let before = span.and_then(|span| text.get(..span.start)).unwrap_or("");
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Self(format!("{}:{line}:{column}: {message}", path.display()))
    }
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// A message of the decoder with what to do about it, if that is not plain.
fn advise(message: &str) -> String {
    let todo = match message {
        "missing field `domains`" => "add a line such as domains = [\"example.org\"]",
        "missing field `data`" => "add a line such as data = \"/var/lib/waxwing\"",
        "invalid socket address syntax" => {
            "write address and port, such as \"0.0.0.0:5222\" or \"[::]:5222\""
        }
        _ => return did_you_mean(message).unwrap_or_else(|| message.to_owned()),
    };
    format!("{message}; {todo}")
}

/// For ``unknown field `a`, expected one of `b`, `c` ``: the likely one instead of all.
fn did_you_mean(message: &str) -> Option<String> {
    let (unknown, known) = message
        .strip_prefix("unknown ")?
        .split_once(", expected ")?;
    let written = unknown.split('`').nth(1)?;
    let (distance, likely) = known
        .split('`')
        .skip(1)
        .step_by(2)
        .map(|known| (distance(written, known), known))
        .min()?;
    (distance <= 3).then(|| format!("unknown {unknown}; did you mean `{likely}`?"))
}

/// How many letters must be added, left out or changed (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.chars().enumerate() {
        let mut diagonal = i;
        let mut last = i + 1;
        let mut next = vec![last];
        for (r, above) in right.iter().zip(row.iter().skip(1)) {
            last = (diagonal + usize::from(l != *r))
                .min(last + 1)
                .min(above + 1);
            diagonal = *above;
            next.push(last);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
