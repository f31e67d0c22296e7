//! Invitations for whoever has them ([XEP-0488](https://xmpp.org/extensions/xep-0488.html), 0.1.0): a
//! member who may invite gets a token to put into a link, and who enters with it in the place of a
//! password becomes a member. Clients that know nothing of tokens can use them.
//!
//! Rooms that have a password keep to it: tokens are neither given nor taken there.

use super::{
    errors::Refusal,
    kept,
    people::{Change, PersonChange},
    rights::{Action, Affiliation},
    room::{Event, Room},
    table::{Held, Rooms},
};
use crate::{
    Engine, error,
    feature::{IqCx, Reply},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use subtle::ConstantTimeEq as _;
use waxwing_proto::{
    BareJid, Jid, ns,
    stanza::{Condition, Draft, StanzaError},
    xml::{Limits, Tree, Writer},
};
use waxwing_store::{BoxFuture, Micros, StoreError};

/// Tokens of one room that are valid.
const TOKENS_MAX: usize = 100;
/// For how many seconds a token is valid at most, and if nothing is said: 30 days (§ 8).
const SECONDS_MAX: u32 = 30 * 86_400;
/// Where the store keeps them.
const KEY: &str = "tokens";

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    text: String,
    /// Who has made it.
    by: BareJid,
    until: Micros,
    /// How often it can be used yet; any number of times if nothing is said.
    uses: Option<u32>,
}

/// § 4.2, § 4.3
pub(super) fn request(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let number = |name| match cx.payload.attr(name) {
            None => Ok(None),
            Some(text) => match text.parse::<u32>() {
                Ok(number) if number > 0 => Ok(Some(number)),
                _ => Err(Condition::BadRequest),
            },
        };
        let (delay, uses) = (number("delay")?, number("counter")?);
        let room = Rooms::hold(cx.engine, cx.to).await?;
        let _turn = room.turn().await;
        room.ask(|room| room.gives_tokens(cx.from))?;
        let mut tokens = read(cx.engine, cx.to).await?;
        if tokens.len() >= TOKENS_MAX {
            return Err(Refusal::TooMuch.into());
        }
        let now = cx.engine.env().now();
        let seconds = delay.unwrap_or(SECONDS_MAX).min(SECONDS_MAX);
        let token = Token {
            text: URL_SAFE_NO_PAD.encode(cx.engine.env().secret()),
            by: cx.from.to_bare(),
            until: now + Micros::from(seconds) * 1_000_000,
            uses,
        };
        let mut xml = Writer::new(ns::CLIENT);
        token.show(now, true, &mut xml);
        tokens.push(token);
        write(cx.engine, cx.to, &tokens).await?;
        Ok(Reply::Payload(xml.finish()))
    })
}

/// § 4.6: those that somebody may revoke.
pub(super) fn list(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let room = Rooms::hold(cx.engine, cx.to).await?;
        let all = room.ask(|room| room.gives_tokens(cx.from))?;
        let now = cx.engine.env().now();
        let own = cx.from.to_bare();
        let mut xml = Writer::new(ns::CLIENT);
        xml.start_ns("tokens", ns::TOKENS);
        for token in read(cx.engine, cx.to).await? {
            if all || token.by == own {
                token.show(now, false, &mut xml);
            }
        }
        xml.end();
        Ok(Reply::Payload(xml.finish()))
    })
}

/// § 4.7
pub(super) fn revoke(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let room = Rooms::hold(cx.engine, cx.to).await?;
        let _turn = room.turn().await;
        let all = room.ask(|room| room.gives_tokens(cx.from))?;
        let own = cx.from.to_bare();
        let text = cx.payload.text();
        let mut tokens = read(cx.engine, cx.to).await?;
        let before = tokens.len();
        tokens.retain(|token| !(token.is(&text) && (all || token.by == own)));
        if tokens.len() == before {
            return Err(Condition::ItemNotFound.into());
        }
        write(cx.engine, cx.to, &tokens).await?;
        Ok(Reply::Empty)
    })
}

/// § 4.5: makes a member of whoever wants to enter and has a token, before they do. Whoever has none
/// is judged like everybody.
pub(super) async fn redeem(
    engine: &Engine,
    held: &Held,
    room: &BareJid,
    draft: &Draft,
    from: &Jid,
) -> Result<(), StanzaError> {
    let x = draft.root().child("x", ns::MUC);
    let given = x.and_then(|x| x.child("password", ns::MUC));
    let given = given.map(|given| given.text().into_owned());
    let Some(given) = given.filter(|given| !given.is_empty()) else {
        return Ok(());
    };
    let account = from.to_bare();
    if !held.ask(|room| room.takes_tokens(&account)) {
        return Ok(());
    }
    let _turn = held.turn().await;
    let mut tokens = read(engine, room).await?;
    let Some(token) = tokens.iter_mut().find(|token| token.is(&given)) else {
        return Ok(());
    };
    let Some(change) = held.ask(|room| room.membership(&account)) else {
        return Ok(());
    };
    if let Some(uses) = &mut token.uses {
        *uses = uses.saturating_sub(1);
        // If what follows fails, it was used for nothing.
        write(engine, room, &tokens).await?;
    }
    kept::write(engine, held, room, &change).await?;
    Ok(held.apply(Event::Changed(change))?)
}

impl Room {
    /// Whether somebody may have tokens (§ 4.2, § 8); if so, whether those of others, too.
    fn gives_tokens(&self, from: &Jid) -> Result<bool, Refusal> {
        self.known_to(from)?;
        self.demand(Action::InviteMember, from)?;
        if self.config.protected {
            return Err(Refusal::Forbidden);
        }
        Ok(self.allows(Action::EditMembers, from) || self.allows(Action::Moderate, from))
    }

    /// § 5: tokens of those who are something to the room already are ignored.
    fn takes_tokens(&self, account: &BareJid) -> bool {
        let stranger = self.affiliation(account) == Affiliation::None;
        self.is_open() && !self.config.protected && stranger
    }

    fn membership(&self, account: &BareJid) -> Option<Change> {
        let person = self.people.get(account);
        let change = Change {
            people: vec![PersonChange {
                jid: account.clone(),
                affiliation: Affiliation::Member,
                nick: person.and_then(|person| person.nick.clone()),
                reason: None,
            }],
            ..Change::default()
        };
        let possible = self.takes_tokens(account) && self.is_possible(&change).is_ok();
        possible.then_some(change)
    }
}

impl Token {
    /// Whether this is its text.
    fn is(&self, text: &str) -> bool {
        bool::from(self.text.as_bytes().ct_eq(text.as_bytes()))
    }

    fn is_valid(&self, now: Micros) -> bool {
        self.until > now && self.uses != Some(0)
    }

    /// For people; alone or in a list.
    fn show(&self, now: Micros, alone: bool, xml: &mut Writer) {
        let delay = (self.until - now) / 1_000_000;
        if alone {
            xml.start_ns("token", ns::TOKENS);
        } else {
            xml.start("token");
        }
        xml.attr("delay", &delay.max(1).to_string())
            .attr_opt("counter", self.uses.map(|uses| uses.to_string()).as_deref())
            .text(&self.text)
            .end();
    }

    fn read(element: waxwing_proto::xml::Element<'_>) -> Option<Self> {
        Some(Self {
            text: element.text().into_owned(),
            by: BareJid::parse(&element.attr("by")?).ok()?,
            until: element.attr("until")?.parse().ok()?,
            uses: element.attr("uses").and_then(|uses| uses.parse().ok()),
        })
    }

    fn keep(&self, xml: &mut Writer) {
        xml.start("token")
            .attr("by", self.by.as_str())
            .attr("until", &self.until.to_string())
            .attr_opt("uses", self.uses.map(|uses| uses.to_string()).as_deref())
            .text(&self.text)
            .end();
    }
}

/// Those that are valid.
async fn read(engine: &Engine, room: &BareJid) -> Result<Vec<Token>, StanzaError> {
    let kept = engine.store().document(room.clone(), KEY.to_owned()).await;
    let kept = kept.map_err(|failure| error::from_store(engine, &failure))?;
    let now = engine.env().now();
    let mut tokens = kept.map_or_else(Vec::new, decode);
    tokens.retain(|token| token.is_valid(now));
    Ok(tokens)
}

async fn write(engine: &Engine, room: &BareJid, tokens: &[Token]) -> Result<(), StanzaError> {
    let bytes_max = engine.settings().limits.documents_bytes_max;
    let kept = (!tokens.is_empty()).then(|| encode(tokens));
    let store = engine.store();
    let written = store.document_set(room.clone(), KEY.to_owned(), kept, bytes_max);
    let written: Result<(), StoreError> = written.await;
    written.map_err(|failure| error::from_store(engine, &failure))
}

fn encode(tokens: &[Token]) -> Bytes {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start("tokens");
    for token in tokens {
        token.keep(&mut xml);
    }
    xml.finish()
}

fn decode(stored: Bytes) -> Vec<Token> {
    let tree = Tree::parse(stored, ns::CLIENT, &Limits::S2S);
    tree.map_or_else(
        |_| Vec::new(),
        |tree| tree.root().children().filter_map(Token::read).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again() {
        let token = |text: &str, uses| Token {
            text: text.to_owned(),
            by: BareJid::parse("alice@a").unwrap(),
            until: 1_795_305_600_000_000,
            uses,
        };
        let tokens = [token("one", Some(3)), token("two", None)];
        assert_eq!(decode(encode(&tokens)), tokens);
        assert!(tokens[0].is("one") && !tokens[0].is("on"));
        assert!(tokens[0].is_valid(0) && !token("x", Some(0)).is_valid(0));
        assert!(!tokens[0].is_valid(tokens[0].until));
    }
}
