//! What a client asks for: the form, and which page.

use crate::{
    feature::{IqCx, Reply},
    features::{pubsub, stanza_id::StanzaIds},
};
use waxwing_proto::{
    BareJid, Jid,
    form::{FieldKind, Form, FormError, FormKind, FormWriter, NewField},
    ns, rsm,
    stanza::{Condition, StanzaError},
    time,
    xml::{Element, Writer},
};
use waxwing_store::{ArchiveFilter, BoxFuture, Micros, PageFrom, PageRequest};

/// Messages in a page if the client does not say: about a screen or two, and what clients that do
/// say ask for.
const PAGE_DEFAULT: u32 = 50;
/// Messages in a page at most.
const PAGE_MAX: u32 = 250;
/// Bytes of messages in a page. A page is held as a whole until it is written, so this is what a
/// client that does not read costs.
const PAGE_BYTES_MAX: usize = 512 * 1024;
/// Bytes of a `queryid`, which is repeated with each message.
const QUERY_ID_BYTES_MAX: usize = 256;

/// A query as read.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::features) struct Query {
    /// What the client knows it by.
    pub(in crate::features) id: Option<String>,
    /// Which entries.
    pub(in crate::features) filter: ArchiveFilter,
    /// Which page of them.
    pub(in crate::features) request: PageRequest,
}

impl Query {
    /// Reads `<query/>` (§ 4). An id that this archive cannot have is `item-not-found` (§ 4.1.3,
    /// § 4.3.2), a field that is not known `feature-not-implemented` (§ 4.1.5).
    pub(in crate::features) fn read(
        query: Element<'_>,
        account: &BareJid,
        ids: &StanzaIds,
        searches: bool,
    ) -> Result<Self, StanzaError> {
        let id = query.attr("queryid").map(std::borrow::Cow::into_owned);
        if id.as_ref().is_some_and(|id| id.len() > QUERY_ID_BYTES_MAX) {
            return Err(Condition::BadRequest.into());
        }
        let known = |text: &str| ids.read(account, text).ok_or(Condition::ItemNotFound);
        let filter = match Form::find(query).map_err(bad_form)? {
            Some(form) => filter(&form, &known, searches)?,
            None => ArchiveFilter::default(),
        };
        let set = rsm::Request::find(query).map_err(|rsm::BadRequest| Condition::BadRequest)?;
        let max = set.as_ref().and_then(|set| set.max).unwrap_or(PAGE_DEFAULT);
        let page = set.map_or(rsm::Page::First, |set| set.page);
        let from = match page {
            rsm::Page::First => PageFrom::First,
            rsm::Page::After(id) if id.is_empty() => PageFrom::First,
            rsm::Page::After(id) => PageFrom::After(known(&id)?),
            rsm::Page::Last => PageFrom::Last,
            rsm::Page::Before(id) => PageFrom::Before(known(&id)?),
            // XEP-0059 § 2.6
            rsm::Page::Index(_) => return Err(Condition::FeatureNotImplemented.into()),
        };
        let request = PageRequest {
            max: max.min(PAGE_MAX),
            bytes_max: PAGE_BYTES_MAX,
            from,
            flip: query.child("flip-page", ns::MAM).is_some(),
            // Counting costs a walk. Who goes on from page to page has been told, and who begins at
            // the end must not be: COMPAT(slixmpp, 1.17.0): it takes a page whose index and length
            // make the count for the last one, backwards too.
            count: max == 0 || from == PageFrom::First,
        };
        Ok(Self {
            id,
            filter,
            request,
        })
    }
}

/// The fields (§ 4.1). One that is empty is as good as left out.
fn filter(
    form: &Form,
    known: &impl Fn(&str) -> Result<u64, Condition>,
    searches: bool,
) -> Result<ArchiveFilter, StanzaError> {
    if form.kind != FormKind::Submit || form.form_type() != Some(ns::MAM) {
        return Err(Condition::BadRequest.into());
    }
    if !form
        .fields
        .iter()
        .all(|field| fields(searches).any(|(var, _)| var == field.var))
    {
        return Err(Condition::FeatureNotImplemented.into());
    }
    let value = |var| {
        let value = form.value(var).map_err(bad_form)?;
        Ok::<_, StanzaError>(value.filter(|value| !value.is_empty()))
    };
    let with = value("with")?.map(|with| Jid::parse(with).map_err(|_| Condition::BadRequest));
    let time = |var| value(var)?.map(datetime).transpose();
    let id = |var| Ok::<_, StanzaError>(value(var)?.map(known).transpose()?);
    // There are none, whether they are wanted or not.
    form.boolean("include-groupchat").map_err(bad_form)?;
    let ids = form.values("ids").filter(|ids| !ids.is_empty());
    let ids = ids.map(|ids| ids.iter().map(|id| known(id)).collect());
    Ok(ArchiveFilter {
        with: with.transpose()?,
        start: time("start")?,
        end: time("end")?,
        after_id: id("after-id")?,
        before_id: id("before-id")?,
        ids: ids.transpose()?,
        text: value(TEXT)?.map(String::from),
        ..ArchiveFilter::default()
    })
}

/// The fields of the form (§ 4.1.5).
const FIELDS: [(&str, FieldKind); 8] = [
    ("FORM_TYPE", FieldKind::Hidden),
    ("with", FieldKind::JidSingle),
    ("start", FieldKind::TextSingle),
    ("end", FieldKind::TextSingle),
    ("before-id", FieldKind::TextSingle),
    ("after-id", FieldKind::TextSingle),
    ("ids", FieldKind::ListMulti),
    ("include-groupchat", FieldKind::Boolean),
];

/// What messages say (XEP-0431 § 3.1).
const TEXT: &str = "{urn:xmpp:fulltext:0}fulltext";

fn fields(searches: bool) -> impl Iterator<Item = (&'static str, FieldKind)> {
    let text = searches.then_some((TEXT, FieldKind::TextSingle));
    FIELDS.into_iter().chain(text)
}

/// Tells which fields there are (§ 4.1.5), for messages or, with a node, for what is on it.
pub(super) fn form_of_account(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    if cx.payload.attr("node").is_some() {
        pubsub::archive_form(cx)
    } else {
        form(cx)
    }
}

/// Tells which fields there are for messages (§ 4.1.5).
pub(in crate::features) fn form(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        if cx.payload.attr("node").is_some() {
            return Err(Condition::ItemNotFound.into());
        }
        Ok(described(None, cx.engine.settings().archive.search))
    })
}

/// The form of queries for the messages of an archive, or for what is on a node.
pub(in crate::features) fn described(node: Option<&str>, searches: bool) -> Reply {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start_ns("query", ns::MAM).attr_opt("node", node);
    let mut form = FormWriter::start(&mut xml, FormKind::Form, ns::MAM);
    for (var, kind) in fields(searches) {
        if kind != FieldKind::Hidden {
            form.field(&NewField {
                var,
                kind,
                open: kind == FieldKind::ListMulti,
                ..NewField::default()
            });
        }
    }
    form.end();
    xml.end();
    Reply::Payload(xml.finish())
}

fn datetime(text: &str) -> Result<Micros, StanzaError> {
    Ok(time::parse_datetime(text).ok_or(Condition::BadRequest)?)
}

fn bad_form(_: FormError) -> StanzaError {
    Condition::BadRequest.into()
}

#[cfg(test)]
mod tests {
    use super::{PAGE_BYTES_MAX, PAGE_MAX, Query};
    use crate::features::{fixtures::draft, stanza_id::StanzaIds};
    use waxwing_proto::{BareJid, Jid, stanza::Condition};
    use waxwing_store::{ArchiveFilter, PageFrom, PageRequest};

    /// Ids in braces are those of alice's archive.
    fn read(attributes: &str, content: &str) -> Result<Query, Condition> {
        let ids = StanzaIds::new(&[1; 32]);
        let alice = BareJid::parse("alice@localhost").unwrap();
        let mut xml =
            format!("<iq><query xmlns='urn:xmpp:mam:2' {attributes}>{content}</query></iq>");
        for id in 1..4 {
            let shown = ids.show(&alice, id);
            xml = xml.replace(&format!("{{{id}}}"), shown.as_str());
        }
        let bob = BareJid::parse("bob@localhost").unwrap();
        xml = xml.replace("{bob}", ids.show(&bob, 1).as_str());
        let draft = draft(&xml);
        let query = draft.root().children().next().unwrap();
        Query::read(query, &alice, &ids, true).map_err(|error| error.condition)
    }

    fn form(fields: &str) -> String {
        let form_type =
            "<field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field>";
        format!("<x xmlns='jabber:x:data' type='submit'>{form_type}{fields}</x>")
    }

    fn field(var: &str, values: &[&str]) -> String {
        let values = match values {
            [] => String::new(),
            values => format!("<value>{}</value>", values.join("</value><value>")),
        };
        format!("<field var='{var}'>{values}</field>")
    }

    fn set(content: &str) -> String {
        format!("<set xmlns='http://jabber.org/protocol/rsm'>{content}</set>")
    }

    #[test]
    fn filters() {
        let none = ArchiveFilter::default;
        let jid = |text| Some(Jid::parse(text).unwrap());
        for (fields, expected) in [
            (String::new(), none()),
            (
                field("with", &["bob@localhost"]),
                ArchiveFilter {
                    with: jid("bob@localhost"),
                    ..none()
                },
            ),
            (field("with", &[""]) + &field("start", &[]), none()),
            (
                field("start", &["2010-06-07T00:00:00Z"])
                    + &field("end", &["1970-01-01T00:00:01Z"]),
                ArchiveFilter {
                    start: Some(1_275_868_800_000_000),
                    end: Some(1_000_000),
                    ..none()
                },
            ),
            (
                field("after-id", &["{1}"]) + &field("before-id", &["{3}"]),
                ArchiveFilter {
                    after_id: Some(1),
                    before_id: Some(3),
                    ..none()
                },
            ),
            (
                field("ids", &["{3}", "{1}"]),
                ArchiveFilter {
                    ids: Some(vec![3, 1]),
                    ..none()
                },
            ),
            (field("ids", &[]), none()),
            (field("include-groupchat", &["true"]), none()),
        ] {
            let query = read("", &form(&fields)).unwrap();
            assert_eq!(query.filter, expected, "{fields}");
        }
        assert_eq!(read("", "").unwrap().filter, none());
    }

    #[test]
    fn pages() {
        let whole = PageRequest {
            max: 50,
            bytes_max: PAGE_BYTES_MAX,
            from: PageFrom::First,
            flip: false,
            count: true,
        };
        let on = PageRequest {
            count: false,
            ..whole
        };
        let max = |max, request| PageRequest { max, ..request };
        let from = |from, request| PageRequest { from, ..request };
        for (content, expected) in [
            (String::new(), whole),
            (set(""), whole),
            (set("<max>7</max>"), max(7, whole)),
            (set("<max>0</max>"), max(0, whole)),
            (set("<max>4000000000</max>"), max(PAGE_MAX, whole)),
            (set("<after>{2}</after>"), from(PageFrom::After(2), on)),
            (set("<before>{2}</before>"), from(PageFrom::Before(2), on)),
            (set("<before/>"), from(PageFrom::Last, on)),
            (set("<after/>"), whole),
            (
                "<flip-page/>".to_owned(),
                PageRequest {
                    flip: true,
                    ..whole
                },
            ),
            ("<flip-page xmlns='urn:x'/>".to_owned(), whole),
        ] {
            let query = read("queryid='q1'", &content).unwrap();
            assert_eq!(query.request, expected, "{content}");
            assert_eq!(query.id.as_deref(), Some("q1"));
        }
    }

    #[test]
    fn refusals() {
        use Condition::{BadRequest, FeatureNotImplemented, ItemNotFound};
        let long = format!("queryid='{}'", "q".repeat(257));
        for (attributes, content, expected) in [
            (long.as_str(), String::new(), BadRequest),
            ("", form(&field("with", &["@"])), BadRequest),
            ("", form(&field("with", &["a@b", "c@d"])), BadRequest),
            ("", form(&field("start", &["yesterday"])), BadRequest),
            ("", form(&field("end", &["2010-06-07"])), BadRequest),
            (
                "",
                form(&field("include-groupchat", &["maybe"])),
                BadRequest,
            ),
            ("", form(&field("after-id", &["{bob}"])), ItemNotFound),
            ("", form(&field("before-id", &["12"])), ItemNotFound),
            ("", form(&field("ids", &["{1}", "12"])), ItemNotFound),
            ("", form(&field("withtext", &["x"])), FeatureNotImplemented),
            ("", form("").replace("submit", "cancel"), BadRequest),
            ("", form("").replace("mam:2", "mam:1"), BadRequest),
            ("", set("<max>-1</max>"), BadRequest),
            ("", set("<after>{1}</after><before/>"), BadRequest),
            ("", set("<after>{bob}</after>"), ItemNotFound),
            ("", set("<before>12</before>"), ItemNotFound),
            ("", set("<index>2</index>"), FeatureNotImplemented),
        ] {
            let read = read(attributes, &content);
            assert_eq!(read, Err(expected), "{attributes} {content}");
        }
    }
}
