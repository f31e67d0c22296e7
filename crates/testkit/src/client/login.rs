//! The steps of a login: STARTTLS, SASL as in RFC 6120 or as in XEP-0388, binding.

use super::{Client, Event, header};
use crate::{
    scenario::{Depth, Login},
    subject::Subject,
    xml::{Element, Escaped, StreamEvent},
};
use std::time::Duration;
use waxwing_proto::{
    ns,
    sasl::{
        self, BindingType, FastMechanism, Hash,
        client::{ClientBinding, ScramClient, advertised},
    },
};

impl Client {
    /// Logs in as far as `login` says. `Ok(Some(condition))` is a SASL failure.
    pub async fn log_in(
        &mut self,
        subject: &Subject,
        (user, resource): (&str, &str),
        login: &Login,
    ) -> Result<Option<String>, String> {
        let domain = subject.domain();
        let patience = subject.patience();
        let mut features = self.open_stream(domain, patience).await?;
        if login.starttls {
            features
                .child("starttls", ns::TLS)
                .ok_or("STARTTLS is not offered")?;
            self.send(format!("<starttls xmlns='{}'/>", ns::TLS).as_bytes())
                .await?;
            self.element(patience, "proceed", ns::TLS).await?;
            self.start_tls(subject).await?;
            features = self.open_stream(domain, patience).await?;
        }
        let password = login
            .password
            .clone()
            .unwrap_or_else(|| subject.password(user));
        let offered = offered(&features, login.sasl2)?;
        let mechanism = choose_of(&offered, login.mechanism.as_deref())?;
        let bind = login.sasl2 && login.depth >= Depth::Bound;
        let request = Request {
            mechanism: &mechanism,
            features: Some(&features),
            sasl2: login.sasl2,
            bind: bind.then_some(resource),
            inline: "",
        };
        let success = match self.exchange(request, user, &password, patience).await? {
            Ok(success) => success,
            Err(failure) => return Ok(Some(failure)),
        };
        if login.sasl2 {
            self.element(patience, "features", ns::STREAM).await?;
            if bind {
                let jid = success.child("authorization-identifier", ns::SASL2);
                self.jid = Some(jid.ok_or("no address in <success/>")?.text());
            }
        } else {
            let features = self.open_stream(domain, patience).await?;
            if login.depth >= Depth::Bound {
                features
                    .child("bind", ns::BIND)
                    .ok_or("resource binding is not offered")?;
                self.bind(resource, patience).await?;
            }
        }
        if login.depth >= Depth::Available {
            self.become_available(login.priority, patience).await?;
        }
        Ok(None)
    }

    /// Sends a header; gives the features.
    pub async fn open_stream(
        &mut self,
        domain: &str,
        patience: Duration,
    ) -> Result<Element, String> {
        self.send(header(domain).as_bytes()).await?;
        match self.next(patience).await {
            Some(Event::Stream(StreamEvent::Open(_))) => {}
            other => return Err(format!("no stream header: {other:?}")),
        }
        self.element(patience, "features", ns::STREAM).await
    }

    /// The next thing must be this element.
    async fn element(
        &mut self,
        patience: Duration,
        name: &str,
        ns: &str,
    ) -> Result<Element, String> {
        match self.next(patience).await {
            Some(Event::Stream(StreamEvent::Element(element))) if element.is(name, ns) => {
                Ok(element)
            }
            Some(Event::Stream(StreamEvent::Element(element))) => {
                Err(format!("<{name}> expected, got\n{element}"))
            }
            other => Err(format!("<{name}> expected, got {other:?}")),
        }
    }

    /// SASL of RFC 6120 with a mechanism that [`choose`] gave; `Ok(Some(condition))` is a failure of
    /// it. A new stream follows.
    pub async fn authenticate(
        &mut self,
        mechanism: &str,
        user: &str,
        password: &str,
        patience: Duration,
    ) -> Result<Option<String>, String> {
        let request = Request {
            mechanism,
            features: None,
            sasl2: false,
            bind: None,
            inline: "",
        };
        let outcome = self.exchange(request, user, password, patience).await?;
        Ok(outcome.err())
    }

    /// Authenticates by XEP-0388, where `features` offer it, and asks for something else along with
    /// it: `inline`, written out. Gives `<success/>`, or the condition of the failure; the stream's
    /// features come next.
    pub async fn authenticate_with(
        &mut self,
        features: &Element,
        (user, password): (&str, &str),
        inline: &str,
        patience: Duration,
    ) -> Result<Result<Element, String>, String> {
        let mechanism = choose_of(&offered(features, true)?, None)?;
        let request = Request {
            mechanism: &mechanism,
            features: Some(features),
            sasl2: true,
            bind: None,
            inline,
        };
        self.exchange(request, user, password, patience).await
    }

    /// The element of success, or the condition of the failure.
    async fn exchange(
        &mut self,
        request: Request<'_>,
        user: &str,
        password: &str,
        patience: Duration,
    ) -> Result<Result<Element, String>, String> {
        let mut scram = self.scram(request.mechanism, user, password)?;
        let initial = match &scram {
            Some((_, scram)) => scram.first(),
            None => sasl::client::plain(user, password),
        };
        self.send(request.element(&initial).as_bytes()).await?;
        let ns = request.ns();
        loop {
            let element = match self.next(patience).await {
                Some(Event::Stream(StreamEvent::Element(element))) => element,
                other => {
                    return Err(format!(
                        "no answer to the authentication request: {other:?}"
                    ));
                }
            };
            let data = match element.child("additional-data", ns::SASL2) {
                Some(data) => data.text(),
                None if element.is("success", ns::SASL2) => String::new(),
                None => element.text(),
            };
            let data = sasl::decode(data.trim()).map_err(|e| format!("{e:?}"))?;
            match (element.name.1.as_str(), &mut scram) {
                ("challenge", Some((hash, scram))) => {
                    request.check_signed_offer(*hash, &data)?;
                    let response = scram.last(&data).map_err(|e| e.to_string())?;
                    let response = sasl::encode(&response);
                    let response = format!("<response xmlns='{ns}'>{response}</response>");
                    self.send(response.as_bytes()).await?;
                }
                ("success", scram) => {
                    if let Some((_, scram)) = scram {
                        scram.finish(&data).map_err(|e| e.to_string())?;
                    }
                    if !request.sasl2 {
                        self.expect_new_stream();
                    }
                    return Ok(Ok(element));
                }
                ("failure", _) => {
                    let condition = element.children().next().map(|child| child.name.1.clone());
                    return Ok(Err(condition.unwrap_or_default()));
                }
                _ => return Err(format!("unexpected during SASL:\n{element}")),
            }
        }
    }

    /// The initial response that proves, on this connection, to have a token (XEP-0484 § 3.4), in
    /// base64.
    pub fn token_response(
        &self,
        user: &str,
        mechanism: &str,
        token: &str,
    ) -> Result<String, String> {
        let mechanism = FastMechanism::from_name(mechanism).ok_or("no mechanism for tokens")?;
        let binding = match mechanism.binding() {
            None => &[][..],
            Some(kind) => self.bindings.data(kind).ok_or("nothing to bind to")?,
        };
        let (message, _) = sasl::client::token(token, user, binding);
        Ok(sasl::encode(&message))
    }

    fn scram(
        &self,
        mechanism: &str,
        user: &str,
        password: &str,
    ) -> Result<Option<(Hash, ScramClient)>, String> {
        let (family, plus) = match mechanism.strip_suffix("-PLUS") {
            Some(family) => (family, true),
            None => (mechanism, false),
        };
        let hash = match family {
            "PLAIN" => return Ok(None),
            "SCRAM-SHA-1" => Hash::Sha1,
            "SCRAM-SHA-256" => Hash::Sha256,
            "SCRAM-SHA-512" => Hash::Sha512,
            _ => return Err(format!("the test client does not know {mechanism}")),
        };
        let binding = if plus {
            let (kind, data) = [BindingType::TlsExporter, BindingType::TlsServerEndPoint]
                .into_iter()
                .find_map(|kind| Some((kind, self.bindings.data(kind)?.to_owned())))
                .ok_or("there is nothing to bind to")?;
            ClientBinding::Bound(kind, data)
        } else {
            ClientBinding::Unsupported
        };
        // Only the server's nonce needs to be fresh in a test.
        let nonce = "fyko+d2lbbFgONRv9qkxdawL";
        let scram = ScramClient::new(hash, binding, user, password, nonce);
        Ok(Some((hash, scram)))
    }

    /// Binds the resource, or one of the server's choice if it is empty (RFC 6120 § 7).
    pub async fn bind(&mut self, resource: &str, patience: Duration) -> Result<(), String> {
        let wish = if resource.is_empty() {
            String::new()
        } else {
            format!("<resource>{}</resource>", Escaped(resource))
        };
        let request = format!(
            "<iq type='set' id='bind'><bind xmlns='{}'>{wish}</bind></iq>",
            ns::BIND
        );
        self.send(request.as_bytes()).await?;
        let result = self.element(patience, "iq", ns::CLIENT).await?;
        let jid = result
            .child("bind", ns::BIND)
            .and_then(|bind| bind.child("jid", ns::BIND))
            .ok_or_else(|| format!("binding failed:\n{result}"))?;
        self.jid = Some(jid.text());
        Ok(())
    }

    async fn become_available(
        &mut self,
        priority: Option<i8>,
        patience: Duration,
    ) -> Result<(), String> {
        let get = format!(
            "<iq type='get' id='roster'><query xmlns='{}'/></iq>",
            ns::ROSTER
        );
        self.send(get.as_bytes()).await?;
        let result = self.element(patience, "iq", ns::CLIENT).await?;
        if result.attr("type") != Some("result") {
            return Err(format!("no roster:\n{result}"));
        }
        let presence = match priority {
            None => "<presence/>".to_owned(),
            Some(priority) => format!("<presence><priority>{priority}</priority></presence>"),
        };
        self.available = true;
        self.send(presence.as_bytes()).await
    }
}

/// How to authenticate.
#[derive(Clone, Copy)]
struct Request<'a> {
    mechanism: &'a str,
    /// What was offered, if that is to be compared with what the server signs.
    features: Option<&'a Element>,
    sasl2: bool,
    /// Bind a resource with this tag, in the same step.
    bind: Option<&'a str>,
    /// What else is asked for, written out.
    inline: &'a str,
}

impl Request<'_> {
    fn ns(&self) -> &'static str {
        if self.sasl2 { ns::SASL2 } else { ns::SASL }
    }

    fn element(&self, initial: &[u8]) -> String {
        let (ns, mechanism) = (self.ns(), self.mechanism);
        let initial = sasl::encode(initial);
        if !self.sasl2 {
            return format!("<auth xmlns='{ns}' mechanism='{mechanism}'>{initial}</auth>");
        }
        let bind = self.bind.map_or_else(String::new, |tag| {
            let tag = Escaped(tag);
            format!("<bind xmlns='{}'><tag>{tag}</tag></bind>", ns::BIND2)
        });
        let inline = self.inline;
        format!(
            "<authenticate xmlns='{ns}' mechanism='{mechanism}'>\
             <initial-response>{initial}</initial-response>{bind}{inline}</authenticate>"
        )
    }

    /// What the server has signed must be what it has offered (XEP-0474 § 4).
    fn check_signed_offer(&self, hash: Hash, challenge: &[u8]) -> Result<(), String> {
        let challenge = String::from_utf8_lossy(challenge);
        let signed = challenge
            .split(',')
            .find_map(|part| part.strip_prefix("h="));
        let (Some(features), Some(signed)) = (self.features, signed) else {
            return Ok(());
        };
        let mechanisms = offered(features, self.sasl2)?;
        let mechanisms: Vec<&str> = mechanisms.iter().map(String::as_str).collect();
        let bindings = features.child("sasl-channel-binding", ns::SASL_CB);
        let bindings: Option<Vec<&str>> = bindings.map(|bindings| {
            bindings
                .children()
                .filter_map(|binding| binding.attr("type"))
                .collect()
        });
        if advertised(hash, &mechanisms, bindings.as_deref()) == signed {
            Ok(())
        } else {
            Err("the server has signed another list of mechanisms than it has offered".into())
        }
    }
}

/// The mechanisms for passwords that are offered.
fn offered(features: &Element, sasl2: bool) -> Result<Vec<String>, String> {
    let list = if sasl2 {
        features.child("authentication", ns::SASL2)
    } else {
        features.child("mechanisms", ns::SASL)
    };
    Ok(list
        .ok_or("SASL is not offered")?
        .children()
        .filter(|child| child.name.1 == "mechanism")
        .map(Element::text)
        .collect())
}

/// The mechanism wished for, or the best one that is offered and quick.
pub fn choose(features: &Element, wish: Option<&str>) -> Result<String, String> {
    choose_of(&offered(features, false)?, wish)
}

fn choose_of(offered: &[String], wish: Option<&str>) -> Result<String, String> {
    let wanted: &[&str] = match &wish {
        Some(wish) => &[wish],
        None => &["SCRAM-SHA-256", "SCRAM-SHA-1"],
    };
    wanted
        .iter()
        .find(|name| offered.iter().any(|offer| offer == *name))
        .map(|name| (*name).to_owned())
        .ok_or_else(|| format!("{wanted:?} not offered, but {offered:?}"))
}
