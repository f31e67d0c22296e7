//! Data forms (XEP-0004): reading what was submitted, writing forms and results.

use crate::ns;
use crate::xml::{self, Element, Writer};

/// What a form is for (XEP-0004 § 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormKind {
    /// To be filled in.
    Form,
    /// Filled in.
    Submit,
    /// Not going to be filled in.
    Cancel,
    /// Data.
    Result,
}

impl FormKind {
    fn name(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Submit => "submit",
            Self::Cancel => "cancel",
            Self::Result => "result",
        }
    }
}

/// The type of a field (XEP-0004 § 3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FieldKind {
    /// `true` or `false`.
    Boolean,
    /// Text between the fields.
    Fixed,
    /// Not shown.
    Hidden,
    /// Several addresses.
    JidMulti,
    /// One address.
    JidSingle,
    /// Several of the options.
    ListMulti,
    /// One of the options.
    ListSingle,
    /// Lines of text.
    TextMulti,
    /// A password or the like.
    TextPrivate,
    /// A line of text.
    #[default]
    TextSingle,
}

impl FieldKind {
    const ALL: [Self; 10] = [
        Self::Boolean,
        Self::Fixed,
        Self::Hidden,
        Self::JidMulti,
        Self::JidSingle,
        Self::ListMulti,
        Self::ListSingle,
        Self::TextMulti,
        Self::TextPrivate,
        Self::TextSingle,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Fixed => "fixed",
            Self::Hidden => "hidden",
            Self::JidMulti => "jid-multi",
            Self::JidSingle => "jid-single",
            Self::ListMulti => "list-multi",
            Self::ListSingle => "list-single",
            Self::TextMulti => "text-multi",
            Self::TextPrivate => "text-private",
            Self::TextSingle => "text-single",
        }
    }

    /// A type that we do not know is a line of text (§ 3.3).
    fn from_name(name: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .unwrap_or_default()
    }
}

/// A form as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// What it is for.
    pub kind: FormKind,
    /// Its fields in order, fixed text left out. No two have the same name.
    pub fields: Vec<Field>,
}

/// A field as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub var: String,
    /// Its type, which submitted forms may leave out (§ 3.2).
    pub kind: Option<FieldKind>,
    /// Its values, which may be none.
    pub values: Vec<String>,
}

/// Why a form is not acceptable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormError {
    /// It is not one by XEP-0004: an unknown type, a field without name, or one name twice.
    Malformed,
    /// A field's value does not have the field's type, or there are several where one may be.
    Value,
}

impl Form {
    /// Reads the form in a wrapper element, if there is one.
    pub fn find(wrapper: Element<'_>) -> Result<Option<Self>, FormError> {
        wrapper
            .child("x", ns::DATA_FORMS)
            .map(Self::read)
            .transpose()
    }

    /// Reads `<x xmlns='jabber:x:data'/>`. Rows of a table (`<item/>`) are not read.
    pub fn read(x: Element<'_>) -> Result<Self, FormError> {
        let kind = match x.attr("type").as_deref() {
            Some("form") => FormKind::Form,
            Some("submit") => FormKind::Submit,
            Some("cancel") => FormKind::Cancel,
            Some("result") => FormKind::Result,
            _ => return Err(FormError::Malformed),
        };
        let mut fields: Vec<Field> = Vec::new();
        for field in x
            .children()
            .filter(|child| child.is("field", ns::DATA_FORMS))
        {
            let kind = field.attr("type").map(|name| FieldKind::from_name(&name));
            let Some(var) = field.attr("var") else {
                if kind == Some(FieldKind::Fixed) {
                    continue;
                }
                return Err(FormError::Malformed);
            };
            let values = field
                .children()
                .filter(|child| child.is("value", ns::DATA_FORMS))
                .map(|value| value.text().into_owned())
                .collect();
            fields.push(Field {
                var: var.into_owned(),
                kind,
                values,
            });
        }
        let mut names: Vec<_> = fields.iter().map(|field| field.var.as_str()).collect();
        names.sort_unstable();
        if names.is_sorted_by(|left, right| left < right) {
            Ok(Self { kind, fields })
        } else {
            Err(FormError::Malformed)
        }
    }

    /// What the fields mean: the value of `FORM_TYPE` (XEP-0068).
    pub fn form_type(&self) -> Option<&str> {
        self.values("FORM_TYPE")
            .and_then(|values| values.first())
            .map(String::as_str)
    }

    /// The values of a field; `None` if the form does not have it.
    pub fn values(&self, var: &str) -> Option<&[String]> {
        let field = self.fields.iter().find(|field| field.var == var)?;
        Some(&field.values)
    }

    /// The value of a field that has one at most; `None` if it has none or is not there.
    pub fn value(&self, var: &str) -> Result<Option<&str>, FormError> {
        match self.values(var) {
            None | Some([]) => Ok(None),
            Some([value]) => Ok(Some(value)),
            Some(_) => Err(FormError::Value),
        }
    }

    /// The value of a boolean field: `true`, `1`, `false` or `0`.
    pub fn boolean(&self, var: &str) -> Result<Option<bool>, FormError> {
        let value = self.value(var)?;
        let read = |value| xml::boolean(value).ok_or(FormError::Value);
        value.map(read).transpose()
    }

    /// The value of a field that is a number without sign.
    pub fn number(&self, var: &str) -> Result<Option<u64>, FormError> {
        let number = |value: &str| {
            let digits = value.bytes().all(|byte| byte.is_ascii_digit());
            value
                .parse()
                .ok()
                .filter(|_| digits)
                .ok_or(FormError::Value)
        };
        self.value(var)?.map(number).transpose()
    }
}

/// A field to be written.
#[derive(Debug, Clone, Copy, Default)]
pub struct NewField<'a> {
    /// Its name; empty for fixed text.
    pub var: &'a str,
    /// Its type.
    pub kind: FieldKind,
    /// What a human sees as its name.
    pub label: Option<&'a str>,
    /// Whether it must be filled in.
    pub required: bool,
    /// Its values.
    pub values: &'a [&'a str],
    /// Label and value of the options.
    pub options: &'a [(&'a str, &'a str)],
    /// Whether it takes other texts than the options (XEP-0122 § 3.2, `<open/>`).
    pub open: bool,
    /// The smallest number that it takes, if it takes whole numbers (XEP-0122 § 3.3, `<range/>`).
    pub min: Option<&'a str>,
}

/// Writes a form.
#[derive(Debug)]
pub struct FormWriter<'w> {
    writer: &'w mut Writer,
    kind: FormKind,
}

impl<'w> FormWriter<'w> {
    /// Opens the form with its `FORM_TYPE` (XEP-0068). [`end`](Self::end) closes it.
    pub fn start(writer: &'w mut Writer, kind: FormKind, form_type: &str) -> Self {
        Self::open(writer, kind, form_type, |_| ())
    }

    /// The same with texts for a human, which stand before the fields.
    pub fn start_titled(
        writer: &'w mut Writer,
        kind: FormKind,
        form_type: &str,
        title: &str,
        instructions: &str,
    ) -> Self {
        Self::open(writer, kind, form_type, |writer| {
            writer
                .leaf("instructions", instructions)
                .leaf("title", title);
        })
    }

    fn open(
        writer: &'w mut Writer,
        kind: FormKind,
        form_type: &str,
        heading: impl FnOnce(&mut Writer),
    ) -> Self {
        writer
            .start_ns("x", ns::DATA_FORMS)
            .attr("type", kind.name());
        heading(writer);
        let mut form = Self { writer, kind };
        form.field(&NewField {
            var: "FORM_TYPE",
            kind: FieldKind::Hidden,
            values: &[form_type],
            ..NewField::default()
        });
        form
    }

    /// Writes a field. Its type is left out of a submission, where it would only repeat the
    /// form's, but for hidden fields.
    pub fn field(&mut self, field: &NewField<'_>) -> &mut Self {
        let typed = self.kind != FormKind::Submit || field.kind == FieldKind::Hidden;
        let writer = &mut *self.writer;
        writer.start("field");
        writer.attr_opt("var", Some(field.var).filter(|var| !var.is_empty()));
        writer.attr_opt("type", typed.then(|| field.kind.name()));
        writer.attr_opt("label", field.label);
        if field.required {
            writer.start("required").end();
        }
        for value in field.values {
            writer.leaf("value", value);
        }
        for (label, value) in field.options {
            writer
                .start("option")
                .attr("label", label)
                .leaf("value", value)
                .end();
        }
        if field.open {
            writer
                .start_ns("validate", ns::DATA_VALIDATION)
                .attr("datatype", "xs:string")
                .start("open")
                .end()
                .end();
        }
        if let Some(min) = field.min {
            writer
                .start_ns("validate", ns::DATA_VALIDATION)
                .attr("datatype", "xs:integer")
                .start("range")
                .attr("min", min)
                .end()
                .end();
        }
        writer.end();
        self
    }

    /// Closes the form.
    pub fn end(self) {
        self.writer.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Limits, Tree};
    use expect_test::expect;

    fn read(kind: &str, fields: &str) -> Result<Form, FormError> {
        let x = format!("<x xmlns='jabber:x:data' type='{kind}'>{fields}</x>");
        let tree = Tree::parse(x.into(), ns::CLIENT, &Limits::C2S).expect("XML");
        Form::read(tree.root())
    }

    #[test]
    fn submitted_values() {
        let form = read(
            "submit",
            "<field var='FORM_TYPE' type='hidden'><value>urn:x</value></field>\
             <field type='fixed'><value>note</value></field>\
             <field var='no'/><field var='empty'><value/></field>\
             <field var='two'><value>1</value><value>a&amp;b</value></field>\
             <field var='yes' type='boolean'><value>1</value></field>\
             <field var='size' type='strange'><value>0042</value></field>",
        )
        .expect("form");
        assert_eq!(
            (form.kind, form.form_type()),
            (FormKind::Submit, Some("urn:x"))
        );
        assert_eq!(
            form.values("two"),
            Some(&["1".to_owned(), "a&b".to_owned()][..])
        );
        assert_eq!(form.values("none"), None);
        assert_eq!(form.values("no"), Some(&[][..]));
        assert_eq!(form.value("no"), Ok(None));
        assert_eq!(form.value("empty"), Ok(Some("")));
        assert_eq!(form.value("two"), Err(FormError::Value));
        assert_eq!(form.boolean("yes"), Ok(Some(true)));
        assert_eq!(form.boolean("none"), Ok(None));
        assert_eq!(form.boolean("size"), Err(FormError::Value));
        assert_eq!(form.number("size"), Ok(Some(42)));
        assert_eq!(form.number("empty"), Err(FormError::Value));
        let size = form.fields.iter().find(|field| field.var == "size");
        assert_eq!(
            size.and_then(|field| field.kind),
            Some(FieldKind::TextSingle)
        );
    }

    #[test]
    fn malformed() {
        for (kind, fields) in [
            ("strange", ""),
            ("submit", "<field><value>x</value></field>"),
            ("submit", "<field var='a'/><field var='b'/><field var='a'/>"),
        ] {
            assert_eq!(
                read(kind, fields),
                Err(FormError::Malformed),
                "{kind} {fields}"
            );
        }
        assert_eq!(read("cancel", "").map(|form| form.fields), Ok(Vec::new()));
    }

    #[test]
    fn written() {
        let mut writer = Writer::new(ns::CLIENT);
        let mut form =
            FormWriter::start_titled(&mut writer, FormKind::Form, "urn:x", "T & t", "Fill in");
        form.field(&NewField {
            var: "size",
            kind: FieldKind::ListSingle,
            label: Some("Size"),
            required: true,
            values: &["1"],
            options: &[("One", "1"), ("Two", "2")],
            ..NewField::default()
        });
        form.field(&NewField {
            var: "any",
            kind: FieldKind::ListMulti,
            open: true,
            ..NewField::default()
        });
        form.field(&NewField {
            kind: FieldKind::Fixed,
            values: &["note"],
            ..NewField::default()
        });
        form.end();
        let mut form = FormWriter::start(&mut writer, FormKind::Submit, "urn:x");
        form.field(&NewField {
            var: "size",
            values: &["2"],
            ..NewField::default()
        });
        form.end();
        let written = writer.finish();
        expect!["<x xmlns='jabber:x:data' type='form'><instructions>Fill in</instructions><title>T &amp; t</title><field var='FORM_TYPE' type='hidden'><value>urn:x</value></field><field var='size' type='list-single' label='Size'><required/><value>1</value><option label='One'><value>1</value></option><option label='Two'><value>2</value></option></field><field var='any' type='list-multi'><validate xmlns='http://jabber.org/protocol/xdata-validate' datatype='xs:string'><open/></validate></field><field type='fixed'><value>note</value></field></x><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>urn:x</value></field><field var='size'><value>2</value></field></x>"].assert_eq(std::str::from_utf8(&written).expect("UTF-8"));
    }
}
