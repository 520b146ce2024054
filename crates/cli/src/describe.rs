//! `describe`: one resource with every field that it has, for people. What it shows follows from the message's descriptor alone.

use crate::{
    call::Api,
    failure::Failure,
    kind::{Kind, behaviours, comment},
    message::{last_part, text, with},
    output::{self, scalar},
    place::Place,
    word::label,
};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind as Type, ReflectMessage as _, Value};

/// How far a field of a message is moved in below it.
const STEP: &str = "  ";

/// `welkin describe KIND ID`.
pub(crate) async fn one(api: &Api, place: &Place, kind: &Kind, id: &str) -> Result<(), Failure> {
    let method = kind.method("get").ok_or_else(|| Failure::usage(format!("{} cannot be read", kind.plural())))?;
    let name = place.name(api, kind, id).await?;
    let resource = api.call(&method, with(&method.input(), [("name", Value::String(name))])).await?;
    output::print(&page(kind, &resource))
}

/// What a field is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Itself,
    State,
    Asked,
    Addresses,
    AtTheVendor,
    /// Each map has a place of its own.
    Map,
}
const SECTIONS: [(Section, &str); 5] =
    [(Section::Itself, ""), (Section::State, "State"), (Section::Asked, "Asked for"), (Section::Addresses, "Addresses"), (Section::AtTheVendor, "At the vendor")];

impl Section {
    fn of(field: &FieldDescriptor) -> Self {
        let name = field.name();
        let is = |behaviour: &str| behaviours(field).iter().any(|b| b == behaviour);
        match name {
            _ if field.is_map() => Self::Map,
            "etag" => Self::Itself,
            "vendor_id" | "provider_id" | "revision" => Self::AtTheVendor,
            _ if name.starts_with("state") => Self::State,
            _ if !is("OUTPUT_ONLY") && !is("IDENTIFIER") => Self::Asked,
            _ if matches!(field.kind(), Type::String) && ["ip", "ips", "cidr", "cidrs", "address", "addresses"].contains(&last_word(name)) => Self::Addresses,
            _ => Self::Itself,
        }
    }
}
fn last_word(name: &str) -> &str {
    name.rsplit('_').next().unwrap_or(name)
}

/// A line: what it is called, moved in as far as it is nested, and its value.
type Line = (String, String);

/// The whole page.
fn page(kind: &Kind, resource: &DynamicMessage) -> String {
    let fields: Vec<FieldDescriptor> = kind.message.fields().collect();
    let mut sections: Vec<(String, Vec<Line>)> = Vec::new();
    for (section, title) in SECTIONS {
        let mut lines = Vec::new();
        for field in fields.iter().filter(|f| Section::of(f) == section) {
            lines_of(resource, field, "", &mut lines);
        }
        sections.push((title.to_owned(), lines));
    }
    for field in fields.iter().filter(|f| Section::of(f) == Section::Map) {
        sections.push((label(field.name()), entries(resource, field)));
    }
    let about = comment(&kind.message.parent_file(), kind.message.path());
    let head = (format!("{} {}: {}", kind.name, last_part(&text(resource, "name")), about.split(". ").next().unwrap_or(&about)), Vec::new());
    sections.retain(|(_, lines)| !lines.is_empty());
    sections.insert(0, head);
    written(&sections)
}

fn written(sections: &[(String, Vec<Line>)]) -> String {
    let width = sections.iter().flat_map(|(_, lines)| lines).map(|(label, _)| label.chars().count()).max().unwrap_or_default();
    let mut out = String::new();
    for (i, (title, lines)) in sections.iter().enumerate() {
        if i > 0 && !title.is_empty() {
            out.push('\n');
        }
        if !title.is_empty() {
            out.push_str(title);
            out.push('\n');
        }
        for (label, value) in lines {
            out.push_str(format!("{STEP}{label:width$}{STEP}{value}").trim_end());
            out.push('\n');
        }
    }
    out
}

/// The lines of one field; those of a message come below its name.
fn lines_of(message: &DynamicMessage, field: &FieldDescriptor, indent: &str, out: &mut Vec<Line>) {
    let called = format!("{indent}{}", label(field.name()));
    if behaviours(field).iter().any(|b| b == "INPUT_ONLY") {
        return out.push((called, "(never answered)".into()));
    }
    if field.supports_presence() && !message.has_field(field) {
        return out.push((called, "-".into()));
    }
    match &*message.get_field(field) {
        Value::List(items) if items.iter().any(|v| v.as_message().is_some()) => {
            for (i, item) in items.iter().enumerate() {
                value_lines(format!("{called} {}", i + 1), item, field, indent, out);
            }
        }
        Value::List(items) if !items.is_empty() => {
            for (i, item) in items.iter().enumerate() {
                value_lines(if i == 0 { called.clone() } else { String::new() }, item, field, indent, out);
            }
        }
        Value::Map(_) => out.extend(entries(message, field).into_iter().enumerate().map(|(i, (key, value))| {
            let value = if value.is_empty() { key } else { format!("{key}={value}") };
            (if i == 0 { called.clone() } else { String::new() }, value)
        })),
        value => value_lines(called, value, field, indent, out),
    }
}
fn value_lines(called: String, value: &Value, field: &FieldDescriptor, indent: &str, out: &mut Vec<Line>) {
    match value {
        Value::Message(m) if !m.descriptor().full_name().starts_with("google.protobuf.") => {
            out.push((called, String::new()));
            let below = format!("{indent}{STEP}");
            for field in m.descriptor().fields() {
                lines_of(m, &field, &below, out);
            }
        }
        value => {
            let shown = scalar(value, &field.kind());
            out.push((called, if shown.is_empty() { "-".into() } else { shown }));
        }
    }
}
/// A map's entries, sorted.
fn entries(message: &DynamicMessage, field: &FieldDescriptor) -> Vec<Line> {
    let value = message.get_field(field);
    let of = field.kind().as_message().and_then(|m| m.get_field_by_name("value")).map_or(Type::String, |f| f.kind());
    let mut lines: Vec<Line> =
        value.as_map().into_iter().flatten().map(|(key, value)| (key.as_str().map_or_else(|| format!("{key:?}"), str::to_owned), scalar(value, &of))).collect();
    lines.sort();
    if lines.is_empty() {
        lines.push(("-".into(), String::new()));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Kinds;
    use serde_json::json;

    fn described(word: &str, body: serde_json::Value) -> String {
        let kinds = Kinds::new();
        let kind = kinds.find(word).unwrap();
        page(kind, &DynamicMessage::deserialize(kind.message.clone(), body).unwrap())
    }
    #[test]
    fn every_field_is_there_in_its_section() {
        let body = json!({
            "name": "clouds/c/locations/l/instances/web", "uid": "u-12345678", "vendorId": "i-1", "providerId": "sim:///l/i-1", "createTime": "2026-01-02T03:04:05Z", "owned": true,
            "subnet": "clouds/c/locations/l/subnets/s1", "privateIps": ["10.0.0.4", "2001:db8::4"], "rootDisk": {"sizeGib": 9}, "state": "STATE_STOPPED", "stateReason": "asked to",
            "publicIps": ["192.0.2.1"], "labels": {"b": "2", "a": "1"}, "assignPublicIp": false,
            "providerConfig": {"@type": "type.googleapis.com/welkin.provider.aws.v1.InstanceConfig"},
        });
        let page = described("instance", body);
        let squeezed: Vec<String> = page.lines().map(|l| l.split_ascii_whitespace().collect::<Vec<_>>().join(" ")).collect();
        let at = |line: &str| squeezed.iter().position(|l| l == line || l.starts_with(line)).unwrap_or_else(|| panic!("no {line:?} in\n{page}"));
        let order = [
            at("Instance web: A virtual machine"),
            at("UID u-12345678"),
            at("Create time 2026-01-02T03:04:05Z ("),
            at("Owned yes"),
            at("State"),
            at("State STOPPED"),
            at("State reason asked to"),
            at("Asked for"),
            at("Subnet clouds/c/locations/l/subnets/s1"),
            at("Private IPs 10.0.0.4"),
            at("2001:db8::4"),
            at("Assign public IP no"),
            at("User data (never answered)"),
            at("Identity -"),
            at("Root disk"),
            at("Size GiB 9"),
            at("Provider config {"),
            at("Addresses"),
            at("Public IPs 192.0.2.1"),
            at("At the vendor"),
            at("Vendor ID i-1"),
            at("Provider ID sim:///l/i-1"),
            at("Labels"),
            at("a 1"),
            at("b 2"),
        ];
        assert!(order.is_sorted(), "{order:?}\n{page}");
        assert!(page.contains("\n    Size GiB"), "nested fields are moved in\n{page}");
    }
    #[test]
    fn any_kind_can_be_described() {
        for kind in &Kinds::new().all {
            let page = page(kind, &DynamicMessage::new(kind.message.clone()));
            for field in kind.message.fields() {
                assert!(page.contains(&label(field.name())), "{} is not in\n{page}", field.name());
            }
        }
    }
}
