//! What goes to the client: at once, or, while nobody looks at it, when it cannot wait any longer
//! (XEP-0352).

use super::Session;
use crate::{
    outbox::{Delivery, Message},
    output::Output,
    registry::Setting,
};
use waxwing_proto::{
    BareJid,
    csi::{self, Class},
    ns,
    stream::StreamError,
    xml::{Limits, Tree},
};

impl Session {
    /// Takes what somebody else has for the client. An error ends the stream.
    pub fn egress(&mut self, delivery: Delivery, out: &mut Output) -> Result<(), StreamError> {
        match (&delivery, &mut self.csi) {
            (Delivery::OfflineWaiting, _) => self.state.offline.want(),
            (Delivery::End(error), _) => return Err(*error),
            (
                Delivery::Message(Message {
                    archived: Some(id), ..
                })
                | Delivery::Copy(_, id),
                _,
            ) if *id <= self.replayed || self.state.offline.has(*id) => {}
            (_, None) => send(delivery, out),
            (_, Some(csi)) => {
                let class = classify(&delivery, &self.state.account);
                let mut now = Vec::new();
                csi.push(delivery, class, &mut now);
                for delivery in now {
                    send(delivery, out);
                }
            }
        }
        Ok(())
    }

    /// The client is looked at again, or not any more (XEP-0352 § 4).
    pub fn client_state(&mut self, state: csi::State, out: &mut Output) {
        self.state.resource.set(Setting::Indicates, true);
        let csi = self.csi.get_or_insert_default();
        let mut now = Vec::new();
        csi.set(state, &mut now);
        if state == csi::State::Active {
            self.csi = None;
        }
        for delivery in now {
            send(delivery, out);
        }
    }
}

fn send(delivery: Delivery, out: &mut Output) {
    match delivery {
        Delivery::Stanza(sealed) => out.sealed(&sealed),
        Delivery::Message(message) => out.message(message),
        Delivery::Copy(copy, id) => out.copy(&copy, id),
        Delivery::Own(stanza) => out.stanza(stanza),
        // Not for the client.
        Delivery::OfflineWaiting | Delivery::End(_) => {}
    }
}

/// How urgent a stanza is for a client that is not looked at. It is read again for this; what goes
/// to active clients is not.
fn classify(delivery: &Delivery, account: &BareJid) -> Class {
    let sealed = match delivery {
        Delivery::Stanza(sealed) | Delivery::Copy(sealed, _) => sealed,
        Delivery::Message(message) => &message.sealed,
        Delivery::Own(_) | Delivery::OfflineWaiting | Delivery::End(_) => {
            return Class::Urgent;
        }
    };
    let tree = Tree::parse(sealed.to_bytes(), ns::CLIENT, &Limits::S2S);
    tree.map_or(Class::Urgent, |tree| csi::classify(tree.root(), account))
}
