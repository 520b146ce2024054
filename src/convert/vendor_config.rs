//! `provider_config`: any message of `welkin.provider.<vendor>.v1`, by its descriptor.
//!
//! This is the only place that needs reflection, and only for resources that have such a configuration.

use super::Scope;
use crate::api::descriptor_pool;
use prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor, SerializeOptions};
use prost_types::Any;
use welkin_core::{Error, Kind, Result, VendorConfig};

/// What every type of a vendor begins with.
const PACKAGE: &str = "welkin.provider.";

/// What the API knows of vendors' messages.
#[derive(Debug)]
pub enum Extensions {}
impl Extensions {
    /// The full names of the messages of one vendor.
    pub fn of(vendor: &str) -> impl Iterator<Item = String> {
        let package = format!("{PACKAGE}{vendor}.v1.");
        descriptor_pool().all_messages().map(|m| m.full_name().to_owned()).filter(move |name| name.starts_with(&package))
    }
}

fn descriptor(type_name: &str) -> Option<MessageDescriptor> {
    type_name.starts_with(PACKAGE).then(|| descriptor_pool().get_message_by_name(type_name)).flatten()
}

/// The message of a vendor's configuration.
pub(super) fn encode(config: Option<VendorConfig>) -> Result<Option<Any>> {
    let Some(config) = config else { return Ok(None) };
    let name = &config.type_name;
    let descriptor = descriptor(name).ok_or_else(|| Error::invalid("provider_config", format!("{name} is not a message of this API")))?;
    let message = DynamicMessage::deserialize(descriptor, config.body).map_err(|e| Error::invalid("provider_config", format!("it is not a {name}: {e}")))?;
    Ok(Some(Any { type_url: format!("type.googleapis.com/{name}"), value: message.encode_to_vec() }))
}

/// A vendor's configuration from its message.
pub(super) fn decode(any: Option<Any>) -> Result<Option<VendorConfig>> {
    let Some(any) = any else { return Ok(None) };
    let refuse = |why: String| Error::invalid("provider_config", why);
    let type_name = any.type_url.rsplit('/').next().unwrap_or_default();
    let descriptor = descriptor(type_name).ok_or_else(|| refuse(format!("{type_name:?} is not a vendor's message that this server knows")))?;
    let message = DynamicMessage::decode(descriptor, any.value.as_slice()).map_err(|e| refuse(format!("it is not a {type_name}: {e}")))?;
    if message.unknown_fields().next().is_some() {
        return Err(refuse(format!("it has a field that this server's {type_name} does not have")));
    }
    // The names of the proto file and plain numbers, as the providers' own types have them.
    let options = SerializeOptions::new().use_proto_field_name(true).stringify_64_bit_integers(false);
    let body = message.serialize_with_options(serde_json::value::Serializer, &options).map_err(|e| Error::internal("a vendor's configuration has no JSON form").with_source(e))?;
    Ok(Some(VendorConfig { type_name: type_name.to_owned(), body }))
}

impl<K: Kind> Scope<'_, K> {
    /// A vendor's configuration, or what is wrong with it.
    pub(super) fn vendor_config(&mut self, any: Option<Any>) -> Option<VendorConfig> {
        decode(any).unwrap_or_else(|e| {
            self.wrong.extend_from_slice(e.violations());
            None
        })
    }
}
