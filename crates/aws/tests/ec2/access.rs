//! Where credentials come from, over HTTP: a scripted STS, instance metadata and EC2, which tells by whom it was asked.

use crate::{
    http::{self, Request},
    requests::Sent,
};
use aws_smithy_types::{DateTime, date_time::Format};
use std::{
    collections::VecDeque,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::Instant,
};
use welkin_aws::{Aws, AwsConfig};
use welkin_core::*;

const ROLE: &str = "arn:aws:iam::123456789012:role/welkin";

impl Request {
    fn of(&self, key: &str) -> Option<String> {
        form_urlencoded::parse(self.body.as_bytes()).find(|(k, _)| k == key).map(|(_, v)| v.into_owned())
    }
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().filter_map(|l| l.split_once(": ")).find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }
    /// The access key that it is signed with.
    fn key(&self) -> &str {
        self.header("authorization").and_then(|a| a.split_once("Credential=")).and_then(|(_, rest)| rest.split('/').next()).unwrap_or_default()
    }
    fn action(&self) -> String {
        self.of("Action").unwrap_or_else(|| self.head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned())
    }
}
/// What STS does with a request.
#[derive(Debug, Clone, Copy)]
enum Sts {
    /// Credentials with this access key that expire in so many seconds.
    Issues(&'static str, u64),
    Refuses(&'static str, u16, &'static str),
    Hangs,
}
#[derive(Debug, Default)]
struct Script {
    /// The last one stays.
    sts: VecDeque<Sts>,
    requests: Vec<Request>,
}
#[derive(Debug, Clone)]
struct Vendor {
    script: Arc<Mutex<Script>>,
    endpoint: String,
}
impl Vendor {
    async fn start(sts: &[Sts]) -> Self {
        let script = Arc::new(Mutex::new(Script { sts: sts.iter().copied().collect(), ..Script::default() }));
        let served = Arc::clone(&script);
        Self { script, endpoint: http::listen(move |stream| serve(Arc::clone(&served), stream)).await }
    }
    /// Every request of this action, or of this beginning of a path.
    fn requests(&self, action: &str) -> Vec<Request> {
        self.script.lock().unwrap().requests.iter().filter(|r| r.action().starts_with(action)).cloned().collect()
    }
    /// With which access keys EC2 was asked, in order.
    fn keys(&self) -> Vec<String> {
        self.requests("Describe").iter().map(|r| r.key().to_owned()).collect()
    }
    async fn connect(&self, more: &str) -> Aws {
        connect(&self.config(more)).await
    }
    /// Of a connection that says nothing of credentials but what is given.
    fn config(&self, more: &str) -> String {
        format!("regions = [\"eu-west-1\"]\nendpoint = \"{}\"\n{more}", self.endpoint)
    }
}
async fn serve(script: Arc<Mutex<Script>>, mut stream: TcpStream) {
    let Some(request) = http::read(&mut stream).await else { return };
    let Some((status, answer)) = answer(&script, &request) else { return std::future::pending().await };
    let head =
        format!("HTTP/1.1 {status} x\r\nx-amzn-RequestId: vendor-1\r\nx-aws-ec2-metadata-token-ttl-seconds: 600\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", answer.len());
    let _ = stream.write_all(format!("{head}{answer}").as_bytes()).await;
}
fn answer(script: &Mutex<Script>, request: &Request) -> Option<(u16, String)> {
    let mut script = script.lock().unwrap();
    let action = request.action();
    script.requests.push(request.clone());
    Some(match action.as_str() {
        "AssumeRole" | "AssumeRoleWithWebIdentity" => match if script.sts.len() > 1 { script.sts.pop_front()? } else { *script.sts.front()? } {
            Sts::Issues(key, seconds) => {
                let credentials = format!(
                    "<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>token of {key}</SessionToken><Expiration>{}</Expiration>",
                    until(seconds)
                );
                let user = "<AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/welkin/s</Arn><AssumedRoleId>A:s</AssumedRoleId></AssumedRoleUser>";
                (200, format!("<{action}Response><{action}Result><Credentials>{credentials}</Credentials>{user}</{action}Result></{action}Response>"))
            }
            Sts::Refuses(code, status, text) => {
                (status, format!("<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{text}</Message></Error><RequestId>vendor-1</RequestId></ErrorResponse>"))
            }
            Sts::Hangs => return None,
        },
        "DescribeAvailabilityZones" => (200, "<DescribeAvailabilityZonesResponse><availabilityZoneInfo/></DescribeAvailabilityZonesResponse>".into()),
        "PUT /latest/api/token" => (200, "metadata-token".into()),
        // Only version 2: without the token there is nothing.
        _ if request.header("x-aws-ec2-metadata-token") != Some("metadata-token") => (401, String::new()),
        "GET /latest/meta-data/iam/security-credentials/" => (200, "machine-role".into()),
        "GET /latest/meta-data/iam/security-credentials/machine-role" => {
            (200, format!("{{\"Code\":\"Success\",\"AccessKeyId\":\"METADATA\",\"SecretAccessKey\":\"s\",\"Token\":\"token of METADATA\",\"Expiration\":\"{}\"}}", until(3600)))
        }
        other => panic!("{other} is not written"),
    })
}
async fn connect(config: &str) -> Aws {
    Aws::connect(&toml::from_str::<AwsConfig>(config).unwrap()).await.unwrap()
}
fn until(seconds: u64) -> String {
    DateTime::from(SystemTime::now() + Duration::from_secs(seconds)).fmt(Format::DateTime).unwrap()
}
/// One call to EC2 in each region.
async fn call(aws: &Aws) -> Result<()> {
    let cx = Cx { deadline: Instant::now() + Duration::from_secs(60), owner: "me".parse().unwrap(), gate: Arc::new(OpenGate) };
    let query = Query::<Location>::all(10);
    for shard in Reader::<Location>::shards(aws, &query) {
        Reader::<Location>::list(aws, &cx, &query, &shard, None).await?;
    }
    Ok(())
}

/// What the credentials that assume a role ask for themselves; the rest is asked for as the role.
pub async fn assumes_a_role() -> Sent {
    let vendor = Vendor::start(&[Sts::Issues("ROLE", 3600)]).await;
    call(&vendor.connect(&format!("access_key_id = \"KEY\"\nsecret_access_key = \"s\"\nrole_arn = \"{ROLE}\"")).await).await.unwrap();
    assert_eq!(vendor.keys(), ["ROLE"]);
    let asked = vendor.requests("").into_iter().filter(|r| r.key() == "KEY");
    // STS is not behind the gate and no part of EC2's model.
    Sent { bodies: Vec::new(), actions: asked.map(|r| format!("sts:{}", r.action())).collect() }
}

#[tokio::test]
async fn an_access_key_is_used_as_it_is() {
    let vendor = Vendor::start(&[]).await;
    call(&vendor.connect("access_key_id = \"KEY\"\nsecret_access_key = \"s\"\nsession_token = \"t\"").await).await.unwrap();
    let request = vendor.requests("Describe").remove(0);
    assert_eq!((request.key(), request.header("x-amz-security-token")), ("KEY", Some("t")));
}
#[tokio::test]
async fn a_role_is_assumed_with_the_access_key() {
    let vendor = Vendor::start(&[Sts::Issues("ROLE", 3600)]).await;
    let more = format!(
        "regions = [\"eu-west-1\", \"us-east-1\"]\nendpoint = \"{}\"\naccess_key_id = \"KEY\"\nsecret_access_key = \"s\"\n\
         role_arn = \"{ROLE}\"\nexternal_id = \"theirs/1\"\nsession_name = \"night-shift\"\nsession_duration_s = 900",
        vendor.endpoint
    );
    let aws = connect(&more).await;
    call(&aws).await.unwrap();
    call(&aws).await.unwrap();
    let asked = vendor.requests("AssumeRole");
    assert_eq!((asked.len(), asked[0].key()), (1, "KEY"), "one fetch serves every region");
    let told = ["RoleArn", "RoleSessionName", "ExternalId", "DurationSeconds"].map(|key| asked[0].of(key).unwrap());
    assert_eq!(told, [ROLE, "night-shift", "theirs/1", "900"]);
    assert_eq!(vendor.keys(), ["ROLE"; 4]);
    assert_eq!(vendor.requests("Describe")[0].header("x-amz-security-token"), Some("token of ROLE"));
}
#[tokio::test]
async fn a_web_identity_is_read_for_each_fetch_and_needs_no_other_credentials() {
    let (sts, ec2) = (Vendor::start(&[Sts::Issues("FIRST", 5), Sts::Issues("SECOND", 3600)]).await, Vendor::start(&[]).await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "one.jwt\n").unwrap();
    let aws = ec2.connect(&format!("role_arn = \"{ROLE}\"\nweb_identity_token_file = \"{}\"\nsts_endpoint = \"{}\"", file.display(), sts.endpoint)).await;
    call(&aws).await.unwrap();
    std::fs::write(&file, "two.jwt\n").unwrap();
    // They expire at once, so that they are renewed as soon as a second has passed.
    let begin = Instant::now();
    while sts.requests("AssumeRole").len() < 2 {
        assert!(begin.elapsed() < Duration::from_secs(10));
        call(&aws).await.unwrap();
    }
    let asked = sts.requests("AssumeRoleWithWebIdentity");
    let told: Vec<_> = asked.iter().map(|r| (r.of("WebIdentityToken").unwrap(), r.of("RoleSessionName").unwrap(), r.of("RoleArn").unwrap(), r.key().to_owned())).collect();
    let expected = ["one.jwt", "two.jwt"].map(|token| (token.to_owned(), "welkin".to_owned(), ROLE.to_owned(), String::new()));
    assert_eq!(told, expected);
    call(&aws).await.unwrap();
    let keys = ec2.keys();
    assert_eq!((keys[0].as_str(), keys[keys.len() - 1].as_str()), ("FIRST", "SECOND"));
    std::fs::remove_file(&file).unwrap();
    let e = call(&ec2.connect(&format!("role_arn = \"{ROLE}\"\nweb_identity_token_file = \"{}\"", file.display())).await).await.unwrap_err();
    assert_eq!((e.kind(), e.reason(), e.effect()), (ErrorKind::FailedPrecondition, Reason::CloudCredentials, Effect::None));
    assert!(e.message().contains(&file.display().to_string()), "{e}");
}
#[tokio::test]
async fn two_connections_keep_to_their_own() {
    let vendor = Vendor::start(&[Sts::Issues("ROLE", 3600)]).await;
    let one = vendor.connect("access_key_id = \"ONE\"\nsecret_access_key = \"s\"").await;
    let two = vendor.connect(&format!("access_key_id = \"TWO\"\nsecret_access_key = \"s\"\nrole_arn = \"{ROLE}\"")).await;
    for aws in [&one, &two, &one, &two] {
        call(aws).await.unwrap();
    }
    assert_eq!(vendor.keys(), ["ONE", "ROLE", "ONE", "ROLE"]);
    assert_eq!(vendor.requests("AssumeRole").iter().map(Request::key).collect::<Vec<_>>(), ["TWO"]);
}

const WAITERS: usize = 4000;
/// So many calls at once.
async fn calls_at_once(aws: &Arc<Aws>) -> Vec<Result<()>> {
    let mut calls = JoinSet::new();
    for _ in 0..WAITERS {
        let aws = Arc::clone(aws);
        calls.spawn(async move { call(&aws).await });
    }
    calls.join_all().await
}
const PATIENT: &str = "access_key_id = \"KEY\"\nsecret_access_key = \"s\"\nconnect_timeout_s = 60.0\ncall_timeout_s = 120.0";
#[tokio::test]
async fn four_thousand_calls_ask_once() {
    let vendor = Vendor::start(&[Sts::Issues("ROLE", 3600)]).await;
    let aws = Arc::new(vendor.connect(&format!("{PATIENT}\nrole_arn = \"{ROLE}\"")).await);
    assert_eq!(calls_at_once(&aws).await.into_iter().find_map(Result::err), None);
    assert_eq!((vendor.requests("AssumeRole").len(), vendor.keys()), (1, vec!["ROLE".to_owned(); WAITERS]));
}
#[tokio::test]
async fn four_thousand_calls_are_refused_at_once() {
    let text = "User: arn:aws:iam::123456789012:user/w is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::123456789012:role/welkin";
    let vendor = Vendor::start(&[Sts::Refuses("AccessDenied", 403, text), Sts::Issues("ROLE", 3600)]).await;
    let aws = Arc::new(vendor.connect(&format!("{PATIENT}\nrole_arn = \"{ROLE}\"")).await);
    let answers = calls_at_once(&aws).await;
    assert_eq!(vendor.requests("AssumeRole").len(), 1);
    for e in answers.into_iter().map(Result::unwrap_err) {
        assert_eq!((e.kind(), e.reason(), e.retry(), e.effect()), (ErrorKind::FailedPrecondition, Reason::CloudCredentials, Retry::Never, Effect::None));
        assert!(e.message().contains("the permission sts:AssumeRole"), "{e}");
        assert_eq!(e.vendor().map(|v| (v.code.as_str(), v.request_id.as_deref())), Some(("AccessDenied", Some("vendor-1"))));
    }
    assert!(vendor.keys().is_empty());
}
#[tokio::test]
async fn what_keeps_sts_from_answering_is_tried_again() {
    let fast = "access_key_id = \"KEY\"\nsecret_access_key = \"s\"\ncall_timeout_s = 0.4";
    for (sts, reason) in [
        (Sts::Refuses("Throttling", 400, "Rate exceeded"), Reason::Throttled),
        (Sts::Refuses("ServiceUnavailable", 503, ""), Reason::CloudUnavailable),
        (Sts::Refuses("SomethingNew", 500, ""), Reason::CloudUnavailable),
        (Sts::Hangs, Reason::CloudUnavailable),
    ] {
        let vendor = Vendor::start(&[sts]).await;
        let e = call(&vendor.connect(&format!("{fast}\nrole_arn = \"{ROLE}\"")).await).await.unwrap_err();
        assert_eq!((e.reason(), e.retry_after().is_some(), e.effect(), e.is_not_found()), (reason, true, Effect::None, false), "{sts:?}: {e}");
    }
    // Nobody listens at a port that was given back.
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let vendor = Vendor::start(&[]).await;
    let e = call(&vendor.connect(&format!("{fast}\nrole_arn = \"{ROLE}\"\nsts_endpoint = \"http://{nobody}\"")).await).await.unwrap_err();
    assert_eq!((e.reason(), e.retry_after().is_some(), e.effect()), (Reason::CloudUnavailable, true, Effect::None), "{e}");
}

/// The calls of one connection in a process with this environment and nothing else in it; what its error says.
async fn elsewhere(config: &str, environment: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "access::in_an_environment_of_its_own", "--nocapture"]).env_clear().env("WELKIN_TEST_ACCESS", config);
    command.envs(environment.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{out}{err}");
    out.lines().filter_map(|l| l.split_once("refused: ")).map(|(_, why)| why.to_owned()).collect()
}
/// The trials below run it; by itself it has nothing to do.
#[tokio::test]
async fn in_an_environment_of_its_own() {
    let Ok(config) = std::env::var("WELKIN_TEST_ACCESS") else { return };
    if let Err(e) = call(&connect(&config).await).await {
        println!("refused: {} {:?} {e}", e.reason(), e.retry());
    }
}

#[tokio::test]
async fn a_profile_is_the_one_that_is_named() {
    let vendor = Vendor::start(&[Sts::Issues("ROLE", 3600)]).await;
    let folder = tempfile::tempdir().unwrap();
    let (config, credentials) = (folder.path().join("config"), folder.path().join("credentials"));
    std::fs::write(&config, format!("[profile ours]\nregion = eu-west-1\n[profile theirs]\nrole_arn = {ROLE}\nsource_profile = ours\n")).unwrap();
    std::fs::write(&credentials, "[default]\naws_access_key_id = DEFAULT\naws_secret_access_key = s\n[ours]\naws_access_key_id = OURS\naws_secret_access_key = s\n").unwrap();
    let environment = [("AWS_CONFIG_FILE", config.to_str().unwrap()), ("AWS_SHARED_CREDENTIALS_FILE", credentials.to_str().unwrap()), ("AWS_ENDPOINT_URL_STS", &vendor.endpoint)];
    let keys = [("AWS_ACCESS_KEY_ID", "ENVIRONMENT"), ("AWS_SECRET_ACCESS_KEY", "s")];
    assert_eq!(elsewhere(&vendor.config(""), &environment).await, "");
    // What is named is not overruled by what lies about.
    let both = [environment.as_slice(), &keys].concat();
    assert_eq!(elsewhere(&vendor.config("profile = \"ours\""), &both).await, "");
    assert_eq!(elsewhere(&vendor.config("profile = \"theirs\""), &both).await, "");
    assert_eq!(elsewhere(&vendor.config(&format!("profile = \"ours\"\nrole_arn = \"{ROLE}\"")), &both).await, "");
    assert_eq!(elsewhere(&vendor.config(""), &both).await, "");
    assert_eq!(vendor.keys(), ["DEFAULT", "OURS", "ROLE", "ROLE", "ENVIRONMENT"]);
    assert_eq!(vendor.requests("AssumeRole").iter().map(Request::key).collect::<Vec<_>>(), ["OURS", "OURS"]);
    let e = elsewhere(&vendor.config("profile = \"nobody\""), &both).await;
    assert!(e.starts_with("CLOUD_CREDENTIALS Never") && e.contains("nobody"), "{e}");
}
#[tokio::test]
async fn a_web_identity_of_the_environment() {
    let refusal = Sts::Refuses("AccessDenied", 403, "Not authorized to perform sts:AssumeRoleWithWebIdentity");
    let vendor = Vendor::start(&[Sts::Issues("ROLE", 3600), refusal]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "env.jwt").unwrap();
    let environment = [("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap()), ("AWS_ROLE_ARN", ROLE), ("AWS_ENDPOINT_URL_STS", &vendor.endpoint)];
    assert_eq!(elsewhere(&vendor.config(""), &environment).await, "");
    assert_eq!(vendor.requests("AssumeRoleWithWebIdentity")[0].of("WebIdentityToken").as_deref(), Some("env.jwt"));
    assert_eq!(vendor.keys(), ["ROLE"]);
    let e = elsewhere(&vendor.config(""), &environment).await;
    assert!(e.starts_with("CLOUD_CREDENTIALS Never") && e.contains("the permission sts:AssumeRoleWithWebIdentity"), "{e}");
}
#[tokio::test]
async fn instance_metadata_alone_and_with_a_role() {
    let vendor = Vendor::start(&[Sts::Issues("ROLE", 3600)]).await;
    let environment = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", vendor.endpoint.as_str())];
    assert_eq!(elsewhere(&vendor.config(""), &environment).await, "");
    assert_eq!(elsewhere(&vendor.config(&format!("role_arn = \"{ROLE}\"")), &environment).await, "");
    assert_eq!(vendor.keys(), ["METADATA", "ROLE"]);
    assert_eq!(vendor.requests("AssumeRole")[0].key(), "METADATA");
    assert_eq!(vendor.requests("Describe")[0].header("x-amz-security-token"), Some("token of METADATA"));
    let e = elsewhere(&vendor.config(""), &[("AWS_EC2_METADATA_DISABLED", "true")]).await;
    assert!(e.starts_with("CLOUD_CREDENTIALS Never"), "{e}");
}
