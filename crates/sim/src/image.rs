//! Images, and the families that they belong to.

use crate::{
    Sim,
    location::paged,
    machine_type::architecture,
    vendor::{Action, Cloud, ImageItem},
};
use async_trait::async_trait;
use welkin_core::{Cursor, Cx, Error, Image, ImageSpec, ImageStatus, LocationName, Name, Object, Page, ProviderId, Query, Reader, ResourceId, Result, Shard, Target};

fn object(location: &LocationName, image: &ImageItem) -> Result<Object<Image>> {
    Ok(Object {
        name: Name::new(location.clone(), ResourceId::of_vendor(&image.id)?),
        vendor_id: image.id.parse()?,
        provider_id: ProviderId::new("sim", "", &[location.id.as_str(), image.id.as_str()])?,
        mark: None,
        revision: None,
        created_ms: Some(image.published_ms),
        spec: ImageSpec {},
        status: ImageStatus {
            family: image.family.to_owned(),
            display_name: image.name.clone(),
            architecture: architecture(image.cpu),
            publisher: Cloud::publisher().to_owned(),
            min_disk_gib: image.min_disk_gib,
        },
    })
}

#[async_trait]
impl Reader<Image> for Sim {
    fn shards(&self, query: &Query<Image>) -> Vec<Shard> {
        self.regions::<Image>(query.parent.as_ref())
    }
    async fn get(&self, cx: &Cx, target: &Target<Image>) -> Result<Object<Image>> {
        let location = target.parent();
        let (id, family) = match target {
            Target::Named { vendor_id: Some(vendor_id), .. } | Target::Vendor { vendor_id, .. } => (vendor_id.to_string(), None),
            Target::Named { name, .. } => (name.id.decoded(), Some(name.id.decoded())),
        };
        let all = self.call(cx, Action::DescribeImages, location.id.as_str(), self.cloud.describe_images(location.id.as_str())).await?;
        let newest = || all.iter().filter(|i| Some(i.family) == family.as_deref()).max_by_key(|i| i.published_ms);
        all.iter().find(|i| i.id == id).or_else(newest).map(|i| object(location, i)).ok_or_else(|| Error::not_found(target))?
    }
    async fn list(&self, cx: &Cx, query: &Query<Image>, shard: &Shard, from: Option<&Cursor>) -> Result<Page<Image>> {
        let location = LocationName::of(&shard.0)?;
        let all = self.call(cx, Action::DescribeImages, &shard.0, self.cloud.describe_images(&shard.0)).await?;
        let rows: Vec<_> = all.iter().filter(|i| query.vendor_ids.is_empty() || query.vendor_ids.iter().any(|v| v.as_str() == i.id)).collect();
        paged(&rows, |i| i.id.as_str(), query.page_size.min(self.config().page_size), from, |i| object(&location, i))
    }
}
