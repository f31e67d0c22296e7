//! The service with a domain of its own, `pubsub.example.org`: what it says of itself, the approval of
//! subscriptions (XEP-0060 § 8.6, § 8.7), and stanzas that it has no use for.

use super::{
    errors::Refusal, items_of, node::Known, node_info, nodes_of, request::Request, service::Call,
};
use crate::{
    Engine,
    feature::{IqCx, IqHandler, IqKind, IqRoute, Place, Reply, Service, Who},
    features::disco,
    route::{Arrival, Hosted, Routed, service::not_for_us},
};
use waxwing_proto::{
    Jid,
    form::{FieldKind, Form, FormKind, FormWriter, NewField},
    ns,
    stanza::{Condition, Kind, StanzaError},
    xml::{Element, Writer},
};
use waxwing_store::{Affiliation, BoxFuture, Micros};

/// Where its requests come.
pub(super) const PLACE: Place = Place::Service(Service::PubSub);

/// What it does with other stanzas.
pub(super) const HOSTED: Hosted = Hosted {
    kind: Service::PubSub,
    arrive: |arrival| Box::pin(arrive(arrival)),
    hand_over: |_, _| Ok(()),
    presence: |_, _, _, _| {},
    settled: None,
};

impl Engine {
    /// Removes the items that are older than their nodes let them be (XEP-0060, `item_expire`);
    /// gives how many. They were not given to anybody any more.
    pub async fn items_expire(&self) -> Result<u64, waxwing_store::StoreError> {
        let now: Micros = self.env().now();
        let removed = self.store().items_expire(now).await?;
        self.metrics().pubsub_items_expired.add(removed);
        Ok(removed)
    }
}

/// Its answer to `ns`, a namespace of service discovery.
pub(super) const fn discovery(ns: &'static str, handler: IqHandler) -> IqRoute {
    IqRoute {
        place: PLACE,
        kind: IqKind::Get,
        name: "query",
        ns,
        who: Who::Anyone,
        handler,
    }
}

/// Its answer to commands.
pub(super) const COMMANDS: IqRoute = IqRoute {
    place: PLACE,
    kind: IqKind::Set,
    name: "command",
    ns: ns::COMMANDS,
    who: Who::Anyone,
    handler: |cx| Box::pin(get_pending(cx)),
};

/// § 5.1, § 5.3
pub(super) fn info(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let Some(node) = cx.payload.attr("node") else {
            let identity = ("pubsub", "service", "Publish-subscribe");
            return Ok(disco::service_info(
                cx.engine.settings(),
                Service::PubSub,
                identity,
                Vec::new(),
            ));
        };
        Ok(disco::answer(&node_info(&cx, &node).await?, Some(&node)))
    })
}

/// § 5.2, § 5.5
pub(super) fn items(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let node = cx.payload.attr("node");
        let items = match &node {
            Some(node) => items_of(&cx, node).await?,
            None => nodes_of(&cx).await?,
        };
        Ok(disco::listed(cx.to, node.as_deref(), items))
    })
}

/// Takes an owner's answer to a subscription request (§ 8.6). When this returns, it is on disk.
async fn arrive(arrival: Arrival<'_>) -> Result<Routed, StanzaError> {
    let stanza = arrival.draft.stanza();
    let is_error = stanza.type_attr().as_deref() == Some("error");
    let to_service = arrival.to.local().is_none() && !arrival.to.is_full();
    let approval = (arrival.draft.kind() == Kind::Message && !is_error && to_service)
        .then(|| approval(stanza.root()))
        .flatten();
    let Some(approval) = approval else {
        return not_for_us(&arrival.draft);
    };
    let Some(approval) = approval? else {
        return Ok(Routed::Done);
    };
    let call = Call {
        engine: arrival.engine,
        owner: &arrival.to.to_bare(),
        from: &arrival.from,
    };
    call.answer(&approval).await?;
    Ok(Routed::Done)
}

/// Reads an owner's answer to a subscription request (§ 8.6). None if a message is none; no request
/// in it if the owner does not decide.
fn approval(message: Element<'_>) -> Option<Result<Option<Request>, Refusal>> {
    let form = Form::find(message).ok().flatten()?;
    if form.form_type() != Some(ns::PUBSUB_AUTHORIZATION) {
        return None;
    }
    let read = || {
        if form.kind == FormKind::Cancel {
            return Ok(None);
        }
        let value = |var| form.value(var).map_err(|_| Refusal::BadRequest);
        let node = value("pubsub#node")?.ok_or(Refusal::NodeIdRequired)?;
        let jid = value("pubsub#subscriber_jid")?.ok_or(Refusal::InvalidJid)?;
        let allow = form.boolean("pubsub#allow");
        Ok(Some(Request::Approve {
            node: node.to_owned(),
            jid: Jid::parse(jid).map_err(|_| Refusal::InvalidJid)?,
            allow: allow
                .map_err(|_| Refusal::BadRequest)?
                .ok_or(Refusal::BadRequest)?,
        }))
    };
    Some(read())
}

/// § 8.7, two steps: the nodes of the asker that somebody waits for; then, of one of them, the
/// requests, which come as messages.
async fn get_pending(cx: IqCx<'_>) -> Result<Reply, StanzaError> {
    if cx.payload.attr("node").as_deref() != Some(ns::PUBSUB_GET_PENDING) {
        return Err(Condition::ItemNotFound.into());
    }
    let call = Call {
        engine: cx.engine,
        owner: cx.to,
        from: cx.from,
    };
    let session = cx.payload.attr("sessionid");
    let session = session.as_deref().unwrap_or(ns::PUBSUB_GET_PENDING);
    match cx.payload.attr("action").as_deref() {
        None | Some("execute" | "complete" | "next") => {}
        Some("cancel") => return Ok(command(session, "canceled", None)),
        Some(_) => return Err(Condition::BadRequest.into()),
    }
    let form = Form::find(cx.payload).map_err(|_| StanzaError::new(Condition::BadRequest))?;
    let chosen = form.as_ref().and_then(|form| form.values("pubsub#node"));
    let Some([node]) = chosen else {
        let names = call.awaited().await?;
        return Ok(command(session, "executing", Some(&names)));
    };
    call.answer(&Request::Pending(node.clone())).await?;
    Ok(command(session, "completed", None))
}

impl Call<'_> {
    /// The names of the asker's nodes that somebody waits to be let in to.
    async fn awaited(&self) -> Result<Vec<String>, StanzaError> {
        let who = self.from.to_bare();
        let owned = |known: &Known| known.affiliation(&who) == Some(Affiliation::Owner);
        let mut names = Vec::new();
        for own in self.own().await?.into_iter().filter(owned) {
            let whole = self.known(&own.node.key.name).await?;
            let waits = |known: &Known| known.node.subscriptions.iter().any(|one| one.pending);
            if whole.as_ref().is_some_and(waits) {
                names.push(own.node.key.name);
            }
        }
        Ok(names)
    }
}

fn command(session: &str, status: &str, nodes: Option<&[String]>) -> Reply {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start_ns("command", ns::COMMANDS)
        .attr("node", ns::PUBSUB_GET_PENDING)
        .attr("sessionid", session)
        .attr("status", status);
    if let Some(nodes) = nodes {
        let options: Vec<(&str, &str)> = nodes
            .iter()
            .map(|name| (name.as_str(), name.as_str()))
            .collect();
        xml.start("actions").attr("execute", "complete");
        xml.start("complete").end().end();
        let mut form = FormWriter::start(&mut xml, FormKind::Form, ns::PUBSUB_AUTHORIZATION);
        form.field(&NewField {
            var: "pubsub#node",
            kind: FieldKind::ListSingle,
            label: Some("Node"),
            options: &options,
            ..NewField::default()
        });
        form.end();
    }
    xml.end();
    Reply::Payload(xml.finish())
}
