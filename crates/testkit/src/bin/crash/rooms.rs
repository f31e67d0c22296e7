//! The rooms of a run (XEP-0045): groups for members, which are made once and stay.

use crate::{
    entry::{DeviceId, account_name},
    server::Connector,
    session::{Break, PATIENCE, Step, ask, authenticated, cut_or, next, send},
    stanza::bare,
};
use std::fmt::Write as _;
use waxwing_proto::ns;
use waxwing_testkit::{client::Client, subject::DOMAIN, xml::Element};

/// The account that makes them, and owns them.
pub(crate) const OWNER: u32 = 0;
/// The room whose options its owner writes.
pub(crate) const WRITTEN: u32 = 0;
/// How many there are.
pub(crate) const COUNT: u32 = 2;

/// The rooms that a client is in. In the first one are all who can make up for what they have missed
/// there, those of one account under one nick; in the other one only some, each under its own.
pub(crate) fn of(device: DeviceId) -> Vec<u32> {
    let in_second = matches!((device.account, device.index), (0, 0) | (1 | 3, 1));
    match device.account {
        0 | 1 | 3 if in_second => vec![0, 1],
        0 | 1 | 3 => vec![0],
        _ => Vec::new(),
    }
}

/// The nick of a client in a room.
fn nick(device: DeviceId, room: u32) -> String {
    match room {
        0 => account_name(device.account),
        _ => device.to_string(),
    }
}

/// The bare JID of a room.
pub(crate) fn address(room: u32) -> String {
    format!("r{room}@groups.{DOMAIN}")
}

/// The full JID of a client in a room.
pub(crate) fn occupant(device: DeviceId, room: u32) -> String {
    format!("{}/{}", address(room), nick(device, room))
}

/// Whose address this is, of a room or of somebody in it.
pub(crate) fn number(jid: &str) -> Option<u32> {
    (0..COUNT).find(|room| jid.split('/').next() == Some(&address(*room)))
}

/// What asks to be let in. What was said before is asked of the archive.
pub(crate) fn entrance(device: DeviceId, room: u32) -> String {
    format!(
        "<presence to='{}'><x xmlns='{}'><history maxstanzas='0'/></x></presence>",
        occupant(device, room),
        ns::MUC
    )
}

/// Whether a room speaks of the very session that hears it (status 110, § 7.2.2): its number, and
/// whether the session is there now.
pub(crate) fn own_presence(element: &Element) -> Option<(u32, bool)> {
    if !element.is("presence", ns::CLIENT) {
        return None;
    }
    let room = number(element.attr("from")?)?;
    let mut said = element.child("x", ns::MUC_USER)?.children();
    let own =
        |child: &Element| child.is("status", ns::MUC_USER) && child.attr("code") == Some("110");
    said.any(own)
        .then(|| (room, element.attr("type") != Some("unavailable")))
}

/// Makes them all, and makes everybody who will be in them a member.
pub(crate) async fn make(connector: Connector, members: &[u32]) -> Step {
    let (mut client, _) = authenticated(connector, OWNER).await?;
    client.bind("maker", PATIENCE).await.map_err(cut_or)?;
    for room in 0..COUNT {
        enter_as_maker(&mut client, room).await?;
        let options = [
            ("muc#roomconfig_persistentroom", "1"),
            ("muc#roomconfig_membersonly", "1"),
            ("muc#roomconfig_whois", "anyone"),
        ];
        let to = address(room);
        decide(&mut client, &to, &configuration(&options)).await?;
        let items = members.iter().filter(|member| **member != OWNER);
        let items =
            items.map(|member| format!("<item jid='{}' affiliation='member'/>", bare(*member)));
        let items: Vec<String> = items.collect();
        let payload = format!(
            "<query xmlns='{}'>{}</query>",
            ns::MUC_ADMIN,
            items.concat()
        );
        decide(&mut client, &to, &payload).await?;
    }
    Ok(())
}

async fn enter_as_maker(client: &mut Client, room: u32) -> Step {
    let entrance = format!(
        "<presence to='{}/maker'><x xmlns='{}'/></presence>",
        address(room),
        ns::MUC
    );
    send(client, &entrance).await?;
    while let Some(element) = next(client, PATIENCE).await? {
        if own_presence(&element) == Some((room, true)) {
            return Ok(());
        }
    }
    Err(Break::Wrong(format!("{} cannot be made", address(room))))
}

async fn decide(client: &mut Client, to: &str, payload: &str) -> Step {
    let request = format!("<iq type='set' id='decide' to='{to}'>{payload}</iq>");
    let answer = ask(client, "decide", &request, |_| {}).await?;
    match answer.attr("type") {
        Some("result") => Ok(()),
        _ => Err(Break::Wrong(format!("{to}: {answer}"))),
    }
}

/// The request that sets options of a room; the others stay as they are.
pub(crate) fn configuration(options: &[(&str, &str)]) -> String {
    let mut fields = String::new();
    for (var, value) in options {
        let _always_written = write!(fields, "<field var='{var}'><value>{value}</value></field>");
    }
    format!(
        "<query xmlns='{}'><x xmlns='{}' type='submit'><field var='FORM_TYPE'>\
         <value>http://jabber.org/protocol/muc#roomconfig</value></field>{fields}</x></query>",
        ns::MUC_OWNER,
        ns::DATA_FORMS
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use waxwing_testkit::xml::parse_fragment;

    #[test]
    fn a_session_knows_what_is_said_of_itself() {
        let presence = |from: &str, kind: &str, code: &str| {
            let text = format!(
                "<presence from='{from}'{kind}><x xmlns='{}'><status code='{code}'/></x></presence>",
                ns::MUC_USER
            );
            own_presence(&parse_fragment(&text, &[]).unwrap()[0])
        };
        let own = "r1@groups.localhost/a1.d1";
        assert_eq!(presence(own, "", "110"), Some((1, true)));
        assert_eq!(
            presence(own, " type='unavailable'", "110"),
            Some((1, false))
        );
        assert_eq!(presence(own, "", "100"), None);
        assert_eq!(presence("r9@groups.localhost/x", "", "110"), None);
    }

    #[test]
    fn who_shares_a_nick_shares_an_account() {
        let id = |account, index| DeviceId { account, index };
        assert_eq!(occupant(id(1, 0), 0), occupant(id(1, 1), 0));
        assert_ne!(occupant(id(1, 0), 1), occupant(id(1, 1), 1));
        assert_eq!(number(&occupant(id(1, 0), 1)), Some(1));
    }
}
