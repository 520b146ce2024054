//! Quotas.

use super::{Head, Resource, catalogue_head};
use crate::api::v1;
use welkin_core::{Object, Quota, QuotaSpec, QuotaStatus, Result};

impl Resource for Quota {
    type Message = v1::Quota;
    const SERVICE: &'static str = "welkin.v1.Quotas";

    fn encode(cloud: &str, object: Object<Self>) -> Result<v1::Quota> {
        let (h, QuotaSpec {}, status) = Head::split(cloud, object);
        Ok(v1::Quota {
            name: h.name,
            vendor_id: h.vendor_id,
            provider_id: h.provider_id,
            etag: h.etag,
            create_time: h.create_time,
            revision: h.revision,
            display_name: status.display_name,
            service: status.service,
            collection: status.collection,
            per: status.per,
            limit: status.limit,
            used: status.used,
            unit: status.unit,
            unknown_reason: status.unknown_reason,
            adjustable: status.adjustable,
        })
    }
    fn decode(cloud: &str, mut m: v1::Quota) -> Result<Object<Self>> {
        let take = std::mem::take::<String>;
        let status = QuotaStatus {
            display_name: take(&mut m.display_name),
            service: take(&mut m.service),
            collection: take(&mut m.collection),
            per: take(&mut m.per),
            limit: m.limit,
            used: m.used,
            unit: take(&mut m.unit),
            unknown_reason: take(&mut m.unknown_reason),
            adjustable: m.adjustable,
        };
        catalogue_head!(m).join(cloud, QuotaSpec {}, status)
    }
}
