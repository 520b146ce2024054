//! Operations of the engine as `google.longrunning.Operation`, and back.

use super::{Mutable, Resource, error, full_name, millis, pack, split_name, timestamp, unpack};
use crate::api::{
    google::longrunning::{Operation as Message, operation::Result as End},
    v1::{OperationMetadata, operation_metadata::Phase as Stage},
};
use prost::Message as _;
use prost_types::Any;
use serde_json::Value;
use welkin_core::{Error, Object, Result, with_any_kind, with_kind};
use welkin_engine::{Operation, Outcome, Phase};

const PHASES: &[(Phase, Stage)] = &[(Phase::Pending, Stage::Pending), (Phase::Running, Stage::Running), (Phase::Cleaning, Stage::Cleaning), (Phase::Ended, Stage::Ended)];

/// What answers where there is no resource to answer with.
const EMPTY: &str = "type.googleapis.com/google.protobuf.Empty";

/// The message.
///
/// # Errors
/// `Internal` where the outcome is none of the operation's kind.
pub fn encode(operation: &Operation) -> Result<Message> {
    let cloud = &*operation.cloud;
    let metadata = OperationMetadata {
        verb: operation.verb.clone(),
        target: full_name(cloud, &operation.target),
        phase: PHASES.iter().find(|(p, _)| *p == operation.phase).map_or(0, |(_, s)| *s as i32),
        steps_done: operation.steps,
        progress: operation.progress.clone(),
        create_time: Some(timestamp(operation.created_ms)),
        update_time: Some(timestamp(operation.updated_ms)),
        request_id: operation.request_id.clone().unwrap_or_default(),
        uid: operation.uid.as_ref().map(ToString::to_string).unwrap_or_default(),
    };
    let end = match &operation.end {
        None => None,
        Some(Err(e)) => Some(End::Error(error::to_proto(e, Some(cloud)))),
        Some(Ok(Outcome::Object(value))) => {
            Some(End::Response(with_any_kind!(operation.collection.as_str(), K => resource::<K>(cloud, value)?, else return Err(unknown_kind(&operation.collection)))))
        }
        Some(Ok(Outcome::Acted(value))) => {
            let own = with_kind!(operation.collection.as_str(), K => acted::<K>(cloud, value)?, else return Err(unknown_kind(&operation.collection)));
            Some(End::Response(own.unwrap_or_else(|| Any { type_url: EMPTY.into(), value: Vec::new() })))
        }
        Some(Ok(Outcome::Deleted | Outcome::Validated)) => Some(End::Response(Any { type_url: EMPTY.into(), value: Vec::new() })),
    };
    let name = if operation.id.is_empty() { String::new() } else { format!("clouds/{cloud}/operations/{}", operation.id) };
    Ok(Message { name, metadata: Some(pack(&metadata)), done: end.is_some(), result: end })
}
fn resource<K: Resource>(cloud: &str, value: &Value) -> Result<Any> {
    let object: Object<K> = serde::Deserialize::deserialize(value).map_err(|e| Error::internal("an operation's outcome cannot be read").with_source(e))?;
    Ok(pack(&K::encode(cloud, object)?))
}
fn acted<K: Mutable>(cloud: &str, value: &Value) -> Result<Option<Any>> {
    let outcome: K::Outcome = serde::Deserialize::deserialize(value).map_err(|e| Error::internal("what a verb came to cannot be read").with_source(e))?;
    Ok(K::encode_outcome(cloud, outcome))
}
fn acted_again<K: Mutable>(any: &Any) -> Result<Value> {
    serde_json::to_value(K::decode_outcome(any)?).map_err(|e| Error::internal("what a verb came to does not serialise").with_source(e))
}
fn unknown_kind(collection: &str) -> Error {
    Error::internal(format!("an operation is about {collection}, which is no kind"))
}

/// The operation again, as a server of this API has sent it.
///
/// # Errors
/// `Internal` for what no server of this API sends.
pub fn decode(message: Message) -> Result<Operation> {
    let metadata = match &message.metadata {
        Some(any) if any.type_url.ends_with("welkin.v1.OperationMetadata") => OperationMetadata::decode(any.value.as_slice()).ok(),
        _ => None,
    };
    let metadata = metadata.ok_or_else(|| Error::internal(format!("operation {} has no metadata", message.name)))?;
    let (cloud, target) = split_name(&metadata.target)?;
    let collection = target.rsplit('/').nth(1).unwrap_or_default();
    let end = match message.result {
        _ if !message.done => None,
        Some(End::Error(status)) => Some(Err(error::from_proto(&status))),
        Some(End::Response(any)) if any.type_url == EMPTY => Some(Ok(if matches!(metadata.verb.as_str(), "delete" | "release") {
            Outcome::Deleted
        } else if matches!(metadata.verb.as_str(), "create" | "adopt" | "update") {
            Outcome::Validated
        } else {
            Outcome::Acted(Value::Null)
        })),
        Some(End::Response(any)) if !matches!(metadata.verb.as_str(), "create" | "adopt" | "update") => {
            Some(Ok(Outcome::Acted(with_kind!(collection, K => acted_again::<K>(&any)?, else return Err(unknown_kind(collection))))))
        }
        Some(End::Response(any)) => Some(Ok(Outcome::Object(with_any_kind!(collection, K => outcome::<K>(cloud, &any)?, else return Err(unknown_kind(collection)))))),
        None => return Err(Error::internal(format!("operation {} has ended without a result", message.name))),
    };
    let phase = Stage::try_from(metadata.phase).ok().and_then(|s| PHASES.iter().find(|(_, stage)| *stage == s)).map_or(Phase::Running, |(p, _)| *p);
    Ok(Operation {
        id: message.name.rsplit('/').next().unwrap_or_default().to_owned(),
        cloud: cloud.into(),
        collection: collection.to_owned(),
        verb: metadata.verb,
        target: target.to_owned(),
        request_id: (!metadata.request_id.is_empty()).then_some(metadata.request_id),
        uid: if metadata.uid.is_empty() { None } else { Some(metadata.uid.parse()?) },
        phase,
        steps: metadata.steps_done,
        progress: metadata.progress,
        created_ms: metadata.create_time.as_ref().map_or(0, millis),
        updated_ms: metadata.update_time.as_ref().map_or(0, millis),
        end,
    })
}
fn outcome<K: Resource>(cloud: &str, any: &Any) -> Result<Value> {
    let message = unpack::<K::Message>(any, &format!("an operation on {}", K::COLLECTION))?;
    serde_json::to_value(K::decode(cloud, message)?).map_err(|e| Error::internal("an object does not serialise").with_source(e))
}
