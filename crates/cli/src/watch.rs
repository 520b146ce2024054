//! `get --watch`: what changes, seen by reading again and again.

use crate::{
    call::Api,
    failure::{Exit, Failure},
    kind::Kind,
    message::{text, with},
    output::{self, Format, cell, note},
    place::Place,
};
use prost_reflect::{DynamicMessage, MethodDescriptor, ReflectMessage as _, Value};
use serde_json::json;
use std::{collections::BTreeMap, fmt, time::Duration};

/// What is watched.
#[derive(Debug)]
pub(crate) enum Watched<'a> {
    One { id: &'a str },
    All { filter: &'a str },
}

/// Resources by name and the vendor's id: what is made anew under an old name is another one.
type Resources = BTreeMap<(String, String), DynamicMessage>;

/// What one reading has shown.
#[derive(Debug, Default)]
struct Seen {
    resources: Resources,
    /// What could not be read. What was there before is not gone because of that.
    unreachable: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// It was there when the watch began.
    Present,
    Added,
    Changed,
    Gone,
}
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Present => "present",
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Gone => "gone",
        })
    }
}

/// `welkin get KIND [ID] --watch`: until it is interrupted, or nobody reads it any more.
pub(crate) async fn run(api: &Api, place: &Place, format: Format, kind: &Kind, watched: Watched<'_>, interval: Duration) -> Result<(), Failure> {
    let watching = async {
        let question = Question::of(api, place, kind, watched).await?;
        question.watch(format, interval).await
    };
    tokio::select! { end = watching => end, _ = tokio::signal::ctrl_c() => Ok(()) }
}

/// What is asked again and again.
struct Question<'a> {
    api: &'a Api,
    kind: &'a Kind,
    method: MethodDescriptor,
    /// The resource's name, or the list's parent and filter.
    of: Result<String, (String, &'a str)>,
}

impl<'a> Question<'a> {
    async fn of(api: &'a Api, place: &Place, kind: &'a Kind, watched: Watched<'a>) -> Result<Self, Failure> {
        let method = |verb: &str| kind.method(verb).ok_or_else(|| Failure::usage(format!("{} have no {verb}", kind.plural())));
        Ok(match watched {
            Watched::One { id } => Self { api, kind, method: method("get")?, of: Ok(place.name(api, kind, id).await?) },
            Watched::All { filter } => Self { api, kind, method: method("list")?, of: Err((place.list_parent(api, kind).await?, filter)) },
        })
    }
    async fn ask(&self) -> Result<Seen, Failure> {
        let (items, unreachable) = match &self.of {
            Ok(name) => (vec![self.api.call(&self.method, with(&self.method.input(), [("name", Value::String(name.clone()))])).await?], Vec::new()),
            Err((parent, filter)) => {
                let listing = self.api.list(&self.method, ("parent", parent), filter).await?;
                (listing.items, listing.unreachable)
            }
        };
        let resources = items.into_iter().map(|m| ((text(&m, "name"), text(&m, "vendor_id")), m)).collect();
        Ok(Seen { resources, unreachable })
    }
    async fn watch(&self, format: Format, interval: Duration) -> Result<(), Failure> {
        // What cannot be read at all from the beginning is not worth watching.
        let mut seen = self.ask().await?;
        let mut is_read = self.begin(format, &seen.resources)?;
        let mut trouble = String::new();
        tell(&mut trouble, unread(&seen.unreachable));
        while is_read {
            tokio::time::sleep(interval).await;
            let now = match self.ask().await {
                Ok(now) => now,
                // The vendor said so of this one.
                Err(e) if e.exit == Exit::NotFound && self.of.is_ok() => Seen::default(),
                Err(e) => {
                    tell(&mut trouble, e.to_string().trim_end().to_owned());
                    continue;
                }
            };
            tell(&mut trouble, unread(&now.unreachable));
            let now = carried_over(&seen, now);
            for (event, resource, old) in changes(&seen.resources, &now.resources) {
                is_read = is_read && output::print_to_reader(&shown(format, event, resource, old)?)?;
            }
            seen = now;
        }
        Ok(())
    }
    /// What is there at first: the table, or one message each.
    fn begin(&self, format: Format, resources: &Resources) -> Result<bool, Failure> {
        let items: Vec<DynamicMessage> = resources.values().cloned().collect();
        let text = match format {
            Format::Json | Format::Yaml => items.iter().map(|r| shown(format, Event::Present, r, None)).collect::<Result<String, _>>()?,
            Format::Table | Format::Wide | Format::Name => output::resources(format, self.kind, &items, &DynamicMessage::new(self.method.output()))?,
        };
        output::print_to_reader(&text)
    }
}

/// Says what is wrong when that changes, not at every reading.
fn tell(before: &mut String, now: String) {
    if *before != now {
        note(if now.is_empty() { "everything can be read again" } else { &now });
        *before = now;
    }
}
fn unread(unreachable: &[String]) -> String {
    unreachable.iter().map(|place| format!("warning: {place} could not be read")).collect::<Vec<_>>().join("\n")
}

/// What lies where this reading could not look is as it was.
fn carried_over(before: &Seen, mut now: Seen) -> Seen {
    for (key, resource) in &before.resources {
        let unread = now.unreachable.iter().any(|place| key.0.strip_prefix(place.as_str()).is_some_and(|rest| rest.starts_with('/')));
        if unread && !now.resources.contains_key(key) {
            now.resources.insert(key.clone(), resource.clone());
        }
    }
    now
}

/// What happened, with the resource and, where it has changed, what it was.
fn changes<'a>(before: &'a Resources, now: &'a Resources) -> Vec<(Event, &'a DynamicMessage, Option<&'a DynamicMessage>)> {
    let gone = before.iter().filter(|(key, _)| !now.contains_key(*key)).map(|(_, r)| (Event::Gone, r, None));
    let here = now.iter().filter_map(|(key, r)| match before.get(key) {
        None => Some((Event::Added, r, None)),
        Some(old) if old != r => Some((Event::Changed, r, Some(old))),
        Some(_) => None,
    });
    gone.chain(here).collect()
}

fn shown(format: Format, event: Event, resource: &DynamicMessage, old: Option<&DynamicMessage>) -> Result<String, Failure> {
    let name = text(resource, "name");
    match format {
        Format::Json | Format::Yaml => {
            let unfit = |e: serde_json::Error| Failure::failed(format!("the answer cannot be shown: {e}"));
            let value = json!({"event": event.to_string(), "resource": serde_json::to_value(resource).map_err(unfit)?});
            if format == Format::Json { Ok(format!("{value}\n")) } else { Ok(format!("---\n{}", output::yaml(&value)?)) }
        }
        Format::Name => Ok(format!("{event} {name}\n")),
        Format::Table | Format::Wide => {
            let details = match (event, old) {
                (Event::Changed, Some(old)) => differences(old, resource),
                (Event::Added, _) => cell(resource, "state"),
                _ => String::new(),
            };
            Ok(format!("{event:<7}  {name}  {details}").trim_end().to_owned() + "\n")
        }
    }
}
/// `state: RUNNING -> STOPPING, labels`: what cannot be shown in a word is only named.
fn differences(old: &DynamicMessage, new: &DynamicMessage) -> String {
    let descriptor = new.descriptor();
    let differ = descriptor.fields().filter(|f| !["etag", "revision"].contains(&f.name()) && old.get_field(f) != new.get_field(f));
    let told = differ.map(|f| match (cell(old, f.name()), cell(new, f.name())) {
        (was, is) if was == is => f.name().to_owned(),
        (was, is) => format!("{}: {} -> {}", f.name(), or_none(&was), or_none(&is)),
    });
    told.collect::<Vec<_>>().join("; ")
}
fn or_none(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Kinds;

    fn seen(items: &[(&str, &str, &str)], unreachable: &[&str]) -> Seen {
        let kinds = Kinds::new();
        let message = &kinds.find("network").unwrap().message;
        let of = |(name, id, state): &(&str, &str, &str)| {
            let body = json!({"name": name, "vendorId": id, "state": state, "etag": format!("{name}{state}")});
            ((name.to_string(), id.to_string()), DynamicMessage::deserialize(message.clone(), body).unwrap())
        };
        Seen { resources: items.iter().map(of).collect(), unreachable: unreachable.iter().map(|s| s.to_string()).collect() }
    }
    fn lines(before: &Seen, now: &Seen) -> Vec<String> {
        changes(&before.resources, &now.resources).into_iter().map(|(event, r, old)| shown(Format::Table, event, r, old).unwrap().trim_end().to_owned()).collect()
    }
    #[test]
    fn what_happened_is_told_in_a_line() {
        let before = seen(&[("a/1", "v1", "STATE_PENDING"), ("a/2", "v2", "STATE_AVAILABLE"), ("a/3", "v3", "STATE_AVAILABLE")], &[]);
        let now = seen(&[("a/1", "v1", "STATE_AVAILABLE"), ("a/3", "v9", "STATE_PENDING"), ("a/4", "v4", "STATE_PENDING")], &[]);
        assert_eq!(lines(&before, &now), ["gone     a/2", "gone     a/3", "changed  a/1  state: PENDING -> AVAILABLE", "added    a/3  PENDING", "added    a/4  PENDING"]);
        assert_eq!(lines(&now, &now), [""; 0]);
    }
    #[test]
    fn what_could_not_be_read_is_not_gone() {
        let before = seen(&[("clouds/c/locations/l/networks/n", "v", ""), ("clouds/c/locations/l2/networks/n", "v", "")].map(|(n, v, _)| (n, v, "STATE_AVAILABLE")), &[]);
        let now = carried_over(&before, seen(&[], &["clouds/c/locations/l"]));
        assert_eq!(lines(&before, &now), ["gone     clouds/c/locations/l2/networks/n"]);
        assert_eq!(lines(&before, &carried_over(&before, seen(&[], &["clouds/c"]))), [""; 0]);
    }
}
