//! Quotas, before a small Service Quotas over HTTP: what is applied, what has nothing but a default, pages, regions and refusals.

use crate::{
    http::{self, Request},
    journal::Seen,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::Instant};
use welkin_aws::{Aws, AwsConfig};
use welkin_core::*;

/// Before the operation, in the header `X-Amz-Target`.
const TARGET: &str = "ServiceQuotasV20190624.";

/// One quota: where it is told, its service and code, the default, and what is applied to the account.
type Row = (&'static str, &'static str, &'static str, f64, Option<f64>);
const ROWS: &[Row] = &[
    ("eu-west-1", "vpc", "L-F678F1CE", 5.0, Some(20.0)),
    ("eu-west-1", "vpc", "L-407747CB", 200.0, Some(200.0)),
    // It has nothing but a default.
    ("eu-west-1", "vpc", "L-3248932A", 20480.0, None),
    ("eu-west-1", "vpc", "L-FE5A380F", 5.0, Some(5.0)),
    ("eu-west-1", "ec2", "L-1216C47A", 5.0, Some(64.0)),
    ("us-east-1", "route53", "L-4EA4796A", 500.0, Some(500.0)),
];

#[derive(Debug, Default)]
struct Script {
    /// At most this many a page, whatever is asked for; 0 for no bound.
    page: usize,
    /// Refusals of the next calls: status and code.
    refusals: VecDeque<(u16, &'static str)>,
    /// Answered to the next call in place of what is true.
    told: Option<String>,
    /// The same of the call after so many more.
    told_after: Option<(usize, String)>,
    /// The region that each request was signed for, and the request for the judge.
    calls: Vec<(String, String)>,
}
impl Script {
    fn act(&mut self, region: &str, action: &str, body: &Value) -> (u16, String) {
        if let Some((status, code)) = self.refusals.pop_front() {
            return (status, json!({ "__type": format!("com.amazonaws.servicequotas#{code}"), "Message": "as scripted" }).to_string());
        }
        if let Some(told) = self.told.take() {
            return (200, told);
        }
        match self.told_after.take() {
            Some((0, told)) => return (200, told),
            Some((after, told)) => self.told_after = Some((after - 1, told)),
            None => {}
        }
        let here: Vec<&Row> = ROWS.iter().filter(|row| row.0 == region && row.1 == body["ServiceCode"]).collect();
        let absent = (400, json!({ "__type": "NoSuchResourceException", "Message": "as documented" }).to_string());
        let of_default = action.contains("Default");
        let mut found = here.iter().filter(|row| of_default || row.4.is_some()).map(|row| shown(row, of_default));
        if action.starts_with("Get") {
            return found.find(|quota| quota["QuotaCode"] == body["QuotaCode"]).map_or(absent, |quota| (200, json!({ "Quota": quota }).to_string()));
        }
        if here.is_empty() {
            return absent;
        }
        let from: usize = body["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
        let size = usize::try_from(body["MaxResults"].as_u64().unwrap()).unwrap();
        let size = if self.page == 0 { size } else { size.min(self.page) };
        let quotas: Vec<Value> = found.collect();
        let to = (from + size).min(quotas.len());
        let next = (to < quotas.len()).then(|| to.to_string());
        (200, json!({ "Quotas": quotas[from..to], "NextToken": next }).to_string())
    }
}
fn shown((region, service, code, default, applied): &Row, of_default: bool) -> Value {
    let account = if of_default { "" } else { "123456789012" };
    json!({
        "ServiceCode": service, "ServiceName": "a service", "QuotaCode": code, "QuotaName": format!("{service}'s {code}"), "Unit": "None", "Adjustable": true, "GlobalQuota": false,
        "QuotaArn": format!("arn:aws:servicequotas:{region}:{account}:{service}/{code}"), "Value": if of_default { *default } else { applied.unwrap() },
        "UsageMetric": { "MetricNamespace": "AWS/Usage", "MetricName": "ResourceCount", "MetricDimensions": { "Resource": "vCPU" } }, "Period": { "PeriodValue": 5, "PeriodUnit": "MINUTE" },
    })
}

/// What a line for the judge is about, as IAM calls it; None where it is of another service.
pub fn action(line: &str) -> Option<String> {
    let target = serde_json::from_str::<Value>(line).ok()?["target"].as_str()?.to_owned();
    Some(format!("servicequotas:{}", target.strip_prefix(TARGET).unwrap()))
}

pub struct Told {
    script: Arc<Mutex<Script>>,
    aws: Aws,
    pub seen: Arc<Seen>,
}
impl Told {
    pub async fn start() -> Self {
        let script = Arc::<Mutex<Script>>::default();
        let served = Arc::clone(&script);
        let endpoint = http::listen(move |stream| serve(Arc::clone(&served), stream)).await;
        let config = format!("regions = [\"eu-west-1\"]\naccess_key_id = \"A\"\nsecret_access_key = \"S\"\nendpoint = \"{endpoint}\"");
        Self { script, aws: Aws::connect(&toml::from_str::<AwsConfig>(&config).unwrap()).await.unwrap(), seen: Arc::default() }
    }
    fn script<T>(&self, f: impl FnOnce(&mut Script) -> T) -> T {
        f(&mut self.script.lock().unwrap())
    }
    /// Every request, as the judge wants it.
    pub fn requests(&self) -> Vec<String> {
        self.script(|s| s.calls.iter().map(|(_, line)| line.clone()).collect())
    }
    fn cx(&self) -> Cx {
        Cx { deadline: Instant::now() + Duration::from_secs(5), owner: "me".parse().unwrap(), gate: Arc::clone(&self.seen) as Arc<dyn Gate> }
    }
    pub async fn get(&self, location: &str, id: &str) -> Result<Object<Quota>> {
        let target = Target::Vendor { parent: LocationName::of(location).unwrap(), vendor_id: id.parse().unwrap() };
        self.aws.quotas().unwrap().get(&self.cx(), &target).await
    }
    /// Every shard to its end.
    pub async fn list(&self, query: &Query<Quota>) -> Result<Vec<Object<Quota>>> {
        let reader = self.aws.quotas().unwrap();
        let mut items = Vec::new();
        for shard in reader.shards(query) {
            let mut from = None;
            loop {
                let page = reader.list(&self.cx(), query, &shard, from.as_ref()).await?;
                assert!(page.items.len() <= query.page_size);
                items.extend(page.items);
                from = page.next;
                if from.is_none() {
                    break;
                }
            }
        }
        Ok(items)
    }
}
async fn serve(script: Arc<Mutex<Script>>, mut stream: TcpStream) {
    let Some(Request { head, body }) = http::read(&mut stream).await else { return };
    let header = |name: &str| head.lines().find_map(|l| l.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name))).unwrap().1.to_owned();
    let (target, authorization) = (header("x-amz-target"), header("authorization"));
    let region = authorization.split('/').nth(2).unwrap().to_owned();
    let body: Value = serde_json::from_str(&body).unwrap();
    let (status, text) = {
        let mut s = script.lock().unwrap();
        s.calls.push((region.clone(), json!({ "target": target, "body": body }).to_string()));
        s.act(&region, target.strip_prefix(TARGET).unwrap(), &body)
    };
    let head = format!("HTTP/1.1 {status} x\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", text.len());
    let _ = stream.write_all(format!("{head}{text}").as_bytes()).await;
}

fn ids(quotas: &[Object<Quota>]) -> Vec<&str> {
    quotas.iter().map(|q| q.vendor_id.as_str()).collect()
}

#[tokio::test]
async fn what_is_applied_counts_and_else_the_default() {
    let told = Told::start().await;
    let vpcs = told.get("eu-west-1", "vpc.L-F678F1CE").await.unwrap();
    assert_eq!((vpcs.name.to_string().as_str(), vpcs.status.limit, vpcs.status.used), ("locations/eu-west-1/quotas/vpc.L-F678F1CE", Some(20), None));
    assert_eq!((vpcs.status.collection.as_str(), vpcs.status.service.as_str(), vpcs.status.unit.as_str(), vpcs.status.adjustable), ("networks", "vpc", "", true));
    let gateways = told.get("eu-west-1", "vpc.L-FE5A380F").await.unwrap().status;
    assert_eq!((gateways.collection.as_str(), gateways.per.as_str()), ("natGateways", "zones"));
    let vcpus = told.get("eu-west-1", "ec2.L-1216C47A").await.unwrap().status;
    assert_eq!((vcpus.collection.as_str(), vcpus.unit.as_str(), vcpus.limit), ("instances", "vCPU", Some(64)));
    assert_eq!(told.requests().len(), 3);
    let default = told.get("eu-west-1", "vpc.L-3248932A").await.unwrap().status;
    assert_eq!((default.limit, default.collection.as_str(), default.display_name.as_str()), (Some(20480), "", "vpc's L-3248932A"));
    assert_eq!(told.requests().len(), 5);
}

#[tokio::test]
async fn what_lies_in_no_region_is_told_in_global() {
    let told = Told::start().await;
    let zones = told.get("global", "route53.L-4EA4796A").await.unwrap();
    assert_eq!((zones.name.to_string().as_str(), zones.status.collection.as_str()), ("locations/global/quotas/route53.L-4EA4796A", "dnsZones"));
    assert_eq!(told.script(|s| s.calls.pop().unwrap().0), "us-east-1");
    told.get("eu-west-1", "vpc.L-F678F1CE").await.unwrap();
    assert_eq!(told.script(|s| s.calls.pop().unwrap().0), "eu-west-1");
}

#[tokio::test]
async fn pages_of_every_size_show_everything_once() {
    let told = Told::start().await;
    let all: BTreeSet<String> = ROWS.iter().map(|(_, service, code, ..)| format!("{service}.{code}")).collect();
    for vendor_page in [0, 1, 2] {
        told.script(|s| s.page = vendor_page);
        for size in [1, 2, 3, 1000] {
            let listed = told.list(&Query::all(size)).await.unwrap();
            assert_eq!((ids(&listed).len(), ids(&listed).into_iter().map(ToOwned::to_owned).collect()), (all.len(), all.clone()), "{size} of pages of {vendor_page}");
        }
    }
    // What is listed says the same as what is read.
    for listed in told.list(&Query::all(1000)).await.unwrap() {
        assert_eq!(told.get(listed.name.parent.id.as_str(), listed.vendor_id.as_str()).await.unwrap(), listed);
    }
}

#[tokio::test]
async fn a_list_is_narrowed_by_place_and_by_id() {
    let told = Told::start().await;
    let at = |location: &str| Query::<Quota>::below(LocationName::of(location).unwrap(), 100);
    assert_eq!(ids(&told.list(&at("global")).await.unwrap()), ["route53.L-4EA4796A"]);
    assert_eq!(told.list(&at("eu-west-1")).await.unwrap().len(), 5);
    assert_eq!(told.list(&at("eu-west-7")).await.unwrap_err().reason(), Reason::LocationUnknown);
    let some = ["vpc.L-3248932A", "ec2.L-1216C47A", "ec2.L-00000000", "s3.L-00000000"].map(|id| id.parse().unwrap()).to_vec();
    for page_size in [1, 10] {
        assert_eq!(ids(&told.list(&Query { vendor_ids: some.clone(), page_size, ..at("eu-west-1") }).await.unwrap()), ["ec2.L-1216C47A", "vpc.L-3248932A"]);
    }
}

#[tokio::test]
async fn only_what_aws_says_is_not_there_is_not_found() {
    let told = Told::start().await;
    for (location, id) in [("eu-west-1", "vpc.L-00000000"), ("global", "route53.L-00000000")] {
        assert!(told.get(location, id).await.unwrap_err().is_not_found(), "{id}");
    }
    let asked = told.requests().len();
    // What is no id of a quota here is asked of nobody.
    for (location, id) in
        [("eu-west-1", "route53.L-4EA4796A"), ("global", "vpc.L-F678F1CE"), ("eu-west-1", "s3.L-1"), ("eu-west-1", "vpc"), ("eu-west-1", "vpc.L F"), ("eu-west-1", "vpc.")]
    {
        assert!(told.get(location, id).await.unwrap_err().is_not_found(), "{id}");
    }
    assert_eq!(told.requests().len(), asked);
    for (status, code, reason) in [
        (400, "AccessDeniedException", Reason::CloudPermission),
        (400, "TooManyRequestsException", Reason::Throttled),
        (400, "ThrottlingException", Reason::Throttled),
        (500, "ServiceException", Reason::CloudUnavailable),
        (400, "InvalidSignatureException", Reason::CloudCredentials),
        (400, "UnrecognizedClientException", Reason::CloudCredentials),
        (400, "ExpiredTokenException", Reason::CloudCredentials),
        (400, "SubscriptionRequiredException", Reason::CloudAccount),
        (400, "IllegalArgumentException", Reason::InvalidField),
    ] {
        told.script(|s| s.refusals.push_back((status, code)));
        let e = told.get("eu-west-1", "vpc.L-F678F1CE").await.unwrap_err();
        assert_eq!((e.reason(), e.vendor().unwrap().code.as_str()), (reason, code));
        told.script(|s| s.refusals.push_back((status, code)));
        assert_eq!(told.list(&Query::all(10)).await.unwrap_err().reason(), reason, "{code}");
    }
    told.script(|s| s.refusals.push_back((400, "AccessDeniedException")));
    assert!(told.get("eu-west-1", "vpc.L-F678F1CE").await.unwrap_err().message().contains("servicequotas:GetServiceQuota"));
    told.script(|s| s.refusals.push_back((400, "InvalidPaginationTokenException")));
    assert_eq!(told.list(&Query::all(10)).await.unwrap_err().reason(), Reason::InvalidPageToken);
}

#[tokio::test]
async fn half_an_answer_is_none() {
    let told = Told::start().await;
    let quota = shown(&ROWS[0], false);
    for (whole, is_list) in [(json!({ "Quota": quota }).to_string(), false), (json!({ "Quotas": [quota] }).to_string(), true)] {
        for end in (0..whole.len()).step_by(7) {
            told.script(|s| s.told = Some(whole[..end].to_owned()));
            let answer = if is_list { told.list(&Query::all(10)).await.map(|_| ()) } else { told.get("eu-west-1", "vpc.L-F678F1CE").await.map(|_| ()) };
            assert_eq!(answer.unwrap_err().reason(), Reason::CloudAnswer, "{}", &whole[..end]);
        }
    }
}

/// The model requires no member of a quota.
#[tokio::test]
async fn a_member_that_is_not_told_never_means_that_there_is_no_bound() {
    let told = Told::start().await;
    let whole = shown(&ROWS[0], false);
    for member in whole.as_object().unwrap().keys() {
        let mut without = whole.clone();
        without.as_object_mut().unwrap().remove(member);
        told.script(|s| s.told = Some(json!({ "Quota": without }).to_string()));
        let read = told.get("eu-west-1", "vpc.L-F678F1CE").await;
        match member.as_str() {
            "ServiceCode" | "QuotaCode" => assert_eq!(read.unwrap_err().reason(), Reason::CloudAnswer, "{member}"),
            "Value" => assert!(read.as_ref().is_ok_and(|q| q.status.limit.is_none() && !q.status.unknown_reason.is_empty()), "{read:?}"),
            _ => assert_eq!(read.unwrap().status.limit, Some(20), "{member}"),
        }
    }
}

/// It would be none, and then everything would have its default.
#[tokio::test]
async fn an_answer_without_a_list_is_no_empty_list() {
    let told = Told::start().await;
    for nothing in ["{}", "", r#"{"NextToken":null}"#] {
        told.script(|s| s.told = Some(nothing.into()));
        assert_eq!(told.get("eu-west-1", "vpc.L-F678F1CE").await.unwrap_err().reason(), Reason::CloudAnswer, "{nothing}");
        // The applied ones, and at the end both lists at once.
        for after in 0..3 {
            let at = Query::<Quota>::below(LocationName::of("global").unwrap(), 100);
            told.script(|s| s.told_after = Some((after, nothing.into())));
            assert_eq!(told.list(&at).await.unwrap_err().reason(), Reason::CloudAnswer, "{nothing} after {after}");
        }
    }
    told.script(|s| s.told = Some(r#"{"Quotas":[]}"#.into()));
    assert!(told.list(&Query::below(LocationName::of("global").unwrap(), 100)).await.unwrap().is_empty());
}

/// Of each service the pages of what is applied; for each page of what is not, and for its end, both lists whole.
#[tokio::test]
async fn a_list_costs_its_pages_and_both_lists_for_the_defaults() {
    let told = Told::start().await;
    let calls = async |page_size: usize| {
        told.script(|s| s.calls.clear());
        told.list(&Query::below(LocationName::of("global").unwrap(), page_size)).await.unwrap();
        told.requests().len()
    };
    assert_eq!((calls(1).await, calls(100).await), (3, 3));
}
