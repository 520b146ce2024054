//! Images.

use super::{Head, Resource, catalogue_head, field};
use crate::api::v1;
use welkin_core::{Architecture, Image, ImageSpec, ImageStatus, Object, Result};

impl Resource for Image {
    type Message = v1::Image;
    const SERVICE: &'static str = "welkin.v1.Images";

    fn encode(cloud: &str, object: Object<Self>) -> Result<v1::Image> {
        let (h, ImageSpec {}, status) = Head::split(cloud, object);
        Ok(v1::Image {
            name: h.name,
            vendor_id: h.vendor_id,
            provider_id: h.provider_id,
            etag: h.etag,
            create_time: h.create_time,
            revision: h.revision,
            family: status.family,
            display_name: status.display_name,
            architecture: status.architecture as i32,
            publisher: status.publisher,
            min_disk_gib: status.min_disk_gib,
        })
    }
    fn decode(cloud: &str, mut m: v1::Image) -> Result<Object<Self>> {
        let status = ImageStatus {
            family: std::mem::take(&mut m.family),
            display_name: std::mem::take(&mut m.display_name),
            architecture: field::value(Architecture::ALL, m.architecture),
            publisher: std::mem::take(&mut m.publisher),
            min_disk_gib: m.min_disk_gib,
        };
        catalogue_head!(m).join(cloud, ImageSpec {}, status)
    }
}
