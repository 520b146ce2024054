//! A strict moto as AWS: signatures and IAM policies are checked, AMIs and key pairs too.

use serde_json::Value;
use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

pub(crate) struct Moto {
    child: Child,
    port: u16,
    python: PathBuf,
    dir: PathBuf,
    key: String,
    secret: String,
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
        let child = Command::new(&python)
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
            .env("INITIAL_NO_AUTH_ACTION_COUNT", "3")
            .env("MOTO_ENABLE_AMI_VALIDATION", "true")
            .env("MOTO_ENABLE_KEYPAIR_VALIDATION", "true")
            .env("MOTO_AMIS_PATH", dir.join("amis.json"))
            .stdout(Stdio::null())
            .stderr(File::create(dir.join("moto.log")).unwrap())
            .spawn()
            .unwrap();
        let mut moto = Self { child, port, python, dir: dir.into(), key: String::new(), secret: String::new() };
        let end = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            let waits = moto.child.try_wait().unwrap().is_none() && Instant::now() < end;
            assert!(waits, "moto does not start: {}", fs::read_to_string(dir.join("moto.log")).unwrap());
            std::thread::sleep(Duration::from_millis(50));
        }
        let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../aws/policy.json");
        let made = moto.ask("credentials", &[policy.to_str().unwrap()]);
        moto.key = made["id"].as_str().unwrap().into();
        moto.secret = made["secret"].as_str().unwrap().into();
        Some(moto)
    }
    fn ask(&self, what: &str, args: &[&str]) -> Value {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/welkin/moto.py");
        let out = Command::new(&self.python).arg(script).args([what, &self.port.to_string()]).args(args).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice(&out.stdout).unwrap()
    }
    /// The vendor's own books: how many objects carry our mark.
    pub(crate) fn inventory(&self) -> [u64; 5] {
        let found = self.ask("inventory", &[&self.key, &self.secret]);
        ["vpc", "subnet", "internet_gateway", "instance", "key_pair"].map(|k| found[k].as_u64().unwrap())
    }
    /// A VPC that is not ours.
    pub(crate) fn plant(&self) -> String {
        self.ask("plant", &[&self.key, &self.secret]).as_str().unwrap().to_owned()
    }
    /// A `[clouds.prod]` for this AWS. Its horizon is short: moto shows every write at once.
    pub(crate) fn configuration(&self) -> String {
        format!(
            "[clouds.prod]\nprovider = \"aws\"\nregions = [\"eu-west-1\"]\naccess_key_id = \"{}\"\nsecret_access_key = \"{}\"\nendpoint = \"http://127.0.0.1:{}\"\nconsistency_horizon_s = 1.0\n",
            self.key, self.secret, self.port
        )
    }
    /// How many requests it was sent for an action; moto logs one line each, without the action, so this is the sum of all.
    pub(crate) fn requests(&self) -> usize {
        fs::read_to_string(self.dir.join("moto.log")).unwrap().lines().filter(|l| l.contains("\"POST / HTTP")).count()
    }
}
impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
