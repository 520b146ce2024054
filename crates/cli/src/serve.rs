//! `welkin serve`.

use crate::{
    command_line::DEFAULT_ENDPOINT,
    config::{self, Config},
    failure::{Exit, Failure},
    output::{note, print},
};
use std::{
    io::IsTerminal as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};
use tracing_subscriber::EnvFilter;
use welkin::{
    Error, ErrorKind, Violation,
    engine::{Engine, KeySource, Settings, SqliteJournal},
    server::{Limits, Server, only_loopback},
};

/// Read where no `--config` is given and it exists.
const DEFAULT_CONFIG: &str = "welkin.toml";
/// What is logged where `WELKIN_LOG` does not say it.
const DEFAULT_LOG: &str = "warn,welkin=info,welkin_engine=info";

/// Serves until SIGINT or SIGTERM.
pub(crate) async fn run(config_file: Option<&str>, data_dir: Option<&str>, listen: &str) -> Result<(), Failure> {
    log()?;
    let address: SocketAddr = listen.parse().map_err(|_| Failure::usage(format!("--listen {listen:?} is not an address such as 127.0.0.1:7750")))?;
    // Before anything is made.
    only_loopback(address).map_err(|e| not_listening(&e))?;
    let (config, source) = read_config(config_file)?;
    let data_dir = data_folder(data_dir)?;
    let clouds: Vec<String> = config.clouds.iter().map(|c| format!("{} ({})", c.name, c.provider)).collect();
    let tries = tries(&config.clouds.iter().map(|c| (c.name.as_str(), c.configured.regions_to_try())).collect::<Vec<_>>());
    let engine = Arc::new(open(config, &data_dir).await?);
    let served = async {
        let server = Server::bind(Arc::clone(&engine), address, Limits::default()).await.map_err(|e| not_listening(&e))?;
        // Before the address is told, so that whoever reads it can already end the server properly.
        let stopped = stopped()?;
        print(&greeting(server.address(), &clouds, &source, &data_dir, &tries))?;
        server.serve(stopped).await.map_err(|e| refused(&e))
    };
    let result = served.await;
    engine.shutdown().await;
    if result.is_ok() {
        note("stopped; open operations go on with the next start");
    }
    result
}

fn log() -> Result<(), Failure> {
    let filter = match std::env::var("WELKIN_LOG") {
        Ok(text) => EnvFilter::try_new(&text).map_err(|e| Failure::usage(format!("WELKIN_LOG: {e}")))?,
        Err(_) => EnvFilter::new(DEFAULT_LOG),
    };
    let logging = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    logging.try_init().map_err(|e| Failure::failed(format!("the log cannot be set up: {e}")))
}

/// The configuration, and where it came from.
fn read_config(file: Option<&str>) -> Result<(Config, String), Failure> {
    let path = match file {
        Some(file) => Some(PathBuf::from(file)),
        None => Some(PathBuf::from(DEFAULT_CONFIG)).filter(|p| p.exists()),
    };
    let Some(path) = path else {
        let config = config::parse(config::WITHOUT_FILE, Path::new("the built-in configuration")).map_err(Failure::usage)?;
        return Ok((config, format!("no {DEFAULT_CONFIG} here, so a simulated cloud")));
    };
    let text = std::fs::read_to_string(&path).map_err(|e| Failure::usage(format!("{} cannot be read: {e}", path.display())))?;
    Ok((config::parse(&text, &path).map_err(Failure::usage)?, path.display().to_string()))
}

/// The folder of the store, made where it does not exist; nobody else can read it.
fn data_folder(given: Option<&str>) -> Result<PathBuf, Failure> {
    let set = |key: &str| std::env::var_os(key).filter(|v| !v.is_empty()).map(PathBuf::from);
    let default = || set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local").join("share"))).map(|base| base.join("welkin"));
    let folder = given.map(PathBuf::from).or_else(default).ok_or_else(|| Failure::usage("where shall operations be kept? Name a folder with --data-dir"))?;
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&folder).map_err(|e| Failure::failed(format!("the data folder {} cannot be made: {e}", folder.display())))?;
    Ok(folder)
}

async fn open(config: Config, data_dir: &Path) -> Result<Engine, Failure> {
    let key = KeySource::File(config.key_file.unwrap_or_else(|| data_dir.join("store.key")));
    // First: it locks the folder against a second server, and the clouds below keep things there too.
    let journal = SqliteJournal::open(&data_dir.join("store.sqlite"), &key).await.map_err(|e| refused(&e))?;
    let defaults = Settings::default();
    let settings = Settings { most_deleted_percent: config.most_deleted_percent.unwrap_or(defaults.most_deleted_percent), ..defaults };
    let mut builder = Engine::builder().journal(journal).settings(settings);
    for cloud in config.clouds {
        let folder = data_dir.join("clouds").join(&cloud.name);
        let provider = cloud.configured.open(&folder).await.map_err(|e| in_cloud(&cloud.name, &e))?;
        builder = match cloud.owner {
            Some(owner) => builder.cloud_owned_by(cloud.name, provider, owner),
            None => builder.cloud(cloud.name, provider),
        };
    }
    builder.open().await.map_err(|e| refused(&e))
}

/// What the engine, the server or a provider said while starting.
fn refused(error: &Error) -> Failure {
    // What was written is wrong, or what it names cannot be had.
    let exit = if error.kind() == ErrorKind::InvalidArgument { Exit::Usage } else { Exit::Failed };
    Failure::new(exit, error.message())
}
fn not_listening(error: &Error) -> Failure {
    let mut failure = refused(error);
    if failure.exit == Exit::Failed {
        failure = failure.with_note("does another server run there? --listen takes another address");
    }
    failure.about_field("--listen".to_owned())
}
fn in_cloud(cloud: &str, error: &Error) -> Failure {
    let mut failure = Failure::new(refused(error).exit, format!("clouds.{cloud}: {}", error.message()));
    let what = |v: &Violation| v.description.strip_prefix(&format!("{}: ", v.field)).unwrap_or(&v.description).to_owned();
    failure.fields = error.violations().iter().map(|v| (format!("clouds.{cloud}.{}", v.field), what(v))).collect();
    failure
}

/// Is ready when the process is asked to end.
fn stopped() -> Result<impl Future<Output = ()> + Send, Failure> {
    let cannot = |e: std::io::Error| Failure::failed(format!("signals cannot be received: {e}"));
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt()).map_err(cannot)?, signal(SignalKind::terminate()).map_err(cannot)?);
        Ok(async move {
            tokio::select! { _ = interrupt.recv() => {} _ = terminate.recv() => {} }
        })
    }
    #[cfg(not(unix))]
    {
        let mut interrupt = tokio::signal::windows::ctrl_c().map_err(cannot)?;
        Ok(async move {
            interrupt.recv().await;
        })
    }
}

fn greeting(address: SocketAddr, clouds: &[String], source: &str, data_dir: &Path, tries: &[String]) -> String {
    let endpoint = format!("http://{address}");
    let other = if endpoint == DEFAULT_ENDPOINT { String::new() } else { format!(" --endpoint {endpoint}") };
    // As it was called, so that the commands work where it is not on the path.
    let program = std::env::args().next().unwrap_or_else(|| "welkin".into());
    let tries: String = tries.iter().map(|c| format!("  {program} {c}{other}\n")).collect();
    format!("Welkin serves on {endpoint}\nclouds: {} [{source}]\ndata:   {}\nTry, in another terminal:\n{tries}", clouds.join(", "), data_dir.display())
}

/// Three commands that work as they stand. `clouds` has each cloud's name and its regions to try things in; where no cloud has such regions the
/// commands only read.
fn tries(clouds: &[(&str, Vec<String>)]) -> [String; 3] {
    let Some((cloud, region, regions)) = clouds.iter().find_map(|(cloud, regions)| Some((cloud, regions.first()?, regions.len()))) else {
        return ["clouds", "get locations", "get networks"].map(str::to_owned);
    };
    let mut place = String::new();
    if clouds.len() > 1 {
        place += &format!(" --cloud {cloud}");
    }
    if regions > 1 {
        place += &format!(" --location {region}");
    }
    ["get locations".to_owned(), format!("create network n1 --cidr 10.0.0.0/16{place}"), "get networks".to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_to_try_name_the_place_where_they_must_and_change_no_real_cloud() {
        let regions = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>();
        let create = |clouds: &[(&str, Vec<String>)]| tries(clouds)[1].clone();
        assert_eq!(create(&[("sim", regions(&["sim-1"]))]), "create network n1 --cidr 10.0.0.0/16");
        assert_eq!(create(&[("sim", regions(&["r-1", "r-2"]))]), "create network n1 --cidr 10.0.0.0/16 --location r-1");
        assert_eq!(create(&[("prod", Vec::new()), ("lab", regions(&["r-1"]))]), "create network n1 --cidr 10.0.0.0/16 --cloud lab");
        assert!(tries(&[("prod", Vec::new())]).iter().all(|c| !c.starts_with("create")));
    }
}
