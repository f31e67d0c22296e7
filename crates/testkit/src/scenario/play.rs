//! Acts a scenario out.

mod fence;

use super::{
    Action, Actor, Bindings, Deed, Depth, Login, Pattern, Raw, RosterEntry, Scenario, Template,
    template::PREFIXES,
};
use crate::{
    client::{Client, Event},
    subject::Subject,
    xml::{Element, StreamEvent, parse_fragment},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};
use waxwing_proto::ns;

/// Acts the scenario out on a subject. The error says which line failed and why, and what every
/// client received that nobody asked for.
pub async fn play(scenario: &Scenario, subject: &Subject) -> Result<(), String> {
    let mut stage = Stage {
        subject,
        clients: BTreeMap::new(),
        bindings: Bindings::new(),
        fences: 0,
        unheard: BTreeSet::new(),
    };
    for entry in &scenario.rosters {
        stage
            .arrange(entry)
            .await
            .map_err(|reason| format!("roster: {} {}: {reason}", entry.user, entry.contact))?;
    }
    for step in &scenario.steps {
        let outcome = match &step.action {
            Action::TimePasses(time) => subject.advance(*time).await,
            Action::Server(fate) => {
                let heard = stage.hear_out(None).await;
                heard.map_err(|reason| format!("line {}: {reason}", step.line))?;
                subject.suffer(*fate).await
            }
            Action::Actor(actor, deed) => stage.act(actor, deed).await,
        };
        outcome.map_err(|reason| format!("line {}: {reason}", step.line))?;
    }
    stage.settle().await?;
    match stage.leftovers() {
        None => Ok(()),
        Some(list) => Err(format!("when all was done there was still\n{list}")),
    }
}

struct Stage<'a> {
    subject: &'a Subject,
    clients: BTreeMap<Actor, Client>,
    bindings: Bindings,
    fences: u64,
    /// Who has sent something of which it is not known that it was processed.
    unheard: BTreeSet<Actor>,
}

impl Stage<'_> {
    async fn act(&mut self, actor: &Actor, deed: &Deed) -> Result<(), String> {
        if !deed.is_passive() {
            self.hear_out(Some(actor)).await?;
        }
        match deed {
            Deed::LogsIn(login) => self.log_in(actor, login).await,
            Deed::Opens { plain } => {
                let client = Client::new(self.subject.connect(*plain).await?);
                self.clients.insert(actor.clone(), client);
                Ok(())
            }
            Deed::Attaches => self.connect_component(actor, true).await,
            Deed::OpensComponent => self.connect_component(actor, false).await,
            Deed::StartsTls => {
                let subject = self.subject;
                self.client(actor)?.start_tls(subject).await
            }
            Deed::Sends(text) => self.send(actor, text).await,
            Deed::SendsRaw(pieces) => self.send_raw(actor, pieces).await,
            Deed::Receives {
                templates,
                unordered,
            } => self.receive(actor, templates, *unordered).await,
            Deed::ReceivesNothing => {
                self.settle().await?;
                let client = self.client(actor)?;
                match received(client) {
                    None => Ok(()),
                    Some(list) => Err(format!("nothing expected, but there is\n{list}")),
                }
            }
            Deed::ReceivesStream(template) => self.receive_stream(actor, template).await,
            Deed::ReceivesStreamError(condition) => {
                let element = self.next_element(actor).await?;
                let found = element.is("error", ns::STREAM)
                    && element.child(condition, ns::STREAMS).is_some();
                if !found {
                    return Err(format!("stream error {condition} expected, got\n{element}"));
                }
                self.see_close(actor).await
            }
            Deed::IsClosed => self.see_close(actor).await,
            Deed::IsCut => match self.next(actor).await? {
                Some(Event::Cut | Event::Torn) => Ok(()),
                other => Err(format!("the end of the connection expected, got {other:?}")),
            },
            Deed::Ignores { presence_only } => {
                self.settle().await?;
                let client = self.client(actor)?;
                client
                    .inbox
                    .retain(|event| *presence_only && presence(event).is_none());
                Ok(())
            }
            Deed::Disconnects => self.disconnect(actor).await,
            Deed::Closes => self.client(actor)?.send(b"</stream:stream>").await,
            Deed::Drops => self.drop(actor).await,
        }
    }

    fn client(&mut self, actor: &Actor) -> Result<&mut Client, String> {
        self.clients
            .get_mut(actor)
            .ok_or_else(|| format!("{actor} is not there"))
    }

    async fn next(&mut self, actor: &Actor) -> Result<Option<Event>, String> {
        let patience = self.subject.patience();
        let exact = self.subject.is_exact();
        let client = self.client(actor)?;
        loop {
            match client.next(patience).await {
                Some(event) if !exact && fence::is_question(&event) => {}
                event => return Ok(event),
            }
        }
    }

    async fn next_element(&mut self, actor: &Actor) -> Result<Element, String> {
        match self.next(actor).await? {
            Some(Event::Stream(StreamEvent::Element(element))) => Ok(element),
            None => Err("nothing came".into()),
            Some(other) => Err(format!("an element expected, got {other:?}")),
        }
    }

    async fn connect_component(&mut self, actor: &Actor, attaches: bool) -> Result<(), String> {
        let mut component = Client::new(self.subject.connect_component().await?);
        if attaches {
            component.attach(self.subject, &actor.user).await?;
        }
        self.clients.insert(actor.clone(), component);
        Ok(())
    }

    async fn log_in(&mut self, actor: &Actor, login: &Login) -> Result<(), String> {
        let mut client = Client::new(self.subject.connect(login.starttls).await?);
        let names = (actor.user.as_str(), actor.resource.as_str());
        let outcome = client.log_in(self.subject, names, login).await?;
        match (&login.fails, outcome) {
            (None, None) => {}
            (Some(expected), Some(condition)) if *expected == condition => {}
            (expected, condition) => {
                return Err(format!(
                    "login: failure {expected:?} expected, got {condition:?}"
                ));
            }
        }
        let jid = client.jid.clone();
        self.clients.insert(actor.clone(), client);
        if login.depth < Depth::Available {
            return Ok(());
        }
        self.settle().await?;
        for (other, client) in &mut self.clients {
            client.inbox.retain(|event| match presence(event) {
                Some((from, None | Some("unavailable"))) => {
                    other != actor && from != jid.as_deref()
                }
                _ => true,
            });
        }
        Ok(())
    }

    async fn disconnect(&mut self, actor: &Actor) -> Result<(), String> {
        let client = self.client(actor)?;
        let jid = client.jid.clone();
        if client.available {
            client.send(b"<presence type='unavailable'/>").await?;
        }
        // Everybody's fence comes after the presence that the first one saw processed.
        self.settle().await?;
        self.settle().await?;
        self.leave(actor).await?;
        for client in self.clients.values_mut() {
            client.inbox.retain(|event| {
                !matches!(presence(event), Some((from, Some("unavailable"))) if from == jid.as_deref())
            });
        }
        self.subject.rest().await;
        Ok(())
    }

    /// Ends a stream in good order. On a network the server is done with the session when it ends the
    /// connection, so that nobody's next step depends on when it gets to that.
    async fn leave(&mut self, actor: &Actor) -> Result<(), String> {
        let exact = self.subject.is_exact();
        let patience = self.subject.patience();
        let client = self.client(actor)?;
        client.send(b"</stream:stream>").await?;
        if !exact {
            client.see_end(patience).await?;
        }
        self.clients.remove(actor);
        Ok(())
    }

    fn fill(&self, actor: &Actor, text: &Pattern) -> Result<String, String> {
        let client = self.clients.get(actor);
        let client = client.ok_or_else(|| format!("{actor} is not there"))?;
        text.fill(&self.bindings, |mechanism, token| {
            client.token_response(&actor.user, mechanism, token)
        })
    }

    async fn send(&mut self, actor: &Actor, text: &Pattern) -> Result<(), String> {
        let text = self.fill(actor, text)?;
        let client = self.client(actor)?;
        // A question behind one that begins to count might be counted itself.
        match &mut client.questions {
            Some(questions) => {
                *questions += text.matches("<r xmlns=\"urn:xmpp:sm:3\"").count();
            }
            None if text.contains(ns::SM) => return client.send(text.as_bytes()).await,
            None => {}
        }
        self.unheard.insert(actor.clone());
        self.client(actor)?.send(text.as_bytes()).await
    }

    /// Ends a connection without a word; on a network the server has noticed then.
    async fn drop(&mut self, actor: &Actor) -> Result<(), String> {
        let exact = self.subject.is_exact();
        let patience = self.subject.patience();
        let client = self.client(actor)?;
        if exact {
            client.drop_wire();
            return Ok(());
        }
        client.hang_up(patience).await
    }

    async fn send_raw(&mut self, actor: &Actor, pieces: &[Raw]) -> Result<(), String> {
        let mut bytes = Vec::new();
        for piece in pieces {
            match piece {
                Raw::Text(text) => bytes.extend(self.fill(actor, text)?.into_bytes()),
                Raw::Byte(byte) => bytes.push(*byte),
            }
        }
        let client = self.client(actor)?;
        if bytes.windows(14).any(|part| part == b"<stream:stream") {
            client.expect_new_stream();
        }
        // A fence would end up inside what was begun.
        client.unfinished = std::str::from_utf8(&bytes)
            .map_or(true, |text| parse_fragment(text, PREFIXES).is_err());
        client.send(&bytes).await
    }

    async fn receive(
        &mut self,
        actor: &Actor,
        templates: &[Template],
        unordered: bool,
    ) -> Result<(), String> {
        // See `fence`.
        let exact = self.subject.is_exact();
        let is_question = |template: &Template| template.name == (ns::SM.into(), "r".into());
        let expected = |template: &&Template| exact || !is_question(template);
        if !unordered {
            for template in templates.iter().filter(expected) {
                let element = self.next_element(actor).await?;
                template
                    .matches(&element, &mut self.bindings)
                    .map_err(|mismatch| format!("{mismatch}\nin\n{element}"))?;
            }
            return Ok(());
        }
        let templates: Vec<Template> = templates.iter().filter(expected).cloned().collect();
        let templates = templates.as_slice();
        let mut elements = Vec::new();
        for _ in templates {
            match self.next_element(actor).await {
                Ok(element) => elements.push(element),
                Err(reason) => {
                    return Err(format!("{reason}, after\n{}", list(&elements)));
                }
            }
        }
        let mut used = vec![false; elements.len()];
        match assign(templates, &elements, &mut used, &self.bindings) {
            Some(bindings) => {
                self.bindings = bindings;
                Ok(())
            }
            None => Err(format!(
                "{}\nno order fits for\n{}",
                first_misfit(templates, &elements, &self.bindings),
                list(&elements)
            )),
        }
    }

    async fn receive_stream(&mut self, actor: &Actor, template: &Template) -> Result<(), String> {
        match self.next(actor).await? {
            Some(Event::Stream(StreamEvent::Open(element))) => template
                .matches(&element, &mut self.bindings)
                .map_err(|mismatch| format!("{mismatch}\nin\n{element}")),
            other => Err(format!("a stream header expected, got {other:?}")),
        }
    }

    /// The stream's end tag, and after we have ended ours, the end of the connection.
    async fn see_close(&mut self, actor: &Actor) -> Result<(), String> {
        match self.next(actor).await? {
            Some(Event::Stream(StreamEvent::Close)) => {}
            other => return Err(format!("the stream's end expected, got {other:?}")),
        }
        // The server may be gone already; then there is nobody to tell.
        let _ = self.client(actor)?.send(b"</stream:stream>").await;
        match self.next(actor).await? {
            Some(Event::Cut) => Ok(()),
            other => Err(format!("the end of the connection expected, got {other:?}")),
        }
    }

    /// Makes a subscription through the protocol, by clients that leave again.
    async fn arrange(&mut self, entry: &RosterEntry) -> Result<(), String> {
        let login = Login {
            depth: Depth::Bound,
            priority: None,
            mechanism: None,
            password: None,
            sasl2: false,
            starttls: false,
            fails: None,
        };
        let actor = |user: &str| Actor {
            user: user.to_owned(),
            resource: "arrangement".to_owned(),
        };
        let (user, contact) = (actor(&entry.user), actor(&entry.contact));
        self.log_in(&user, &login).await?;
        self.log_in(&contact, &login).await?;
        let mut parts = entry.subscription.split('+');
        let subscription = parts.next().unwrap_or_default();
        let pending: Vec<&str> = parts.collect();
        if entry.subscription == "none" {
            let item = format!("{}@{}", contact.user, self.subject.domain());
            let set = format!(
                "<iq type='set' id='item'><query xmlns='{}'><item jid='{item}'/></query></iq>",
                ns::ROSTER
            );
            self.client(&user)?.send(set.as_bytes()).await?;
        }
        if matches!(subscription, "both" | "to") {
            self.presence(&user, "subscribe", &contact).await?;
            self.presence(&contact, "subscribed", &user).await?;
        }
        if matches!(subscription, "both" | "from") {
            self.presence(&contact, "subscribe", &user).await?;
            self.presence(&user, "subscribed", &contact).await?;
        }
        if pending.contains(&"out") {
            self.presence(&user, "subscribe", &contact).await?;
        }
        if pending.contains(&"in") {
            self.presence(&contact, "subscribe", &user).await?;
        }
        self.settle().await?;
        for actor in [user, contact] {
            self.leave(&actor).await?;
        }
        self.subject.rest().await;
        Ok(())
    }

    async fn presence(&mut self, by: &Actor, kind: &str, to: &Actor) -> Result<(), String> {
        let domain = self.subject.domain();
        let stanza = format!("<presence type='{kind}' to='{}@{domain}'/>", to.user);
        self.client(by)?.send(stanza.as_bytes()).await?;
        self.settle().await
    }

    fn leftovers(&self) -> Option<String> {
        let mut all = String::new();
        for (actor, client) in &self.clients {
            if let Some(list) = received(client) {
                // Writing to a string cannot fail.
                let _ = write!(all, "for {actor}:\n{list}");
            }
        }
        (!all.is_empty()).then_some(all)
    }
}

/// `from` and `type` if this is presence.
fn presence(event: &Event) -> Option<(Option<&str>, Option<&str>)> {
    match event {
        Event::Stream(StreamEvent::Element(element)) if element.is("presence", ns::CLIENT) => {
            Some((element.attr("from"), element.attr("type")))
        }
        _ => None,
    }
}

fn received(client: &Client) -> Option<String> {
    let text: String = client
        .inbox
        .iter()
        .fold(String::new(), |all, event| match event {
            Event::Stream(StreamEvent::Element(element)) => format!("{all}{element}\n"),
            other => format!("{all}{other:?}\n"),
        });
    (!text.is_empty()).then_some(text)
}

fn list(elements: &[Element]) -> String {
    elements
        .iter()
        .fold(String::new(), |all, element| format!("{all}{element}\n"))
}

/// Gives each template an element, trying again where a choice was wrong.
fn assign(
    templates: &[Template],
    elements: &[Element],
    used: &mut [bool],
    bindings: &Bindings,
) -> Option<Bindings> {
    let Some((template, rest)) = templates.split_first() else {
        return Some(bindings.clone());
    };
    for (at, element) in elements.iter().enumerate() {
        let mut attempt = bindings.clone();
        let free = used.get(at) == Some(&false);
        if !free || template.matches(element, &mut attempt).is_err() {
            continue;
        }
        mark(used, at, true);
        if let Some(found) = assign(rest, elements, used, &attempt) {
            return Some(found);
        }
        mark(used, at, false);
    }
    None
}

fn mark(used: &mut [bool], at: usize, value: bool) {
    if let Some(flag) = used.get_mut(at) {
        *flag = value;
    }
}

/// Why the first template that fits nothing does not fit the element most like it.
fn first_misfit(templates: &[Template], elements: &[Element], bindings: &Bindings) -> String {
    for template in templates {
        let misfits: Vec<String> = elements
            .iter()
            .filter_map(|element| template.matches(element, &mut bindings.clone()).err())
            .map(|mismatch| mismatch.to_string())
            .collect();
        if misfits.len() == elements.len() {
            return misfits.join("\n");
        }
    }
    "each fits alone, but not together".into()
}
