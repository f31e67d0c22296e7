//! Sessions with resumption whose connections are lost (XEP-0198 § 5).

use crate::{
    Options, Result,
    client::Client,
    idle::{LOGINS_MAX, PER_ADDRESS, register},
    process,
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, task::JoinSet};

/// One session for each account: logs in, enables resumption, goes. What the accounts themselves
/// cost is there before, because each has had a session that ended in good order.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let peer = options.peer()?;
    let sessions = options.number("sessions", 1000)?.max(1);
    let pid = options.pid()?;
    register(&peer, (0..sessions).map(|session| format!("away{session}"))).await?;
    let mut measured = Vec::new();
    for leave_well in [true, false] {
        let gate = Arc::new(Semaphore::new(LOGINS_MAX));
        let mut coming = JoinSet::new();
        for session in 0..sessions {
            let (peer, gate) = (peer.clone(), gate.clone());
            coming.spawn(async move {
                let _permit = gate.acquire_owned().await?;
                let name = format!("away{session}/phone");
                let host = u8::try_from(2 + session / PER_ADDRESS)?;
                let mut client = Client::ready(&peer, &name, "", host).await?;
                client.manage().await?;
                if leave_well {
                    client.send(b"</stream:stream>").await?;
                    client.until(&[b"</stream:stream>"]).await?;
                }
                Result::Ok(())
            });
        }
        while let Some(went) = coming.join_next().await {
            went??;
        }
        // Not to wait for something, but to let what is freed a little later be freed.
        tokio::time::sleep(Duration::from_secs(5)).await;
        measured.push(process::pss_kib(pid)?);
    }
    let (before, after) = match measured.as_slice() {
        [before, after] => (*before, *after),
        _ => return Err("two measurements were made".into()),
    };
    let grown = f64::from(u32::try_from(after.saturating_sub(before))?);
    let each = grown / f64::from(u32::try_from(sessions)?);
    println!("{each:.2} KiB of server memory each, {sessions} sessions, {before} to {after} KiB");
    Ok(())
}
