//! One server: settings, store, table of sessions, and what is computed from them once.

use crate::{
    Env, ServiceSettings, Settings,
    auth::{Gate, Revocations},
    clients,
    deliverer::Deliverer,
    features::{
        self,
        retraction::Retractions,
        stanza_id::{self, StanzaIds},
    },
    federation::Federation,
    metrics::Metrics,
    registry::Registry,
    route::{Questions, Remote},
};
use std::{collections::HashMap, sync::Arc};
use waxwing_proto::{
    ns,
    sasl::{FastMechanism, Hash},
    stream::{C2sSettings, HostSettings, Sasl2Settings, component::ComponentSettings},
    xml::Limits as XmlLimits,
};
use waxwing_store::{Store, StoreError};

/// The server's logic. Cheap to clone; all clones are the same server.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    env: Env,
    store: Arc<dyn Store>,
    settings: Settings,
    streams: Arc<C2sSettings>,
    component_streams: Arc<ComponentSettings>,
    registry: Registry,
    gate: Gate,
    revocations: Revocations,
    metrics: Metrics,
    features: features::Active,
    caps: features::caps::Cache,
    pubsub: features::pubsub::Turns,
    far: features::pubsub::Far,
    rooms: features::muc::Rooms,
    remote: Remote,
    federation: Federation,
    questions: Questions,
    wakes: features::push::Wakes,
    stanza_ids: StanzaIds,
    deliverer: Deliverer,
    retractions: Retractions,
    /// Key of the salts told for accounts that do not exist.
    decoy_secret: [u8; 32],
    client_secret: clients::Secret,
    upload_secret: [u8; 32],
    relay_secret: [u8; 32],
    started: waxwing_store::Micros,
}

impl Engine {
    /// A server over a store. Fails only if the store does.
    pub async fn new(
        env: Env,
        store: Arc<dyn Store>,
        settings: Settings,
    ) -> Result<Self, StoreError> {
        let decoy_secret = store.secret("decoy-salt", env.secret()).await?;
        let id_secret = store.secret(stanza_id::SECRET, env.secret()).await?;
        let client_secret = store.secret("clients", env.secret()).await?;
        let upload_secret = store.secret("uploads", env.secret()).await?;
        let relay_secret = store.secret("relay", env.secret()).await?;
        let dialback_secret = store.secret("dialback", env.secret()).await?;
        let streams = Arc::new(stream_settings(&settings));
        let component_streams = Arc::new(component_settings(&settings));
        let components = settings.components.iter();
        let limits = &settings.limits;
        Ok(Self(Arc::new(Inner {
            registry: Registry::new(limits.idle_accounts_max),
            gate: Gate::new(limits),
            revocations: Revocations::default(),
            metrics: Metrics::default(),
            features: features::Active::new(&settings),
            caps: features::caps::Cache::default(),
            pubsub: features::pubsub::Turns::default(),
            far: features::pubsub::Far::default(),
            rooms: features::muc::Rooms::default(),
            stanza_ids: StanzaIds::new(&id_secret),
            retractions: Retractions::default(),
            questions: Questions::default(),
            wakes: features::push::Wakes::default(),
            remote: Remote::new(components.map(|component| component.name.clone())),
            federation: Federation::new(&settings, &dialback_secret),
            deliverer: Deliverer::default(),
            started: env.now(),
            streams,
            component_streams,
            env,
            store,
            settings,
            decoy_secret,
            client_secret: clients::Secret::new(client_secret),
            upload_secret,
            relay_secret,
        })))
    }

    /// Does what no connection does: hands messages over when they are on disk, retracts what is to
    /// be retracted, wakes devices that are away, ends sessions that nobody resumes. For as long as the server runs; without one
    /// task that does this no message arrives, and there must not be two.
    pub async fn run(self) {
        let deliver = self.clone().deliver();
        let retract = self.clone().retract();
        let wake = self.clone().wake();
        let federate = self.clone().federate();
        tokio::join!(deliver, retract, wake, federate, self.end_expired());
    }

    /// Wall clock and randomness.
    pub fn env(&self) -> &Env {
        &self.0.env
    }
    /// What is kept.
    pub fn store(&self) -> &dyn Store {
        &*self.0.store
    }
    pub(crate) fn shared_store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.0.store)
    }
    /// What the installation decided.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }
    /// Who is here.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }
    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }
    /// When this engine was made, for XEP-0012 uptime.
    pub fn started(&self) -> waxwing_store::Micros {
        self.0.started
    }
    /// Whether `domain` is one of our virtual hosts.
    pub fn is_local(&self, domain: &str) -> bool {
        self.0.streams.hosts.contains_key(domain)
    }
    /// The service inside this process whose domain this is.
    pub fn service(&self, domain: &str) -> Option<&ServiceSettings> {
        let mut services = self.settings().services.iter();
        services.find(|service| service.name == domain)
    }
    /// Contacts at other domains that want to be told of nodes.
    pub(crate) fn far(&self) -> &features::pubsub::Far {
        &self.0.far
    }
    /// Whether stanzas for `domain` end here: it is a virtual host or a service of this process.
    pub fn serves(&self, domain: &str) -> bool {
        self.is_local(domain) || self.service(domain).is_some()
    }
    pub(crate) fn streams(&self) -> &Arc<C2sSettings> {
        &self.0.streams
    }
    pub(crate) fn component_streams(&self) -> &Arc<ComponentSettings> {
        &self.0.component_streams
    }
    pub(crate) fn gate(&self) -> &Gate {
        &self.0.gate
    }
    pub(crate) fn revocations(&self) -> &Revocations {
        &self.0.revocations
    }
    pub(crate) fn features(&self) -> &features::Active {
        &self.0.features
    }
    pub(crate) fn caps(&self) -> &features::caps::Cache {
        &self.0.caps
    }
    pub(crate) fn pubsub(&self) -> &features::pubsub::Turns {
        &self.0.pubsub
    }
    pub(crate) fn rooms(&self) -> &features::muc::Rooms {
        &self.0.rooms
    }
    pub(crate) fn retractions(&self) -> &Retractions {
        &self.0.retractions
    }
    /// How ids of archives are shown.
    pub fn stanza_ids(&self) -> &StanzaIds {
        &self.0.stanza_ids
    }
    pub(crate) fn deliverer(&self) -> &Deliverer {
        &self.0.deliverer
    }
    pub(crate) fn questions(&self) -> &Questions {
        &self.0.questions
    }
    pub(crate) fn wakes(&self) -> &features::push::Wakes {
        &self.0.wakes
    }
    pub(crate) fn remote(&self) -> &Remote {
        &self.0.remote
    }
    pub(crate) fn federation(&self) -> &Federation {
        &self.0.federation
    }
    pub(crate) fn decoy_secret(&self) -> &[u8; 32] {
        &self.0.decoy_secret
    }
    /// What names and passwords for the relay are made with.
    pub fn relay_secret(&self) -> &[u8; 32] {
        &self.0.relay_secret
    }
    pub(crate) fn upload_secret(&self) -> &[u8; 32] {
        &self.0.upload_secret
    }
    pub(crate) fn client_secret(&self) -> &clients::Secret {
        &self.0.client_secret
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine(..)")
    }
}

fn stream_settings(settings: &Settings) -> C2sSettings {
    let limits = &settings.limits;
    let hosts: HashMap<String, HostSettings> = settings
        .domains
        .iter()
        .map(|domain| {
            let host = HostSettings {
                caps: Some(features::disco::domain_caps(settings, domain)),
                registration: domain.registration,
                mechanisms: domain.mechanisms.clone(),
                downgrade_protection: true,
                sasl2: Some(Sasl2Settings {
                    bind: true,
                    bind_features: vec![ns::CARBONS.to_owned()],
                    fast: FastMechanism::ALL.to_vec(),
                    // Whoever has SHA-1 has an account of another server; nobody goes back to it.
                    upgrades: vec![Hash::Sha256, Hash::Sha512],
                }),
                sm: true,
                csi: true,
            };
            (domain.name.clone(), host)
        })
        .collect();
    C2sSettings {
        hosts,
        limits_pre_auth: XmlLimits {
            bytes_max: limits.pre_auth_bytes_max,
            ..XmlLimits::PRE_AUTH
        },
        limits: XmlLimits {
            bytes_max: limits.stanza_bytes_max,
            ..XmlLimits::C2S
        },
        plaintext_allowed: settings.plaintext_allowed,
        starttls: settings.starttls,
        auth_failures_max: limits.auth_failures_per_stream_max,
        idle_seconds: None,
    }
}

fn component_settings(settings: &Settings) -> ComponentSettings {
    let secrets = settings.components.iter();
    ComponentSettings {
        secrets: secrets
            .map(|component| (component.name.clone(), component.secret.clone()))
            .collect(),
        ..ComponentSettings::default()
    }
}
