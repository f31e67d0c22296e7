//! Nodes of accounts (XEP-0163): an item for many subscribers, and the newest items of many contacts
//! for one who comes.

use crate::{
    Options, Result,
    client::{Client, Peer},
    process,
};
use memchr::memmem;
use std::{fmt::Write as _, time::Duration};
use tokio::task::JoinSet;

/// The node of all.
const NODE: &str = "urn:x:news";
/// What the verification string of XEP-0115 is for the capabilities that [`info`] tells.
const VER: &str = "1lGo3oj4agUSGHqpb6xOxem45r8=";
/// The longest that anything is waited for: all items, with a server that takes a millisecond for
/// each notification.
const PATIENCE: Duration = Duration::from_mins(5);

/// After so much of it nothing is expected to come any more.
const SILENCE: Duration = Duration::from_secs(30);

/// One publisher, many subscribers that are online; microseconds of server CPU for each notification.
pub(crate) async fn publish(options: &Options) -> Result<()> {
    let peer = options.peer()?;
    let subscribers = options.number("sessions", 1000)?;
    let items = options.number("messages", 200)?;
    let pid = options.pid()?;
    Client::register(&peer, "owner").await?;
    let mut owner = Client::ready(&peer, "owner/load", "", 1).await?;
    let create = format!(
        "<iq type='set' id='create'><pubsub xmlns='http://jabber.org/protocol/pubsub'>\
         <create node='{NODE}'/><configure><x xmlns='jabber:x:data' type='submit'>\
         <field var='FORM_TYPE' type='hidden'>\
         <value>http://jabber.org/protocol/pubsub#node_config</value></field>\
         <field var='pubsub#access_model'><value>open</value></field></x></configure></pubsub></iq>"
    );
    // The answer may be empty, and written as an empty element.
    owner.send(create.as_bytes()).await?;
    let ends: [&[u8]; 3] = [b"<error", b"type='result'", b"type=\"result\""];
    if owner.until(&ends).await? == 0 {
        return Err("the node could not be made".into());
    }
    let mut ready = Vec::new();
    for number in 0..subscribers {
        ready.push(subscriber(&peer, &format!("reader{number}"), host(number)?).await?);
    }
    // What is on its way to them is not part of it.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let cpu = process::cpu(pid)?;
    let mut reading = JoinSet::new();
    for mut client in ready {
        reading.spawn(tokio::time::timeout(PATIENCE, async move {
            let mut come = 0;
            while come < items {
                come += client.count(b"</message>").await?;
            }
            Result::Ok(())
        }));
    }
    for number in 0..items {
        let id = format!("publish{number}");
        expect(&owner.ask(&publication(&id), &id).await?)?;
    }
    while let Some(read) = reading.join_next().await {
        read???;
    }
    let cpu = process::cpu(pid)?.saturating_sub(cpu);
    let notifications = f64::from(u32::try_from(items * subscribers)?);
    println!(
        "{:.2} microseconds of server CPU for each notification, {items} items, {subscribers} subscribers",
        cpu.as_secs_f64() * 1e6 / notifications
    );
    Ok(())
}

/// One who has many contacts with an item each, and comes online again and again, and goes;
/// milliseconds of server CPU each time. With `--online 1` the contacts are online, too: each of them and the one who
/// comes are told of the other.
pub(crate) async fn contacts(options: &Options) -> Result<()> {
    let peer = options.peer()?;
    let contacts = options.number("contacts", 500)?;
    let times = options.number("times", 20)?;
    let pid = options.pid()?;
    Client::register(&peer, "watcher").await?;
    let mut watcher = Client::ready(&peer, "watcher/setup", "", 1).await?;
    watcher.send(b"<presence/>").await?;
    let online = options.number("online", 0)? != 0;
    let mut present = JoinSet::new();
    for number in 0..contacts {
        let mut contact = befriend(&peer, &mut watcher, number).await?;
        if online {
            present.spawn(async move { while contact.take().await.is_ok() {} });
        }
    }
    drop(watcher);
    // The first one teaches the server what the client can do.
    come(&peer, contacts).await?;
    let mut with = Duration::ZERO;
    for _ in 0..times {
        let before = process::cpu(pid)?;
        come(&peer, contacts).await?;
        with += process::cpu(pid)?.saturating_sub(before);
    }
    println!(
        "{:.2} milliseconds of server CPU for each time, {contacts} contacts, {times} times, login and end included",
        with.as_secs_f64() * 1e3 / f64::from(u32::try_from(times)?)
    );
    Ok(())
}

/// A contact of the watcher with an item, subscribed in both directions.
async fn befriend(peer: &Peer, watcher: &mut Client, number: usize) -> Result<Client> {
    let name = format!("contact{number}");
    Client::register(peer, &name).await?;
    let mut contact = Client::ready(peer, &format!("{name}/load"), "", host(number)?).await?;
    let id = format!("publish{number}");
    expect(&contact.ask(&publication(&id), &id).await?)?;
    contact.send(b"<presence/>").await?;
    let there = format!("<presence type='subscribe' to='{name}@localhost'/>");
    watcher.send(there.as_bytes()).await?;
    contact
        .until(&[b"type='subscribe'", b"type=\"subscribe\""])
        .await?;
    contact
        .send(
            b"<presence type='subscribed' to='watcher@localhost'/>\
              <presence type='subscribe' to='watcher@localhost'/>",
        )
        .await?;
    watcher
        .until(&[b"type='subscribe'", b"type=\"subscribe\""])
        .await?;
    let back = format!("<presence type='subscribed' to='{name}@localhost'/>");
    watcher.send(back.as_bytes()).await?;
    // Only who has asked for its contacts is told of the answer; presence comes to all.
    contact.until(&[b"watcher@localhost/setup"]).await?;
    Ok(contact)
}

/// The watcher comes, is sent everything, and goes.
async fn come(peer: &Peer, contacts: usize) -> Result<()> {
    let mut client = Client::ready(peer, "watcher/load", "", 1).await?;
    let presence = format!(
        "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:x' \
         ver='{VER}'/></presence>"
    );
    client.send(presence.as_bytes()).await?;
    let mut come = 0;
    while come < contacts {
        let heard = tokio::time::timeout(SILENCE, client.take()).await;
        let heard = heard.map_err(|_| format!("{come} items came"))??;
        come += memmem::find_iter(&heard, b"</items>").count();
        let answers = answers(&heard);
        if !answers.is_empty() {
            client.send(answers.as_bytes()).await?;
        }
    }
    // Whole, so that the next one is not taken for the same.
    client.send(b"</stream:stream>").await?;
    let gone = async { while client.take().await.is_ok() {} };
    tokio::time::timeout(PATIENCE, gone).await?;
    Ok(())
}

/// Says what the client can do to all who ask.
fn answers(heard: &[u8]) -> String {
    let heard = String::from_utf8_lossy(heard);
    let mut answers = String::new();
    for request in heard.split("<iq ").skip(1) {
        let (tag, rest) = request.split_once('>').unwrap_or_default();
        let rest = rest.split("</iq>").next().unwrap_or_default();
        let (Some(id), Some(from)) = (attribute(tag, "id"), attribute(tag, "from")) else {
            continue;
        };
        if !rest.contains("http://jabber.org/protocol/disco#info") {
            continue;
        }
        let query = rest.split('>').next().unwrap_or_default();
        let node = attribute(query, "node").map_or(String::new(), |node| format!(" node='{node}'"));
        let _ = write!(
            answers,
            "<iq type='result' id='{id}' to='{from}'>\
             <query xmlns='http://jabber.org/protocol/disco#info'{node}>\
             <identity category='client' type='pc' name='x'/>\
             <feature var='{NODE}+notify'/></query></iq>"
        );
    }
    answers
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    ['\'', '"'].into_iter().find_map(|quote| {
        let (_, rest) = tag.split_once(&format!("{name}={quote}"))?;
        rest.split(quote).next()
    })
}

/// A client that is available and has subscribed to the owner's node.
async fn subscriber(peer: &Peer, name: &str, host: u8) -> Result<Client> {
    Client::register(peer, name).await?;
    let mut client = Client::ready(peer, &format!("{name}/load"), "", host).await?;
    client.send(b"<presence/>").await?;
    client.until(&[b"</presence>", b"/>"]).await?;
    let request = format!(
        "<iq type='set' id='subscribe' to='owner@localhost'>\
         <pubsub xmlns='http://jabber.org/protocol/pubsub'>\
         <subscribe node='{NODE}' jid='{name}@localhost'/></pubsub></iq>"
    );
    expect(&client.ask(&request, "subscribe").await?)?;
    Ok(client)
}

fn publication(id: &str) -> String {
    format!(
        "<iq type='set' id='{id}'><pubsub xmlns='http://jabber.org/protocol/pubsub'>\
         <publish node='{NODE}'><item id='current'><news xmlns='urn:x'>\
         something that is about as long as what people listen to</news></item></publish></pubsub></iq>"
    )
}

fn expect(answer: &[u8]) -> Result<()> {
    match memmem::find(answer, b"<error") {
        None => Ok(()),
        Some(_) => Err(String::from_utf8_lossy(answer).into_owned().into()),
    }
}

/// An address of this machine for a client, so that none has too many connections.
fn host(number: usize) -> Result<u8> {
    Ok(u8::try_from(number % 200 + 1)?)
}

#[cfg(test)]
mod tests {
    use super::answers;

    #[test]
    fn who_asks_is_answered() {
        let heard = b"<message from='x'/><iq type=\"get\" from='localhost' id=\"7\"><query \
                      xmlns='http://jabber.org/protocol/disco#info' node='urn:x#v'/></iq>";
        let answers = answers(heard);
        assert!(answers.starts_with("<iq type='result' id='7' to='localhost'><query"));
        assert!(answers.contains(" node='urn:x#v'"));
    }
}
