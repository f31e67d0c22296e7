//! What people want in their archives (XEP-0441).

use crate::{
    error,
    feature::{IqCx, Reply},
};
use waxwing_proto::{
    Jid, ns,
    stanza::{Condition, StanzaError},
    xml::{Element, Writer},
};
use waxwing_store::{ArchiveDefault, ArchivePreferences, BoxFuture};

/// § 2.1
pub(super) fn get(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move { current(&cx).await.map(|now| reply(&now)) })
}

/// § 2.1: answers with what is kept, which has each address once.
pub(super) fn set(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let mut wanted = read(cx.payload)?;
        // How long things are kept is not said here.
        wanted.keep = current(&cx).await?.keep;
        let rules_max = cx.engine.settings().limits.archive_rules_max;
        let done = cx
            .engine
            .store()
            .archive_set_preferences(cx.to.clone(), wanted, rules_max)
            .await;
        done.map_err(|failure| error::from_store(cx.engine, &failure))?;
        cx.engine.registry().changed(cx.to);
        current(&cx).await.map(|now| reply(&now))
    })
}

async fn current(cx: &IqCx<'_>) -> Result<ArchivePreferences, StanzaError> {
    let kept = cx.engine.store().archive_preferences(cx.to.clone()).await;
    let kept = kept.map_err(|failure| error::from_store(cx.engine, &failure))?;
    Ok(kept.unwrap_or_default())
}

const DEFAULTS: [(&str, ArchiveDefault); 3] = [
    ("always", ArchiveDefault::Always),
    ("never", ArchiveDefault::Never),
    ("roster", ArchiveDefault::Roster),
];

/// Reads `<prefs/>`; a list that is missing is empty (§ 2.1.2, § 2.1.3).
fn read(prefs: Element<'_>) -> Result<ArchivePreferences, StanzaError> {
    let word = prefs.attr("default").unwrap_or_default();
    let default = DEFAULTS.iter().find(|(name, _)| *name == word);
    let (_, default) = default.ok_or(Condition::BadRequest)?;
    Ok(ArchivePreferences {
        default: *default,
        always: list(prefs, "always")?,
        never: list(prefs, "never")?,
        ..ArchivePreferences::default()
    })
}

fn list(prefs: Element<'_>, name: &str) -> Result<Vec<Jid>, StanzaError> {
    let list = prefs.child(name, ns::MAM);
    let entries = list.iter().flat_map(Element::children);
    entries
        .filter(|entry| entry.is("jid", ns::MAM))
        .map(|entry| Ok(Jid::parse(entry.text().trim()).map_err(|_| Condition::JidMalformed)?))
        .collect()
}

fn reply(preferences: &ArchivePreferences) -> Reply {
    let default = DEFAULTS
        .iter()
        .find(|(_, default)| *default == preferences.default);
    let mut xml = Writer::new(ns::CLIENT);
    xml.start_ns("prefs", ns::MAM)
        .attr_opt("default", default.map(|(name, _)| *name));
    for (name, list) in [
        ("always", &preferences.always),
        ("never", &preferences.never),
    ] {
        xml.start(name);
        for jid in list {
            xml.leaf("jid", jid.as_str());
        }
        xml.end();
    }
    xml.end();
    Reply::Payload(xml.finish())
}

#[cfg(test)]
mod tests {
    use super::{read, reply};
    use crate::{feature::Reply, features::fixtures::draft};

    fn echo(attributes: &str, lists: &str) -> String {
        let prefs = format!("<prefs xmlns='urn:xmpp:mam:2' {attributes}>{lists}</prefs>");
        let draft = draft(&format!("<iq>{prefs}</iq>"));
        match read(draft.root().children().next().unwrap()) {
            Ok(preferences) => match reply(&preferences) {
                Reply::Payload(xml) => String::from_utf8(xml.to_vec()).unwrap(),
                _ => String::new(),
            },
            Err(error) => error.condition.name().to_owned(),
        }
    }

    #[test]
    fn what_is_read_is_written() {
        for default in ["always", "never", "roster"] {
            assert_eq!(
                echo(&format!("default='{default}'"), ""),
                format!(
                    "<prefs xmlns='urn:xmpp:mam:2' default='{default}'><always/><never/></prefs>"
                )
            );
        }
        let lists = "<always><jid>a@b.example</jid><jid>b.example/x</jid></always><never/>";
        assert_eq!(
            echo("default='never'", lists),
            format!("<prefs xmlns='urn:xmpp:mam:2' default='never'>{lists}</prefs>")
        );
        for (attributes, lists, condition) in [
            ("", "", "bad-request"),
            ("default='sometimes'", "", "bad-request"),
            (
                "default='always'",
                "<never><jid>@</jid></never>",
                "jid-malformed",
            ),
            ("default='always'", "<never><jid/></never>", "jid-malformed"),
        ] {
            assert_eq!(echo(attributes, lists), condition, "{attributes} {lists}");
        }
    }
}
