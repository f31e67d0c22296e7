//! One table makes a section's struct, its defaults and its reference, so they cannot disagree.

use serde::Serialize;

/// A section of the file, as the reference shows it.
pub(crate) struct Section {
    /// Name of the TOML table; empty for the top level.
    pub(crate) path: &'static str,
    /// What the section is about.
    pub(crate) about: &'static str,
    /// Its settings, in order.
    pub(crate) fields: Vec<Field>,
}

/// A setting, as the reference shows it.
pub(crate) struct Field {
    /// Name of the key.
    pub(crate) name: &'static str,
    /// What it does, and why the default is what it is.
    pub(crate) doc: &'static str,
    /// The default as TOML, or an example if the setting has no default.
    pub(crate) value: Value,
}

/// What stands behind the equals sign in the example file.
pub(crate) enum Value {
    /// The default.
    Default(String),
    /// The setting has no default; this is an example.
    Example(&'static str),
}

/// A value as TOML text, as it would stand behind the equals sign.
pub(crate) fn toml_text(value: &impl Serialize) -> String {
    toml::Value::try_from(value).map_or_else(|_| "\"\"".to_owned(), |value| value.to_string())
}

/// Declares a section: `field: type = default`, or `field: type = default, example "toml"` for a
/// setting that is unset unless somebody sets it. Doc comments become the reference.
macro_rules! section {
    (
        $(#[doc = $about:literal])*
        struct $name:ident in $path:literal {
            $(
                $(#[doc = $doc:literal])*
                $field:ident : $type:ty = $default:expr $(, example $example:literal)? ;
            )*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, PartialEq, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(crate) struct $name {
            $( $(#[doc = $doc])* pub(crate) $field: $type, )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }

        impl $name {
            /// The section as the reference shows it.
            pub(crate) fn reference() -> $crate::config::section::Section {
                let default = Self::default();
                $crate::config::section::Section {
                    path: $path,
                    about: concat!($($about, "\n"),*),
                    fields: vec![ $( $crate::config::section::Field {
                        name: stringify!($field),
                        doc: concat!($($doc, "\n"),*),
                        value: section!(@value default.$field $(, $example)?),
                    }, )* ],
                }
            }
        }
    };
    (@value $default:ident . $field:ident) => {
        $crate::config::section::Value::Default(
            $crate::config::section::toml_text(&$default.$field)
        )
    };
    (@value $default:ident . $field:ident, $example:literal) => {{
        let _ = &$default.$field;
        $crate::config::section::Value::Example($example)
    }};
}
pub(crate) use section;
