//! `keys!` and `words!`: a mapping's keys and a key's words, each declared once.

/// Declares a mapping. Per key: documentation, name, type, then `= default` where it may be left out
/// (an `Option` always may) and `; unbuilt` where its feature does not exist yet.
macro_rules! keys {
    ($(
        $(#[$outer:meta])*
        pub struct $name:ident {
            $(
                $(#[doc = $doc:literal])*
                pub $field:ident: $type:ty $(= $default:expr)? $(; $unbuilt:ident)?,
            )*
        }
    )*) => {$(
        $(#[$outer])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[doc = $doc])* pub $field: $type,)*
        }

        impl $crate::base::decode::Keys for $name {
            const NAMES: &'static [&'static str] =
                &[$($crate::base::decode::keys!(@name $field)),*];

            fn take(
                fields: &mut $crate::base::decode::Fields,
                report: &mut $crate::base::report::Report,
            ) -> Option<Self> {
                $(
                    let $field = fields.field(
                        $crate::base::decode::keys!(@name $field),
                        || $crate::base::decode::keys!(@default $type $(, $default)?),
                        report,
                    );
                    $(
                        let _ = stringify!($unbuilt);
                        fields.refuse_unbuilt($crate::base::decode::keys!(@name $field), report);
                    )?
                )*
                Some(Self { $($field: $field?),* })
            }

            fn properties(
                generator: &mut schemars::SchemaGenerator,
            ) -> Vec<(&'static str, schemars::Schema, bool)> {
                vec![$({
                    let default: Option<$type> =
                        $crate::base::decode::keys!(@default $type $(, $default)?);
                    let shown = default.as_ref().map($crate::base::decode::Decode::show);
                    let schema = $crate::base::decode::property(
                        <$type as $crate::base::decode::Decode>::schema(generator),
                        concat!("" $(, $doc)*).trim(),
                        shown.unwrap_or_default(),
                    );
                    $(
                        let _ = stringify!($unbuilt);
                        let schema = $crate::base::decode::unbuilt(schema);
                    )?
                    ($crate::base::decode::keys!(@name $field), schema, default.is_none())
                }),*]
            }

            fn shown(&self) -> serde_json::Value {
                let mut shown = serde_json::Map::new();
                $({
                    let value = $crate::base::decode::Decode::show(&self.$field);
                    if !value.is_null() {
                        shown.insert($crate::base::decode::keys!(@name $field).to_owned(), value);
                    }
                })*
                shown.into()
            }
        }
    )*};

    (@name $field:ident) => {
        // A raw identifier (`r#for`) is written without its mark.
        match stringify!($field).as_bytes() {
            [b'r', b'#', ..] => stringify!($field).split_at(2).1,
            _ => stringify!($field),
        }
    };
    (@default $type:ty) => { <$type as $crate::base::decode::Decode>::absent() };
    (@default $type:ty, $default:expr) => { Some::<$type>($default) };
}

/// Gives types declared by `keys!` their `Decode`: a mapping of just these keys.
macro_rules! mappings {
    ($($name:ident),* $(,)?) => {$(
        impl $crate::base::decode::Decode for $name {
            fn decode(
                node: &$crate::base::yaml::At<$crate::base::yaml::Node>,
                report: &mut $crate::base::report::Report,
            ) -> Option<Self> {
                $crate::base::decode::mapping(node, report)
            }

            fn schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let properties = <Self as $crate::base::decode::Keys>::properties(generator);
                $crate::base::decode::object(properties)
            }

            fn show(&self) -> serde_json::Value {
                $crate::base::decode::Keys::shown(self)
            }
        }
    )*};
}

/// Declares an enum whose variants are words of the configuration; `; unbuilt` as in `keys!`.
macro_rules! words {
    ($(
        $(#[$outer:meta])*
        pub enum $name:ident {
            $($(#[$inner:meta])* $variant:ident = $word:literal $(; $unbuilt:ident)?,)*
        }
    )*) => {$(
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$inner])* $variant,)*
        }

        impl $name {
            pub const WORDS: &'static [&'static str] = &[$($word),*];

            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl $crate::base::decode::Decode for $name {
            fn decode(
                node: &$crate::base::yaml::At<$crate::base::yaml::Node>,
                report: &mut $crate::base::report::Report,
            ) -> Option<Self> {
                use $crate::base::decode;
                let text = decode::text(node, &$crate::base::report::choices(Self::WORDS), report)?;
                match text.value.as_str() {
                    $($word => {
                        $(
                            let _ = stringify!($unbuilt);
                            report.push(decode::not_built(node.place, concat!("`", $word, "`")));
                        )?
                        Some(Self::$variant)
                    })*
                    _ => {
                        report.push(decode::unknown_word(node, &text, Self::WORDS));
                        None
                    }
                }
            }

            fn schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let words = [$(($word, { let marks: &[&str] = &[$(stringify!($unbuilt))?]; marks.is_empty() })),*];
                let words = words.iter().filter(|(_, built)| *built);
                $crate::base::decode::words_of(&words.map(|(word, _)| *word).collect::<Vec<_>>())
            }

            fn show(&self) -> serde_json::Value {
                self.word().into()
            }
        }
    )*};
}

pub(crate) use {keys, mappings, words};
