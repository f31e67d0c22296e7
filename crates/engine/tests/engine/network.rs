//! Servers in one process, joined by connections without sockets.

use crate::server::Server;
use bytes::BytesMut;
use std::{collections::HashMap, time::Duration};
use tokio::sync::watch;
use waxwing_engine::{
    Dial, DialFailure, Engine, IncomingConnection, OutgoingConnection, Served, Settings, Status,
};
use waxwing_proto::stream::{TlsInfo, Transport, s2s::Certificate};

/// How servers show who they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// By certificates on both sides.
    External,
    /// The one that connects has none.
    Dialback,
}

/// Whether the network works; changed, it cuts every connection.
pub(crate) type Cable = watch::Sender<bool>;

/// What every federating server has set.
pub(crate) fn federating(settings: &mut Settings) {
    settings.federation.enabled = true;
    settings.services.clear();
}

/// `localhost` and `there.example`.
pub(crate) async fn two(proof: Proof) -> (Server, Server, Cable) {
    let here = Server::with_settings(federating).await;
    let there = Server::of("there.example", federating).await;
    let cable = watch::Sender::new(true);
    join(&here, &there, proof, &cable);
    (here, there, cable)
}

/// Makes the connections that the servers want, as long as the cable is whole.
pub(crate) fn join(here: &Server, there: &Server, proof: Proof, cable: &Cable) {
    let engines = HashMap::from([
        ("localhost".to_owned(), here.engine.clone()),
        ("there.example".to_owned(), there.engine.clone()),
    ]);
    for engine in engines.values() {
        let engine = engine.clone();
        let (engines, cable) = (engines.clone(), cable.subscribe());
        tokio::spawn(async move {
            loop {
                let dial = engine.next_dial().await;
                tokio::spawn(connect(
                    engine.clone(),
                    dial,
                    engines.clone(),
                    proof,
                    cable.clone(),
                ));
            }
        });
    }
}

async fn connect(
    engine: Engine,
    dial: Dial,
    engines: HashMap<String, Engine>,
    proof: Proof,
    mut cable: watch::Receiver<bool>,
) {
    let pair = dial.pair().clone();
    let Some(other) = engines.get(&pair.remote) else {
        return dial.failed(&engine, DialFailure::NotFound).await;
    };
    if !*cable.borrow_and_update() {
        return dial.failed(&engine, DialFailure::Unreachable).await;
    }
    let shown = (proof == Proof::External).then_some(pair.local);
    let outgoing = End::new(
        OutgoingConnection::new(&engine, dial, Transport::Plain),
        Some(pair.remote),
    );
    let incoming = End::new(IncomingConnection::new(other, Transport::Plain), shown);
    carry(outgoing, incoming, cable).await;
}

/// One end of a connection.
struct End<C> {
    connection: C,
    input: BytesMut,
    /// Who the other end is by its certificate.
    peer: Option<String>,
}

impl<C: Served> End<C> {
    fn new(connection: C, peer: Option<String>) -> Self {
        Self {
            connection,
            input: BytesMut::new(),
            peer,
        }
    }

    /// Does what can be done; gives what is to be sent.
    async fn work(&mut self) -> Vec<u8> {
        // As the shell does: a connection that has received nothing is not asked.
        if !self.input.is_empty() {
            self.connection.handle(&mut self.input).await;
        }
        let mut sent = Vec::new();
        for bytes in self.connection.output().drain(..) {
            sent.extend_from_slice(&bytes);
        }
        if !sent.is_empty() {
            self.connection.written();
        }
        if self.connection.status() == Status::StartTls {
            let dns_names = self.peer.clone().into_iter().collect();
            self.connection.tls_started(TlsInfo {
                peer: Certificate {
                    trusted: true,
                    dns_names,
                    ..Certificate::default()
                },
                ..TlsInfo::default()
            });
            let more = Box::pin(self.work()).await;
            sent.extend_from_slice(&more);
        }
        sent
    }
}

/// Carries bytes both ways until one side closes or the cable is cut.
async fn carry<A: Served, B: Served>(
    mut a: End<A>,
    mut b: End<B>,
    mut cable: watch::Receiver<bool>,
) {
    loop {
        let (from_a, from_b) = (a.work().await, b.work().await);
        let closing =
            a.connection.status() == Status::Closing || b.connection.status() == Status::Closing;
        let quiet = from_a.is_empty() && from_b.is_empty();
        if cable.has_changed().unwrap_or(true) || (quiet && closing) {
            break;
        }
        b.input.extend_from_slice(&from_a);
        a.input.extend_from_slice(&from_b);
        if !quiet {
            continue;
        }
        tokio::select! {
            biased;
            _ = cable.changed() => break,
            event = a.connection.event() => a.connection.on_event(event).await,
            event = b.connection.event() => b.connection.on_event(event).await,
        }
    }
    a.connection.end().await;
    b.connection.end().await;
}

/// Lets everything happen that can happen without more than a moment's waiting.
pub(crate) async fn settle() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}
