//! What a scenario says a stanza must look like, and the comparison.
//!
//! A template is XML. Everything it says must be there and nothing else may be: the order of
//! attributes and the choice of prefixes are free, the order of children is not. It is loosened
//! only where it says so, except for two things that servers add and that count only if the template
//! has them: `xml:lang` of the outermost element (RFC 6120 § 8.1.5), and the ids of archives
//! (`<stanza-id/>`, XEP-0359) in a message:
//!
//! | in the template | means |
//! |---|---|
//! | `attr="{any}"` | present, any value |
//! | `attr="{any?}"` | absent, or any value |
//! | `{name}` | captured at its first use, compared afterwards |
//! | `{datetime}`, `{number}` | a XEP-0082 UTC date and time, a decimal number |
//! | `_="..."` (an attribute) | further attributes are allowed |
//! | `{...}` (text) | further children and text are allowed |
//! | `{in any order}` (text) | the children may come in any order |
//! | `{{`, `}}` | a literal brace |

use crate::xml::{Element, Escaped, Name, Node, parse_fragment};
use std::{collections::BTreeMap, fmt};
use waxwing_proto::ns;

/// Values captured so far in one play.
pub type Bindings = BTreeMap<String, String>;

/// Prefixes that templates may use without declaring them.
pub(super) const PREFIXES: &[(&str, &str)] = &[
    ("stream", ns::STREAM),
    ("e", ns::STANZAS),
    ("s", ns::STREAMS),
    ("sasl", ns::SASL),
    ("tls", ns::TLS),
];

/// An element with holes.
#[derive(Debug, Clone)]
pub struct Template {
    pub(super) name: Name,
    attrs: BTreeMap<Name, Pattern>,
    more_attrs: bool,
    text: Pattern,
    children: Vec<Template>,
    more_content: bool,
    any_order: bool,
}

/// Why an element does not match.
#[derive(Debug, Clone)]
pub struct Mismatch {
    path: String,
    reason: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}: {}", self.path, self.reason)
    }
}

/// Parses the templates of one step.
pub fn parse_templates(text: &str) -> Result<Vec<Template>, String> {
    parse_fragment(text, PREFIXES)?
        .into_iter()
        .map(Template::from_element)
        .collect()
}

impl Template {
    /// Compares; on success the captures are in `bindings`, on failure it is unchanged.
    pub fn matches(&self, element: &Element, bindings: &mut Bindings) -> Result<(), Mismatch> {
        let mut tentative = bindings.clone();
        self.compare(element, &mut tentative, "")?;
        *bindings = tentative;
        Ok(())
    }

    fn from_element(element: Element) -> Result<Self, String> {
        let mut template = Self {
            name: element.name,
            attrs: BTreeMap::new(),
            more_attrs: false,
            text: Pattern::default(),
            children: Vec::new(),
            more_content: false,
            any_order: false,
        };
        for (name, value) in element.attrs {
            if name.1 == "_" {
                template.more_attrs = true;
            } else {
                template.attrs.insert(name, Pattern::parse(&value)?);
            }
        }
        let mut text = String::new();
        for node in element.nodes {
            match node {
                Node::Element(child) => template.children.push(Self::from_element(child)?),
                Node::Text(piece) => text.push_str(&piece),
            }
        }
        for (marker, flag) in [
            ("{...}", &mut template.more_content),
            ("{in any order}", &mut template.any_order),
        ] {
            if text.contains(marker) {
                *flag = true;
                text = text.replace(marker, "");
            }
        }
        if !template.children.is_empty() || template.more_content {
            if !text.trim().is_empty() {
                return Err(format!(
                    "text beside children cannot be compared: {:?}",
                    text.trim()
                ));
            }
            text.clear();
        }
        template.text = Pattern::parse(&text)?;
        Ok(template)
    }

    fn compare(
        &self,
        element: &Element,
        bindings: &mut Bindings,
        parent: &str,
    ) -> Result<(), Mismatch> {
        let path = format!("{parent}/{}", self.name.1);
        let fail = |reason: String| {
            Err(Mismatch {
                path: path.clone(),
                reason,
            })
        };
        if self.name != element.name {
            return fail(format!(
                "expected <{}> in {:?}, got <{}> in {:?}",
                self.name.1, self.name.0, element.name.1, element.name.0
            ));
        }
        for (name, pattern) in &self.attrs {
            match element.attrs.get(name) {
                None if pattern.optional() => {}
                None => return fail(format!("attribute {} is missing", name.1)),
                Some(value) if pattern.matches(value, bindings) => {}
                Some(value) => {
                    return fail(format!(
                        "attribute {}: expected {}, got {value:?}",
                        name.1,
                        pattern.shown(bindings)
                    ));
                }
            }
        }
        if let Some((name, value)) = element
            .attrs
            .iter()
            .filter(|(name, _)| !(parent.is_empty() && name.0 == ns::XML))
            .find(|(name, _)| !self.more_attrs && !self.attrs.contains_key(*name))
        {
            return fail(format!("unexpected attribute {}={value:?}", name.1));
        }
        let text = element.text();
        if self.children.is_empty() && !self.more_content {
            if !self.text.matches(&text, bindings) {
                return fail(format!(
                    "text: expected {}, got {text:?}",
                    self.text.shown(bindings)
                ));
            }
        } else if !self.more_content && !text.trim().is_empty() {
            return fail(format!("unexpected text {text:?}"));
        }
        let mut received: Vec<&Element> = element.children().collect();
        if self.name == message() && !self.children.iter().any(|child| child.name == stanza_id()) {
            received.retain(|child| child.name != stanza_id());
        }
        self.compare_children(&received, bindings, &path)
    }

    fn compare_children(
        &self,
        received: &[&Element],
        bindings: &mut Bindings,
        path: &str,
    ) -> Result<(), Mismatch> {
        let mut used = vec![false; received.len()];
        if let Some(found) = self.assign(0, received, &mut used, bindings, path) {
            *bindings = found;
        } else {
            return Err(self.explain(received, bindings, path));
        }
        if let Some((extra, _)) = received
            .iter()
            .zip(&used)
            .find(|(_, used)| !self.more_content && !**used)
        {
            return Err(Mismatch {
                path: path.to_owned(),
                reason: format!(
                    "unexpected child <{} xmlns={:?}>",
                    extra.name.1, extra.name.0
                ),
            });
        }
        Ok(())
    }

    /// Gives each template child a received child, trying again where a choice was wrong.
    fn assign(
        &self,
        index: usize,
        received: &[&Element],
        used: &mut [bool],
        bindings: &Bindings,
        path: &str,
    ) -> Option<Bindings> {
        let Some(child) = self.children.get(index) else {
            return Some(bindings.clone());
        };
        let first = if self.any_order {
            0
        } else {
            used.iter()
                .rposition(|used| *used)
                .map_or(0, |last| last + 1)
        };
        for (at, candidate) in received.iter().enumerate().skip(first) {
            if used.get(at) != Some(&false) {
                continue;
            }
            let mut attempt = bindings.clone();
            if child.compare(candidate, &mut attempt, path).is_ok() {
                mark(used, at, true);
                if let Some(found) = self.assign(index + 1, received, used, &attempt, path) {
                    return Some(found);
                }
                mark(used, at, false);
            }
            if !self.any_order && !self.more_content {
                break;
            }
        }
        None
    }

    /// The most helpful reason why the children do not match.
    fn explain(&self, received: &[&Element], bindings: &Bindings, path: &str) -> Mismatch {
        for (index, child) in self.children.iter().enumerate() {
            let tries: Vec<_> = received
                .iter()
                .enumerate()
                .filter(|(at, _)| self.any_order || self.more_content || *at == index)
                .map(|(_, candidate)| child.compare(candidate, &mut bindings.clone(), path))
                .collect();
            if tries.iter().any(Result::is_ok) {
                continue;
            }
            // Of several failures, the one of the child that has the right name says most.
            let same_name = received.iter().position(|found| found.name == child.name);
            let failure = tries
                .into_iter()
                .enumerate()
                .filter_map(|(at, result)| result.err().map(|failure| (at, failure)))
                .max_by_key(|(at, _)| Some(*at) == same_name);
            return failure.map_or_else(
                || Mismatch {
                    path: path.to_owned(),
                    reason: format!("child <{}> is missing", child.name.1),
                },
                |(_, failure)| failure,
            );
        }
        Mismatch {
            path: path.to_owned(),
            reason: "the children match one by one but not together".into(),
        }
    }
}

fn message() -> Name {
    (ns::CLIENT.to_owned(), "message".to_owned())
}

fn stanza_id() -> Name {
    (ns::STANZA_ID.to_owned(), "stanza-id".to_owned())
}

fn mark(used: &mut [bool], at: usize, value: bool) {
    if let Some(flag) = used.get_mut(at) {
        *flag = value;
    }
}

/// Text with holes.
#[derive(Debug, Clone, Default)]
pub struct Pattern(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Any,
    AnyOrAbsent,
    DateTime,
    Number,
    Variable(String),
    /// `{x*500}`: the text repeated.
    Repeat(String, usize),
    /// `{HT-SHA-256-EXPR token}`: the initial response that proves to have a token.
    Token {
        mechanism: String,
        variable: String,
    },
}

impl Pattern {
    /// Parses; unknown holes are errors.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if rest.starts_with("{{") || rest.starts_with("}}") {
                literal.push(c);
                rest = rest.get(2..).unwrap_or("");
            } else if c == '{' {
                let (hole, after) = rest
                    .get(1..)
                    .and_then(|rest| rest.split_once('}'))
                    .ok_or_else(|| format!("'{{' without '}}' in {text:?}"))?;
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(Part::parse(hole)?);
                rest = after;
            } else {
                literal.push(c);
                rest = rest.get(c.len_utf8()..).unwrap_or("");
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self(parts))
    }
    /// The text with the holes filled from `bindings`, captured values escaped for XML; holes that
    /// only compare are errors. `prove` makes the initial response of a mechanism for a token.
    pub fn fill(
        &self,
        bindings: &Bindings,
        prove: impl Fn(&str, &str) -> Result<String, String>,
    ) -> Result<String, String> {
        let value = |name: &String| {
            let value = bindings.get(name);
            value.ok_or_else(|| format!("{{{name}}} has no value yet"))
        };
        self.0
            .iter()
            .map(|part| match part {
                Part::Literal(text) => Ok(text.clone()),
                Part::Repeat(text, count) => Ok(text.repeat(*count)),
                Part::Variable(name) => Ok(Escaped(value(name)?).to_string()),
                Part::Token {
                    mechanism,
                    variable,
                } => prove(mechanism, value(variable)?),
                other => Err(format!("{other:?} cannot be sent")),
            })
            .collect()
    }
    /// Variables that occur.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Variable(name) | Part::Token { variable: name, .. } => Some(name.as_str()),
            _ => None,
        })
    }
    fn optional(&self) -> bool {
        self.0 == [Part::AnyOrAbsent]
    }
    fn matches(&self, text: &str, bindings: &mut Bindings) -> bool {
        match_parts(&self.0, text, bindings)
    }
    fn shown(&self, bindings: &Bindings) -> String {
        let text: String = self
            .0
            .iter()
            .map(|part| match part {
                Part::Literal(text) => text.clone(),
                Part::Repeat(text, count) => text.repeat(*count),
                Part::Variable(name) => match bindings.get(name) {
                    Some(value) => value.clone(),
                    None => format!("{{{name}}}"),
                },
                Part::Any => "{any}".into(),
                Part::AnyOrAbsent => "{any?}".into(),
                Part::DateTime => "{datetime}".into(),
                Part::Number => "{number}".into(),
                Part::Token { mechanism, .. } => format!("{{{mechanism}}}"),
            })
            .collect();
        format!("{text:?}")
    }
}

impl Part {
    fn parse(hole: &str) -> Result<Self, String> {
        let name_ok = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        };
        if let Some((text, count)) = hole.rsplit_once('*') {
            let count = count
                .parse()
                .map_err(|_| format!("bad count in {{{hole}}}"))?;
            return Ok(Self::Repeat(text.to_owned(), count));
        }
        if let Some((mechanism, variable)) = hole.split_once(' ')
            && mechanism.starts_with("HT-")
            && name_ok(variable)
        {
            return Ok(Self::Token {
                mechanism: mechanism.to_owned(),
                variable: variable.to_owned(),
            });
        }
        Ok(match hole {
            "any" => Self::Any,
            "any?" => Self::AnyOrAbsent,
            "datetime" => Self::DateTime,
            "number" => Self::Number,
            name if name_ok(name) => Self::Variable(name.to_owned()),
            _ => return Err(format!("unknown {{{hole}}}")),
        })
    }
}

fn match_parts(parts: &[Part], text: &str, bindings: &mut Bindings) -> bool {
    let Some((first, rest)) = parts.split_first() else {
        return text.is_empty();
    };
    let literal = match first {
        Part::Literal(literal) => Some(literal.clone()),
        Part::Repeat(text, count) => Some(text.repeat(*count)),
        Part::Variable(name) => bindings.get(name).cloned(),
        _ => None,
    };
    if let Some(literal) = literal {
        return text
            .strip_prefix(literal.as_str())
            .is_some_and(|after| match_parts(rest, after, bindings));
    }
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let smallest = usize::from(matches!(first, Part::Variable(_)));
    for end in std::iter::once(0).chain(ends) {
        let (taken, after) = text.split_at(end);
        let fits = match first {
            Part::DateTime => is_datetime(taken),
            Part::Number => !taken.is_empty() && taken.bytes().all(|b| b.is_ascii_digit()),
            _ => taken.len() >= smallest,
        };
        if !fits {
            continue;
        }
        let mut attempt = bindings.clone();
        if let Part::Variable(name) = first {
            attempt.insert(name.clone(), taken.to_owned());
        }
        if match_parts(rest, after, &mut attempt) {
            *bindings = attempt;
            return true;
        }
    }
    false
}

/// A date and time in UTC as XEP-0082 § 3.2 writes it: `CCYY-MM-DDThh:mm:ss[.sss]Z`.
fn is_datetime(text: &str) -> bool {
    let Some((whole, fraction)) = text
        .strip_suffix('Z')
        .map(|text| text.split_once('.').unwrap_or((text, "0")))
    else {
        return false;
    };
    let shape = "0000-00-00T00:00:00";
    whole.len() == shape.len()
        && whole.chars().zip(shape.chars()).all(|(c, s)| match s {
            '0' => c.is_ascii_digit(),
            s => c == s,
        })
        && !fraction.is_empty()
        && fraction.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(template: &str, received: &str, outcome: &Expect) {
        let template = parse_templates(template).unwrap().remove(0);
        let element = parse_fragment(received, PREFIXES).unwrap().remove(0);
        let mut bindings = Bindings::from([("known".to_owned(), "k1".to_owned())]);
        let result = match template.matches(&element, &mut bindings) {
            Ok(()) => format!("{bindings:?}"),
            Err(mismatch) => mismatch.to_string(),
        };
        outcome.assert_eq(&result);
    }

    #[test]
    fn attributes() {
        let same = &expect![[r#"{"known": "k1"}"#]];
        check("<a x='1' y='2'/>", "<a y='2' x='1'></a>", same);
        check("<a x='{any}'/>", "<a x=''/>", same);
        check("<a x='{any?}'/>", "<a/>", same);
        check("<a _='...'/>", "<a z='1'/>", same);
        check("<a x='{known}'/>", "<a x='k1'/>", same);
        check("<a x='{{b}}'/>", "<a x='{b}'/>", same);
        check(
            "<a x='{id}-{known}@{id}'/>",
            "<a x='7-k1@7'/>",
            &expect![[r#"{"id": "7", "known": "k1"}"#]],
        );
        check(
            "<a x='{known}'/>",
            "<a x='k2'/>",
            &expect![[r#"at /a: attribute x: expected "k1", got "k2""#]],
        );
        check(
            "<a x='{any}'/>",
            "<a/>",
            &expect!["at /a: attribute x is missing"],
        );
        check(
            "<a/>",
            "<a x='1'/>",
            &expect![[r#"at /a: unexpected attribute x="1""#]],
        );
        check(
            "<a at='{datetime}' n='{number}'/>",
            "<a at='2026-11-22T13:00:00.5Z' n='x'/>",
            &expect![[r#"at /a: attribute n: expected "{number}", got "x""#]],
        );
    }

    #[test]
    fn content() {
        let same = &expect![[r#"{"known": "k1"}"#]];
        check("<a>\n  <b/>\n</a>", "<a><b/></a>", same);
        check("<a>{...}</a>", "<a>x<b/></a>", same);
        check("<a><b/>{...}</a>", "<a><x/><b/><y/></a>", same);
        check("<a><b/><c/>{in any order}</a>", "<a><c/><b/></a>", same);
        check(
            "<a><b x='{v}'/><c x='{v}'/>{in any order}{...}</a>",
            "<a><c x='2'/><b x='1'/><b x='2'/></a>",
            &expect![[r#"{"known": "k1", "v": "2"}"#]],
        );
        check(
            "<a><b/><c/></a>",
            "<a><c/><b/></a>",
            &expect![[r#"at /a/b: expected <b> in "jabber:client", got <c> in "jabber:client""#]],
        );
        check(
            "<a><b/></a>",
            "<a><b/><c/></a>",
            &expect![[r#"at /a: unexpected child <c xmlns="jabber:client">"#]],
        );
        check(
            "<a><b/></a>",
            "<a/>",
            &expect!["at /a: child <b> is missing"],
        );
        check(
            "<a><b>one</b>{...}</a>",
            "<a><x/><b>two</b></a>",
            &expect![[r#"at /a/b: text: expected "one", got "two""#]],
        );
        check(
            "<e:gone/>",
            "<gone/>",
            &expect![[
                r#"at /gone: expected <gone> in "urn:ietf:params:xml:ns:xmpp-stanzas", got <gone> in "jabber:client""#
            ]],
        );
    }

    #[test]
    fn bad_templates_are_refused() {
        for text in [
            "<a x='{'/>",
            "<a x='{?}'/>",
            "<a>text<b/></a>",
            "<a>{x*y}</a>",
        ] {
            assert!(parse_templates(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sent_text_is_filled() {
        let bindings = Bindings::from([("id".to_owned(), "7".to_owned())]);
        let fill = |text| {
            let no_token = |_: &str, _: &str| Err("nobody has a token".into());
            Pattern::parse(text).unwrap().fill(&bindings, no_token)
        };
        assert_eq!(fill("a{id}{x*3}").unwrap(), "a7xxx");
        assert!(fill("{other}").is_err());
        assert!(fill("{any}").is_err());
    }
}
