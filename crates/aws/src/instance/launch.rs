//! How an instance is launched.

use crate::{
    capability::INSTANCE_CONFIG,
    client::Region,
    error,
    mark::{self, Asked, Tags},
    resource::reference_lags,
    single::marked,
    step::made_id,
};
use aws_sdk_ec2::{
    operation::run_instances::builders::RunInstancesFluentBuilder,
    types::{
        BlockDeviceMapping, EbsBlockDevice, HttpTokensState, IamInstanceProfileSpecification, InstanceIpv6Address, InstanceMarketOptionsRequest, InstanceMetadataEndpointState,
        InstanceMetadataOptionsRequest, InstanceNetworkInterfaceSpecification, InstanceType, MarketType, Placement, PrivateIpAddressSpecification, ResourceType, VolumeType,
    },
};
use aws_smithy_types::{Blob, base64};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, net::IpAddr, time::Duration};
use welkin_core::{Change, Cx, Effect, Error, ErrorKind, Instance, InstanceSpec, Reason, Result, RootDisk, Uid, VendorConfig, VendorId, Violation};

/// The message `welkin.provider.aws.v1.InstanceConfig`: what only EC2 has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InstanceConfig {
    /// Answer metadata requests without a session token too (IMDSv1). Without it they are refused.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub metadata_tokens_optional: bool,
    /// How many network hops a metadata answer may take, 1 to 64; 0 leaves it to the account and the image. Containers need 2.
    #[serde(skip_serializing_if = "is_zero")]
    pub metadata_hop_limit: u32,
    /// The name of a key pair that is there already; not together with `ssh_key`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key_name: String,
}
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl InstanceConfig {
    /// Reads the extension of a specification.
    ///
    /// # Errors
    /// `InvalidArgument` naming `provider_config`.
    pub fn of(spec: &InstanceSpec) -> Result<Self> {
        let Some(given) = &spec.provider_config else { return Ok(Self::default()) };
        if given.type_name != INSTANCE_CONFIG {
            return Err(Error::invalid("provider_config", format!("AWS takes {INSTANCE_CONFIG} here, not {}", given.type_name)));
        }
        if !given.body.is_object() {
            return Err(Error::invalid("provider_config", "it must be a message"));
        }
        let config: Self = serde_json::from_value(given.body.clone()).map_err(|e| Error::invalid("provider_config", e.to_string()))?;
        if config.metadata_hop_limit > 64 {
            return Err(Error::invalid("provider_config.metadata_hop_limit", format!("must be between 1 and 64, got {}", config.metadata_hop_limit)));
        }
        if !config.key_name.is_empty() && spec.ssh_key.is_some() {
            return Err(Error::invalid("provider_config.key_name", "give key_name or ssh_key, not both"));
        }
        Ok(config)
    }
    /// The extension again, as an answer shows it.
    pub(super) fn packed(&self) -> Option<VendorConfig> {
        Some(VendorConfig { type_name: INSTANCE_CONFIG.into(), body: serde_json::to_value(self).ok()? })
    }
}

/// A key pair belongs to one instance, and its name is our uid.
pub(super) fn key_name(uid: &Uid) -> String {
    format!("{KEY_PREFIX}{uid}")
}
pub(super) const KEY_PREFIX: &str = "welkin-";

// Words in the note of what was asked for.
pub(super) const IPV4: &str = "ip";
pub(super) const IPV6: &str = "ip6";
pub(super) const PUBLIC_IP: &str = "public";
pub(super) const IDENTITY: &str = "identity";
pub(super) const DISK_SIZE: &str = "disk";
pub(super) const DISK_TYPE: &str = "type";
pub(super) const DISK_ENCRYPTED: &str = "encrypted";
pub(super) const CONFIG: &str = "config";
pub(super) const PROTECTED: &str = "protected";

/// What no read of an instance shows. Of addresses only whether they were chosen: which they are EC2 tells, and a tag has no room for all of them.
pub(super) fn asked(spec: &InstanceSpec) -> Asked {
    Asked::default()
        .note(IPV4, spec.private_ips.iter().any(IpAddr::is_ipv4).then_some(true))
        .note(IPV6, spec.private_ips.iter().any(IpAddr::is_ipv6).then_some(true))
        .note(PROTECTED, spec.deletion_protection.then_some(true))
        .note(PUBLIC_IP, spec.assign_public_ip)
        .note(IDENTITY, spec.identity.as_ref().filter(|i| i.starts_with("arn:")).map(|_| "arn"))
        .note(DISK_SIZE, spec.root_disk.size_gib)
        .note(DISK_TYPE, spec.root_disk.disk_type.as_ref())
        .note(DISK_ENCRYPTED, spec.root_disk.encrypted)
        .note(CONFIG, spec.provider_config.as_ref().map(|_| true))
}

/// What EC2 answers where it does not know yet what the launch refers to: the subnet, its network's default group, or our own key pair, each of
/// which may have been made a moment ago. An image is not among them: the engine has just seen it.
const REFERENCES: &[&str] = &["InvalidSubnetID.NotFound", "InvalidSubnetId.NotFound", "InvalidGroup.NotFound", "InvalidSecurityGroupID.NotFound"];
const KEY: &[&str] = &["InvalidKeyPair.NotFound"];

/// May this refusal pass, since EC2 may not know everywhere yet what it refers to?
pub(super) fn may_pass(refusal: &Error, spec: &InstanceSpec, since_ms: u64, horizon: Duration) -> bool {
    // A key pair of the caller's own is not fresh.
    reference_lags(refusal, REFERENCES, since_ms, horizon) || (spec.ssh_key.is_some() && reference_lags(refusal, KEY, since_ms, horizon))
}

/// EC2's own dry run, without the key pair that it would need.
pub(super) async fn check(region: &Region, cx: &Cx, change: &Change<Instance>, spec: &InstanceSpec) -> Result<()> {
    // Nobody says whether a dry run uses up a token. If it did, the launch, which has a key, would be another request under the same one.
    let call = run_instances(region, cx, change, spec).await?;
    let call = if spec.ssh_key.is_some() { call.set_key_name(None) } else { call };
    region.ec2.dry_run(cx, "RunInstances", call.dry_run(true).send()).await
}

/// Imports the key under a name of ours, so it can be repeated. The dry run comes first: what it refuses is told at once, because nothing was
/// written that might have to be cleaned up.
pub(super) async fn import_key(region: &Region, cx: &Cx, change: &Change<Instance>, spec: &InstanceSpec) -> Result<String> {
    check(region, cx, change, spec).await?;
    let key = spec.ssh_key.as_deref().unwrap_or_default();
    let tags = Tags::ours(&fragment_mark(cx, change), &change.target.name()?.id);
    let name = key_name(&change.uid);
    let import = region.ec2.import_key_pair().key_name(&name).public_key_material(Blob::new(key.trim())).tag_specifications(tags.on(ResourceType::KeyPair));
    // The name holds the uid, so what is there already is ours.
    match region.ec2.write(cx, "ImportKeyPair", import.send()).await {
        Err(e) if !error::is(&e, &["InvalidKeyPair.Duplicate"]) => Err(e),
        _ => Ok(name),
    }
}

/// What is tried, one after another, where EC2 has no capacity for the one before.
pub(super) fn candidates(spec: &InstanceSpec) -> impl Iterator<Item = Cow<'_, InstanceSpec>> {
    let others = spec.alternatives.iter().map(|other| {
        let mut candidate = InstanceSpec { alternatives: Vec::new(), ..spec.clone() };
        if !other.machine_type.is_empty() {
            candidate.machine_type.clone_from(&other.machine_type);
        }
        if other.subnet.is_some() {
            // Its own zone, unless another is named.
            (candidate.subnet, candidate.zone) = (other.subnet.clone(), None);
        }
        if other.zone.is_some() {
            candidate.zone.clone_from(&other.zone);
        }
        Cow::Owned(candidate)
    });
    std::iter::once(Cow::Borrowed(spec)).chain(others)
}

/// Launches the instance, each candidate under a token of its own, so it can be repeated: before anything is launched again the tags are looked for, and a
/// candidate that was refused has left nothing.
pub(super) async fn launch(region: &Region, cx: &Cx, change: &Change<Instance>, spec: &InstanceSpec) -> Result<String> {
    let mut refusal = None;
    for (n, candidate) in candidates(spec).enumerate() {
        // At most 36 characters of the 64 that EC2 takes.
        let token = if n == 0 { change.token.clone() } else { format!("{}-{n}", change.token) };
        let call = run_instances(region, cx, change, &candidate).await?.client_token(token);
        match Box::pin(region.ec2.write(cx, "RunInstances", call.send())).await {
            Ok(answer) => return made_id(answer.instances().first().and_then(|i| i.instance_id()), "InstanceId"),
            Err(e) if e.reason() == Reason::Capacity && e.effect() == Effect::None => refusal = Some(e),
            Err(e) => return Err(e),
        }
    }
    Err(refusal.unwrap_or_else(|| Error::internal("nothing to launch")))
}

/// What the instance carries.
pub(super) fn tags(cx: &Cx, change: &Change<Instance>, spec: &InstanceSpec) -> Result<Tags> {
    let subnet = spec.subnet.as_ref().map(|r| r.name.to_string()).unwrap_or_default();
    Ok(marked(cx, change, &spec.labels)?.with(mark::ASKED, &asked(spec).text()).with(mark::SUBNET, &subnet))
}

/// Parts carry no digest: that is on the main object.
fn fragment_mark(cx: &Cx, change: &Change<Instance>) -> welkin_core::Mark {
    welkin_core::Mark { digest: None, ..mark::of_change(cx, change) }
}

fn required(field: &str) -> Error {
    Error::violated(Reason::FieldRequired, vec![Violation::new(field, "an instance needs it")])
}

async fn run_instances(region: &Region, cx: &Cx, change: &Change<Instance>, spec: &InstanceSpec) -> Result<RunInstancesFluentBuilder> {
    let config = InstanceConfig::of(spec)?;
    let disk = root_disk(region, cx, spec).await?;
    let id = &change.target.name()?.id;
    let subnet = spec.subnet.as_ref().ok_or_else(|| required("subnet"))?.vendor_id()?;
    let image = spec.image.as_ref().ok_or_else(|| required("image"))?.vendor_id()?;
    let groups = group_ids(spec)?;
    let parts = Tags::ours(&fragment_mark(cx, change), id);
    let key = if spec.ssh_key.is_some() { Some(key_name(&change.uid)) } else { Some(config.key_name.clone()).filter(|k| !k.is_empty()) };
    Ok(region
        .ec2
        .run_instances()
        .min_count(1)
        .max_count(1)
        .image_id(image.as_str())
        .instance_type(InstanceType::from(spec.machine_type.as_str()))
        .network_interfaces(interface(spec, subnet, groups))
        .set_disable_api_termination(spec.deletion_protection.then_some(true))
        .set_instance_market_options(spec.spot.then(|| InstanceMarketOptionsRequest::builder().market_type(MarketType::Spot).build()))
        .metadata_options(metadata(&config))
        .set_placement(spec.zone.as_ref().map(|zone| Placement::builder().availability_zone(zone).build()))
        .set_block_device_mappings(disk.map(|d| vec![d]))
        .set_iam_instance_profile(spec.identity.as_deref().map(profile))
        .set_user_data(spec.user_data.as_ref().map(|d| base64::encode(d.expose())))
        .set_key_name(key)
        .tag_specifications(tags(cx, change, spec)?.on(ResourceType::Instance))
        .tag_specifications(parts.on(ResourceType::Volume))
        .tag_specifications(parts.on(ResourceType::NetworkInterface)))
}

/// The groups that are asked for, by their ids.
pub(super) fn group_ids(spec: &InstanceSpec) -> Result<Vec<String>> {
    spec.security_groups.iter().map(|r| r.vendor_id().map(ToString::to_string)).collect()
}

fn interface(spec: &InstanceSpec, subnet: &VendorId, groups: Vec<String>) -> InstanceNetworkInterfaceSpecification {
    let (v4, v6): (Vec<&IpAddr>, Vec<&IpAddr>) = spec.private_ips.iter().partition(|ip| ip.is_ipv4());
    let v6: Vec<_> = v6.iter().map(|ip| InstanceIpv6Address::builder().ipv6_address(ip.to_string()).build()).collect();
    // A count and an address exclude each other.
    let count = (spec.assign_ipv6 && v6.is_empty()).then_some(1);
    let all = v4.iter().enumerate().map(|(i, ip)| PrivateIpAddressSpecification::builder().private_ip_address(ip.to_string()).primary(i == 0).build());
    let builder = InstanceNetworkInterfaceSpecification::builder()
        .device_index(0)
        .subnet_id(subnet.as_str())
        .set_groups(Some(groups).filter(|g| !g.is_empty()))
        .set_associate_public_ip_address(spec.assign_public_ip)
        .set_ipv6_addresses(Some(v6).filter(|v| !v.is_empty()))
        .set_ipv6_address_count(count)
        .delete_on_termination(true);
    match v4.as_slice() {
        [] => builder.build(),
        [one] => builder.private_ip_address(one.to_string()).build(),
        _ => builder.set_private_ip_addresses(Some(all.collect())).build(),
    }
}

fn metadata(config: &InstanceConfig) -> InstanceMetadataOptionsRequest {
    let tokens = if config.metadata_tokens_optional { HttpTokensState::Optional } else { HttpTokensState::Required };
    let hops = i32::try_from(config.metadata_hop_limit).ok().filter(|n| *n > 0);
    InstanceMetadataOptionsRequest::builder().http_endpoint(InstanceMetadataEndpointState::Enabled).http_tokens(tokens).set_http_put_response_hop_limit(hops).build()
}

pub(crate) fn profile(identity: &str) -> IamInstanceProfileSpecification {
    let builder = IamInstanceProfileSpecification::builder();
    if identity.starts_with("arn:") { builder.arn(identity).build() } else { builder.name(identity).build() }
}

/// What the image calls the disk that it starts from.
pub(crate) async fn root_device(region: &Region, cx: &Cx, image: &VendorId) -> Result<String> {
    let answer = region.ec2.read(cx, "DescribeImages", region.ec2.describe_images().image_ids(image.as_str()).send()).await?;
    let device = answer.images().first().and_then(|i| i.root_device_name()).map(ToOwned::to_owned);
    device.ok_or_else(|| Error::new(ErrorKind::FailedPrecondition, Reason::ImageNotFound, format!("{image} has no root device")).with_field("image"))
}

/// What differs from the image's own root disk; the image says what that device is called.
async fn root_disk(region: &Region, cx: &Cx, spec: &InstanceSpec) -> Result<Option<BlockDeviceMapping>> {
    if spec.root_disk == RootDisk::default() {
        return Ok(None);
    }
    let device = root_device(region, cx, spec.image.as_ref().ok_or_else(|| required("image"))?.vendor_id()?).await?;
    let size = spec.root_disk.size_gib.map(i32::try_from).transpose().map_err(|_| Error::invalid("root_disk.size_gib", "too large"))?;
    let disk = EbsBlockDevice::builder()
        .delete_on_termination(true)
        .set_volume_size(size)
        .set_volume_type(spec.root_disk.disk_type.as_deref().map(VolumeType::from))
        .set_encrypted(spec.root_disk.encrypted);
    Ok(Some(BlockDeviceMapping::builder().device_name(device).ebs(disk.build()).build()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use welkin_core::Alternative;

    fn spec(body: serde_json::Value) -> InstanceSpec {
        InstanceSpec { provider_config: Some(VendorConfig { type_name: INSTANCE_CONFIG.into(), body }), ..Default::default() }
    }
    #[test]
    fn the_extension_is_typed() {
        assert_eq!(InstanceConfig::of(&InstanceSpec::default()).unwrap(), InstanceConfig::default());
        let given = InstanceConfig { metadata_tokens_optional: true, metadata_hop_limit: 2, key_name: "k".into() };
        assert_eq!(InstanceConfig::of(&spec(json!({"metadata_tokens_optional": true, "metadata_hop_limit": 2, "key_name": "k"}))).unwrap(), given);
        assert_eq!(InstanceConfig::of(&InstanceSpec { provider_config: given.packed(), ..Default::default() }).unwrap(), given);
        for bad in [json!({"unknown": 1}), json!({"metadata_hop_limit": 65}), json!([])] {
            assert!(InstanceConfig::of(&spec(bad)).unwrap_err().violations()[0].field.starts_with("provider_config"));
        }
        let both = InstanceSpec { ssh_key: Some("ssh-ed25519 A".into()), ..spec(json!({"key_name": "k"})) };
        assert_eq!(InstanceConfig::of(&both).unwrap_err().violations()[0].field, "provider_config.key_name");
    }
    #[test]
    fn tokens_are_required_by_default() {
        assert_eq!(metadata(&InstanceConfig::default()).http_tokens(), Some(&HttpTokensState::Required));
        assert_eq!(metadata(&InstanceConfig::default()).http_put_response_hop_limit(), None);
    }
    #[test]
    fn an_address_and_a_count_exclude_each_other() {
        let subnet: VendorId = "subnet-1".parse().unwrap();
        let open = InstanceSpec { assign_ipv6: true, assign_public_ip: Some(false), ..Default::default() };
        let made = interface(&open, &subnet, Vec::new());
        assert_eq!((made.ipv6_address_count(), made.associate_public_ip_address(), made.delete_on_termination()), (Some(1), Some(false), Some(true)));
        let fixed = InstanceSpec { private_ips: vec!["10.0.0.4".parse().unwrap(), "2001:db8::4".parse().unwrap()], ..open.clone() };
        let made = interface(&fixed, &subnet, vec!["sg-1".into()]);
        assert_eq!((made.ipv6_address_count(), made.private_ip_address()), (None, Some("10.0.0.4")));
        assert_eq!((made.ipv6_addresses()[0].ipv6_address(), made.groups()), (Some("2001:db8::4"), ["sg-1".to_owned()].as_slice()));
        let several = InstanceSpec { private_ips: vec!["10.0.0.9".parse().unwrap(), "10.0.0.4".parse().unwrap()], ..open };
        let made = interface(&several, &subnet, Vec::new());
        let all: Vec<_> = made.private_ip_addresses().iter().map(|a| (a.private_ip_address(), a.primary())).collect();
        assert_eq!((made.private_ip_address(), all), (None, vec![(Some("10.0.0.9"), Some(true)), (Some("10.0.0.4"), Some(false))]));
    }
    #[test]
    fn an_alternative_differs_in_what_it_says() {
        let at = |id: &str| Some(welkin_core::Ref::to(format!("locations/r/subnets/{id}").parse().unwrap()));
        let alternatives = vec![
            Alternative { machine_type: "c5.large".into(), ..Default::default() },
            Alternative { subnet: at("b"), ..Default::default() },
            Alternative { zone: Some("r-c".into()), ..Default::default() },
        ];
        let spec = InstanceSpec { machine_type: "t3.small".into(), subnet: at("a"), zone: Some("r-a".into()), alternatives, ..Default::default() };
        let all: Vec<_> = candidates(&spec).map(|c| (c.machine_type.clone(), c.subnet.as_ref().unwrap().name.id.to_string(), c.zone.clone())).collect();
        let line = |kind: &str, subnet: &str, zone: Option<&str>| (kind.to_owned(), subnet.to_owned(), zone.map(ToOwned::to_owned));
        assert_eq!(all, [line("t3.small", "a", Some("r-a")), line("c5.large", "a", Some("r-a")), line("t3.small", "b", None), line("t3.small", "a", Some("r-c"))]);
    }
    #[test]
    fn an_identity_is_a_name_or_an_arn() {
        assert_eq!(profile("web").name(), Some("web"));
        assert_eq!(profile("arn:aws:iam::1:instance-profile/web").arn(), Some("arn:aws:iam::1:instance-profile/web"));
    }
}
