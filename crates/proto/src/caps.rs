//! Service discovery information (XEP-0030) and its verification string (XEP-0115 § 5).
//!
//! The string joins texts with `<`, so a text that contains one can pose as several (XEP-0115
//! § 9.3 knows of this). Such information is therefore never taken as verified here; no honest
//! software has any. What stays possible by the design of XEP-0115 is to pass features off as
//! form fields or the other way round, so do not decide about security by cached capabilities.

use crate::form::{FieldKind, Form};
use crate::ns;
use crate::xml::{Element, Writer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

/// What an entity is and can do: the content of a disco#info result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiscoInfo {
    /// What it is.
    pub identities: Vec<Identity>,
    /// What it can do: namespaces, chiefly.
    pub features: Vec<String>,
    /// More about it (XEP-0128).
    pub forms: Vec<InfoForm>,
}

/// What an entity is. The order of two is that of XEP-0115 § 5.1.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// Category, such as `client`.
    pub category: String,
    /// Type, such as `phone`.
    pub kind: String,
    /// Language of the name; empty for none.
    pub lang: String,
    /// Name for a human; empty for none.
    pub name: String,
}

/// Extended information (XEP-0128).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InfoForm {
    /// What the fields mean.
    pub form_type: String,
    /// Name and values of each field but `FORM_TYPE`.
    pub fields: Vec<(String, Vec<String>)>,
}

/// The information is ill-formed by XEP-0115 § 5.4, or not safe to verify; see the [module](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IllFormed;

/// The hash functions for verification strings, by their names in the IANA registry. MD2 and MD5,
/// which are there as well, verify nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `sha-1`, the one that all implementations have (XEP-0115 § 9.1).
    Sha1,
    /// `sha-224`.
    Sha224,
    /// `sha-256`.
    Sha256,
    /// `sha-384`.
    Sha384,
    /// `sha-512`.
    Sha512,
}

impl Algorithm {
    const ALL: [Self; 5] = [
        Self::Sha1,
        Self::Sha224,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
    ];

    /// The name, as in the attribute `hash`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha-1",
            Self::Sha224 => "sha-224",
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    /// The function of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    fn digest(self, text: &str) -> String {
        match self {
            Self::Sha1 => STANDARD.encode(Sha1::digest(text)),
            Self::Sha224 => STANDARD.encode(Sha224::digest(text)),
            Self::Sha256 => STANDARD.encode(Sha256::digest(text)),
            Self::Sha384 => STANDARD.encode(Sha384::digest(text)),
            Self::Sha512 => STANDARD.encode(Sha512::digest(text)),
        }
    }
}

impl DiscoInfo {
    /// The verification string (XEP-0115 § 5.1), the same for any order of the parts.
    pub fn ver(&self, algorithm: Algorithm) -> String {
        algorithm.digest(&self.verification_input())
    }

    /// Whether the information is what `ver` stands for (XEP-0115 § 5.4); only then may it be
    /// taken for all entities that show this `ver`.
    pub fn verify(&self, algorithm: Algorithm, ver: &str) -> Result<bool, IllFormed> {
        let mut identities: Vec<_> = self.identities.iter().collect();
        let mut features: Vec<_> = self.features.iter().collect();
        let mut forms: Vec<_> = self.forms.iter().map(|form| &form.form_type).collect();
        let unique = all_differ(&mut identities)
            && all_differ(&mut features)
            && all_differ(&mut forms)
            && self.forms.iter().all(InfoForm::names_differ);
        if !unique || self.texts().any(|text| text.contains('<')) {
            return Err(IllFormed);
        }
        Ok(self.ver(algorithm) == ver)
    }

    /// Reads a disco#info result. Forms without a hidden `FORM_TYPE` are ignored; a `FORM_TYPE`
    /// with several values is ill-formed (XEP-0115 § 5.4), as is a malformed form.
    pub fn read(query: Element<'_>) -> Result<Self, IllFormed> {
        let mut info = Self::default();
        for child in query.children() {
            let attr = |name| child.attr(name).unwrap_or_default().into_owned();
            if child.is("identity", ns::DISCO_INFO) {
                info.identities.push(Identity {
                    category: attr("category"),
                    kind: attr("type"),
                    lang: child
                        .attr_ns("lang", ns::XML)
                        .unwrap_or_default()
                        .into_owned(),
                    name: attr("name"),
                });
            } else if child.is("feature", ns::DISCO_INFO) {
                info.features.push(attr("var"));
            } else if child.is("x", ns::DATA_FORMS) {
                info.forms.extend(InfoForm::read(child)?);
            }
        }
        Ok(info)
    }

    /// Writes the children of a disco#info result into the open `<query/>`, in the order given.
    pub fn write(&self, writer: &mut Writer) {
        for identity in &self.identities {
            let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            writer.start_ns("identity", ns::DISCO_INFO);
            writer
                .attr("category", &identity.category)
                .attr("type", &identity.kind);
            writer.attr_opt("xml:lang", given(&identity.lang).as_deref());
            writer
                .attr_opt("name", given(&identity.name).as_deref())
                .end();
        }
        for feature in &self.features {
            writer
                .start_ns("feature", ns::DISCO_INFO)
                .attr("var", feature)
                .end();
        }
        for form in &self.forms {
            form.write(writer);
        }
    }

    /// The string that is hashed.
    fn verification_input(&self) -> String {
        let mut input = String::new();
        let mut append = |parts: &[&str]| {
            for part in parts {
                input.push_str(part);
            }
            input.push('<');
        };
        let mut identities: Vec<_> = self.identities.iter().collect();
        identities.sort_unstable();
        for id in identities {
            append(&[&id.category, "/", &id.kind, "/", &id.lang, "/", &id.name]);
        }
        let mut features: Vec<_> = self.features.iter().collect();
        features.sort_unstable();
        for feature in features {
            append(&[feature]);
        }
        let mut forms: Vec<_> = self.forms.iter().collect();
        forms.sort_by_key(|form| &form.form_type);
        for form in forms {
            append(&[&form.form_type]);
            let mut fields: Vec<_> = form.fields.iter().collect();
            fields.sort_by_key(|(var, _)| var);
            for (var, values) in fields {
                append(&[var]);
                let mut values: Vec<_> = values.iter().collect();
                values.sort_unstable();
                for value in values {
                    append(&[value]);
                }
            }
        }
        input
    }

    fn texts(&self) -> impl Iterator<Item = &String> {
        let identities = self.identities.iter();
        let identities = identities.flat_map(|id| [&id.category, &id.kind, &id.lang, &id.name]);
        let forms = self.forms.iter().flat_map(|form| {
            let fields = form.fields.iter();
            let fields = fields.flat_map(|(var, values)| std::iter::once(var).chain(values));
            std::iter::once(&form.form_type).chain(fields)
        });
        identities.chain(&self.features).chain(forms)
    }
}

impl InfoForm {
    /// `None` for a form that XEP-0115 § 5.4 ignores.
    fn read(x: Element<'_>) -> Result<Option<Self>, IllFormed> {
        let form = Form::read(x).map_err(|_| IllFormed)?;
        let Some(marker) = form.fields.iter().find(|field| field.var == "FORM_TYPE") else {
            return Ok(None);
        };
        if marker.kind != Some(FieldKind::Hidden) {
            return Ok(None);
        }
        let mut values = marker.values.iter();
        let Some(form_type) = values.next().cloned() else {
            return Ok(None);
        };
        if values.any(|value| *value != form_type) {
            return Err(IllFormed);
        }
        let fields = form
            .fields
            .into_iter()
            .filter(|field| field.var != "FORM_TYPE");
        let fields = fields.map(|field| (field.var, field.values)).collect();
        Ok(Some(Self { form_type, fields }))
    }

    fn write(&self, writer: &mut Writer) {
        writer.start_ns("x", ns::DATA_FORMS).attr("type", "result");
        writer
            .start("field")
            .attr("var", "FORM_TYPE")
            .attr("type", "hidden");
        writer.leaf("value", &self.form_type).end();
        for (var, values) in &self.fields {
            writer.start("field").attr("var", var);
            for value in values {
                writer.leaf("value", value);
            }
            writer.end();
        }
        writer.end();
    }

    fn names_differ(&self) -> bool {
        let mut names: Vec<_> = self.fields.iter().map(|(var, _)| var).collect();
        all_differ(&mut names)
    }
}

fn all_differ<T: Ord>(items: &mut [T]) -> bool {
    items.sort_unstable();
    items.is_sorted_by(|left, right| left < right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Limits, Tree};

    /// XEP-0115 § 5.2.
    const EXODUS: &str = "<query xmlns='http://jabber.org/protocol/disco#info'>\
        <identity category='client' name='Exodus 0.9.1' type='pc'/>\
        <feature var='http://jabber.org/protocol/muc'/>\
        <feature var='http://jabber.org/protocol/caps'/>\
        <feature var='http://jabber.org/protocol/disco#items'/>\
        <feature var='http://jabber.org/protocol/disco#info'/></query>";

    /// XEP-0115 § 5.3, its parts in another order.
    const PSI: &str = "<query xmlns='http://jabber.org/protocol/disco#info'>\
        <x xmlns='jabber:x:data' type='result'>\
        <field var='software_version'><value>0.11</value></field>\
        <field var='FORM_TYPE' type='hidden'>\
        <value>urn:xmpp:dataforms:softwareinfo</value></field>\
        <field var='ip_version' type='text-multi'><value>ipv6</value><value>ipv4</value></field>\
        <field var='os'><value>Mac</value></field>\
        <field var='os_version'><value>10.5.1</value></field>\
        <field var='software'><value>Psi</value></field></x>\
        <identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>\
        <identity xml:lang='el' category='client' name='Ψ 0.11' type='pc'/>\
        <feature var='http://jabber.org/protocol/caps'/>\
        <feature var='http://jabber.org/protocol/disco#info'/>\
        <feature var='http://jabber.org/protocol/disco#items'/>\
        <feature var='http://jabber.org/protocol/muc'/></query>";

    fn read(query: &str) -> Result<DiscoInfo, IllFormed> {
        let query = query.to_owned();
        let tree = Tree::parse(query.into(), ns::CLIENT, &Limits::C2S).expect("XML");
        DiscoInfo::read(tree.root())
    }

    #[test]
    fn examples_of_the_xep() {
        for (query, ver) in [
            (EXODUS, "QgayPKawpkPSDYmwT/WM94uAlu0="),
            (PSI, "q07IKJEyjvHSyhy//CH0CxmKi8w="),
        ] {
            let info = read(query).expect("well-formed");
            assert_eq!(info.ver(Algorithm::Sha1), ver);
            assert_eq!(info.verify(Algorithm::Sha1, ver), Ok(true));
            assert_eq!(info.verify(Algorithm::Sha256, ver), Ok(false));
            assert_eq!(info.verify(Algorithm::Sha1, "x"), Ok(false));
        }
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let info = read(PSI).expect("well-formed");
        let mut writer = Writer::new(ns::CLIENT);
        writer.start_ns("query", ns::DISCO_INFO);
        info.write(&mut writer);
        let written = writer.finish();
        assert_eq!(
            read(std::str::from_utf8(&written).expect("UTF-8")),
            Ok(info)
        );
    }

    /// XEP-0115 § 5.4, steps 3.3 to 3.6.
    #[test]
    fn ill_formed_information() {
        let form = |fields: &str| {
            let x = format!("<x xmlns='jabber:x:data' type='result'>{fields}</x></query>");
            PSI.replace("</query>", &x)
        };
        let ignored = [
            form("<field var='FORM_TYPE'><value>a</value></field>"),
            form("<field var='FORM_TYPE' type='hidden'/>"),
            form("<field var='a'><value>a</value></field>"),
        ];
        for query in ignored {
            let info = read(&query).expect("well-formed");
            assert_eq!(info.forms.len(), 1, "{query}");
            assert_eq!(
                info.verify(Algorithm::Sha1, "q07IKJEyjvHSyhy//CH0CxmKi8w="),
                Ok(true)
            );
        }
        let hidden = "<field var='FORM_TYPE' type='hidden'>";
        let twice = form(&format!("{hidden}<value>a</value><value>b</value></field>"));
        assert_eq!(read(&twice), Err(IllFormed));
        let same = form(&format!("{hidden}<value>a</value><value>a</value></field>"));
        assert!(read(&same).is_ok());
        for query in [
            form(&format!(
                "{hidden}<value>urn:xmpp:dataforms:softwareinfo</value></field>"
            )),
            PSI.replace(
                "</query>",
                "<feature var='http://jabber.org/protocol/muc'/></query>",
            ),
            PSI.replace("Ψ 0.11", "Psi 0.11").replace("'el'", "'en'"),
            EXODUS.replace("Exodus 0.9.1", "Exodus&lt;http://jabber.org/protocol/muc"),
            PSI.replace("10.5.1", "10&lt;software"),
        ] {
            let info = read(&query).expect("readable");
            let ver = info.ver(Algorithm::Sha1);
            assert_eq!(
                info.verify(Algorithm::Sha1, &ver),
                Err(IllFormed),
                "{query}"
            );
        }
    }

    #[test]
    fn algorithm_names() {
        assert_eq!(
            Algorithm::ALL.map(|algorithm| Algorithm::from_name(algorithm.name())),
            [
                Some(Algorithm::Sha1),
                Some(Algorithm::Sha224),
                Some(Algorithm::Sha256),
                Some(Algorithm::Sha384),
                Some(Algorithm::Sha512),
            ]
        );
        assert_eq!(Algorithm::from_name("md5"), None);
        assert_eq!(Algorithm::from_name("SHA-1"), None);
    }
}
