//! A server in a process of its own, and calls to it without the command.

use http::uri::PathAndQuery;
use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tonic::{client::Grpc, codegen::StdError, transport::Channel};
use tonic_prost::ProstCodec;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The command with nothing of the caller's own configuration, and so with the default tracing.
pub(crate) fn welkin_command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_welkin"));
    command.current_dir(folder);
    for name in ["ENDPOINT", "CLOUD", "LOCATION", "CONFIG", "DATA_DIR", "LOG"] {
        command.env_remove(format!("WELKIN_{name}"));
    }
    command
}
/// The server with its data below this folder.
pub(crate) fn serve_command(folder: &Path) -> Command {
    let mut command = welkin_command(folder);
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir", "data"]);
    command
}
/// Makes something through the command, as a user would.
pub(crate) fn make(folder: &Path, server: &Server, args: &str) -> Result<(), Failure> {
    let out = welkin_command(folder).args(args.split_whitespace()).env("WELKIN_ENDPOINT", &server.endpoint).output()?;
    if out.status.success() { Ok(()) } else { Err(format!("welkin {args}: {}", String::from_utf8_lossy(&out.stderr)).into()) }
}

/// A process that is ended with the bench.
pub(crate) struct Server {
    child: Child,
    pub(crate) endpoint: String,
}
impl Server {
    pub(crate) fn start(command: &mut Command) -> Result<Self, Failure> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let out = child.stdout.take().ok_or("no standard output")?;
        let endpoint = BufReader::new(out)
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.split_whitespace().find(|w| w.starts_with("http://127.0.0.1:")).map(str::to_owned))
            .ok_or("the server did not tell its address")?;
        Ok(Self { child, endpoint })
    }
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
    /// User and system time in clock ticks of 10 ms (proc(5)).
    pub(crate) fn cpu(&self) -> Result<Duration, Failure> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id()))?;
        let fields: Vec<&str> = stat.rsplit_once(')').ok_or("stat")?.1.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
        Ok(Duration::from_millis(ticks * 10))
    }
}
impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) async fn channel(endpoint: &str) -> Result<Channel, Failure> {
    Ok(tonic::transport::Endpoint::new(endpoint.to_owned())?.tcp_nodelay(true).connect().await?)
}
pub(crate) async fn unary<Q: prost::Message + 'static, A: prost::Message + Default + 'static>(grpc: &mut Grpc<Channel>, path: &'static str, request: Q) -> Result<A, Failure> {
    grpc.ready().await.map_err(StdError::from)?;
    Ok(grpc.unary(tonic::Request::new(request), PathAndQuery::from_static(path), ProstCodec::<Q, A>::default()).await?.into_inner())
}
