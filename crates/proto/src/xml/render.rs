//! Writes elements anew, with no prefix but `xml` taken from their surroundings.

use super::tree::{Element, Node};
use super::{Writer, unescape_text};
use crate::ns;
use bytes::Bytes;

/// The element, to stand where `default_ns` is in scope.
pub(super) fn element(element: Element<'_>, default_ns: &str) -> Bytes {
    let mut writer = Writer::in_scope(default_ns);
    start(&mut writer, element, element.ns());
    content_of(&mut writer, element, None, |_| true);
    writer.finish()
}

/// What is inside the element, to stand where `default_ns` is in scope.
pub(super) fn content(element: Element<'_>, default_ns: &str) -> Bytes {
    let mut writer = Writer::in_scope(default_ns);
    content_of(&mut writer, element, None, |_| true);
    writer.finish()
}

/// What is inside a stanza, to stand inside a stanza of any stream whose content namespace is the
/// default: the stanza's own namespace is left to be inherited, and children that claim the
/// content namespace of the other kind of stream are left out, because there they would become
/// part of the stanza itself. Children for which `keep` is false are left out too.
pub(crate) fn stanza_content(root: Element<'_>, keep: impl Fn(Element<'_>) -> bool) -> Bytes {
    let mut writer = Writer::in_scope(ns::CLIENT);
    content_of(&mut writer, root, Some(root.ns()), keep);
    writer.finish()
}

/// The stanza, whatever its own namespace is, to stand where `jabber:client` is in scope; its content
/// as by [`stanza_content`].
pub(crate) fn stanza(root: Element<'_>) -> Bytes {
    let mut writer = Writer::in_scope(ns::CLIENT);
    start(&mut writer, root, ns::CLIENT);
    content_of(&mut writer, root, Some(root.ns()), |_| true);
    writer.finish()
}

/// Writes the nodes inside `root` with a stack of our own. `content_ns` is the namespace that is
/// to be inherited, if any.
fn content_of(
    writer: &mut Writer,
    root: Element<'_>,
    content_ns: Option<&str>,
    keep: impl Fn(Element<'_>) -> bool,
) {
    // Per open element: what is left of it, and whether it is inside nothing but the stanza's
    // own namespace.
    let mut open = vec![(root.nodes(), content_ns)];
    while let Some((nodes, content_ns)) = open.last_mut() {
        let content_ns = *content_ns;
        match nodes.next() {
            None => {
                open.pop();
                if !open.is_empty() {
                    writer.end();
                }
            }
            Some(Node::Text(raw)) => {
                writer.text(&unescape_text(raw));
            }
            Some(Node::Element(child)) => {
                let outermost = open.len() == 1;
                if outermost && !keep(child) {
                    continue;
                }
                let name = child.ns();
                let inherits = content_ns.filter(|&content| content == name);
                if inherits.is_some() {
                    let scope = writer.scope().to_owned();
                    start(writer, child, &scope);
                } else if content_ns.is_some() && matches!(name, ns::CLIENT | ns::SERVER) {
                    continue;
                } else {
                    start(writer, child, name);
                }
                open.push((child.nodes(), inherits));
            }
        }
    }
}

/// Writes the start tag, the element being in `ns`.
fn start(writer: &mut Writer, element: Element<'_>, ns: &str) {
    writer.start_ns(element.name(), ns);
    for (number, attribute) in element.attrs().enumerate() {
        match attribute.ns {
            "" => writer.attr(attribute.name, &attribute.value),
            ns::XML => writer.attr(&format!("xml:{}", attribute.name), &attribute.value),
            other => writer
                .attr(&format!("xmlns:a{number}"), other)
                .attr(&format!("a{number}:{}", attribute.name), &attribute.value),
        };
    }
}
