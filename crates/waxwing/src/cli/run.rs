//! `waxwing run`: the server and its signals.

use super::Source;
use crate::certificate_watch::CertificateWatch;
use crate::server::Server;
use crate::telemetry::logging::Logging;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// How long work that outlives its connection may take once all is closed.
const RUNTIME_SHUTDOWN: Duration = Duration::from_secs(1);

pub(super) fn run(source: &Source) -> Result<ExitCode, String> {
    let config = source.load()?;
    let logging = Logging::start(&config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("waxwing")
        .build()
        .map_err(|e| format!("no threads: {e}"))?;
    let served = runtime.block_on(async {
        let server = Server::start(config).await?;
        if source.dev {
            welcome(&server);
        }
        serve(server, source, &logging).await
    });
    runtime.shutdown_timeout(RUNTIME_SHUTDOWN);
    served.map(|()| ExitCode::SUCCESS)
}

/// Runs until a signal says stop.
async fn serve(mut server: Server, source: &Source, logging: &Logging) -> Result<(), String> {
    let on = |kind| signal(kind).map_err(|e| format!("no signals: {e}"));
    let (mut terminate, mut interrupt) =
        (on(SignalKind::terminate())?, on(SignalKind::interrupt())?);
    let mut hangup = on(SignalKind::hangup())?;
    let mut watch = CertificateWatch::new(&server);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "the server runs");
    loop {
        tokio::select! {
            biased;
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                reload(&mut server, source, logging);
                watch = CertificateWatch::new(&server);
            }
            () = watch.changed() => watch.reload(&mut server),
        }
    }
    tracing::info!("stopping; a second signal stops at once");
    tokio::select! {
        biased;
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = server.stop() => {}
    }
    tracing::info!("stopped");
    Ok(())
}

/// Reads the file again. A mistake changes nothing.
fn reload(server: &mut Server, source: &Source, logging: &Logging) {
    let result = source.load().and_then(|new| {
        let log_level = new.log.level.clone();
        let waiting = server.reload(new)?;
        logging.set_level(&log_level);
        Ok(waiting)
    });
    match result {
        Ok(waiting) if waiting.is_empty() => {
            tracing::info!("configuration and certificates read again");
        }
        Ok(waiting) => tracing::warn!(
            settings = waiting.join(", "),
            "read again; these settings have changed and take effect at the next start"
        ),
        Err(error) => {
            server.shared().metrics.reload_failures.inc();
            tracing::error!(error, "not reloaded; everything stays as it was");
        }
    }
}

/// For somebody who tries it out.
fn welcome(server: &Server) {
    let program = std::env::args()
        .next()
        .unwrap_or_else(|| "waxwing".to_owned());
    let config = server.config();
    eprintln!(
        "\nWaxwing runs for trying out, on this machine only. Data: {}\n\n\
         Add somebody:   {program} user add --dev alice@localhost\n\
         Connect:        any XMPP client, address alice@localhost, server localhost,\n\
         \x20               port 5222 (STARTTLS) or 5223 (direct TLS); accept the certificate\n\
         Stop:           Ctrl-C\n",
        config.data.display()
    );
}
