//! `waxwing check DOMAIN`: how other servers reach a domain.

#![expect(
    clippy::print_stdout,
    reason = "a command talks to the person who gave it"
)]

use super::Source;
use crate::s2s::advice::{Level, judge};
use crate::s2s::survey::Surveyor;
use std::process::ExitCode;
use waxwing_proto::stream::s2s::ascii_domain;

pub(super) fn check(source: &Source, domain: &str) -> Result<ExitCode, String> {
    let config = source.load()?;
    let ascii = ascii_domain(domain).ok_or_else(|| format!("{domain} is no domain"))?;
    // Services of a domain of ours are domains, too, and easily forgotten in the DNS.
    let services = config.hosted().into_iter().map(|service| service.name);
    let services = services.filter_map(|name| {
        let below = name
            .split_once('.')
            .is_some_and(|(_, parent)| parent == domain);
        below.then(|| ascii_domain(&name))?
    });
    let surveyor = Surveyor::new(&config)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    let mut failed = false;
    for domain in std::iter::once(ascii).chain(services) {
        let findings = runtime.block_on(surveyor.look(&domain));
        for advice in judge(&findings) {
            let level = match advice.level {
                Level::Ok => "ok   ",
                Level::Warn => "warn ",
                Level::Fail => "FAIL ",
            };
            failed |= advice.level == Level::Fail;
            println!("{level} {}: {}", advice.what, advice.text);
        }
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
