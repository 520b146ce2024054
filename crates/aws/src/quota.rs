//! Quotas are those of Service Quotas: applied ones, and of what has none the default.
//!
//! <https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_ListServiceQuotas.html> and the calls beside it. An id is the code of the service and
//! that of the quota, as they stand in the ARN: `vpc.L-F678F1CE`. How much is used Service Quotas does not tell: of some quotas it names a metric of CloudWatch,
//! each reading of which costs money.

use crate::{
    Aws,
    client::{GLOBAL, Service},
    error,
    page::{At, all_pages},
    step::{answered, told},
};
use async_trait::async_trait;
use aws_sdk_servicequotas::{Client, types::ServiceQuota};
use futures::future::try_join;
use std::collections::BTreeSet;
use welkin_core::{
    Address, Cursor, Cx, Disk, DnsZone, Error, Image, Instance, InstanceGroup, Kind, LoadBalancer, LocationName, Name, NatGateway, Network, Object, Page, ProviderId, Query, Quota,
    QuotaSpec, QuotaStatus, Reader, RecordSet, ResourceId, Result, RouteTable, SecurityGroup, Shard, Subnet, Target, VendorId,
};

/// The services that have to do with our kinds.
const REGIONAL: &[&str] = &["autoscaling", "ebs", "ec2", "elasticloadbalancing", "vpc"];
const WORLDWIDE: &[&str] = &["route53"];
/// This list's own bounds of `MaxResults`.
const MAX_RESULTS: (usize, usize) = (1, 100);
const GONE: &[&str] = &["NoSuchResourceException"];
/// A list shows what is applied first, and then what has nothing but a default; this stands before a cursor of the second part.
const DEFAULTS: &str = "default:";

/// What a quota is about: what it bounds, what has it each, and which parts it counts or in what, where that is not the things themselves.
struct Meaning {
    service: &'static str,
    codes: &'static [&'static str],
    collection: &'static str,
    per: &'static str,
    unit: &'static str,
}
const fn bounds(service: &'static str, codes: &'static [&'static str], collection: &'static str) -> Meaning {
    Meaning { service, codes, collection, per: "", unit: "" }
}
const fn each(service: &'static str, codes: &'static [&'static str], collection: &'static str, per: &'static str) -> Meaning {
    Meaning { per, ..bounds(service, codes, collection) }
}
impl Meaning {
    const fn counting(self, unit: &'static str) -> Self {
        Self { unit, ..self }
    }
}
/// By code, since names change: those of the tables below
/// <https://docs.aws.amazon.com/general/latest/gr/aws-service-information.html>, whose codes are in the links to the console.
static MEANINGS: &[Meaning] = &[
    bounds("autoscaling", &["L-CDE20ADC"], InstanceGroup::COLLECTION),
    each("autoscaling", &["L-05CB8B12"], InstanceGroup::COLLECTION, InstanceGroup::COLLECTION).counting("target groups"),
    // Storage of gp2, gp3, io1, io2, sc1, st1 and standard.
    bounds("ebs", &["L-D18FCD1D", "L-7A658B76", "L-FD252861", "L-09BD8365", "L-17AF77E8", "L-82ACEF56", "L-9CF3C2EB"], Disk::COLLECTION).counting("TiB"),
    // Of io1 and io2.
    bounds("ebs", &["L-B3A130E6", "L-8D977E7E"], Disk::COLLECTION).counting("IOPS"),
    // On demand: standard, DL, F, G and VT, High Memory, HPC, Inf, P, Trn and X
    // (<https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html>).
    bounds(
        "ec2",
        &["L-1216C47A", "L-6E869C2A", "L-74FC7D96", "L-DB2E81BA", "L-43DA4232", "L-F7808C92", "L-1945791B", "L-417A185B", "L-2C3B7624", "L-7295265B"],
        Instance::COLLECTION,
    )
    .counting("vCPU"),
    // Spot: the same without HPC and High Memory, and of P two.
    bounds("ec2", &["L-34B43A08", "L-85EED4F7", "L-88CF9481", "L-3819A6DF", "L-B5D1601B", "L-7212CCBC", "L-C4BD4855", "L-6B0D517C", "L-E3A00192"], Instance::COLLECTION)
        .counting("vCPU"),
    bounds("ec2", &["L-0263D0A3"], Address::COLLECTION),
    bounds("ec2", &["L-B665C33B"], Image::COLLECTION),
    bounds("elasticloadbalancing", &["L-69A177A2"], LoadBalancer::COLLECTION),
    bounds("elasticloadbalancing", &["L-B22855CB"], LoadBalancer::COLLECTION).counting("target groups"),
    each("elasticloadbalancing", &["L-57A373D6"], LoadBalancer::COLLECTION, LoadBalancer::COLLECTION).counting("listeners"),
    // All of them, and those of a zone.
    each("elasticloadbalancing", &["L-EEF1AD04", "L-B211E961"], LoadBalancer::COLLECTION, LoadBalancer::COLLECTION).counting("targets"),
    each("elasticloadbalancing", &["L-52964454"], LoadBalancer::COLLECTION, LoadBalancer::COLLECTION).counting("certificates"),
    bounds("route53", &["L-4EA4796A"], DnsZone::COLLECTION),
    each("route53", &["L-E209CC9F"], RecordSet::COLLECTION, DnsZone::COLLECTION),
    each("route53", &["L-84B40094"], Network::COLLECTION, DnsZone::COLLECTION),
    bounds("vpc", &["L-F678F1CE"], Network::COLLECTION),
    bounds("vpc", &["L-A4707A72"], Network::COLLECTION).counting("internet gateways"),
    each("vpc", &["L-83CA0A9D"], Network::COLLECTION, Network::COLLECTION).counting("IPv4 ranges"),
    each("vpc", &["L-085A6257"], Network::COLLECTION, Network::COLLECTION).counting("IPv6 ranges"),
    each("vpc", &["L-407747CB"], Subnet::COLLECTION, Network::COLLECTION),
    each("vpc", &["L-589F43AA"], RouteTable::COLLECTION, Network::COLLECTION),
    each("vpc", &["L-93826ACB"], RouteTable::COLLECTION, RouteTable::COLLECTION).counting("routes"),
    bounds("vpc", &["L-E79EC296"], SecurityGroup::COLLECTION),
    each("vpc", &["L-0EA8095F"], SecurityGroup::COLLECTION, SecurityGroup::COLLECTION).counting("rules"),
    bounds("vpc", &["L-DF5E4CA3"], Instance::COLLECTION).counting("network interfaces"),
    each("vpc", &["L-FE5A380F"], NatGateway::COLLECTION, "zones"),
    each("vpc", &["L-5F53652F"], Address::COLLECTION, NatGateway::COLLECTION),
];

fn services(location: &str) -> &'static [&'static str] {
    if location == GLOBAL { WORLDWIDE } else { REGIONAL }
}

impl Aws {
    fn quotas_of(&self, location: &LocationName) -> Result<&Service<Client>> {
        if location.id.as_str() == GLOBAL { Ok(&self.global.quotas) } else { Ok(&self.region(location)?.quotas) }
    }
}

#[async_trait]
impl Reader<Quota> for Aws {
    fn shards(&self, query: &Query<Quota>) -> Vec<Shard> {
        let locations: Vec<&str> = match &query.parent {
            // A location that is not ours is refused when the shard is read.
            Some(location) => vec![location.id.as_str()],
            None => self.regions().chain([GLOBAL]).collect(),
        };
        locations.into_iter().flat_map(|l| services(l).iter().map(move |service| Shard(format!("{l}/{service}")))).collect()
    }

    /// One call, and another one for what has nothing but a default.
    async fn get(&self, cx: &Cx, target: &Target<Quota>) -> Result<Object<Quota>> {
        let location = target.parent();
        let id = match target {
            Target::Named { name, .. } => name.id.decoded(),
            Target::Vendor { vendor_id, .. } => vendor_id.to_string(),
        };
        let quotas = self.quotas_of(location)?;
        quotas.one(cx, location, &id).await?.map_or_else(|| Err(Error::not_found(target)), |quota| object(location, &quota))
    }

    async fn list(&self, cx: &Cx, query: &Query<Quota>, shard: &Shard, from: Option<&Cursor>) -> Result<Page<Quota>> {
        let (location, service) = shard.0.split_once('/').unwrap_or((&shard.0, ""));
        let location = LocationName::of(location)?;
        let (quotas, size) = (self.quotas_of(&location)?, query.page_size);
        let defaults = from.and_then(|c| c.0.strip_prefix(DEFAULTS)).map(|rest| Cursor(rest.into()));
        let (found, next) = match defaults {
            _ if !query.vendor_ids.is_empty() => At::read(from)?.cut(quotas.some(cx, &location, service, &query.vendor_ids).await?, None, size, code)?,
            Some(at) => {
                let at = At::read(Some(&at).filter(|c| !c.0.is_empty()))?;
                let (found, next) = at.cut(quotas.unapplied(cx, service).await?, None, size, code)?;
                (found, next.map(|n| Cursor(format!("{DEFAULTS}{}", n.0))))
            }
            None => {
                let at = At::read(from)?;
                let (page, token) = quotas.applied(cx, service, size, at.token.clone()).await?;
                let (found, next) = at.cut(page.unwrap_or_default(), token, size, code)?;
                // The second part begins where the first is through.
                (found, next.or_else(|| Some(Cursor(DEFAULTS.into()))))
            }
        };
        Ok(Page { items: found.iter().map(|quota| object(&location, quota)).collect::<Result<_>>()?, next, unreachable: Vec::new() })
    }
}

/// A page, and the token of the next one.
type Answer = Result<(Option<Vec<ServiceQuota>>, Option<String>)>;

/// A service that Service Quotas does not have in this region has none there: Route 53's are told in one alone, and not every region has every service.
/// An answer without a list is none of that: taken for an empty one it would show defaults in place of what is applied.
fn page(answer: Answer) -> Answer {
    match answer {
        Err(e) if error::is(&e, GONE) => Ok((None, None)),
        answer => answer.and_then(|(quotas, next)| Ok((Some(answered(quotas, "Quotas")?), next))),
    }
}

impl Service<Client> {
    async fn applied(&self, cx: &Cx, service: &str, size: usize, token: Option<String>) -> Answer {
        let size = i32::try_from(size.clamp(MAX_RESULTS.0, MAX_RESULTS.1)).unwrap_or(1);
        let call = self.list_service_quotas().service_code(service).max_results(size).set_next_token(token);
        page(self.read(cx, "ListServiceQuotas", call.send()).await.map(|a| (a.quotas, a.next_token)))
    }
    async fn defaults(&self, cx: &Cx, service: &str, token: Option<String>) -> Answer {
        let call = self.list_aws_default_service_quotas().service_code(service).max_results(100).set_next_token(token);
        page(self.read(cx, "ListAWSDefaultServiceQuotas", call.send()).await.map(|a| (a.quotas, a.next_token)))
    }
    /// What a service has nothing but a default of: "if the applied quota value is not available for a quota, the quota is not retrieved".
    async fn unapplied(&self, cx: &Cx, service: &str) -> Result<Vec<ServiceQuota>> {
        let applied = all_pages(|token| self.applied(cx, service, MAX_RESULTS.1, token));
        let defaults = all_pages(|token| self.defaults(cx, service, token));
        let (applied, mut defaults) = Box::pin(try_join(applied, defaults)).await?;
        let applied: BTreeSet<String> = applied.iter().map(code).collect();
        defaults.retain(|quota| !applied.contains(&code(quota)));
        Ok(defaults)
    }
    /// The quota of this id; None where there is none.
    async fn one(&self, cx: &Cx, location: &LocationName, id: &str) -> Result<Option<ServiceQuota>> {
        let is_code =
            |text: &str| (2..=128).contains(&text.len()) && text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let known = id.split_once('.').filter(|(service, code)| services(location.id.as_str()).contains(service) && is_code(code));
        let Some((service, code)) = known else { return Ok(None) };
        let applied = self.get_service_quota().service_code(service).quota_code(code);
        match self.read(cx, "GetServiceQuota", applied.send()).await {
            Err(e) if error::is(&e, GONE) => {}
            answer => return answered(answer?.quota, "Quota").map(Some),
        }
        let default = self.get_aws_default_service_quota().service_code(service).quota_code(code);
        match self.read(cx, "GetAWSDefaultServiceQuota", default.send()).await {
            Err(e) if error::is(&e, GONE) => Ok(None),
            answer => answered(answer?.quota, "Quota").map(Some),
        }
    }
    /// Those of a service that there are, one after another: a get costs more of the calls that AWS allows than a page of a list.
    async fn some(&self, cx: &Cx, location: &LocationName, service: &str, ids: &[VendorId]) -> Result<Vec<ServiceQuota>> {
        let mut found = Vec::new();
        for id in ids.iter().map(VendorId::as_str).filter(|id| id.split_once('.').is_some_and(|(s, _)| s == service)).collect::<BTreeSet<_>>() {
            found.extend(self.one(cx, location, id).await?);
        }
        Ok(found)
    }
}

fn code(quota: &ServiceQuota) -> String {
    quota.quota_code().unwrap_or_default().to_owned()
}

fn object(location: &LocationName, quota: &ServiceQuota) -> Result<Object<Quota>> {
    let service = answered(told(quota.service_code()), "ServiceCode")?;
    let code = answered(told(quota.quota_code()), "QuotaCode")?;
    let id = format!("{service}.{code}");
    Ok(Object {
        name: Name::new(location.clone(), ResourceId::of_vendor(&id)?),
        provider_id: ProviderId::new("aws", "", &[location.id.as_str(), &id])?,
        vendor_id: id.parse()?,
        mark: None,
        revision: None,
        created_ms: None,
        spec: QuotaSpec {},
        status: status(service, code, quota),
    })
}

fn status(service: &str, code: &str, quota: &ServiceQuota) -> QuotaStatus {
    let meaning = MEANINGS.iter().find(|m| m.service == service && m.codes.contains(&code));
    // `None` is what a count's unit is called.
    let unit = told(quota.unit()).filter(|unit| *unit != "None");
    let limit = quota.value().filter(|value| value.is_finite() && *value >= 0.0).map(|value| value.floor() as u64);
    let why = quota.error_reason().map(|e| format!("{}: {}", e.error_code().map_or("", |c| c.as_str()), e.error_message().unwrap_or_default()));
    QuotaStatus {
        display_name: quota.quota_name().unwrap_or_default().to_owned(),
        service: service.to_owned(),
        collection: meaning.map_or("", |m| m.collection).to_owned(),
        per: meaning.map_or("", |m| m.per).to_owned(),
        unknown_reason: if limit.is_none() { why.unwrap_or_else(|| "AWS tells no value of it".into()) } else { String::new() },
        limit,
        used: None,
        unit: unit.unwrap_or_else(|| meaning.map_or("", |m| m.unit)).to_owned(),
        adjustable: quota.adjustable(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_servicequotas::types::{ErrorCode, ErrorReason};
    use welkin_core::COLLECTIONS;

    #[test]
    fn every_code_means_one_thing_that_there_is() {
        let codes: Vec<(&str, &str)> = MEANINGS.iter().flat_map(|m| m.codes.iter().map(|code| (m.service, *code))).collect();
        assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len());
        for m in MEANINGS {
            assert!(REGIONAL.contains(&m.service) || WORLDWIDE.contains(&m.service), "{}", m.service);
            let known = |c: &str| c.is_empty() || COLLECTIONS.contains(&c);
            assert!(COLLECTIONS.contains(&m.collection) && (m.per == "zones" || known(m.per)), "{:?}", m.codes);
        }
    }
    #[test]
    fn a_limit_that_is_not_told_is_not_said_to_be_none() {
        let told = |value: Option<f64>| status("vpc", "L-F678F1CE", &ServiceQuota::builder().quota_name("VPCs per Region").unit("None").set_value(value).build());
        assert_eq!((told(Some(5.0)).limit, told(Some(2.9)).limit, told(Some(0.0)).limit), (Some(5), Some(2), Some(0)));
        assert!(told(Some(5.0)).unknown_reason.is_empty() && told(Some(5.0)).unit.is_empty());
        for nothing in [None, Some(f64::NAN), Some(f64::INFINITY), Some(-1.0)] {
            assert_eq!((told(nothing).limit, told(nothing).unknown_reason.as_str()), (None, "AWS tells no value of it"));
        }
        let reason = ErrorReason::builder().error_code(ErrorCode::DependencyThrottlingError).error_message("wait").build();
        let failed = status("ec2", "L-1216C47A", &ServiceQuota::builder().error_reason(reason).build());
        assert_eq!((failed.limit, failed.unknown_reason.as_str(), failed.unit.as_str()), (None, "DEPENDENCY_THROTTLING_ERROR: wait", "vCPU"));
    }
}
