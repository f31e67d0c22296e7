//! How a play on a network knows that all consequences of what was sent have arrived.

use super::Stage;
use crate::{
    client::{Client, Event},
    scenario::Actor,
    xml::StreamEvent,
};
use std::time::Duration;
use waxwing_proto::ns;

impl Stage<'_> {
    /// Makes sure that all consequences of what was sent so far are in the inboxes.
    pub(super) async fn settle(&mut self) -> Result<(), String> {
        self.unheard.clear();
        if self.subject.is_exact() {
            self.subject.rest().await;
        } else {
            // In order of appearance, and twice: what one client's fence brought forth for another
            // is before the other's second fence.
            for _ in 0..2 {
                let live: Vec<Actor> = self
                    .clients
                    .iter()
                    .filter(|(_, client)| client.is_live())
                    .map(|(actor, _)| actor.clone())
                    .collect();
                for actor in live {
                    self.fence(&actor).await?;
                }
            }
        }
        for client in self.clients.values_mut() {
            while let Some(event) = client.read(Duration::ZERO).await {
                client.inbox.push_back(event);
            }
            if !self.subject.is_exact() {
                client.inbox.retain(|event| !is_question(event));
            }
        }
        Ok(())
    }

    /// Before somebody does something, what others have sent was processed: a step never outruns the
    /// one before it. In memory that is so anyway.
    pub(super) async fn hear_out(&mut self, next: Option<&Actor>) -> Result<(), String> {
        if self.subject.is_exact() {
            return Ok(());
        }
        for actor in std::mem::take(&mut self.unheard) {
            let live = self.clients.get(&actor).is_some_and(Client::is_live);
            if next == Some(&actor) {
                self.unheard.insert(actor);
            } else if live {
                self.fence(&actor).await?;
            }
        }
        Ok(())
    }

    /// A question to the server and its answer: all that was sent before has been processed, all that
    /// was queued for this client before has arrived. A ping, or, where stanzas are counted, what is
    /// none (XEP-0198 § 4). When the server itself asks depends on how the stanzas come together on
    /// the network; so there it is neither expected nor left over.
    pub(super) async fn fence(&mut self, actor: &Actor) -> Result<(), String> {
        self.fences += 1;
        let id = format!("fence-{}", self.fences);
        let patience = self.subject.patience();
        let domain = self.subject.domain();
        let client = self.client(actor)?;
        let question = if let Some(questions) = &mut client.questions {
            *questions += 1;
            format!("<r xmlns='{}'/>", ns::SM)
        } else {
            let from = if client.is_component {
                format!(" from='{}'", actor.user)
            } else {
                String::new()
            };
            let ping = ns::PING;
            format!("<iq type='get' id='{id}'{from} to='{domain}'><ping xmlns='{ping}'/></iq>")
        };
        if client.send(question.as_bytes()).await.is_err() {
            return Ok(());
        }
        loop {
            match client.read(patience).await {
                Some(Event::Stream(StreamEvent::Element(element)))
                    if element.attr("id") == Some(&id)
                        || client.questions == Some(0) && element.is("a", ns::SM) =>
                {
                    return Ok(());
                }
                Some(event) => client.inbox.push_back(event),
                None if !client.is_live() => return Ok(()),
                None => return Err(format!("{actor}: a fence was not answered")),
            }
        }
    }
}

/// Whether the server asks how much the client has received.
pub(super) fn is_question(event: &Event) -> bool {
    matches!(event, Event::Stream(StreamEvent::Element(element)) if element.is("r", ns::SM))
}
