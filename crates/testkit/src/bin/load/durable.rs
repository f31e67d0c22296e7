//! One-to-one messages that are archived, between pairs of clients with stream management.
//!
//! A message is on its way until its recipient has it and its sender has been told, by `<a/>`, that
//! the server answers for it; each pair has at most a window of them on their way. Recipients
//! acknowledge whenever they are asked.

use crate::{
    Options, Result,
    client::{Client, Heard, Peer},
    idle::{LOGINS_MAX, register},
    process,
    secure::DOMAIN,
};
use std::{
    io::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::Semaphore, task::JoinSet};

/// Logs in, sends for a while as a warm-up, then measures for so many seconds, or until so many
/// messages are sent if that is sooner.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let peer = options.peer()?;
    let pairs = options.number("pairs", 50)?.max(1);
    let window = options.number("window", 10)?.max(1);
    let messages = options.number("messages", usize::MAX)?;
    let seconds = u64::try_from(options.number("seconds", 8)?)?;
    let pid = options.pid()?;
    let ready = log_in(&peer, pairs).await?;
    let warm_up = Goal {
        until: Instant::now() + Duration::from_secs(seconds.min(1)),
        messages: messages.div_ceil(pairs) / 10,
    };
    let ready = drive(ready, window, warm_up).await?;
    let before: usize = ready.iter().map(|pair| pair.sent).sum();
    let cpu = process::cpu(pid)?;
    let start = Instant::now();
    let goal = Goal {
        until: start + Duration::from_secs(seconds),
        messages: messages.div_ceil(pairs),
    };
    let done = drive(ready, window, goal).await?;
    let taken = start.elapsed().as_secs_f64();
    let cpu = process::cpu(pid)?.saturating_sub(cpu);
    let count: usize = done.iter().map(|pair| pair.sent).sum();
    let count = f64::from(u32::try_from(count - before)?);
    println!(
        "{:.3} microseconds of server CPU each, {count} messages, {:.0} a second, KiB PSS {}",
        cpu.as_secs_f64() * 1e6 / count,
        count / taken,
        process::pss_kib(pid)?,
    );
    Ok(())
}

/// When a pair stops sending: whichever comes first.
#[derive(Clone, Copy)]
struct Goal {
    until: Instant,
    /// Of one pair, all told.
    messages: usize,
}

/// Two clients; the first sends, the second receives.
struct Pair {
    sender: Client,
    receiver: Client,
    to: String,
    /// Since the streams began, as stream management counts.
    sent: usize,
    received: usize,
    acknowledged: usize,
}

impl Pair {
    async fn new(peer: &Peer, number: usize) -> Result<Self> {
        let (from, to) = (format!("sender{number}"), format!("receiver{number}"));
        let mut receiver = Client::ready(peer, &to, &from, 1).await?;
        let mut sender = Client::ready(peer, &from, &to, 1).await?;
        receiver.manage().await?;
        sender.manage().await?;
        Ok(Self {
            sender,
            receiver,
            to,
            sent: 0,
            received: 0,
            acknowledged: 0,
        })
    }

    /// Sends until the goal is reached, then waits for what is on its way.
    async fn drive(mut self, window: usize, goal: Goal) -> Result<Self> {
        let mut bytes = Vec::new();
        loop {
            let settled = self.received.min(self.acknowledged);
            let over = self.sent >= goal.messages || Instant::now() >= goal.until;
            if over && settled == self.sent {
                return Ok(self);
            }
            let room = window.saturating_sub(self.sent - settled);
            let room = room.min(goal.messages.saturating_sub(self.sent));
            if !over && room > 0 {
                self.compose(&mut bytes, room)?;
                self.sender.send(&bytes).await?;
            }
            tokio::select! {
                biased;
                heard = self.sender.hear() => self.sender_heard(&heard?).await?,
                heard = self.receiver.hear() => self.receiver_heard(&heard?).await?,
            }
        }
    }

    /// Writes messages of about 330 bytes, each with an id of its own, as clients make them, and a
    /// question for an acknowledgement.
    fn compose(&mut self, bytes: &mut Vec<u8>, count: usize) -> Result<()> {
        bytes.clear();
        let to = &self.to;
        for _ in 0..count {
            let id = self.sent;
            self.sent += 1;
            write!(
                bytes,
                "<message type='chat' id='3a1f9c52-7d5e-4c1b-{id:016x}' to='{to}@{DOMAIN}/load'>\
                 <body>What light through yonder window breaks? It is the east.</body>\
                 <active xmlns='http://jabber.org/protocol/chatstates'/>\
                 <origin-id xmlns='urn:xmpp:sid:0' id='3a1f9c52-7d5e-4c1b-{id:016x}'/>\
                 <request xmlns='urn:xmpp:receipts'/></message>"
            )?;
        }
        bytes.extend_from_slice(b"<r xmlns='urn:xmpp:sm:3'/>");
        Ok(())
    }

    async fn sender_heard(&mut self, heard: &Heard) -> Result<()> {
        if heard.messages > 0 {
            return Err("a sender got a message: the server returns them".into());
        }
        if let Some(acknowledged) = heard.acknowledged {
            self.acknowledged = usize::try_from(acknowledged)?;
        }
        if heard.asked {
            self.sender.send(&answer(0)).await?;
        }
        Ok(())
    }

    async fn receiver_heard(&mut self, heard: &Heard) -> Result<()> {
        self.received += heard.messages;
        if heard.asked {
            self.receiver.send(&answer(self.received)).await?;
        }
        Ok(())
    }
}

fn answer(handled: usize) -> Vec<u8> {
    format!("<a xmlns='urn:xmpp:sm:3' h='{handled}'/>").into_bytes()
}

async fn log_in(peer: &Peer, pairs: usize) -> Result<Vec<Pair>> {
    let names = (0..pairs).flat_map(|pair| [format!("sender{pair}"), format!("receiver{pair}")]);
    register(peer, names).await?;
    let gate = Arc::new(Semaphore::new(LOGINS_MAX));
    let mut coming = JoinSet::new();
    for number in 0..pairs {
        let (peer, gate) = (peer.clone(), gate.clone());
        coming.spawn(async move {
            let _permit = gate.acquire_owned().await?;
            Pair::new(&peer, number).await
        });
    }
    all(coming).await
}

async fn drive(pairs: Vec<Pair>, window: usize, goal: Goal) -> Result<Vec<Pair>> {
    let mut running = JoinSet::new();
    for pair in pairs {
        running.spawn(pair.drive(window, goal));
    }
    all(running).await
}

async fn all(mut running: JoinSet<Result<Pair>>) -> Result<Vec<Pair>> {
    let mut done = Vec::new();
    while let Some(pair) = running.join_next().await {
        done.push(pair??);
    }
    Ok(done)
}
