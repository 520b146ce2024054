//! `create`, `update`, `delete` and the kinds' own verbs: a call that answers an operation, and what becomes of it.

use crate::{
    call::Api,
    failure::{Exit, Failure},
    flag, input,
    kind::{Kind, inputs},
    message::{last_part, set, text, with},
    operation,
    output::{self, Format, note},
    place::{self, Place},
};
use clap::ArgMatches;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind as Type, MessageDescriptor, MethodDescriptor, ReflectMessage as _, Value};
use std::time::Duration;

/// What every mutation takes.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) format: Format,
    pub(crate) place: Place,
    /// Do not wait for the end.
    pub(crate) detached: bool,
    pub(crate) wait_timeout: Duration,
    pub(crate) dry_run: bool,
    pub(crate) request_id: String,
    pub(crate) etag: String,
    pub(crate) allow_missing: bool,
    /// Of create: what to adopt instead; empty for nothing.
    pub(crate) adopt: String,
    /// Of delete: only manage it no longer.
    pub(crate) release: bool,
}

impl Options {
    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("request_id", Value::String(self.request_id.clone())),
            ("validate_only", Value::Bool(self.dry_run)),
            ("etag", Value::String(self.etag.clone())),
            ("allow_missing", Value::Bool(self.allow_missing)),
            ("adopt", Value::String(self.adopt.clone())),
            ("release", Value::Bool(self.release)),
        ]
    }
}

/// What is in the file and in the flags; a flag overrides the file, and adds to its lists.
fn body(kind: &Kind, file: Option<&str>, flags: &ArgMatches) -> Result<(DynamicMessage, Vec<String>), Failure> {
    form(&kind.message, kind.inputs(), file, flags)
}
fn form(of: &MessageDescriptor, fields: Vec<FieldDescriptor>, file: Option<&str>, flags: &ArgMatches) -> Result<(DynamicMessage, Vec<String>), Failure> {
    let (given, mut paths) = flag::message(of, fields, flags)?;
    let Some(file) = file else { return Ok((given, paths)) };
    let (mut message, written) = input::message(of, file)?;
    for path in &paths {
        put(&mut message, &given, path);
    }
    paths.extend(inputs_in(&written, "", &inputs(of)));
    paths.sort();
    paths.dedup();
    Ok((message, paths))
}
/// Puts one field over: on the wire a false or a 0 would be lost.
fn put(to: &mut DynamicMessage, from: &DynamicMessage, path: &str) {
    let (name, below) = path.split_once('.').map_or((path, None), |(name, below)| (name, Some(below)));
    let Some(field) = to.descriptor().get_field_by_name(name) else { return };
    let value = from.get_field(&field).into_owned();
    match (to.get_field_mut(&field), value, below) {
        (Value::Message(to), Value::Message(from), Some(below)) => put(to, &from, below),
        (Value::List(items), Value::List(more), _) => items.extend(more),
        (Value::Map(entries), Value::Map(more), _) => entries.extend(more),
        (old, new, _) => *old = new,
    }
}
/// The paths of the fields that a file has, also with nothing in them: an update takes their values away.
fn inputs_in(written: &serde_json::Value, prefix: &str, fields: &[FieldDescriptor]) -> Vec<String> {
    let mut paths = Vec::new();
    for field in fields.iter().filter(|f| f.name() != "etag") {
        let Some(value) = written.get(field.json_name()).or_else(|| written.get(field.name())) else { continue };
        let path = format!("{prefix}{}", field.name());
        match field.kind() {
            Type::Message(below) if value.is_object() && !field.is_list() && !field.is_map() && !below.full_name().starts_with("google.protobuf.") => {
                paths.extend(inputs_in(value, &format!("{path}."), &inputs(&below)));
            }
            _ => paths.push(path),
        }
    }
    paths
}

/// `welkin create KIND ID`.
pub(crate) async fn create(api: &Api, kind: &Kind, id: Option<&str>, file: Option<&str>, flags: &ArgMatches, options: &Options) -> Result<(), Failure> {
    let method = method(api, kind, "create")?;
    let (mut resource, _) = body(kind, file, flags)?;
    let in_file = text(&resource, "name");
    let id = id.unwrap_or(&in_file);
    if id.is_empty() {
        return Err(Failure::usage(format!("which id shall the {} have? Give it after the kind, or as the file's name", kind.singular())));
    }
    let name = options.place.name(api, kind, id).await?;
    let parent = name.rsplitn(3, '/').nth(2).unwrap_or_default().to_owned();
    set(&mut resource, "name", Value::String(String::new()));
    place::resolve(api, &parent, &mut resource).await.map_err(|e| explained(api, kind, e))?;
    let mut request = with(&method.input(), options.fields());
    set(&mut request, "parent", Value::String(parent));
    set(&mut request, &format!("{}_id", kind.field()), Value::String(last_part(&name).to_owned()));
    set(&mut request, &kind.field(), Value::Message(resource));
    finish(api, kind, &method, request, &name, options).await
}

/// `welkin update KIND ID`: the mask is what was given, and what is to be cleared.
pub(crate) async fn update(api: &Api, kind: &Kind, id: &str, file: Option<&str>, clear: &[String], flags: &ArgMatches, options: &Options) -> Result<(), Failure> {
    let method = method(api, kind, "update")?;
    let (mut resource, mut paths) = body(kind, file, flags)?;
    for word in clear {
        let known = flag::flags(kind).into_iter().find(|f| f.name == *word || f.path == *word);
        let known = known.ok_or_else(|| Failure::usage(format!("--clear {word}: a {} has no such field", kind.singular())))?;
        if paths.contains(&known.path) {
            return Err(Failure::usage(format!("--clear {word}: the field cannot be set and cleared at once")));
        }
        paths.push(known.path);
    }
    if paths.is_empty() {
        return Err(Failure::usage("nothing to change: give the fields' flags, a file with -f, or --clear FIELD"));
    }
    let name = options.place.name(api, kind, id).await?;
    place::resolve(api, name.rsplitn(3, '/').nth(2).unwrap_or_default(), &mut resource).await.map_err(|e| explained(api, kind, e))?;
    set(&mut resource, "name", Value::String(name.clone()));
    if !options.etag.is_empty() {
        set(&mut resource, "etag", Value::String(options.etag.clone()));
    }
    let mut request = with(&method.input(), options.fields());
    set(&mut request, &kind.field(), Value::Message(resource));
    if let Some(mask) = method.input().get_field_by_name("update_mask").and_then(|f| f.kind().as_message().cloned()) {
        let paths = Value::List(paths.into_iter().map(Value::String).collect());
        set(&mut request, "update_mask", Value::Message(with(&mask, [("paths", paths)])));
    }
    finish(api, kind, &method, request, &name, options).await
}

/// `welkin delete KIND ID`, and the kind's own verbs; what such a verb says beside the resource is in the file.
pub(crate) async fn act(api: &Api, kind: &Kind, verb: &str, id: &str, file: Option<&str>, flags: &ArgMatches, options: &Options) -> Result<(), Failure> {
    let method = method(api, kind, verb)?;
    let (mut request, _) = form(&method.input(), kind.arguments(verb), file, flags)?;
    let name = options.place.name(api, kind, id).await?;
    for (field, value) in options.fields() {
        set(&mut request, field, value);
    }
    set(&mut request, "name", Value::String(name.clone()));
    finish(api, kind, &method, request, &name, options).await
}

fn method(api: &Api, kind: &Kind, verb: &str) -> Result<MethodDescriptor, Failure> {
    api.kinds.method(kind, verb).map_err(Failure::usage)
}
fn explained(api: &Api, kind: &Kind, failure: Failure) -> Failure {
    failure.with_flags(|field| flag::of_field(&api.kinds, &kind.name, field))
}

/// Sends the request, waits for its operation, and shows what came of it.
async fn finish(api: &Api, kind: &Kind, method: &MethodDescriptor, request: DynamicMessage, name: &str, options: &Options) -> Result<(), Failure> {
    let accepted = api.call(method, request).await.map_err(|e| explained(api, kind, e))?;
    if options.dry_run {
        operation::outcome(api, &accepted).map_err(|e| explained(api, kind, e))?;
        note("every check passed; nothing was changed");
        return Ok(());
    }
    if options.detached {
        return operation::show_all(api, options.format, std::slice::from_ref(&accepted), &accepted);
    }
    let ended = operation::wait(api, accepted, options.wait_timeout).await?;
    let resource = operation::outcome(api, &ended).map_err(|e| explained(api, kind, e))?;
    if let Some(answer) = operation::answer(&ended) {
        output::print(&output::answer(options.format, &answer)?)?;
        let (all, refused) = output::refused(&answer);
        return if refused == 0 { Ok(()) } else { Err(Failure::failed(format!("{refused} of {all} were refused"))) };
    }
    show(api, kind, name, resource, &ended, options, method).await
}

async fn show(api: &Api, kind: &Kind, name: &str, resource: Option<DynamicMessage>, ended: &DynamicMessage, options: &Options, method: &MethodDescriptor) -> Result<(), Failure> {
    if method.name().starts_with("Delete") {
        return match options.format {
            Format::Json | Format::Yaml => output::print(&output::document(options.format, ended)?),
            Format::Name => output::print(&format!("{name}\n")),
            Format::Table | Format::Wide => output::print(&format!("{name} {}\n", if options.release { "released" } else { "deleted" })),
        };
    }
    let resource = match (resource, kind.method("get")) {
        (Some(resource), _) => Some(resource),
        // A verb answers nothing of its own, and what it did shows in the resource.
        (None, Some(get)) => match api.call(&get, with(&get.input(), [("name", Value::String(name.to_owned()))])).await {
            Ok(resource) => Some(resource),
            Err(e) if e.exit == Exit::NotFound => None,
            Err(e) => return Err(e.with_note("the operation itself succeeded")),
        },
        (None, None) => None,
    };
    match resource {
        Some(resource) => output::print(&output::resources(options.format, kind, std::slice::from_ref(&resource), &resource)?),
        None => operation::show_all(api, options.format, std::slice::from_ref(ended), ended),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Kinds;
    use clap::Command;
    use serde_json::json;

    fn body_of(text: &str, line: &[&str]) -> (serde_json::Value, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("web.yaml");
        std::fs::write(&file, text).unwrap();
        let kinds = Kinds::new();
        let kind = kinds.find("instance").unwrap();
        let command = Command::new("update").args(flag::flags(kind).iter().flat_map(flag::Flag::args)).no_binary_name(true);
        let (message, paths) = body(kind, file.to_str(), &command.get_matches_from(line)).unwrap();
        (serde_json::to_value(&message).unwrap(), paths)
    }
    #[test]
    fn flags_override_the_file_and_the_mask_has_both() {
        let text = "machine_type: small\nroot_disk:\n  size_gib: 8\n  disk_type: gp3\nlabels: {a: '1'}\nprivate_ips: [10.0.0.4]\nstate: STATE_RUNNING\n";
        let (json, paths) = body_of(text, &["--machine-type", "large", "--label", "b=2", "--private-ip", "10.0.0.5", "--root-disk-size-gib", "9"]);
        assert_eq!((json["machineType"].as_str(), &json["rootDisk"]), (Some("large"), &json!({"sizeGib": 9, "diskType": "gp3"})));
        assert_eq!((&json["labels"], &json["privateIps"]), (&json!({"a": "1", "b": "2"}), &json!(["10.0.0.4", "10.0.0.5"])));
        // What only the server says is not part of what is asked for.
        assert_eq!(paths, ["labels", "machine_type", "private_ips", "root_disk.disk_type", "root_disk.size_gib"]);
    }
    #[test]
    fn what_is_false_or_empty_counts_in_flags_and_in_files() {
        let (json, paths) = body_of("ip_forwarding: true\nrootDisk: {encrypted: true}\n", &["--ip-forwarding=false", "--root-disk-encrypted=false"]);
        assert_eq!((json, paths), (json!({"rootDisk": {"encrypted": false}}), vec!["ip_forwarding".to_owned(), "root_disk.encrypted".to_owned()]));
        let (json, paths) = body_of("ipForwarding: false\nlabels: {}\nroot_disk: {encrypted: false}\n", &[]);
        assert_eq!((json, paths), (json!({"rootDisk": {"encrypted": false}}), vec!["ip_forwarding".to_owned(), "labels".to_owned(), "root_disk.encrypted".to_owned()]));
    }
}
