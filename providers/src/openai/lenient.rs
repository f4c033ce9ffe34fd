//! Members that vendors write in more than one way, read without a tree of values.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::json::whole;

/// A figure; what is no count is none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figure(pub(super) Option<u64>);

impl<'de> Deserialize<'de> for Figure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyVisitor;
        impl<'de> Visitor<'de> for AnyVisitor {
            type Value = Figure;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }
            fn visit_u64<E>(self, number: u64) -> Result<Figure, E> {
                Ok(Figure(Some(number)))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Figure, E> {
                Ok(Figure(whole(number)))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Figure, E> {
                Ok(Figure(None))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Figure, E> {
                Ok(Figure(None))
            }
            fn visit_unit<E>(self) -> Result<Figure, E> {
                Ok(Figure(None))
            }
            fn visit_str<E>(self, _: &str) -> Result<Figure, E> {
                Ok(Figure(None))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Figure, A::Error> {
                IgnoredAny.visit_seq(list).map(|_| Figure(None))
            }
            fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Figure, A::Error> {
                IgnoredAny.visit_map(object).map(|_| Figure(None))
            }
        }
        deserializer.deserialize_any(AnyVisitor)
    }
}

/// An object; anything else is an empty one.
#[derive(Debug, Default)]
pub(super) struct Lenient<T>(pub(super) T);

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for ObjectVisitor<T> {
            type Value = Lenient<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }
            fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Lenient<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(object)).map(Lenient)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Lenient<T>, A::Error> {
                IgnoredAny.visit_seq(list).map(|_| Lenient::default())
            }
            fn visit_u64<E>(self, _: u64) -> Result<Lenient<T>, E> {
                Ok(Lenient::default())
            }
            fn visit_i64<E>(self, _: i64) -> Result<Lenient<T>, E> {
                Ok(Lenient::default())
            }
            fn visit_f64<E>(self, _: f64) -> Result<Lenient<T>, E> {
                Ok(Lenient::default())
            }
            fn visit_bool<E>(self, _: bool) -> Result<Lenient<T>, E> {
                Ok(Lenient::default())
            }
            fn visit_unit<E>(self) -> Result<Lenient<T>, E> {
                Ok(Lenient::default())
            }
            fn visit_str<E>(self, _: &str) -> Result<Lenient<T>, E> {
                Ok(Lenient::default())
            }
        }
        deserializer.deserialize_any(ObjectVisitor(PhantomData))
    }
}
