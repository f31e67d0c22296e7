//! Rooms (XEP-0045): everybody enters, and then one in each room talks. The rooms are made as the
//! server makes them when its owner says nothing; all servers keep their archives.

use crate::{
    Options, Result,
    client::{Client, Peer},
    process,
};
use memchr::memmem;
use std::{
    fmt::{self, Write as _},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinSet, time::timeout};

/// The longest that anything is waited for.
const PATIENCE: Duration = Duration::from_mins(5);
/// For how long nothing must have come before something is measured.
const QUIET: Duration = Duration::from_secs(1);

/// What has come to all clients.
#[derive(Debug, Default)]
struct Counts {
    presences: AtomicUsize,
    messages: AtomicUsize,
}

/// What is going on.
#[derive(Debug, Clone, Copy)]
enum Phase {
    Entering,
    /// Until then whoever talks may begin another message.
    Talking(Instant),
}

/// A run: how much to do.
struct Plan {
    peer: Peer,
    pid: u32,
    service: String,
    rooms: usize,
    occupants: usize,
    window: usize,
    length: Duration,
}

/// What came out.
struct Figures {
    /// Of the server's processor for the entrances of all, and how long these took.
    enter_cpu: Duration,
    enter_time: Duration,
    /// Growth of the server's memory by them.
    kib: u64,
    deliveries: usize,
    /// Of the server's processor for the deliveries, and how long these took.
    cpu: Duration,
    time: Duration,
}

/// Prints names and values.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let plan = Plan {
        peer: options.peer()?,
        pid: options.pid()?,
        service: options.text("service", "groups.localhost").to_owned(),
        rooms: options.number("rooms", 1)?,
        occupants: options.number("occupants", 500)?,
        window: options.number("window", 10)?,
        length: Duration::from_secs(u64::try_from(options.number("seconds", 5)?)?),
    };
    let figures = plan.run().await?;
    let everybody = number(plan.rooms * plan.occupants)?;
    let deliveries = number(figures.deliveries)?;
    println!(
        "micros={:.2} rate={:.0} kib={:.2} enter_cpu_ms={:.0} enter_ms={:.0} deliveries={}",
        figures.cpu.as_secs_f64() * 1e6 / deliveries,
        deliveries / figures.time.as_secs_f64(),
        f64::from(u32::try_from(figures.kib)?) / everybody,
        figures.enter_cpu.as_secs_f64() * 1e3,
        figures.enter_time.as_secs_f64() * 1e3,
        figures.deliveries,
    );
    Ok(())
}

impl Plan {
    async fn run(&self) -> Result<Figures> {
        let mut clients = Vec::new();
        for number in 0..self.rooms * self.occupants {
            let name = format!("occupant{number}");
            Client::register(&self.peer, &name).await?;
            let host = u8::try_from(number % 200 + 1)?;
            clients.push(Client::ready(&self.peer, &format!("{name}/load"), "", host).await?);
        }
        tokio::time::sleep(QUIET).await;
        let kib = process::pss_kib(self.pid)?;
        let cpu = process::cpu(self.pid)?;
        let start = Instant::now();
        let counts = Arc::new(Counts::default());
        let (phase, phases) = watch::channel(Phase::Entering);
        let mut tasks = JoinSet::new();
        let mut clients = clients.into_iter();
        for room in 0..self.rooms {
            let address = format!("room{room}@{}", self.service);
            let mut owner = clients.next().ok_or("there is nobody")?;
            make(&mut owner, &address).await?;
            counts.presences.fetch_add(1, Ordering::Relaxed);
            let talker = Occupant::new(owner, &counts, &phases);
            tasks.spawn(talker.talk(address.clone(), self.window));
            for (number, client) in (1..self.occupants).zip(clients.by_ref()) {
                let occupant = Occupant::new(client, &counts, &phases);
                tasks.spawn(occupant.enter(format!("{address}/nick{number}")));
            }
        }
        // Everybody hears of everybody in the room, itself included, once.
        let all = self.rooms * self.occupants * self.occupants;
        wait(&mut tasks, || {
            counts.presences.load(Ordering::Relaxed) >= all
        })
        .await?;
        let enter_time = start.elapsed();
        tokio::time::sleep(QUIET).await;
        let enter_cpu = process::cpu(self.pid)?.saturating_sub(cpu);
        let kib = process::pss_kib(self.pid)?.saturating_sub(kib);

        let before = counts.messages.load(Ordering::Relaxed);
        let cpu = process::cpu(self.pid)?;
        let start = Instant::now();
        phase.send(Phase::Talking(start + self.length))?;
        let mut said = 0;
        for _ in 0..self.rooms {
            // Only those who talk come to an end.
            let done = timeout(self.length + PATIENCE, tasks.join_next()).await?;
            said += done.ok_or("nobody talks")???;
        }
        let deliveries = said * self.occupants;
        let come = || counts.messages.load(Ordering::Relaxed) - before;
        wait(&mut tasks, || come() >= deliveries).await?;
        let time = start.elapsed();
        if come() != deliveries {
            return Err(format!("{} messages came instead of {deliveries}", come()).into());
        }
        Ok(Figures {
            enter_cpu,
            enter_time,
            kib,
            deliveries,
            cpu: process::cpu(self.pid)?.saturating_sub(cpu),
            time,
        })
    }
}

/// Waits until something is so; an error if a client has failed meanwhile.
async fn wait(tasks: &mut JoinSet<Result<usize>>, so: impl Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        if let Some(ended) = tasks.try_join_next() {
            let _talker_too_early = ended??;
            return Err("a client has ended".into());
        }
        if Instant::now() > deadline {
            return Err("not all has come".into());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

/// Makes a room, as its first occupant, with the options that it has by itself (§ 10.1.2).
async fn make(owner: &mut Client, room: &str) -> Result<()> {
    owner
        .send(entrance(format!("{room}/nick0")).as_bytes())
        .await?;
    owner.until(&[b"</presence>"]).await?;
    let request = format!(
        "<iq type='set' id='make' to='{room}'>\
         <query xmlns='http://jabber.org/protocol/muc#owner'>\
         <x xmlns='jabber:x:data' type='submit'/></query></iq>"
    );
    owner.send(request.as_bytes()).await?;
    match owner
        .until(&[b"type='result'", b"type=\"result\"", b"<error"])
        .await?
    {
        0 | 1 => Ok(()),
        _ => Err(format!("{room} cannot be made").into()),
    }
}

fn entrance(occupant: impl fmt::Display) -> String {
    format!("<presence to='{occupant}'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
}

/// A client that counts what comes.
struct Occupant {
    client: Client,
    counts: Arc<Counts>,
    phases: watch::Receiver<Phase>,
}

impl Occupant {
    fn new(client: Client, counts: &Arc<Counts>, phases: &watch::Receiver<Phase>) -> Self {
        Self {
            client,
            counts: Arc::clone(counts),
            phases: phases.clone(),
        }
    }

    /// Enters and listens for good.
    async fn enter(mut self, occupant: String) -> Result<usize> {
        self.client.send(entrance(occupant).as_bytes()).await?;
        loop {
            self.hear().await?;
        }
    }

    /// Waits until it may, then says so much that the last `window` messages have not come back yet;
    /// gives how many it said.
    async fn talk(mut self, room: String, window: usize) -> Result<usize> {
        let end = loop {
            if let Phase::Talking(end) = *self.phases.borrow_and_update() {
                break end;
            }
            tokio::select! {
                biased;
                changed = self.phases.changed() => changed?,
                heard = self.client.take() => self.count(&heard?),
            }
        };
        let (mut said, mut heard) = (0, 0);
        loop {
            let mut text = String::new();
            while Instant::now() < end && said - heard < window {
                let _always_written = write!(
                    text,
                    "<message to='{room}' type='groupchat' id='m{said}'><body>something that is about \
                     as long as what people write to each other</body></message>"
                );
                said += 1;
            }
            if said == heard {
                return Ok(said);
            }
            self.client.send(text.as_bytes()).await?;
            heard += self.hear().await?;
        }
    }

    /// Takes what comes next; gives how many messages.
    async fn hear(&mut self) -> Result<usize> {
        let heard = self.client.take().await?;
        self.count(&heard);
        Ok(ends(&heard, b"</message>"))
    }

    fn count(&self, heard: &[u8]) {
        let presences = ends(heard, b"</presence>");
        self.counts
            .presences
            .fetch_add(presences, Ordering::Relaxed);
        let messages = ends(heard, b"</message>");
        self.counts.messages.fetch_add(messages, Ordering::Relaxed);
    }
}

fn ends(heard: &[u8], end: &[u8]) -> usize {
    memmem::find_iter(heard, end).count()
}

fn number(count: usize) -> Result<f64> {
    Ok(f64::from(u32::try_from(count)?))
}
