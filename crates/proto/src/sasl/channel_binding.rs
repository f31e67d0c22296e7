//! Channel binding: which TLS connection the authentication belongs to.

/// The channel-binding types we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BindingType {
    /// `tls-exporter` (RFC 9266), for TLS 1.3.
    TlsExporter,
    /// `tls-server-end-point` (RFC 5929 § 4): the hash of the server's certificate.
    TlsServerEndPoint,
}

impl BindingType {
    /// The name registered with IANA, as in XEP-0440.
    pub fn name(self) -> &'static str {
        match self {
            Self::TlsExporter => "tls-exporter",
            Self::TlsServerEndPoint => "tls-server-end-point",
        }
    }
}

/// What a connection can be bound to. Empty without TLS.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ChannelBindings {
    /// 32 octets exported with the label `EXPORTER-Channel-Binding` (RFC 9266 § 2).
    pub exporter: Option<Vec<u8>>,
    /// The hash of our certificate (RFC 5929 § 4.1 says which hash).
    pub server_end_point: Option<Vec<u8>>,
}

impl ChannelBindings {
    /// The types there are, to be advertised (XEP-0440), the stronger first.
    pub fn types(&self) -> impl Iterator<Item = BindingType> + '_ {
        [BindingType::TlsExporter, BindingType::TlsServerEndPoint]
            .into_iter()
            .filter(|kind| self.data(*kind).is_some())
    }

    /// Whether there is any, without which no -PLUS mechanism may be offered.
    pub fn is_empty(&self) -> bool {
        self.types().next().is_none()
    }

    /// The data of a type.
    pub fn data(&self, kind: BindingType) -> Option<&[u8]> {
        match kind {
            BindingType::TlsExporter => self.exporter.as_deref(),
            BindingType::TlsServerEndPoint => self.server_end_point.as_deref(),
        }
    }
}

impl std::fmt::Debug for ChannelBindings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.types()).finish()
    }
}
