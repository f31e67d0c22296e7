//! What a client gets together with its authentication (XEP-0388 § 2.6): its old session or a new
//! one (XEP-0386), and a token for the next time (XEP-0484).

use super::{Connection, Counting};
use crate::{
    auth::{self, Proof},
    clients::{ClientId, Presented, TokenLogin},
    features::{mam, push},
    registry::Setting,
    session::Session,
};
use std::time::Duration;
use tokio::time::Instant;
use waxwing_proto::{
    BareJid, FullJid, csi,
    sasl::{FastMechanism, Hash, Mechanism, Method},
    sm,
    stanza::{Condition, StanzaError},
    stream::{
        BindRequest, Bound, LoggedIn, Login, Opening, Reply, Resumed, StreamCondition, StreamError,
    },
};
use waxwing_store::StoreError;

/// What is known of a client while it logs in.
#[derive(Debug, Default)]
pub(super) struct LoggingIn {
    /// What it has proven.
    proof: Option<Proof>,
    /// The tokens that it may have presented.
    presented: Presented,
    /// Which client of the account it is.
    client: Option<ClientId>,
}

impl Connection {
    /// Delays the answer to a failed login; the next effect is that answer.
    pub(super) fn auth_failed(&mut self, username: Option<&str>) {
        self.engine.metrics().login_failures.inc();
        let host = self.stream.host().unwrap_or_default();
        let account = username.and_then(|username| BareJid::from_parts(Some(username), host).ok());
        let delay = self
            .engine
            .gate()
            .failed(self.engine.env().now(), self.peer, account.as_ref());
        if delay > Duration::ZERO {
            let until = Instant::now() + delay;
            self.held_until = Some(until);
            self.timer = Some(Box::pin(tokio::time::sleep_until(until)));
        }
    }

    /// Answers which verifier a password is compared with.
    pub(super) async fn credentials(&mut self, username: &str, mechanism: Mechanism) {
        let host = self.stream.host().unwrap_or_default();
        let hash = mechanism.hash();
        let mut proof = Proof::begin(&self.engine);
        let reply = match self.engine.login(self.peer, username, host, hash).await {
            auth::Login::Verify { verifier, known } => {
                proof.password(hash, &verifier.stored_key);
                self.logging_in.proof = Some(proof);
                Reply::Credentials { verifier, known }
            }
            auth::Login::Refuse(failure) => Reply::Refused(failure),
        };
        self.stream.answer(reply);
    }

    /// Answers whether a verifier is missing that the client can bring (XEP-0480).
    pub(super) async fn upgrade(&mut self, account: BareJid, hash: Hash) {
        let reply = match self.engine.verifier_missing(account, hash).await {
            Ok(salt) => Reply::Upgrade(salt),
            Err(failure) => Reply::Refused(failure),
        };
        self.stream.answer(reply);
    }

    /// Answers which tokens a client may have.
    pub(super) async fn tokens(
        &mut self,
        username: &str,
        agent: Option<&str>,
        mechanism: FastMechanism,
    ) {
        let host = self.stream.host().unwrap_or_default();
        let who = (username, host);
        self.logging_in.proof = Some(Proof::begin(&self.engine));
        let login = self.engine.token_login(self.peer, who, agent, mechanism);
        let reply = match login.await {
            TokenLogin::Compare(candidates, presented) => {
                self.logging_in.presented = presented;
                Reply::FastTokens(candidates)
            }
            TokenLogin::Refuse(failure) => Reply::Refused(failure),
        };
        self.stream.answer(reply);
    }

    /// The client is who it says.
    pub(super) fn authenticated(&mut self, account: &BareJid, method: Method) {
        let metrics = self.engine.metrics();
        metrics.logins.inc();
        match method {
            Method::Password(Mechanism::Plain) => &metrics.logins_plain,
            Method::Password(mechanism) if mechanism.plus() => &metrics.logins_scram_plus,
            Method::Password(_) => &metrics.logins_scram,
            Method::Token(_) => &metrics.logins_token,
        }
        .inc();
        self.engine
            .gate()
            .succeeded(self.engine.env().now(), self.peer, account);
    }

    /// Gives a client that has authenticated by SASL2 what it asks for.
    pub(super) async fn log_in(&mut self, login: Login) {
        match self.open(login).await {
            Ok(logged_in) => self.stream.answer(Reply::LoggedIn(Box::new(logged_in))),
            Err(error) => {
                drop(self.session.take());
                self.close(error);
            }
        }
    }

    async fn open(&mut self, login: Login) -> Result<LoggedIn, StreamError> {
        let account = login.jid;
        let engine = self.engine.clone();
        let known = engine.client_id(&account, login.user_agent.id.as_deref());
        let presented = std::mem::take(&mut self.logging_in.presented);
        let spent = match (login.token_used, &known) {
            (None, _) => None,
            (Some(used), Some(id)) => {
                let spent = engine.token_spend(&account, id, &presented, used).await;
                let spent = spent.map_err(|error| self.void(&error))?;
                if let Some(proof) = &mut self.logging_in.proof {
                    proof.token(spent.verifier.clone());
                }
                Some(spent)
            }
            // No client, no tokens: it cannot have used one.
            (Some(_), None) => return Err(StreamCondition::NotAuthorized.into()),
        };
        if let Some(id) = &known {
            self.logging_in.client = engine.client_seen(&account, id, &login.user_agent).await;
        }
        let session = self.open_session(&account, login.resume, login.bind).await;
        let wanted = login.token_wanted;
        let token = match &self.logging_in.client {
            Some(id) => {
                engine
                    .token_give(&account, id, wanted, spent.as_ref())
                    .await
            }
            None => None,
        };
        if !self.proof_stands(&account).await {
            if let (Some(id), Some(_)) = (&self.logging_in.client, &token) {
                engine.token_take_back(&account, id).await;
            }
            return Err(StreamCondition::NotAuthorized.into());
        }
        Ok(LoggedIn { token, session })
    }

    /// Whether what the client has proven still stands, now that it has what it came for.
    async fn proof_stands(&self, account: &BareJid) -> bool {
        let client = self.logging_in.client.as_ref();
        match &self.logging_in.proof {
            Some(proof) => proof.stands(&self.engine, account, client).await,
            None => false,
        }
    }

    /// The token became void after it had been compared, or somebody else has just used it with
    /// the same count.
    fn void(&self, error: &StoreError) -> StreamError {
        if !matches!(
            error,
            StoreError::Conflict | StoreError::NoItem | StoreError::NoAccount
        ) {
            self.engine.metrics().store_failures.inc();
            tracing::error!(%error, "the use of a token could not be noted");
            return StreamCondition::InternalServerError.into();
        }
        StreamCondition::NotAuthorized.into()
    }

    /// Resumption first, and only if that fails a new session (XEP-0386 § 3.2).
    async fn open_session(
        &mut self,
        account: &BareJid,
        resume: Option<sm::Resume>,
        bind: Option<BindRequest>,
    ) -> Opening {
        let mut not_resumed = None;
        if let Some(resume) = resume {
            match self.resumed(account, resume).await {
                Ok(resumed) => return Opening::Resumed(resumed),
                Err(failed) => not_resumed = Some(failed),
            }
        }
        match bind {
            None => Opening::Unbound { not_resumed },
            Some(bind) => match self.bind_inline(account, bind).await {
                Ok(session) => Opening::Bound {
                    not_resumed,
                    session,
                },
                // The client binds by itself and learns then what is wrong.
                Err(_) => Opening::Unbound { not_resumed },
            },
        }
    }

    /// Resumes a session (XEP-0198 § 5), for `<resume/>` by itself and within SASL2 alike.
    pub(super) async fn resumed(
        &mut self,
        account: &BareJid,
        resume: sm::Resume,
    ) -> Result<Resumed, sm::Failed> {
        let (session, h) = Session::resume(&self.engine, account, &resume, self.made).await?;
        let jid = session.jid().clone();
        if !self.proof_stands(account).await {
            session
                .end(
                    crate::output::Output::default(),
                    crate::session::Ending::Over,
                )
                .await;
            return Err(sm::Failed {
                h: None,
                condition: Some(Condition::NotAllowed),
            });
        }
        push::is_back(&self.engine, account, &session.state.resource);
        self.session = Some(Box::new(session));
        self.timer = None;
        self.enabling = Some(Counting {
            from: resume.h,
            resumable: true,
        });
        Ok(Resumed { jid, h })
    }

    /// Binds a resource with all that is to be on from the first moment (XEP-0386 § 3.2).
    async fn bind_inline(
        &mut self,
        account: &BareJid,
        request: BindRequest,
    ) -> Result<Bound, StanzaError> {
        let client = self.logging_in.client.clone();
        let tag = request.tag.as_deref();
        let resource = self.engine.resource_for(account, client.as_ref(), tag);
        self.bind_session(account, Some(&resource)).await?;
        let Some(session) = &mut self.session else {
            return Err(Condition::InternalServerError.into());
        };
        let resource = session.state.resource.clone();
        if let Some(client) = &client {
            self.engine
                .end_older(account, client, resource.generation)
                .await;
        }
        resource.set(Setting::Carbons, request.carbons);
        if request.csi == csi::State::Inactive {
            session.client_state(request.csi, &mut self.output);
        }
        let sm = match request.sm {
            Some(enable) => Some(self.enable(enable).await),
            None => None,
        };
        // After the session is there to be delivered to, so that what is not in it comes by itself.
        let archive = mam::state(&self.engine, account).await;
        Ok(Bound {
            jid: resource.jid.clone(),
            sm,
            more: archive.unwrap_or_default(),
        })
    }

    /// Makes a session of the account for this connection.
    pub(super) async fn bind_session(
        &mut self,
        account: &BareJid,
        resource: Option<&str>,
    ) -> Result<FullJid, StanzaError> {
        let session = Session::bind(&self.engine, account, resource).await?;
        if let Some(client) = &self.logging_in.client {
            session.state.resource.set_client(client.clone());
        }
        let jid = session.jid().clone();
        if !self.proof_stands(account).await {
            return Err(Condition::NotAllowed.into());
        }
        push::is_back(&self.engine, account, &session.state.resource);
        self.session = Some(Box::new(session));
        self.timer = None;
        Ok(jid)
    }

    /// Acknowledgements, and resumption if it is wanted and can be had (XEP-0198 § 3).
    pub(super) async fn enable(&mut self, enable: sm::Enable) -> Result<sm::Enabled, Condition> {
        let Some(session) = &mut self.session else {
            return Err(Condition::UnexpectedRequest);
        };
        let id = session.enable(enable.resume).await;
        let resumable = id.is_some();
        self.enabling = Some(Counting { from: 0, resumable });
        Ok(sm::Enabled {
            id,
            resume: resumable,
            ..sm::Enabled::default()
        })
    }
}
