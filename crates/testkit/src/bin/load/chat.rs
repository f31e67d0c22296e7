//! One-to-one messages that nobody keeps, between pairs, each with a window of messages on their
//! way.

use crate::{
    Options, Result,
    client::{Client, Peer},
    process, relay,
    secure::DOMAIN,
};
use std::time::Instant;
use tokio::task::JoinSet;

/// Logs in, sends a share of the messages as a warm-up, then measures.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let peer = options.peer()?;
    let pairs = options.number("pairs", 50)?.max(1);
    let window = options.number("window", 10)?.max(1);
    let messages = options.number("messages", 500_000)?;
    let pid = options.pid()?;
    let each = messages.div_ceil(pairs);
    let mut ready = Vec::new();
    for pair in 0..pairs {
        let pair = Pair::new(&peer, pair).await;
        ready.push(pair?);
    }
    let ready = drive(ready, window, each.div_ceil(10)).await?;
    let cpu = process::cpu(pid)?;
    let start = Instant::now();
    drive(ready, window, each).await?;
    let seconds = start.elapsed().as_secs_f64();
    let cpu = process::cpu(pid)?.saturating_sub(cpu);
    let count = u32::try_from(each * pairs)?;
    let micros = cpu.as_secs_f64() * 1e6 / f64::from(count);
    let rate = f64::from(count) / seconds;
    println!("{micros:.3} microseconds of server CPU each, {count} messages, {rate:.0} a second");
    Ok(())
}

/// Two clients; the first sends, the second receives.
struct Pair {
    sender: Client,
    receiver: Client,
    message: Vec<u8>,
}

impl Pair {
    async fn new(peer: &Peer, number: usize) -> Result<Self> {
        let (from, to) = (format!("sender{number}"), format!("receiver{number}"));
        Client::register(peer, &from).await?;
        Client::register(peer, &to).await?;
        let receiver = Client::ready(peer, &to, &from, 1).await?;
        let sender = Client::ready(peer, &from, &to, 1).await?;
        // About 320 bytes: what a client sends with chat states and receipts, and a hint that nobody
        // shall keep it, because this measures routing and not the archive.
        let message = format!(
            "<message type='chat' id='3a1f9c52-7d5e-4c1b-9a35-2f6f0f0c8d11' to='{to}@{DOMAIN}/load'>\
             <body>What light through yonder window breaks? It is the east.</body>\
             <active xmlns='http://jabber.org/protocol/chatstates'/>\
             <request xmlns='urn:xmpp:receipts'/>\
             <no-store xmlns='urn:xmpp:hints'/></message>"
        );
        Ok(Self {
            sender,
            receiver,
            message: message.into_bytes(),
        })
    }

    /// Sends `count` messages, never more than `window` on their way.
    async fn drive(mut self, window: usize, count: usize) -> Result<Self> {
        let batch = self.message.repeat(window);
        let (mut sent, mut received) = (0, 0);
        while received < count {
            let room = (window - (sent - received)).min(count - sent);
            let bytes = batch.get(..room * self.message.len()).unwrap_or_default();
            if !bytes.is_empty() {
                self.sender.send(bytes).await?;
                sent += room;
            }
            received += self.receiver.count(relay::END).await?;
        }
        Ok(self)
    }
}

async fn drive(pairs: Vec<Pair>, window: usize, count: usize) -> Result<Vec<Pair>> {
    let mut running = JoinSet::new();
    for pair in pairs {
        running.spawn(pair.drive(window, count));
    }
    let mut done = Vec::new();
    while let Some(pair) = running.join_next().await {
        done.push(pair??);
    }
    Ok(done)
}
