//! Which servers may talk to ours, and how they have to show who they are.

use std::collections::HashMap;

/// What is demanded of another domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Policy {
    /// Nothing is exchanged with it.
    Block,
    /// Its server must show a certificate for the domain that we trust: as the one that connects,
    /// by SASL EXTERNAL; or as the one that we connect to, also when we ask it about a dialback key.
    /// Nobody on the way and nobody who can forge DNS can be the domain.
    #[default]
    Certificate,
    /// Dialback over any TLS is enough: whoever the DNS names is the domain.
    Dialback,
}

/// The policy for each domain.
#[derive(Debug, Clone, Default)]
pub struct Policies {
    /// For domains without one of their own.
    pub default: Policy,
    /// By prepared domainpart; each is also for the domains below it that have none of their own.
    pub domains: HashMap<String, Policy>,
}

impl Policies {
    /// The policy for a prepared domainpart.
    pub fn of(&self, domain: &str) -> Policy {
        let mut name = domain;
        loop {
            if let Some(policy) = self.domains.get(name) {
                return *policy;
            }
            match name.split_once('.') {
                Some((_, parent)) => name = parent,
                None => return self.default,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_entry_counts() {
        let policies = Policies {
            default: Policy::Certificate,
            domains: HashMap::from([
                ("evil.example".to_owned(), Policy::Block),
                ("good.evil.example".to_owned(), Policy::Dialback),
            ]),
        };
        for (domain, want) in [
            ("evil.example", Policy::Block),
            ("rooms.evil.example", Policy::Block),
            ("good.evil.example", Policy::Dialback),
            ("a.good.evil.example", Policy::Dialback),
            ("notevil.example", Policy::Certificate),
            ("example", Policy::Certificate),
            ("", Policy::Certificate),
        ] {
            assert_eq!(policies.of(domain), want, "{domain}");
        }
    }
}
