//! A proxy in front of moto: it lets calls go wrong, by script or by seed, and does what AWS does with a ClientToken, which moto ignores.
//!
//! Requests and answers pass byte for byte: SigV4 signs the Host header too, and a strict moto checks it.

use crate::{kill::Random, moto::Moto};
use parking_lot::Mutex;
use serde_json::json;
use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// What happens to one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// 503 and the code ServiceUnavailable; nothing is done.
    Unavailable,
    /// 503 and the code RequestLimitExceeded; nothing is done.
    Throttled,
    /// Nothing is done, and the connection is reset.
    ResetBefore,
    /// It is done, and the connection is reset.
    ResetAfter,
    /// It is done, and no answer comes.
    Hang,
    /// It is done, and the connection is reset in the middle of the answer.
    Truncated,
}

/// Dropped, it breaks every connection.
#[derive(Debug)]
pub(crate) struct Proxy {
    script: Arc<Script>,
    address: SocketAddr,
    _accepting: JoinSet<()>,
}
#[derive(Debug, Default)]
struct Script {
    upstream: String,
    state: Mutex<State>,
    /// What was launched with a token: the parameters and the answer. One launch at a time, so that a second one with the token waits for the first.
    launched: tokio::sync::Mutex<BTreeMap<String, (Pairs, Vec<u8>)>>,
    /// Pages of the list of instance types, which never changes: moto takes seconds for one, longer than a client waits that is to see calls hang.
    types: tokio::sync::Mutex<BTreeMap<Pairs, Vec<u8>>>,
}
#[derive(Debug, Default)]
struct State {
    /// Goes wrong after this many more writes.
    next: Option<(u32, Fault)>,
    /// One in so many writes loses its answer.
    losing: Option<(Random, u64)>,
    /// What has gone wrong.
    fired: u64,
    /// Launches that were answered from memory.
    replayed: u64,
}
type Pairs = BTreeMap<String, String>;

impl Proxy {
    /// In front of what listens at this port.
    pub(crate) async fn start(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Script { upstream: format!("127.0.0.1:{port}"), ..Script::default() });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, Arc::clone(&script)));
        Self { script, address, _accepting: accepting }
    }
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }
    /// This to the write after the next `after` ones.
    pub(crate) fn inject(&self, fault: Fault, after: u32) {
        self.script.state.lock().next = Some((after, fault));
    }
    /// From now on the answer to one in so many writes is lost.
    pub(crate) fn lose_answers(&self, seed: u64, one_in: u64) {
        self.script.state.lock().losing = Some((Random(seed), one_in));
    }
    /// How often something went wrong since the last time; what has not yet gone wrong does not any more.
    pub(crate) fn settle(&self) -> u64 {
        let mut state = self.script.state.lock();
        state.next = None;
        std::mem::take(&mut state.fired)
    }
    /// How many launches were the same again and answered from memory.
    pub(crate) fn replayed(&self) -> u64 {
        self.script.state.lock().replayed
    }
}

async fn accept(listener: TcpListener, script: Arc<Script>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            stream = listener.accept() => {
                let (stream, _) = stream.unwrap();
                connections.spawn(serve(stream, Arc::clone(&script)));
            }
            Some(ended) = connections.join_next() => ended.unwrap(),
        }
    }
}

/// One connection, until either side has had enough. It is reset, not closed: so does a load balancer that dies.
async fn serve(mut stream: TcpStream, script: Arc<Script>) {
    while let Ok(Some(request)) = read_message(&mut stream).await {
        let call = Call::of(&request);
        let fault = if call.writes() { script.state.lock().draw() } else { None };
        let answer = match fault {
            Some(Fault::Unavailable) => error(503, "ServiceUnavailable"),
            Some(Fault::Throttled) => error(503, "RequestLimitExceeded"),
            Some(Fault::ResetBefore) => break,
            _ => match script.answer(&call, &request).await {
                Ok(answer) => answer,
                Err(_) => break, // moto has gone away
            },
        };
        match fault {
            Some(Fault::ResetAfter) => break,
            // For as long as the client waits.
            Some(Fault::Hang) => return drop(stream.read(&mut [0]).await),
            Some(Fault::Truncated) => {
                let _ = stream.write_all(&answer[..answer.len() - body(&answer).len() / 2]).await;
                // What was written before a reset might not arrive, so this one is closed.
                return;
            }
            _ => {}
        }
        let closes = head(&answer).contains("\r\nconnection: close");
        if stream.write_all(&answer).await.is_err() || closes {
            return;
        }
    }
    let _ = stream.set_zero_linger();
}

impl State {
    fn draw(&mut self) -> Option<Fault> {
        let lost = self.losing.as_mut().is_some_and(|(random, one_in)| random.below(*one_in) == 0);
        let scripted = match &mut self.next {
            Some((0, fault)) => Some(*fault),
            Some((after, _)) => {
                *after -= 1;
                return None;
            }
            None => None,
        };
        let fault = scripted.or(lost.then_some(Fault::ResetAfter))?;
        self.next = None;
        self.fired += 1;
        Some(fault)
    }
}

impl Script {
    /// <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html>: the same token and parameters are the first answer again, other
    /// parameters an error. A launch that was refused leaves its token unused.
    async fn answer(&self, call: &Call, request: &[u8]) -> io::Result<Vec<u8>> {
        if call.action() == "DescribeInstanceTypes" {
            return self.answer_types(call, request).await;
        }
        let token = call.params.get("ClientToken").filter(|_| call.action() == "RunInstances" && call.writes());
        let Some(token) = token else { return self.forward(request).await };
        let mut launched = self.launched.lock().await;
        if let Some((params, answer)) = launched.get(token) {
            if *params != call.params {
                return Ok(error(400, "IdempotentParameterMismatch"));
            }
            self.state.lock().replayed += 1;
            return Ok(answer.clone());
        }
        let answer = self.forward(request).await?;
        if is_ok(&answer) {
            launched.insert(token.clone(), (call.params.clone(), answer.clone()));
        }
        Ok(answer)
    }
    async fn answer_types(&self, call: &Call, request: &[u8]) -> io::Result<Vec<u8>> {
        let mut types = self.types.lock().await;
        if let Some(answer) = types.get(&call.params) {
            return Ok(answer.clone());
        }
        let answer = self.forward(request).await?;
        if is_ok(&answer) {
            types.insert(call.params.clone(), answer.clone());
        }
        Ok(answer)
    }
    async fn forward(&self, request: &[u8]) -> io::Result<Vec<u8>> {
        let mut upstream = TcpStream::connect(&self.upstream).await?;
        upstream.write_all(request).await?;
        read_message(&mut upstream).await?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// What the query protocol says in the body of a request.
#[derive(Debug)]
struct Call {
    params: Pairs,
}
impl Call {
    fn of(request: &[u8]) -> Self {
        Self { params: form_urlencoded::parse(body(request)).into_owned().collect() }
    }
    fn action(&self) -> &str {
        self.params.get("Action").map_or("", String::as_str)
    }
    fn writes(&self) -> bool {
        let reads = ["Describe", "Get"].iter().any(|prefix| self.action().starts_with(prefix));
        !reads && self.params.get("DryRun").is_none_or(|dry| dry != "true")
    }
}

fn error(status: u16, code: &str) -> Vec<u8> {
    let body = format!("<Response><Errors><Error><Code>{code}</Code><Message>said the proxy</Message></Error></Errors><RequestID>proxy</RequestID></Response>");
    let length = body.len();
    format!("HTTP/1.1 {status} \r\nContent-Type: text/xml\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

/// A whole HTTP/1.1 message; None where the other side has ended. Neither the SDK nor moto sends chunks.
async fn read_message(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
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
fn is_ok(answer: &[u8]) -> bool {
    head(answer).starts_with("http/1.1 200")
}
/// In lower case.
fn head(message: &[u8]) -> String {
    String::from_utf8_lossy(&message[..body_at(message).unwrap_or(message.len())]).to_ascii_lowercase()
}
fn body(message: &[u8]) -> &[u8] {
    &message[body_at(message).unwrap_or(message.len())..]
}

/// The SDK in Python signs these calls, and moto checks them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_one_launch_and_a_fault_is_what_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let Some(moto) = Moto::start(dir.path()) else { return };
    let proxy = Proxy::start(moto.port()).await;
    let launch = |token: &str, machine_type: &str| {
        let wish = json!({"do": "launch", "port": proxy.port(), "token": token, "InstanceType": machine_type});
        tokio::task::block_in_place(|| moto.ask(&wish)).map(|id| id.as_str().unwrap().to_owned())
    };
    let before = moto.count("i-");

    let first = launch("one", "t3.small").unwrap();
    assert_eq!(launch("one", "t3.small"), Ok(first.clone()));
    assert!(launch("one", "t3.medium").unwrap_err().contains("IdempotentParameterMismatch"));
    assert_ne!(launch("two", "t3.small").unwrap(), first);
    assert_eq!((moto.count("i-") - before, proxy.replayed()), (2, 1));

    // What has an effect has made the instance that the same launch answers afterwards.
    let cases = [
        (Fault::Unavailable, 0, "ServiceUnavailable"),
        (Fault::Throttled, 0, "RequestLimitExceeded"),
        (Fault::ResetBefore, 0, "Connection was closed"),
        (Fault::ResetAfter, 1, "Connection was closed"),
        (Fault::Truncated, 1, "Unable to parse response"),
    ];
    for (fault, made, said) in cases {
        let before = moto.count("i-");
        proxy.inject(fault, 0);
        let token = format!("{fault:?}");
        let refusal = launch(&token, "t3.small").unwrap_err();
        assert!(refusal.contains(said), "{fault:?}: {refusal}");
        assert_eq!((moto.count("i-") - before, proxy.settle()), (made, 1), "{fault:?}");
        launch(&token, "t3.small").unwrap();
        assert_eq!((moto.count("i-") - before, proxy.settle()), (1, 0), "{fault:?}");
    }
}
