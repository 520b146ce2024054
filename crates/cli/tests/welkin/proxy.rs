//! A proxy in front of moto: it lets calls go wrong, by script or by seed, and does what AWS does and moto does not: it knows a ClientToken again,
//! cuts lists into pages, and shows what was written only after a while.
//! Requests pass byte for byte: SigV4 signs the Host header too, and a strict moto checks it. So do answers that moto gives as AWS would.

mod document;
mod message;
mod replica;
mod tests;

pub(crate) use replica::{Lag, Lagged};

use crate::kill::Random;
use document::{List, Page};
use message::{Call, Pairs};
use parking_lot::Mutex;
use replica::Replica;
use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::Instant,
};

/// What happens to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// 503 and the code ServiceUnavailable; nothing is done.
    Unavailable,
    /// 503 and the code RequestLimitExceeded, of services other than EC2 400 and Throttling or its like; nothing is done.
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
    /// None: every call is answered as of now.
    replica: Mutex<Option<Replica>>,
    /// What was done with a token: the parameters and the answer. One write with a token at a time, so that a second one with the same waits for the
    /// first.
    done: tokio::sync::Mutex<BTreeMap<String, (Pairs, Vec<u8>)>>,
    /// Pages of the lists of instance types and of where they are offered, which never change: moto takes seconds for one, longer than a client waits that is to see calls hang.
    types: tokio::sync::Mutex<BTreeMap<Pairs, Vec<u8>>>,
    /// The internet gateways and volumes that are attached, and to what.
    attached: Mutex<BTreeMap<String, String>>,
}
#[derive(Debug, Default)]
struct State {
    next: Option<Scripted>,
    /// One in so many writes loses its answer.
    losing: Option<(Random, u64)>,
    /// What has gone wrong.
    fired: u64,
    /// Writes that were answered from memory.
    replayed: u64,
}
/// What goes wrong after this many more calls of its sort.
#[derive(Debug)]
struct Scripted {
    is_write: bool,
    after: u32,
    fault: Fault,
}

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
        self.script.state.lock().next = Some(Scripted { is_write: true, after, fault });
    }
    /// This to the read after the next `after` ones; a page of a list is a read, and so is a dry run.
    pub(crate) fn inject_into_read(&self, fault: Fault, after: u32) {
        self.script.state.lock().next = Some(Scripted { is_write: false, after, fault });
    }
    /// From now on so much lags.
    pub(crate) fn lag(&self, lag: Lag) {
        *self.script.replica.lock() = Some(Replica::new(lag));
    }
    /// How often that made a difference.
    pub(crate) fn lagged(&self) -> Lagged {
        self.script.replica.lock().as_ref().map(Replica::lagged).unwrap_or_default()
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
    /// How many writes were the same again and answered from memory.
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
    while let Ok(Some(request)) = message::read(&mut stream).await {
        let call = Call::of(&request);
        let fault = script.state.lock().draw(call.writes());
        let answer = match fault {
            Some(Fault::Unavailable) => call.error(503, "ServiceUnavailable"),
            Some(Fault::Throttled) => call.throttled(),
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
                let _ = stream.write_all(&answer[..answer.len() - message::body(&answer).len() / 2]).await;
                // What was written before a reset might not arrive, so this one is closed.
                return;
            }
            _ => {}
        }
        let closes = message::head(&answer).contains("\r\nconnection: close");
        if stream.write_all(&answer).await.is_err() || closes {
            return;
        }
    }
    let _ = stream.set_zero_linger();
}

impl State {
    fn draw(&mut self, is_write: bool) -> Option<Fault> {
        let lost = is_write && self.losing.as_mut().is_some_and(|(random, one_in)| random.below(*one_in) == 0);
        let scripted = match self.next.as_mut().filter(|next| next.is_write == is_write) {
            Some(Scripted { after: 0, fault, .. }) => Some(*fault),
            Some(next) => {
                next.after -= 1;
                return None;
            }
            None => None,
        };
        let fault = scripted.or(lost.then_some(Fault::ResetAfter))?;
        if scripted.is_some() {
            self.next = None;
        }
        self.fired += 1;
        Some(fault)
    }
}

impl Script {
    async fn answer(&self, call: &Call, request: &[u8]) -> io::Result<Vec<u8>> {
        let (then, refusal) = match &mut *self.replica.lock() {
            Some(replica) => {
                let then = replica.meet();
                (then, then.and_then(|then| replica.refusal(call, then)))
            }
            None => (None, None),
        };
        if let Some(code) = refusal {
            return Ok(message::error(400, code));
        }
        match List::of(call.action()) {
            Some(list) => self.answer_list(list, call, request, then).await,
            None if call.action().starts_with("DescribeInstanceType") => self.answer_types(call, request).await,
            None if call.writes() => {
                let begun = self.replica.lock().as_mut().map(|replica| replica.begin(call));
                let answer = self.answer_write(call, request).await;
                if let (Some(replica), Some(begun)) = (&mut *self.replica.lock(), begun) {
                    replica.end(call, answer.as_ref().map_or("", |answer| message::text(answer)), begun);
                }
                answer
            }
            None => self.forward(request).await,
        }
    }

    /// As moto answers it now, unless it was to be as of `then`, or in pages.
    async fn answer_list(&self, list: &'static List, call: &Call, request: &[u8], then: Option<Instant>) -> io::Result<Vec<u8>> {
        let calm = self.replica.lock().as_ref().and_then(Replica::calm);
        let answer = self.forward(request).await?;
        let now = match message::is_ok(&answer) {
            true => list.read(message::text(&answer)),
            // It may have been there then.
            false if then.is_some() && message::text(&answer).contains(list.unknown) => Page::default(),
            false => return Ok(answer),
        };
        let page = match (&mut *self.replica.lock(), then) {
            (Some(replica), then) => {
                replica.showed(list, &now, calm);
                then.map_or_else(|| now.clone(), |then| replica.page(list, call, &now, then))
            }
            (None, _) => now.clone(),
        };
        let is_there = |id: &&str| page.items.iter().any(|item| item.id == **id);
        if then.is_some() && !list.asked(call).iter().all(is_there) {
            return Ok(message::error(400, list.unknown));
        }
        let page = page.cut(call);
        Ok(if message::is_ok(&answer) && page == now { answer } else { message::answer(200, &list.write(&page)) })
    }

    /// <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html>: the same token and parameters are the first answer again, other
    /// parameters an error. Of the actions that we use RunInstances, CreateVolume, CreateNatGateway, CreateRouteTable, CreateLaunchTemplate and CreateLaunchTemplateVersion
    /// take one, as botocore's model has it. A write that was refused
    /// leaves its token unused.
    ///
    /// TerminateInstances succeeds again by itself; moto's breaks over the network interface, which has gone.
    async fn answer_write(&self, call: &Call, request: &[u8]) -> io::Result<Vec<u8>> {
        let token = match call.action() {
            "TerminateInstances" => Some(call.listed("InstanceId").join(" ")),
            _ => call.param("ClientToken").map(str::to_owned),
        };
        let Some(token) = token else { return self.answer_attached(call, request).await };
        let mut done = self.done.lock().await;
        if let Some((params, answer)) = done.get(&token) {
            if *params != call.params {
                return Ok(message::error(400, "IdempotentParameterMismatch"));
            }
            self.state.lock().replayed += 1;
            return Ok(answer.clone());
        }
        let answer = self.forward(request).await?;
        if message::is_ok(&answer) {
            if call.action() == "TerminateInstances" {
                self.attached.lock().retain(|_, to| !call.listed("InstanceId").contains(&to.as_str()));
            }
            done.insert(token, (call.params.clone(), answer.clone()));
        }
        Ok(answer)
    }
    /// "You must detach or delete all gateways and resources that are associated with the VPC before you can delete it"
    /// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteVpc.html>): moto deletes it, and never again lets go of the gateway. A volume
    /// that is attached is VolumeInUse (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>): moto attaches it once more, and
    /// knows of both.
    async fn answer_attached(&self, call: &Call, request: &[u8]) -> io::Result<Vec<u8>> {
        let named = |param: &str| call.param(param).unwrap_or_default().to_owned();
        let refusal = match call.action() {
            "DeleteVpc" if self.attached.lock().values().any(|to| *to == named("VpcId")) => Some("DependencyViolation"),
            "AttachVolume" if self.attached.lock().contains_key(&named("VolumeId")) => Some("VolumeInUse"),
            _ => None,
        };
        if let Some(code) = refusal {
            return Ok(message::error(400, code));
        }
        let answer = self.forward(request).await?;
        if message::is_ok(&answer) {
            let mut attached = self.attached.lock();
            match call.action() {
                "AttachInternetGateway" => _ = attached.insert(named("InternetGatewayId"), named("VpcId")),
                "DetachInternetGateway" => _ = attached.remove(&named("InternetGatewayId")),
                "AttachVolume" => _ = attached.insert(named("VolumeId"), named("InstanceId")),
                "DetachVolume" => _ = attached.remove(&named("VolumeId")),
                _ => {}
            }
        }
        Ok(answer)
    }
    async fn answer_types(&self, call: &Call, request: &[u8]) -> io::Result<Vec<u8>> {
        let mut types = self.types.lock().await;
        if let Some(answer) = types.get(&call.params) {
            return Ok(answer.clone());
        }
        let answer = self.forward(request).await?;
        if message::is_ok(&answer) {
            types.insert(call.params.clone(), answer.clone());
        }
        Ok(answer)
    }
    async fn forward(&self, request: &[u8]) -> io::Result<Vec<u8>> {
        let mut upstream = TcpStream::connect(&self.upstream).await?;
        upstream.write_all(request).await?;
        message::read(&mut upstream).await?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}
