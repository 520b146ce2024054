//! What is tried.

use crate::{Adoption, FaultPoint, World};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use welkin_core::{CloudProvider, LocationName, Owner, VendorConfig};

/// A provider with everything that is needed to try it.
#[derive(Debug)]
pub struct Subject {
    /// For the report.
    pub name: String,
    /// What is tried.
    pub provider: Arc<dyn CloudProvider>,
    /// What it acts on.
    pub world: Arc<dyn World>,
    /// Whose marks are ours.
    pub owner: Owner,
    /// Where to try it.
    pub location: LocationName,
    /// A machine type there, and another one to change to.
    pub machine_types: [String; 2],
    /// A portable family of images that runs on them.
    pub image_family: String,
    /// The quota of networks there, where the provider tells of quotas.
    pub quota: String,
    /// Something to be the identity of an instance; without it that field is not tried.
    pub identity: Option<String>,
    /// A disk type other than the default, of which operations and throughput are numbers; without it that field is not tried.
    pub disk_type: Option<String>,
    /// The vendor's name of a key for disks; without it that field is not tried.
    pub encryption_key: Option<String>,
    /// Does an interface get several private addresses, as the provider claims? Not from every stand-in of a vendor.
    pub several_private_ips: bool,
    /// An extension for each collection that takes one.
    pub provider_configs: BTreeMap<String, VendorConfig>,
    /// Is there an engine in front? Then names, request ids and bad input are its business, and are tried too.
    pub served: bool,
    /// How the engine in front adopts and releases, which the contract of providers does not have.
    pub adoption: Option<Arc<dyn Adoption>>,
    /// The faults that the world can inject.
    pub fault_points: Vec<FaultPoint>,
    /// How long one step may take.
    pub step_timeout: Duration,
    /// The next step comes after this at the latest, whatever the last one advises: for clouds that are quicker than the provider thinks.
    pub longest_wait: Duration,
    /// How long one change may take.
    pub patience: Duration,
    /// For how long the world's own reads and plants wait for what was done: for clouds that lag.
    pub settles: Duration,
    /// Trials and claims (`networks.labels`) that need not be shown, each with the reason.
    pub expected_skips: BTreeMap<String, String>,
    /// What the vendor's stand-in does not refuse although the vendor does ("an unknown machine type"), each with the reason.
    pub not_refused: BTreeMap<String, String>,
    /// Trials that fail for a reason outside of the provider, such as a defect of an emulator. They run, and have to fail.
    pub known_gaps: BTreeMap<String, String>,
}
impl Subject {
    /// A subject with nothing declared and times that suit a cloud that answers quickly.
    pub fn new(name: impl Into<String>, provider: Arc<dyn CloudProvider>, world: Arc<dyn World>, owner: Owner, location: LocationName) -> Self {
        Self {
            name: name.into(),
            provider,
            world,
            owner,
            location,
            machine_types: ["small".into(), "medium".into()],
            image_family: "debian-12".into(),
            quota: "networks".into(),
            identity: None,
            disk_type: None,
            encryption_key: None,
            several_private_ips: true,
            provider_configs: BTreeMap::new(),
            served: false,
            adoption: None,
            fault_points: FaultPoint::ALL.to_vec(),
            step_timeout: Duration::from_secs(30),
            longest_wait: Duration::MAX,
            patience: Duration::from_mins(10),
            settles: Duration::ZERO,
            expected_skips: BTreeMap::new(),
            not_refused: BTreeMap::new(),
            known_gaps: BTreeMap::new(),
        }
    }
    /// Declares why a trial or a claim is skipped.
    #[must_use]
    pub fn skipping(mut self, what: impl Into<String>, why: impl Into<String>) -> Self {
        self.expected_skips.insert(what.into(), why.into());
        self
    }
    /// Declares why a trial fails.
    #[must_use]
    pub fn with_gap(mut self, trial: impl Into<String>, why: impl Into<String>) -> Self {
        self.known_gaps.insert(trial.into(), why.into());
        self
    }
}
