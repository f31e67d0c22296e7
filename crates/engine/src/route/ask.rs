//! Requests that the server itself makes of other domains, and their answers.

use crate::Engine;
use bytes::Bytes;
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::time::Duration;
use tokio::{sync::oneshot, time::timeout};
use waxwing_proto::{
    Jid, ns,
    stanza::{Condition, Kind, Sealed, Stanza, StanzaError},
    xml::Writer,
};

/// The requests that have no answer yet, by their ids.
#[derive(Debug, Default)]
pub(crate) struct Questions(Mutex<HashMap<String, Question>>);

#[derive(Debug)]
struct Question {
    /// Who was asked, and nobody else may answer.
    to: Jid,
    answer: oneshot::Sender<Result<(), StanzaError>>,
}

impl Questions {
    /// Takes an IQ of type `result` or `error` to the server. What nobody waits for is dropped.
    pub(crate) fn answered(&self, answer: &Stanza, from: &Jid) {
        let Some(id) = answer.id() else { return };
        let question = {
            let mut questions = self.0.lock();
            if questions.get(&*id).is_none_or(|asked| asked.to != *from) {
                return;
            }
            questions.remove(&*id)
        };
        let answer = match answer.type_attr().as_deref() {
            Some("result") => Ok(()),
            _ => Err(StanzaError::read(answer)),
        };
        if let Some(question) = question {
            // Whoever asked may have given up meanwhile.
            drop(question.answer.send(answer));
        }
    }
}

/// Removes a question, answered or not.
struct Asked<'a>(&'a Questions, String);

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.0.0.lock().remove(&self.1);
    }
}

impl Engine {
    /// Sends `to`, at another domain, an IQ of type `set` from a domain of ours, and waits for the
    /// answer; `remote-server-timeout` if there is none within `patience`.
    pub(crate) async fn ask(
        &self,
        from: &str,
        to: &Jid,
        payload: &Bytes,
        patience: Duration,
    ) -> Result<(), StanzaError> {
        let id = self.env().token();
        let mut xml = Writer::new(ns::CLIENT);
        xml.start("iq")
            .attr("to", to.as_str())
            .attr("from", from)
            .attr("id", &id)
            .attr("type", "set")
            .raw(payload);
        let stanza = Sealed::from_bytes(Kind::Iq, xml.finish());
        let (answer, answered) = oneshot::channel();
        let question = Question {
            to: to.clone(),
            answer,
        };
        self.questions().0.lock().insert(id.clone(), question);
        let _asked = Asked(self.questions(), id);
        self.send_away(from, to.domain(), stanza)?;
        match timeout(patience, answered).await {
            Ok(Ok(answer)) => answer,
            _ => Err(Condition::RemoteServerTimeout.into()),
        }
    }
}
