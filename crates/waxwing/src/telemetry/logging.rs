//! Log lines to standard error: no message content, no addresses of networks at info, one line for
//! one event whatever a peer sends.

use crate::config::{Log, LogFormat, LogLevel};
use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, Registry, fmt, reload};

/// Lines that could not be written; a full disk under the log must not stop the chat.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Changes what is logged while running.
#[derive(Clone)]
pub(crate) struct Logging(reload::Handle<Targets, Registry>);

impl Logging {
    /// Starts logging, panics included. Once for a process.
    pub(crate) fn start(log: &Log) -> Self {
        let (filter, handle) = reload::Layer::new(log.level.filter());
        let lines = fmt::layer()
            .with_writer(|| Lines(io::stderr()))
            .log_internal_errors(false);
        let lines = match log.format {
            LogFormat::Text => lines.with_ansi(false).boxed(),
            LogFormat::Json => lines.json().flatten_event(true).boxed(),
        };
        if tracing_subscriber::registry()
            .with(filter)
            .with(lines)
            .try_init()
            .is_ok()
        {
            std::panic::set_hook(Box::new(log_panic));
        }
        if tracing::enabled!(tracing::Level::DEBUG) {
            tracing::warn!(
                "at level debug the log names network addresses of people; not for long"
            );
        }
        Self(handle)
    }

    /// Takes another level.
    pub(crate) fn set_level(&self, level: &LogLevel) {
        if let Err(error) = self.0.reload(level.filter()) {
            tracing::error!(%error, "the log level stays as it is");
        }
    }
}

/// Lines that could not be written so far.
pub(crate) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Says where, never what: a panic's message may quote what a person wrote.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic
        .location()
        .map(ToString::to_string)
        .unwrap_or_default();
    let backtrace = std::backtrace::Backtrace::capture();
    if backtrace.status() == std::backtrace::BacktraceStatus::Captured {
        tracing::error!(place, %backtrace, "a handler panicked; please report this as a bug");
    } else {
        tracing::error!(
            place,
            "a handler panicked; please report this as a bug, with RUST_BACKTRACE=1 if it repeats"
        );
    }
}

/// Writes whole events, one line each.
struct Lines<W>(W);

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        if self.0.write_all(&one_line(event)).is_err() {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        Ok(event.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Escapes control characters other than the end of the line, so that nobody can write a line of
/// their own into the log or steer a terminal.
fn one_line(event: &[u8]) -> Cow<'_, [u8]> {
    let body = event.strip_suffix(b"\n").unwrap_or(event);
    let text = String::from_utf8_lossy(body);
    if !text.chars().any(char::is_control) {
        return Cow::Borrowed(event);
    }
    let mut out = String::with_capacity(event.len() + 16);
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out.push('\n');
    Cow::Owned(out.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_stays_one_line() {
        let check = |event: &str, want: &str| {
            assert_eq!(String::from_utf8_lossy(&one_line(event.as_bytes())), want);
        };
        check("plain é\n", "plain é\n");
        check("a\nb\r\n", "a\\nb\\r\n");
        check("\u{1b}[31mred\n", "\\u{1b}[31mred\n");
        check("\u{85}\n", "\\u{85}\n");
    }

    #[test]
    fn a_log_that_cannot_be_written_is_counted_and_harmless() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let before = dropped();
        assert_eq!(Lines(Full).write(b"x\n").unwrap(), 2);
        assert_eq!(dropped(), before + 1);
    }
}
