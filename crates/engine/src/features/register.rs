//! In-band registration ([XEP-0077](https://xmpp.org/extensions/xep-0077.html), 2.4).
//!
//! Before login, where a domain is open: one account for a name and a password, at most
//! `registrations_per_hour_max` from one address. After login: a new password, or the end of the
//! account and everything kept for it. Passwords are never written to a reply or a log.

use crate::{
    Engine, error,
    feature::{Coverage, Disco, Feature, IqCx, IqHandler, IqKind, IqRoute, Place, Reply, Who, Xep},
};
use bytes::Bytes;
use std::net::IpAddr;
use waxwing_proto::{
    BareJid, Jid, ns,
    sasl::{SALT_BYTES, Verifiers},
    stanza::{Condition, Stanza, StanzaError},
    xml::{Element, Writer},
};
use waxwing_store::{BoxFuture, StoreError};

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "register",
    xeps: &[Xep {
        number: 77,
        version: "2.4",
        title: "In-Band Registration",
        coverage: Coverage::Complete,
    }],
    disco: &[Disco {
        place: Place::Domain,
        var: ns::REGISTER,
    }],
    iq: &[
        route(Place::Account, IqKind::Get, get),
        route(Place::Account, IqKind::Set, set),
        route(Place::Domain, IqKind::Get, get),
        route(Place::Domain, IqKind::Set, set),
    ],
    ..Feature::NONE
};

const fn route(place: Place, kind: IqKind, handler: IqHandler) -> IqRoute {
    IqRoute {
        place,
        kind,
        name: "query",
        ns: ns::REGISTER,
        who: Who::Owner,
        handler,
    }
}

/// Answers a request on a stream that has not logged in (§ 3.1.1). The stream machine lets it
/// through only on domains that are open.
pub(crate) async fn before_login(
    engine: &Engine,
    peer: IpAddr,
    host: &str,
    stanza: &Stanza,
) -> Bytes {
    let answer = match (
        stanza.type_attr().as_deref(),
        stanza.root().children().next(),
    ) {
        (Some("get"), Some(_)) => Ok(Some(fields())),
        (Some("set"), Some(query)) => create(engine, peer, host, query).await.map(|()| None),
        _ => Err(StanzaError::new(Condition::BadRequest)),
    };
    let from = Jid::parse(host).ok();
    match answer {
        Ok(payload) => result(stanza, host, payload.as_deref()),
        Err(error) => {
            engine.metrics().stanza_errors.inc();
            error
                .answer(stanza, from.as_ref(), None)
                .unwrap_or_default()
        }
    }
}

async fn create(
    engine: &Engine,
    peer: IpAddr,
    host: &str,
    query: Element<'_>,
) -> Result<(), StanzaError> {
    if query.child("remove", ns::REGISTER).is_some() {
        // § 3.2: nobody is registered on this stream.
        return Err(Condition::UnexpectedRequest.into());
    }
    let form = Form::read(query)?;
    let account = BareJid::from_parts(Some(&form.username), host).map_err(|_| {
        StanzaError::new(Condition::NotAcceptable).text("This name cannot be used.")
    })?;
    if !engine.gate().admits_registration(engine.env().now(), peer) {
        engine.metrics().registration_refusals.inc();
        return Err(StanzaError::new(Condition::NotAcceptable)
            .text("Too many accounts were registered from this address. Try again later."));
    }
    let verifiers = derive(engine, &form.password)?;
    match engine.account_create(&account, verifiers).await {
        Ok(()) => {
            engine.metrics().registrations.inc();
            Ok(())
        }
        Err(StoreError::Exists) => Err(Condition::Conflict.into()),
        Err(failure) => Err(error::from_store(engine, &failure)),
    }
}

/// § 3.1, for an account: it is registered, under this name.
fn get(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let mut xml = Writer::new(ns::CLIENT);
        xml.start_ns("query", ns::REGISTER)
            .start("registered")
            .end()
            .leaf("username", cx.from.local().unwrap_or_default())
            .start("password")
            .end()
            .end();
        Ok(Reply::Payload(xml.finish()))
    })
}

/// § 3.2 and § 3.3
fn set(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let account = cx.from.to_bare();
        let foreign = account.domain() != cx.to.domain();
        if foreign || cx.session.is_none() {
            return Err(Condition::NotAllowed.into());
        }
        if cx.payload.child("remove", ns::REGISTER).is_some() {
            if cx.payload.children().count() != 1 {
                return Err(Condition::BadRequest.into());
            }
            cx.engine.account_remove(&account).await?;
            return Ok(Reply::Empty);
        }
        let form = Form::read(cx.payload).map_err(|_| {
            StanzaError::new(Condition::BadRequest).text("A name and a password are needed.")
        })?;
        let named = BareJid::from_parts(Some(&form.username), account.domain());
        if named.ok().as_ref() != Some(&account) {
            return Err(Condition::NotAllowed.into());
        }
        let verifiers = derive(cx.engine, &form.password)?;
        let keep = cx.session.map(|session| session.resource.generation);
        let done = cx.engine.password_set(&account, verifiers, keep).await;
        done.map_err(|failure| error::from_store(cx.engine, &failure))?;
        Ok(Reply::Empty)
    })
}

/// What § 3.1 asks for: the two fields, each with something in it.
struct Form {
    username: String,
    password: String,
}

impl Form {
    fn read(query: Element<'_>) -> Result<Self, StanzaError> {
        let field = |name| {
            query
                .child(name, ns::REGISTER)
                .map(|field| field.text().into_owned())
                .filter(|text| !text.is_empty())
                .ok_or_else(|| StanzaError::new(Condition::NotAcceptable))
        };
        Ok(Self {
            username: field("username")?,
            password: field("password")?,
        })
    }
}

/// Takes some 20 ms, on the connection's task: registrations are bounded by
/// `registrations_per_hour_max`, and who changes a password has logged in.
fn derive(engine: &Engine, password: &str) -> Result<Verifiers, StanzaError> {
    let secret = engine.env().secret();
    let salt = secret.get(..SALT_BYTES).unwrap_or(&secret);
    Verifiers::derive(password, salt, engine.settings().limits.scram_iterations).map_err(|_| {
        StanzaError::new(Condition::NotAcceptable).text("This password cannot be used.")
    })
}

fn fields() -> Bytes {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start_ns("query", ns::REGISTER)
        .leaf("instructions", "Choose a name and a password.")
        .start("username")
        .end()
        .start("password")
        .end()
        .end();
    xml.finish()
}

fn result(stanza: &Stanza, host: &str, payload: Option<&[u8]>) -> Bytes {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start("iq")
        .attr("type", "result")
        .attr_opt("id", stanza.id().as_deref())
        .attr("from", host);
    if let Some(payload) = payload {
        xml.raw(payload);
    }
    xml.end();
    xml.finish()
}

#[cfg(test)]
mod tests {
    use super::Form;
    use crate::features::fixtures::draft;

    #[test]
    fn a_form_has_a_name_and_a_password_with_something_in_them() {
        let both = "<username>bill</username><password>Calliope</password>";
        for (fields, complete) in [
            (both.to_owned(), true),
            (format!("{both}<email>bard@example.org</email>"), true),
            ("<username>bill</username>".to_owned(), false),
            ("<password>Calliope</password>".to_owned(), false),
            ("<username/><password>Calliope</password>".to_owned(), false),
            ("<username>bill</username><password/>".to_owned(), false),
            (
                both.replace("<password>", "<password xmlns='urn:x'>"),
                false,
            ),
            (String::new(), false),
        ] {
            let xml = format!("<iq><query xmlns='jabber:iq:register'>{fields}</query></iq>");
            let draft = draft(&xml);
            let form = Form::read(draft.root().children().next().unwrap());
            assert_eq!(form.is_ok(), complete, "{fields}");
            if let Ok(form) = form {
                assert_eq!((&*form.username, &*form.password), ("bill", "Calliope"));
            }
        }
    }
}
