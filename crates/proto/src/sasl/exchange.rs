//! One authentication, as the server sees it.

use super::scram::{self, BindingFlag, ClientFinal, ClientFirst, Malformed};
use super::{BindingType, ChannelBindings, Failure, Hash, MESSAGE_BYTES_MAX, Mechanism, Verifier};
use super::{PASSWORD_BYTES_MAX, base64, downgrade};
use crate::jid::{self, BareJid};
use subtle::ConstantTimeEq;

/// What the stream offers, and may therefore use.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// The mechanisms advertised. Nothing else is accepted, whether we know it or not.
    pub mechanisms: &'a [Mechanism],
    /// What the connection can be bound to.
    pub bindings: &'a ChannelBindings,
    /// The prepared domain that the client talks to, of which it wants to be a user.
    pub domain: &'a str,
    /// Whether SCRAM tells the client what was advertised (XEP-0474).
    pub downgrade_protection: bool,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Look up the verifier and call [`Exchange::verifier`].
    NeedVerifier {
        /// The localpart, prepared. If the client's name cannot be a localpart it is given as it
        /// came: no account has it, and it is to be treated as any unknown name.
        username: String,
        /// For which hash.
        hash: Hash,
    },
    /// Send this challenge and call [`Exchange::response`] with the answer.
    Challenge(Vec<u8>),
    /// The client is who it says.
    Success {
        /// The prepared localpart.
        username: String,
        /// Additional data, to be sent with the success (RFC 6120 § 6.3.10).
        data: Option<Vec<u8>>,
    },
    /// The client is not.
    Failure(Failure),
}

/// The server's side of one SASL exchange. After a [`Step::Success`] or a [`Step::Failure`] it is
/// over, and a new attempt is a new exchange.
#[derive(Debug)]
pub struct Exchange {
    mechanism: Mechanism,
    domain: String,
    /// Whether any -PLUS mechanism was offered.
    plus_offered: bool,
    bindings: ChannelBindings,
    server_nonce: String,
    /// The localpart, once the client has named one that is valid.
    username: Option<String>,
    binding: Option<BindingType>,
    /// Whether the client has named whom to act as.
    names_authzid: bool,
    /// What XEP-0474 adds to our challenge.
    protection: Option<String>,
    state: State,
}

enum State {
    /// The client speaks first and has not yet.
    Initial,
    /// PLAIN: the password waits for the verifier.
    Password(String),
    /// SCRAM: the client's first message waits for the verifier.
    First(Scram),
    /// SCRAM: our challenge is out.
    Challenged {
        scram: Scram,
        server_first: String,
        verifier: Verifier,
        known: bool,
    },
    Over,
}

/// What is kept of client-first-message.
struct Scram {
    /// What `c=` must be.
    binding: Vec<u8>,
    client_first_bare: String,
    /// The client's and ours.
    nonce: String,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Initial => "Initial",
            Self::Password(_) => "Password(..)",
            Self::First(_) => "First(..)",
            Self::Challenged { .. } => "Challenged { .. }",
            Self::Over => "Over",
        })
    }
}

impl Exchange {
    /// Starts an exchange.
    ///
    /// `server_nonce` must be unpredictable, with 128 bits at least, printable ASCII and without
    /// comma; `initial` is the initial response, if there was one.
    pub fn start(
        mechanism: Mechanism,
        offer: Offer<'_>,
        server_nonce: &str,
        initial: Option<&[u8]>,
    ) -> (Self, Step) {
        let plus_offered = offer.mechanisms.iter().any(|mechanism| mechanism.plus());
        let mut exchange = Self {
            mechanism,
            domain: offer.domain.to_owned(),
            plus_offered,
            bindings: offer.bindings.clone(),
            server_nonce: server_nonce.to_owned(),
            username: None,
            binding: None,
            names_authzid: false,
            protection: offer.downgrade_protection.then(|| {
                let advertised = plus_offered.then_some(offer.bindings);
                downgrade::protection(mechanism.hash(), offer.mechanisms, advertised)
            }),
            state: State::Initial,
        };
        let step = if !offer.mechanisms.contains(&mechanism) {
            exchange.fail(Failure::InvalidMechanism)
        } else if let Some(initial) = initial {
            exchange.response(initial)
        } else {
            Step::Challenge(Vec::new())
        };
        (exchange, step)
    }

    /// Takes the client's next message. One that comes while the verifier is awaited, or after
    /// the end, is `malformed-request`.
    pub fn response(&mut self, message: &[u8]) -> Step {
        if message.len() > MESSAGE_BYTES_MAX {
            return self.fail(Failure::MalformedRequest);
        }
        let step = match std::mem::replace(&mut self.state, State::Over) {
            State::Initial if self.mechanism == Mechanism::Plain => self.plain(message),
            State::Initial => self.client_first(message),
            State::Challenged {
                scram,
                server_first,
                verifier,
                known,
            } => self.client_final(message, &scram, &server_first, &verifier, known),
            State::Password(_) | State::First(_) | State::Over => Err(Failure::MalformedRequest),
        };
        step.unwrap_or_else(|failure| self.fail(failure))
    }

    /// Takes the verifier asked for: the account's, or a [fake](Verifier::fake) if there is none
    /// (`known` is false then). Costs the PBKDF2 iterations of the verifier if the mechanism is
    /// PLAIN, and a few hashes otherwise.
    pub fn verifier(&mut self, verifier: Verifier, known: bool) -> Step {
        // A name that cannot be a localpart is nobody's, whatever the caller found.
        let known = known && self.username.is_some();
        match std::mem::replace(&mut self.state, State::Over) {
            State::Password(password) => {
                let fits = verifier.check_password(self.mechanism.hash(), &password);
                self.finish(fits && known, None)
                    .unwrap_or_else(|failure| self.fail(failure))
            }
            State::First(scram) => {
                let protection = self.protection.as_deref();
                let server_first = scram::server_first(&scram.nonce, &verifier, protection);
                let challenge = server_first.clone().into_bytes();
                self.state = State::Challenged {
                    scram,
                    server_first,
                    verifier,
                    known,
                };
                Step::Challenge(challenge)
            }
            _ => self.fail(Failure::TemporaryAuthFailure),
        }
    }

    /// The mechanism in use.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The channel binding in use, once the client has said so; proven when the exchange has
    /// succeeded.
    pub fn binding(&self) -> Option<BindingType> {
        self.binding
    }

    /// The localpart that the client claims, if it is valid.
    pub fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    /// Whether the client has said whom it wants to act as, which can be itself only.
    pub fn names_authzid(&self) -> bool {
        self.names_authzid
    }

    fn fail(&mut self, failure: Failure) -> Step {
        self.state = State::Over;
        Step::Failure(failure)
    }

    /// RFC 4616 § 2: exactly `[authzid] NUL authcid NUL passwd`.
    fn plain(&mut self, message: &[u8]) -> Result<Step, Failure> {
        let text = std::str::from_utf8(message).map_err(|_| Failure::MalformedRequest)?;
        let mut fields = text.split('\0');
        let (Some(authzid), Some(name), Some(password), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(Failure::MalformedRequest);
        };
        if name.is_empty() || password.is_empty() || password.len() > PASSWORD_BYTES_MAX {
            return Err(Failure::MalformedRequest);
        }
        let step = self.claim(name, Some(authzid).filter(|authzid| !authzid.is_empty()))?;
        self.state = State::Password(password.to_owned());
        Ok(step)
    }

    /// RFC 5802 § 5: the server's checks of client-first-message.
    fn client_first(&mut self, message: &[u8]) -> Result<Step, Failure> {
        let first = ClientFirst::parse(message)?;
        let mut binding = first.header.as_bytes().to_vec();
        match first.flag {
            BindingFlag::Used(name) if self.mechanism.plus() => {
                let kind = self.bindings.types().find(|kind| kind.name() == name);
                let kind = kind.ok_or(Failure::MalformedRequest)?;
                binding.extend_from_slice(self.bindings.data(kind).unwrap_or_default());
                self.binding = Some(kind);
            }
            // -PLUS without binding, or binding without -PLUS.
            _ if self.mechanism.plus() => return Err(Failure::MalformedRequest),
            BindingFlag::Used(_) => return Err(Failure::MalformedRequest),
            // Somebody removed the -PLUS mechanisms from what we offered (RFC 5802 § 6).
            BindingFlag::NotOffered if self.plus_offered => return Err(Failure::NotAuthorized),
            BindingFlag::NotOffered | BindingFlag::Unsupported => {}
        }
        let step = self.claim(&first.username, first.authzid.as_deref())?;
        self.state = State::First(Scram {
            binding,
            client_first_bare: first.bare.to_owned(),
            nonce: format!("{}{}", first.nonce, self.server_nonce),
        });
        Ok(step)
    }

    /// RFC 5802 § 5: the server's checks of client-final-message.
    fn client_final(
        &mut self,
        message: &[u8],
        scram: &Scram,
        server_first: &str,
        verifier: &Verifier,
        known: bool,
    ) -> Result<Step, Failure> {
        let hash = self.mechanism.hash();
        let last = ClientFinal::parse(message)?;
        let auth_message =
            scram::auth_message(&scram.client_first_bare, server_first, last.without_proof);
        let fits = scram::proof_fits(hash, verifier, &auth_message, &last.proof)
            & bool::from(last.binding.ct_eq(&scram.binding))
            & bool::from(last.nonce.as_bytes().ct_eq(scram.nonce.as_bytes()));
        let signature = hash.hmac(&verifier.server_key, &[auth_message.as_bytes()]);
        let data = format!("v={}", base64::encode(&signature)).into_bytes();
        self.finish(fits && known, Some(data))
    }

    /// Notes who the client wants to be. An authzid must be the bare JID of the same account: we
    /// let nobody act for somebody else.
    fn claim(&mut self, name: &str, authzid: Option<&str>) -> Result<Step, Failure> {
        let prepared = jid::prepare_local(name).ok();
        if let Some(authzid) = authzid {
            let account = BareJid::from_parts(Some(name), &self.domain).ok();
            let wanted = BareJid::parse(authzid).ok();
            if wanted.is_none() || wanted != account {
                return Err(Failure::InvalidAuthzid);
            }
            self.names_authzid = true;
        }
        self.username = prepared.map(std::borrow::Cow::into_owned);
        let username = self.username.clone().unwrap_or_else(|| name.to_owned());
        Ok(Step::NeedVerifier {
            username,
            hash: self.mechanism.hash(),
        })
    }

    fn finish(&mut self, authentic: bool, data: Option<Vec<u8>>) -> Result<Step, Failure> {
        match &self.username {
            Some(username) if authentic => Ok(Step::Success {
                username: username.clone(),
                data,
            }),
            _ => Err(Failure::NotAuthorized),
        }
    }
}

impl From<Malformed> for Failure {
    fn from(_: Malformed) -> Self {
        Self::MalformedRequest
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::{ClientBinding, ClientError, ScramClient, plain};
    use super::*;
    use proptest::prelude::*;

    const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const CLIENT_NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const SECRET: [u8; 32] = [7; 32];

    fn bindings() -> ChannelBindings {
        ChannelBindings {
            exporter: Some((0..32).collect()),
            server_end_point: Some(vec![9; 32]),
        }
    }

    /// What the account `user` with the password `pencil` has.
    fn verifier(hash: Hash, iterations: u32) -> Verifier {
        let salt = base64::strict("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
        Verifier::derive(hash, "pencil", &salt, iterations).expect("password")
    }

    fn start(mechanism: Mechanism, mechanisms: &[Mechanism], initial: &[u8]) -> (Exchange, Step) {
        let bindings = bindings();
        let offer = Offer {
            mechanisms,
            bindings: &bindings,
            domain: "example.com",
            downgrade_protection: false,
        };
        Exchange::start(mechanism, offer, SERVER_NONCE, Some(initial))
    }

    /// Answers the question for a verifier as an engine with the one account `user` would.
    fn look_up(exchange: &mut Exchange, step: Step, iterations: u32) -> Step {
        let Step::NeedVerifier { username, hash } = step else {
            return step;
        };
        let fake = Verifier::fake(hash, &SECRET, &username, iterations);
        match username.as_str() {
            "user" => exchange.verifier(verifier(hash, iterations), true),
            _ => exchange.verifier(fake, false),
        }
    }

    /// A whole exchange with raw messages; the first step that is no challenge is the outcome.
    fn run(
        mechanism: Mechanism,
        mechanisms: &[Mechanism],
        first: &str,
        last: impl FnOnce(String) -> String,
    ) -> Step {
        let (mut exchange, step) = start(mechanism, mechanisms, first.as_bytes());
        match look_up(&mut exchange, step, 4096) {
            Step::Challenge(challenge) => {
                let challenge = String::from_utf8(challenge).expect("UTF-8");
                exchange.response(last(challenge).as_bytes())
            }
            step => step,
        }
    }

    #[track_caller]
    fn check_vector(mechanism: Mechanism, first: &str, challenge: &str, last: &str, data: &str) {
        let step = run(mechanism, &Mechanism::ALL, first, |got| {
            assert_eq!(got, challenge);
            last.to_owned()
        });
        let data = Some(data.as_bytes().to_vec());
        assert_eq!(
            step,
            Step::Success {
                username: "user".to_owned(),
                data
            }
        );
    }

    #[test]
    fn rfc_5802_example() {
        let salt = base64::strict("QSXCR+Q6sek8bf92").expect("base64");
        let bindings = ChannelBindings::default();
        let (mut exchange, step) = Exchange::start(
            Mechanism::ScramSha1,
            Offer {
                mechanisms: &[Mechanism::ScramSha1],
                bindings: &bindings,
                domain: "example.com",
                downgrade_protection: false,
            },
            "3rfcNHYJY1ZVvWVs7j",
            Some(b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"),
        );
        assert_eq!(
            step,
            Step::NeedVerifier {
                username: "user".to_owned(),
                hash: Hash::Sha1
            }
        );
        let verifier = Verifier::derive(Hash::Sha1, "pencil", &salt, 4096).expect("password");
        assert_eq!(
            exchange.verifier(verifier, true),
            Step::Challenge(
                b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096".to_vec()
            )
        );
        let last = b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,\
                     p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=";
        assert_eq!(
            exchange.response(last),
            Step::Success {
                username: "user".to_owned(),
                data: Some(b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=".to_vec())
            }
        );
    }

    /// RFC 7677 § 3; the same made with SHA-512, and with a channel binding of the octets 0 to
    /// 31, by Python's hashlib and hmac.
    #[test]
    fn rfc_7677_example_and_its_variants() {
        let challenge = format!("r={CLIENT_NONCE}{SERVER_NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
        check_vector(
            Mechanism::ScramSha256,
            "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            &challenge,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        );
        check_vector(
            Mechanism::ScramSha512,
            "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            &challenge,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp\
             6dybEmDYXYTxwnYPJQ==",
            "v=ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5Zx\
             XnJq199RVG2rR7N7Zw==",
        );
        check_vector(
            Mechanism::ScramSha256Plus,
            "p=tls-exporter,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            &challenge,
            "c=cD10bHMtZXhwb3J0ZXIsLAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f,\
             r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=QC6CS20quADQRb3mT99YUH+n3VJxUvzuK0K0E1Vrs2M=",
            "v=2GiAgapEppLVlUXbxUDksL3VgYHzuqiK5tR4mhJGgvs=",
        );
    }

    #[test]
    fn first_messages_refused() {
        use Failure::{InvalidAuthzid, InvalidMechanism, MalformedRequest, NotAuthorized};
        use Mechanism::{Plain, ScramSha256, ScramSha256Plus};
        let scram = &[ScramSha256];
        let both = &[ScramSha256Plus, ScramSha256, Plain];
        for (mechanism, offered, first, expected) in [
            (ScramSha256, &both[2..], "n,,n=user,r=abc", InvalidMechanism),
            (Plain, scram, "\0user\0pencil", InvalidMechanism),
            (ScramSha256, both, "y,,n=user,r=abc", NotAuthorized),
            (
                ScramSha256,
                both,
                "p=tls-exporter,,n=user,r=abc",
                MalformedRequest,
            ),
            (ScramSha256Plus, both, "n,,n=user,r=abc", MalformedRequest),
            (ScramSha256Plus, both, "y,,n=user,r=abc", MalformedRequest),
            (
                ScramSha256Plus,
                both,
                "p=tls-unique,,n=user,r=abc",
                MalformedRequest,
            ),
            (ScramSha256, both, "n,,m=x,n=user,r=abc", MalformedRequest),
            (
                ScramSha256,
                both,
                "n,a=mallory@example.com,n=user,r=abc",
                InvalidAuthzid,
            ),
            (
                ScramSha256,
                both,
                "n,a=user@evil.example,n=user,r=abc",
                InvalidAuthzid,
            ),
            (
                ScramSha256,
                both,
                "n,a=user@example.com/r,n=user,r=abc",
                InvalidAuthzid,
            ),
            (ScramSha256, both, "n,a=user,n=user,r=abc", InvalidAuthzid),
            (ScramSha256, both, "n,a=@,n=user,r=abc", InvalidAuthzid),
            (
                Plain,
                both,
                "mallory@example.com\0user\0pencil",
                InvalidAuthzid,
            ),
            (Plain, both, "user\0user\0pencil", InvalidAuthzid),
            (Plain, both, "", MalformedRequest),
            (Plain, both, "user\0pencil", MalformedRequest),
            (Plain, both, "\0user", MalformedRequest),
            (Plain, both, "\0\0pencil", MalformedRequest),
            (Plain, both, "\0user\0", MalformedRequest),
            (Plain, both, "\0user\0pencil\0", MalformedRequest),
            (Plain, both, "\0user\0pencil\0x", MalformedRequest),
        ] {
            let (mut exchange, step) = start(mechanism, offered, first.as_bytes());
            assert_eq!(step, Step::Failure(expected), "{first:?}");
            let after = exchange.response(b"n,,n=user,r=abc");
            assert_eq!(after, Step::Failure(MalformedRequest), "over is over");
        }
        let long = format!("\0user\0{}", "x".repeat(MESSAGE_BYTES_MAX));
        for bad in [b"\0user\0\xff".as_slice(), long.as_bytes()] {
            assert_eq!(start(Plain, both, bad).1, Step::Failure(MalformedRequest));
        }
    }

    #[test]
    fn plain_passwords() {
        let outcome = |message: &[u8]| {
            let (mut exchange, step) = start(Mechanism::Plain, &Mechanism::ALL, message);
            look_up(&mut exchange, step, 16)
        };
        let success = Step::Success {
            username: "user".to_owned(),
            data: None,
        };
        let refused = Step::Failure(Failure::NotAuthorized);
        assert_eq!(outcome(&plain("user", "pencil")), success);
        assert_eq!(
            outcome(&plain("USER", "pencil")),
            success,
            "the name is prepared"
        );
        assert_eq!(outcome(b"user@example.com\0user\0pencil"), success);
        assert_eq!(outcome(b"User@EXAMPLE.com\0user\0pencil"), success);
        assert_eq!(outcome(&plain("user", "Pencil")), refused);
        assert_eq!(outcome(&plain("user", "pen\u{7}cil")), refused);
        assert_eq!(outcome(&plain("nobody", "pencil")), refused);
        assert_eq!(outcome(&plain("user@evil.example", "pencil")), refused);
    }

    /// Each client-final-message here is wrong in one way; the server always answers.
    #[test]
    fn last_messages_refused() {
        use Failure::{MalformedRequest, NotAuthorized};
        type Change = fn(&str) -> String;
        let cases: &[(&str, Change, Failure)] = &[
            ("proof not base64", |m| format!("{m}*"), MalformedRequest),
            (
                "proof missing",
                |m| m.split(",p=").next().unwrap_or_default().into(),
                MalformedRequest,
            ),
            (
                "proof empty",
                |m| format!("{},p=", m.split(",p=").next().unwrap()),
                NotAuthorized,
            ),
            (
                "proof too long",
                |m| m.replace(",p=", ",p=AAAA"),
                NotAuthorized,
            ),
            (
                "foreign binding",
                |m| m.replace("c=biws", "c=eSws"),
                NotAuthorized,
            ),
            (
                "binding not base64",
                |m| m.replace("c=biws", "c=biw"),
                MalformedRequest,
            ),
            (
                "binding with data",
                |m| m.replace("c=biws", "c=biwsAAAA"),
                NotAuthorized,
            ),
            (
                "client nonce alone",
                |m| m.replace(SERVER_NONCE, ""),
                NotAuthorized,
            ),
            (
                "longer nonce",
                |m| m.replace(SERVER_NONCE, "%x"),
                NotAuthorized,
            ),
            (
                "mandatory extension",
                |m| m.replace(",p=", ",m=x,p="),
                MalformedRequest,
            ),
            (
                "unsigned extension",
                |m| m.replace(",p=", ",x=x,p="),
                NotAuthorized,
            ),
            ("second proof", |m| format!("{m},p=AAAA"), MalformedRequest),
            ("empty", |_| String::new(), MalformedRequest),
        ];
        for (what, change, expected) in cases {
            let mut client = ScramClient::new(
                Hash::Sha256,
                ClientBinding::Unsupported,
                "user",
                "pencil",
                CLIENT_NONCE,
            );
            let first = String::from_utf8(client.first()).expect("UTF-8");
            let step = run(
                Mechanism::ScramSha256,
                &Mechanism::ALL,
                &first,
                |challenge| {
                    let last = client.last(challenge.as_bytes()).expect("challenge");
                    change(std::str::from_utf8(&last).expect("UTF-8"))
                },
            );
            assert_eq!(step, Step::Failure(*expected), "{what}");
        }
    }

    #[test]
    fn an_unknown_user_looks_like_a_known_one() {
        // The third can be no localpart, the fourth is somebody else's address.
        let names = ["user", "nobody", "no body", "user@evil.example"];
        let shapes = names.map(|name| {
            let challenge = || {
                let first = format!("n,,n={name},r=abc");
                let (mut exchange, step) =
                    start(Mechanism::ScramSha256, &Mechanism::ALL, first.as_bytes());
                let Step::Challenge(challenge) = look_up(&mut exchange, step, 4096) else {
                    panic!("no challenge for {name}")
                };
                let last = b"c=biws,r=abc%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                             p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
                assert_eq!(
                    exchange.response(last),
                    Step::Failure(Failure::NotAuthorized)
                );
                challenge
            };
            assert_eq!(challenge(), challenge(), "asking twice tells nothing");
            challenge().len()
        });
        assert_eq!(shapes, [shapes[0]; 4]);
        let salt = |hash, name| Verifier::fake(hash, &SECRET, name, 1).salt;
        assert_eq!(
            salt(Hash::Sha1, "a"),
            salt(Hash::Sha512, "a"),
            "one salt for an account"
        );
        assert_ne!(salt(Hash::Sha1, "a"), salt(Hash::Sha1, "b"));
    }

    /// Even somebody who knew a fake verifier's keys would not get in.
    #[test]
    fn unknown_stays_unknown() {
        let (mut exchange, step) = start(
            Mechanism::Plain,
            &Mechanism::ALL,
            &plain("nobody", "pencil"),
        );
        assert!(matches!(step, Step::NeedVerifier { .. }));
        let step = exchange.verifier(verifier(Hash::Sha256, 16), false);
        assert_eq!(step, Step::Failure(Failure::NotAuthorized));
        let (mut exchange, _) = start(
            Mechanism::Plain,
            &Mechanism::ALL,
            &plain("no body", "pencil"),
        );
        let step = exchange.verifier(verifier(Hash::Sha256, 16), true);
        assert_eq!(step, Step::Failure(Failure::NotAuthorized));
    }

    #[test]
    fn out_of_turn() {
        let first = b"n,,n=user,r=abc";
        let (mut exchange, _) = start(Mechanism::ScramSha1, &Mechanism::ALL, first);
        assert_eq!(
            exchange.response(first),
            Step::Failure(Failure::MalformedRequest)
        );
        let late = exchange.verifier(verifier(Hash::Sha1, 16), true);
        assert_eq!(late, Step::Failure(Failure::TemporaryAuthFailure));
    }

    #[test]
    fn secrets_are_not_printed() {
        let (exchange, _) = start(Mechanism::Plain, &Mechanism::ALL, &plain("user", "pencil"));
        let printed = format!("{exchange:?} {:?}", verifier(Hash::Sha1, 16));
        assert!(
            !printed.contains("pencil") && !printed.contains("salt"),
            "{printed}"
        );
    }

    #[test]
    fn the_client_checks_the_server() {
        let new = || ScramClient::new(Hash::Sha1, ClientBinding::Unsupported, "u", "p", "abc");
        for (challenge, expected) in [
            ("r=abc,s=AAAA,i=1", ClientError::Message),
            ("r=xabc,s=AAAA,i=1", ClientError::Message),
            ("r=abcd,s=AAAA,i=0", ClientError::Message),
            ("r=abcd,s=AAAA,i=4000000000", ClientError::Iterations),
        ] {
            assert_eq!(
                new().last(challenge.as_bytes()),
                Err(expected),
                "{challenge}"
            );
        }
        let mut client = new();
        client.last(b"r=abcd,s=AAAA,i=1").expect("challenge");
        assert_eq!(client.finish(b"v=AAAA"), Err(ClientError::Server));
        assert_eq!(client.finish(b"v=AAAA"), Err(ClientError::Message));
    }

    /// The client's and the server's side, with each message changed by `change`.
    fn both_sides(
        mechanism: Mechanism,
        name: &str,
        mut change: impl FnMut(usize, &mut Vec<u8>),
    ) -> Result<(), String> {
        let binding = match mechanism {
            _ if !mechanism.plus() => ClientBinding::Unsupported,
            Mechanism::ScramSha1Plus => {
                ClientBinding::Bound(BindingType::TlsServerEndPoint, vec![9; 32])
            }
            _ => ClientBinding::Bound(BindingType::TlsExporter, (0..32).collect()),
        };
        let hash = mechanism.hash();
        let mut client = ScramClient::new(hash, binding, name, "pencil", CLIENT_NONCE);
        let mut message = client.first();
        change(0, &mut message);
        let (mut exchange, step) = start(mechanism, &Mechanism::ALL, &message);
        let Step::NeedVerifier { username, .. } = step else {
            return Err(format!("{step:?}"));
        };
        let known = jid::prepare_local(name).is_ok_and(|name| name == username);
        let Step::Challenge(mut challenge) = exchange.verifier(verifier(hash, 2), known) else {
            return Err("no challenge".to_owned());
        };
        change(1, &mut challenge);
        let mut last = client.last(&challenge).map_err(|error| error.to_string())?;
        change(2, &mut last);
        match exchange.response(&last) {
            Step::Success { data, .. } => client
                .finish(&data.unwrap_or_default())
                .map_err(|error| error.to_string()),
            step => Err(format!("{step:?}")),
        }
    }

    proptest! {
        #[test]
        fn honest_sides_agree(which in 0..6usize, name in "[a-zA-Z0-9,=.äß]{1,8}") {
            prop_assert_eq!(both_sides(Mechanism::ALL[which], &name, |_, _| ()), Ok(()));
        }

        /// One octet changed in any message: no success. (Two spellings of one name are one
        /// account, but the messages are signed as sent.)
        #[test]
        fn changed_messages_never_succeed(
            which in 0..6usize, message in 0..3usize, at in any::<prop::sample::Index>(), mask in 1..=255u8
        ) {
            let outcome = both_sides(Mechanism::ALL[which], "user", |number, bytes| {
                if number == message {
                    let at = at.index(bytes.len());
                    bytes[at] ^= mask;
                }
            });
            prop_assert!(outcome.is_err());
        }

        #[test]
        fn never_panics(first in prop::collection::vec(any::<u8>(), 0..64), last in "\\PC{0,64}") {
            for mechanism in Mechanism::ALL {
                let (mut exchange, step) = start(mechanism, &Mechanism::ALL, &first);
                look_up(&mut exchange, step, 2);
                exchange.response(last.as_bytes());
            }
        }
    }
}
