//! Security groups.

use super::{Head, Mutable, Resource, Scope, field, head, message, name_and_etag, no_arguments, no_questions, vendor_config};
use crate::api::v1::{self, security_group};
use welkin_core::{Direction, NoAction, Object, Result, SecurityGroup, SecurityGroupSpec, SecurityGroupState, SecurityGroupStatus, SecurityRule};

impl Resource for SecurityGroup {
    type Message = v1::SecurityGroup;
    const SERVICE: &'static str = "welkin.v1.SecurityGroups";

    fn encode(cloud: &str, object: Object<Self>) -> Result<v1::SecurityGroup> {
        let (h, spec, status) = Head::split(cloud, object);
        Ok(message!(SecurityGroup of h {
            state: status.state as i32,
            other_rules: status.other_rules,
            ..Self::encode_spec(cloud, spec)?
        }))
    }
    fn decode(cloud: &str, mut m: v1::SecurityGroup) -> Result<Object<Self>> {
        let status = SecurityGroupStatus { state: field::value(SecurityGroupState::ALL, m.state), other_rules: std::mem::take(&mut m.other_rules) };
        let head = head!(m);
        let spec = Scope::answer(cloud, &head.name, |scope| Self::decode_spec(m, scope))?;
        head.join(cloud, spec, status)
    }
}

impl Mutable for SecurityGroup {
    const ACTIONS: &'static [(&'static str, NoAction)] = &[];
    const ID_FIELD: &'static str = "security_group_id";

    name_and_etag!();
    no_arguments!();
    no_questions!();

    /// The order of rules and peers means nothing, so it is not part of what was asked for. What is wrong is told by the caller's order.
    fn decode_spec(m: v1::SecurityGroup, scope: &mut Scope<'_, Self>) -> SecurityGroupSpec {
        let mut spec = SecurityGroupSpec {
            network: scope.refer("network", &m.network),
            description: field::text(m.description),
            restrict_egress: m.restrict_egress,
            rules: m.rules.into_iter().enumerate().map(|(i, rule)| decode_rule(rule, &format!("rules[{i}]"), scope)).collect(),
            labels: m.labels,
            provider_config: scope.vendor_config(m.provider_config),
            allow_load_balancer_rules: m.allow_load_balancer_rules,
        };
        if <Self as welkin_core::Managed>::violations(&spec).is_empty() {
            spec.sort();
        }
        spec
    }
    fn encode_spec(cloud: &str, spec: SecurityGroupSpec) -> Result<v1::SecurityGroup> {
        Ok(v1::SecurityGroup {
            network: field::reference(cloud, spec.network),
            description: field::or_empty(spec.description),
            restrict_egress: spec.restrict_egress,
            rules: spec.rules.into_iter().map(|rule| encode_rule(cloud, rule)).collect(),
            labels: spec.labels,
            provider_config: vendor_config::encode(spec.provider_config)?,
            allow_load_balancer_rules: spec.allow_load_balancer_rules,
            ..Default::default()
        })
    }
}

fn decode_rule(rule: security_group::Rule, at: &str, scope: &mut Scope<'_, SecurityGroup>) -> SecurityRule {
    let mut port = |name: &str, port: Option<u32>| {
        let port = port?;
        u16::try_from(port).inspect_err(|_| scope.refuse(format!("{at}.{name}"), format!("a port is at most 65535, got {port}"))).ok()
    };
    let (from_port, to_port) = (port("from_port", rule.from_port), port("to_port", rule.to_port));
    let protocol = match rule.protocol.as_str() {
        "" => None,
        text => text.parse().inspect_err(|e: &welkin_core::Error| scope.refuse(format!("{at}.protocol"), e.violations().first().map_or(e.message(), |v| &v.description))).ok(),
    };
    let groups = rule.groups.iter().enumerate().filter_map(|(j, text)| scope.refer(&format!("{at}.groups[{j}]"), text)).collect();
    SecurityRule {
        direction: field::value(Direction::ALL, rule.direction),
        protocol,
        from_port,
        to_port,
        cidrs: scope.parse_all(&format!("{at}.cidrs"), "a range of addresses such as 10.0.1.0/24", rule.cidrs),
        groups,
        same_group: rule.same_group,
        description: rule.description,
    }
}
fn encode_rule(cloud: &str, rule: SecurityRule) -> security_group::Rule {
    security_group::Rule {
        direction: rule.direction as i32,
        protocol: rule.protocol.map(|p| p.to_string()).unwrap_or_default(),
        from_port: rule.from_port.map(Into::into),
        to_port: rule.to_port.map(Into::into),
        cidrs: field::texts(&rule.cidrs),
        groups: field::references(cloud, rule.groups),
        same_group: rule.same_group,
        description: rule.description,
    }
}
