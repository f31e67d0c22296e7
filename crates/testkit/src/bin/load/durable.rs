//! One-to-one messages that are archived, between pairs of clients with stream management.
//!
//! A message is on its way until its recipient has it and its sender has been told, by `<a/>`, that
//! the server answers for it; then it is *settled*. Each pair has at most a window of messages on
//! their way. Recipients acknowledge whenever they are asked.
//!
//! Time bounds every phase, not a number of messages: servers differ by a factor of a thousand, and
//! one that keeps all messages of 50 pairs in one transaction after another answers nobody for half
//! a minute.

use crate::{
    Options, Result,
    client::{Client, Heard, Peer},
    idle::{LOGINS_MAX, register},
    process,
    secure::DOMAIN,
};
use std::{io::Write as _, sync::Arc, time::Duration};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};

/// For making all accounts and logging them in.
const LOGIN_MAX: Duration = Duration::from_mins(2);
/// How long the load lasts before it is measured.
const WARM_UP: Duration = Duration::from_secs(1);
/// For what is on its way when a phase ends. What is not settled by then is told.
const SETTLING_MAX: Duration = Duration::from_secs(30);

/// Logs in, sends for a while as a warm-up, then measures for so many seconds, or until so many
/// messages are sent if that is sooner, and until what was sent is settled.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let peer = options.peer()?;
    let pairs = options.number("pairs", 50)?.max(1);
    let window = options.number("window", 10)?.max(1);
    let messages = options.number("messages", usize::MAX)?.div_ceil(pairs);
    let seconds = Duration::from_secs(u64::try_from(options.number("seconds", 8)?)?);
    let pid = options.pid()?;
    let ready = timeout(LOGIN_MAX, log_in(&peer, pairs));
    let late = |_| format!("not everybody was logged in within {LOGIN_MAX:?}");
    let ready = ready.await.map_err(late)??;
    let ready = warm_up(ready, window, messages, seconds.min(WARM_UP)).await?;

    let before = settled(&ready);
    let cpu = process::cpu(pid)?;
    let start = Instant::now();
    let goal = Goal {
        until: start + seconds,
        messages,
        window,
    };
    let done = drive(ready, goal).await?;
    let taken = start.elapsed().as_secs_f64();
    let cpu = process::cpu(pid)?.saturating_sub(cpu);
    let count = settled(&done) - before;
    let exact = f64::from(u32::try_from(count)?);
    println!(
        "micros={:.3} messages={count} unsettled={} seconds={taken:.2} rate={:.1} pss_kib={}",
        cpu.as_secs_f64() * 1e6 / exact,
        unsettled(&done),
        exact / taken,
        process::pss_kib(pid)?,
    );
    Ok(())
}

/// A message for each pair, then the whole load for what is left of the time: to begin with the
/// whole load would cost a slow server more than that time, and all of it would have to be waited
/// for.
async fn warm_up(
    pairs: Vec<Pair>,
    window: usize,
    messages: usize,
    time: Duration,
) -> Result<Vec<Pair>> {
    let until = Instant::now() + time;
    let one = Goal {
        until,
        messages: 1,
        window: 1,
    };
    let all = Goal {
        until,
        messages: messages / 10,
        window,
    };
    let mut pairs = pairs;
    for goal in [one, all] {
        pairs = drive(pairs, goal).await?;
        if unsettled(&pairs) > 0 {
            return Err(format!(
                "warm-up: {} messages of {} pairs were not settled {SETTLING_MAX:?} after the last",
                unsettled(&pairs),
                pairs.len()
            )
            .into());
        }
    }
    Ok(pairs)
}

fn settled(pairs: &[Pair]) -> usize {
    pairs.iter().map(Pair::settled).sum()
}

fn unsettled(pairs: &[Pair]) -> usize {
    pairs.iter().map(|pair| pair.sent - pair.settled()).sum()
}

/// When a pair stops sending, by whichever comes first, and how it sends.
#[derive(Clone, Copy)]
struct Goal {
    until: Instant,
    /// Of one pair, all told.
    messages: usize,
    /// How many may be on their way.
    window: usize,
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

    fn settled(&self) -> usize {
        self.received.min(self.acknowledged)
    }

    /// Sends until the goal is reached, then waits for what is on its way, but not for ever.
    async fn drive(mut self, goal: Goal) -> Result<Self> {
        match timeout_at(goal.until + SETTLING_MAX, self.exchange(goal)).await {
            Ok(exchanged) => exchanged?,
            // The counts tell what is still on its way.
            Err(_too_late) => {}
        }
        Ok(self)
    }

    async fn exchange(&mut self, goal: Goal) -> Result<()> {
        let mut bytes = Vec::new();
        loop {
            let open = self.sent - self.settled();
            let over = self.sent >= goal.messages || Instant::now() >= goal.until;
            if over && open == 0 {
                return Ok(());
            }
            let room = goal.window.saturating_sub(open);
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

async fn drive(pairs: Vec<Pair>, goal: Goal) -> Result<Vec<Pair>> {
    let mut running = JoinSet::new();
    for pair in pairs {
        running.spawn(pair.drive(goal));
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    fn pair() -> (Pair, DuplexStream, DuplexStream) {
        let (sender, from_sender) = tokio::io::duplex(4096);
        let (receiver, to_receiver) = tokio::io::duplex(4096);
        let pair = Pair {
            sender: Client::over(sender),
            receiver: Client::over(receiver),
            to: "receiver0".to_owned(),
            sent: 0,
            received: 0,
            acknowledged: 0,
        };
        (pair, from_sender, to_receiver)
    }

    fn goal(window: usize) -> Goal {
        Goal {
            until: Instant::now() + Duration::from_secs(3),
            messages: usize::MAX,
            window,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_never_answers_does_not_keep_the_load_from_ending() -> Result<()> {
        let start = Instant::now();
        let (pair, _from_sender, _to_receiver) = pair();
        let pair = pair.drive(goal(10)).await?;
        assert_eq!((pair.sent, pair.settled()), (10, 0));
        assert_eq!(start.elapsed(), Duration::from_secs(3) + SETTLING_MAX);
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn nor_does_one_that_no_longer_reads() -> Result<()> {
        let (pair, _from_sender, _to_receiver) = pair();
        // More than the stream holds.
        let pair = pair.drive(goal(100)).await?;
        assert_eq!((pair.sent, pair.settled()), (100, 0));
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn settled_is_what_both_ends_know_of() -> Result<()> {
        let (pair, mut from_sender, mut to_receiver) = pair();
        let driven = tokio::spawn(pair.drive(goal(10)));
        let mut sent = Vec::new();
        while memchr::memmem::find_iter(&sent, b"</message>").count() < 10 {
            from_sender.read_buf(&mut sent).await?;
        }
        // Nine have come and eight are answered for, with the quotes of another server.
        let came = "<message><body/></message>".repeat(9);
        to_receiver.write_all(came.as_bytes()).await?;
        to_receiver.write_all(b"<r xmlns='urn:xmpp:sm:3'/>").await?;
        let answer = b"<a xmlns=\"urn:xmpp:sm:3\" h=\"8\"/>";
        from_sender.write_all(answer).await?;
        let pair = driven.await??;
        // As many as are settled are sent again.
        let sent_and_settled = (pair.sent, pair.received, pair.settled());
        assert_eq!(sent_and_settled, (18, 9, 8));
        Ok(())
    }
}
