//! The devices of an account as an admin handles them (XEP-0494 § 5).

use std::fmt::Write as _;
use waxwing_engine::{Engine, clients::Access};
use waxwing_proto::BareJid;
use waxwing_proto::time::format_datetime;

/// One line for each device, and a heading; for a person to read.
pub(crate) async fn list(engine: &Engine, account: &BareJid) -> Result<String, String> {
    must_exist(engine, account).await?;
    let clients = engine.clients(account).await.map_err(|e| e.to_string())?;
    if clients.is_empty() {
        return Ok(format!(
            "No device has access to {account} by more than the password.\n"
        ));
    }
    let mut text = format!(
        "{:<16}  {:<9}  {:<5}  {:<20}  {:<20}  DEVICE\n",
        "ID", "CONNECTED", "TOKEN", "FIRST SEEN", "LAST SEEN"
    );
    for client in &clients {
        let yes = |is| if is { "yes" } else { "no" };
        let time = |at: Option<i64>| at.map_or_else(|| "-".to_owned(), format_datetime);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<16}  {:<9}  {:<5}  {:<20}  {:<20}  {}",
            client.id.as_str(),
            yes(client.is_connected),
            yes(client.has_tokens),
            time(client.first_seen),
            time(client.last_seen),
            name(client)
        );
    }
    Ok(text)
}

/// Ends the access of one device, or of all, as far as it does not rest on the password.
pub(crate) async fn sign_out(
    engine: &Engine,
    account: &BareJid,
    id: Option<&str>,
) -> Result<String, String> {
    must_exist(engine, account).await?;
    let count = match id {
        Some(id) => usize::from(
            engine
                .sign_out(account, id)
                .await
                .map_err(|e| e.to_string())?,
        ),
        None => engine
            .sign_out_all(account)
            .await
            .map_err(|e| e.to_string())?,
    };
    match (id, count) {
        (Some(id), 0) => Err(format!(
            "{account} has no device {id}; `waxwing user devices` lists them"
        )),
        (None, 0) => Ok(format!("{account} has no device to sign out.\n")),
        (_, count) => Ok(format!(
            "Signed out: {count}. A device that has kept the password can log in again; \
             `waxwing user passwd` ends that too.\n"
        )),
    }
}

/// An error for a person to read, if there is no such account.
pub(crate) async fn must_exist(engine: &Engine, account: &BareJid) -> Result<(), String> {
    let found = engine.store().account(account.clone()).await;
    match found.map_err(|e| e.to_string())? {
        Some(_) => Ok(()),
        None => Err(format!("there is no account {account}")),
    }
}

/// What the device calls itself. It may call itself anything, so what would move a terminal's
/// cursor is left out.
fn name(client: &Access) -> String {
    let names: Vec<&str> = [&client.software, &client.device]
        .into_iter()
        .filter(|name| !name.is_empty())
        .map(String::as_str)
        .collect();
    let all = names.join(", ");
    let shown: String = all.chars().filter(|c| is_shown(*c)).collect();
    if shown.is_empty() {
        "(it has told no name)".to_owned()
    } else {
        shown
    }
}

/// Neither a control nor one of the characters that change the direction of text.
pub(crate) fn is_shown(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::name;
    use waxwing_engine::clients::{Access, ClientId};

    #[test]
    fn names_cannot_play_with_the_terminal() {
        for (software, device, shown) in [
            ("Gajim", "Kiva's laptop", "Gajim, Kiva's laptop"),
            ("Gajim", "", "Gajim"),
            ("", "", "(it has told no name)"),
            ("a\u{1b}[2Jb\r\nc", "\u{202e}d", "a[2Jbc, d"),
            ("\u{1b}", "", "(it has told no name)"),
        ] {
            let client = Access {
                id: ClientId::from("0123456789abcdef".to_owned()),
                software: software.to_owned(),
                device: device.to_owned(),
                first_seen: None,
                last_seen: None,
                has_tokens: false,
                is_connected: false,
            };
            assert_eq!(name(&client), shown);
        }
    }
}
