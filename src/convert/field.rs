//! The forms that fields of several kinds have.

use super::{Scope, full_name, split_name};
use std::{fmt::Display, str::FromStr};
use welkin_core::{Error, Kind, Name, Ref, Result, Segment, Violation, relative};

/// A text that may be absent.
pub(super) fn text(value: String) -> Option<String> {
    (!value.is_empty()).then_some(value)
}
/// The default of an absent text.
pub(super) fn or_empty(value: Option<String>) -> String {
    value.unwrap_or_default()
}
/// Each item as text.
pub(super) fn texts<T: Display>(items: &[T]) -> Vec<String> {
    items.iter().map(T::to_string).collect()
}
/// The value of an enum by its number; what is newer than this version is unknown.
pub(super) fn value<T: Copy + Default>(all: &[T], number: i32) -> T {
    usize::try_from(number).ok().and_then(|i| all.get(i)).copied().unwrap_or_default()
}
/// Each item from its text, where a server sent it.
pub(super) fn parsed<T: FromStr>(field: &str, items: Vec<String>) -> Result<Vec<T>> {
    items.into_iter().map(|t| t.parse().map_err(|_| Error::internal(format!("the server sent {t:?} as {field}")))).collect()
}
/// Where each reference leads, in full.
pub(super) fn references<K: Kind>(cloud: &str, to: Vec<Ref<K>>) -> Vec<String> {
    to.into_iter().map(|r| full_name(cloud, &r.name)).collect()
}
/// Where a reference leads, in full.
pub(super) fn reference<K: Kind>(cloud: &str, to: Option<Ref<K>>) -> String {
    to.map(|r| full_name(cloud, &r.name)).unwrap_or_default()
}

impl<K: Kind> Scope<'_, K> {
    /// Reads a specification that a server has sent, where anything wrong is the server's defect.
    pub(super) fn answer<T>(cloud: &str, name: &str, read: impl FnOnce(&mut Scope<'_, K>) -> T) -> Result<T> {
        let (_, below) = split_name(name)?;
        let name: Name<K> = below.parse()?;
        let mut scope = Scope { cloud, parent: &name.parent, wrong: Vec::new() };
        let value = read(&mut scope);
        match scope.wrong.first() {
            None => Ok(value),
            Some(v) => Err(Error::internal(format!("the server sent {name} with a wrong {}: {}", v.field, v.description))),
        }
    }
    /// Notes that a field is wrong.
    pub(super) fn refuse(&mut self, field: impl Into<String>, why: impl Into<String>) {
        self.wrong.push(Violation::new(field, why));
    }
    /// Each item from its text; `form` says what would be right.
    pub(super) fn parse_all<T: FromStr>(&mut self, field: &str, form: &str, items: Vec<String>) -> Vec<T> {
        let mut out = Vec::with_capacity(items.len());
        for (i, text) in items.into_iter().enumerate() {
            match text.parse() {
                Ok(item) => out.push(item),
                Err(_) => self.refuse(format!("{field}[{i}]"), format!("{text:?} is not {form}")),
            }
        }
        out
    }
    /// A reference: a full name in the same cloud, a name below the cloud, or an id in the resource's own parent.
    pub(super) fn refer<T>(&mut self, field: &str, text: &str) -> Option<Ref<T>>
    where
        T: Kind<Parent = K::Parent>,
        T::Parent: Segment,
    {
        if text.is_empty() {
            return None;
        }
        match self.read_name(text) {
            Ok(name) => Some(Ref::to(name)),
            Err(e) => {
                self.refuse(field, e.message());
                None
            }
        }
    }
    /// Each of a list of references. Their order means nothing, so it is not part of what was asked for; what is wrong is told by the caller's.
    pub(super) fn refer_all<T>(&mut self, field: &str, texts: &[String]) -> Vec<Ref<T>>
    where
        T: Kind<Parent = K::Parent>,
        T::Parent: Segment,
    {
        let mut all: Vec<_> = texts.iter().enumerate().filter_map(|(i, text)| self.refer(&format!("{field}[{i}]"), text)).collect();
        if all.windows(2).all(|two| matches!(two, [a, b] if a != b)) {
            all.sort();
        }
        all
    }
    /// A text that stands for a value; `form` says what would be right.
    pub(super) fn parse<T: FromStr>(&mut self, field: &str, form: &str, text: &str) -> Option<T> {
        if text.is_empty() {
            return None;
        }
        text.parse().inspect_err(|_| self.refuse(field, format!("{text:?} is not {form}"))).ok()
    }
    /// A reference to what never lives in the resource's own parent: a full name in the same cloud, or a name below the cloud.
    pub(super) fn refer_elsewhere<T: Kind>(&mut self, field: &str, text: &str) -> Option<Ref<T>> {
        if text.is_empty() {
            return None;
        }
        if !text.contains('/') {
            self.refuse(field, format!("{text:?} does not say where it is: name it in full, as in locations/LOCATION/{}/ID", T::COLLECTION));
            return None;
        }
        self.below(text).and_then(str::parse).map(Ref::to).inspect_err(|e| self.refuse(field, e.message())).ok()
    }
    fn read_name<T>(&self, text: &str) -> Result<Name<T>>
    where
        T: Kind<Parent = K::Parent>,
        T::Parent: Segment,
    {
        relative(self.below(text)?, self.parent)
    }
    /// What follows the cloud in a name.
    fn below<'a>(&self, text: &'a str) -> Result<&'a str> {
        let Some(rest) = text.strip_prefix("clouds/") else { return Ok(text) };
        let (cloud, below) = rest.split_once('/').unwrap_or((rest, ""));
        if cloud == self.cloud { Ok(below) } else { Err(Error::invalid("", format!("{text} is in another cloud than {}", self.cloud))) }
    }
}
