//! Instances.

use super::{Head, Mutable, Resource, Scope, field, head, message, millis, name_and_etag, no_arguments, timestamp, vendor_config};
use crate::api::v1::{self, instance};
use welkin_core::{Alternative, ConsoleOutput, Instance, InstanceAction, InstanceQuestion, InstanceSpec, InstanceState, InstanceStatus, Object, Result, RootDisk, Secret};

impl Resource for Instance {
    type Message = v1::Instance;
    const SERVICE: &'static str = "welkin.v1.Instances";

    fn encode(cloud: &str, object: Object<Self>) -> Result<v1::Instance> {
        let (h, mut spec, status) = Head::split(cloud, object);
        // Input only: not answered, whatever a provider may have put there.
        (spec.ssh_key, spec.user_data, spec.alternatives) = (None, None, Vec::new());
        Ok(message!(Instance of h {
            state: status.state as i32,
            state_reason: status.state_reason,
            effective_private_ips: field::texts(&status.private_ips),
            public_ips: field::texts(&status.public_ips),
            disk_ids: status.disk_ids,
            instance_group: status.instance_group,
            ..Self::encode_spec(cloud, spec)?
        }))
    }
    fn decode(cloud: &str, mut m: v1::Instance) -> Result<Object<Self>> {
        let status = InstanceStatus {
            state: field::value(InstanceState::ALL, m.state),
            state_reason: std::mem::take(&mut m.state_reason),
            private_ips: field::parsed("effective_private_ips", std::mem::take(&mut m.effective_private_ips))?,
            public_ips: field::parsed("public_ips", std::mem::take(&mut m.public_ips))?,
            disk_ids: std::mem::take(&mut m.disk_ids),
            instance_group: std::mem::take(&mut m.instance_group),
        };
        let head = head!(m);
        let spec = Scope::answer(cloud, &head.name, |scope| Self::decode_spec(m, scope))?;
        head.join(cloud, spec, status)
    }
}

impl Mutable for Instance {
    const ACTIONS: &'static [(&'static str, InstanceAction)] =
        &[("StartInstance", InstanceAction::Start), ("StopInstance", InstanceAction::Stop), ("RebootInstance", InstanceAction::Reboot)];
    const QUESTIONS: &'static [(&'static str, InstanceQuestion)] = &[("GetInstanceConsoleOutput", InstanceQuestion::ConsoleOutput)];
    type AnswerMessage = v1::InstanceConsoleOutput;
    const ID_FIELD: &'static str = "instance_id";

    name_and_etag!();
    no_arguments!();

    fn decode_spec(m: v1::Instance, scope: &mut Scope<'_, Self>) -> InstanceSpec {
        let disk = m.root_disk.unwrap_or_default();
        let alternative = |(i, other): (usize, instance::Alternative)| Alternative {
            machine_type: other.machine_type,
            subnet: scope.refer(&format!("alternatives[{i}].subnet"), &other.subnet),
            zone: field::text(other.zone),
        };
        let alternatives = m.alternatives.into_iter().enumerate().map(alternative).collect();
        InstanceSpec {
            zone: field::text(m.zone),
            machine_type: m.machine_type,
            image: scope.refer("image", &m.image),
            subnet: scope.refer("subnet", &m.subnet),
            private_ips: scope.parse_all("private_ips", "an address such as 10.0.1.4", m.private_ips),
            assign_public_ip: m.assign_public_ip,
            assign_ipv6: m.assign_ipv6,
            ssh_key: field::text(m.ssh_key),
            user_data: field::text(m.user_data).map(Secret::new),
            identity: field::text(m.identity),
            root_disk: RootDisk { size_gib: disk.size_gib, disk_type: field::text(disk.disk_type), encrypted: disk.encrypted },
            ip_forwarding: m.ip_forwarding,
            labels: m.labels,
            provider_config: scope.vendor_config(m.provider_config),
            security_groups: scope.refer_all("security_groups", &m.security_groups),
            deletion_protection: m.deletion_protection,
            spot: m.spot,
            alternatives,
        }
    }
    fn encode_spec(cloud: &str, spec: InstanceSpec) -> Result<v1::Instance> {
        let disk = spec.root_disk;
        let has_disk = disk != RootDisk::default();
        Ok(v1::Instance {
            zone: field::or_empty(spec.zone),
            machine_type: spec.machine_type,
            image: field::reference(cloud, spec.image),
            subnet: field::reference(cloud, spec.subnet),
            private_ips: field::texts(&spec.private_ips),
            assign_public_ip: spec.assign_public_ip,
            assign_ipv6: spec.assign_ipv6,
            ssh_key: field::or_empty(spec.ssh_key),
            user_data: spec.user_data.map(|d| d.expose().to_owned()).unwrap_or_default(),
            identity: field::or_empty(spec.identity),
            root_disk: has_disk.then(|| instance::RootDisk { size_gib: disk.size_gib, disk_type: field::or_empty(disk.disk_type), encrypted: disk.encrypted }),
            ip_forwarding: spec.ip_forwarding,
            labels: spec.labels,
            provider_config: vendor_config::encode(spec.provider_config)?,
            security_groups: field::references(cloud, spec.security_groups),
            deletion_protection: spec.deletion_protection,
            spot: spec.spot,
            alternatives: spec.alternatives.into_iter().map(|other| encode_alternative(cloud, other)).collect(),
            ..Default::default()
        })
    }
    fn encode_answer(answer: ConsoleOutput) -> v1::InstanceConsoleOutput {
        v1::InstanceConsoleOutput { text: answer.text.expose().to_owned(), output_time: answer.time_ms.map(timestamp) }
    }
    fn decode_answer(m: v1::InstanceConsoleOutput) -> ConsoleOutput {
        ConsoleOutput { text: Secret::new(m.text), time_ms: m.output_time.as_ref().map(millis) }
    }
}

fn encode_alternative(cloud: &str, other: Alternative) -> instance::Alternative {
    instance::Alternative { machine_type: other.machine_type, subnet: field::reference(cloud, other.subnet), zone: field::or_empty(other.zone) }
}
