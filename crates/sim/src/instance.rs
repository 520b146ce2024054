//! Instances: one object of the vendor, made under an idempotency token where the cloud knows them.

use crate::{
    Sim, mark,
    resource::{Found, Fragment, Kept, Rows, by_vendor_id, expected, or_gone},
    vendor::{self, Action, Answer, Cloud, Code, Condition, Filter, GROUP_TAG, Hung, InstanceEdit, LaunchRequest, NewInstance, Shown, Tags},
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, net::IpAddr, time::Duration};
use welkin_core::{
    Alternative, Change, ConsoleOutput, Cx, Driver, Effect, Error, ErrorKind, FieldPath, Image, Instance, InstanceAction, InstanceQuestion, InstanceSpec, InstanceState,
    InstanceStatus, Kind, LocationName, Name, Object, Reader, Reason, Ref, ResourceId, Result, Resume, RootDisk, SecurityGroup, Step, Subnet, Target, Verb, Violation,
};

/// The instance that a create has made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Launched {
    launched: String,
    at_ms: u64,
}
/// The one reboot that there may be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Rebooted {
    rebooted: bool,
}

/// How long until it is worth asking again whether an instance has settled.
const POLL: Duration = Duration::from_millis(100);

/// An instance, and what hangs on it.
type Row = (Shown<vendor::Instance>, Hung);

#[async_trait]
impl Kept for Instance {
    type Row = Row;
    const READ: Action = Action::DescribeInstances;
    const REMOVE: Action = Action::DeleteInstance;
    const UNKNOWN: Code = Code::InstanceNotFound;

    async fn one(cloud: &Cloud, region: &str, id: &str) -> Answer<Option<Self::Row>> {
        cloud.instance(region, id).await
    }
    async fn many(cloud: &Cloud, region: &str, filter: Filter<'_>, after: Option<&str>, size: usize) -> Answer<Rows<Self::Row>> {
        cloud.instances(region, filter, after, size).await
    }
    async fn remove(cloud: &Cloud, region: &str, id: &str) -> Answer<()> {
        cloud.delete_instance(region, id).await
    }
    async fn free(sim: &Sim, cx: &Cx, region: &str, (row, _): &Row) -> Result<()> {
        if row.body().protected {
            let edit = InstanceEdit { protected: Some(false), ..InstanceEdit::default() };
            let open = sim.call(cx, Action::ModifyInstance, region, sim.cloud.modify_instance(region, row.id(), edit, None)).await;
            open.or_else(|e| if crate::error::is(&e, Self::UNKNOWN) { Ok(()) } else { Err(e) })?;
        }
        Ok(())
    }
    fn is_leaving((row, _): &Row) -> bool {
        row.body().goal == Condition::Gone
    }
    async fn shows_parts(_: &Sim, _: &Cx, _: &str, _: &Self::Row) -> Result<bool> {
        Ok(true)
    }
    async fn fragments(_: &Sim, _: &Cx, _: &str, _: &[(&str, &str)]) -> Result<Vec<Fragment>> {
        Ok(Vec::new())
    }
    async fn remove_fragment(_: &Sim, _: &Cx, _: &str, _: &str) -> Result<()> {
        Ok(())
    }
    fn incomplete() -> InstanceStatus {
        InstanceStatus { state: InstanceState::Incomplete, ..InstanceStatus::default() }
    }
    fn told(location: &LocationName, (row, hung): &Row, tags: &Tags) -> Result<(InstanceSpec, InstanceStatus)> {
        let body = row.body();
        let subnet = match tags.get(mark::SUBNET).and_then(|id| id.parse::<ResourceId>().ok()) {
            Some(id) => id,
            None => Subnet::foreign_id(&body.subnet)?,
        };
        let image = Name::<Image>::new(location.clone(), Image::foreign_id(&body.image)?);
        let groups = body.groups.iter().map(|id| by_vendor_id::<SecurityGroup>(location, id));
        let spec = InstanceSpec {
            zone: Some(body.zone.clone()),
            machine_type: body.machine_type.clone(),
            image: Some(Ref::resolved(image, body.image.parse()?)),
            subnet: Some(Ref::resolved(Name::new(location.clone(), subnet), body.subnet.parse()?)),
            private_ips: body.addresses.clone(),
            assign_public_ip: Some(body.public_ip.is_some()),
            assign_ipv6: body.wants_ipv6,
            ssh_key: None,
            user_data: None,
            identity: body.identity.clone(),
            root_disk: RootDisk { size_gib: Some(body.disk_gib), disk_type: Some(body.disk_type.clone()), encrypted: Some(body.disk_encrypted) },
            ip_forwarding: body.forwards,
            labels: mark::labels(tags),
            provider_config: None,
            security_groups: groups.collect::<Result<_>>()?,
            deletion_protection: body.protected,
            spot: body.spot,
            alternatives: Vec::new(),
        };
        let state = state(row);
        // One of its own only while it runs.
        let own = body.public_ip.filter(|_| state == InstanceState::Running);
        let public_ips = own.iter().chain(&hung.public_ips).copied().map(IpAddr::V4).collect();
        let instance_group = tags.get(GROUP_TAG).cloned().unwrap_or_default();
        let status = InstanceStatus { state, state_reason: String::new(), private_ips: body.addresses.clone(), public_ips, disk_ids: hung.disks.clone(), instance_group };
        Ok((spec, status))
    }
    fn place(_: &LocationName, (row, _): &Row) -> String {
        row.body().zone.clone()
    }
}

/// Where it is: at its goal, or on the way to it.
fn state(row: &Shown<vendor::Instance>) -> InstanceState {
    match (row.body().goal, row.body().has_settled(row.at_ms)) {
        (Condition::Running, true) => InstanceState::Running,
        (Condition::Running, false) => InstanceState::Pending,
        (Condition::Stopped, true) => InstanceState::Stopped,
        (Condition::Stopped, false) => InstanceState::Stopping,
        (Condition::Gone, _) => InstanceState::Deleting,
    }
}

fn wanted(cx: &Cx, change: &Change<Instance>, spec: &InstanceSpec) -> Result<NewInstance> {
    let subnet = spec.subnet.as_ref().ok_or_else(|| Error::invalid("subnet", "an instance needs a subnet"))?;
    let image = spec.image.as_ref().ok_or_else(|| Error::invalid("image", "an instance needs an image"))?;
    Ok(NewInstance {
        subnet: subnet.vendor_id()?.to_string(),
        zone: spec.zone.clone(),
        machine_type: spec.machine_type.clone(),
        image: image.vendor_id()?.to_string(),
        addresses: spec.private_ips.clone(),
        public_ip: spec.assign_public_ip,
        ipv6: spec.assign_ipv6,
        identity: spec.identity.clone(),
        disk_gib: spec.root_disk.size_gib,
        disk_type: spec.root_disk.disk_type.clone(),
        disk_encrypted: spec.root_disk.encrypted,
        forwards: spec.ip_forwarding,
        groups: groups(spec)?,
        protected: spec.deletion_protection,
        spot: spec.spot,
        tags: mark::main_tags(cx, change, &spec.labels, &[(mark::SUBNET, subnet.name.id.to_string())])?,
    })
}

/// The vendor's ids of its groups.
fn groups(spec: &InstanceSpec) -> Result<Vec<String>> {
    spec.security_groups.iter().map(|group| Ok(group.vendor_id()?.to_string())).collect()
}
/// What may be launched, one after another where capacity is short.
fn choices(cx: &Cx, change: &Change<Instance>, spec: &InstanceSpec) -> Result<Vec<NewInstance>> {
    let as_other = |other: &Alternative| {
        let machine_type = if other.machine_type.is_empty() { spec.machine_type.clone() } else { other.machine_type.clone() };
        // The zone follows from the subnet, unless it is said.
        let zone = if other.subnet.is_some() { other.zone.clone() } else { other.zone.clone().or_else(|| spec.zone.clone()) };
        let subnet = other.subnet.clone().or_else(|| spec.subnet.clone());
        wanted(cx, change, &InstanceSpec { machine_type, zone, subnet, ..spec.clone() })
    };
    std::iter::once(wanted(cx, change, spec)).chain(spec.alternatives.iter().map(as_other)).collect()
}

/// What was asked for and the cloud may not show yet: of the choice that it became.
fn tags_of(row: &Row, choices: &[NewInstance]) -> Tags {
    let body = row.0.body();
    let same = choices.iter().find(|new| new.machine_type == body.machine_type && new.subnet == body.subnet);
    same.or(choices.first()).map(|new| new.tags.clone()).unwrap_or_default()
}
/// The same about the alternative that was refused.
fn of_alternative(e: Error, number: usize) -> Error {
    const OWN: [&str; 3] = ["machine_type", "subnet", "zone"];
    let at = |v: &Violation| if OWN.contains(&v.field.as_str()) { Violation::new(format!("alternatives[{number}].{}", v.field), &v.description) } else { v.clone() };
    let violations = e.violations().iter().map(at).collect();
    e.with_violations(violations)
}

impl Sim {
    /// The first of the choices for which there is capacity. Each has a token of its own, because it is another request.
    async fn launched(&self, cx: &Cx, change: &Change<Instance>, choices: Vec<NewInstance>) -> Result<Shown<vendor::Instance>> {
        let region = change.target.parent().id.as_str();
        let mut short = Error::invalid("machine_type", "an instance needs a machine type");
        for (number, new) in choices.into_iter().enumerate() {
            let token = match number {
                0 => change.token.clone(),
                n => format!("{}-{n}", change.token),
            };
            let request = LaunchRequest { new, token: self.config().client_tokens.then_some(token) };
            match self.call(cx, Action::LaunchInstance, region, self.cloud.launch_instance(region, request)).await {
                Err(e) if e.reason() == Reason::Capacity => short = e,
                Err(e) => return Err(if number == 0 { e } else { of_alternative(e, number - 1) }),
                Ok(row) => return Ok(row),
            }
        }
        Err(short)
    }
    /// The instance once it runs.
    fn running(&self, cx: &Cx, location: &LocationName, row: &Row, tags: &Tags) -> Result<Step<Object<Instance>>> {
        match state(&row.0) {
            InstanceState::Running => Ok(Step::Done(Self::object::<Instance>(cx, location, row, Some(tags))?)),
            InstanceState::Pending => Step::wait(&Launched { launched: row.0.id().to_owned(), at_ms: self.now_ms() }, POLL, "waiting for the instance to run"),
            other => Err(Error::new(ErrorKind::Aborted, Reason::CreationFailed, format!("the instance is {other} instead of running: somebody else changed it"))
                .with_effect(Effect::Applied)),
        }
    }
    async fn brought_to(&self, cx: &Cx, change: &Change<Instance>, goal: Condition, resume: &Resume) -> Result<Step<()>> {
        let region = change.target.parent().id.as_str();
        let (row, _) = match self.located(cx, change, resume).await? {
            Found::Here(row) => row,
            Found::NotYet(looking) => return Step::wait(&looking, self.pause(), "waiting for the cloud to show the instance"),
            Found::Gone => return Err(Error::not_found(&change.target)),
        };
        if row.body().goal == goal {
            let arrived = row.body().has_settled(row.at_ms);
            return if arrived { Ok(Step::Done(())) } else { Ok(Step::look_again(POLL, format!("waiting: {}", state(&row)))) };
        }
        let id = row.id();
        let call = match goal {
            Condition::Running => self.call(cx, Action::StartInstance, region, self.cloud.start_instance(region, id)).await,
            Condition::Stopped | Condition::Gone => self.call(cx, Action::StopInstance, region, self.cloud.stop_instance(region, id)).await,
        };
        or_gone(&change.target, call)?;
        Ok(Step::look_again(Duration::ZERO, "asked the cloud"))
    }
    /// Without a fixed point and without a token: sent once, and never again when nobody knows whether it arrived.
    async fn rebooted(&self, cx: &Cx, change: &Change<Instance>, resume: &Resume) -> Result<Step<()>> {
        if resume.data::<Rebooted>().is_some_and(|r| r.rebooted) {
            return Ok(Step::Done(()));
        }
        if self.must_look(resume) {
            let text = "whether the instance was rebooted cannot be known: the reply was lost. It is not sent again; look at the machine's uptime";
            return Err(Error::new(ErrorKind::Unknown, Reason::EffectUnknown, text).with_effect(Effect::Unknown));
        }
        let region = change.target.parent().id.as_str();
        let (row, _) = match self.located(cx, change, resume).await? {
            Found::Here(row) => row,
            Found::NotYet(looking) => return Step::wait(&looking, self.pause(), "waiting for the cloud to show the instance"),
            Found::Gone => return Err(Error::not_found(&change.target)),
        };
        or_gone(&change.target, self.call(cx, Action::RebootInstance, region, self.cloud.reboot_instance(region, row.id())).await)?;
        Ok(Step::Done(()))
    }
}

#[async_trait]
impl Driver<Instance> for Sim {
    async fn check(&self, cx: &Cx, change: &Change<Instance>) -> Result<()> {
        let region = change.target.parent().id.as_str();
        match &change.verb {
            Verb::Create { spec, .. } => {
                let mut short = Ok(());
                for new in choices(cx, change, spec)? {
                    match self.call(cx, Action::DryRun, region, self.cloud.dry_launch_instance(region, new)).await {
                        Err(e) if e.reason() == Reason::Capacity => short = Err(e),
                        answer => return answer,
                    }
                }
                short
            }
            Verb::Update { .. } | Verb::Act(_) => self.present(cx, change).await?.map(drop).ok_or_else(|| Error::not_found(&change.target)),
            Verb::Delete => match self.present(cx, change).await? {
                Some((row, _)) => self.call(cx, Action::DryRun, region, self.cloud.dry_delete_instance(region, row.id())).await,
                None => Ok(()),
            },
        }
    }

    async fn create(&self, cx: &Cx, change: &Change<Instance>, spec: &InstanceSpec, resume: &Resume) -> Result<Step<Object<Instance>>> {
        let location = change.target.parent();
        let region = location.id.as_str();
        let choices = choices(cx, change, spec)?;
        let (made, resume) = resume.read::<Launched>();
        if let Some(made) = made {
            let seen = self.call(cx, Action::DescribeInstances, region, self.cloud.instance(region, &made.launched)).await?;
            return match seen {
                Some(row) => self.running(cx, location, &row, &tags_of(&row, &choices)),
                None if made.at_ms + self.horizon_ms() > self.now_ms() => Step::wait(&made, self.pause(), "waiting for the cloud to show the instance"),
                None => Err(Error::new(ErrorKind::Aborted, Reason::CreationFailed, format!("{} was deleted while it was being made", made.launched)).with_effect(Effect::Applied)),
            };
        }
        // With a token, asking again is looking. With alternatives it is not: capacity may have come back for an earlier one meanwhile.
        let asks_again = self.config().client_tokens && choices.len() == 1;
        if !asks_again && self.must_look(&resume) {
            if let Some(row) = self.made(cx, change).await? {
                return self.running(cx, location, &row, &tags_of(&row, &choices));
            }
            if !resume.is_past(self.horizon()) {
                return Ok(Step::look_again(self.pause(), "looking for what an interrupted call has made"));
            }
        }
        let row = (self.launched(cx, change, choices).await?, Hung::default());
        self.running(cx, location, &row, &Tags::new())
    }

    async fn update(&self, cx: &Cx, change: &Change<Instance>, desired: &InstanceSpec, paths: &BTreeSet<FieldPath>, resume: &Resume) -> Result<Step<Object<Instance>>> {
        let location = change.target.parent();
        let region = location.id.as_str();
        let (row, _) = match self.located(cx, change, resume).await? {
            Found::Here(row) => row,
            Found::NotYet(looking) => return Step::wait(&looking, self.pause(), "waiting for the cloud to show the instance"),
            Found::Gone => return Err(Error::not_found(&change.target)),
        };
        let (id, body, none) = (row.id(), row.body(), Tags::new());
        let has = |path: &str| paths.contains(&FieldPath::from(path));
        let mut expect = expected(change, resume);
        let edit = InstanceEdit {
            machine_type: (has("machine_type") && body.machine_type != desired.machine_type).then(|| desired.machine_type.clone()),
            forwards: (has("ip_forwarding") && body.forwards != desired.ip_forwarding).then_some(desired.ip_forwarding),
            groups: if has("security_groups") { Some(groups(desired)?) } else { None },
            protected: (has("deletion_protection") && body.protected != desired.deletion_protection).then_some(desired.deletion_protection),
        };
        if edit != InstanceEdit::default() {
            let field = if edit.machine_type.is_some() { "machine_type" } else { "ip_forwarding" };
            let call = self.cloud.modify_instance(region, id, edit, expect.take());
            let answer = or_gone(&change.target, self.call(cx, Action::ModifyInstance, region, call).await);
            answer.map_err(|e| if crate::error::is(&e, Code::IncorrectState) { e.with_field(field) } else { e })?;
        }
        let tags = mark::relabelled(row.tags().unwrap_or(&none), &desired.labels);
        if has("labels") && row.tags() != Some(&tags) {
            or_gone(&change.target, self.call(cx, Action::TagInstance, region, self.cloud.tag_instance(region, id, tags, expect)).await)?;
        }
        let now = self.call(cx, Action::DescribeInstances, region, self.cloud.instance(region, id)).await?;
        let row = now.ok_or_else(|| Error::not_found(&change.target))?;
        Ok(Step::Done(Self::object::<Instance>(cx, location, &row, None)?))
    }

    async fn delete(&self, cx: &Cx, change: &Change<Instance>, resume: &Resume) -> Result<Step<()>> {
        self.erased(cx, change, resume).await
    }

    async fn act(&self, cx: &Cx, change: &Change<Instance>, action: &InstanceAction, resume: &Resume) -> Result<Step<()>> {
        match action {
            InstanceAction::Start => self.brought_to(cx, change, Condition::Running, resume).await,
            InstanceAction::Stop => self.brought_to(cx, change, Condition::Stopped, resume).await,
            InstanceAction::Reboot => self.rebooted(cx, change, resume).await,
        }
    }

    async fn ask(&self, cx: &Cx, target: &Target<Instance>, question: &InstanceQuestion) -> Result<ConsoleOutput> {
        let id = match target.vendor_id() {
            Some(id) => id.clone(),
            None => self.get(cx, target).await?.vendor_id,
        };
        let region = target.parent().id.as_str();
        match question {
            InstanceQuestion::ConsoleOutput => {
                let lines = or_gone(target, self.call(cx, Action::GetConsoleOutput, region, self.cloud.console(region, id.as_str())).await)?;
                let text: String = lines.iter().map(|line| format!("[{}.{:03}] {}\n", line.at_ms / 1000, line.at_ms % 1000, line.text)).collect();
                Ok(ConsoleOutput::newest(&text, lines.last().map(|line| line.at_ms)))
            }
        }
    }
}
