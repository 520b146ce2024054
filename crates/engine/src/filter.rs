//! Filters of lists: the part of google.aip.dev/160 that comparisons joined by AND need.
//!
//! `state = RUNNING AND labels.team = web AND name : "web"`. A field is called as in the API, and one that the kind does not have is refused:
//!
//! * the head: `name` (in full, with its cloud), `id`, `vendor_id`, `provider_id`, `create_time` (RFC 3339 in UTC), `revision`, and on what can be
//!   changed `uid`, `owned`, `owner` and `digest`;
//! * every field that is asked for or answered, `root_disk.size_gib` too, but for input-only ones and vendor extensions. A reference is the full
//!   name that is answered, an enum's value stands without its prefix, and a label is `labels.KEY`.
//!
//! `=` and `!=` compare the whole text; `:` asks whether a text contains a text, a list has an item, or the labels have a key. What is not set
//! equals nothing.

use serde_json::Value;
use std::collections::BTreeMap;
use welkin_core::{Error, ErrorKind, Kind, Object, Reason, Result};

/// A filter that was understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter(Vec<Term>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    field: Field,
    form: Form,
    op: Op,
    value: String,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Equal,
    NotEqual,
    Has,
}
/// Where a field's value is in an object.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Field {
    Head(&'static str),
    /// A JSON pointer into the object's serde form.
    Body(String),
    Label(String),
}
/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    One,
    List,
    Labels,
}

/// What every resource has.
const HEAD: &[&str] = &["name", "id", "vendor_id", "provider_id", "create_time", "revision"];
/// What those have beside it that can be ours.
const MARK: &[&str] = &["uid", "owned", "owner", "digest"];

impl Filter {
    /// Reads a filter. An empty one lets everything through.
    ///
    /// # Errors
    /// `InvalidArgument` naming the field `filter`, and the fields that there are where it speaks of another one.
    pub fn parse<K: Kind>(text: &str) -> Result<Self> {
        let mut words = tokens(text)?.into_iter().peekable();
        if words.peek().is_none() {
            return Ok(Self::default());
        }
        let known = fields::<K>()?;
        let mut terms = Vec::new();
        loop {
            let path = words.next().ok_or_else(|| bad("it ends after AND"))?;
            let op = match words.next().as_deref() {
                Some("=") => Op::Equal,
                Some("!=") => Op::NotEqual,
                Some(":") => Op::Has,
                other => return Err(bad(&format!("after {path} one of = != : is expected, not {}", other.unwrap_or("the end")))),
            };
            let value = words.next().ok_or_else(|| bad(&format!("{path} is compared with nothing")))?;
            let (field, form) = field(&known, &path, op)?;
            terms.push(Term { field, form, op, value });
            match words.next().as_deref() {
                None => return Ok(Self(terms)),
                Some("AND") => {}
                Some(other) => return Err(bad(&format!("AND is expected, not {other}"))),
            }
        }
    }

    /// Does this object of the cloud pass?
    #[must_use]
    pub fn matches<K: Kind>(&self, cloud: &str, object: &Object<K>) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let Ok(value) = serde_json::to_value(object) else { return false };
        self.0.iter().all(|term| term.matches(cloud, object, &value))
    }
}

/// Every field of a kind by its path, and what it holds.
fn fields<K: Kind>() -> Result<BTreeMap<String, (Field, Form)>> {
    let json = |v: serde_json::Result<Value>| v.map_err(|e| Error::internal("a default does not serialise").with_source(e));
    let (spec, status) = (json(serde_json::to_value(K::Spec::default()))?, json(serde_json::to_value(K::Status::default()))?);
    let mark = if K::FIELDS.is_empty() { &[] } else { MARK };
    let mut out: BTreeMap<_, _> = HEAD.iter().chain(mark).map(|f| ((*f).to_owned(), (Field::Head(f), Form::One))).collect();
    let is_whole = |path: &str| K::FIELDS.iter().any(|other| other.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')));
    for path in K::FIELDS.iter().filter(|p| !is_whole(p) && !K::INPUT_ONLY.contains(p) && **p != "provider_config") {
        let at = format!("/{}", path.replace('.', "/"));
        let form = match spec.pointer(&at) {
            Some(Value::Array(_)) => Form::List,
            Some(Value::Object(_)) => Form::Labels,
            _ => Form::One,
        };
        out.insert((*path).to_owned(), (Field::Body(format!("/spec{at}")), form));
    }
    for (name, default) in status.as_object().into_iter().flatten() {
        let form = if default.is_array() { Form::List } else { Form::One };
        out.insert(name.clone(), (Field::Body(format!("/status/{name}")), form));
    }
    Ok(out)
}
fn field(known: &BTreeMap<String, (Field, Form)>, path: &str, op: Op) -> Result<(Field, Form)> {
    if let Some(key) = path.strip_prefix("labels.").filter(|key| !key.is_empty() && known.contains_key("labels")) {
        return Ok((Field::Label(key.to_owned()), Form::One));
    }
    match known.get(path) {
        Some((_, Form::List | Form::Labels)) if op != Op::Has => Err(bad(&format!("{path} holds many: ask with : whether it has one"))),
        Some(found) => Ok(found.clone()),
        None => Err(bad(&format!("there is no field {path}; there are {}", known.keys().cloned().collect::<Vec<_>>().join(", ")))),
    }
}

impl Term {
    fn matches<K: Kind>(&self, cloud: &str, object: &Object<K>, value: &Value) -> bool {
        let at = match &self.field {
            Field::Head(name) => return self.compares(head(cloud, object, name).as_deref()),
            Field::Label(key) => value.pointer("/spec/labels").and_then(|l| l.get(key)),
            Field::Body(pointer) => value.pointer(pointer),
        };
        match self.form {
            Form::One => self.compares(at.and_then(|v| text(cloud, v)).as_deref()),
            Form::List => at.and_then(Value::as_array).is_some_and(|items| items.iter().any(|i| text(cloud, i).as_deref() == Some(&self.value))),
            Form::Labels => at.and_then(|labels| labels.get(&self.value)).is_some(),
        }
    }
    fn compares(&self, text: Option<&str>) -> bool {
        match self.op {
            Op::Equal => text == Some(&self.value),
            Op::NotEqual => text != Some(&self.value),
            Op::Has => text.is_some_and(|t| t.contains(&self.value)),
        }
    }
}
fn head<K: Kind>(cloud: &str, object: &Object<K>, field: &str) -> Option<String> {
    let mark = object.mark.as_ref();
    match field {
        "name" => Some(format!("clouds/{cloud}/{}", object.name)),
        "id" => Some(object.name.id.to_string()),
        "vendor_id" => Some(object.vendor_id.to_string()),
        "provider_id" => Some(object.provider_id.to_string()),
        "create_time" => object.created_ms.map(rfc3339),
        "revision" => object.revision.as_ref().map(|r| r.0.clone()),
        "uid" => mark.map(|m| m.uid.to_string()),
        "owned" => Some(mark.is_some().to_string()),
        "owner" => mark.map(|m| m.owner.to_string()),
        "digest" => mark.and_then(|m| m.digest.as_ref()).map(ToString::to_string),
        _ => None,
    }
}
fn text(cloud: &str, v: &Value) -> Option<String> {
    match v {
        Value::String(s) => Some(s.clone()),
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        Value::Object(fields) => fields.get("name").and_then(Value::as_str).map(|name| format!("clouds/{cloud}/{name}")),
        Value::Null | Value::Array(_) => None,
    }
}
/// As protobuf's JSON form has it: UTC, with three digits of a second where it is no whole one.
fn rfc3339(ms: u64) -> String {
    let (days, of_day) = (ms / 86_400_000, ms % 86_400_000);
    // Days to a date of the Gregorian calendar, in eras of 400 years that begin on the first of March of the year 0.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let (month, year) = if month < 10 { (month + 3, year + era * 400) } else { (month - 9, year + era * 400 + 1) };
    let (s, fraction) = (of_day / 1000, of_day % 1000);
    let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:03}") };
    format!("{year:04}-{month:02}-{date:02}T{:02}:{:02}:{:02}{fraction}Z", s / 3600, s / 60 % 60, s % 60)
}
fn bad(why: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, Reason::InvalidFilter, format!("the filter is not understood: {why}")).with_field("filter")
}

fn tokens(text: &str) -> Result<Vec<String>> {
    let (mut out, mut chars) = (Vec::new(), text.chars().peekable());
    while let Some(&c) = chars.peek() {
        match c {
            c if c.is_whitespace() => {
                chars.next();
            }
            '=' | ':' => {
                chars.next();
                out.push(c.to_string());
            }
            '!' => {
                chars.next();
                if chars.next() != Some('=') {
                    return Err(bad("! stands only before ="));
                }
                out.push("!=".into());
            }
            '"' => {
                chars.next();
                let word: String = chars.by_ref().take_while(|c| *c != '"').collect();
                out.push(word);
            }
            _ => {
                let mut word = String::new();
                while let Some(c) = chars.next_if(|c| !c.is_whitespace() && !matches!(c, '=' | ':' | '!' | '"')) {
                    word.push(c);
                }
                out.push(word);
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use welkin_core::{Instance, InstanceSpec, InstanceState, InstanceStatus, Location, Mark, Ref, RootDisk};

    fn object() -> Object<Instance> {
        Object {
            name: "locations/r/instances/web".parse().unwrap(),
            vendor_id: "i-1".parse().unwrap(),
            provider_id: "sim:///r-a/i-1".parse().unwrap(),
            mark: Some(Mark { owner: "me".parse().unwrap(), uid: "0123456789".parse().unwrap(), digest: None }),
            revision: None,
            created_ms: Some(1_709_251_199_007),
            spec: InstanceSpec {
                machine_type: "small".into(),
                labels: [("team".to_owned(), "web shop".to_owned()), ("name".to_owned(), "a.b".to_owned())].into(),
                subnet: Some(Ref::to("locations/r/subnets/s".parse().unwrap())),
                root_disk: RootDisk { size_gib: Some(8), ..Default::default() },
                ..Default::default()
            },
            status: InstanceStatus { state: InstanceState::Running, private_ips: vec!["10.0.0.4".parse().unwrap()], ..Default::default() },
        }
    }
    #[test]
    fn compares() {
        for (filter, expected) in [
            ("", true),
            ("state = RUNNING", true),
            ("state=STOPPED", false),
            ("state != STOPPED AND machine_type = small", true),
            ("labels.team = \"web shop\"", true),
            ("labels:team", true),
            ("labels:other", false),
            ("labels.other = x", false),
            ("labels.other != x", true),
            ("labels.name = a.b", true),
            ("effective_private_ips:10.0.0.4", true),
            ("private_ips:10.0.0.4", false),
            ("name = clouds/lab/locations/r/instances/web", true),
            ("name : instances/web", true),
            ("id = web AND owned = true AND uid = 0123456789", true),
            ("subnet = clouds/lab/locations/r/subnets/s", true),
            ("create_time = \"2024-02-29T23:59:59.007Z\"", true),
            ("create_time : 2024-02-29", true),
            ("assign_ipv6 = false", true),
            ("assign_public_ip = false", false),
            ("root_disk.size_gib = 8", true),
        ] {
            assert_eq!(Filter::parse::<Instance>(filter).unwrap().matches("lab", &object()), expected, "{filter}");
        }
    }
    #[test]
    fn refuses_what_it_does_not_understand() {
        for filter in [
            "state",
            "state RUNNING",
            "state =",
            "state = A OR state = B",
            "state = A AND",
            "! state = A",
            "stat = RUNNING",
            "status.state = RUNNING",
            "spec.zone = z",
            "user_data : x",
            "provider_config : x",
            "root_disk : x",
            "root_disk.size = 8",
            "labels = x",
            "private_ips = 10.0.0.4",
            "labels. = x",
            "cidrs : x",
        ] {
            let e = Filter::parse::<Instance>(filter).unwrap_err();
            assert_eq!((e.reason(), e.violations()[0].field.as_str()), (Reason::InvalidFilter, "filter"), "{filter}");
        }
        let e = Filter::parse::<Location>("owned = true").unwrap_err();
        assert!(e.message().contains("create_time, display_name, id, name, provider_id, revision, vendor_id, zones"), "{e}");
    }
    #[test]
    fn a_time_is_a_date() {
        for (ms, text) in
            [(0, "1970-01-01T00:00:00Z"), (951_782_400_000, "2000-02-29T00:00:00Z"), (4_107_542_399_999, "2100-02-28T23:59:59.999Z"), (4_107_542_400_000, "2100-03-01T00:00:00Z")]
        {
            assert_eq!(rfc3339(ms), text);
        }
    }
}
