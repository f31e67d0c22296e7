//! Our settings. Those of `[limits]` that differ from the defaults only make logins cheap and let
//! everything come from one address.

use std::{fs, path::Path};
use waxwing_testkit::subject::DOMAIN;

/// Writes `waxwing.toml`.
pub(crate) fn write_settings(folder: &Path, port: u16) -> std::io::Result<()> {
    let at = folder.display();
    fs::write(
        folder.join("waxwing.toml"),
        format!(
            r#"domains = ["{DOMAIN}"]
data = "{at}/data"
[listen]
starttls = []
direct_tls = []
plain_on_loopback = ["127.0.0.1:{port}"]
metrics = []
[tls]
self_signed = true
[limits]
scram_iterations = 8
room_messages_per_second_max = 1000000
room_presences_per_minute_max = 1000000
offline_messages_max = 100000
offline_bytes_max = 1000000000
[registration]
open = true
per_address_hour_max = 1000
[federation]
enabled = false
[log]
level = "warn"
"#
        ),
    )
}
