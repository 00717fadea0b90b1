//! Deserialising without expectations: whatever is not of the shape that is looked for is
//! read over and found to be nothing.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What is looked for; by default nothing is.
pub(super) trait Look<'de>: Sized {
    /// What can be found.
    type Found: Default;

    /// Finds something in a text.
    fn text(self, _text: Cow<'de, str>) -> Self::Found {
        Self::Found::default()
    }

    /// Finds something in an object, which must be read to its end.
    fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Found, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::Found::default())
    }
}

/// Makes a seed of a look.
pub(super) struct Loose<'de, L>(L, PhantomData<&'de ()>);

impl<'de, L: Look<'de>> Loose<'de, L> {
    pub(super) fn new(look: L) -> Self {
        Self(look, PhantomData)
    }
}

impl<'de, L: Look<'de>> DeserializeSeed<'de> for Loose<'de, L> {
    type Value = L::Found;

    fn deserialize<D: Deserializer<'de>>(self, any: D) -> Result<L::Found, D::Error> {
        any.deserialize_any(self)
    }
}

impl<'de, L: Look<'de>> Visitor<'de> for Loose<'de, L> {
    type Value = L::Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<L::Found, E> {
        Ok(self.0.text(Cow::Borrowed(text)))
    }

    // A text with escapes in it has no bytes to borrow.
    fn visit_str<E: Error>(self, text: &str) -> Result<L::Found, E> {
        Ok(self.0.text(Cow::Owned(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<L::Found, A::Error> {
        self.0.map(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<L::Found, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(L::Found::default())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<L::Found, E> {
        Ok(L::Found::default())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<L::Found, E> {
        Ok(L::Found::default())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<L::Found, E> {
        Ok(L::Found::default())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<L::Found, E> {
        Ok(L::Found::default())
    }

    fn visit_unit<E: Error>(self) -> Result<L::Found, E> {
        Ok(L::Found::default())
    }
}
