//! Reading and writing messages by the names of their fields.

use prost_reflect::{DynamicMessage, MessageDescriptor, ReflectMessage as _, Value};

/// A message with these fields; those that it does not have are left out.
pub(crate) fn with<'a>(descriptor: &MessageDescriptor, fields: impl IntoIterator<Item = (&'a str, Value)>) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    for (name, value) in fields {
        set(&mut message, name, value);
    }
    message
}

/// Sets a field where the message has it.
pub(crate) fn set(message: &mut DynamicMessage, name: &str, value: Value) {
    if let Some(field) = message.descriptor().get_field_by_name(name) {
        message.set_field(&field, value);
    }
}

/// A text as a field's value.
pub(crate) fn text_value(text: &str) -> Value {
    Value::String(text.to_owned())
}

/// A text; empty where there is none.
pub(crate) fn text(message: &DynamicMessage, name: &str) -> String {
    message.get_field_by_name(name).and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Several texts.
pub(crate) fn texts(message: &DynamicMessage, name: &str) -> Vec<String> {
    let value = message.get_field_by_name(name);
    value.as_deref().and_then(Value::as_list).unwrap_or_default().iter().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

/// Is this set?
pub(crate) fn is_true(message: &DynamicMessage, name: &str) -> bool {
    message.get_field_by_name(name).and_then(|v| v.as_bool()).unwrap_or_default()
}

/// A message in a field, where it is set.
pub(crate) fn nested(message: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    if !message.has_field_by_name(name) {
        return None;
    }
    message.get_field_by_name(name).and_then(|v| v.as_message().cloned())
}

/// Several messages.
pub(crate) fn several(message: &DynamicMessage, name: &str) -> Vec<DynamicMessage> {
    let value = message.get_field_by_name(name);
    value.as_deref().and_then(Value::as_list).unwrap_or_default().iter().filter_map(|v| v.as_message().cloned()).collect()
}

/// What a google.protobuf.Any holds, where its type is known here.
pub(crate) fn unpacked(message: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    let any = nested(message, name)?;
    let url = text(&any, "type_url");
    let descriptor = message.descriptor().parent_pool().get_message_by_name(url.rsplit('/').next()?)?;
    let bytes = any.get_field_by_name("value")?.as_bytes()?.clone();
    DynamicMessage::decode(descriptor, bytes).ok()
}

/// The last part of a name.
pub(crate) fn last_part(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// What follows `collection` in a name: the `l` of `clouds/c/locations/l/networks/n`.
pub(crate) fn part<'a>(name: &'a str, collection: &str) -> &'a str {
    let mut parts = name.split('/');
    parts.by_ref().find(|p| *p == collection).and_then(|_| parts.next()).unwrap_or_default()
}
