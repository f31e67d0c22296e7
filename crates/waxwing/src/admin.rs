//! The admin socket: how `waxwing user` reaches a server that runs.
//!
//! A Unix socket in the data folder that only the server's user may open. One request a connection,
//! one line each way: `add ADDRESS PASSWORD`, `passwd ADDRESS PASSWORD`, `del ADDRESS`,
//! `devices ADDRESS`, `sign-out ADDRESS [ID]` or `purge-archive ADDRESS [TIME]`, what follows the
//! address in base64; the answer is `ok`, `ok` and
//! a text in base64, or `error` and a text.

use crate::{accounts, devices};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::time::timeout;
use waxwing_engine::Engine;
use waxwing_proto::{BareJid, sasl};

/// Largest line: an address (3 071 bytes), a password of 1 024 in base64, a word.
const LINE_BYTES_MAX: u64 = 8 * 1024;
/// Largest answer: the devices of an account, each a few hundred bytes.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;
/// How long a request may take to arrive.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// What an admin asks for.
pub(crate) enum Request {
    /// A new account with a password.
    Add(BareJid, String),
    /// A new password.
    Passwd(BareJid, String),
    /// The end of an account.
    Del(BareJid),
    /// What has access to an account.
    Devices(BareJid),
    /// The end of the access of one client, or of all.
    SignOut(BareJid, Option<String>),
    /// The end of what is in an archive, or of what is from before a time (XEP-0082).
    PurgeArchive(BareJid, Option<String>),
}

impl Request {
    /// Carries it out; gives what is to be told, if that is more than that it is done.
    pub(crate) async fn perform(&self, engine: &Engine) -> Result<String, String> {
        match self {
            Self::Add(account, password) => accounts::add(engine, account, password).await?,
            Self::Passwd(account, password) => {
                accounts::set_password(engine, account, password).await?;
            }
            Self::Del(account) => accounts::remove(engine, account).await?,
            Self::Devices(account) => return devices::list(engine, account).await,
            Self::SignOut(account, id) => {
                return devices::sign_out(engine, account, id.as_deref()).await;
            }
            Self::PurgeArchive(account, before) => {
                return accounts::purge_archive(engine, account, before.as_deref()).await;
            }
        }
        Ok(String::new())
    }

    /// Asks the server behind the socket. `None` if there is no server.
    pub(crate) async fn send(&self, socket: &Path) -> Option<Result<String, String>> {
        let stream = UnixStream::connect(socket).await.ok()?;
        Some(
            self.exchange(stream)
                .await
                .unwrap_or_else(|e| Err(format!("the running server did not answer: {e}"))),
        )
    }

    async fn exchange(&self, mut stream: UnixStream) -> io::Result<Result<String, String>> {
        stream.write_all(self.line().as_bytes()).await?;
        let mut answer = String::new();
        BufReader::new(stream)
            .take(ANSWER_BYTES_MAX)
            .read_line(&mut answer)
            .await?;
        Ok(match answer.trim_end().split_once(' ') {
            None if answer.trim_end() == "ok" => Ok(String::new()),
            Some(("ok", text)) => decode(text).ok_or_else(|| "the answer is cut off".to_owned()),
            Some(("error", text)) => Err(text.to_owned()),
            _ => Err("no answer".to_owned()),
        })
    }

    fn line(&self) -> String {
        match self {
            Self::Add(account, password) => {
                format!("add {account} {}\n", sasl::encode(password.as_bytes()))
            }
            Self::Passwd(account, password) => {
                format!("passwd {account} {}\n", sasl::encode(password.as_bytes()))
            }
            Self::Del(account) => format!("del {account}\n"),
            Self::Devices(account) => format!("devices {account}\n"),
            Self::SignOut(account, None) => format!("sign-out {account}\n"),
            Self::SignOut(account, Some(id)) => {
                format!("sign-out {account} {}\n", sasl::encode(id.as_bytes()))
            }
            Self::PurgeArchive(account, None) => format!("purge-archive {account}\n"),
            Self::PurgeArchive(account, Some(before)) => {
                let before = sasl::encode(before.as_bytes());
                format!("purge-archive {account} {before}\n")
            }
        }
    }

    fn parse(line: &str) -> Result<Self, String> {
        let mut words = line.trim_end_matches('\n').split(' ');
        let (verb, address) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let account = BareJid::parse(address)
            .ok()
            .filter(|account| account.local().is_some());
        let account = account.ok_or("the address is not one of a person")?;
        // A password, an id or a time.
        let secret = words.next().map(decode);
        match (verb, secret, words.next()) {
            ("add", Some(Some(password)), None) => Ok(Self::Add(account, password)),
            ("passwd", Some(Some(password)), None) => Ok(Self::Passwd(account, password)),
            ("del", None, None) => Ok(Self::Del(account)),
            ("devices", None, None) => Ok(Self::Devices(account)),
            ("sign-out", None, None) => Ok(Self::SignOut(account, None)),
            ("sign-out", Some(Some(id)), None) => Ok(Self::SignOut(account, Some(id))),
            ("purge-archive", None, None) => Ok(Self::PurgeArchive(account, None)),
            ("purge-archive", Some(Some(before)), None) => {
                Ok(Self::PurgeArchive(account, Some(before)))
            }
            _ => Err("the request is not understood; is `waxwing` as new as the server?".into()),
        }
    }
}

fn decode(word: &str) -> Option<String> {
    String::from_utf8(sasl::decode(word).ok()?).ok()
}

/// Opens the socket. The caller holds the data folder's lock, so one that exists is left over.
pub(crate) fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers, one request after another, until told to stop.
pub(crate) async fn serve(engine: Engine, listener: UnixListener, mut stop: watch::Receiver<bool>) {
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.changed() => return,
            accepted = listener.accept() => accepted,
        };
        let served = match accepted {
            Ok((stream, _)) => answer(&engine, stream).await,
            Err(error) => Err(error),
        };
        if let Err(error) = served {
            tracing::warn!(%error, "an admin request failed");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn answer(engine: &Engine, mut stream: UnixStream) -> io::Result<()> {
    // The file's mode keeps others out; this also does where a file system ignores modes.
    let peer = stream.peer_cred()?.uid();
    let own = rustix::process::geteuid();
    if peer != own.as_raw() && peer != 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut line = String::new();
    let mut reader = BufReader::new(&mut stream).take(LINE_BYTES_MAX);
    timeout(REQUEST_TIMEOUT, reader.read_line(&mut line)).await??;
    if line.is_empty() {
        // Somebody looked whether we run.
        return Ok(());
    }
    let performed = match Request::parse(&line) {
        Ok(request) => request.perform(engine).await,
        Err(error) => Err(error),
    };
    let answer = match performed {
        Ok(text) if text.is_empty() => "ok\n".to_owned(),
        Ok(text) => format!("ok {}\n", sasl::encode(text.as_bytes())),
        Err(text) => format!("error {}\n", text.replace('\n', " ")),
    };
    stream.write_all(answer.as_bytes()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_survive_the_line() {
        let account = BareJid::parse("alice@example.org").unwrap();
        for request in [
            Request::Add(account.clone(), "two words\n and é".to_owned()),
            Request::Passwd(account.clone(), "x".to_owned()),
            Request::Del(account.clone()),
            Request::Devices(account.clone()),
            Request::SignOut(account.clone(), None),
            Request::SignOut(account.clone(), Some("0123456789abcdef".to_owned())),
            Request::PurgeArchive(account.clone(), None),
            Request::PurgeArchive(account, Some("2026-01-01".to_owned())),
        ] {
            let line = request.line();
            assert_eq!(line.matches('\n').count(), 1);
            assert_eq!(Request::parse(&line).unwrap().line(), line);
        }
        for line in [
            "",
            "add",
            "add a@b",
            "del a@b eA==",
            "del example.org",
            "add a@b !",
            "devices a@b eA==",
            "sign-out a@b !",
            "x a@b",
        ] {
            assert!(Request::parse(line).is_err(), "{line}");
        }
    }
}
