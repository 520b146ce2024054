//! The flags of `create` and `update`, made from the message's descriptor, and back again to the message.

use crate::{
    failure::Failure,
    kind::{Kind, Kinds, behaviours, comment, flag_name, inputs},
    word::kebab,
};
use clap::{
    Arg, ArgAction, ArgMatches, ValueHint,
    builder::{PossibleValuesParser, ValueParser},
};
use prost_reflect::{DynamicMessage, EnumDescriptor, FieldDescriptor, Kind as Type, MessageDescriptor};
use serde_json::{Map, Value, json};

/// One field that can be set, and its flag.
#[derive(Debug, Clone)]
pub(crate) struct Flag {
    /// `root-disk-size-gib`
    pub(crate) name: String,
    /// `root_disk.size_gib`
    pub(crate) path: String,
    field: FieldDescriptor,
}

/// The flags of a kind.
pub(crate) fn flags(kind: &Kind) -> Vec<Flag> {
    of(kind.inputs())
}
/// The flags of these fields. A nested message's fields follow with its name in front.
pub(crate) fn of(fields: Vec<FieldDescriptor>) -> Vec<Flag> {
    let mut out = Vec::new();
    collect(fields, "", "", &mut out);
    out
}
fn collect(fields: Vec<FieldDescriptor>, flag_prefix: &str, path_prefix: &str, out: &mut Vec<Flag>) {
    for field in fields {
        let (name, path) = (format!("{flag_prefix}{}", flag_name(&field)), format!("{path_prefix}{}", field.name()));
        match field.kind() {
            Type::Message(nested) if !field.is_map() && !field.is_list() && !nested.full_name().starts_with("google.protobuf.") => {
                collect(inputs(&nested), &format!("{name}-"), &format!("{path}."), out);
            }
            _ => out.push(Flag { name, path, field }),
        }
    }
}

impl Flag {
    /// As clap knows it; a text that is only sent can come from a file, because a command line can be seen by others.
    pub(crate) fn args(&self) -> Vec<Arg> {
        let (what, help) = (self.value(), self.help());
        let arg = Arg::new(self.name.clone()).long(self.name.clone()).help(help).help_heading("Fields");
        let arg = if self.field.is_map() {
            arg.value_name("KEY=VALUE").action(ArgAction::Append).value_parser(key_and_value)
        } else if self.field.is_list() {
            arg.value_name(what.shown).action(ArgAction::Append).value_parser(what.parser)
        } else if matches!(self.field.kind(), Type::Bool) {
            arg.value_name("true|false").num_args(0..=1).require_equals(true).default_missing_value("true").value_parser(["true", "false"]).hide_possible_values(true)
        } else {
            arg.value_name(what.shown).action(ArgAction::Set).value_parser(what.parser).allow_hyphen_values(what.numeric)
        };
        if !self.can_come_from_a_file() {
            return vec![arg];
        }
        let file = Arg::new(self.file_name()).long(self.file_name()).value_name("FILE").value_hint(ValueHint::FilePath).conflicts_with(&self.name);
        vec![arg, file.help(format!("As --{}, from a file (- for standard input)", self.name)).help_heading("Fields")]
    }
    fn file_name(&self) -> String {
        format!("{}-file", self.name)
    }
    fn can_come_from_a_file(&self) -> bool {
        matches!(self.field.kind(), Type::String) && !self.field.is_list() && behaviours(&self.field).iter().any(|b| b == "INPUT_ONLY")
    }
    fn value(&self) -> ValueKind {
        let text = |shown: &'static str| ValueKind { shown, parser: clap::value_parser!(String), numeric: false };
        match self.field.kind() {
            Type::Enum(values) => ValueKind { shown: "VALUE", parser: PossibleValuesParser::new(enum_words(&values)).into(), numeric: false },
            Type::Uint32 | Type::Fixed32 => ValueKind { shown: "NUMBER", parser: clap::value_parser!(u32).into(), numeric: true },
            Type::Uint64 | Type::Fixed64 => ValueKind { shown: "NUMBER", parser: clap::value_parser!(u64).into(), numeric: true },
            Type::Int32 | Type::Sint32 | Type::Sfixed32 => ValueKind { shown: "NUMBER", parser: clap::value_parser!(i32).into(), numeric: true },
            Type::Int64 | Type::Sint64 | Type::Sfixed64 => ValueKind { shown: "NUMBER", parser: clap::value_parser!(i64).into(), numeric: true },
            Type::Float | Type::Double => ValueKind { shown: "NUMBER", parser: clap::value_parser!(f64).into(), numeric: true },
            Type::Message(_) if self.field.is_list() => text("FIELD=VALUE,..."),
            Type::Message(_) => text("JSON"),
            Type::Bool | Type::String | Type::Bytes => text("VALUE"),
        }
    }
    /// The field's comment in the API's definition, its first paragraph.
    fn help(&self) -> String {
        let comment = comment(&self.field.parent_file(), self.field.path());
        let required = if behaviours(&self.field).iter().any(|b| b == "REQUIRED") { " (required)" } else { "" };
        format!("{comment}{required}")
    }
    /// What the command line says of this field, in protobuf's JSON; None where it says nothing.
    fn given(&self, matches: &ArgMatches) -> Result<Option<Value>, Failure> {
        if self.can_come_from_a_file()
            && let Some(path) = matches.get_one::<String>(&self.file_name())
        {
            return Ok(Some(Value::String(crate::input::read(path)?)));
        }
        let Some(raw) = matches.get_raw(&self.name) else { return Ok(None) };
        let texts: Vec<String> = raw.map(|r| r.to_string_lossy().into_owned()).collect();
        if self.field.is_map() {
            let entries: Map<String, Value> = texts.iter().filter_map(|t| t.split_once('=')).map(|(k, v)| (k.to_owned(), json!(v))).collect();
            return Ok(Some(Value::Object(entries)));
        }
        let mut values = texts.iter().map(|t| self.json(t)).collect::<Result<Vec<_>, _>>()?;
        Ok(if self.field.is_list() { Some(Value::Array(values)) } else { values.pop() })
    }
    /// An item of a list of messages, by its fields as flags call them: `direction=ingress,protocol=tcp,cidr=10.0.0.0/8,cidr=::/0,same-group`.
    fn item(&self, item: &MessageDescriptor, text: &str) -> Result<Value, Failure> {
        let mut known = Vec::new();
        collect(inputs(item), "", "", &mut known);
        let mut body = Value::Object(Map::new());
        for part in text.split(',') {
            let (name, value) = part.split_once('=').unwrap_or((part, "true"));
            let Some(flag) = known.iter().find(|f| f.name == name) else {
                let names: Vec<&str> = known.iter().map(|f| f.name.as_str()).collect();
                return Err(Failure::usage(format!("--{}: {name:?} is not a field of it: {}", self.name, names.join(", "))));
            };
            let value = flag.json(value)?;
            let one_more = body.get_mut(&flag.path).and_then(Value::as_array_mut).filter(|_| flag.field.is_list());
            match one_more {
                Some(items) => items.push(value),
                None if flag.field.is_list() => put(&mut body, &flag.path, Value::Array(vec![value])),
                None => put(&mut body, &flag.path, value),
            }
        }
        Ok(body)
    }
    fn json(&self, text: &str) -> Result<Value, Failure> {
        match self.field.kind() {
            Type::Bool => Ok(Value::Bool(text == "true")),
            Type::Enum(values) => Ok(json!(format!("{}{}", enum_prefix(&values), text.to_ascii_uppercase().replace('-', "_")))),
            Type::Message(item) if self.field.is_list() && !text.starts_with('{') => self.item(&item, text),
            Type::Message(_) => serde_json::from_str(text).map_err(|e| Failure::usage(format!("--{}: not JSON: {e}", self.name))),
            // Numbers too: protobuf's JSON takes them as text.
            _ => Ok(json!(text)),
        }
    }
}

struct ValueKind {
    shown: &'static str,
    parser: ValueParser,
    numeric: bool,
}

fn key_and_value(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((key, _)) if !key.is_empty() => Ok(text.to_owned()),
        _ => Err("write it KEY=VALUE".into()),
    }
}

/// `STATE_` of `State`'s values.
fn enum_prefix(values: &EnumDescriptor) -> String {
    format!("{}_", kebab(values.name()).replace('-', "_").to_ascii_uppercase())
}
fn enum_words(values: &EnumDescriptor) -> Vec<String> {
    let prefix = enum_prefix(values);
    values.values().filter(|v| v.number() != 0).map(|v| kebab(&v.name().strip_prefix(&prefix).unwrap_or(v.name()).to_ascii_lowercase())).collect()
}

/// What the flags say: the message, and the paths of the fields that were given.
pub(crate) fn message(message: &MessageDescriptor, fields: Vec<FieldDescriptor>, matches: &ArgMatches) -> Result<(DynamicMessage, Vec<String>), Failure> {
    let (mut body, mut paths) = (Value::Object(Map::new()), Vec::new());
    for flag in of(fields) {
        if let Some(value) = flag.given(matches)? {
            put(&mut body, &flag.path, value);
            paths.push(flag.path);
        }
    }
    let message = DynamicMessage::deserialize(message.clone(), body).map_err(|e| Failure::usage(format!("the flags are not a {}: {e}", message.name())))?;
    Ok((message, paths))
}
fn put(body: &mut Value, path: &str, value: Value) {
    let mut at = body;
    for part in path.split('.') {
        // A null becomes an object by being indexed.
        at = &mut at[part];
    }
    *at = value;
}

/// What sets the field of a violation: `cidrs[0]` is `--cidr`. None for what nothing on the command line sets.
pub(crate) fn of_field(kinds: &Kinds, kind: &str, field: &str) -> Option<String> {
    let kind = kinds.all.iter().find(|k| k.name == kind)?;
    let path = field.split('[').next()?;
    if path == format!("{}_id", kind.field()) {
        return Some("ID".to_owned());
    }
    let path = path.strip_prefix(&format!("{}.", kind.field())).unwrap_or(path);
    let arguments = kind.own_verbs().into_iter().flat_map(|verb| of(kind.arguments(&verb)));
    flags(kind).into_iter().chain(arguments).find(|f| f.path == path).map(|f| format!("--{}", f.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Command;

    fn parse(kind: &str, line: &[&str]) -> Result<(DynamicMessage, Vec<String>), String> {
        let kinds = Kinds::new();
        let kind = kinds.find(kind).unwrap();
        let command = Command::new("create").args(flags(kind).iter().flat_map(Flag::args)).no_binary_name(true);
        let matches = command.try_get_matches_from(line).map_err(|e| e.to_string())?;
        message(&kind.message, kind.inputs(), &matches).map_err(|f| f.to_string())
    }
    fn json_of(message: &DynamicMessage) -> Value {
        serde_json::to_value(message).unwrap()
    }

    #[test]
    fn flags_follow_from_the_descriptor() {
        let kinds = Kinds::new();
        let names = |kind: &str| flags(kinds.find(kind).unwrap()).into_iter().map(|f| f.name).collect::<Vec<_>>();
        assert_eq!(names("network"), ["cidr", "assign-ipv6-cidr", "internet-access", "label", "provider-config"]);
        let instance = names("instance");
        for flag in [
            "zone",
            "machine-type",
            "image",
            "subnet",
            "private-ip",
            "assign-public-ip",
            "ssh-key",
            "user-data",
            "root-disk-size-gib",
            "root-disk-disk-type",
            "root-disk-encrypted",
            "label",
        ] {
            assert!(instance.iter().any(|n| n == flag), "{flag} is not among {instance:?}");
        }
        assert!(names("image").is_empty());
    }
    #[test]
    fn every_flag_has_the_fields_comment_as_its_help() {
        let kinds = Kinds::new();
        for flag in kinds.all.iter().flat_map(flags) {
            assert!(!flag.help().is_empty(), "{}", flag.name);
        }
    }
    #[test]
    fn values_reach_their_fields() {
        let line = ["--machine-type", "small", "--image=debian-12", "--private-ip", "10.0.0.4", "--private-ip", "2001:db8::4", "--assign-public-ip", "--ip-forwarding=false"];
        let more = ["--root-disk-size-gib", "20", "--root-disk-encrypted", "--label", "env=prod", "--label", "note=a=b"];
        let (message, paths) = parse("instance", &[&line[..], &more[..]].concat()).unwrap();
        let expected = json!({"machineType": "small", "image": "debian-12", "privateIps": ["10.0.0.4", "2001:db8::4"], "assignPublicIp": true,
            "rootDisk": {"sizeGib": 20, "encrypted": true}, "labels": {"env": "prod", "note": "a=b"}});
        assert_eq!(json_of(&message), expected);
        // In a mask for an update an explicit false counts.
        assert!(paths.contains(&"ip_forwarding".into()) && paths.contains(&"root_disk.size_gib".into()) && !paths.contains(&"zone".into()), "{paths:?}");
    }
    #[test]
    fn an_item_of_a_list_is_written_in_its_own_fields() {
        let line = ["--network=n1", "--rule", "direction=ingress,protocol=tcp,from-port=22,to-port=22,cidr=10.0.0.0/8,cidr=::/0,same-group", "--rule"];
        let json = r#"{"direction": "DIRECTION_EGRESS", "protocol": "all", "cidrs": ["0.0.0.0/0"]}"#;
        let (message, paths) = parse("securityGroup", &[&line[..], &[json]].concat()).unwrap();
        let first = json!({"direction": "DIRECTION_INGRESS", "protocol": "tcp", "fromPort": 22, "toPort": 22, "cidrs": ["10.0.0.0/8", "::/0"], "sameGroup": true});
        let second = json!({"direction": "DIRECTION_EGRESS", "protocol": "all", "cidrs": ["0.0.0.0/0"]});
        assert_eq!((json_of(&message), paths), (json!({"network": "n1", "rules": [first, second]}), vec!["network".to_owned(), "rules".to_owned()]));
        let why = parse("securityGroup", &["--rule", "port=22"]).unwrap_err();
        assert!(why.contains("--rule") && why.contains("from-port"), "{why}");
    }
    #[test]
    fn a_secret_text_can_come_from_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("boot.sh");
        std::fs::write(&file, "#!/bin/sh\n").unwrap();
        let (message, _) = parse("instance", &["--user-data-file", file.to_str().unwrap()]).unwrap();
        assert_eq!(json_of(&message), json!({"userData": "#!/bin/sh\n"}));
        assert!(parse("instance", &["--user-data-file", "/nowhere/at/all"]).unwrap_err().contains("/nowhere/at/all"));
    }
    #[test]
    fn wrong_values_are_refused_with_the_flags_name() {
        for (line, word) in [
            (vec!["--root-disk-size-gib", "much"], "--root-disk-size-gib"),
            (vec!["--label", "novalue"], "KEY=VALUE"),
            (vec!["--provider-config", "{"], "--provider-config"),
            (vec!["--colour", "red"], "--colour"),
        ] {
            let why = parse("instance", &line).unwrap_err();
            assert!(why.contains(word), "{why}");
        }
    }
    #[test]
    fn a_violation_is_shown_with_its_flag() {
        let kinds = Kinds::new();
        assert_eq!(of_field(&kinds, "Network", "cidrs[0]").as_deref(), Some("--cidr"));
        assert_eq!(of_field(&kinds, "Network", "network.cidrs[1]").as_deref(), Some("--cidr"));
        assert_eq!(of_field(&kinds, "Instance", "root_disk.size_gib").as_deref(), Some("--root-disk-size-gib"));
        assert_eq!(of_field(&kinds, "Instance", "labels[\"k\"]").as_deref(), Some("--label"));
        assert_eq!(of_field(&kinds, "Network", "network_id").as_deref(), Some("ID"));
        assert_eq!(of_field(&kinds, "Network", "state"), None);
    }
}
