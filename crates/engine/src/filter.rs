//! Filters of lists: the part of google.aip.dev/160 that comparisons joined by AND need.
//!
//! `state = RUNNING AND labels.team = web AND name : "web"`. A field is a path in the resource; `=` and `!=` compare texts, numbers and
//! booleans, `:` asks whether a text contains, or a list or map has, a value.

use serde_json::Value;
use welkin_core::{Error, ErrorKind, Kind, Object, Reason, Result};

/// A filter that was understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter(Vec<Term>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    path: Vec<String>,
    op: Op,
    value: String,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Equal,
    NotEqual,
    Has,
}

impl Filter {
    /// Reads a filter. An empty one lets everything through.
    ///
    /// # Errors
    /// `InvalidArgument` naming the field `filter`.
    pub fn parse(text: &str) -> Result<Self> {
        let mut words = tokens(text)?.into_iter();
        let mut terms = Vec::new();
        loop {
            let Some(path) = words.next() else {
                return if terms.is_empty() { Ok(Self::default()) } else { Err(bad("it ends after AND")) };
            };
            let op = match words.next().as_deref() {
                Some("=") => Op::Equal,
                Some("!=") => Op::NotEqual,
                Some(":") => Op::Has,
                other => return Err(bad(&format!("after {path} one of = != : is expected, not {}", other.unwrap_or("the end")))),
            };
            let value = words.next().ok_or_else(|| bad(&format!("{path} is compared with nothing")))?;
            terms.push(Term { path: path.split('.').map(str::to_owned).collect(), op, value });
            match words.next().as_deref() {
                None => return Ok(Self(terms)),
                Some("AND") => {}
                Some(other) => return Err(bad(&format!("AND is expected, not {other}"))),
            }
        }
    }

    /// Does this object pass?
    #[must_use]
    pub fn matches<K: Kind>(&self, object: &Object<K>) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let Ok(value) = serde_json::to_value(object) else { return false };
        self.0.iter().all(|term| term.matches(&value))
    }
}

impl Term {
    fn matches(&self, object: &Value) -> bool {
        // A specification and a status can have a field of one name: what is asked for, and what is.
        let mut found = [object.get("spec"), object.get("status"), Some(object)].into_iter().flatten().filter_map(|v| self.path.iter().try_fold(v, |at, key| at.get(key)));
        match self.op {
            Op::Equal => found.any(|v| text(v).as_deref() == Some(&self.value)),
            Op::NotEqual => !found.any(|v| text(v).as_deref() == Some(&self.value)),
            Op::Has => found.any(|v| match v {
                Value::Array(items) => items.iter().any(|i| text(i).as_deref() == Some(&self.value)),
                Value::Object(fields) => fields.contains_key(&self.value),
                v => text(v).is_some_and(|t| t.contains(&self.value)),
            }),
        }
    }
}
fn text(v: &Value) -> Option<String> {
    match v {
        Value::String(s) => Some(s.clone()),
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        // A reference is compared by its name.
        Value::Object(fields) => fields.get("name").and_then(Value::as_str).map(str::to_owned),
        Value::Null | Value::Array(_) => None,
    }
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
    use welkin_core::{Instance, InstanceSpec, InstanceState, InstanceStatus};

    fn object() -> Object<Instance> {
        Object {
            name: "locations/r/instances/web".parse().unwrap(),
            vendor_id: "i-1".parse().unwrap(),
            provider_id: "sim:///r-a/i-1".parse().unwrap(),
            mark: None,
            revision: None,
            created_ms: None,
            spec: InstanceSpec { machine_type: "small".into(), labels: [("team".to_owned(), "web shop".to_owned())].into(), ..Default::default() },
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
            ("private_ips:10.0.0.4", true),
            ("name : instances/web", true),
            ("assign_ipv6 = false", true),
        ] {
            assert_eq!(Filter::parse(filter).unwrap().matches(&object()), expected, "{filter}");
        }
    }
    #[test]
    fn refuses_what_it_does_not_understand() {
        for filter in ["state", "state RUNNING", "state =", "state = A OR state = B", "state = A AND", "! state = A"] {
            assert_eq!(Filter::parse(filter).unwrap_err().violations()[0].field, "filter", "{filter}");
        }
    }
}
