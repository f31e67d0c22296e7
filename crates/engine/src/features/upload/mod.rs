//! Uploads ([XEP-0363](https://xmpp.org/extensions/xep-0363.html), 1.2.0): a client asks the service
//! for a slot, puts a file there by HTTP, and sends others the address.
//!
//! A slot is nothing that the server keeps: [`slot`] signs what was granted, and whoever brings that
//! with a file has it kept. What HTTP then does with files is the shell's; [`kept`] is what it asks.
//!
//! Decisions on what the specification leaves open:
//! - The address has a random name (§ 10.3) and the file's name, which is there for people and for
//!   nothing else: the server does not keep it.
//! - Only accounts of the domain that the service belongs to may upload.
//! - A purpose that we do not know is none (§ 5: `message`).
//! - Files for messages end with [`crate::Uploads::keep_days`]; those for profiles and permanent
//!   ones stay as long as the account (§ 5.2, § 5.4).

mod kept;
mod slot;
mod wish;

pub use slot::{PATH, Slot};

use super::disco;
use crate::{
    Service, error,
    feature::{Coverage, Disco, Feature, IqCx, IqHandler, IqKind, IqRoute, Place, Reply, Who, Xep},
    route::{Hosted, service::not_for_us},
};
use waxwing_proto::{
    caps::InfoForm,
    ns,
    stanza::{Condition, ErrorType, StanzaError},
    xml::Writer,
};
use waxwing_store::BoxFuture;
use wish::Wish;

/// The feature.
pub(crate) const FEATURE: Feature = Feature {
    name: "upload",
    xeps: &[Xep {
        number: 363,
        version: "1.2.0",
        title: "HTTP File Upload",
        coverage: Coverage::Complete,
    }],
    disco: &[
        service(ns::DISCO_INFO),
        service(ns::DISCO_ITEMS),
        service(ns::UPLOAD),
        // COMPAT(Conversations, 2.19): looks for the namespace alone.
        service(ns::UPLOAD_PURPOSE),
        service("urn:xmpp:http:upload:purpose:0#message"),
        service("urn:xmpp:http:upload:purpose:0#profile"),
        service("urn:xmpp:http:upload:purpose:0#ephemeral"),
        service("urn:xmpp:http:upload:purpose:0#permanent"),
    ],
    iq: &[
        route("query", ns::DISCO_INFO, info),
        route("query", ns::DISCO_ITEMS, items),
        route("request", ns::UPLOAD, request),
    ],
    hosted: Some(Hosted {
        kind: Service::Uploads,
        arrive: |arrival| Box::pin(async move { not_for_us(&arrival.draft) }),
        hand_over: |_, _| Ok(()),
        presence: |_, _, _, _| {},
        settled: None,
    }),
    ..Feature::NONE
};

const PLACE: Place = Place::Service(Service::Uploads);

const fn service(var: &'static str) -> Disco {
    Disco { place: PLACE, var }
}

const fn route(name: &'static str, ns: &'static str, handler: IqHandler) -> IqRoute {
    IqRoute {
        place: PLACE,
        kind: IqKind::Get,
        name,
        ns,
        who: Who::Anyone,
        handler,
    }
}

/// § 3.
fn info(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        if cx.payload.attr("node").is_some() {
            return Err(Condition::ItemNotFound.into());
        }
        let settings = cx.engine.settings();
        let largest = settings.uploads.file_bytes_max.to_string();
        let form = InfoForm {
            form_type: ns::UPLOAD.to_owned(),
            fields: vec![("max-file-size".to_owned(), vec![largest])],
        };
        let identity = ("store", "file", "HTTP File Upload");
        Ok(disco::service_info(
            settings,
            Service::Uploads,
            identity,
            vec![form],
        ))
    })
}

fn items(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move { Ok(disco::listed(cx.to, None, Vec::new())) })
}

/// § 4.
fn request(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let metrics = cx.engine.metrics();
        let granted = grant(&cx).await;
        match &granted {
            Ok(_) => metrics.upload_slots.inc(),
            Err(_) => metrics.upload_slots_refused.inc(),
        }
        granted
    })
}

async fn grant(cx: &IqCx<'_>) -> Result<Reply, StanzaError> {
    let engine = cx.engine;
    let (limits, account) = (&engine.settings().uploads, cx.from.to_bare());
    let host = engine.service(cx.to.domain()).map(|service| &*service.host);
    if account.local().is_none() || host != Some(account.domain()) {
        return Err(StanzaError::new(Condition::Forbidden)
            .text("Only people of this server can upload files here."));
    }
    let Some(domain) = engine.settings().domain(account.domain()) else {
        return Err(Condition::Forbidden.into());
    };
    let now = engine.env().now();
    let wish = Wish::read(cx.payload, now)?;
    if wish.bytes > limits.file_bytes_max {
        return Err(StanzaError::new(Condition::NotAcceptable)
            .kind(ErrorType::Modify)
            .text("The file is too large.")
            .app("file-too-large", ns::UPLOAD)
            .app_child("max-file-size", limits.file_bytes_max));
    }
    let used = engine.store().upload_use(account.clone()).await;
    let used = used.map_err(|e| error::from_store(engine, &e))?;
    if used.files >= u64::from(limits.account_files_max)
        || used.bytes.saturating_add(wish.bytes) > limits.account_bytes_max
    {
        engine.metrics().quota_refusals.inc();
        return Err(StanzaError::new(Condition::ResourceConstraint)
            .text("You have uploaded as much as you may."));
    }
    let slot = Slot {
        name: engine.env().token(),
        account,
        bytes: wish.bytes,
        media_type: wish.media_type,
        lifetime: wish.lifetime,
        expires: now.saturating_add(micros(limits.slot_lifetime)),
    };
    let address = slot.address(&domain.uploads, &wish.file);
    let authorization = engine.upload_authorization(&slot);
    let mut xml = Writer::new(ns::CLIENT);
    xml.start_ns("slot", ns::UPLOAD);
    xml.start("put").attr("url", &address);
    xml.start("header").attr("name", "Authorization");
    xml.text(&authorization).end().end();
    xml.start("get").attr("url", &address).end().end();
    Ok(Reply::Payload(xml.finish()))
}

fn micros(duration: std::time::Duration) -> waxwing_store::Micros {
    duration.as_micros().try_into().unwrap_or(i64::MAX)
}
