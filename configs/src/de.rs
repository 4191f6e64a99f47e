//! Reads typed sections out of a [`Node`] tree, strictly: the type of the field decides what a
//! spelling may mean, and nothing is converted that the reader of the file would not expect.

use crate::fault::{Fault, listed};
use crate::tree::{Entry, Kind, Node, Origin};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor, value::StrDeserializer,
};

impl Node {
    /// How a message names this value.
    fn found(&self) -> String {
        match &self.kind {
            _ if self.is_null() => "nothing (null)".into(),
            Kind::Scalar { text, plain: true } => format!("`{text}`"),
            Kind::Scalar { text, plain: false } => format!("the quoted text {text:?}"),
            Kind::List(items) => format!("a list of {}", items.len()),
            Kind::Map(_) => "a mapping".into(),
        }
    }

    fn mismatch(&self, expected: &str) -> Fault {
        Fault::new(format!("expected {expected}, found {}", self.found())).at(self.origin)
    }

    /// An unquoted scalar, the only thing that may be a number or a boolean.
    fn plain(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, plain: true } => Some(text),
            _ => None,
        }
    }

    fn unsigned(&self) -> Result<u64, Fault> {
        const EXPECTED: &str = "a whole number from 0 in plain digits";
        self.plain()
            .filter(|t| is_plain_integer(t))
            .and_then(|t| t.parse().ok())
            .ok_or_else(|| self.mismatch(EXPECTED))
    }

    fn signed(&self) -> Result<i64, Fault> {
        self.plain()
            .filter(|t| is_plain_integer(t.strip_prefix('-').unwrap_or(t)))
            .and_then(|t| t.parse().ok())
            .ok_or_else(|| self.mismatch("a whole number in plain digits"))
    }

    fn float(&self) -> Result<f64, Fault> {
        self.plain()
            .filter(|t| is_plain_float(t))
            .and_then(|t| t.parse::<f64>().ok())
            .filter(|v| v.is_finite())
            .ok_or_else(|| self.mismatch("a finite number such as 0.1 or 1e-4"))
    }

    fn bool(&self) -> Result<bool, Fault> {
        match self.plain() {
            Some("true" | "True" | "TRUE") => Ok(true),
            Some("false" | "False" | "FALSE") => Ok(false),
            _ => Err(self.mismatch("`true` or `false`")),
        }
    }

    fn text(&self) -> Result<&str, Fault> {
        match &self.kind {
            Kind::Scalar { text, .. } if !self.is_null() => Ok(text),
            _ => Err(self.mismatch("text")),
        }
    }
}

/// Digits without a leading zero: `017` means 15 to some readers and 17 to others.
fn is_plain_integer(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'))
}

/// `-1.5e-4`: a sign, digits, a fraction, an exponent; no leading zero, no underscores.
fn is_plain_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let whole = unsigned.split(['.', 'e', 'E']).next().unwrap_or_default();
    unsigned.bytes().next().is_some_and(|b| b.is_ascii_digit() || b == b'.')
        && unsigned.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b))
        && (whole.is_empty() || is_plain_integer(whole))
}

macro_rules! numbers {
    ($($method:ident $read:ident $visit:ident),* $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            visitor.$visit::<Fault>(self.$read()?).map_err(|e| e.at(self.origin))
        }
    )*};
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Fault;

    numbers! {
        deserialize_u8 unsigned visit_u64, deserialize_u16 unsigned visit_u64,
        deserialize_u32 unsigned visit_u64, deserialize_u64 unsigned visit_u64,
        deserialize_i8 signed visit_i64, deserialize_i16 signed visit_i64,
        deserialize_i32 signed visit_i64, deserialize_i64 signed visit_i64,
        deserialize_f32 float visit_f64, deserialize_f64 float visit_f64,
        deserialize_bool bool visit_bool,
        deserialize_str text visit_borrowed_str, deserialize_string text visit_borrowed_str,
        deserialize_char text visit_borrowed_str, deserialize_identifier text visit_borrowed_str,
    }

    /// For `auto` or a number: the type cannot say beforehand what it wants.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.kind {
            Kind::List(_) => self.deserialize_seq(visitor),
            Kind::Map(_) => self.deserialize_map(visitor),
            Kind::Scalar { .. } if self.is_null() => visitor.visit_unit(),
            Kind::Scalar { text, .. } => {
                if let Ok(v) = self.unsigned() {
                    visitor.visit_u64(v)
                } else if let Ok(v) = self.signed() {
                    visitor.visit_i64(v)
                } else if let Ok(v) = self.float() {
                    visitor.visit_f64(v)
                } else if let Ok(v) = self.bool() {
                    visitor.visit_bool(v)
                } else {
                    visitor.visit_borrowed_str(text)
                }
            }
        }
        .map_err(|e: Fault| e.at(self.origin))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.is_null() { visitor.visit_unit() } else { Err(self.mismatch("nothing (null)")) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let Kind::List(items) = &self.kind else {
            return Err(self.mismatch("a list such as [a, b]"));
        };
        visitor.visit_seq(Items { items, next: 0 }).map_err(|e| e.at(self.origin))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, v: V) -> Result<V::Value, Fault> {
        match &self.kind {
            Kind::List(items) if items.len() == len => self.deserialize_seq(v),
            _ => Err(self.mismatch(&format!("a list of {len} values"))),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let Kind::Map(entries) = &self.kind else { return Err(self.mismatch("a mapping")) };
        visitor.visit_map(Entries { entries, next: 0 }).map_err(|e| e.at(self.origin))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if !matches!(self.kind, Kind::Map(_)) {
            return Err(self.mismatch(&format!("a mapping with the keys {}", listed(fields))));
        }
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.kind {
            Kind::Scalar { text, .. } if !self.is_null() => {
                visitor.visit_enum(Variant { name: text, origin: self.origin, content: None })
            }
            Kind::Map(entries) => {
                let entry = self.one_of(entries, variants)?;
                visitor.visit_enum(Variant {
                    name: &entry.key,
                    origin: entry.touched.map_or(entry.origin, Origin::Override),
                    content: Some(&entry.value),
                })
            }
            _ => Err(self.mismatch(&format!("one of {}", listed(variants)))),
        }
        .map_err(|e| e.at(self.origin))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { bytes byte_buf unit_struct tuple_struct i128 u128 }
}

impl Node {
    /// The entry that says which variant this is: the only one, or the one an override set last,
    /// so that `--set duration.epochs=2` replaces `{steps: 100}`.
    fn one_of<'a>(&self, entries: &'a [Entry], variants: &[&str]) -> Result<&'a Entry, Fault> {
        if let [only] = entries {
            return Ok(only);
        }
        entries.iter().filter(|e| e.touched.is_some()).max_by_key(|e| e.touched).ok_or_else(|| {
            let keys: Vec<&str> = entries.iter().map(|e| e.key.as_str()).collect();
            let found = if keys.is_empty() { "none".into() } else { listed(&keys) };
            let expected = listed(variants);
            Fault::new(format!("expected exactly one of {expected}, found {found}; keep one"))
                .at(self.origin)
        })
    }
}

struct Items<'de> {
    items: &'de [Node],
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let index = self.next;
        self.next += 1;
        let Some(item) = self.items.get(index) else { return Ok(None) };
        seed.deserialize(item).map(Some).map_err(|e| e.at(item.origin).under(index.to_string()))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len().saturating_sub(self.next))
    }
}

struct Entries<'de> {
    entries: &'de [Entry],
    next: usize,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        let Some(entry) = self.entries.get(self.next) else { return Ok(None) };
        self.next += 1;
        let key: StrDeserializer<'_, Fault> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|e| e.at(entry.origin).under(entry.key.as_str()))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Fault> {
        let Some(entry) = self.next.checked_sub(1).and_then(|i| self.entries.get(i)) else {
            return Err(Fault::new("a value was asked for before its key"));
        };
        seed.deserialize(&entry.value)
            .map_err(|e| e.at(entry.value.origin).under(entry.key.as_str()))
    }
}

struct Variant<'de> {
    name: &'de str,
    origin: Origin,
    content: Option<&'de Node>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Fault> {
        let name: StrDeserializer<'_, Fault> = self.name.into_deserializer();
        let value = seed.deserialize(name).map_err(|e| e.at(self.origin))?;
        Ok((value, self))
    }
}

impl<'de> Variant<'de> {
    fn content(&self) -> Result<&'de Node, Fault> {
        self.content.ok_or_else(|| {
            let name = self.name;
            Fault::new(format!("`{name}` needs a value: write {{{name}: ...}}")).at(self.origin)
        })
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        match self.content {
            None => Ok(()),
            Some(node) if node.is_null() => Ok(()),
            Some(node) => {
                let name = self.name;
                Err(node.mismatch(&format!("the word `{name}` alone")).under(name))
            }
        }
    }
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        let node = self.content()?;
        seed.deserialize(node).map_err(|e| e.at(node.origin).under(self.name))
    }
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, v: V) -> Result<V::Value, Fault> {
        self.content()?.deserialize_tuple(len, v).map_err(|e| e.under(self.name))
    }
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.content()?.deserialize_struct("", fields, visitor).map_err(|e| e.under(self.name))
    }
}
