//! Reading archives (XEP-0313) in pages (XEP-0059), for catching up and for the audit.

use crate::{
    entry::{Channel, Digest, Key, Party},
    server::Connector,
    session::{Break, PATIENCE, Step, ask, authenticated, cut_or},
    stanza::{self, Arrival, address, bare},
};
use waxwing_proto::ns;
use waxwing_testkit::{
    client::Client,
    xml::{Element, Escaped},
};

/// Page sizes of the audit.
pub(crate) const SIZES: [u32; 3] = [1, 7, 100];

/// Which page of an archive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page<'a> {
    max: u32,
    /// Behind this id.
    after: Option<&'a str>,
    /// In front of this id, or the last page if it is empty.
    before: Option<&'a str>,
}

impl<'a> Page<'a> {
    pub(crate) fn after(after: Option<&'a str>, max: u32) -> Self {
        let before = None;
        Self { max, after, before }
    }
    fn before(before: &'a str, max: u32) -> Self {
        let before = Some(before);
        let after = None;
        Self { max, after, before }
    }
}

/// The payload that asks for a page.
pub(crate) fn query(page: &Page<'_>) -> String {
    let id = |name: &str, id: Option<&str>| match id {
        Some(id) => format!("<{name}>{}</{name}>", Escaped(id)),
        None => String::new(),
    };
    format!(
        "<query xmlns='{}'><set xmlns='{}'><max>{}</max>{}{}</set></query>",
        ns::MAM,
        ns::RSM,
        page.max,
        id("after", page.after),
        id("before", page.before)
    )
}

/// What the end of a page says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) complete: bool,
    pub(crate) first: Option<String>,
    pub(crate) last: Option<String>,
}

/// Reads the answer to a query.
pub(crate) fn end(answer: &Element) -> Result<End, String> {
    let fin = answer.child("fin", ns::MAM);
    let fin = fin.ok_or_else(|| format!("the archive gave {answer}"))?;
    let set = fin.child("set", ns::RSM);
    let text = |name| set?.child(name, ns::RSM).map(Element::text);
    Ok(End {
        complete: fin.attr("complete") == Some("true"),
        first: text("first"),
        last: text("last"),
    })
}

/// One message of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) id: String,
    pub(crate) key: Key,
    pub(crate) digest: Digest,
}

/// A whole archive, read in one way.
#[derive(Debug, Clone)]
pub(crate) struct Listing {
    pub(crate) size: u32,
    pub(crate) backward: bool,
    /// Oldest first.
    pub(crate) items: Vec<Item>,
}

/// What a server says that it can do.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Abilities {
    /// XEP-0313.
    pub(crate) archive: bool,
    /// XEP-0359.
    pub(crate) stanza_ids: bool,
}

/// Reads the archive of an account, and of rooms that it may read, from another session, which is not available and so gets nothing else.
pub(crate) struct Auditor {
    client: Client,
    account: u32,
    requests: u32,
}

impl Auditor {
    pub(crate) async fn log_in(connector: Connector, account: u32, resource: &str) -> Step<Self> {
        let (mut client, _) = authenticated(connector, account).await?;
        client.bind(resource, PATIENCE).await.map_err(cut_or)?;
        Ok(Self {
            client,
            account,
            requests: 0,
        })
    }

    /// Asks the account what it can do (XEP-0030).
    pub(crate) async fn abilities(&mut self) -> Step<Abilities> {
        let query = format!(
            "<iq type='get' id='disco' to='{}'><query xmlns='{}'/></iq>",
            bare(self.account),
            ns::DISCO_INFO
        );
        let answer = ask(&mut self.client, "disco", &query, |_| {}).await?;
        let features = answer.child("query", ns::DISCO_INFO);
        let has = |var| {
            let mut features = features.into_iter().flat_map(Element::children);
            features.any(|feature| feature.attr("var") == Some(var))
        };
        Ok(Abilities {
            archive: has(ns::MAM),
            stanza_ids: has(ns::STANZA_ID),
        })
    }

    /// An archive in pages of all sizes, in both directions.
    pub(crate) async fn listings(&mut self, of: Party) -> Step<Vec<Listing>> {
        let mut listings = Vec::new();
        for size in SIZES {
            for backward in [false, true] {
                let items = self.list(of, size, backward).await?;
                listings.push(Listing {
                    size,
                    backward,
                    items,
                });
            }
        }
        Ok(listings)
    }

    async fn list(&mut self, of: Party, size: u32, backward: bool) -> Step<Vec<Item>> {
        let mut items = Vec::new();
        let mut place = String::new();
        loop {
            let page = if backward {
                Page::before(&place, size)
            } else {
                Page::after(Some(place.as_str()).filter(|id| !id.is_empty()), size)
            };
            let (mut found, end) = self.page(of, &query(&page)).await?;
            let next = if backward { end.first } else { end.last };
            if backward {
                found.append(&mut items);
                items = found;
            } else {
                items.append(&mut found);
            }
            match next {
                Some(next) if !end.complete => place = next,
                _ => return Ok(items),
            }
        }
    }

    async fn page(&mut self, of: Party, query: &str) -> Step<(Vec<Item>, End)> {
        self.requests += 1;
        let id = format!("page{}", self.requests);
        let to = address(of);
        let request = format!("<iq type='set' id='{id}' to='{to}'>{query}</iq>");
        let account = self.account;
        let mut items = Vec::new();
        // What else an archive may hold, such as errors in answer to a stanza that nobody keeps, is
        // not looked at.
        let answer = ask(&mut self.client, &id, &request, |element| {
            items.extend(item(element, account));
        })
        .await?;
        end(&answer).map_err(Break::Wrong).map(|end| (items, end))
    }
}

fn item(element: &Element, account: u32) -> Option<Item> {
    match stanza::arrival(element, account)? {
        Arrival::Copy {
            channel: Channel::Archive,
            id,
            key,
            digest,
            ..
        } => Some(Item {
            id: id?,
            key,
            digest,
        }),
        _ => None,
    }
}
