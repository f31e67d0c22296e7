//! What a document means, as a list of lines: by our parser and by `rxml`.

use rxml::{Event, Parse, Parser, error::EndOrError};
use waxwing_proto::xml::{Element, Node, unescape_text};

/// What our index says of an element.
pub(crate) fn ours(element: Element<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    // pairs of what is left of an element
    let mut open = vec![element.nodes()];
    start(&mut lines, element);
    while let Some(nodes) = open.last_mut() {
        match nodes.next() {
            None => {
                open.pop();
                lines.push("end".to_owned());
            }
            Some(Node::Text(raw)) => text(&mut lines, &unescape_text(raw)),
            Some(Node::Element(child)) => {
                start(&mut lines, child);
                open.push(child.nodes());
            }
        }
    }
    lines
}

/// The line of a start tag.
pub(crate) fn start(lines: &mut Vec<String>, element: Element<'_>) {
    let attributes = element.attrs();
    let attributes = attributes.map(|attribute| {
        format!(
            "{{{}}}{}={:?}",
            attribute.ns, attribute.name, attribute.value
        )
    });
    let (ns, name) = (element.ns().to_owned(), element.name().to_owned());
    push_start(lines, &ns, &name, attributes.collect());
}

/// What `rxml` says of a document: the lines up to its end or its first error, and whether it was
/// an error. Text is joined.
pub(crate) fn theirs(document: &[u8], whole: bool) -> (Vec<String>, Result<(), rxml::Error>) {
    let mut parser = Parser::new();
    let mut rest = document;
    let mut lines = Vec::new();
    loop {
        match parser.parse(&mut rest, whole) {
            Ok(None) | Err(EndOrError::NeedMoreData) => return (lines, Ok(())),
            Err(EndOrError::Error(error)) => return (lines, Err(error)),
            Ok(Some(Event::XmlDeclaration(..))) => {}
            Ok(Some(Event::StartElement(_, (ns, name), attributes))) => {
                let attributes = attributes
                    .iter()
                    .map(|((ns, name), value)| format!("{{{}}}{name}={value:?}", ns.as_str()));
                push_start(&mut lines, ns.as_str(), &name, attributes.collect());
            }
            Ok(Some(Event::EndElement(_))) => lines.push("end".to_owned()),
            Ok(Some(Event::Text(_, run))) => text(&mut lines, &run),
        }
    }
}

fn push_start(lines: &mut Vec<String>, ns: &str, name: &str, mut attributes: Vec<String>) {
    attributes.sort();
    lines.push(format!("start {{{ns}}}{name} {}", attributes.join(" ")));
}

fn text(lines: &mut Vec<String>, run: &str) {
    match lines.last_mut() {
        _ if run.is_empty() => {}
        Some(last) if last.starts_with("text ") => last.push_str(run),
        _ => lines.push(format!("text {run}")),
    }
}
