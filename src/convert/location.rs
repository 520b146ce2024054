//! Locations.

use super::{Head, Resource, catalogue_head};
use crate::api::v1;
use welkin_core::{Location, LocationSpec, LocationStatus, Object, Result};

impl Resource for Location {
    type Message = v1::Location;
    const SERVICE: &'static str = "welkin.v1.Locations";
    const ANY_PARENT: &'static str = "";

    fn encode(cloud: &str, object: Object<Self>) -> Result<v1::Location> {
        let (h, LocationSpec {}, status) = Head::split(cloud, object);
        Ok(v1::Location {
            name: h.name,
            vendor_id: h.vendor_id,
            provider_id: h.provider_id,
            etag: h.etag,
            create_time: h.create_time,
            revision: h.revision,
            display_name: status.display_name,
            zones: status.zones,
        })
    }
    fn decode(cloud: &str, mut m: v1::Location) -> Result<Object<Self>> {
        let status = LocationStatus { display_name: std::mem::take(&mut m.display_name), zones: std::mem::take(&mut m.zones) };
        catalogue_head!(m).join(cloud, LocationSpec {}, status)
    }
}
