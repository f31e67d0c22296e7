//! An external component's side of its handshake (XEP-0114 § 3).

use super::{Client, Event};
use crate::{subject::Subject, xml::StreamEvent};
use sha1::{Digest as _, Sha1};
use std::fmt::Write as _;
use waxwing_proto::ns;

impl Client {
    /// Becomes the component of `domain`.
    pub async fn attach(&mut self, subject: &Subject, domain: &str) -> Result<(), String> {
        let patience = subject.patience();
        self.send(header(domain).as_bytes()).await?;
        let id = match self.next(patience).await {
            Some(Event::Stream(StreamEvent::Open(header))) => header
                .attr("id")
                .map(str::to_owned)
                .ok_or("the stream has no id")?,
            other => return Err(format!("no stream header: {other:?}")),
        };
        let secret = subject.secret(domain);
        let proof = Sha1::digest(format!("{id}{secret}"));
        let hex = proof.iter().fold(String::new(), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        self.send(format!("<handshake>{hex}</handshake>").as_bytes())
            .await?;
        match self.next(patience).await {
            Some(Event::Stream(StreamEvent::Element(element)))
                if element.is("handshake", ns::CLIENT) => {}
            other => return Err(format!("the handshake was not accepted: {other:?}")),
        }
        self.is_component = true;
        self.jid = Some(domain.to_owned());
        Ok(())
    }
}

/// The header of a component's stream.
fn header(domain: &str) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream to='{domain}' xmlns='{}' xmlns:stream='{}'>",
        ns::COMPONENT,
        ns::STREAM
    )
}
