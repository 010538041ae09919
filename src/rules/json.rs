//! The members of a JSON object, also of one that was cut: documents that describe a login are larger than what is kept.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// The top level of an object, as far as the text goes.
pub(super) struct Top {
    members: Vec<(String, Value)>,
    /// Whether the object ends within the text, and nothing stands behind it.
    pub(super) is_whole: bool,
}

impl Top {
    /// Reads it; `None` where the text is no object, or broken before its end.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut members = Vec::new();
        let mut reader = serde_json::Deserializer::from_str(text.trim_start_matches('\u{feff}'));
        let read = Members(&mut members).deserialize(&mut reader).and_then(|()| reader.end());
        let is_whole = match read {
            Ok(()) => true,
            Err(error) if error.is_eof() => false,
            Err(_) => return None,
        };
        Some(Top { members, is_whole })
    }

    /// The value of that name, the last one where there are several, as most readers have it.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.members.iter().rev().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    /// The names, in their order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|(name, _)| name.as_str())
    }
}

/// Collects members one by one, so that those before the cut stay.
struct Members<'m>(&'m mut Vec<(String, Value)>);

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(member) = map.next_entry()? {
            self.0.push(member);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_before_a_cut_is_read() {
        let text = r#"{"issuer": "https://a.example", "more": {"b": [1, 2]}, "last": "x"}"#;
        let whole = Top::read(text).unwrap();
        assert!(whole.is_whole && whole.names().eq(["issuer", "more", "last"]));
        let cut = Top::read(&text[..text.len() - 12]).unwrap();
        assert!(!cut.is_whole && cut.get("last").is_none());
        assert_eq!(cut.get("issuer").unwrap(), "https://a.example");
    }

    #[test]
    fn what_is_no_object_is_left() {
        for text in ["[1]", "<html>", r#"{"a": 1} x"#, r#"{"a": 1, b}"#, "401", &"[".repeat(4000)] {
            assert!(Top::read(text).is_none(), "{text}");
        }
        assert!(Top::read("").is_none_or(|top| !top.is_whole));
    }
}
