//! Machine types are EC2 instance types.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceTypes.html>

use crate::{
    Aws,
    client::Region,
    error,
    mark::filter,
    page::{At, WHOLE, all_pages},
    step::{told, vendor_id},
};
use async_trait::async_trait;
use aws_sdk_ec2::types::{InstanceType, InstanceTypeInfo, LocationType, NetworkCardInfo};
use std::collections::{BTreeMap, BTreeSet};
use welkin_core::{
    Architecture, Cursor, Cx, Error, ErrorKind, MachineType, MachineTypeSpec, MachineTypeStatus, Name, Object, Page, ProviderId, Query, Reader, Reason, ResourceId, Result, Shard,
    Target, VendorId,
};

/// This list's own bounds of `MaxResults`.
const MAX_RESULTS: (usize, usize) = (5, 100);
/// `InvalidParameterValue` is not among them: EC2 says so of any parameter.
const GONE: &[&str] = &["InvalidInstanceType"];

#[async_trait]
impl Reader<MachineType> for Aws {
    fn shards(&self, query: &Query<MachineType>) -> Vec<Shard> {
        self.regional_shards(query.parent.as_ref())
    }
    async fn get(&self, cx: &Cx, target: &Target<MachineType>) -> Result<Object<MachineType>> {
        let region = self.region(target.parent())?;
        let id = match target {
            Target::Named { name, .. } => name.id.decoded(),
            Target::Vendor { vendor_id, .. } => vendor_id.to_string(),
        };
        let none = || Error::new(ErrorKind::NotFound, Reason::MachineTypeNotFound, format!("{} has no machine type {id}", region.id())).with_resource(target.to_string());
        let call = region.ec2.describe_instance_types().instance_types(InstanceType::from(id.as_str()));
        let answer = match region.ec2.read(cx, "DescribeInstanceTypes", call.send()).await {
            Err(e) if error::is(&e, GONE) => return Err(none()),
            answer => answer?,
        };
        let info = answer.instance_types().first().ok_or_else(none)?;
        object(region, info, region.offered(cx, std::slice::from_ref(info)).await?.remove(&id).unwrap_or_default())
    }
    async fn list(&self, cx: &Cx, query: &Query<MachineType>, shard: &Shard, from: Option<&Cursor>) -> Result<Page<MachineType>> {
        let region = self.shard(shard)?;
        let at = At::read(from)?;
        let size = i32::try_from(query.page_size.clamp(MAX_RESULTS.0, MAX_RESULTS.1)).unwrap_or(5);
        let wanted = (!query.vendor_ids.is_empty()).then(|| vec![filter("instance-type", query.vendor_ids.iter().map(VendorId::as_str))]);
        let call = region.ec2.describe_instance_types().set_filters(wanted).max_results(size).set_next_token(at.token.clone());
        let answer = region.ec2.read(cx, "DescribeInstanceTypes", call.send()).await?;
        let id = |t: &InstanceTypeInfo| t.instance_type().map(|t| t.as_str().to_owned()).unwrap_or_default();
        let (types, next) = at.cut(answer.instance_types.unwrap_or_default(), answer.next_token, query.page_size, id)?;
        let mut zones = region.offered(cx, &types).await?;
        let items = types.iter().map(|t| object(region, t, zones.remove(&id(t)).unwrap_or_default())).collect::<Result<_>>()?;
        Ok(Page { items, next, unreachable: Vec::new() })
    }
}

impl Region {
    /// In which zones each of these is offered, by its name: one call more for at most a hundred of them
    /// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceTypeOfferings.html>).
    async fn offered(&self, cx: &Cx, types: &[InstanceTypeInfo]) -> Result<BTreeMap<String, BTreeSet<String>>> {
        let names: Vec<&str> = types.iter().filter_map(|t| t.instance_type()).map(InstanceType::as_str).collect();
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        let page = |token| {
            let call = self.ec2.describe_instance_type_offerings().location_type(LocationType::AvailabilityZone).max_results(WHOLE);
            let call = call.filters(filter("instance-type", names.iter().copied())).set_next_token(token);
            async move {
                let answer = self.ec2.read(cx, "DescribeInstanceTypeOfferings", call.send()).await?;
                Ok((answer.instance_type_offerings, answer.next_token))
            }
        };
        let mut zones = BTreeMap::<String, BTreeSet<String>>::new();
        for offering in all_pages(page).await? {
            if let (Some(name), Some(zone)) = (offering.instance_type(), told(offering.location())) {
                zones.entry(name.as_str().to_owned()).or_default().insert(zone.to_owned());
            }
        }
        Ok(zones)
    }
}

/// All cards together, in Mbit/s: EC2 tells Gbit/s.
fn network_mbps(info: &InstanceTypeInfo, of: impl Fn(&NetworkCardInfo) -> Option<f64>) -> u64 {
    let gbps: f64 = info.network_info().map(|n| n.network_cards()).unwrap_or_default().iter().filter_map(of).sum();
    (gbps * 1000.0).round() as u64
}

/// EC2's architectures, those of machine types and of images, and ours.
pub(crate) fn architecture(text: &str) -> Architecture {
    match text {
        "x86_64" | "x86_64_mac" => Architecture::X86_64,
        "arm64" | "arm64_mac" => Architecture::Arm64,
        "i386" => Architecture::I386,
        _ => Architecture::Unspecified,
    }
}

fn object(region: &Region, info: &InstanceTypeInfo, zones: BTreeSet<String>) -> Result<Object<MachineType>> {
    let id = vendor_id(info.instance_type().map(|t| t.as_str()), "InstanceType")?;
    let mut architectures: Vec<Architecture> = info.processor_info().map(|p| p.supported_architectures()).unwrap_or_default().iter().map(|a| architecture(a.as_str())).collect();
    // EC2 names i386 first where a type can run both.
    architectures.sort_by_key(|a| *a == Architecture::I386);
    let gpus = info.gpu_info().map(|g| g.gpus()).unwrap_or_default().iter().filter_map(|g| g.count()).sum::<i32>();
    let status = MachineTypeStatus {
        vcpus: info.v_cpu_info().and_then(|v| v.default_v_cpus()).and_then(|n| n.try_into().ok()).unwrap_or_default(),
        memory_mib: info.memory_info().and_then(|m| m.size_in_mib()).and_then(|n| n.try_into().ok()).unwrap_or_default(),
        architectures,
        gpus: gpus.try_into().unwrap_or_default(),
        network_mbps: network_mbps(info, NetworkCardInfo::peak_bandwidth_in_gbps),
        network_baseline_mbps: network_mbps(info, NetworkCardInfo::baseline_bandwidth_in_gbps),
        zones: zones.into_iter().collect(),
    };
    Ok(Object {
        name: Name::new(region.name.clone(), ResourceId::of_vendor(id.as_str())?),
        provider_id: ProviderId::new("aws", "", &[region.id(), id.as_str()])?,
        vendor_id: id,
        mark: None,
        revision: None,
        created_ms: None,
        spec: MachineTypeSpec {},
        status,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ec2::types::{ArchitectureType, ArchitectureValues, NetworkInfo};

    #[test]
    fn the_cards_of_a_network_add_up() {
        let card = |peak: Option<f64>| NetworkCardInfo::builder().set_peak_bandwidth_in_gbps(peak).build();
        let info = |cards| InstanceTypeInfo::builder().network_info(NetworkInfo::builder().set_network_cards(Some(cards)).build()).build();
        for (cards, mbps) in [(vec![card(Some(0.096))], 96), (vec![card(Some(100.0)), card(None), card(Some(100.0))], 200_000), (vec![], 0), (vec![card(Some(-1.0))], 0)] {
            assert_eq!(network_mbps(&info(cards), NetworkCardInfo::peak_bandwidth_in_gbps), mbps);
        }
    }

    #[test]
    fn every_architecture_of_the_model_has_a_meaning() {
        for known in ArchitectureType::values().iter().chain(ArchitectureValues::values()) {
            assert_ne!(architecture(known), Architecture::Unspecified, "{known}");
        }
        assert_eq!(architecture("riscv64"), Architecture::Unspecified);
    }
}
