//! The trials of `welkin-conformance` on every cloud that there is to try: the simulated one in process and through a server, and AWS as moto
//! plays it.

#[cfg(feature = "aws")]
mod aws;
mod fidelity;
mod server;
mod sim;

use std::io::Write as _;
#[cfg(feature = "aws")]
use welkin_conformance::{Line, Outcome};
use welkin_conformance::{Report, Subject};

/// Runs the trials, or those whose names contain `WELKIN_TRIALS`, and shows the table.
async fn good(subject: &Subject) -> Report {
    good_shared(std::slice::from_ref(subject)).await
}
/// The same, shared out over subjects that are alike.
async fn good_shared(alike: &[Subject]) -> Report {
    let part = std::env::var("WELKIN_TRIALS").unwrap_or_default();
    let report = welkin_conformance::run_shared(alike, |name| name.contains(&part)).await;
    let _ = writeln!(std::io::stderr(), "{report}");
    assert!(report.is_good(), "see the table above");
    report
}

/// Some of the trials only: nothing fails, and what is skipped is declared. What only the others could show is not complained about.
#[cfg(feature = "aws")]
async fn good_part(alike: &[Subject], wanted: impl Fn(&str) -> bool) -> Report {
    let part = std::env::var("WELKIN_TRIALS").unwrap_or_default();
    let report = welkin_conformance::run_shared(alike, |name| wanted(name) && name.contains(&part)).await;
    let _ = writeln!(std::io::stderr(), "{report}");
    let undeclared = |line: &Line| matches!(line.outcome, Outcome::Skipped(_)) && !alike.iter().any(|s| s.expected_skips.contains_key(&line.trial));
    assert!(report.counts().1 == 0 && !report.lines.iter().any(undeclared), "see the table above");
    report
}

/// What every subject has to declare.
fn declared(mut subject: Subject) -> Subject {
    if !subject.served {
        for kind in
            ["networks", "subnets", "securityGroups", "instances", "addresses", "disks", "dnsZones", "natGateways", "routeTables", "recordSets", "loadBalancers", "instanceGroups"]
        {
            for trial in ["same_name", "request_id", "adopted"] {
                subject = subject.skipping(format!("{kind}.{trial}"), "names, request ids and adoption are the engine's; they are tried through a server");
            }
        }
    }
    for kind in ["networks", "subnets", "securityGroups", "addresses", "disks", "dnsZones", "natGateways", "routeTables", "recordSets"] {
        for trial in ["actions", "once"] {
            subject = subject.skipping(format!("{kind}.{trial}"), "the kind has no action without arguments");
        }
        subject = subject.skipping(format!("{kind}.questions"), "the kind has no questions");
    }
    subject
        .skipping("networks.refused", "a network stands alone: nothing well-formed is refused")
        .skipping("networks.refused_changes", "a network stands alone: nothing well-formed is refused")
        .skipping("subnets.refused_changes", "of a subnet only labels and a default can be changed: nothing well-formed is refused")
        .skipping("recordSets.foreign", "without marks only an engine knows what is ours: recordSets.adopted and recordSets.exact")
        .skipping("recordSets.in_use", "nothing stands on a record set")
        .skipping("recordSets.refused", "what a zone refuses depends on the name: recordSets.places")
        .skipping("recordSets.refused_changes", "a name stays: no well-formed change is refused")
        .skipping("instances.in_use", "nothing stands on an instance")
        .skipping("loadBalancers.actions", "its action has arguments: loadBalancers.backends")
        .skipping("loadBalancers.once", "its action can be repeated: loadBalancers.backends")
        .skipping("loadBalancers.in_use", "nothing stands on a load balancer: an alias that leads to one that has gone leads nowhere")
        .skipping("instanceGroups.actions", "its actions have arguments: instanceGroups.chosen and instanceGroups.replaced")
        .skipping("instanceGroups.once", "each of its actions can be repeated: instanceGroups.chosen and instanceGroups.replaced")
        .skipping("instanceGroups.in_use", "nothing stands on an instance group: a load balancer that leads to one that has gone leads nowhere")
        .skipping("natGateways.in_use", "nothing stands on a NAT gateway: a route that leads to one that has gone leads nowhere")
        .skipping("routeTables.in_use", "nothing stands on a route table but the subnets that are a part of it")
        .skipping("natGateways.refused_changes", "of a NAT gateway only labels can be changed: nothing well-formed is refused")
}
