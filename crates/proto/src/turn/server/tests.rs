use super::super::Credentials;
use super::*;
use md5::{Digest as _, Md5};

const SECRET: [u8; 32] = [3; 32];
const NOW: i64 = 1_790_000_000_000_000;
const SECOND: i64 = 1_000_000;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn settings() -> Settings {
    Settings {
        realm: "example.org".to_owned(),
        secret: SECRET,
        families: vec![Family::V4, Family::V6],
        own: vec![address("192.0.32.1:1").ip()],
        private_peers: false,
        limits: Limits {
            account_allocations_max: 2,
            allocations_max: 3,
            account_bytes_per_second_max: 1000,
        },
    }
}

fn client(port: u16) -> Client {
    Client {
        address: SocketAddr::new(address("198.51.100.7:1").ip(), port),
        way: 0,
    }
}

struct World {
    turn: Turn,
    now: i64,
    ports: u16,
}

/// What a client knows.
struct Phone {
    client: Client,
    credentials: Credentials,
    nonce: Vec<u8>,
}

fn world() -> World {
    World {
        turn: Turn::new(settings()),
        now: NOW,
        ports: 50_000,
    }
}

fn writer(method: u16) -> Writer {
    Writer::new(Class::Request, method, [9; 12])
}

impl Phone {
    fn sign(&self, message: Writer) -> Vec<u8> {
        let Credentials { username, password } = &self.credentials;
        let key = Md5::digest(format!("{username}:example.org:{password}"));
        message
            .attribute(attribute::USERNAME, username.as_bytes())
            .attribute(attribute::REALM, b"example.org")
            .attribute(attribute::NONCE, &self.nonce)
            .finish(Some(&key), true)
    }
}

/// The number of an error; 0 for success.
fn code(bytes: &[u8]) -> u16 {
    let message = Message::read(bytes).unwrap();
    match message.class {
        Class::Success => 0,
        Class::Error => {
            let value = message.attribute(attribute::ERROR_CODE).unwrap();
            u16::from(value[2]) * 100 + u16::from(value[3])
        }
        other => panic!("{other:?}"),
    }
}

impl World {
    fn phone(&mut self, account: &str, port: u16) -> Phone {
        let expires = u64::try_from(self.now / SECOND).unwrap() + 3600;
        let client = client(port);
        let request = writer(method::ALLOCATE).finish(None, false);
        let answer = self.ask(client, &request);
        assert_eq!(code(&answer), 401);
        let answer = Message::read(&answer).unwrap();
        Phone {
            client,
            credentials: Credentials::new(&SECRET, account, expires),
            nonce: answer.attribute(attribute::NONCE).unwrap().to_vec(),
        }
    }

    /// The one answer to a request.
    fn ask(&mut self, client: Client, bytes: &[u8]) -> Vec<u8> {
        self.turn.received(client, bytes, self.now);
        let mut effects = self.turn.effects();
        if let [Effect::Open(to, family)] = effects[..] {
            let host = if family == Family::V4 {
                "192.0.32.1"
            } else {
                "2a00:1::1"
            };
            self.ports += 1;
            let relay = SocketAddr::new(host.parse().unwrap(), self.ports);
            self.turn.opened(to, Some(relay), self.now);
            effects = self.turn.effects();
        }
        effects.retain(|effect| !matches!(effect, Effect::Close(_)));
        match effects.pop() {
            Some(Effect::Send(to, bytes)) if effects.is_empty() && to == client => bytes,
            other => panic!("{other:?} after {effects:?}"),
        }
    }

    fn allocate(&mut self, phone: &Phone) -> SocketAddr {
        let request =
            phone.sign(writer(method::ALLOCATE).attribute(attribute::TRANSPORT, &[17, 0, 0, 0]));
        let answer = self.ask(phone.client, &request);
        assert_eq!(code(&answer), 0);
        let answer = Message::read(&answer).unwrap();
        let relay = answer.attribute(attribute::RELAYED_ADDRESS).unwrap();
        answer.address(relay).unwrap()
    }

    fn permit(&mut self, phone: &Phone, peer: &str) -> u16 {
        let request =
            writer(method::CREATE_PERMISSION).address(attribute::PEER_ADDRESS, address(peer));
        code(&self.ask(phone.client, &phone.sign(request)))
    }

    fn bind(&mut self, phone: &Phone, number: u16, peer: &str) -> u16 {
        let [high, low] = number.to_be_bytes();
        let request = writer(method::CHANNEL_BIND)
            .attribute(attribute::CHANNEL_NUMBER, &[high, low, 0, 0])
            .address(attribute::PEER_ADDRESS, address(peer));
        code(&self.ask(phone.client, &phone.sign(request)))
    }

    fn send(&mut self, phone: &Phone, peer: &str, data: &[u8]) -> Vec<Effect> {
        let bytes = Writer::new(Class::Indication, method::SEND, [1; 12])
            .address(attribute::PEER_ADDRESS, address(peer))
            .attribute(attribute::DATA, data)
            .finish(None, false);
        self.turn.received(phone.client, &bytes, self.now);
        self.turn.effects()
    }
}

#[test]
fn a_client_hears_where_it_comes_from() {
    let mut world = world();
    for from in ["198.51.100.7:4000", "[2001:db8::1]:4000"] {
        let from = Client {
            address: address(from),
            way: 1,
        };
        let request = writer(method::BINDING).finish(None, true);
        let bytes = world.ask(from, &request);
        let answer = Message::read(&bytes).unwrap();
        assert!(answer.has_checksum);
        let mapped = answer.attribute(attribute::MAPPED_ADDRESS).unwrap();
        assert_eq!(answer.address(mapped), Some(from.address));
    }
}

/// A stranger cannot have somebody else sent much more than he has sent.
#[test]
fn answers_to_strangers_are_short() {
    let mut world = world();
    let asked = writer(method::ALLOCATE).attribute(attribute::TRANSPORT, &[17, 0, 0, 0]);
    let asked = asked.finish(None, false);
    let answer = world.ask(client(1), &asked);
    assert!(
        answer.len() <= 3 * asked.len(),
        "{} for {}",
        answer.len(),
        asked.len()
    );
    for bytes in [
        &b"x"[..],
        b"",
        &[0; 20],
        &[0x40, 0, 0, 4, 1, 2, 3, 4],
        &[0xFF; 100],
    ] {
        world.turn.received(client(1), bytes, NOW);
        assert!(world.turn.effects().is_empty(), "{bytes:?}");
    }
}

#[test]
fn data_goes_both_ways_by_permission_and_by_channel() {
    let mut world = world();
    let phone = world.phone("alice", 1);
    let relay = world.allocate(&phone);
    let peer = "192.0.32.9:7000";
    assert!(world.send(&phone, peer, b"early").is_empty());
    world
        .turn
        .from_peer(relay, address(peer), b"early", world.now);
    assert!(world.turn.effects().is_empty());

    assert_eq!(world.permit(&phone, peer), 0);
    let sent = Effect::Relay {
        from: relay,
        to: address(peer),
        data: b"hello".to_vec(),
    };
    assert_eq!(world.send(&phone, peer, b"hello"), [sent]);
    world.turn.from_peer(relay, address(peer), b"hi", world.now);
    let effects = world.turn.effects();
    let [Effect::Send(to, bytes)] = &effects[..] else {
        panic!("{effects:?}")
    };
    let message = Message::read(bytes).unwrap();
    assert_eq!(
        (*to, message.class, message.method),
        (phone.client, Class::Indication, method::DATA)
    );
    assert_eq!(message.attribute(attribute::DATA), Some(&b"hi"[..]));

    assert_eq!(world.bind(&phone, 0x4001, peer), 0);
    assert_eq!(world.bind(&phone, 0x4001, peer), 0, "again");
    assert_eq!(
        world.bind(&phone, 0x4002, peer),
        400,
        "it has another channel"
    );
    assert_eq!(
        world.bind(&phone, 0x4001, "192.0.32.9:7001"),
        400,
        "it is another peer's"
    );
    assert_eq!(world.bind(&phone, 0x8000, "192.0.32.9:7001"), 400);
    world
        .turn
        .received(phone.client, b"\x40\x01\x00\x03abc\x00", world.now);
    let sent = Effect::Relay {
        from: relay,
        to: address(peer),
        data: b"abc".to_vec(),
    };
    assert_eq!(world.turn.effects(), [sent]);
    world.turn.from_peer(relay, address(peer), b"hi", world.now);
    let heard = Effect::Send(phone.client, b"\x40\x01\x00\x02hi".to_vec());
    assert_eq!(world.turn.effects(), [heard]);

    // Permissions and channels end.
    world.now += 301 * SECOND;
    world.turn.from_peer(relay, address(peer), b"hi", world.now);
    assert!(world.turn.effects().is_empty());
    world.now += 300 * SECOND;
    world
        .turn
        .received(phone.client, b"\x40\x01\x00\x03abc\x00", world.now);
    assert!(world.turn.effects().is_empty());
}

#[test]
fn only_the_public_internet_is_relayed_to() {
    let mut world = world();
    let phone = world.phone("alice", 1);
    world.allocate(&phone);
    for (peer, want) in [
        ("192.0.32.9:1", 0),
        ("127.0.0.1:80", 403),
        ("0.0.0.0:80", 403),
        ("10.1.2.3:80", 403),
        ("169.254.169.254:80", 403),
        ("[::1]:80", 443),
        ("[::ffff:127.0.0.1]:80", 443),
    ] {
        assert_eq!(world.permit(&phone, peer), want, "{peer}");
        assert_eq!(world.bind(&phone, 0x4000, peer), want, "{peer}");
        world
            .turn
            .received(phone.client, b"\x40\x00\x00\x01x", world.now);
        let _ = world.turn.effects();
        if want != 0 {
            assert!(world.send(&phone, peer, b"x").is_empty(), "{peer}");
        }
    }
    let phone = world.phone("alice", 2);
    let v6 = writer(method::ALLOCATE)
        .attribute(attribute::TRANSPORT, &[17, 0, 0, 0])
        .attribute(attribute::FAMILY, &[2, 0, 0, 0]);
    assert_eq!(code(&world.ask(phone.client, &phone.sign(v6))), 0);
    for (peer, want) in [
        ("[2a00:1450::1]:1", 0),
        ("[::1]:80", 403),
        ("[::ffff:127.0.0.1]:80", 403),
        ("[64:ff9b::a00:1]:80", 403),
        ("[fe80::1]:80", 403),
        ("192.0.32.9:1", 443),
    ] {
        assert_eq!(world.permit(&phone, peer), want, "{peer}");
    }
}

/// Two who both need the relay reach each other; nothing else at our address is reached.
#[test]
fn allocations_reach_each_other_and_nothing_of_ours() {
    let mut world = world();
    let (one, two) = (world.phone("alice", 1), world.phone("bob", 2));
    let (relay_one, relay_two) = (world.allocate(&one), world.allocate(&two));
    assert_eq!(world.permit(&one, &relay_two.to_string()), 0);
    assert!(
        world.send(&one, &relay_two.to_string(), b"x").is_empty(),
        "not permitted there"
    );
    assert_eq!(world.permit(&two, &relay_one.to_string()), 0);
    let effects = world.send(&one, &relay_two.to_string(), b"hello");
    let [Effect::Send(to, bytes)] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(*to, two.client);
    let message = Message::read(bytes).unwrap();
    let from = message.attribute(attribute::PEER_ADDRESS).unwrap();
    assert_eq!(message.address(from), Some(relay_one));
    assert!(world.send(&one, "192.0.32.1:5222", b"x").is_empty());
}

#[test]
fn requests_are_signed_by_somebody_we_know_for_now() {
    let mut world = world();
    let phone = world.phone("alice", 1);
    let request = || writer(method::ALLOCATE).attribute(attribute::TRANSPORT, &[17, 0, 0, 0]);
    let other = |change: &dyn Fn(&mut Phone)| {
        let mut other = Phone {
            client: phone.client,
            credentials: phone.credentials.clone(),
            nonce: phone.nonce.clone(),
        };
        change(&mut other);
        other.sign(request())
    };
    let wrong_password = other(&|phone| phone.credentials.password.push('x'));
    let wrong_name = other(&|phone| phone.credentials.username = "99999999999:AAAA".to_owned());
    let over =
        other(&|phone| phone.credentials = Credentials::new(&SECRET, "alice", 1_789_999_999));
    let stale = other(&|phone| phone.nonce = b"AAAAAAAAAAAAAAAA".to_vec());
    for (bytes, want) in [
        (wrong_password, 401),
        (wrong_name, 401),
        (over, 401),
        (stale, 438),
    ] {
        assert_eq!(code(&world.ask(phone.client, &bytes)), want);
    }
    let elsewhere = client(2);
    assert_eq!(
        code(&world.ask(elsewhere, &phone.sign(request()))),
        438,
        "another's nonce"
    );
    let pair = request().attribute(attribute::EVEN_PORT, &[0x80]);
    assert_eq!(code(&world.ask(phone.client, &phone.sign(pair))), 508);
    let unknown = request().attribute(0x001A, &[]);
    let answer = world.ask(phone.client, &phone.sign(unknown));
    assert_eq!(code(&answer), 420);
    let answer = Message::read(&answer).unwrap();
    assert_eq!(answer.attribute(attribute::UNKNOWN), Some(&[0, 0x1A][..]));
    world.now += 3600 * SECOND;
    assert_eq!(code(&world.ask(phone.client, &phone.sign(request()))), 438);
}

#[test]
fn allocations_live_as_long_as_they_are_refreshed() {
    let mut world = world();
    let phone = world.phone("alice", 1);
    let relay = world.allocate(&phone);
    assert_eq!(world.allocate(&phone), relay, "the same request again");
    let again = Writer::new(Class::Request, method::ALLOCATE, [8; 12]);
    let again = phone.sign(again.attribute(attribute::TRANSPORT, &[17, 0, 0, 0]));
    assert_eq!(code(&world.ask(phone.client, &again)), 437);
    let refresh = |seconds: u32| {
        writer(method::REFRESH).attribute(attribute::LIFETIME, &seconds.to_be_bytes())
    };
    world.now += 599 * SECOND;
    assert_eq!(code(&world.ask(phone.client, &phone.sign(refresh(600)))), 0);
    world.now += 599 * SECOND;
    world.turn.tick(world.now);
    assert_eq!(world.turn.allocations(), 1);
    world.now += SECOND;
    world.turn.tick(world.now);
    assert_eq!(world.turn.effects(), [Effect::Close(relay)]);
    assert_eq!(
        code(&world.ask(phone.client, &phone.sign(refresh(600)))),
        437
    );

    world.allocate(&phone);
    assert_eq!(code(&world.ask(phone.client, &phone.sign(refresh(0)))), 0);
    assert_eq!(world.turn.allocations(), 0);
}

#[test]
fn an_account_has_bounds() {
    let mut world = world();
    let request = || writer(method::ALLOCATE).attribute(attribute::TRANSPORT, &[17, 0, 0, 0]);
    let phones: Vec<Phone> = (1..=2).map(|port| world.phone("alice", port)).collect();
    for phone in &phones {
        world.allocate(phone);
    }
    let third = world.phone("alice", 3);
    assert_eq!(code(&world.ask(third.client, &third.sign(request()))), 486);
    let bob = world.phone("bob", 4);
    world.allocate(&bob);
    let carol = world.phone("carol", 5);
    assert_eq!(code(&world.ask(carol.client, &carol.sign(request()))), 508);

    // 1000 bytes in a second, for all allocations of the account together.
    let peer = "192.0.32.9:7000";
    for phone in phones.iter().chain([&bob]) {
        assert_eq!(world.permit(phone, peer), 0);
    }
    assert_eq!(world.send(&phones[0], peer, &[0; 600]).len(), 1);
    assert_eq!(world.send(&phones[1], peer, &[0; 600]).len(), 0);
    assert_eq!(world.send(&phones[1], peer, &[0; 400]).len(), 1);
    assert_eq!(world.send(&bob, peer, &[0; 600]).len(), 1);
    world.now += SECOND / 2;
    assert_eq!(world.send(&phones[1], peer, &[0; 501]).len(), 0);
    assert_eq!(world.send(&phones[1], peer, &[0; 500]).len(), 1);
}

#[test]
fn an_address_that_cannot_be_opened() {
    let mut world = world();
    let phone = world.phone("alice", 1);
    let request = writer(method::ALLOCATE).attribute(attribute::TRANSPORT, &[17, 0, 0, 0]);
    world
        .turn
        .received(phone.client, &phone.sign(request), world.now);
    let effects = world.turn.effects();
    assert_eq!(effects, [Effect::Open(phone.client, Family::V4)]);
    world.turn.opened(phone.client, None, world.now);
    let effects = world.turn.effects();
    let [Effect::Send(_, bytes)] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(code(bytes), 508);
    assert_eq!(world.turn.allocations(), 0);
    let late = address("192.0.32.1:9");
    world.turn.opened(phone.client, Some(late), world.now);
    assert_eq!(world.turn.effects(), [Effect::Close(late)]);
}
