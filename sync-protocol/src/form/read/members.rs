//! One JSON object of a form, read by the names of its members.

use super::super::{FormError, Label, Role, Why};
use super::Read;
use crate::id::{RecordType, is_segment};
use serde_json::{Map, Value};

/// The members of one object, with the place where it stands and the names that were read.
pub(super) struct Members<'a> {
    at: String,
    map: &'a Map<String, Value>,
    read: Vec<&'static str>,
}

impl Why {
    /// This refusal at a place.
    pub(super) fn at(self, at: &str) -> FormError {
        FormError { at: if at.is_empty() { "form".to_owned() } else { at.to_owned() }, why: self }
    }
}

impl<'a> Members<'a> {
    pub(super) fn of(value: &'a Value, at: &str) -> Read<Self> {
        let map = value.as_object().ok_or_else(|| Why::NotA("an object").at(at))?;
        Ok(Self { at: at.to_owned(), map, read: Vec::new() })
    }

    /// The place of a member.
    pub(super) fn place(&self, name: &str) -> String {
        if self.at.is_empty() { name.to_owned() } else { format!("{}.{name}", self.at) }
    }

    pub(super) fn get(&mut self, name: &'static str) -> Option<&'a Value> {
        self.read.push(name);
        self.map.get(name)
    }

    pub(super) fn need(&mut self, name: &'static str) -> Read<&'a Value> {
        self.get(name).ok_or_else(|| Why::Missing(name).at(&self.at))
    }

    /// Refuses a member that nothing read.
    pub(super) fn end(self) -> Read<()> {
        match self.map.keys().find(|name| !self.read.contains(&name.as_str())) {
            Some(name) => Err(Why::UnknownMember(name.clone()).at(&self.at)),
            None => Ok(()),
        }
    }

    pub(super) fn text(&mut self, name: &'static str) -> Read<&'a str> {
        let value = self.need(name)?;
        value.as_str().ok_or_else(|| Why::NotA("text").at(&self.place(name)))
    }

    pub(super) fn text_if_any(&mut self, name: &'static str) -> Read<Option<String>> {
        if self.map.contains_key(name) {
            self.text(name).map(|text| Some(text.to_owned()))
        } else {
            Ok(None)
        }
    }

    pub(super) fn flag(&mut self, name: &'static str) -> Read<Option<bool>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let flag =
            value.as_bool().ok_or_else(|| Why::NotA("true or false").at(&self.place(name)))?;
        Ok(Some(flag))
    }

    pub(super) fn integer(&mut self, name: &'static str) -> Read<Option<i64>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let integer =
            value.as_i64().ok_or_else(|| Why::NotA("an integer").at(&self.place(name)))?;
        Ok(Some(integer))
    }

    pub(super) fn positive(&mut self, name: &'static str) -> Read<u32> {
        let value =
            self.need(name)?.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
        value.ok_or_else(|| Why::NotA("a positive integer").at(&self.place(name)))
    }

    pub(super) fn id(&mut self, name: &'static str) -> Read<RecordType> {
        id(self.need(name)?, &self.place(name))
    }

    pub(super) fn segment(&mut self, name: &'static str) -> Read<String> {
        segment(self.need(name)?, &self.place(name))
    }

    pub(super) fn path(&mut self, name: &'static str) -> Read<String> {
        let text = self.text(name)?;
        if text.split('.').all(is_segment) {
            Ok(text.to_owned())
        } else {
            Err(Why::BadPath(text.to_owned()).at(&self.place(name)))
        }
    }

    pub(super) fn path_if_any(&mut self, name: &'static str) -> Read<Option<String>> {
        if self.map.contains_key(name) { self.path(name).map(Some) } else { Ok(None) }
    }

    pub(super) fn label(&mut self) -> Read<Label> {
        let label = Label { ja: self.text("ja")?.to_owned(), en: self.text("en")?.to_owned() };
        if label.is_blank() { Err(Why::Unlabelled.at(&self.at)) } else { Ok(label) }
    }

    /// A word out of a list.
    pub(super) fn word<T>(
        &mut self,
        name: &'static str,
        what: &'static str,
        named: impl Fn(&str) -> Option<T>,
    ) -> Read<T> {
        let word = self.text(name)?;
        named(word)
            .ok_or_else(|| Why::UnknownWord { what, word: word.to_owned() }.at(&self.place(name)))
    }

    pub(super) fn roles(&mut self, name: &'static str) -> Read<Option<Vec<Role>>> {
        if !self.map.contains_key(name) {
            return Ok(None);
        }
        let role = |value: &Value, at: &str| {
            let word = value.as_str().ok_or_else(|| Why::NotA("text").at(at))?;
            Role::named(word)
                .ok_or_else(|| Why::UnknownWord { what: "role", word: word.to_owned() }.at(at))
        };
        self.each(name, role).map(Some)
    }

    /// Each item of an array; none when there is no such member.
    pub(super) fn each<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&'a Value, &str) -> Read<T>,
    ) -> Read<Vec<T>> {
        let Some(value) = self.get(name) else { return Ok(Vec::new()) };
        each(value, &self.place(name), read)
    }
}

/// Each item of an array.
pub(super) fn each<'a, T>(
    value: &'a Value,
    at: &str,
    read: impl Fn(&'a Value, &str) -> Read<T>,
) -> Read<Vec<T>> {
    let items = value.as_array().ok_or_else(|| Why::NotA("an array").at(at))?;
    items.iter().enumerate().map(|(i, item)| read(item, &format!("{at}[{i}]"))).collect()
}

pub(super) fn segment(value: &Value, at: &str) -> Read<String> {
    let text = value.as_str().ok_or_else(|| Why::NotA("text").at(at))?;
    if is_segment(text) { Ok(text.to_owned()) } else { Err(Why::BadPath(text.to_owned()).at(at)) }
}

pub(super) fn id(value: &Value, at: &str) -> Read<RecordType> {
    let text = segment(value, at)?;
    text.parse().map_err(|_| Why::BadPath(text).at(at))
}
