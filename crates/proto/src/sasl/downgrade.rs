//! SCRAM's protection against a downgrade (XEP-0474, version 0.5.0): the server signs what it has
//! advertised.

use super::{BindingType, ChannelBindings, Hash, Mechanism, base64};

/// The attribute `h`: the hash of the mechanisms, and of the channel-binding types if these were
/// advertised (§ 5.1). Mechanisms for tokens (XEP-0484) are advertised elsewhere and do not count.
pub(super) fn protection(
    hash: Hash,
    mechanisms: &[Mechanism],
    advertised: Option<&ChannelBindings>,
) -> String {
    let mechanisms = mechanisms.iter().map(|mechanism| mechanism.name());
    let bindings = advertised.map(|bindings| bindings.types().map(BindingType::name).collect());
    of_names(hash, mechanisms.collect(), bindings)
}

/// The same of names, as the client has read them.
pub(super) fn of_names(hash: Hash, mechanisms: Vec<&str>, bindings: Option<Vec<&str>>) -> String {
    let mut text = joined(mechanisms);
    if let Some(bindings) = bindings {
        text.push('\u{1f}');
        text.push_str(&joined(bindings));
    }
    base64::encode(&hash.digest(text.as_bytes()))
}

/// Sorted by octets.
fn joined(mut names: Vec<&str>) -> String {
    names.sort_unstable();
    names.join("\u{1e}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of § 5.3.
    #[test]
    fn example() {
        let bindings = ChannelBindings {
            exporter: Some(vec![1]),
            server_end_point: Some(vec![2]),
        };
        let mechanisms = [Mechanism::ScramSha1, Mechanism::ScramSha1Plus];
        assert_eq!(
            protection(Hash::Sha1, &mechanisms, Some(&bindings)),
            "G6k/rBLDqgOhRRaCuuatSDFkJ08="
        );
        assert_ne!(
            protection(Hash::Sha1, &mechanisms, None),
            protection(Hash::Sha1, &mechanisms, Some(&ChannelBindings::default()))
        );
    }
}
