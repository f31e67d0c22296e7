//! Accounts as an admin handles them.

use waxwing_engine::{Engine, Env};
use waxwing_proto::BareJid;
use waxwing_proto::sasl::{SALT_BYTES, Verifiers};
use waxwing_proto::time::parse_datetime;
use waxwing_store::{Credentials, Micros, StoreError};

/// Accounts read at a time for a listing.
const PAGE: u32 = 500;

/// Makes an account.
pub(crate) async fn add(engine: &Engine, account: &BareJid, password: &str) -> Result<(), String> {
    if !engine.is_local(account.domain()) {
        return Err(format!(
            "{} is not one of the domains in the configuration",
            account.domain()
        ));
    }
    let credentials = derive(engine, password).await?;
    engine
        .account_create(account, credentials)
        .await
        .map_err(|e| match e {
            StoreError::Exists => {
                format!("{account} exists; `waxwing user passwd` sets a new password")
            }
            e => e.to_string(),
        })
}

/// Sets a password; sessions that logged in with the old one end.
pub(crate) async fn set_password(
    engine: &Engine,
    account: &BareJid,
    password: &str,
) -> Result<(), String> {
    let credentials = derive(engine, password).await?;
    engine
        .password_set(account, credentials, None)
        .await
        .map_err(|e| match e {
            StoreError::NoAccount => no_account(account),
            e => e.to_string(),
        })
}

/// Removes an account and everything kept for it; its contacts are told, its sessions end.
pub(crate) async fn remove(engine: &Engine, account: &BareJid) -> Result<(), String> {
    match engine.account_remove(account).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(no_account(account)),
        Err(error) => Err(format!(
            "{account} was not removed ({:?}); see the log",
            error.condition
        )),
    }
}

/// Removes messages from the archive of an account: all, or those from before a day or a time. Gives
/// what is to be told.
pub(crate) async fn purge_archive(
    engine: &Engine,
    account: &BareJid,
    before: Option<&str>,
) -> Result<String, String> {
    let before = before.map(point_in_time).transpose()?;
    let removed = engine.archive_purge(account, before).await;
    let removed = removed.map_err(|e| match e {
        StoreError::NoAccount => no_account(account),
        e => e.to_string(),
    })?;
    Ok(format!("Messages removed from the archive: {removed}\n"))
}

/// The start of a day in UTC, or a time as XEP-0082 writes it.
fn point_in_time(text: &str) -> Result<Micros, String> {
    let time = parse_datetime(text).or_else(|| parse_datetime(&format!("{text}T00:00:00Z")));
    time.ok_or_else(|| format!("`{text}` is no day such as 2026-01-31"))
}

/// Every account of a domain, in order.
pub(crate) async fn list(engine: &Engine, domain: &str) -> Result<Vec<BareJid>, String> {
    let mut all: Vec<BareJid> = Vec::new();
    loop {
        let after = all.last().cloned();
        let page = engine
            .store()
            .accounts(domain.to_owned(), after, PAGE)
            .await;
        match page.map_err(|e| e.to_string())? {
            page if page.is_empty() => return Ok(all),
            page => all.extend(page),
        }
    }
}

/// A password that nobody thought of: 100 random bits in letters that are hard to misread.
pub(crate) fn generate_password(env: &Env) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut password = String::with_capacity(23);
    for (index, byte) in env.secret().into_iter().take(20).enumerate() {
        if index > 0 && index % 5 == 0 {
            password.push('-');
        }
        let letter = LETTERS.get(usize::from(byte % 32)).copied().unwrap_or(b'a');
        password.push(char::from(letter));
    }
    password
}

/// The verifiers of a new password. Slow by design, so on a thread that serves nobody.
async fn derive(engine: &Engine, password: &str) -> Result<Credentials, String> {
    let secret = engine.env().secret();
    let iterations = engine.settings().limits.scram_iterations;
    let password = password.to_owned();
    let derived = tokio::task::spawn_blocking(move || {
        let salt = secret.get(..SALT_BYTES).unwrap_or(&secret);
        Verifiers::derive(&password, salt, iterations)
    });
    derived
        .await
        .map_err(|e| e.to_string())?
        .map_err(|e| e.to_string())
}

fn no_account(account: &BareJid) -> String {
    format!("there is no account {account}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times() {
        for (text, time) in [
            ("1970-01-02", Some(86_400_000_000)),
            ("1970-01-01T00:00:01Z", Some(1_000_000)),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(point_in_time(text).ok(), time, "{text}");
        }
    }

    #[test]
    fn generated_passwords_differ_and_read_well() {
        let env = crate::env::system();
        let (one, other) = (generate_password(&env), generate_password(&env));
        assert_ne!(one, other);
        assert_eq!(
            one.split('-').map(str::len).collect::<Vec<_>>(),
            [5, 5, 5, 5]
        );
        assert!(!one.contains(['l', 'o', '0', '1']));
    }
}
