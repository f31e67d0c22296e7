//! Result set management (XEP-0059): which page of a long result is wanted, and which was given.

use crate::ns;
use crate::xml::{Element, Writer};

/// Which page is wanted, and how long it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Items at most, if the requester says. With zero it wants the count only (§ 2.7).
    pub max: Option<u32>,
    /// From where on.
    pub page: Page,
}

/// From where a page goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// From the first item on.
    First,
    /// From the item after this one on (§ 2.2).
    After(String),
    /// Up to the last item (§ 2.5).
    Last,
    /// Up to the item before this one (§ 2.3).
    Before(String),
    /// From the item with this index on (§ 2.6).
    Index(u32),
}

/// The request makes no sense: a number that is none, or two places to start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadRequest;

impl Request {
    /// Reads the request in a query, if there is one.
    pub fn find(query: Element<'_>) -> Result<Option<Self>, BadRequest> {
        let mut sets = query.children().filter(|child| child.is("set", ns::RSM));
        match (sets.next(), sets.next()) {
            (None, _) => Ok(None),
            (Some(set), None) => Self::read(set).map(Some),
            _ => Err(BadRequest),
        }
    }

    /// Reads `<set/>`. Unknown children are ignored.
    pub fn read(set: Element<'_>) -> Result<Self, BadRequest> {
        let mut max = None;
        let mut page = None;
        for child in set.children().filter(|child| child.ns() == ns::RSM) {
            let text = child.text();
            let wanted = match child.name() {
                "max" if max.is_none() => {
                    max = Some(number(&text)?);
                    continue;
                }
                "max" => return Err(BadRequest),
                "after" => Page::After(text.into_owned()),
                "before" if text.is_empty() => Page::Last,
                "before" => Page::Before(text.into_owned()),
                "index" => Page::Index(number(&text)?),
                _ => continue,
            };
            if page.replace(wanted).is_some() {
                return Err(BadRequest);
            }
        }
        Ok(Self {
            max,
            page: page.unwrap_or(Page::First),
        })
    }

    /// Items to give: what was asked for, but not more than `limit`.
    pub fn items(&self, limit: u32) -> u32 {
        self.max.map_or(limit, |max| max.min(limit))
    }
}

/// Which page was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response<'a> {
    /// Ids of the first and the last item, the same if there is one; `None` for an empty page.
    pub ends: Option<(&'a str, &'a str)>,
    /// Position of the first item in the whole result, if that is cheap to know.
    pub index: Option<u32>,
    /// Number of items in the whole result, if that is cheap to know.
    pub count: Option<u32>,
}

impl Response<'_> {
    /// Writes `<set/>`.
    pub fn write(&self, writer: &mut Writer) {
        let text = |number: Option<u32>| number.map(|number| number.to_string());
        writer.start_ns("set", ns::RSM);
        if let Some((first, last)) = self.ends {
            writer
                .start("first")
                .attr_opt("index", text(self.index).as_deref());
            writer.text(first).end().leaf("last", last);
        }
        if let Some(count) = text(self.count) {
            writer.leaf("count", &count);
        }
        writer.end();
    }
}

/// `xs:unsignedInt`.
fn number(text: &str) -> Result<u32, BadRequest> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if digits {
        text.parse().map_err(|_| BadRequest)
    } else {
        Err(BadRequest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Limits, Tree};
    use expect_test::{Expect, expect};

    fn request(children: &str) -> Result<Option<Request>, BadRequest> {
        let query = format!("<query xmlns='jabber:iq:search'>{children}</query>");
        let tree = Tree::parse(query.into(), ns::CLIENT, &Limits::C2S).expect("XML");
        Request::find(tree.root())
    }

    fn set(children: &str) -> Result<Request, BadRequest> {
        request(&format!("<set xmlns='{}'>{children}</set>", ns::RSM)).map(Option::unwrap)
    }

    #[test]
    fn requests() {
        let wanted = |max, page| Ok(Request { max, page });
        for (given, expected) in [
            ("", wanted(None, Page::First)),
            ("<max>10</max>", wanted(Some(10), Page::First)),
            ("<max>0</max>", wanted(Some(0), Page::First)),
            (
                "<max>10</max><after>a&amp;b</after>",
                wanted(Some(10), Page::After("a&b".into())),
            ),
            ("<before/><max>10</max>", wanted(Some(10), Page::Last)),
            ("<before>x</before>", wanted(None, Page::Before("x".into()))),
            ("<index>371</index>", wanted(None, Page::Index(371))),
            (
                "<max>1</max><x/><max xmlns='other'>x</max>",
                wanted(Some(1), Page::First),
            ),
            ("<max/>", Err(BadRequest)),
            ("<max>-1</max>", Err(BadRequest)),
            ("<max>+1</max>", Err(BadRequest)),
            ("<max> 1</max>", Err(BadRequest)),
            ("<max>4294967296</max>", Err(BadRequest)),
            ("<max>1</max><max>1</max>", Err(BadRequest)),
            ("<index>x</index>", Err(BadRequest)),
            ("<after>x</after><before/>", Err(BadRequest)),
            ("<after>x</after><after>y</after>", Err(BadRequest)),
        ] {
            assert_eq!(set(given), expected, "{given}");
        }
        assert_eq!(request("<x/>"), Ok(None));
        let twice = format!("<set xmlns='{0}'/><set xmlns='{0}'/>", ns::RSM);
        assert_eq!(request(&twice), Err(BadRequest));
        let asks = |max| Request {
            max,
            page: Page::First,
        };
        assert_eq!(
            [asks(None), asks(Some(5)), asks(Some(50))].map(|r| r.items(20)),
            [20, 5, 20]
        );
    }

    fn check(response: &Response<'_>, expected: &Expect) {
        let mut writer = Writer::new(ns::CLIENT);
        response.write(&mut writer);
        expected.assert_eq(std::str::from_utf8(&writer.finish()).expect("UTF-8"));
    }

    #[test]
    fn responses() {
        check(
            &Response {
                ends: Some(("a<b", "z")),
                index: Some(10),
                count: Some(800),
            },
            &expect![
                "<set xmlns='http://jabber.org/protocol/rsm'><first index='10'>a&lt;b</first><last>z</last><count>800</count></set>"
            ],
        );
        check(
            &Response {
                ends: Some(("a", "a")),
                ..Response::default()
            },
            &expect![
                "<set xmlns='http://jabber.org/protocol/rsm'><first>a</first><last>a</last></set>"
            ],
        );
        check(
            &Response {
                count: Some(790),
                index: Some(1),
                ..Response::default()
            },
            &expect!["<set xmlns='http://jabber.org/protocol/rsm'><count>790</count></set>"],
        );
    }
}
