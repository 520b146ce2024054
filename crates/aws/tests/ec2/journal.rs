//! Drives changes as the engine does: a mark for every write, folded into what is unresolved, and the same loop of steps.

use crate::cloud::Cloud;
use async_trait::async_trait;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::Instant;
use welkin_aws::{Aws, AwsConfig};
use welkin_core::*;

/// What the drivers count in: a horizon can end that much early.
pub const MILLISECOND: Duration = Duration::from_millis(1);
/// The longest wait between two steps: steps are only counted here, and the horizons of these tests are short.
const PACE: Duration = Duration::from_millis(20);
/// More steps than any change of these tests may take.
const STEPS: usize = 300;

/// Lets everything through, and keeps what it was: `ec2:RunInstances`.
#[derive(Debug, Default)]
pub struct Seen(Mutex<BTreeSet<String>>);
impl Seen {
    pub fn actions(&self) -> BTreeSet<String> {
        self.0.lock().unwrap().clone()
    }
    fn note(&self, api: &Api) {
        self.0.lock().unwrap().insert(format!("{}:{}", api.family, api.action));
    }
}
#[async_trait]
impl Gate for Seen {
    async fn admit(&self, api: &Api) -> Result<Permit> {
        self.note(api);
        Ok(Permit(0))
    }
    fn settle(&self, _: Permit, _: &Api, _: Duration, _: Option<&Error>) {}
}

#[derive(Debug)]
struct Marks {
    seen: Arc<Seen>,
    open: Mutex<(u64, BTreeMap<u64, Instant>)>,
}
#[async_trait]
impl Gate for Marks {
    async fn admit(&self, api: &Api) -> Result<Permit> {
        self.seen.note(api);
        let mut marks = self.open.lock().unwrap();
        marks.0 += 1;
        let permit = marks.0;
        if api.write {
            marks.1.insert(permit, Instant::now());
        }
        Ok(Permit(permit))
    }
    fn settle(&self, permit: Permit, api: &Api, _: Duration, error: Option<&Error>) {
        if api.write && error.is_some_and(|e| e.effect() == Effect::None) {
            self.open.lock().unwrap().1.remove(&permit.0);
        }
    }
}

/// What a change came to.
#[derive(Debug)]
pub enum Done<K: Managed> {
    Is(Box<Object<K>>),
    Gone,
    Acted(K::Outcome),
}
impl<K: Managed> Done<K> {
    pub fn object(self) -> Object<K> {
        match self {
            Self::Is(object) => *object,
            other => panic!("{other:?}"),
        }
    }
}

pub struct World {
    pub cloud: Cloud,
    pub aws: Aws,
    pub horizon: Duration,
    pub seen: Arc<Seen>,
}
impl World {
    pub async fn with(horizon_ms: u64) -> Self {
        Self::within(horizon_ms, 0.5).await
    }
    /// `call_timeout_s`: long where nothing is tried that does not answer.
    pub async fn within(horizon_ms: u64, call_timeout_s: f64) -> Self {
        let cloud = Cloud::start().await;
        let horizon = Duration::from_millis(horizon_ms);
        let config = format!(
            "regions = [\"eu-west-1\"]\naccess_key_id = \"A\"\nsecret_access_key = \"S\"\nendpoint = \"{}\"\nconsistency_horizon_s = {:?}\ncall_timeout_s = {call_timeout_s:?}",
            cloud.endpoint,
            horizon.as_secs_f64()
        );
        let config: AwsConfig = toml::from_str(&config).unwrap();
        Self { cloud, aws: Aws::connect(&config).await.unwrap(), horizon, seen: Arc::default() }
    }
    pub fn cx(&self) -> Cx {
        Cx { deadline: Instant::now() + Duration::from_secs(5), owner: "me".parse().unwrap(), gate: Arc::clone(&self.seen) as Arc<dyn Gate> }
    }
    pub async fn get<K: Kind>(&self, target: &Target<K>) -> Result<Object<K>> {
        K::reader(&self.aws).unwrap().get(&self.cx(), target).await
    }
    pub async fn ask<K: Managed>(&self, target: &Target<K>, question: K::Question) -> Result<K::Answer> {
        K::driver(&self.aws).unwrap().ask(&self.cx(), target, &question).await
    }
    pub async fn check<K: Managed>(&self, change: &Change<K>) -> Result<()> {
        K::driver(&self.aws).unwrap().check(&self.cx(), change).await
    }
    pub async fn run<K: Managed>(&self, change: &Change<K>) -> Result<Done<K>> {
        self.run_from(change, Resume::default()).await
    }
    pub async fn run_from<K: Managed>(&self, change: &Change<K>, mut resume: Resume) -> Result<Done<K>> {
        self.run_with(change, &mut resume).await
    }
    /// A create that is refused, and the delete that cleans up after it.
    pub async fn run_and_clean<K: Managed>(&self, change: &Change<K>) -> Error {
        let mut resume = Resume::default();
        let refusal = self.run_with(change, &mut resume).await.unwrap_err();
        self.run_from(&Change { verb: Verb::Delete, ..change.clone() }, Resume { cleans_up: true, ..resume }).await.unwrap();
        refusal
    }
    async fn run_with<K: Managed>(&self, change: &Change<K>, resume: &mut Resume) -> Result<Done<K>> {
        let marks = Arc::new(Marks { seen: Arc::clone(&self.seen), open: Mutex::default() });
        for _ in 0..STEPS {
            let cx = Cx { gate: Arc::clone(&marks) as Arc<dyn Gate>, ..self.cx() };
            let step = self.step(&cx, change, resume).await;
            let written = std::mem::take(&mut marks.open.lock().unwrap().1);
            let last = written.into_values().max();
            (resume.unresolved, resume.written) = (last.or(resume.unresolved), last.or(resume.written));
            let after = match step {
                Ok(Step::Done(done)) => return Ok(done),
                Ok(Step::Wait { handle, after, .. }) => {
                    if handle.is_some() {
                        *resume = Resume { handle, unresolved: None, ..*resume };
                    }
                    after
                }
                Err(e) => e.retry_after().ok_or(e)?,
            };
            tokio::time::sleep(after.min(PACE)).await;
        }
        panic!("{} of {} does not end", change.verb.name(), change.target);
    }
    async fn step<K: Managed>(&self, cx: &Cx, change: &Change<K>, resume: &Resume) -> Result<Step<Done<K>>> {
        let driver = K::driver(&self.aws).unwrap();
        let is = |step: Step<Object<K>>| step.map(|o| Done::Is(Box::new(o)));
        match &change.verb {
            Verb::Create { spec, .. } => driver.create(cx, change, spec, resume).await.map(is),
            Verb::Update { desired, paths } => driver.update(cx, change, desired, paths, resume).await.map(is),
            Verb::Delete => driver.delete(cx, change, resume).await.map(|s| s.map(|()| Done::Gone)),
            Verb::Act(action) => driver.act(cx, change, action, resume).await.map(|s| s.map(Done::Acted)),
        }
    }
}

pub fn name<K: Managed<Parent = LocationName, Id = ResourceId>>(id: &str) -> Name<K> {
    Name::new(LocationName::of("eu-west-1").unwrap(), id.parse().unwrap())
}
pub fn create<K: Managed<Parent = LocationName, Id = ResourceId>>(id: &str, spec: K::Spec) -> Change<K> {
    let verb = Verb::Create { spec, digest: "v1-digest".parse().unwrap() };
    Change { target: Target::named(name(id)), uid: format!("uid-of-{id}").parse().unwrap(), token: format!("token-{id}"), expect: None, past: Vec::new(), verb }
}
/// The next change of what a create has made, as the engine asks for it from its store.
pub fn then<K: Managed>(made: &Change<K>, vendor_id: &str, verb: Verb<K>) -> Change<K> {
    let name = made.target.name().unwrap().clone();
    Change { target: Target::Named { name, uid: Some(made.uid.clone()), vendor_id: Some(vendor_id.parse().unwrap()) }, verb, ..made.clone() }
}
pub fn network(id: &str, internet_access: bool) -> Change<Network> {
    create(id, NetworkSpec { cidrs: vec!["10.0.0.0/16".parse().unwrap()], internet_access, ..Default::default() })
}
pub fn subnet(id: &str, vpc: &str) -> Change<Subnet> {
    let network = Some(Ref::resolved(name("n"), vpc.parse().unwrap()));
    create(id, SubnetSpec { network, cidrs: vec!["10.0.1.0/24".parse().unwrap()], ..Default::default() })
}
/// TCP to these ports from anywhere.
pub fn security_group(id: &str, vpc: &str, ports: &[u16]) -> Change<SecurityGroup> {
    let network = Some(Ref::resolved(name("n"), vpc.parse().unwrap()));
    create(id, SecurityGroupSpec { network, rules: rules(ports), restrict_egress: true, allow_load_balancer_rules: true, ..Default::default() })
}
pub fn rules(ports: &[u16]) -> Vec<SecurityRule> {
    let rule = |port: &u16| SecurityRule {
        direction: Direction::Ingress,
        protocol: Some(Protocol::TCP),
        from_port: Some(*port),
        to_port: Some(*port),
        cidrs: vec!["0.0.0.0/0".parse().unwrap()],
        ..Default::default()
    };
    ports.iter().map(rule).collect()
}
pub fn instance(id: &str, ssh_key: bool) -> Change<Instance> {
    let image = Name::<Image>::new(LocationName::of("eu-west-1").unwrap(), "ami-1".parse().unwrap());
    create(
        id,
        InstanceSpec {
            machine_type: "t3.small".into(),
            image: Some(Ref::resolved(image, "ami-1".parse().unwrap())),
            subnet: Some(Ref::resolved(name("s"), "subnet-1".parse().unwrap())),
            ssh_key: ssh_key.then(|| "ssh-ed25519 AAAA".into()),
            ..Default::default()
        },
    )
}
/// Right after a write of unknown fate.
pub fn unresolved() -> Resume {
    Resume { unresolved: Some(Instant::now()), ..Resume::default() }
}
