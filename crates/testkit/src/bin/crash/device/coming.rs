//! How a client comes back: resuming, or a new session and what it has missed.

use super::{Device, Kind, Management, Occasion, Reading, Sent};
use crate::{
    archive,
    entry::{Beginning, Entry, Party},
    rooms,
    session::{Break, PATIENCE, Step, authenticated, authenticated_inline, cut_or, next, send},
    values::Values,
};
use waxwing_proto::ns;
use waxwing_testkit::{client::Client, xml::Element};

impl Device {
    /// A connection with everything done that comes before new messages.
    pub(super) async fn connect(&mut self, resends: bool) -> Step<Client> {
        self.connection += 1;
        self.readings().for_each(Reading::begin);
        let resumable = self.sm.as_ref().is_some_and(|sm| sm.id.is_some());
        let (mut client, features, resumed) = self.log_in().await?;
        let beginning = if resumed {
            // A connection before may have ended while it was catching up.
            for reading in self.readings() {
                reading.catching_up = reading.behind;
            }
            if !self.appeared {
                self.appear(&mut client).await?;
            }
            Beginning::Resumed
        } else {
            let beginning = if resumable {
                Beginning::Refused
            } else {
                Beginning::Bound
            };
            self.begin(&mut client, &features).await?;
            beginning
        };
        self.world.journal.add(&Entry::Connected {
            device: self.id,
            connection: self.connection,
            beginning,
            after_crash: std::mem::take(&mut self.after_crash),
        });
        if self.kind != Kind::Offline {
            self.catch_up(&mut client, Party::Account(self.id.account))
                .await?;
        }
        self.be_in_rooms(&mut client, beginning).await?;
        if self.id.index == 0 {
            self.read_values(&mut client).await?;
        }
        self.send_lost(&mut client, resends).await?;
        Ok(client)
    }

    /// Logs in and, where there is something to resume, resumes it: some clients along with the login
    /// (XEP-0388), the others afterwards. Gives what the server offers, and whether it was resumed.
    async fn log_in(&mut self) -> Step<(Client, Element, bool)> {
        let (connector, account) = (self.world.connector, self.id.account);
        let request = self.request_to_resume();
        if self.id.index == 1 {
            let inline = request.as_deref().unwrap_or_default();
            if let Some(done) = authenticated_inline(connector, account, inline).await? {
                self.world.note_login();
                let mut client = done.client;
                let mut answers = done
                    .success
                    .children()
                    .filter(|child| child.name.0 == ns::SM);
                let resumed = match (&request, answers.next()) {
                    (None, _) => false,
                    (Some(_), Some(answer)) => self.was_resumed(&mut client, answer).await?,
                    (Some(_), None) => {
                        return Err(Break::Wrong("no answer to an inline <resume/>".into()));
                    }
                };
                return Ok((client, done.features, resumed));
            }
        }
        let (mut client, features) = authenticated(connector, account).await?;
        self.world.note_login();
        let Some(request) = request else {
            return Ok((client, features, false));
        };
        send(&mut client, &request).await?;
        let answer = next(&mut client, PATIENCE).await?;
        let answer = answer.ok_or_else(|| Break::Wrong("no answer to <resume/>".into()))?;
        let resumed = self.was_resumed(&mut client, &answer).await?;
        Ok((client, features, resumed))
    }

    fn request_to_resume(&self) -> Option<String> {
        let sm = self.sm.as_ref()?;
        let (id, received) = (sm.id.as_deref()?, sm.received);
        let id = waxwing_testkit::xml::Escaped(id);
        Some(format!(
            "<resume xmlns='{}' h='{received}' previd='{id}'/>",
            ns::SM
        ))
    }

    /// Takes the answer to a request to resume (XEP-0198 § 5); false if the server will not.
    async fn was_resumed(&mut self, client: &mut Client, answer: &Element) -> Step<bool> {
        let h = answer.attr("h").and_then(|h| h.parse().ok());
        if let Some(h) = h {
            self.acked(h);
        }
        if answer.is("failed", ns::SM) {
            eprintln!("{} may not resume its session: {answer}", self.id);
            self.end_stream();
            return Ok(false);
        }
        if !answer.is("resumed", ns::SM) {
            return Err(Break::Wrong(format!("resuming gave {answer}")));
        }
        // § 5: what the server has not counted is sent again.
        let again: Vec<Sent> = self.sm.iter().flat_map(|sm| sm.unacked.clone()).collect();
        self.write(client, &again, Occasion::Resumed).await?;
        Ok(true)
    }

    /// A new session: binding, acknowledgements, carbons, presence.
    async fn begin(&mut self, client: &mut Client, features: &Element) -> Step {
        self.end_stream();
        for reading in self.readings() {
            reading.behind = true;
        }
        for stay in &mut self.stays {
            stay.inside = false;
        }
        self.stream += 1;
        self.seq = 0;
        let resource = self.id.resource();
        client.bind(&resource, PATIENCE).await.map_err(cut_or)?;
        if features.child("sm", ns::SM).is_some() {
            self.enable(client).await?;
        }
        self.appeared = false;
        self.appear(client).await
    }

    /// Carbons and presence. What is sent is sent again if the session is resumed; a session may be
    /// resumed that had no time to send it.
    async fn appear(&mut self, client: &mut Client) -> Step {
        let carbons = format!("<enable xmlns='{}'/>", ns::CARBONS);
        self.request(client, "set", None, &carbons).await?;
        let presence = Sent::other("<presence/>".into());
        self.appeared = true;
        self.write(client, &[presence], Occasion::First).await
    }

    async fn enable(&mut self, client: &mut Client) -> Step {
        let resume = match self.kind {
            Kind::Resuming => " resume='true'",
            _ => "",
        };
        send(client, &format!("<enable xmlns='{}'{resume}/>", ns::SM)).await?;
        loop {
            let answer = next(client, PATIENCE).await?;
            let answer = answer.ok_or_else(|| Break::Wrong("no answer to <enable/>".into()))?;
            if answer.is("enabled", ns::SM) {
                self.sm = Some(Management {
                    id: answer.attr("id").map(str::to_owned),
                    ..Management::default()
                });
                return Ok(());
            }
            if answer.is("failed", ns::SM) {
                return Err(Break::Wrong("acknowledgements are refused".into()));
            }
            self.take(client, &answer).await?;
        }
    }

    /// Asks an archive for what came since, if it has not done so in this session, unless there is
    /// none.
    pub(super) async fn catch_up(&mut self, client: &mut Client, of: Party) -> Step {
        let has_archive = self.world.abilities.get().archive;
        let Some(reading) = self.reading(of).filter(|reading| reading.behind) else {
            return Ok(());
        };
        let mut after = reading.caught_up.clone();
        if !has_archive {
            reading.end(after);
            return Ok(());
        }
        let to = match of {
            Party::Account(_) => None,
            Party::Room(room) => Some(rooms::address(room)),
        };
        loop {
            let query = archive::query(&archive::Page::after(after.as_deref(), 50));
            let answer = self.request(client, "set", to.as_deref(), &query).await?;
            if answer.attr("type") == Some("error") {
                let Some(id) = after.take() else {
                    return Err(Break::Wrong(format!("the archive gave {answer}")));
                };
                let device = self.id;
                self.world.journal.add(&Entry::Vanished { device, id });
                continue;
            }
            let end = archive::end(&answer).map_err(Break::Wrong)?;
            after = end.last.or(after);
            if end.complete {
                break;
            }
        }
        self.world.journal.sync().await;
        if let Some(reading) = self.reading(of) {
            reading.end(after);
        }
        Ok(())
    }

    /// Sends again what may not have arrived, or gives it up for ever: sending only some of it later
    /// would change the order.
    async fn send_lost(&mut self, client: &mut Client, resends: bool) -> Step {
        let lost: Vec<Sent> = std::mem::take(&mut self.lost).into();
        if !resends {
            return Ok(());
        }
        self.write(client, &lost, Occasion::Again).await
    }

    /// The session cannot be resumed, so what it has not acknowledged is in doubt.
    pub(super) fn end_stream_if_lost(&mut self) {
        if self.sm.as_ref().is_some_and(|sm| sm.id.is_none()) {
            self.end_stream();
        }
    }

    fn end_stream(&mut self) {
        if let Some(sm) = self.sm.take() {
            let messages = sm.unacked.into_iter().filter(|sent| sent.message.is_some());
            self.lost.extend(messages);
        }
    }

    async fn read_values(&mut self, client: &mut Client) -> Step {
        for what in 0..Values::COUNT {
            if !self.values.has(what) {
                continue;
            }
            let to = Values::to(what);
            let payload = Values::get(what);
            let answer = self.request(client, "get", to.as_deref(), &payload).await?;
            if let Some(entry) = self.values.was_read(what, &answer) {
                self.world.journal.add(&entry);
            }
        }
        Ok(())
    }
}
