//! Reading an archive from its beginning to its end, page by page (XEP-0313, XEP-0059).

use crate::{Options, Result, client::Client, process};
use memchr::memmem;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Messages in a page: what clients ask for when they catch up.
const PAGE: usize = 50;

/// Readers of one account, each on its own connection, for so many seconds.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let peer = options.peer()?;
    let account = options.text("account", "receiver0");
    let readers = options.number("readers", 1)?.max(1);
    let seconds = u64::try_from(options.number("seconds", 8)?)?;
    let backwards = options.number("backwards", 0)? != 0;
    let pid = options.pid()?;
    let mut ready = Vec::new();
    for reader in 0..readers {
        ready.push(Client::ready(&peer, &format!("{account}/reader{reader}"), "", 1).await?);
    }
    let cpu = process::cpu(pid)?;
    let start = Instant::now();
    let until = start + Duration::from_secs(seconds);
    let mut running = JoinSet::new();
    for client in ready {
        running.spawn(read(client, until, backwards));
    }
    let (mut pages, mut messages) = (0, 0);
    while let Some(read) = running.join_next().await {
        let (more_pages, more_messages) = read??;
        pages += more_pages;
        messages += more_messages;
    }
    let taken = start.elapsed().as_secs_f64();
    let cpu = process::cpu(pid)?.saturating_sub(cpu);
    let pages = f64::from(pages);
    println!(
        "{:.1} pages of {PAGE} a second, {:.0} microseconds of server CPU each, {pages} pages, \
         {messages} messages, {readers} readers",
        pages / taken,
        cpu.as_secs_f64() * 1e6 / pages,
    );
    Ok(())
}

/// Pages and messages until it is time; at the archive's end it begins again.
async fn read(mut client: Client, until: Instant, backwards: bool) -> Result<(u32, usize)> {
    let (place, item) = if backwards {
        ("before", &b"<first"[..])
    } else {
        ("after", &b"<last"[..])
    };
    let (mut pages, mut messages) = (0, 0);
    let mut position = String::new();
    while Instant::now() < until {
        let wanted = match (position.as_str(), backwards) {
            ("", true) => "<before/>".to_owned(),
            ("", false) => String::new(),
            (id, _) => format!("<{place}>{id}</{place}>"),
        };
        let id = format!("page{pages}");
        let request = format!(
            "<iq type='set' id='{id}'><query xmlns='urn:xmpp:mam:2'>\
             <set xmlns='http://jabber.org/protocol/rsm'><max>{PAGE}</max>{wanted}</set>\
             </query></iq>"
        );
        let answer = client.ask(&request, &id).await?;
        let came = memmem::find_iter(&answer, b"</result>").count();
        // A message in the answer's end would be a forgery of our own; the last is the server's.
        position = memmem::rfind(&answer, item)
            .and_then(|at| {
                answer
                    .get(at..)?
                    .split(|byte| matches!(byte, b'<' | b'>'))
                    .nth(2)
            })
            .map(|id| String::from_utf8_lossy(id).into_owned())
            .unwrap_or_default();
        if came == 0 && pages == 0 {
            return Err(format!("no page: {}", String::from_utf8_lossy(&answer)).into());
        }
        if came < PAGE {
            position.clear();
        }
        pages += 1;
        messages += came;
    }
    Ok((pages, messages))
}
