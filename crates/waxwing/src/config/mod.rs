//! The configuration: one TOML file, decoded into structs that name every setting once.
//!
//! Two settings suffice:
//!
//! ```toml
//! domains = ["example.org"]
//! data = "/var/lib/waxwing"
//! ```

mod error;
mod reference;
mod section;
mod sections;
mod settings;
mod values;

pub(crate) use error::ConfigError;
pub(crate) use reference::{example, reference};
pub(crate) use sections::{
    Archive, Clients, Component, Federation, Host, Http, Limits, Listen, Log, Push, Registration,
    Services, Tls, Turn, Uploads,
};
pub(crate) use values::{ContactUri, Domain, LogFormat, LogLevel};

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use waxwing_proto::stream::s2s::ascii_domain;

/// Where the file is looked for when `--config` is not given.
pub(crate) const DEFAULT_PATH: &str = "/etc/waxwing/waxwing.toml";

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Domains that this server answers for; the part behind the @ of its addresses.
    pub(crate) domains: Vec<Domain>,
    /// Folder for everything the server keeps.
    pub(crate) data: PathBuf,
    /// See [`Listen`].
    #[serde(default)]
    pub(crate) listen: Listen,
    /// See [`Tls`].
    #[serde(default)]
    pub(crate) tls: Tls,
    /// See [`Limits`].
    #[serde(default)]
    pub(crate) limits: Limits,
    /// See [`Registration`].
    #[serde(default)]
    pub(crate) registration: Registration,
    /// See [`Federation`].
    #[serde(default)]
    pub(crate) federation: Federation,
    /// See [`Archive`].
    #[serde(default)]
    pub(crate) archive: Archive,
    /// See [`Services`].
    #[serde(default)]
    pub(crate) services: Services,
    /// See [`Clients`].
    #[serde(default)]
    pub(crate) clients: Clients,
    /// See [`Push`].
    #[serde(default)]
    pub(crate) push: Push,
    /// See [`Uploads`].
    #[serde(default)]
    pub(crate) uploads: Uploads,
    /// See [`Turn`].
    #[serde(default)]
    pub(crate) turn: Turn,
    /// See [`Http`].
    #[serde(default)]
    pub(crate) http: Http,
    /// See [`Log`].
    #[serde(default)]
    pub(crate) log: Log,
    /// Settings by domain.
    #[serde(default, rename = "domain")]
    pub(crate) hosts: BTreeMap<Domain, Host>,
    /// External components by domain.
    #[serde(default, rename = "component")]
    pub(crate) components: BTreeMap<Domain, Component>,
}

impl Config {
    /// Reads and checks a file.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|e| ConfigError::unreadable(path, &e))?;
        Self::parse(&text, path)
    }

    /// Decodes and checks the text of a file; `path` is for the messages.
    pub(crate) fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self =
            toml::from_str(text).map_err(|e| ConfigError::decode(path, text, &e))?;
        if config.domains.is_empty() {
            return Err(ConfigError::at_key(
                path,
                text,
                "domains",
                "no domain is named; write one, such as domains = [\"example.org\"]",
            ));
        }
        for name in config.hosts.keys() {
            if !config.domains.contains(name) {
                return Err(ConfigError::at_key(
                    path,
                    text,
                    name.as_str(),
                    &format!(
                        "[domain.\"{name}\"] is for a domain that `domains` does not list; \
                              add it there or remove the table"
                    ),
                ));
            }
        }
        for (name, host) in &config.hosts {
            if let Err((key, message)) = host.is_sound(name) {
                return Err(ConfigError::at_key(path, text, key, &message));
            }
        }
        for (name, component) in &config.components {
            if let Err(message) = config.is_sound(name, component) {
                let key = format!("component.\"{name}\"");
                return Err(ConfigError::at_key(path, text, &key, &message));
            }
        }
        if let Some((name, message)) = config.service_clash() {
            return Err(ConfigError::at_key(path, text, &name, &message));
        }
        if let Err((key, message)) = config.turn.is_sound(&config.listen) {
            return Err(ConfigError::at_key(path, text, key, message));
        }
        let plain = &config.listen.plain_on_loopback;
        if let Some(address) = plain.iter().find(|address| !address.ip().is_loopback()) {
            return Err(ConfigError::at_key(
                path,
                text,
                "plain_on_loopback",
                &format!(
                    "{address} can be reached from outside; use `starttls` or `direct_tls` there"
                ),
            ));
        }
        if config.limits.stanza_bytes_max < config.limits.pre_auth_bytes_max {
            return Err(ConfigError::at_key(
                path,
                text,
                "stanza_bytes_max",
                "`limits.stanza_bytes_max` must not be below `limits.pre_auth_bytes_max`",
            ));
        }
        let mut seen = std::collections::BTreeSet::new();
        config.domains.retain(|domain| seen.insert(domain.clone()));
        Ok(config)
    }

    /// For trying out: domain `localhost`, loopback only, a certificate of its own making.
    pub(crate) fn dev(data: PathBuf) -> Self {
        let loopback = |port| {
            vec![
                (std::net::Ipv4Addr::LOCALHOST, port).into(),
                (std::net::Ipv6Addr::LOCALHOST, port).into(),
            ]
        };
        let listen = Listen {
            starttls: loopback(5222),
            direct_tls: loopback(5223),
            https: loopback(5443),
            ..Listen::default()
        };
        Self {
            domains: Domain::try_from("localhost".to_owned())
                .into_iter()
                .collect(),
            data,
            listen,
            tls: Tls {
                self_signed: true,
                ..Tls::default()
            },
            limits: Limits::default(),
            registration: Registration::default(),
            archive: Archive::default(),
            services: Services::default(),
            clients: Clients::default(),
            // Nobody can reach `localhost` from elsewhere.
            federation: Federation {
                enabled: false,
                ..Federation::default()
            },
            push: Push::default(),
            uploads: Uploads::default(),
            turn: Turn::default(),
            http: Http::default(),
            log: Log::default(),
            hosts: BTreeMap::new(),
            components: BTreeMap::new(),
        }
    }

    /// A service that would have the name of something else, and what to do about it.
    fn service_clash(&self) -> Option<(String, String)> {
        let taken = |name: &str| {
            let mut names = self.domains.iter().chain(self.components.keys());
            names.any(|other| other.as_str() == name)
        };
        let mut services = self.hosted().into_iter();
        let clash = services.find(|service| taken(&service.name))?;
        let (name, label) = (clash.name, clash.kind.label());
        let message = format!(
            "{name} would be a service of this server and something else; set `services.{label}` to \
             another label, or to \"\" to turn the service off"
        );
        Some((name, message))
    }

    /// What is wrong with a component's table, if anything is.
    fn is_sound(&self, name: &Domain, component: &Component) -> Result<(), String> {
        if self.domains.contains(name) {
            return Err(format!(
                "[component.\"{name}\"] is for a domain that `domains` lists; a component needs one \
                 of its own, such as \"gateway.{name}\""
            ));
        }
        if component.secret.is_some() == component.secret_file.is_some() {
            return Err(format!(
                "[component.\"{name}\"] needs either `secret` or `secret_file`"
            ));
        }
        Ok(())
    }

    /// The settings of a domain.
    pub(crate) fn host(&self, domain: &Domain) -> Host {
        self.hosts.get(domain).cloned().unwrap_or_default()
    }

    /// Whether anybody may make an account at a domain.
    pub(crate) fn registration_open(&self, domain: &Domain) -> bool {
        self.host(domain)
            .registration_open
            .unwrap_or(self.registration.open)
    }

    /// Where people reach the HTTP of a domain: host, and port if it is not 443.
    pub(crate) fn web_authority(&self, domain: &Domain) -> String {
        if let Some(url) = self.host(domain).web {
            return url.authority().to_owned();
        }
        let name = domain.as_str();
        let ascii = ascii_domain(name).unwrap_or_else(|| name.to_owned());
        match self.listen.https.first().map_or(443, SocketAddr::port) {
            443 => ascii,
            port => format!("{ascii}:{port}"),
        }
    }

    /// The database.
    pub(crate) fn database(&self) -> PathBuf {
        self.data.join("waxwing.sqlite")
    }

    /// Where the running server takes commands from `waxwing user`.
    pub(crate) fn admin_socket(&self) -> PathBuf {
        self.data.join("admin.sock")
    }

    /// The folder with what people have uploaded.
    pub(crate) fn uploads_folder(&self) -> PathBuf {
        self.data.join("uploads")
    }

    /// The folder with certificates.
    pub(crate) fn certificates(&self) -> PathBuf {
        self.data.join(&self.tls.certificates)
    }

    /// Names of the sections that differ from `other` and take effect only at a start.
    pub(crate) fn needs_restart(&self, other: &Self) -> Vec<&'static str> {
        let differs = [
            ("domains", self.domains != other.domains),
            ("data", self.data != other.data),
            ("listen", self.listen != other.listen),
            ("limits", self.limits != other.limits),
            ("registration", self.registration != other.registration),
            (
                "federation",
                !self.federation.differs_in_policies_only(&other.federation),
            ),
            ("archive", self.archive != other.archive),
            ("services", self.services != other.services),
            ("clients", self.clients != other.clients),
            ("push", self.push != other.push),
            ("uploads", self.uploads != other.uploads),
            ("turn", self.turn != other.turn),
            ("http", self.http != other.http),
            ("log.format", self.log.format != other.log.format),
            ("domain", self.hosts != other.hosts),
            ("component", self.components != other.components),
        ];
        differs
            .into_iter()
            .filter(|(_, differs)| *differs)
            .map(|(name, _)| name)
            .collect()
    }
}

impl Host {
    /// What stands in the way of using it: the key, and what to do about it.
    fn is_sound(&self, name: &Domain) -> Result<(), (&'static str, String)> {
        if self.certificate.is_some() != self.key.is_some() {
            let key = if self.key.is_some() {
                "key"
            } else {
                "certificate"
            };
            let message =
                format!("[domain.\"{name}\"] needs both `certificate` and `key`, or neither");
            return Err((key, message));
        }
        if self.mechanisms.as_ref().is_some_and(Vec::is_empty) {
            let message = format!("nobody could log in at {name}; leave the line out to offer all");
            return Err(("mechanisms", message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[expect(clippy::needless_pass_by_value, reason = "reads as a table")]
    fn check(text: &str, want: Expect) {
        let got = match Config::parse(text, Path::new("w.toml")) {
            Ok(_) => "ok".to_owned(),
            Err(e) => e.to_string(),
        };
        want.assert_eq(&got);
    }

    const HEAD: &str = "domains = [\"example.org\"]\ndata = \"d\"\n";

    #[test]
    fn mistakes_are_named_with_their_place() {
        check(HEAD, expect!["ok"]);
        check(
            "data = \"d\"",
            expect![[
                r#"w.toml:1:1: missing field `domains`; add a line such as domains = ["example.org"]"#
            ]],
        );
        check(
            "domains = []\ndata = \"d\"",
            expect![[
                r#"w.toml:1:1: no domain is named; write one, such as domains = ["example.org"]"#
            ]],
        );
        check(
            "domains = [\"a b\"]\ndata = \"d\"",
            expect![[
                r#"w.toml:1:11: `a b` is not a domain; write the part behind the @ of your addresses, such as "example.org""#
            ]],
        );
        check(
            "domains = [\"example.org\"]\ndata = 5",
            expect!["w.toml:2:8: invalid type: integer `5`, expected path string"],
        );
        check(
            "domans = [\"example.org\"]\ndata = \"d\"",
            expect!["w.toml:1:1: unknown field `domans`; did you mean `domains`?"],
        );
        check(
            &format!("{HEAD}\n[lissten]\nstarttls = []"),
            expect!["w.toml:4:2: unknown field `lissten`; did you mean `listen`?"],
        );
        check(
            &format!("{HEAD}\n[listen]\nstarttls = [\"0.0.0.0\"]"),
            expect![[
                r#"w.toml:5:13: invalid socket address syntax; write address and port, such as "0.0.0.0:5222" or "[::]:5222""#
            ]],
        );
        check(
            &format!("{HEAD}\n[listen]\nplain_on_loopback = [\"127.0.0.1:1\", \"0.0.0.0:5222\"]"),
            expect![
                "w.toml:5:1: 0.0.0.0:5222 can be reached from outside; use `starttls` or `direct_tls` there"
            ],
        );
        check(
            &format!("{HEAD}\n[limits]\nroster_items_max = 0"),
            expect!["w.toml:5:20: must be 1 or more; leave the line out for the default"],
        );
        check(
            &format!("{HEAD}\n[limits]\nroster_item_max = 3"),
            expect![
                "w.toml:5:1: unknown field `roster_item_max`; did you mean `roster_items_max`?"
            ],
        );
        check(
            &format!("{HEAD}\n[limits]\nstanza_bytes_max = 20"),
            expect![
                "w.toml:5:1: `limits.stanza_bytes_max` must not be below `limits.pre_auth_bytes_max`"
            ],
        );
        check(
            &format!("{HEAD}\n[log]\nlevel = \"loud\""),
            expect![[
                r#"w.toml:5:9: `loud` is not a log level; write error, warn, info, debug or trace, or levels by module such as "info,waxwing_engine=debug""#
            ]],
        );
        check(
            &format!("{HEAD}\n[log]\nformat = \"xml\""),
            expect!["w.toml:5:10: unknown variant `xml`, expected `text` or `json`"],
        );
    }

    #[test]
    fn mistakes_about_domains_are_named_with_their_place() {
        check(
            &format!("{HEAD}\n[domain.\"other.org\"]\n"),
            expect![[
                r#"w.toml:4:10: [domain."other.org"] is for a domain that `domains` does not list; add it there or remove the table"#
            ]],
        );
        check(
            &format!("{HEAD}\n[domain.\"example.org\"]\nkey = \"k\""),
            expect![[
                r#"w.toml:5:1: [domain."example.org"] needs both `certificate` and `key`, or neither"#
            ]],
        );
        check(
            &format!("{HEAD}\n[domain.\"example.org\"]\nmechanisms = []"),
            expect![[
                r"w.toml:5:1: nobody could log in at example.org; leave the line out to offer all"
            ]],
        );
        check(
            &format!("{HEAD}\n[domain.\"example.org\"]\nmechanisms = [\"MD5\"]"),
            expect![
                "w.toml:5:14: `MD5` is no mechanism; there are SCRAM-SHA-512-PLUS, SCRAM-SHA-256-PLUS, SCRAM-SHA-1-PLUS, SCRAM-SHA-512, SCRAM-SHA-256, SCRAM-SHA-1, PLAIN"
            ],
        );
        check(
            &format!("{HEAD}\n[domain.\"example.org\"]\ncontact_abuse = [\"abuse\"]"),
            expect![[
                r#"w.toml:5:17: `abuse` is not a contact address; write a URI such as "mailto:abuse@example.org" or "xmpp:admin@example.org""#
            ]],
        );
    }

    #[test]
    fn mistakes_of_syntax_are_named_with_their_place() {
        check(
            &format!("{HEAD}= 5"),
            expect![
                "w.toml:3:1: unquoted keys cannot be empty, expected letters, numbers, `-`, `_`"
            ],
        );
        check(
            &format!("{HEAD}data = \"twice\""),
            expect!["w.toml:3:1: duplicate key"],
        );
    }

    #[test]
    fn mistakes_about_components_are_named_with_their_place() {
        check(
            &format!("{HEAD}\n[component.\"example.org\"]\nsecret = \"0123456789abcdef\""),
            expect![[
                r#"w.toml:4:2: [component."example.org"] is for a domain that `domains` lists; a component needs one of its own, such as "gateway.example.org""#
            ]],
        );
        check(
            &format!("{HEAD}\n[component.\"irc.example.org\"]"),
            expect![[
                r#"w.toml:4:2: [component."irc.example.org"] needs either `secret` or `secret_file`"#
            ]],
        );
        check(
            &format!("{HEAD}\n[component.\"irc.example.org\"]\nsecret = \"short\""),
            expect![
                "w.toml:5:10: is too short to be a secret; take 16 characters of chance or more, such as what `openssl rand -hex 20` prints"
            ],
        );
    }

    #[test]
    fn services_have_domains_of_their_own() {
        const COMPONENT: &str =
            "[component.\"pubsub.example.org\"]\nsecret = \"0123456789abcdef\"\n";
        check(
            &format!("{HEAD}\n{COMPONENT}"),
            expect![[
                r#"w.toml:4:13: pubsub.example.org would be a service of this server and something else; set `services.pubsub` to another label, or to "" to turn the service off"#
            ]],
        );
        check(
            &format!("{HEAD}\n[services]\npubsub = \"\"\n{COMPONENT}"),
            expect!["ok"],
        );
        check(
            &format!("{HEAD}\n[services]\npubsub = \"a b\""),
            expect![[
                r#"w.toml:5:10: `a b` cannot be the first part of a domain; write one such as "pubsub", or "" for none"#
            ]],
        );
    }

    #[test]
    fn a_domain_may_differ() {
        let text = format!(
            "{HEAD}[registration]\nopen = true\n[domain.\"example.org\"]\nregistration_open = false"
        );
        let config = Config::parse(&text, Path::new("w.toml")).unwrap();
        assert!(config.registration.open);
        assert!(!config.registration_open(&config.domains[0]));
    }

    #[test]
    fn the_example_is_a_valid_file_with_the_defaults() {
        let written = Config::parse(&example(), Path::new("example")).unwrap();
        let plain = Config::parse(HEAD, Path::new("plain")).unwrap();
        assert_eq!(written.listen, plain.listen);
        assert_eq!(written.limits, plain.limits);
        // Every commented setting is one that decodes.
        let all: Vec<String> = example()
            .lines()
            // One way to give a secret excludes the other.
            .filter(|line| !line.starts_with("# ") && !line.contains("secret_file"))
            .map(|line| line.strip_prefix('#').unwrap_or(line).to_owned())
            .collect();
        let all = all.join(
            "
",
        );
        let config = Config::parse(&all, Path::new("all")).unwrap_or_else(|e| panic!("{e}\n{all}"));
        assert_eq!(config.limits, plain.limits);
        assert_eq!(config.hosts.len(), 1);
        assert_eq!(config.components.len(), 1);
    }
}
