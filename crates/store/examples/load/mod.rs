//! What the examples about archives share: accounts, a load, and the CPU time used.

use std::collections::VecDeque;
use waxwing_proto::{BareJid, Jid, sasl::Verifier};
use waxwing_store::{
    Accounts, Archive, Commits, Credentials, Entry, Message, Record, Resend, SqliteStore, Ticket,
};

pub(crate) type Error = Box<dyn std::error::Error>;

/// Submits records, keeping `in_flight` uncommitted; forgets resends as a server does, once for
/// each thousand.
pub(crate) async fn submit(
    store: &SqliteStore,
    in_flight: usize,
    messages: impl Iterator<Item = Result<Message, Error>>,
) -> Result<(), Error> {
    let mut tickets: VecDeque<Ticket> = VecDeque::with_capacity(in_flight);
    for (number, message) in messages.enumerate() {
        let message = message?;
        if tickets.len() >= in_flight
            && let Some(oldest) = tickets.pop_front()
        {
            oldest.await?;
        }
        if number.is_multiple_of(1_000) {
            let day_ago = message.at - DAY;
            store.resends_forget(day_ago, 10_000).await?;
        }
        tickets.push_back(store.submit(Record::from(message)));
    }
    for ticket in tickets {
        ticket.await?;
    }
    Ok(())
}

/// Microseconds of a day.
pub(crate) const DAY: i64 = 86_400_000_000;
/// When the load begins.
pub(crate) const START: i64 = 1_790_000_000_000_000;

/// A message of 400 bytes between two accounts, recognised when it comes again.
pub(crate) fn message(
    number: u32,
    at: i64,
    from: &BareJid,
    to: &BareJid,
) -> Result<Message, Error> {
    let entry = |account: &BareJid, with: &str, outgoing| {
        let with: Jid = with.parse().map_err(|_| "address")?;
        Ok::<_, Error>(Entry {
            account: account.clone(),
            with,
            outgoing,
            flags: 0,
        })
    };
    let key = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    Ok(Message {
        origin: Some(format!("4d4c1f6a-8d0e-4f0e-9a66-{number:012}")),
        sender: Some(entry(from, to.as_str(), true)?),
        recipient: Some(entry(to, &format!("{from}/Conversations.Xy12"), false)?),
        resend: Some(Resend {
            account: from.clone(),
            key: key.to_be_bytes(),
        }),
        ..Message::new(at, vec![b'm'; 400].into())
    })
}

/// Makes `count` accounts.
pub(crate) async fn accounts(store: &SqliteStore, count: u32) -> Result<Vec<BareJid>, Error> {
    let verifier = |size| Verifier {
        salt: vec![1; 16],
        iterations: 4096,
        stored_key: vec![2; size],
        server_key: vec![3; size],
    };
    let credentials = Credentials {
        sha1: Some(verifier(20)),
        sha256: Some(verifier(32)),
        sha512: Some(verifier(64)),
    };
    let mut accounts = Vec::new();
    let mut made = Vec::new();
    for number in 0..count {
        let account: BareJid = format!("user{number}@example.org")
            .parse()
            .map_err(|_| "address")?;
        made.push(store.account_create(account.clone(), credentials.clone(), 0));
        accounts.push(account);
    }
    for made in made {
        made.await?;
    }
    Ok(accounts)
}

/// CPU time of all threads so far, user and system, in microseconds (Linux).
pub(crate) fn cpu_micros() -> Result<f64, Error> {
    let mut nanos = 0.0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        nanos += text.split(' ').next().ok_or("schedstat")?.parse::<f64>()?;
    }
    Ok(nanos / 1_000.0)
}
