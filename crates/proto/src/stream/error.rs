//! Stream errors (RFC 6120 § 4.9).

use crate::ns;
use crate::xml::{Writer, XmlError};
use bytes::Bytes;

/// Why a stream ends. Every stream error is fatal (RFC 6120 § 4.9.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamError {
    /// The condition.
    pub condition: StreamCondition,
    /// Human-readable text, English.
    pub text: Option<&'static str>,
    /// Application-specific condition: name and namespace (RFC 6120 § 4.9.4).
    pub app: Option<(&'static str, &'static str)>,
    /// What the application-specific condition says in its attributes `h` and `send-count`
    /// (XEP-0198 § 6).
    pub counts: Option<(u32, u32)>,
}

impl StreamError {
    /// The condition alone.
    pub const fn new(condition: StreamCondition) -> Self {
        Self {
            condition,
            text: None,
            app: None,
            counts: None,
        }
    }
    /// Adds a text.
    #[must_use]
    pub const fn text(mut self, text: &'static str) -> Self {
        self.text = Some(text);
        self
    }
    /// Adds an application-specific condition.
    #[must_use]
    pub const fn app(mut self, name: &'static str, ns: &'static str) -> Self {
        self.app = Some((name, ns));
        self
    }
    /// Adds the counts of stream management to the application-specific condition.
    #[must_use]
    pub(crate) const fn counts(mut self, h: u32, send_count: u32) -> Self {
        self.counts = Some((h, send_count));
        self
    }
    /// The `<stream:error/>` element, for a stream whose header declares the prefix `stream`.
    pub fn element(&self) -> Bytes {
        let mut xml = Writer::new(ns::CLIENT);
        xml.start_ns(self.condition.name(), ns::STREAMS).end();
        if let Some(text) = self.text {
            xml.start_ns("text", ns::STREAMS)
                .attr("xml:lang", "en")
                .text(text)
                .end();
        }
        if let Some((name, ns)) = self.app {
            xml.start_ns(name, ns);
            if let Some((h, send_count)) = self.counts {
                xml.attr("h", &h.to_string());
                xml.attr("send-count", &send_count.to_string());
            }
            xml.end();
        }
        let inner = xml.finish();
        [b"<stream:error>", &*inner, b"</stream:error>"]
            .concat()
            .into()
    }
}

impl From<StreamCondition> for StreamError {
    fn from(condition: StreamCondition) -> Self {
        Self::new(condition)
    }
}

impl From<XmlError> for StreamError {
    fn from(error: XmlError) -> Self {
        match error {
            XmlError::NotWellFormed(text) => Self::new(StreamCondition::NotWellFormed).text(text),
            XmlError::Restricted(text) => Self::new(StreamCondition::RestrictedXml).text(text),
            XmlError::BadFormat(text) => Self::new(StreamCondition::BadFormat).text(text),
            XmlError::Encoding => Self::new(StreamCondition::UnsupportedEncoding),
            XmlError::Limit(text) => Self::new(StreamCondition::PolicyViolation).text(text),
        }
    }
}

macro_rules! conditions {
    ($($variant:ident $name:literal,)*) => {
        /// Defined conditions (RFC 6120 § 4.9.3).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[expect(
            missing_docs,
            reason = "each variant is the condition of RFC 6120 § 4.9.3 it is named for"
        )]
        pub enum StreamCondition {
            $($variant,)*
        }

        impl StreamCondition {
            /// Every condition, in the order of the RFC.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The element name on the wire.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

conditions! {
    BadFormat "bad-format",
    BadNamespacePrefix "bad-namespace-prefix",
    Conflict "conflict",
    ConnectionTimeout "connection-timeout",
    HostGone "host-gone",
    HostUnknown "host-unknown",
    ImproperAddressing "improper-addressing",
    InternalServerError "internal-server-error",
    InvalidFrom "invalid-from",
    InvalidNamespace "invalid-namespace",
    InvalidXml "invalid-xml",
    NotAuthorized "not-authorized",
    NotWellFormed "not-well-formed",
    PolicyViolation "policy-violation",
    RemoteConnectionFailed "remote-connection-failed",
    Reset "reset",
    ResourceConstraint "resource-constraint",
    RestrictedXml "restricted-xml",
    SeeOtherHost "see-other-host",
    SystemShutdown "system-shutdown",
    UndefinedCondition "undefined-condition",
    UnsupportedEncoding "unsupported-encoding",
    UnsupportedFeature "unsupported-feature",
    UnsupportedStanzaType "unsupported-stanza-type",
    UnsupportedVersion "unsupported-version",
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Limits, Tree};

    #[test]
    fn every_condition_is_an_element_of_its_own() {
        assert_eq!(StreamCondition::ALL.len(), 25);
        for condition in StreamCondition::ALL {
            let name = condition.name();
            let element = StreamError::new(*condition).element();
            let expected = format!(
                "<stream:error><{name} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
            );
            assert_eq!(element, expected);
            // The name on the wire is the name of the variant.
            assert_eq!(
                name.replace('-', ""),
                format!("{condition:?}").to_lowercase()
            );
        }
    }

    #[test]
    fn text_and_application_condition() {
        let error = StreamError::new(StreamCondition::PolicyViolation)
            .text("a < b")
            .app("too-many", "urn:example:app");
        let xml = String::from_utf8(error.element().to_vec()).expect("UTF-8");
        let xml = xml.replace("<stream:error", "<stream:error xmlns:stream='urn:s'");
        let tree = Tree::parse(xml.into(), ns::CLIENT, &Limits::C2S).expect("well-formed");
        let children: Vec<_> = tree.root().children().collect();
        assert_eq!(children.len(), 3);
        assert!(children[0].is("policy-violation", ns::STREAMS));
        assert!(children[1].is("text", ns::STREAMS));
        assert_eq!(children[1].text(), "a < b");
        assert!(children[2].is("too-many", "urn:example:app"));
    }
}
