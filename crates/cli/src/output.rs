//! Results on standard output: tables for people, JSON, YAML and names for programs.

use crate::{
    column::{self, Column},
    failure::Failure,
    kind::Kind,
    message::{last_part, nested, part, several, text},
    word::{kebab, singular},
};
use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use prost_reflect::{DynamicMessage, EnumDescriptor, FieldDescriptor, Kind as Type, MessageDescriptor, ReflectMessage as _, Value};
use std::{
    io::{self, Write as _},
    time::{SystemTime, UNIX_EPOCH},
};

/// How results are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table.
    Table,
    /// A table with more columns.
    Wide,
    /// The API's message in protobuf's canonical JSON.
    Json,
    /// The same as YAML.
    Yaml,
    /// Full names, one a line.
    Name,
}

/// Writes to standard output. A reader that went away is no failure of ours.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_to_reader(text).map(|_| ())
}
/// The same; false where the reader went away.
pub(crate) fn print_to_reader(text: &str) -> Result<bool, Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(Failure::failed(format!("the result cannot be written: {e}"))),
    }
}

/// Writes a line for people to standard error, where nothing better can be done when that fails.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A message as JSON or YAML.
pub(crate) fn document(format: Format, message: &DynamicMessage) -> Result<String, Failure> {
    if format == Format::Yaml {
        return yaml(&serde_json::to_value(message).map_err(unfit)?);
    }
    serde_json::to_string_pretty(message).map(|t| t + "\n").map_err(unfit)
}
/// JSON as YAML.
pub(crate) fn yaml(value: &serde_json::Value) -> Result<String, Failure> {
    serde_saphyr::to_string(value).map(|t| if t.ends_with('\n') { t } else { t + "\n" }).map_err(unfit)
}
fn unfit(e: impl std::fmt::Display) -> Failure {
    Failure::failed(format!("the answer cannot be shown: {e}"))
}

/// Resources of one kind. `whole` is what JSON and YAML show: one resource, or a list's answer.
pub(crate) fn resources(format: Format, kind: &Kind, items: &[DynamicMessage], whole: &DynamicMessage) -> Result<String, Failure> {
    match format {
        Format::Json | Format::Yaml => document(format, whole),
        Format::Name => Ok(items.iter().map(|i| text(i, "name") + "\n").collect()),
        Format::Table | Format::Wide => Ok(resource_table(kind, items, format == Format::Wide)),
    }
}

/// What a verb answers: in a table its first list.
pub(crate) fn answer(format: Format, message: &DynamicMessage) -> Result<String, Failure> {
    if matches!(format, Format::Json | Format::Yaml) {
        return document(format, message);
    }
    let rows = rows(message);
    // Also of a list of nothing.
    let of_row = listed(message).and_then(|f| f.kind().as_message().cloned()).unwrap_or_else(|| message.descriptor());
    let fields: Vec<String> = of_row.fields().map(|f| f.name().to_owned()).collect();
    let titles: Vec<String> = fields.iter().map(|f| f.replace('_', " ").to_ascii_uppercase()).collect();
    let error = |row: &DynamicMessage, field: &str| nested(row, field).filter(|inner| inner.descriptor().get_field_by_name("message").is_some());
    let value = |row: &DynamicMessage, field: &str| error(row, field).map_or_else(|| cell(row, field), |inner| text(&inner, "message"));
    Ok(table(titles.iter().map(String::as_str).collect(), rows.iter().map(|row| fields.iter().map(|f| value(row, f)).collect())))
}
/// The items of its list, or itself where it has none.
fn rows(message: &DynamicMessage) -> Vec<DynamicMessage> {
    listed(message).map_or_else(|| vec![message.clone()], |f| several(message, f.name()))
}
/// The field of its first list.
fn listed(message: &DynamicMessage) -> Option<FieldDescriptor> {
    message.descriptor().fields().find(FieldDescriptor::is_list)
}
/// How many a verb's answer is about, and how many of them have an error.
pub(crate) fn refused(message: &DynamicMessage) -> (usize, usize) {
    let rows = rows(message);
    (rows.len(), rows.iter().filter(|row| nested(row, "error").is_some()).count())
}

fn resource_table(kind: &Kind, items: &[DynamicMessage], wide: bool) -> String {
    let exists = |c: &&Column| (wide || !c.wide) && field_at(&kind.message, c.path).is_some();
    let columns: Vec<&Column> = column::of(&kind.collection).iter().chain(column::LAST).filter(exists).collect();
    let within = kind.within.as_ref().map(|collection| kebab(&singular(collection)).replace('-', " ").to_ascii_uppercase());
    let mut places = vec!["NAME", "CLOUD"];
    places.extend(kind.in_location.then_some("LOCATION"));
    places.extend(within.as_deref());
    let head = places.into_iter().chain(columns.iter().map(|c| c.title)).collect();
    let rows = items.iter().map(|item| {
        let name = text(item, "name");
        let mut row = vec![last_part(&name).to_owned(), part(&name, "clouds").to_owned()];
        if kind.in_location {
            row.push(part(&name, "locations").to_owned());
        }
        row.extend(kind.within.as_ref().map(|collection| part(&name, collection).to_owned()));
        row.extend(columns.iter().map(|c| cell(item, c.path)));
        row
    });
    table(head, rows)
}

/// A table without lines, as wide as it needs to be: programs cut it by columns, terminals wrap it.
pub(crate) fn table(head: Vec<&str>, rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(head);
    for row in rows {
        table.add_row(row.into_iter().map(|c| if c.is_empty() { "-".to_owned() } else { c }));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines: Vec<String> = table.lines().map(|l| l.trim_end().to_owned()).collect();
    lines.join("\n") + "\n"
}

/// The field at a path, which can be one of a nested message.
pub(crate) fn field_at(message: &MessageDescriptor, path: &str) -> Option<FieldDescriptor> {
    let Some((around, below)) = path.split_once('.') else { return message.get_field_by_name(path) };
    field_at(message.get_field_by_name(around)?.kind().as_message()?, below)
}
/// A field for people; empty where it is not set. A nested message's has that one's name in front: `alias.load_balancer`.
pub(crate) fn cell(message: &DynamicMessage, path: &str) -> String {
    if let Some((around, below)) = path.split_once('.') {
        return nested(message, around).map(|m| cell(&m, below)).unwrap_or_default();
    }
    let Some(field) = message.descriptor().get_field_by_name(path) else { return String::new() };
    if field.supports_presence() && !message.has_field(&field) {
        return String::new();
    }
    shown(&message.get_field(&field), &field.kind())
}
fn shown(value: &Value, kind: &Type) -> String {
    match value {
        Value::List(items) => items.iter().map(|v| shown(v, kind)).collect::<Vec<_>>().join(","),
        Value::Map(entries) => {
            let mut pairs: Vec<String> = entries.iter().map(|(k, v)| format!("{}={}", k.as_str().unwrap_or_default(), v.as_str().unwrap_or_default())).collect();
            pairs.sort();
            pairs.join(",")
        }
        Value::Message(m) if m.descriptor().full_name() == "google.protobuf.Timestamp" => age(m),
        // What stands in a table is short.
        Value::Message(_) => String::new(),
        // A reference: its id is enough beside the location.
        Value::String(s) if s.starts_with("clouds/") => last_part(s).to_owned(),
        other => scalar(other, kind),
    }
}
/// One value in full; a message in its JSON form.
pub(crate) fn scalar(value: &Value, kind: &Type) -> String {
    match value {
        Value::EnumNumber(n) => kind.as_enum().map_or_else(|| n.to_string(), |values| enum_word(values, *n)),
        Value::Message(m) => match serde_json::to_value(m) {
            Ok(serde_json::Value::String(time)) if m.descriptor().full_name() == "google.protobuf.Timestamp" => format!("{time} ({} ago)", age(m)),
            Ok(serde_json::Value::String(text)) => text,
            Ok(other) => other.to_string(),
            Err(_) => String::new(),
        },
        Value::String(s) => s.clone(),
        Value::Bool(b) => if *b { "yes" } else { "no" }.to_owned(),
        Value::U32(n) => n.to_string(),
        Value::U64(n) => n.to_string(),
        Value::I32(n) => n.to_string(),
        Value::I64(n) => n.to_string(),
        _ => String::new(),
    }
}
/// A value without its enum's name in front; nothing for "unspecified".
fn enum_word(values: &EnumDescriptor, number: i32) -> String {
    let prefix = format!("{}_", crate::word::snake(values.name()).to_ascii_uppercase());
    match values.get_value(number) {
        Some(_) if number == 0 => String::new(),
        Some(value) => value.name().strip_prefix(&prefix).unwrap_or(value.name()).to_owned(),
        None => number.to_string(),
    }
}
fn age(timestamp: &DynamicMessage) -> String {
    let then = timestamp.get_field_by_name("seconds").and_then(|v| v.as_i64()).unwrap_or_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX));
    span(now.saturating_sub(then).max(0))
}
/// `45s`, `12m`, `5h`, `3d`: the largest unit of which there are at least two.
fn span(seconds: i64) -> String {
    match seconds {
        s if s < 120 => format!("{s}s"),
        s if s < 2 * 3600 => format!("{}m", s / 60),
        s if s < 2 * 86400 => format!("{}h", s / 3600),
        s => format!("{}d", s / 86400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Kinds;
    use serde_json::json;

    fn network() -> (Kinds, DynamicMessage) {
        let kinds = Kinds::new();
        let body = json!({"name": "clouds/lab/locations/sim-1/networks/n1", "uid": "u-12345678", "cidrs": ["10.0.0.0/16"], "effectiveCidrs": ["10.0.0.0/16", "2001:db8::/56"], "state": "STATE_AVAILABLE", "labels": {"b": "2", "a": "1"}});
        let message = DynamicMessage::deserialize(kinds.find("network").unwrap().message.clone(), body).unwrap();
        (kinds, message)
    }
    #[test]
    fn tables_names_and_documents() {
        let (kinds, message) = network();
        let kind = kinds.find("network").unwrap();
        let show = |format| resources(format, kind, std::slice::from_ref(&message), &message).unwrap();
        let table = show(Format::Table);
        assert_eq!(table, "NAME  CLOUD  LOCATION  RANGES                     STATE      AGE\nn1    lab    sim-1     10.0.0.0/16,2001:db8::/56  AVAILABLE  -\n");
        assert!(show(Format::Wide).contains("a=1,b=2") && !table.contains("a=1"));
        assert_eq!(show(Format::Name), "clouds/lab/locations/sim-1/networks/n1\n");
        let json: serde_json::Value = serde_json::from_str(&show(Format::Json)).unwrap();
        assert_eq!(json["effectiveCidrs"][0], "10.0.0.0/16");
        let yaml: serde_json::Value = serde_saphyr::from_str(&show(Format::Yaml)).unwrap();
        assert_eq!(yaml, json);
    }
    #[test]
    fn an_empty_list_still_has_its_head() {
        let (kinds, message) = network();
        let kind = kinds.find("network").unwrap();
        assert!(resources(Format::Table, kind, &[], &message).unwrap().starts_with("NAME"));
    }
    #[test]
    fn ages_are_short() {
        assert_eq!([5, 119, 120, 7199, 7200, 172_799, 172_800].map(span), ["5s", "119s", "2m", "119m", "2h", "47h", "2d"]);
    }
}
