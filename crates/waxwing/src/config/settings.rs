//! The configuration as the engine wants it.

use super::values::{CreatorsName, Label, MechanismName, SecretText, TemplateName};
use super::{Component, Config, ContactUri, Domain, Listen, Services, Turn};
use std::time::Duration;
use waxwing_engine::{
    Clients, ComponentSettings, Contacts, Creators, DomainSettings, Federation, Limits, PubSub,
    RelaySettings, RoomTemplate, Service, ServiceSettings, Settings, Uploads,
};
use waxwing_proto::sasl::Mechanism;
use waxwing_proto::stream::{component::Secret, s2s::Policies};

impl Config {
    /// The engine's part. Fails only where a file with a secret cannot be read.
    pub(crate) fn settings(&self) -> Result<Settings, String> {
        let components = self.components.iter().map(|(name, component)| {
            let secret = component.read_secret();
            Ok(ComponentSettings {
                name: name.as_str().to_owned(),
                secret: secret.map_err(|e| format!("component {name}: {e}"))?,
            })
        });
        Ok(Settings {
            components: components.collect::<Result<_, String>>()?,
            domains: self
                .domains
                .iter()
                .map(|domain| self.domain(domain))
                .collect(),
            services: self.hosted(),
            room_template: match self.services.rooms_template {
                TemplateName::Open => RoomTemplate::Open,
                TemplateName::Group => RoomTemplate::Group,
                TemplateName::Channel => RoomTemplate::Channel,
                TemplateName::Announcements => RoomTemplate::Announcements,
            },
            pubsub: self.engine_pubsub(),
            uploads: self.engine_uploads(),
            relay: self.engine_relay(),
            push: waxwing_engine::Push {
                count: self.push.tell_count,
                sender: self.push.tell_sender,
                body: self.push.tell_body,
            },
            federation: self.federation(),
            archive: waxwing_engine::Archives {
                keep_days: days(self.archive.keep_days),
                keep_days_max: days(self.archive.keep_days_max),
                search: self.archive.search,
            },
            limits: self.engine_limits(),
            clients: self.engine_clients(),
            plaintext_allowed: false,
            starttls: true,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    /// The services inside the server, those of the first domain first.
    pub(crate) fn hosted(&self) -> Vec<ServiceSettings> {
        let of = |domain: &Domain| {
            let host = domain.clone();
            let all = Service::ALL.into_iter();
            let has_http = !(self.listen.https.is_empty() && self.listen.http.is_empty());
            let here = all.filter(move |kind| *kind != Service::Uploads || has_http);
            here.filter_map(move |kind| {
                let name = self.services.label(kind).below(&host)?;
                Some(ServiceSettings {
                    name: name.as_str().to_owned(),
                    kind,
                    host: host.as_str().to_owned(),
                })
            })
            .collect::<Vec<_>>()
        };
        self.domains.iter().flat_map(of).collect()
    }

    fn domain(&self, domain: &Domain) -> DomainSettings {
        let host = self.host(domain);
        let texts = |uris: &[ContactUri]| -> Vec<String> {
            uris.iter().map(|uri| uri.as_str().to_owned()).collect()
        };
        DomainSettings {
            name: domain.as_str().to_owned(),
            registration: self.registration_open(domain),
            mechanisms: mechanisms(host.mechanisms.as_deref()),
            uploads: host.uploads.as_ref().map_or_else(
                || self.web_authority(domain),
                |url| url.authority().to_owned(),
            ),
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

    fn engine_pubsub(&self) -> PubSub {
        let services = &self.services;
        PubSub {
            creators: match services.pubsub_creators {
                CreatorsName::Accounts => Creators::Accounts,
                CreatorsName::Anyone => Creators::Anyone,
                CreatorsName::Nobody => Creators::Nobody,
            },
            nodes_max: services.pubsub_nodes_max.count(),
            bytes_max: u64::from(services.pubsub_megabytes_max.count()) << 20,
        }
    }

    fn engine_relay(&self) -> Option<RelaySettings> {
        let first = self.listen.turn.first()?;
        Some(RelaySettings {
            host: self.turn.host.clone(),
            port: first.port(),
            credential_lifetime: Duration::from_hours(self.turn.credential_hours.count().into()),
        })
    }

    fn engine_uploads(&self) -> Uploads {
        let uploads = &self.uploads;
        Uploads {
            file_bytes_max: uploads.file_bytes_max.count().into(),
            account_bytes_max: u64::from(uploads.account_megabytes_max.count()) << 20,
            account_files_max: uploads.account_files_max.count(),
            slot_lifetime: uploads.slot_seconds.seconds(),
            keep_days: days(uploads.keep_days),
        }
    }

    fn engine_clients(&self) -> Clients {
        let clients = &self.clients;
        Clients {
            per_account_max: clients.per_account_max.count(),
            names_kept: clients.names_kept,
            forgotten_after: clients.forgotten_after_days.days(),
            token_lifetime: clients.token_lifetime_days.days(),
            token_rotated_after: Duration::from_hours(clients.token_rotated_after_hours.into()),
        }
    }

    fn federation(&self) -> Federation {
        Federation {
            enabled: self.federation.enabled,
            policies: self.federation_policies(),
            wait: Duration::from_hours(self.federation.wait_hours.count().into()),
        }
    }

    /// Who may talk to this server.
    pub(crate) fn federation_policies(&self) -> Policies {
        let domains = self.federation.policies.iter();
        Policies {
            default: self.federation.policy.into(),
            domains: domains
                .map(|(domain, policy)| (domain.as_str().to_owned(), (*policy).into()))
                .collect(),
        }
    }

    fn engine_limits(&self) -> Limits {
        let (limits, federation) = (&self.limits, &self.federation);
        Limits {
            stanza_bytes_max: limits.stanza_bytes_max.size(),
            pre_auth_bytes_max: limits.pre_auth_bytes_max.size(),
            login_timeout: limits.login_timeout_seconds.seconds(),
            sessions_per_account_max: limits.sessions_per_account_max.size(),
            hibernation: Duration::from_hours(limits.hibernation_hours.count().into()),
            hibernation_others: Duration::from_mins(
                limits.hibernation_others_minutes.count().into(),
            ),
            resumable_sessions_max: limits.resumable_sessions_max.count(),
            hibernated_stanzas_max: limits.hibernated_stanzas_max.count(),
            hibernated_bytes_max: limits.hibernated_bytes_max.count().into(),
            outbox_stanzas_max: limits.outbox_stanzas_max.size(),
            outbox_bytes_max: limits.outbox_bytes_max.size(),
            pending_stanzas_max: limits.pending_stanzas_max.size(),
            s2s_stanza_bytes_max: federation.stanza_bytes_max.size(),
            links_max: federation.links_max.size(),
            link_stanzas_max: federation.link_stanzas_max.size(),
            link_bytes_max: federation.link_bytes_max.size(),
            outgoing_messages_max: federation.outgoing_messages_max.count(),
            outgoing_bytes_max: federation.outgoing_bytes_max.count().into(),
            answer_bytes_per_minute_max: federation.answer_bytes_per_minute_max.size(),
            roster_items_max: limits.roster_items_max.count(),
            roster_groups_max: limits.roster_groups_max.size(),
            roster_name_bytes_max: limits.roster_name_bytes_max.size(),
            directed_presence_max: limits.directed_presence_max.size(),
            room_messages_per_second_max: limits.room_messages_per_second_max.count(),
            room_presences_per_minute_max: limits.room_presences_per_minute_max.count(),
            offline_messages_max: limits.offline_messages_max.count(),
            offline_bytes_max: limits.offline_bytes_max.count().into(),
            blocked_max: limits.blocked_max.count(),
            archive_rules_max: limits.archive_rules_max.count(),
            documents_bytes_max: limits.documents_bytes_max.count().into(),
            pubsub_nodes_max: limits.pubsub_nodes_max.count(),
            pubsub_bytes_max: limits.pubsub_bytes_max.count().into(),
            idle_accounts_max: limits.idle_accounts_max.size(),
            registrations_per_hour_max: self.registration.per_address_hour_max.count(),
            auth_failures_per_stream_max: limits.auth_failures_per_stream_max.count(),
            auth_failures_per_address_max: limits.auth_failures_per_address_max.count(),
            auth_failures_per_account_max: limits.auth_failures_per_account_max.count(),
            scram_iterations: limits.scram_iterations.count(),
        }
    }
}

/// A number of days of which 0 means no bound.
fn days(days: u32) -> Option<u32> {
    (days > 0).then_some(days)
}

impl super::Federation {
    /// Whether all the rest is the same.
    pub(crate) fn differs_in_policies_only(&self, other: &Self) -> bool {
        let mut same = other.clone();
        same.policy = self.policy;
        same.policies.clone_from(&self.policies);
        same == *self
    }
}

impl Turn {
    /// What stands in the way of using it: the key, and what to do about it.
    pub(super) fn is_sound(&self, listen: &Listen) -> Result<(), (&'static str, &'static str)> {
        if !listen.turn.is_empty() && self.addresses.is_empty() {
            let message =
                "`listen.turn` needs `turn.addresses`: the public addresses of this machine";
            return Err(("turn", message));
        }
        if self.relay_port_min > self.relay_port_max {
            let message = "`turn.relay_port_min` must not be above `turn.relay_port_max`";
            return Err(("relay_port_min", message));
        }
        Ok(())
    }
}

impl Services {
    /// What is before a domain to name a service of it.
    fn label(&self, service: Service) -> &Label {
        match service {
            Service::PubSub => &self.pubsub,
            Service::Rooms => &self.rooms,
            Service::Uploads => &self.uploads,
        }
    }
}

impl Component {
    /// The secret, from the file if that is where it is.
    pub(crate) fn read_secret(&self) -> Result<Secret, String> {
        let Some(path) = &self.secret_file else {
            let secret = self.secret.as_ref().map(SecretText::secret);
            return secret.ok_or_else(|| "there is no secret".to_owned());
        };
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let text = SecretText::try_from(text.trim().to_owned());
        text.map(|text| text.secret())
            .map_err(|e| format!("{}: {e}", path.display()))
    }
}

/// Those wished for, in our order: it is the server that says which is best.
fn mechanisms(wished: Option<&[MechanismName]>) -> Vec<Mechanism> {
    let is_offered = |mechanism: &Mechanism| match wished {
        None => true,
        Some(wished) => wished.iter().any(|wish| wish.mechanism() == *mechanism),
    };
    Mechanism::ALL.into_iter().filter(is_offered).collect()
}
