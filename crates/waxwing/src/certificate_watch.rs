//! Certificates are replaced by other programs, without telling: look every few seconds.

use crate::net::certificates::CertificateFiles;
use crate::server::Server;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often files are looked at. A new certificate is in use after at most two turns.
const TURN: Duration = Duration::from_secs(2);
/// Days before its end at which a certificate is complained about.
const WARN_DAYS: [i64; 4] = [14, 7, 1, 0];

type Stamps = Vec<[Option<(SystemTime, u64)>; 2]>;

/// What the certificate files looked like when they were read.
pub(crate) struct CertificateWatch {
    files: Vec<CertificateFiles>,
    /// As last read, successfully or not.
    read: Stamps,
    /// As last seen. A change counts once it has stayed for a turn: a chain and its key are seldom
    /// replaced in the same moment.
    seen: Stamps,
    interval: Interval,
    warned: BTreeMap<String, i64>,
}

impl CertificateWatch {
    /// Watches the files in use.
    pub(crate) fn new(server: &Server) -> Self {
        let mut interval = interval(TURN);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let certificates = &server.shared().tls.current().certificates;
        let mut files: Vec<CertificateFiles> = certificates
            .iter()
            .map(|(_, certificate)| certificate.files.clone())
            .collect();
        files.dedup();
        let read: Stamps = files.iter().map(CertificateFiles::stamp).collect();
        let mut watch = Self {
            files,
            seen: read.clone(),
            read,
            interval,
            warned: BTreeMap::new(),
        };
        watch.warn(server);
        watch
    }

    /// Waits until there is something to do: changed files, or a day that has begun.
    pub(crate) async fn changed(&mut self) {
        loop {
            self.interval.tick().await;
            let now: Stamps = self.files.iter().map(CertificateFiles::stamp).collect();
            let settled = now == self.seen;
            self.seen = now;
            if settled && self.seen != self.read {
                self.read.clone_from(&self.seen);
                return;
            }
        }
    }

    /// Reads the certificates again. Those in use stay if one cannot be used.
    pub(crate) fn reload(&mut self, server: &mut Server) {
        match server.reload(server.config().clone()) {
            Ok(_) => tracing::info!("new certificates are in use"),
            Err(error) => {
                server.shared().metrics.reload_failures.inc();
                tracing::error!(
                    error,
                    "the new certificate cannot be used; the old one stays"
                );
            }
        }
        self.warned.clear();
        self.warn(server);
    }

    /// Complains about certificates that end soon, once at each step.
    fn warn(&mut self, server: &Server) {
        let certificates = &server.shared().tls.current().certificates;
        for (domain, certificate) in certificates.iter() {
            let days = certificate.days_left(SystemTime::now());
            let Some(step) = WARN_DAYS.iter().rev().find(|step| days < **step) else {
                continue;
            };
            if self.warned.insert(domain.to_string(), *step) != Some(*step) {
                tracing::warn!(%domain, days, "the certificate ends soon or has ended; renew it");
            }
        }
    }
}
