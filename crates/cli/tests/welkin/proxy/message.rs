//! HTTP/1.1 messages, read and written whole, and what the query protocol says in the body of a request, or Route 53's in its path.

use std::{collections::BTreeMap, io};
use tokio::{io::AsyncReadExt as _, net::TcpStream};

/// A whole message; None where the other side has ended. Neither the SDK nor moto sends chunks.
pub(super) async fn read(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    while message.len() < wanted(&message) {
        if stream.read_buf(&mut message).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(message))
}
/// How long the message is, as far as it is known.
fn wanted(message: &[u8]) -> usize {
    let Some(length) = body_at(message) else { return message.len() + 1 };
    let head = head(message);
    assert!(!head.contains("\r\ntransfer-encoding:"), "chunks are not read: {head}");
    let stated = head.lines().find_map(|l| l.strip_prefix("content-length:")).map_or(0, |n| n.trim().parse().unwrap());
    length + stated
}
fn body_at(message: &[u8]) -> Option<usize> {
    message.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4)
}
pub(super) fn is_ok(answer: &[u8]) -> bool {
    head(answer).starts_with("http/1.1 200")
}
/// In lower case.
pub(super) fn head(message: &[u8]) -> String {
    String::from_utf8_lossy(&message[..body_at(message).unwrap_or(message.len())]).to_ascii_lowercase()
}
pub(super) fn body(message: &[u8]) -> &[u8] {
    &message[body_at(message).unwrap_or(message.len())..]
}
/// The body; documents are UTF-8.
pub(super) fn text(message: &[u8]) -> &str {
    std::str::from_utf8(body(message)).unwrap()
}

pub(super) fn error(status: u16, code: &str) -> Vec<u8> {
    answer(status, &format!("<Response><Errors><Error><Code>{code}</Code><Message>said the proxy</Message></Error></Errors><RequestID>proxy</RequestID></Response>"))
}
pub(super) fn answer(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} \r\nContent-Type: text/xml\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

pub(super) type Pairs = BTreeMap<String, String>;

/// What a request asks of Route 53, where it does, as botocore's model has it. An action that it does not know is a defect of this proxy.
fn route53(request: &[u8]) -> Option<&'static str> {
    let head = String::from_utf8_lossy(&request[..body_at(request).unwrap_or(request.len())]).into_owned();
    let mut words = head.split_whitespace();
    let (method, path) = (words.next()?, words.next()?.strip_prefix("/2013-04-01/")?);
    let parts: Vec<&str> = path.split('?').next()?.split('/').filter(|part| !part.is_empty()).collect();
    Some(match (method, parts.as_slice()) {
        ("POST", ["hostedzone"]) => "CreateHostedZone",
        ("GET", ["hostedzone"]) => "ListHostedZones",
        ("GET", ["hostedzone", _]) => "GetHostedZone",
        ("DELETE", ["hostedzone", _]) => "DeleteHostedZone",
        ("POST", ["hostedzone", _]) => "UpdateHostedZoneComment",
        ("POST", ["hostedzone", _, "associatevpc"]) => "AssociateVPCWithHostedZone",
        ("POST", ["hostedzone", _, "disassociatevpc"]) => "DisassociateVPCFromHostedZone",
        ("POST", ["tags", "hostedzone"]) => "ListTagsForResources",
        ("POST", ["tags", "hostedzone", _]) => "ChangeTagsForResource",
        ("GET", ["change", _]) => "GetChange",
        ("GET", ["hostedzone", _, "rrset"]) => "ListResourceRecordSets",
        ("POST", ["hostedzone", _, "rrset"]) => "ChangeResourceRecordSets",
        _ => panic!("{method} {path} is not known"),
    })
}

/// What a request asks of Service Quotas, where it does: its protocol names the operation in a header.
fn quotas(request: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(&request[..body_at(request).unwrap_or(request.len())]).into_owned();
    let target = head.lines().find_map(|line| line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("x-amz-target")))?;
    target.1.strip_prefix("ServiceQuotasV20190624.").map(str::to_owned)
}

/// Which service a request is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    Ec2,
    /// In the protocol of EC2, with the errors of Route 53.
    Balancing,
    /// The same.
    Scaling,
    /// Of a request only the action is known.
    Zones,
    /// The same, in JSON.
    Quotas,
}
impl Service {
    /// What speaks in the protocol of EC2 is told by its version, as botocore's models have it.
    fn of_version(version: Option<&String>) -> Self {
        match version.map(String::as_str) {
            Some("2015-12-01") => Self::Balancing,
            Some("2011-01-01") => Self::Scaling,
            _ => Self::Ec2,
        }
    }
}

/// A request to one of them.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) params: Pairs,
    pub(super) service: Service,
}
impl Call {
    pub(super) fn of(request: &[u8]) -> Self {
        if let Some(action) = route53(request) {
            return Self { params: [("Action".to_owned(), action.to_owned())].into(), service: Service::Zones };
        }
        if let Some(action) = quotas(request) {
            return Self { params: [("Action".to_owned(), action)].into(), service: Service::Quotas };
        }
        let params: Pairs = form_urlencoded::parse(body(request)).into_owned().collect();
        Self { service: Service::of_version(params.get("Version")), params }
    }
    /// A refusal as this service words it.
    pub(super) fn error(&self, status: u16, code: &str) -> Vec<u8> {
        match self.service {
            Service::Ec2 => return error(status, code),
            Service::Quotas => return answer(status, &format!("{{\"__type\":\"{code}\",\"Message\":\"said the proxy\"}}")),
            _ => {}
        }
        let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>said the proxy</Message></Error><RequestId>proxy</RequestId>");
        answer(status, &format!("<ErrorResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">{error}</ErrorResponse>"))
    }
    /// Too many calls, as each words it (<https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html>,
    /// <https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/CommonErrors.html>,
    /// <https://docs.aws.amazon.com/autoscaling/ec2/APIReference/CommonErrors.html>,
    /// <https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_GetServiceQuota.html>).
    pub(super) fn throttled(&self) -> Vec<u8> {
        match self.service {
            Service::Ec2 => self.error(503, "RequestLimitExceeded"),
            Service::Balancing | Service::Zones => self.error(400, "Throttling"),
            Service::Scaling => self.error(400, "ThrottlingException"),
            Service::Quotas => self.error(400, "TooManyRequestsException"),
        }
    }
    pub(super) fn action(&self) -> &str {
        self.param("Action").unwrap_or_default()
    }
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(String::as_str)
    }
    pub(super) fn writes(&self) -> bool {
        let reads = ["Describe", "Get", "List"].iter().any(|prefix| self.action().starts_with(prefix));
        !reads && self.param("DryRun").is_none_or(|dry| dry != "true")
    }
    /// The members of a list: `VpcId.1`, `VpcId.2`.
    pub(super) fn listed(&self, name: &str) -> Vec<&str> {
        (1..).map_while(|n| self.param(&format!("{name}.{n}"))).collect()
    }
    /// The filters, each with its values.
    pub(super) fn filters(&self) -> impl Iterator<Item = (&str, Vec<&str>)> {
        (1..).map_while(|n| Some((self.param(&format!("Filter.{n}.Name"))?, self.listed(&format!("Filter.{n}.Value")))))
    }
    /// Every text in it that can name something; what tags say names nothing.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.params.iter().filter(|(name, _)| !name.starts_with("Tag")).map(|(_, value)| value.as_str())
    }
}
