//! Volumes of the small EC2: attached, detached and modified.

use super::{Answer, Item, OK, Pairs, Refusal, Script, pairs, tags};

impl Script {
    pub(super) fn volume(&mut self, action: &str, p: &Pairs) -> Answer {
        const UNKNOWN: &str = "InvalidVolume.NotFound";
        if action == "CreateVolume" {
            let same = |i: &&Item| i.is.get("token").is_some_and(|t| *t == p["ClientToken"]);
            if let Some(there) = self.items.iter().find(same) {
                return Ok(format!("<volumeId>{}</volumeId>", there.id));
            }
            let of = |word: &str| p.get(word).map_or("", String::as_str);
            let is = [("token", of("ClientToken")), ("zone", of("AvailabilityZone")), ("size", of("Size")), ("type", of("VolumeType"))];
            let id = self.make("vol", pairs(&is), tags(p, "volume"));
            return Ok(format!("<volumeId>{id}</volumeId>"));
        }
        let id = p.get("VolumeId").or(p.get("VolumeId.1")).unwrap().clone();
        let attached = self.of(&id, UNKNOWN)?.is.get("attached").cloned();
        match action {
            "AttachVolume" => {
                self.of(&p["InstanceId"], "InvalidInstanceID.NotFound")?;
                if attached.is_some() {
                    return Err(Refusal("VolumeInUse"));
                }
                let taken = |i: &Item| i.is.get("attached") == p.get("InstanceId") && i.is.get("device") == p.get("Device");
                if self.items.iter().any(taken) {
                    return Err(Refusal("InvalidParameterValue: Invalid value for unixDevice. Attachment point is already in use"));
                }
                self.of(&id, UNKNOWN)?.is.extend(pairs(&[("state", "in-use"), ("attached", &p["InstanceId"]), ("device", &p["Device"])]));
                self.of(&p["InstanceId"], "InvalidInstanceID.NotFound")?.is.insert(p["Device"].clone(), id);
            }
            "DetachVolume" => {
                let at = attached.ok_or(Refusal("IncorrectState"))?;
                self.of(&at, "InvalidInstanceID.NotFound")?.is.retain(|_, v| *v != id);
                let volume = self.of(&id, UNKNOWN)?;
                volume.is.insert("state".into(), "available".into());
                volume.is.retain(|k, _| !["attached", "device"].contains(&k.as_str()));
            }
            "ModifyVolume" => {
                let volume = self.of(&id, UNKNOWN)?;
                if volume.is.contains_key("becoming") {
                    return Err(Refusal("IncorrectModificationState"));
                }
                volume.is.insert("becoming".into(), p.get("Size").cloned().unwrap_or_default());
            }
            // It is modified once it was asked about.
            _ => {
                let volume = self.of(&id, UNKNOWN)?;
                let Some(size) = volume.is.remove("becoming") else { return Ok("<volumeModificationSet/>".into()) };
                let told = format!(
                    "<item><volumeId>{id}</volumeId><modificationState>modifying</modificationState><targetSize>{size}</targetSize><startTime>2026-01-01T00:00:00Z</startTime></item>"
                );
                volume.is.insert("size".into(), size);
                return Ok(format!("<volumeModificationSet>{told}</volumeModificationSet>"));
            }
        }
        Ok(OK.into())
    }
}
