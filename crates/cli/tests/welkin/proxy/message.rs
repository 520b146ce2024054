//! HTTP/1.1 messages, read and written whole, and what the query protocol says in the body of a request.

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

/// A request to EC2.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) params: Pairs,
}
impl Call {
    pub(super) fn of(request: &[u8]) -> Self {
        Self { params: form_urlencoded::parse(body(request)).into_owned().collect() }
    }
    pub(super) fn action(&self) -> &str {
        self.param("Action").unwrap_or_default()
    }
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(String::as_str)
    }
    pub(super) fn writes(&self) -> bool {
        let reads = ["Describe", "Get"].iter().any(|prefix| self.action().starts_with(prefix));
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
