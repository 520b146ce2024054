//! What EC2 says of an instance, in our terms.

use super::launch::{self, InstanceConfig};
use crate::{
    client::Region,
    mark::{self, Asked, Tags},
    single::{Head, by_vendor_id},
    step::{told, unix_ms},
};
use aws_sdk_ec2::types::{Instance as Ec2Instance, InstanceNetworkInterface, InstancePrivateIpAddress};
use std::{collections::BTreeSet, net::IpAddr};
use welkin_core::{Instance, InstanceSpec, InstanceState, InstanceStatus, Object, Owner, Ref, Result, RootDisk, SecurityGroup};

pub(super) fn state_name(instance: &Ec2Instance) -> &str {
    instance.state().and_then(|s| s.name()).map_or("", |n| n.as_str())
}

/// EC2's states (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html>) and ours.
static STATES: &[(&str, InstanceState)] = &[
    ("pending", InstanceState::Pending),
    ("running", InstanceState::Running),
    ("stopping", InstanceState::Stopping),
    ("stopped", InstanceState::Stopped),
    ("shutting-down", InstanceState::Deleting),
    ("terminated", InstanceState::Deleting),
];
fn state(name: &str) -> InstanceState {
    STATES.iter().find(|(n, _)| *n == name).map_or(InstanceState::Unspecified, |(_, s)| *s)
}

/// `written`: the tags that we wrote, where EC2 may not show them yet.
pub(super) fn object(region: &Region, owner: &Owner, instance: &Ec2Instance, written: Option<&Tags>) -> Result<Object<Instance>> {
    let head = Head::of::<Instance>(owner, instance, "InstanceId", written)?;
    let zone = zone(instance);
    let status = InstanceStatus {
        state: state(state_name(instance)),
        state_reason: instance.state_reason().and_then(|r| r.message()).unwrap_or_default().to_owned(),
        private_ips: private_ips(instance),
        public_ips: public_ips(instance),
        disk_ids: disk_ids(instance),
        instance_group: head.tags.get(mark::GROUP_OF).unwrap_or_default().to_owned(),
    };
    let spec = spec(region, &head, instance)?;
    head.object(region, zone, created_ms(instance), spec, status)
}

/// The specification as far as EC2 shows it; what it does not show comes from the note that was made at creation.
fn spec(region: &Region, head: &Head, instance: &Ec2Instance) -> Result<InstanceSpec> {
    let asked = if head.mark.is_some() { Asked::of(&head.tags) } else { Asked::default() };
    let image = match told(instance.image_id()) {
        Some(image) => Some(by_vendor_id(region, image)?),
        None => None,
    };
    let all = private_ips(instance);
    let ipv6 = all.iter().any(IpAddr::is_ipv6);
    // Those that were chosen are all that there are: EC2 adds none.
    let chosen = |ip: &IpAddr| asked.has(if ip.is_ipv4() { launch::IPV4 } else { launch::IPV6 });
    Ok(InstanceSpec {
        zone: zone(instance).map(ToOwned::to_owned),
        machine_type: instance.instance_type().map(|t| t.as_str().to_owned()).unwrap_or_default(),
        image,
        subnet: head.refer(region, mark::SUBNET, told(instance.subnet_id()))?,
        private_ips: all.into_iter().filter(chosen).collect(),
        assign_public_ip: asked.get(launch::PUBLIC_IP),
        assign_ipv6: ipv6 && !asked.has(launch::IPV6),
        ssh_key: None,
        user_data: None,
        identity: instance.iam_instance_profile().and_then(|p| told(p.arn())).map(|arn| identity(arn, asked.has(launch::IDENTITY))),
        root_disk: RootDisk { size_gib: asked.get(launch::DISK_SIZE), disk_type: asked.get(launch::DISK_TYPE), encrypted: asked.get(launch::DISK_ENCRYPTED) },
        ip_forwarding: instance.source_dest_check() == Some(false),
        labels: head.tags.labels(),
        provider_config: if asked.has(launch::CONFIG) { config(instance).packed() } else { None },
        security_groups: groups(region, instance)?,
        deletion_protection: asked.has(launch::PROTECTED),
        spot: instance.instance_lifecycle().is_some_and(|l| l.as_str() == "spot"),
        alternatives: Vec::new(),
    })
}

/// Those of the first interface, the only one that an instance of ours is made with, in an order that does not change.
fn groups(region: &Region, instance: &Ec2Instance) -> Result<Vec<Ref<SecurityGroup>>> {
    let ids: BTreeSet<&str> = instance.security_groups().iter().filter_map(|g| told(g.group_id())).collect();
    ids.into_iter().map(|id| by_vendor_id(region, id)).collect()
}
/// In the order of their devices, the one that it starts from first.
fn disk_ids(instance: &Ec2Instance) -> Vec<String> {
    let root = instance.root_device_name();
    let mut all: Vec<_> = instance.block_device_mappings().iter().filter_map(|m| Some((m.device_name() != root, m.device_name()?, told(m.ebs()?.volume_id())?))).collect();
    all.sort_unstable();
    all.into_iter().map(|(_, _, id)| id.to_owned()).collect()
}
/// The private address that is meant: this one, or the first of the first interface.
pub(crate) fn nic_address<'a>(instance: &'a Ec2Instance, ip: Option<&str>) -> Option<&'a InstancePrivateIpAddress> {
    let first = |n: &&InstanceNetworkInterface| n.attachment().is_none_or(|a| a.device_index().unwrap_or_default() == 0);
    let nics = instance.network_interfaces();
    match ip {
        Some(_) => nics.iter().flat_map(|n| n.private_ip_addresses()).find(|a| a.private_ip_address() == ip),
        None => {
            let all = nics.iter().find(first)?.private_ip_addresses();
            all.iter().find(|a| a.primary() == Some(true)).or(all.first())
        }
    }
}

fn zone(instance: &Ec2Instance) -> Option<&str> {
    told(instance.placement().and_then(|p| p.availability_zone()))
}
/// EC2 answers an ARN also where a name was given.
fn identity(arn: &str, whole: bool) -> String {
    let name = arn.rsplit('/').next().filter(|_| !whole);
    name.unwrap_or(arn).to_owned()
}

fn config(instance: &Ec2Instance) -> InstanceConfig {
    let metadata = instance.metadata_options();
    // The engine's own default of one hop is not worth showing.
    let hops = metadata.and_then(|m| m.http_put_response_hop_limit()).and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 1);
    InstanceConfig {
        metadata_tokens_optional: metadata.and_then(|m| m.http_tokens()).is_some_and(|t| t.as_str() == "optional"),
        metadata_hop_limit: hops.unwrap_or_default(),
        key_name: instance.key_name().filter(|k| !k.starts_with("welkin-")).unwrap_or_default().to_owned(),
    }
}

/// `LaunchTime` changes with every start; the first network interface is as old as the instance.
pub(super) fn created_ms(instance: &Ec2Instance) -> Option<u64> {
    let first = instance.network_interfaces().iter().filter_map(|n| n.attachment()).find(|a| a.device_index() == Some(0));
    unix_ms(first.and_then(|a| a.attach_time()).or(instance.launch_time()))
}

/// Every private address, IPv4 and then IPv6, the first interface's first.
fn private_ips(instance: &Ec2Instance) -> Vec<IpAddr> {
    let nics = instance.network_interfaces();
    let main = instance.private_ip_address().into_iter();
    let v4 = nics.iter().flat_map(|n| n.private_ip_addresses()).filter_map(|a| a.private_ip_address());
    let v6 = nics.iter().flat_map(|n| n.ipv6_addresses()).filter_map(|a| a.ipv6_address());
    once(main.chain(v4).chain(instance.ipv6_address()).chain(v6))
}
fn public_ips(instance: &Ec2Instance) -> Vec<IpAddr> {
    let nics = instance.network_interfaces();
    let own = nics.iter().filter_map(|n| n.association()).filter_map(|a| a.public_ip());
    let all = nics.iter().flat_map(|n| n.private_ip_addresses()).filter_map(|a| a.association()).filter_map(|a| a.public_ip());
    once(instance.public_ip_address().into_iter().chain(own).chain(all))
}
/// Each once, in the order of the first sight.
fn once<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<IpAddr> {
    let mut seen = BTreeSet::new();
    texts.filter_map(|t| t.parse().ok()).filter(|ip| seen.insert(*ip)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mark::Asked;
    use aws_sdk_ec2::types::{
        IamInstanceProfile, InstanceIpv6Address, InstanceNetworkInterfaceAttachment, InstanceState as Ec2State, InstanceStateName, InstanceType, Placement, ResourceType, Tag,
    };
    use aws_smithy_types::DateTime;
    use welkin_core::Mark;

    fn region() -> Region {
        Region::of_trials()
    }
    fn owner() -> Owner {
        "me".parse().unwrap()
    }

    #[test]
    fn every_state_of_the_model_has_a_meaning() {
        for known in InstanceStateName::values() {
            assert_ne!(state(known), InstanceState::Unspecified, "{known}");
        }
        assert_eq!((state("new"), state("")), (InstanceState::Unspecified, InstanceState::Unspecified));
    }
    #[test]
    fn an_answer_with_nothing_but_an_id() {
        assert!(object(&region(), &owner(), &Ec2Instance::builder().build(), None).is_err());
        let bare = object(&region(), &owner(), &Ec2Instance::builder().instance_id("i-0abc").build(), None).unwrap();
        assert_eq!((bare.name.to_string().as_str(), bare.mark, bare.status.state), ("locations/eu-west-1/instances/i-0abc", None, InstanceState::Unspecified));
        assert_eq!(bare.provider_id.to_string(), "aws:///eu-west-1/i-0abc");
    }
    #[test]
    fn an_empty_text_is_nothing() {
        let empty = Ec2Instance::builder().instance_id("i-0abc").image_id("").subnet_id("").placement(Placement::builder().availability_zone("").build());
        let o = object(&region(), &owner(), &empty.iam_instance_profile(IamInstanceProfile::builder().arn("").build()).build(), None).unwrap();
        assert_eq!((o.spec, o.provider_id.to_string().as_str()), (InstanceSpec::default(), "aws:///eu-west-1/i-0abc"));
    }
    #[test]
    fn everything_that_an_answer_shows() {
        let mark = Mark { owner: owner(), uid: "0123456789".parse().unwrap(), digest: None };
        let asked = Asked::default().note(launch::DISK_SIZE, Some(20)).note(launch::PUBLIC_IP, Some(true)).note(launch::IPV4, Some("10.0.0.4"));
        let tags = Tags::ours(&mark, &"web".parse().unwrap()).with(mark::ASKED, &asked.text()).with(mark::SUBNET, "locations/eu-west-1/subnets/s1");
        let nic = InstanceNetworkInterface::builder()
            .attachment(InstanceNetworkInterfaceAttachment::builder().device_index(0).attach_time(DateTime::from_secs(5)).build())
            .private_ip_addresses(InstancePrivateIpAddress::builder().private_ip_address("10.0.0.4").build())
            .ipv6_addresses(InstanceIpv6Address::builder().ipv6_address("2001:db8::4").build())
            .build();
        let answer = Ec2Instance::builder()
            .instance_id("i-0abc")
            .state(Ec2State::builder().name(InstanceStateName::Running).build())
            .instance_type(InstanceType::T3Small)
            .image_id("ami-1")
            .subnet_id("subnet-1")
            .placement(Placement::builder().availability_zone("eu-west-1a").build())
            .private_ip_address("10.0.0.4")
            .public_ip_address("198.51.100.7")
            .source_dest_check(false)
            .launch_time(DateTime::from_secs(99))
            .iam_instance_profile(IamInstanceProfile::builder().arn("arn:aws:iam::1:instance-profile/path/web").build())
            .network_interfaces(nic)
            .set_tags(Some(tags.on(ResourceType::Instance).tags().to_vec()))
            .tags(Tag::builder().key("team").value("a").build())
            .build();
        let o = object(&region(), &owner(), &answer, None).unwrap();
        assert_eq!((o.name.to_string().as_str(), o.mark, o.created_ms), ("locations/eu-west-1/instances/web", Some(mark), Some(5000)));
        assert_eq!(o.provider_id.to_string(), "aws:///eu-west-1a/i-0abc");
        assert_eq!(o.status.private_ips, ["10.0.0.4", "2001:db8::4"].map(|ip| ip.parse::<IpAddr>().unwrap()));
        assert_eq!(o.status.public_ips, ["198.51.100.7".parse::<IpAddr>().unwrap()]);
        let s = o.spec;
        assert_eq!((s.machine_type.as_str(), s.identity.as_deref(), s.ip_forwarding, s.assign_ipv6, s.assign_public_ip), ("t3.small", Some("web"), true, true, Some(true)));
        assert_eq!((s.root_disk.size_gib, s.private_ips.len(), s.labels.len()), (Some(20), 1, 1));
        let subnet = s.subnet.unwrap();
        assert_eq!((subnet.name.id.as_str(), subnet.vendor_id.unwrap().as_str()), ("s1", "subnet-1"));
    }
}
