//! The avatar in the presence that is remembered of a resource.

use super::Resource;
use waxwing_proto::stanza::Sealed;

impl Resource {
    /// Remembers whether the client has said itself that it shows no avatar (XEP-0153 § 4.1).
    pub(crate) fn set_faceless(&self, faceless: bool) {
        self.shown.lock().faceless = faceless;
    }
    /// Changes the available presence that is remembered, and gives the new one. Not that of a
    /// client that shows no avatar.
    pub(crate) fn show_avatar(
        &self,
        change: impl FnOnce(&Sealed) -> Option<Sealed>,
    ) -> Option<Sealed> {
        let mut shown = self.shown.lock();
        if shown.faceless {
            return None;
        }
        let changed = change(shown.presence.as_ref()?)?;
        shown.presence = Some(changed.clone());
        self.changed();
        Some(changed)
    }
}
