//! What the clients saw, on disk before it counts.
//!
//! One file for all clients, outside the server's folder, so that the order of its lines is the
//! order of what happened. A message is in it before it is sent; what was received is in it before it
//! is acknowledged. The oracle reads the file and nothing else of the clients.

use crate::entry::Entry;
use std::{
    cell::Cell,
    fs::File,
    io::Write as _,
    path::Path,
    sync::mpsc::{Receiver, Sender, channel},
    thread::JoinHandle,
    time::Instant,
};
use tokio::sync::oneshot;

/// Appends lines; shared by all clients of one thread.
pub(crate) struct Journal {
    orders: Option<Sender<Order>>,
    writer: Option<JoinHandle<Result<(), String>>>,
    began: Instant,
    lines: Cell<usize>,
}

enum Order {
    Line(String),
    Sync(oneshot::Sender<()>),
}

impl Journal {
    /// A new file and the thread that writes it.
    pub(crate) fn create(path: &Path) -> Result<Self, String> {
        let name = path.display().to_string();
        let file = File::create(path).map_err(|error| format!("{name}: {error}"))?;
        let (orders, queue) = channel();
        let writer = move || write(file, &queue).map_err(|error| format!("{name}: {error}"));
        Ok(Self {
            orders: Some(orders),
            writer: Some(std::thread::spawn(writer)),
            began: Instant::now(),
            lines: Cell::new(0),
        })
    }

    /// Appends a line; it is on disk after the next [`Journal::sync`].
    pub(crate) fn add(&self, entry: &Entry) {
        self.lines.set(self.lines.get() + 1);
        let millis = self.began.elapsed().as_millis();
        self.order(Order::Line(format!("{millis}\t{entry}\n")));
    }

    /// Waits until all lines so far are on disk.
    pub(crate) async fn sync(&self) {
        let (done, wait) = oneshot::channel();
        self.order(Order::Sync(done));
        // A writer that has ended tells why in `finish`.
        let _ = wait.await;
    }

    fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            let _ended = orders.send(order);
        }
    }

    /// Ends the thread; an error if anything could not be written.
    pub(crate) fn finish(mut self) -> Result<(), String> {
        self.orders = None;
        match self.writer.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            _ => Err("the journal's thread has panicked".into()),
        }
    }
}

/// Takes what waits, writes it, syncs once for all who wait.
fn write(mut file: File, queue: &Receiver<Order>) -> std::io::Result<()> {
    let mut lines = String::new();
    let mut waiting = Vec::new();
    while let Ok(first) = queue.recv() {
        for order in std::iter::once(first).chain(queue.try_iter()) {
            match order {
                Order::Line(line) => lines.push_str(&line),
                Order::Sync(done) => waiting.push(done),
            }
        }
        file.write_all(lines.as_bytes())?;
        lines.clear();
        if !waiting.is_empty() {
            file.sync_data()?;
        }
        for done in waiting.drain(..) {
            // Whoever asked may have gone.
            let _ = done.send(());
        }
    }
    file.sync_data()
}

/// Reads a journal back: each entry with its line number and the millisecond.
pub(crate) fn read(path: &Path) -> Result<Vec<Entry>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let entry = |(number, line): (usize, &str)| {
        let (_, rest) = line.split_once('\t').unwrap_or_default();
        Entry::parse(rest).ok_or_else(|| {
            format!(
                "{} line {} is not an entry: {line}",
                path.display(),
                number + 1
            )
        })
    };
    text.lines().enumerate().map(entry).collect()
}

/// The lines that mention a word, for people.
pub(crate) fn lines_with(path: &Path, word: &str, max: usize) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mentions = |line: &&str| line.split(['\t', ' ']).any(|field| field == word);
    text.lines()
        .filter(mentions)
        .take(max)
        .map(str::to_owned)
        .collect()
}
