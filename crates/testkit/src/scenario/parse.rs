//! Reads the text of a scenario.

use super::{
    Action, Actor, Deed, Depth, Fate, Login, Pattern, Raw, RosterEntry, Scenario, Step,
    parse_templates,
};
use crate::xml::parse_fragment;
use std::{fmt, time::Duration};

/// Where and why a scenario is not well written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// Parses a whole file.
pub fn parse(text: &str) -> Result<Scenario, ParseError> {
    let mut scenario = Scenario::default();
    let mut lines = Lines::new(text);
    while let Some((line, content)) = lines.next_line() {
        let fail = |reason| ParseError { line, reason };
        if content.starts_with(char::is_whitespace) {
            return Err(fail("an indented line belongs under a step".into()));
        }
        if let Some((key, value)) = header(content)
            && scenario.steps.is_empty()
        {
            add_header(&mut scenario, key, value.trim()).map_err(fail)?;
            continue;
        }
        let block = lines.block();
        let action = parse_step(content.trim_end(), &block).map_err(fail)?;
        scenario.steps.push(Step { line, action });
    }
    let whole = |reason: &str| ParseError {
        line: 1,
        reason: reason.into(),
    };
    if scenario.title.is_empty() {
        return Err(whole("a scenario needs a title"));
    }
    if scenario.steps.is_empty() {
        return Err(whole("a scenario needs steps"));
    }
    check_names(&scenario)?;
    Ok(scenario)
}

/// Lines without comments and blank lines, numbered.
struct Lines<'a> {
    lines: Vec<&'a str>,
    at: usize,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            lines: text.lines().collect(),
            at: 0,
        }
    }
    fn next_line(&mut self) -> Option<(usize, &'a str)> {
        loop {
            let content = *self.lines.get(self.at)?;
            self.at += 1;
            if !content.trim().is_empty() && !content.starts_with('#') {
                return Some((self.at, content));
            }
        }
    }
    /// The indented lines that follow, their common indentation removed.
    fn block(&mut self) -> String {
        let mut block: Vec<&str> = Vec::new();
        while let Some(content) = self.lines.get(self.at) {
            if !content.is_empty() && !content.starts_with(char::is_whitespace) {
                break;
            }
            block.push(content);
            self.at += 1;
        }
        while block
            .last()
            .is_some_and(|content| content.trim().is_empty())
        {
            block.pop();
        }
        let indent = block
            .iter()
            .filter(|content| !content.trim().is_empty())
            .map(|content| content.len() - content.trim_start().len())
            .min()
            .unwrap_or(0);
        block
            .iter()
            .map(|content| content.get(indent..).unwrap_or(""))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

const KEYS: [&str; 9] = [
    "title",
    "proves",
    "see",
    "accounts",
    "components",
    "roster",
    "settings",
    "only",
    "oracle prosody differs",
];

/// The states of RFC 6121 § A.1, written in short.
const STATES: [&str; 9] = [
    "none",
    "none+out",
    "none+in",
    "none+out+in",
    "to",
    "to+in",
    "from",
    "from+out",
    "both",
];

fn header(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(':')?;
    // A first step never has a colon behind a header's key.
    KEYS.contains(&key).then_some((key, value))
}

fn add_header(scenario: &mut Scenario, key: &str, value: &str) -> Result<(), String> {
    let words = || value.split_whitespace().map(str::to_owned);
    match key {
        "title" => value.clone_into(&mut scenario.title),
        "proves" => scenario.proves.extend(words()),
        "see" => scenario.see.push(value.to_owned()),
        "accounts" => scenario.accounts.extend(words()),
        "components" => scenario.components.extend(words()),
        "only" => scenario.only.extend(words()),
        "oracle prosody differs" => scenario.prosody_differs = Some(value.to_owned()),
        "settings" => {
            for word in words() {
                let (name, value) = word
                    .split_once('=')
                    .ok_or_else(|| format!("settings are name=value, not {word:?}"))?;
                scenario.settings.push((name.to_owned(), value.to_owned()));
            }
        }
        _ => {
            let entry: Vec<String> = words().collect();
            let [user, subscription, contact] = &entry[..] else {
                return Err("roster: USER STATE CONTACT".into());
            };
            if !STATES.contains(&subscription.as_str()) {
                return Err(format!("{subscription:?} is no state of a subscription"));
            }
            scenario.rosters.push(RosterEntry {
                user: user.clone(),
                subscription: subscription.clone(),
                contact: contact.clone(),
            });
        }
    }
    Ok(())
}

/// Every actor must have been announced, and every variable be captured before it is sent: both
/// catch misspellings.
fn check_names(scenario: &Scenario) -> Result<(), ParseError> {
    for entry in &scenario.rosters {
        for name in [&entry.user, &entry.contact] {
            if !scenario.accounts.contains(name) {
                return Err(ParseError {
                    line: 1,
                    reason: format!("roster: {name} is not among the accounts"),
                });
            }
        }
    }
    let mut present: Vec<&Actor> = Vec::new();
    for step in &scenario.steps {
        let Action::Actor(actor, deed) = &step.action else {
            continue;
        };
        let enters = matches!(
            deed,
            Deed::LogsIn(_) | Deed::Opens { .. } | Deed::Attaches | Deed::OpensComponent
        );
        if !enters && !present.contains(&actor) {
            return Err(ParseError {
                line: step.line,
                reason: format!("{actor} has not connected"),
            });
        }
        if enters {
            present.push(actor);
        }
        if matches!(deed, Deed::Attaches) && !scenario.components.contains(&actor.user) {
            return Err(ParseError {
                line: step.line,
                reason: format!("{} is not among the components", actor.user),
            });
        }
        if matches!(deed, Deed::LogsIn(login) if login.fails.is_none())
            && !scenario.accounts.contains(&actor.user)
        {
            return Err(ParseError {
                line: step.line,
                reason: format!("{} is not among the accounts", actor.user),
            });
        }
    }
    Ok(())
}

fn parse_step(line: &str, block: &str) -> Result<Action, String> {
    let (subject, deed) = line
        .split_once(' ')
        .ok_or_else(|| format!("cannot read {line:?}"))?;
    if subject == "time" {
        let amount = deed
            .strip_prefix("passes ")
            .ok_or("time can only pass")?
            .trim();
        no_block(block)?;
        return Ok(Action::TimePasses(duration(amount)?));
    }
    if subject == "the" {
        no_block(block)?;
        return Ok(Action::Server(match deed {
            "server stops" => Fate::Stops,
            "server crashes" => Fate::Crashes,
            "server starts" => Fate::Starts,
            _ => return Err(format!("nothing is known of {line:?}")),
        }));
    }
    let (user, resource) = subject.split_once('/').unwrap_or((subject, ""));
    let actor = Actor {
        user: user.to_owned(),
        resource: resource.to_owned(),
    };
    Ok(Action::Actor(actor, parse_deed(deed, block)?))
}

fn parse_deed(deed: &str, block: &str) -> Result<Deed, String> {
    let takes_block = matches!(
        deed,
        "sends" | "sends raw" | "receives" | "receives in any order" | "receives stream"
    );
    if takes_block == block.trim().is_empty() {
        return Err(if takes_block {
            format!("{deed}: what? Indented lines must follow")
        } else {
            format!("{deed:?} takes no indented lines")
        });
    }
    if let Some(condition) = deed.strip_prefix("receives stream error ") {
        return Ok(Deed::ReceivesStreamError(condition.to_owned()));
    }
    Ok(match deed {
        "opens raw" => Deed::Opens { plain: false },
        "opens plain" => Deed::Opens { plain: true },
        "attaches" => Deed::Attaches,
        "opens component" => Deed::OpensComponent,
        "starts TLS" => Deed::StartsTls,
        "sends" => {
            let text = Pattern::parse(block)?;
            // The braces of a hole are harmless in XML, so the unfilled text can be checked.
            parse_fragment(block, &[])?;
            Deed::Sends(text)
        }
        "sends raw" => Deed::SendsRaw(parse_raw(block)?),
        "receives" | "receives in any order" => {
            let templates = parse_templates(block)?;
            if templates.is_empty() {
                return Err("nothing to receive".into());
            }
            Deed::Receives {
                templates,
                unordered: deed != "receives",
            }
        }
        "receives stream" => {
            let mut templates = parse_templates(block)?;
            if templates.len() != 1 {
                return Err("a stream has one start tag; write it as an empty element".into());
            }
            Deed::ReceivesStream(Box::new(templates.remove(0)))
        }
        "receives nothing" => Deed::ReceivesNothing,
        "is closed" => Deed::IsClosed,
        "is cut" => Deed::IsCut,
        "ignores presence" => Deed::Ignores {
            presence_only: true,
        },
        "ignores everything" => Deed::Ignores {
            presence_only: false,
        },
        "disconnects" => Deed::Disconnects,
        "closes" => Deed::Closes,
        "drops" => Deed::Drops,
        _ => Deed::LogsIn(parse_login(deed)?),
    })
}

/// `connects|binds|authenticates|fails to authenticate [with priority N] [using MECHANISM]
/// [with password P] [by SASL2] [over STARTTLS] [: CONDITION]`
fn parse_login(deed: &str) -> Result<Login, String> {
    let unknown = || format!("nobody knows how to do {deed:?}");
    let (deed, fails) = match deed.split_once(": ") {
        Some((deed, condition)) => (deed, Some(condition.to_owned())),
        None => (deed, None),
    };
    let mut rest = deed;
    let mut login = Login {
        depth: Depth::Authenticated,
        priority: None,
        mechanism: None,
        password: None,
        sasl2: false,
        starttls: false,
        fails,
    };
    let mut eat = |words: &str| match rest.strip_prefix(words) {
        Some(after) => {
            rest = after.trim_start();
            true
        }
        None => false,
    };
    if eat("connects") {
        login.depth = Depth::Available;
    } else if eat("binds") {
        login.depth = Depth::Bound;
    } else if eat("fails to authenticate") {
        if login.fails.is_none() {
            return Err("fails to authenticate …: CONDITION".into());
        }
    } else if !eat("authenticates") {
        return Err(unknown());
    }
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("over STARTTLS") {
            login.starttls = true;
            rest = after.trim_start();
            continue;
        }
        if let Some(after) = rest.strip_prefix("by SASL2") {
            login.sasl2 = true;
            rest = after.trim_start();
            continue;
        }
        let mut words = rest.splitn(4, ' ');
        let (first, second) = (words.next(), words.next());
        match (first, second) {
            (Some("using"), Some(mechanism)) => {
                login.mechanism = Some(mechanism.to_owned());
                rest = rest.splitn(3, ' ').nth(2).unwrap_or("");
            }
            (Some("with"), Some("priority")) => {
                let value = words.next().and_then(|value| value.parse().ok());
                login.priority = Some(value.ok_or("a priority is a number from -128 to 127")?);
                rest = words.next().unwrap_or("");
            }
            (Some("with"), Some("password")) => {
                login.password = words.next().map(str::to_owned);
                rest = words.next().unwrap_or("");
            }
            _ => return Err(unknown()),
        }
    }
    Ok(login)
}

fn parse_raw(block: &str) -> Result<Vec<Raw>, String> {
    let mut pieces = Vec::new();
    // Line ends are layout, not content.
    let mut rest = block.replace('\n', "");
    while let Some((before, after)) = rest.split_once("\\x") {
        let byte = after
            .get(..2)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok())
            .ok_or("\\x needs two hexadecimal digits")?;
        pieces.push(Raw::Text(Pattern::parse(before)?));
        pieces.push(Raw::Byte(byte));
        rest = after.get(2..).unwrap_or("").to_owned();
    }
    pieces.push(Raw::Text(Pattern::parse(&rest)?));
    Ok(pieces)
}

fn no_block(block: &str) -> Result<(), String> {
    if block.trim().is_empty() {
        Ok(())
    } else {
        Err("this step takes no indented lines".into())
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("a time is a number and s, m, h or d, not {text:?}");
    let unit = text.chars().last().ok_or_else(bad)?;
    let count: u64 = text
        .strip_suffix(unit)
        .and_then(|count| count.parse().ok())
        .ok_or_else(bad)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(bad()),
    };
    Ok(Duration::from_secs(count * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    const HEADER: &str = "title: T\naccounts: alice bob\n";

    fn check(play: &str, outcome: &Expect) {
        let result = match parse(&format!("{HEADER}{play}")) {
            Ok(scenario) => scenario.steps.iter().fold(String::new(), |all, step| {
                format!("{all}{}: {:?}\n", step.line, step.action)
            }),
            Err(error) => error.to_string(),
        };
        outcome.assert_eq(&result);
    }

    #[test]
    fn logins() {
        check(
            "alice/phone connects with priority -1 over STARTTLS\nbob binds using PLAIN\n\
             bob fails to authenticate with password x: not-authorized",
            &expect![[r#"
                3: Actor(Actor { user: "alice", resource: "phone" }, LogsIn(Login { depth: Available, priority: Some(-1), mechanism: None, password: None, sasl2: false, starttls: true, fails: None }))
                4: Actor(Actor { user: "bob", resource: "" }, LogsIn(Login { depth: Bound, priority: None, mechanism: Some("PLAIN"), password: None, sasl2: false, starttls: false, fails: None }))
                5: Actor(Actor { user: "bob", resource: "" }, LogsIn(Login { depth: Authenticated, priority: None, mechanism: None, password: Some("x"), sasl2: false, starttls: false, fails: Some("not-authorized") }))
            "#]],
        );
    }

    #[test]
    fn blocks_end_where_the_indentation_ends() {
        check(
            "alice opens raw\n\nalice sends\n    <a>\n      <b/>\n\n    </a>\n\n# Comment.\ntime passes 2m\nalice sends raw\n  <a\\xff>",
            &expect![[r#"
                3: Actor(Actor { user: "alice", resource: "" }, Opens { plain: false })
                5: Actor(Actor { user: "alice", resource: "" }, Sends(Pattern([Literal("<a>\n  <b/>\n\n</a>")])))
                12: TimePasses(120s)
                13: Actor(Actor { user: "alice", resource: "" }, SendsRaw([Text(Pattern([Literal("<a")])), Byte(255), Text(Pattern([Literal(">")]))]))
            "#]],
        );
    }

    #[test]
    fn mistakes_are_found_with_their_line() {
        for (play, outcome) in [
            (
                "alice dances",
                expect![[r#"line 3: nobody knows how to do "dances""#]],
            ),
            (
                "alice connects\nalice sends",
                expect!["line 4: sends: what? Indented lines must follow"],
            ),
            (
                "carol connects",
                expect!["line 3: carol is not among the accounts"],
            ),
            (
                "alice receives nothing",
                expect!["line 3: alice has not connected"],
            ),
            (
                "alice binds\n  <x/>",
                expect![[r#"line 3: "binds" takes no indented lines"#]],
            ),
            (
                "  <x/>",
                expect!["line 3: an indented line belongs under a step"],
            ),
            (
                "the server explodes",
                expect![[r#"line 3: nothing is known of "the server explodes""#]],
            ),
            ("time flies", expect!["line 3: time can only pass"]),
            (
                "time passes 3y",
                expect![[r#"line 3: a time is a number and s, m, h or d, not "3y""#]],
            ),
            (
                "roster: alice loves bob\nalice binds",
                expect![[r#"line 3: "loves" is no state of a subscription"#]],
            ),
            ("", expect!["line 1: a scenario needs steps"]),
        ] {
            check(play, &outcome);
        }
    }
}
