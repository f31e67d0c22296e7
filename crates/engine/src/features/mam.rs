//! Message archives ([XEP-0313](https://xmpp.org/extensions/xep-0313.html), 1.1.3).

pub mod rules;
