//! Launch templates of the small EC2, with their versions.

use super::{Answer, OK, Pairs, Refusal, Script, listed, pairs, tags};

const UNKNOWN: &str = "InvalidLaunchTemplateId.NotFound";
/// What the data of a version is asked for and answered under.
const DATA: &str = "LaunchTemplateData.";

impl Script {
    pub(super) fn template(&mut self, action: &str, p: &Pairs) -> Answer {
        match action {
            "CreateLaunchTemplate" => {
                let name = &p["LaunchTemplateName"];
                if self.items.iter().any(|i| i.kind == "lt" && i.is["name"] == *name) {
                    return Err(Refusal("InvalidLaunchTemplateName.AlreadyExistsException"));
                }
                let id = self.make("lt", pairs(&[("name", name), ("version 1", &data(p)), ("latest", "1")]), tags(p, "launch-template"));
                Ok(format!("<launchTemplate><launchTemplateId>{id}</launchTemplateId><launchTemplateName>{name}</launchTemplateName></launchTemplate>"))
            }
            "CreateLaunchTemplateVersion" => {
                let template = self.of(&p["LaunchTemplateId"], UNKNOWN)?;
                let token = format!("token {}", p["ClientToken"]);
                let version = match template.is.get(&token) {
                    Some(version) => version.clone(),
                    None => {
                        let version = (template.is["latest"].parse::<u32>().unwrap() + 1).to_string();
                        template.is.extend(pairs(&[("latest", &version), (&token, &version), (&format!("version {version}"), &data(p))]));
                        version
                    }
                };
                Ok(format!("<launchTemplateVersion><launchTemplateId>{}</launchTemplateId><versionNumber>{version}</versionNumber></launchTemplateVersion>", p["LaunchTemplateId"]))
            }
            "DescribeLaunchTemplateVersions" => {
                let id = &p["LaunchTemplateId"];
                let template = self.of(id, UNKNOWN)?;
                let mut all = String::new();
                for version in listed(p, "LaunchTemplateVersion") {
                    let version = if version.starts_with('$') { template.is["latest"].clone() } else { version.to_owned() };
                    let data = template.is.get(&format!("version {version}")).ok_or(Refusal("InvalidLaunchTemplateId.VersionNotFound"))?;
                    all +=
                        &format!("<item><launchTemplateId>{id}</launchTemplateId><versionNumber>{version}</versionNumber><launchTemplateData>{data}</launchTemplateData></item>");
                }
                Ok(format!("<launchTemplateVersionSet>{all}</launchTemplateVersionSet>"))
            }
            "DeleteLaunchTemplate" => {
                self.of(&p["LaunchTemplateId"], UNKNOWN)?;
                self.items.retain(|i| i.id != p["LaunchTemplateId"]);
                Ok(OK.into())
            }
            other => panic!("{other} is not written"),
        }
    }
}

/// As EC2 answers what it was asked for.
fn data(p: &Pairs) -> String {
    let of = |word: &str| p.get(&format!("{DATA}{word}")).cloned().unwrap_or_default();
    let told = |element: &str, value: String| if value.is_empty() { value } else { format!("<{element}>{value}</{element}>") };
    let flat: String =
        [("imageId", "ImageId"), ("instanceType", "InstanceType"), ("keyName", "KeyName"), ("userData", "UserData")].into_iter().map(|(e, w)| told(e, of(w))).collect();
    let profile = told("arn", of("IamInstanceProfile.Arn")) + &told("name", of("IamInstanceProfile.Name"));
    let groups: String = (1..).map(|n| of(&format!("NetworkInterface.1.SecurityGroupId.{n}"))).take_while(|g| !g.is_empty()).map(|g| told("groupId", g)).collect();
    let public = told("associatePublicIpAddress", of("NetworkInterface.1.AssociatePublicIpAddress"));
    let disks = (1..).map_while(|n| {
        let device = p.get(&format!("{DATA}BlockDeviceMapping.{n}.DeviceName"))?;
        let ebs = |word: &str| of(&format!("BlockDeviceMapping.{n}.Ebs.{word}"));
        let ebs = told("volumeSize", ebs("VolumeSize")) + &told("volumeType", ebs("VolumeType")) + &told("encrypted", ebs("Encrypted"));
        Some(format!("<item><deviceName>{device}</deviceName><ebs>{ebs}</ebs></item>"))
    });
    flat + &told("iamInstanceProfile", profile)
        + &told("blockDeviceMappingSet", disks.collect())
        + &format!("<networkInterfaceSet><item><deviceIndex>0</deviceIndex>{public}{}</item></networkInterfaceSet>", told("groupSet", groups))
}
