//! The configuration as the engine wants it.

use super::{Config, ContactUri, Domain};
use waxwing_engine::{Clients, Contacts, DomainSettings, Limits, Settings};

impl Config {
    /// The engine's part.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            domains: self
                .domains
                .iter()
                .map(|domain| self.domain(domain))
                .collect(),
            limits: self.engine_limits(),
            clients: self.engine_clients(),
            plaintext_allowed: false,
            starttls: true,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    fn domain(&self, domain: &Domain) -> DomainSettings {
        let host = self.host(domain);
        let texts = |uris: &[ContactUri]| -> Vec<String> {
            uris.iter().map(|uri| uri.as_str().to_owned()).collect()
        };
        DomainSettings {
            name: domain.as_str().to_owned(),
            registration: self.registration_open(domain),
            contacts: Contacts {
                abuse: texts(&host.contact_abuse),
                admin: texts(&host.contact_admin),
                feedback: texts(&host.contact_feedback),
                sales: texts(&host.contact_sales),
                security: texts(&host.contact_security),
                support: texts(&host.contact_support),
            },
        }
    }

    fn engine_clients(&self) -> Clients {
        let clients = &self.clients;
        Clients {
            per_account_max: clients.per_account_max.count(),
            names_kept: clients.names_kept,
            forgotten_after: clients.forgotten_after_days.days(),
            token_lifetime: clients.token_lifetime_days.days(),
            token_rotated_after: clients.token_rotated_after_hours.hours(),
        }
    }

    fn engine_limits(&self) -> Limits {
        let limits = &self.limits;
        Limits {
            stanza_bytes_max: limits.stanza_bytes_max.size(),
            pre_auth_bytes_max: limits.pre_auth_bytes_max.size(),
            login_timeout: limits.login_timeout_seconds.seconds(),
            sessions_per_account_max: limits.sessions_per_account_max.size(),
            outbox_stanzas_max: limits.outbox_stanzas_max.size(),
            outbox_bytes_max: limits.outbox_bytes_max.size(),
            pending_stanzas_max: limits.pending_stanzas_max.size(),
            roster_items_max: limits.roster_items_max.count(),
            roster_groups_max: limits.roster_groups_max.size(),
            roster_name_bytes_max: limits.roster_name_bytes_max.size(),
            directed_presence_max: limits.directed_presence_max.size(),
            offline_messages_max: limits.offline_messages_max.count(),
            offline_bytes_max: limits.offline_bytes_max.count().into(),
            blocked_max: limits.blocked_max.count(),
            documents_bytes_max: limits.documents_bytes_max.count().into(),
            idle_accounts_max: limits.idle_accounts_max.size(),
            registrations_per_hour_max: self.registration.per_address_hour_max.count(),
            auth_failures_per_stream_max: limits.auth_failures_per_stream_max.count(),
            auth_failures_per_address_max: limits.auth_failures_per_address_max.count(),
            auth_failures_per_account_max: limits.auth_failures_per_account_max.count(),
            scram_iterations: limits.scram_iterations.count(),
        }
    }
}
