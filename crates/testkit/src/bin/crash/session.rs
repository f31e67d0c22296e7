//! A stream that is logged in: requests with answers, and whatever else comes in between.

use crate::{entry::account_name, server::Connector};
use std::time::Duration;
use tokio::time::Instant;
use waxwing_proto::ns;
use waxwing_testkit::{
    client::{Client, Event, choose},
    subject::DOMAIN,
    xml::{Element, StreamEvent},
};

/// How long anything that must come may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Password of every account.
const PASSWORD: &str = "correct horse battery staple";

/// Why a client cannot go on with its connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Break {
    /// The connection has ended, as it does when the server is killed.
    Cut,
    /// Something did not come in time, or something came that must not.
    Wrong(String),
}

/// What a client step gives.
pub(crate) type Step<T = ()> = Result<T, Break>;

/// Connects and authenticates; what the server offers then is returned.
pub(crate) async fn authenticated(connector: Connector, account: u32) -> Step<(Client, Element)> {
    let mut client = connector.connect().await.map_err(|_| Break::Cut)?;
    let features = client.open_stream(DOMAIN, PATIENCE).await.map_err(cut_or)?;
    let mechanism = choose(&features, None).map_err(Break::Wrong)?;
    let user = account_name(account);
    let failure = client
        .authenticate(&mechanism, &user, PASSWORD, PATIENCE)
        .await
        .map_err(cut_or)?;
    if let Some(condition) = failure {
        return Err(Break::Wrong(format!("login refused: {condition}")));
    }
    let features = client.open_stream(DOMAIN, PATIENCE).await.map_err(cut_or)?;
    Ok((client, features))
}

/// A stream on which a login was done by XEP-0388.
pub(crate) struct Inline {
    pub(crate) client: Client,
    /// What the server offers now.
    pub(crate) features: Element,
    pub(crate) success: Element,
}

/// [`authenticated`] by XEP-0388, asking for `inline` along with it. None where the server does not
/// offer it.
pub(crate) async fn authenticated_inline(
    connector: Connector,
    account: u32,
    inline: &str,
) -> Step<Option<Inline>> {
    let mut client = connector.connect().await.map_err(|_| Break::Cut)?;
    let features = client.open_stream(DOMAIN, PATIENCE).await.map_err(cut_or)?;
    if features.child("authentication", ns::SASL2).is_none() {
        return Ok(None);
    }
    let user = account_name(account);
    let success = client
        .authenticate_with(&features, (&user, PASSWORD), inline, PATIENCE)
        .await
        .map_err(cut_or)?
        .map_err(|condition| Break::Wrong(format!("login refused: {condition}")))?;
    let features = if success.child("resumed", ns::SM).is_some() {
        // § 5 of XEP-0198 goes on where the session was: nothing more is offered.
        features
    } else {
        let features = next(&mut client, PATIENCE).await?;
        features.ok_or_else(|| Break::Wrong("no features after the login".into()))?
    };
    Ok(Some(Inline {
        client,
        features,
        success,
    }))
}

/// The client's own steps tell in words what came instead of what they expect.
pub(crate) fn cut_or(text: String) -> Break {
    let is_cut = ["Some(Cut)", "Some(Torn)", "os error"]
        .iter()
        .any(|word| text.contains(word));
    if is_cut {
        Break::Cut
    } else {
        Break::Wrong(text)
    }
}

/// Makes an account (XEP-0077), as every server here lets anybody.
pub(crate) async fn register(connector: Connector, account: u32) -> Step {
    let mut client = connector.connect().await.map_err(|_| Break::Cut)?;
    client.open_stream(DOMAIN, PATIENCE).await.map_err(cut_or)?;
    let request = format!(
        "<iq type='set' id='register'><query xmlns='{}'><username>{}</username>\
         <password>{PASSWORD}</password></query></iq>",
        ns::REGISTER,
        account_name(account)
    );
    send(&mut client, &request).await?;
    let answer = next(&mut client, PATIENCE).await?;
    match answer {
        Some(answer) if answer.attr("type") == Some("result") => Ok(()),
        other => Err(Break::Wrong(format!("registration: {other:?}"))),
    }
}

/// Sends text.
pub(crate) async fn send(client: &mut Client, text: &str) -> Step {
    client.send(text.as_bytes()).await.map_err(|_| Break::Cut)
}

/// The next element within `patience`.
pub(crate) async fn next(client: &mut Client, patience: Duration) -> Step<Option<Element>> {
    match client.next(patience).await {
        None => Ok(None),
        Some(Event::Stream(StreamEvent::Element(element))) => {
            if element.is("error", ns::STREAM) {
                return Err(Break::Wrong(format!("stream error: {element}")));
            }
            Ok(Some(element))
        }
        Some(Event::Stream(StreamEvent::Text(text))) => {
            Err(Break::Wrong(format!("text between stanzas: {text}")))
        }
        Some(Event::Stream(StreamEvent::Open(_))) => {
            Err(Break::Wrong("a second stream header".into()))
        }
        Some(Event::Stream(StreamEvent::Close) | Event::Cut | Event::Torn) => Err(Break::Cut),
        // A kill may cut an element in two; the reader then says that it is not complete.
        Some(Event::Broken(reason)) => Err(Break::Wrong(reason)),
    }
}

/// Asks and waits for the answer, for a client that does nothing else.
pub(crate) async fn ask(
    client: &mut Client,
    id: &str,
    request: &str,
    mut other: impl FnMut(&Element),
) -> Step<Element> {
    send(client, request).await?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let patience = deadline.saturating_duration_since(Instant::now());
        match next(client, patience).await? {
            None => return Err(Break::Wrong(format!("no answer to {request}"))),
            Some(element) if is_answer(&element, id) => return Ok(element),
            Some(element) => other(&element),
        }
    }
}

/// Whether this answers the request `id`.
pub(crate) fn is_answer(element: &Element, id: &str) -> bool {
    element.is("iq", ns::CLIENT)
        && element.attr("id") == Some(id)
        && matches!(element.attr("type"), Some("result" | "error"))
}
