//! A strict moto as AWS: signatures and IAM policies are checked, AMIs and key pairs too.

use parking_lot::Mutex;
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

pub(crate) struct Moto {
    child: Child,
    port: u16,
    dir: PathBuf,
    key: String,
    secret: String,
    world: Mutex<Script>,
}
/// tests/welkin/moto.py, which answers a line with a line.
struct Script {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}
impl Script {
    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("moto.py answers {line:?}: {e}"))
    }
    fn ask(&mut self, wish: &Value) -> Result<Value, String> {
        writeln!(self.input, "{wish}").unwrap();
        let mut answer = self.line();
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["ok"].take()),
        }
    }
}

/// moto's own images are old and have no family of ours; these have.
const IMAGES: &str = r#"[{"ami_id": "ami-0123456789abcdef0", "name": "debian-12-amd64-20260901-2220", "owner_id": "136693071363", "architecture": "x86_64",
  "state": "available", "public": true, "virtualization_type": "hvm", "hypervisor": "xen", "image_location": "136693071363/debian-12-amd64-20260901-2220",
  "image_type": "machine", "root_device_type": "ebs", "root_device_name": "/dev/xvda", "sriov": "simple", "description": "Debian 12",
  "creation_date": "2026-09-01T00:00:00.000Z"},
 {"ami_id": "ami-0fedcba9876543210", "name": "debian-12-amd64-29990101-1", "owner_id": "666666666666", "architecture": "x86_64",
  "state": "available", "public": true, "virtualization_type": "hvm", "hypervisor": "xen", "image_location": "666666666666/debian-12-amd64-29990101-1",
  "image_type": "machine", "root_device_type": "ebs", "root_device_name": "/dev/xvda", "sriov": "simple", "description": "an impostor",
  "creation_date": "2999-01-01T00:00:00.000Z"}]"#;

impl Moto {
    /// None where there is no interpreter with moto, which is said.
    pub(crate) fn start(dir: &Path) -> Option<Self> {
        let Some(python) = std::env::var_os("WELKIN_TEST_PYTHON").map(PathBuf::from) else {
            crate::program::skipped("WELKIN_TEST_PYTHON names no interpreter with moto: run `cargo xtask test`");
            return None;
        };
        fs::write(dir.join("amis.json"), IMAGES).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut child = Command::new(&python)
            .args(["tests/welkin/moto_server.py", "-H", "127.0.0.1", "-p", &port.to_string()])
            .env("INITIAL_NO_AUTH_ACTION_COUNT", "3")
            .env("MOTO_ENABLE_AMI_VALIDATION", "true")
            .env("MOTO_ENABLE_KEYPAIR_VALIDATION", "true")
            .env("MOTO_AMIS_PATH", dir.join("amis.json"))
            .stdout(Stdio::null())
            .stderr(File::create(dir.join("moto.log")).unwrap())
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            let waits = child.try_wait().unwrap().is_none() && Instant::now() < end;
            assert!(waits, "moto does not start: {}", fs::read_to_string(dir.join("moto.log")).unwrap());
            std::thread::sleep(Duration::from_millis(50));
        }
        let mut script = Command::new(&python)
            .arg("tests/welkin/moto.py") // cargo runs tests in the package's folder
            .arg(port.to_string())
            .args(["../aws/policy.json", "../aws/policy-services.json"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (script.stdin.take().unwrap(), BufReader::new(script.stdout.take().unwrap()));
        let mut world = Script { child: script, input, output };
        let user = world.line();
        let text = |key: &str| user[key].as_str().unwrap().to_owned();
        Some(Self { child, port, dir: dir.into(), key: text("id"), secret: text("secret"), world: Mutex::new(world) })
    }
    /// See moto.py.
    pub(crate) fn ask(&self, wish: &Value) -> Result<Value, String> {
        self.world.lock().ask(wish)
    }
    /// The vendor's own books: how many objects carry our mark, and how many key pairs there are.
    pub(crate) fn inventory(&self) -> [usize; 5] {
        let of = |prefix| self.ids(prefix, |o| o["uid"].is_string());
        [of("vpc-"), of("subnet-"), of("igw-"), of("i-"), of("welkin-")]
    }
    /// How many objects there are with this prefix, marked or not.
    pub(crate) fn count(&self, prefix: &str) -> usize {
        self.ids(prefix, |_| true)
    }
    fn ids(&self, prefix: &str, wanted: impl Fn(&Value) -> bool) -> usize {
        let all = self.ask(&json!({"do": "inventory"})).unwrap();
        all.as_array().unwrap().iter().filter(|o| wanted(o) && o["id"].as_str().unwrap().starts_with(prefix)).count()
    }
    /// A VPC that is not ours.
    pub(crate) fn plant(&self) -> String {
        self.ask(&json!({"do": "plant", "what": "network", "cidr": "10.99.0.0/16"})).unwrap().as_str().unwrap().to_owned()
    }
    /// A `[clouds.prod]` for this AWS. Its horizon is short: moto shows every write at once.
    pub(crate) fn configuration(&self) -> String {
        self.configuration_at(self.port)
    }
    /// The same where something stands in front of it.
    pub(crate) fn configuration_at(&self, port: u16) -> String {
        format!("[clouds.prod]\nprovider = \"aws\"\n{}", self.keys_at(port))
    }
    /// The same without the table and the provider.
    pub(crate) fn keys_at(&self, port: u16) -> String {
        format!(
            "regions = [\"eu-west-1\"]\naccess_key_id = \"{}\"\nsecret_access_key = \"{}\"\nendpoint = \"http://127.0.0.1:{}\"\nconsistency_horizon_s = 1.0\n",
            self.key, self.secret, port
        )
    }
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
    /// How many requests it was sent, whoever by; moto logs one line each, in colour where it answers an error.
    pub(crate) fn requests(&self) -> usize {
        fs::read_to_string(self.dir.join("moto.log")).unwrap().lines().filter(|l| l.contains("POST / HTTP")).count()
    }
}
impl Drop for Moto {
    fn drop(&mut self) {
        for child in [&mut self.world.get_mut().child, &mut self.child] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
impl std::fmt::Debug for Moto {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Moto").field(&self.port).finish()
    }
}
