//! What a group's new instances are: the data of a launch template's version.
//!
//! A version cannot be changed, and what it says is not looked at when it is made
//! (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/launch-template-restrictions.html>). So a dry run comes before it, and another template is
//! another version, which says everything: a version that is made of an earlier one keeps whatever is left out.

use super::of_group;
use crate::{
    client::Region,
    disk::{LETTERS, letter},
    instance::{profile, root_device},
    mark::filter,
    resource::Kept as _,
    single::by_vendor_id,
    step::told,
};
use aws_sdk_ec2::types::{
    BlockDeviceMapping, EbsBlockDevice, HttpTokensState, InstanceMetadataEndpointState, InstanceMetadataOptionsRequest, InstanceNetworkInterfaceSpecification, InstanceType,
    LaunchTemplateBlockDeviceMappingRequest, LaunchTemplateEbsBlockDeviceRequest, LaunchTemplateHttpTokensState, LaunchTemplateIamInstanceProfileSpecificationRequest,
    LaunchTemplateInstanceMetadataEndpointState, LaunchTemplateInstanceMetadataOptionsRequest, LaunchTemplateInstanceNetworkInterfaceSpecificationRequest,
    RequestLaunchTemplateData, ResponseLaunchTemplateData, VolumeType,
};
use aws_smithy_types::base64;
use std::collections::BTreeSet;
use welkin_core::{Cx, Error, InstanceTemplate, Result, RootDisk, Secret, SecurityGroup, Subnet, TemplateDisk};

/// What a version says, as far as our terms have words for it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Launch {
    machine_type: String,
    image: String,
    /// The name of the key pair.
    pub(super) key: Option<String>,
    /// As EC2 takes it, in base 64.
    user_data: Option<Secret>,
    identity: Option<String>,
    root: Option<Volume>,
    disks: Vec<Volume>,
    pub(super) groups: BTreeSet<String>,
    public_ip: Option<bool>,
}
/// A disk that is made with each instance.
#[derive(Debug, Clone, PartialEq, Default)]
struct Volume {
    device: String,
    size_gib: Option<i32>,
    disk_type: Option<String>,
    encrypted: Option<bool>,
}

fn size(field: &str, gib: Option<u32>) -> Result<Option<i32>> {
    gib.map(i32::try_from).transpose().map_err(|_| Error::invalid(field, "too large"))
}

impl Launch {
    /// What is asked for. What no read of a group tells, the key and the user data, comes from `now` where it is not to be changed.
    pub(super) async fn wanted(region: &Region, cx: &Cx, template: &InstanceTemplate, key: Option<String>, now: Option<&Self>) -> Result<Self> {
        let image = template.image.as_ref().ok_or_else(|| Error::invalid("template.image", "a group needs an image"))?.vendor_id()?;
        let root = if template.root_disk == RootDisk::default() {
            None
        } else {
            let device = match now.filter(|now| now.image == image.as_str()).and_then(|now| now.root.as_ref()) {
                Some(root) => root.device.clone(),
                None => root_device(region, cx, image).await.map_err(of_group)?,
            };
            let RootDisk { size_gib, disk_type, encrypted } = &template.root_disk;
            Some(Volume { device, size_gib: size("template.root_disk.size_gib", *size_gib)?, disk_type: disk_type.clone(), encrypted: *encrypted })
        };
        let disk = |(letter, disk): (char, &TemplateDisk)| {
            let size_gib = size("template.disks", disk.size_gib)?;
            Ok(Volume { device: format!("/dev/sd{letter}"), size_gib, disk_type: disk.disk_type.clone(), encrypted: disk.encrypted })
        };
        Ok(Self {
            machine_type: template.machine_types.first().cloned().unwrap_or_default(),
            image: image.to_string(),
            key: key.or_else(|| now.and_then(|now| now.key.clone())),
            user_data: template.user_data.as_ref().map(|data| Secret::new(base64::encode(data.expose()))).or_else(|| now.and_then(|now| now.user_data.clone())),
            identity: template.identity.clone(),
            root,
            disks: LETTERS.chars().zip(&template.disks).map(disk).collect::<Result<_>>()?,
            groups: template.security_groups.iter().map(|group| Ok(group.vendor_id()?.to_string())).collect::<Result<_>>()?,
            public_ip: template.assign_public_ip,
        })
    }
    pub(super) fn of(data: &ResponseLaunchTemplateData) -> Self {
        let mut out = Self {
            machine_type: data.instance_type().map(|t| t.as_str().to_owned()).unwrap_or_default(),
            image: data.image_id().unwrap_or_default().to_owned(),
            key: told(data.key_name()).map(ToOwned::to_owned),
            user_data: told(data.user_data()).map(Secret::new),
            identity: data.iam_instance_profile().and_then(|p| told(p.arn()).or(told(p.name()))).map(ToOwned::to_owned),
            ..Self::default()
        };
        for mapping in data.block_device_mappings() {
            let (Some(device), Some(ebs)) = (told(mapping.device_name()), mapping.ebs()) else { continue };
            let disk_type = ebs.volume_type().map(|t| t.as_str().to_owned());
            let volume = Volume { device: device.to_owned(), size_gib: ebs.volume_size(), disk_type, encrypted: ebs.encrypted() };
            // What AWS keeps for data volumes is no root device.
            if letter(device).is_some_and(|c| LETTERS.contains(c)) {
                out.disks.push(volume);
            } else {
                out.root = out.root.or(Some(volume));
            }
        }
        let interface = data.network_interfaces().first();
        out.groups = interface.map_or(data.security_group_ids(), |i| i.groups()).iter().chain(data.security_group_ids()).cloned().collect();
        out.public_ip = interface.and_then(|i| i.associate_public_ip_address());
        out
    }
    /// What a read of the group tells of it. `overrides`: the group's own list of types, which counts where there is one.
    pub(super) fn told(&self, region: &Region, overrides: Vec<String>) -> Result<InstanceTemplate> {
        let gib = |size: Option<i32>| size.and_then(|gib| gib.try_into().ok());
        let mut template = InstanceTemplate {
            machine_types: if overrides.is_empty() { vec![self.machine_type.clone()] } else { overrides },
            image: if self.image.is_empty() { None } else { Some(by_vendor_id(region, &self.image)?) },
            ssh_key: None,
            user_data: None,
            identity: self.identity.clone(),
            root_disk: self.root.as_ref().map(|root| RootDisk { size_gib: gib(root.size_gib), disk_type: root.disk_type.clone(), encrypted: root.encrypted }).unwrap_or_default(),
            disks: self.disks.iter().map(|d| TemplateDisk { size_gib: gib(d.size_gib), disk_type: d.disk_type.clone(), encrypted: d.encrypted }).collect(),
            security_groups: self.groups.iter().map(|id| by_vendor_id::<SecurityGroup>(region, id)).collect::<Result<_>>()?,
            assign_public_ip: self.public_ip,
        };
        template.machine_types.retain(|t| !t.is_empty());
        template.security_groups.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(template)
    }

    fn volumes(&self) -> impl Iterator<Item = &Volume> {
        self.root.iter().chain(&self.disks)
    }
    fn group_ids(&self) -> Option<Vec<String>> {
        Some(self.groups.iter().cloned().collect()).filter(|g: &Vec<String>| !g.is_empty())
    }
    /// As a version takes it. Groups and a public address belong to the one interface; its subnet is the group's business.
    pub(super) fn data(&self) -> RequestLaunchTemplateData {
        let disk = |v: &Volume| {
            let ebs = LaunchTemplateEbsBlockDeviceRequest::builder().delete_on_termination(true).set_volume_size(v.size_gib);
            let ebs = ebs.set_volume_type(v.disk_type.as_deref().map(VolumeType::from)).set_encrypted(v.encrypted);
            LaunchTemplateBlockDeviceMappingRequest::builder().device_name(&v.device).ebs(ebs.build()).build()
        };
        let profile = self.identity.as_deref().map(|identity| {
            let builder = LaunchTemplateIamInstanceProfileSpecificationRequest::builder();
            if identity.starts_with("arn:") { builder.arn(identity).build() } else { builder.name(identity).build() }
        });
        let interface = LaunchTemplateInstanceNetworkInterfaceSpecificationRequest::builder()
            .device_index(0)
            .set_groups(self.group_ids())
            .set_associate_public_ip_address(self.public_ip)
            .delete_on_termination(true)
            .build();
        let metadata = LaunchTemplateInstanceMetadataOptionsRequest::builder()
            .http_endpoint(LaunchTemplateInstanceMetadataEndpointState::Enabled)
            .http_tokens(LaunchTemplateHttpTokensState::Required)
            .build();
        RequestLaunchTemplateData::builder()
            .image_id(&self.image)
            .instance_type(InstanceType::from(self.machine_type.as_str()))
            .set_key_name(self.key.clone())
            .set_user_data(self.user_data.as_ref().map(|data| data.expose().to_owned()))
            .set_iam_instance_profile(profile)
            .set_block_device_mappings(Some(self.volumes().map(disk).collect()).filter(|all: &Vec<_>| !all.is_empty()))
            .network_interfaces(interface)
            .metadata_options(metadata)
            .build()
    }
    /// Refuses what no instance could be made from, before anything is written: a version is not looked at when it is made, and a group would try for ever.
    pub(super) async fn check(&self, region: &Region, cx: &Cx, types: &[String], subnets: &[String]) -> Result<()> {
        one_network(region, cx, subnets).await?;
        // An unknown one is refused by its name; the first is part of the dry run.
        if types.len() > 1 {
            let all = types.iter().map(|t| InstanceType::from(t.as_str())).collect();
            region.ec2.read(cx, "DescribeInstanceTypes", region.ec2.describe_instance_types().set_instance_types(Some(all)).send()).await.map_err(of_group)?;
        }
        let disk = |v: &Volume| {
            let ebs = EbsBlockDevice::builder().delete_on_termination(true).set_volume_size(v.size_gib).set_volume_type(v.disk_type.as_deref().map(VolumeType::from));
            BlockDeviceMapping::builder().device_name(&v.device).ebs(ebs.set_encrypted(v.encrypted).build()).build()
        };
        let interface = InstanceNetworkInterfaceSpecification::builder()
            .device_index(0)
            .set_subnet_id(subnets.first().cloned())
            .set_groups(self.group_ids())
            .set_associate_public_ip_address(self.public_ip)
            .build();
        let metadata = InstanceMetadataOptionsRequest::builder().http_endpoint(InstanceMetadataEndpointState::Enabled).http_tokens(HttpTokensState::Required).build();
        // Without the key pair, which is not there yet.
        let call = region
            .ec2
            .run_instances()
            .min_count(1)
            .max_count(1)
            .image_id(&self.image)
            .instance_type(InstanceType::from(types.first().map_or(self.machine_type.as_str(), String::as_str)))
            .set_user_data(self.user_data.as_ref().map(|data| data.expose().to_owned()))
            .set_iam_instance_profile(self.identity.as_deref().map(profile))
            .set_block_device_mappings(Some(self.volumes().map(disk).collect()).filter(|all: &Vec<_>| !all.is_empty()))
            .network_interfaces(interface)
            .metadata_options(metadata)
            .dry_run(true);
        region.ec2.dry_run(cx, "RunInstances", call.send()).await.map_err(of_group)
    }
}

/// A group's instances have the same groups, which are those of one network.
pub(super) async fn one_network(region: &Region, cx: &Cx, subnets: &[String]) -> Result<()> {
    if subnets.len() > 1 {
        let found = Subnet::many(region, cx, vec![filter("subnet-id", subnets.iter().map(String::as_str))]).await?;
        let networks: BTreeSet<&str> = found.iter().filter_map(|s| s.vpc_id()).collect();
        if networks.len() > 1 {
            let all = networks.into_iter().collect::<Vec<_>>().join(", ");
            return Err(Error::invalid("subnets", format!("a group's subnets are in one network, and these are in {all}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ec2::types::{LaunchTemplateBlockDeviceMapping, LaunchTemplateEbsBlockDevice, LaunchTemplateInstanceNetworkInterfaceSpecification};

    fn volume(device: &str, size_gib: i32) -> Volume {
        Volume { device: device.into(), size_gib: Some(size_gib), disk_type: Some("gp3".into()), encrypted: Some(true) }
    }
    /// As EC2 answers what it was sent.
    fn answered(data: &RequestLaunchTemplateData) -> ResponseLaunchTemplateData {
        let disks = data.block_device_mappings().iter().map(|m| {
            let ebs = m.ebs().unwrap();
            let ebs = LaunchTemplateEbsBlockDevice::builder().set_volume_size(ebs.volume_size()).set_volume_type(ebs.volume_type().cloned()).set_encrypted(ebs.encrypted()).build();
            LaunchTemplateBlockDeviceMapping::builder().set_device_name(m.device_name().map(Into::into)).ebs(ebs).build()
        });
        let interfaces = data.network_interfaces().iter().map(|i| {
            let builder = LaunchTemplateInstanceNetworkInterfaceSpecification::builder().set_groups(i.groups.clone());
            builder.set_associate_public_ip_address(i.associate_public_ip_address()).build()
        });
        ResponseLaunchTemplateData::builder()
            .set_image_id(data.image_id.clone())
            .set_instance_type(data.instance_type.clone())
            .set_key_name(data.key_name.clone())
            .set_user_data(data.user_data.clone())
            .set_block_device_mappings(Some(disks.collect()))
            .set_network_interfaces(Some(interfaces.collect()))
            .build()
    }
    #[test]
    fn a_version_comes_back_as_it_was_sent() {
        let plain = Launch { machine_type: "t3.small".into(), image: "ami-1".into(), ..Launch::default() };
        let whole = Launch {
            key: Some("welkin-1-2".into()),
            user_data: Some(Secret::new("IyE=")),
            root: Some(volume("/dev/xvda", 20)),
            disks: vec![volume("/dev/sdf", 4), volume("/dev/sdg", 8)],
            groups: ["sg-1".to_owned(), "sg-2".to_owned()].into(),
            public_ip: Some(false),
            ..plain.clone()
        };
        for launch in [plain, whole] {
            assert_eq!(Launch::of(&answered(&launch.data())), launch);
        }
    }
    #[test]
    fn what_a_read_tells_is_what_was_asked_for() {
        let region = Region::of_trials();
        let launch = Launch {
            machine_type: "t3.small".into(),
            image: "ami-1".into(),
            user_data: Some(Secret::new("IyE=")),
            root: Some(volume("/dev/xvda", 20)),
            disks: vec![volume("/dev/sdf", 4)],
            ..Launch::default()
        };
        let told = launch.told(&region, vec!["t3.small".into(), "t3.large".into()]).unwrap();
        assert_eq!((told.machine_types.len(), told.root_disk.size_gib, told.disks[0].size_gib, told.user_data), (2, Some(20), Some(4), None));
        assert_eq!(launch.told(&region, Vec::new()).unwrap().machine_types, ["t3.small"]);
        assert!(!format!("{launch:?}").contains("IyE="), "a debug text tells the user data");
    }
}
