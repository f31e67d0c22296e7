//! Some cycles on the same data, and the audit at their end.

use crate::{
    archive::{Auditor, Listing},
    device::{Device, Kind, Stay},
    entry::{DeviceId, Entry, Party},
    journal::{self, Journal},
    oracle::{CHECKS, Evidence, Outcome},
    plan::{Dice, LOAD, Plan, Shape},
    rooms,
    server::{Binaries, Brand, Connector, Death, Server, Started},
    session::{Break, Step, register},
    tally::Tally,
    values::Values,
    world::World,
};
use std::{
    ops::Range,
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};
use tokio::{
    task::spawn_local,
    time::{Instant, sleep},
};
use waxwing_store::KillPoint;
use waxwing_testkit::client::Client;

/// The clients of each account. One that relies on what the server keeps for the absent must be the
/// only one, because that is given to whoever comes first.
const CLIENTS: &[&[Kind]] = &[
    &[Kind::Resuming, Kind::CatchingUp],
    &[Kind::CatchingUp, Kind::Resuming],
    &[Kind::Offline],
    &[Kind::Resuming, Kind::Resuming],
];
/// How long it may take until nothing comes any more, and how many times in a row nothing must have
/// come before what is missing is taken to be lost.
const QUIET_MAX: Duration = Duration::from_secs(30);
const QUIET_ROUNDS: u32 = 4;
/// How long a kill waits for a first login.
const FIRST_LOGIN_MAX: Duration = Duration::from_secs(3);
/// Lines of the journal shown for each violation.
const EVIDENCE_LINES: usize = 12;
/// Violations shown of each check.
const SHOWN_MAX: usize = 5;

/// What stays the same in a run.
pub(crate) struct Run {
    pub(crate) brand: Brand,
    pub(crate) binaries: Binaries,
    pub(crate) seed: u64,
    pub(crate) folder: PathBuf,
    /// Clients are in rooms, too.
    pub(crate) rooms: bool,
    /// What the times to listening and to the first login may be; none if they are only told.
    pub(crate) bounds: Option<(Duration, Duration)>,
}

impl Run {
    /// Runs an epoch; true if nothing was violated.
    pub(crate) async fn epoch(
        &self,
        number: u64,
        cycles: Range<u64>,
        tally: &mut Tally,
    ) -> Result<bool, String> {
        let folder = self.folder.join(format!("epoch-{number}"));
        let data = folder.join("server");
        let path = folder.join("journal");
        let mut server = Server::prepare(self.brand, self.binaries.clone(), &data)?;
        let journal = Journal::create(&path)?;
        let world = Rc::new(World::new(journal, server.connector()));
        let mut devices = self.settle_in(number, &mut server, &world, tally).await?;
        for cycle in cycles {
            devices = self
                .cycle(cycle, &mut server, &world, devices, tally)
                .await?;
        }
        let mut evidence = self.audit(&mut server, &world, devices, &path).await?;
        server.kill().await?;
        let Some(world) = Rc::into_inner(world) else {
            return Err("a client still runs".into());
        };
        world.journal.finish()?;
        evidence.bounds = self.bounds;
        let clean = tell(&evidence, &path, tally);
        tally.add_journal(&journal::read(&path)?);
        if clean {
            std::fs::remove_dir_all(&folder).map_err(|error| error.to_string())?;
        } else {
            println!("epoch {number} of seed {}: {}", self.seed, path.display());
        }
        Ok(clean)
    }

    /// The first start, with a death while the database is made now and then, and the accounts.
    async fn settle_in(
        &self,
        number: u64,
        server: &mut Server,
        world: &Rc<World>,
        tally: &mut Tally,
    ) -> Result<Vec<Device>, String> {
        let point = match number % 3 {
            0 => Some((KillPoint::Migration, 1)),
            1 => Some((KillPoint::Publish, 1)),
            _ => Some((KillPoint::Migration, 2)),
        };
        if let Some(death) = point.filter(|_| self.binaries.with_points.is_some()) {
            // The port may be open before the database is.
            let died = match server.start(Some(death)).await? {
                Started::Died => true,
                Started::Open(_) => server.dies(LOAD).await,
            };
            tally.point(death.0, died);
            server.kill().await?;
        }
        server.start(None).await?;
        let mut devices = Vec::new();
        for (account, kinds) in (0..).zip(CLIENTS) {
            let registered = register(server.connector(), account).await;
            registered.map_err(|error| format!("a{account} cannot be made: {error:?}"))?;
            for (index, kind) in (0..).zip(*kinds) {
                let id = DeviceId { account, index };
                let words = [number, u64::from(account), u64::from(index)];
                let dice = Dice::new(self.seed, &words);
                let rooms = if self.rooms {
                    rooms::of(id)
                } else {
                    Vec::new()
                };
                let stays = rooms.into_iter().map(Stay::new).collect();
                devices.push(Device::new(id, *kind, stays, Rc::clone(world), dice));
            }
        }
        if self.rooms {
            let members = (0..).zip(CLIENTS).map(|(account, _)| account);
            let members = members.filter(|account| {
                let index = 0;
                let account = *account;
                !rooms::of(DeviceId { account, index }).is_empty()
            });
            let members: Vec<u32> = members.collect();
            let made = rooms::make(server.connector(), &members).await;
            made.map_err(|error| format!("the rooms cannot be made: {error:?}"))?;
        }
        let abilities = async {
            let mut auditor = Auditor::log_in(server.connector(), 0, "auditor").await?;
            auditor.abilities().await
        };
        let abilities: Step<_> = abilities.await;
        world
            .abilities
            .set(abilities.map_err(|error| format!("{error:?}"))?);
        match self.brand {
            // Accounts made are on disk.
            Brand::Waxwing => server.kill().await?,
            // The figures are about messages; others may make accounts as they like.
            Brand::Peer(_) => server.stop().await?,
        }
        Ok(devices)
    }

    /// A start, load, and a kill.
    async fn cycle(
        &self,
        cycle: u64,
        server: &mut Server,
        world: &Rc<World>,
        devices: Vec<Device>,
        tally: &mut Tally,
    ) -> Result<Vec<Device>, String> {
        let mut dice = Dice::new(self.seed, &[cycle]);
        let mut death = self.death(cycle, &mut dice);
        let opened = match server.start(death).await? {
            Started::Open(after) => after,
            Started::Died => {
                killed(world, death, tally, true);
                death = None;
                match server.start(None).await? {
                    Started::Open(after) => after,
                    Started::Died => return Err("the server does not start".into()),
                }
            }
        };
        world.note_open(server.started, millis(opened));
        let shape = Shape {
            accounts: u32::try_from(CLIENTS.len()).unwrap_or(u32::MAX),
            values: Values::COUNT,
            heavy: death.is_some_and(|(point, _)| is_of_checkpoints(point)),
        };
        let start = Instant::now();
        let mut tasks = Vec::new();
        for mut device in devices {
            let DeviceId { account, index } = device.id;
            let words = [cycle, u64::from(account), u64::from(index)];
            let mut dice = Dice::new(self.seed, &words);
            let plan = Plan::new(device.id, &device.rooms(), shape, &mut dice);
            tasks.push(spawn_local(async move {
                device.live(&plan, start).await;
                device.after_crash |= !plan.absent;
                device
            }));
        }
        let by_itself = if death.is_some() {
            server.dies(LOAD).await
        } else {
            let longest = u32::try_from(LOAD.as_millis()).unwrap_or(u32::MAX);
            world.first_login(FIRST_LOGIN_MAX).await;
            sleep(Duration::from_millis(u64::from(dice.below(longest)))).await;
            false
        };
        server.kill().await?;
        killed(world, death, tally, by_itself);
        let mut devices = Vec::new();
        for task in tasks {
            devices.push(task.await.map_err(|error| error.to_string())?);
        }
        tally.cycles += 1;
        Ok(devices)
    }

    /// Every second cycle dies at a named place, all of them in turn.
    fn death(&self, cycle: u64, dice: &mut Dice) -> Option<Death> {
        self.binaries.with_points.as_ref()?;
        if cycle.is_multiple_of(2) {
            return None;
        }
        // Nobody uploads here; `interop/upload.py` has that.
        let running = |point: &&KillPoint| {
            !matches!(
                point,
                KillPoint::Publish | KillPoint::Migration | KillPoint::UploadPlaced
            )
        };
        let points: Vec<KillPoint> = KillPoint::ALL.iter().filter(running).copied().collect();
        let turn = usize::try_from(cycle / 2).unwrap_or(0);
        let point = *points.get(turn % points.len())?;
        let nth = match point {
            KillPoint::SessionPut | KillPoint::SessionTake | KillPoint::SessionUpdate => {
                dice.below(5)
            }
            point if is_of_checkpoints(point) => 0,
            _ => dice.below(25),
        };
        Some((point, 1 + nth))
    }

    /// Everybody comes back and gets what there is; then the archives are read.
    async fn audit(
        &self,
        server: &mut Server,
        world: &Rc<World>,
        devices: Vec<Device>,
        path: &Path,
    ) -> Result<Evidence, String> {
        match server.start(None).await? {
            Started::Open(after) => world.note_open(server.started, millis(after)),
            Started::Died => return Err("the server does not start".into()),
        }
        let mut evidence = Evidence {
            abilities: world.abilities.get(),
            ..Evidence::default()
        };
        for device in &devices {
            evidence.kinds.insert(device.id, device.kind);
            for room in device.rooms() {
                let occupants = evidence.occupants.entry(room).or_default();
                occupants.insert(device.id);
            }
        }
        let mut back = Vec::new();
        let tasks: Vec<_> = devices
            .into_iter()
            .map(|device| spawn_local(return_of(device)))
            .collect();
        for task in tasks {
            back.push(task.await.map_err(|error| error.to_string())?);
        }
        self.wait_for_all(world, back, path, &evidence).await?;
        if evidence.abilities.archive {
            let accounts = (0..).zip(CLIENTS).map(|(account, _)| account);
            let accounts = accounts.map(|account| (account, Party::Account(account)));
            let rooms = evidence.occupants.keys();
            let rooms = rooms.map(|room| (rooms::OWNER, Party::Room(*room)));
            let tasks: Vec<_> = accounts
                .chain(rooms)
                .map(|(reader, of)| {
                    (
                        reader,
                        of,
                        spawn_local(listings(server.connector(), reader, of)),
                    )
                })
                .collect();
            for (account, of, task) in tasks {
                match task.await.map_err(|error| error.to_string())? {
                    Ok(listings) => {
                        evidence.listings.insert(of, listings);
                    }
                    Err(Break::Cut) => return Err("the server died by itself".into()),
                    Err(Break::Wrong(text)) => {
                        let device = DeviceId { account, index: 0 };
                        world.journal.add(&Entry::Trouble { device, text });
                    }
                }
            }
        }
        world.journal.sync().await;
        evidence.sort(journal::read(path)?);
        Ok(evidence)
    }

    /// Listens until all devices have what they must get, or nothing comes any more.
    async fn wait_for_all(
        &self,
        world: &Rc<World>,
        mut devices: Vec<(Device, Option<Client>)>,
        path: &Path,
        start: &Evidence,
    ) -> Result<(), String> {
        let silence = match self.brand {
            Brand::Waxwing => Duration::from_millis(300),
            Brand::Peer(_) => Duration::from_secs(1),
        };
        let deadline = Instant::now() + QUIET_MAX;
        let mut quiet = 0;
        while quiet < QUIET_ROUNDS && Instant::now() < deadline {
            let arrivals = world.arrivals.get();
            let settling: Vec<_> = devices
                .into_iter()
                .map(|(device, client)| spawn_local(settled(device, client, silence)))
                .collect();
            devices = Vec::new();
            for task in settling {
                devices.push(task.await.map_err(|error| error.to_string())?);
            }
            world.journal.sync().await;
            let mut evidence = start.clone();
            evidence.sort(journal::read(path)?);
            let reached = CHECKS
                .iter()
                .filter(|check| matches!(check.number, "1b" | "1c"));
            let missing =
                |outcome| matches!(outcome, Outcome::Judged(_, missing) if !missing.is_empty());
            if !reached.map(|check| (check.judge)(&evidence)).any(missing) {
                break;
            }
            quiet = match world.arrivals.get() {
                now if now == arrivals => quiet + 1,
                _ => 0,
            };
        }
        Ok(())
    }
}

/// An archive read in all ways.
async fn listings(connector: Connector, reader: u32, of: Party) -> Step<Vec<Listing>> {
    let resource = format!("auditor-of-{of}");
    let mut auditor = Auditor::log_in(connector, reader, &resource).await?;
    auditor.listings(of).await
}

async fn return_of(mut device: Device) -> (Device, Option<Client>) {
    match device.come_back().await {
        Ok(client) => (device, Some(client)),
        Err(error) => {
            device.trouble(format!("does not come back: {error:?}"));
            (device, None)
        }
    }
}

async fn settled(
    mut device: Device,
    mut client: Option<Client>,
    silence: Duration,
) -> (Device, Option<Client>) {
    if let Some(connected) = &mut client
        && let Err(error) = device.settle(connected, silence).await
    {
        device.trouble(format!("ends in peace: {error:?}"));
        client = None;
    }
    (device, client)
}

fn is_of_checkpoints(point: KillPoint) -> bool {
    matches!(
        point,
        KillPoint::BeforeCheckpoint | KillPoint::BetweenCheckpoints
    )
}

/// Notes a death: by itself at a named place, or from outside.
fn killed(world: &World, death: Option<Death>, tally: &mut Tally, by_itself: bool) {
    if let Some((point, _)) = death {
        tally.point(point, by_itself);
    }
    let how = match death {
        Some((point, nth)) if by_itself => format!("{}:{nth}", point.name()),
        _ => "from-outside".to_owned(),
    };
    world.journal.add(&Entry::Killed { how });
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Runs the checks and prints what does not hold; true if everything does.
fn tell(evidence: &Evidence, path: &Path, tally: &mut Tally) -> bool {
    let mut clean = true;
    for check in CHECKS {
        let outcome = (check.judge)(evidence);
        if let Outcome::Judged(_, violations) = &outcome
            && !violations.is_empty()
        {
            clean = false;
            println!("VIOLATED {}: {}", check.number, check.name);
            for violation in violations.iter().take(SHOWN_MAX) {
                println!("  {}", violation.what);
                for line in journal::lines_with(path, &violation.word, EVIDENCE_LINES) {
                    println!("    {line}");
                }
            }
            let more = violations.len().saturating_sub(SHOWN_MAX);
            if more > 0 {
                println!("  and {more} more");
            }
        }
        tally.judged(check, &outcome);
    }
    clean
}
