//! Images are AMIs. A portable family is the newest AMI of its publisher's account, with its architecture, under its name pattern: an owner's
//! account cannot be forged, a name can.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html>

use crate::{
    Aws,
    client::Region,
    error,
    machine_type::architecture,
    mark::filter,
    page::{At, MAX_RESULTS, WHOLE, all_pages},
    step::vendor_id,
};
use async_trait::async_trait;
use aws_sdk_ec2::types::{Filter, Image as Ami};
use welkin_core::{
    Cursor, Cx, Error, ErrorKind, Image, ImageSpec, ImageStatus, Name, Object, Page, ProviderId, Query, Reader, Reason, ResourceId, Result, Shard, Target, VendorId,
};

/// <https://wiki.debian.org/Cloud/AmazonEC2Image>
const DEBIAN: &str = "136693071363";
/// <https://documentation.ubuntu.com/aws/aws-how-to/instances/find-ubuntu-images/>
const CANONICAL: &str = "099720109477";
/// The alias `amazon` covers several accounts; this one publishes Amazon Linux
/// (<https://docs.aws.amazon.com/linux/al2023/ug/ec2.html>).
const AMAZON: &str = "137112412989";

/// One portable family on one architecture.
struct Family {
    id: &'static str,
    owner: &'static str,
    /// EC2's word.
    architecture: &'static str,
    /// With `*` for what changes from build to build.
    pattern: &'static str,
}
const fn family(id: &'static str, owner: &'static str, architecture: &'static str, pattern: &'static str) -> Family {
    Family { id, owner, architecture, pattern }
}
/// In the partition `aws`; the publishers' accounts in China and GovCloud are others.
static FAMILIES: &[Family] = &[
    family("debian-12", DEBIAN, "x86_64", "debian-12-amd64-*"),
    family("debian-12-arm64", DEBIAN, "arm64", "debian-12-arm64-*"),
    family("debian-13", DEBIAN, "x86_64", "debian-13-amd64-*"),
    family("debian-13-arm64", DEBIAN, "arm64", "debian-13-arm64-*"),
    family("ubuntu-22.04", CANONICAL, "x86_64", "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-*"),
    family("ubuntu-22.04-arm64", CANONICAL, "arm64", "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-arm64-server-*"),
    family("ubuntu-24.04", CANONICAL, "x86_64", "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*"),
    family("ubuntu-24.04-arm64", CANONICAL, "arm64", "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-*"),
    family("amazon-linux-2023", AMAZON, "x86_64", "al2023-ami-2023.*-x86_64"),
    family("amazon-linux-2023-arm64", AMAZON, "arm64", "al2023-ami-2023.*-arm64"),
];

const GONE: &[&str] = &["InvalidAMIID.NotFound", "InvalidAMIID.Malformed"];
/// A list shows the families first and then the account's own images; this stands before a cursor of the second part.
const OWN: &str = "own:";

#[async_trait]
impl Reader<Image> for Aws {
    fn shards(&self, query: &Query<Image>) -> Vec<Shard> {
        self.regional_shards(query.parent.as_ref())
    }

    /// By AMI id, or the newest of a family. One call, where a family has no more than a thousand builds.
    async fn get(&self, cx: &Cx, target: &Target<Image>) -> Result<Object<Image>> {
        let region = self.region(target.parent())?;
        let id = match target {
            Target::Named { vendor_id: Some(id), .. } | Target::Vendor { vendor_id: id, .. } => id.to_string(),
            Target::Named { name, .. } => name.id.decoded(),
        };
        let none = |why: String| Error::new(ErrorKind::NotFound, Reason::ImageNotFound, why).with_resource(target.to_string());
        if let Some(family) = FAMILIES.iter().find(|f| f.id == id) {
            let found = newest(family, builds(region, cx, std::slice::from_ref(family)).await?);
            return object(region, &found.ok_or_else(|| none(format!("{} has no image of the family {id}", region.id())))?);
        }
        if !id.starts_with("ami-") {
            let known = FAMILIES.iter().map(|f| f.id).collect::<Vec<_>>().join(", ");
            return Err(none(format!("{id} is neither an AMI id nor a family; the families are {known}")));
        }
        let answer = match region.ec2.read(cx, "DescribeImages", region.ec2.describe_images().image_ids(&id).send()).await {
            Err(e) if error::is(&e, GONE) => return Err(none(format!("{} has no image {id}", region.id()))),
            answer => answer?,
        };
        let ami = answer.images().first().ok_or_else(|| none(format!("{} has no image {id}", region.id())))?;
        if let Some(state) = ami.state().map(|s| s.as_str()).filter(|s| *s != "available") {
            return Err(Error::new(ErrorKind::FailedPrecondition, Reason::WrongState, format!("the image {id} is {state}")).with_resource(target.to_string()));
        }
        object(region, ami)
    }

    async fn list(&self, cx: &Cx, query: &Query<Image>, shard: &Shard, from: Option<&Cursor>) -> Result<Page<Image>> {
        let region = self.shard(shard)?;
        if !query.vendor_ids.is_empty() {
            let found = images(region, cx, &[], &[filter("image-id", query.vendor_ids.iter().map(VendorId::as_str))]).await?;
            let (amis, next) = At::read(from)?.cut(found, None, query.page_size, ami_id)?;
            return page(region, &amis, next);
        }
        let own = from.and_then(|c| c.0.strip_prefix(OWN)).map(|rest| Cursor(rest.into()));
        let (amis, next) = match (from, own) {
            (Some(_), Some(own)) => own_images(region, cx, At::read(Some(&own).filter(|c| !c.0.is_empty()))?, query.page_size).await?,
            (from, _) => {
                let at = At::read(from)?;
                let all = if query.owned_only { Vec::new() } else { builds(region, cx, FAMILIES).await? };
                let newest = FAMILIES.iter().filter_map(|f| newest(f, all.clone())).collect();
                let (amis, next) = at.cut(newest, None, query.page_size, ami_id)?;
                // The second part begins where the first is through.
                (amis, next.or_else(|| Some(Cursor(OWN.into()))))
            }
        };
        page(region, &amis, next)
    }
}

fn ami_id(ami: &Ami) -> String {
    ami.image_id().unwrap_or_default().to_owned()
}
fn page(region: &Region, amis: &[Ami], next: Option<Cursor>) -> Result<Page<Image>> {
    Ok(Page { items: amis.iter().map(|a| object(region, a)).collect::<Result<_>>()?, next, unreachable: Vec::new() })
}

async fn own_images(region: &Region, cx: &Cx, at: At, size: usize) -> Result<(Vec<Ami>, Option<Cursor>)> {
    let max = i32::try_from(size.clamp(MAX_RESULTS.0, MAX_RESULTS.1)).unwrap_or(5);
    let call = region.ec2.describe_images().owners("self").max_results(max).set_next_token(at.token.clone());
    let answer = region.ec2.read(cx, "DescribeImages", call.send()).await?;
    let (amis, next) = at.cut(answer.images.unwrap_or_default(), answer.next_token, size, ami_id)?;
    Ok((amis, next.map(|n| Cursor(format!("{OWN}{}", n.0)))))
}

/// Every available build of these families: one list, read to its end.
async fn builds(region: &Region, cx: &Cx, families: &[Family]) -> Result<Vec<Ami>> {
    let mut owners: Vec<String> = families.iter().map(|f| f.owner.to_owned()).collect();
    owners.dedup();
    let filters: Vec<Filter> =
        vec![filter("name", families.iter().map(|f| f.pattern)), filter("architecture", families.iter().map(|f| f.architecture)), filter("state", ["available"])];
    images(region, cx, &owners, &filters).await
}
async fn images(region: &Region, cx: &Cx, owners: &[String], filters: &[Filter]) -> Result<Vec<Ami>> {
    all_pages(|token| {
        let call =
            region.ec2.describe_images().set_owners((!owners.is_empty()).then(|| owners.to_vec())).set_filters(Some(filters.to_vec())).max_results(WHOLE).set_next_token(token);
        async move { region.ec2.read(cx, "DescribeImages", call.send()).await.map(|a| (a.images, a.next_token)) }
    })
    .await
}

impl Family {
    /// Everything is checked again here: what decides is not left to a filter.
    fn has(&self, ami: &Ami) -> bool {
        let (start, end) = self.pattern.split_once('*').unwrap_or((self.pattern, ""));
        let named = ami.name().is_some_and(|n| n.len() >= start.len() + end.len() && n.starts_with(start) && n.ends_with(end));
        named && ami.owner_id() == Some(self.owner) && ami.architecture().is_some_and(|a| a.as_str() == self.architecture)
    }
}
/// The newest build; `CreationDate` is ISO 8601 in UTC, so text order is time order.
fn newest(family: &Family, builds: Vec<Ami>) -> Option<Ami> {
    let usable = |a: &Ami| family.has(a) && a.state().is_none_or(|s| s.as_str() == "available");
    builds.into_iter().filter(usable).max_by(|a, b| (a.creation_date(), a.image_id()).cmp(&(b.creation_date(), b.image_id())))
}

fn object(region: &Region, ami: &Ami) -> Result<Object<Image>> {
    let id = vendor_id(ami.image_id(), "ImageId")?;
    let root = ami.block_device_mappings().iter().find(|d| d.device_name() == ami.root_device_name());
    let status = ImageStatus {
        family: FAMILIES.iter().find(|f| f.has(ami)).map(|f| f.id.to_owned()).unwrap_or_default(),
        display_name: ami.name().unwrap_or_default().to_owned(),
        architecture: ami.architecture().map(|a| architecture(a.as_str())).unwrap_or_default(),
        publisher: ami.owner_id().unwrap_or_default().to_owned(),
        min_disk_gib: root.and_then(|d| d.ebs()).and_then(|e| e.volume_size()).and_then(|n| n.try_into().ok()).unwrap_or_default(),
    };
    Ok(Object {
        name: Name::new(region.name.clone(), ResourceId::of_vendor(id.as_str())?),
        provider_id: ProviderId::new("aws", "", &[region.id(), id.as_str()])?,
        vendor_id: id,
        mark: None,
        revision: None,
        created_ms: None,
        spec: ImageSpec {},
        status,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ec2::types::{ArchitectureValues, ImageState};

    fn ami(id: &str, owner: &str, name: &str, date: &str) -> Ami {
        let arch = if name.contains("arm64") { ArchitectureValues::Arm64 } else { ArchitectureValues::X8664 };
        Ami::builder().image_id(id).owner_id(owner).name(name).architecture(arch).state(ImageState::Available).creation_date(date).build()
    }
    fn of(id: &str) -> &'static Family {
        FAMILIES.iter().find(|f| f.id == id).unwrap()
    }
    #[test]
    fn a_name_alone_makes_no_family() {
        let builds = vec![
            ami("ami-old", DEBIAN, "debian-12-amd64-20240101-1", "2024-01-01T00:00:00.000Z"),
            ami("ami-new", DEBIAN, "debian-12-amd64-20250101-1", "2025-01-01T00:00:00.000Z"),
            ami("ami-forged", "123456789012", "debian-12-amd64-20260101-1", "2026-01-01T00:00:00.000Z"),
            ami("ami-backports", DEBIAN, "debian-12-backports-amd64-20260101-1", "2026-01-01T00:00:00.000Z"),
            ami("ami-arm", DEBIAN, "debian-12-arm64-20260101-1", "2026-01-01T00:00:00.000Z"),
            Ami::builder().build(),
        ];
        assert_eq!(newest(of("debian-12"), builds.clone()).unwrap().image_id(), Some("ami-new"));
        assert_eq!(newest(of("debian-12-arm64"), builds.clone()).unwrap().image_id(), Some("ami-arm"));
        assert_eq!(newest(of("debian-13"), builds), None);
    }
    #[test]
    fn a_build_that_is_not_available_does_not_count() {
        let mut gone = ami("ami-1", AMAZON, "al2023-ami-2023.9.1-kernel-6.1-x86_64", "2026-01-01T00:00:00.000Z");
        assert!(newest(of("amazon-linux-2023"), vec![gone.clone()]).is_some());
        gone.state = Some(ImageState::Deregistered);
        assert_eq!(newest(of("amazon-linux-2023"), vec![gone]), None);
    }
    #[test]
    fn every_family_has_both_architectures() {
        for f in FAMILIES {
            let other = f.id.strip_suffix("-arm64").map_or_else(|| format!("{}-arm64", f.id), ToOwned::to_owned);
            assert!(FAMILIES.iter().any(|f| f.id == other), "{other}");
            assert_eq!(f.id.ends_with("-arm64"), f.architecture == "arm64");
            assert!(f.id.parse::<ResourceId>().is_ok());
        }
    }
}
