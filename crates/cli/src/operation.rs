//! Operations: waiting for one with its progress shown, and the command that lists, waits for, cancels and forgets them.

use crate::{
    call::Api,
    failure::{Exit, Failure},
    message::{is_true, last_part, nested, several, text, unpacked, with},
    output::{self, Format, cell, note},
    place::Place,
};
use indicatif::{ProgressBar, ProgressStyle};
use prost_reflect::{DynamicMessage, MessageDescriptor, ReflectMessage as _, Value};
use std::{
    io::{IsTerminal as _, stderr},
    time::{Duration, Instant},
};

const SERVICE: &str = "google.longrunning.Operations";
/// How long the server is asked to wait at a time: how often progress is shown.
const WAIT_STEP: Duration = Duration::from_secs(1);

/// Where the operation ended.
pub(crate) type Ended = DynamicMessage;

/// Waits until an operation ends, at most for `timeout`, and shows how far it is.
///
/// Interrupting it leaves the operation alone.
pub(crate) async fn wait(api: &Api, operation: DynamicMessage, timeout: Duration) -> Result<Ended, Failure> {
    if is_true(&operation, "done") {
        return Ok(operation);
    }
    let name = text(&operation, "name");
    let progress = Progress::new();
    let answer = tokio::select! {
        answer = follow(api, operation, timeout, &progress) => answer,
        _ = tokio::signal::ctrl_c() => Err(Failure::failed("interrupted; the operation goes on in the server")),
    };
    progress.close();
    answer.map_err(|e| if e.exit == Exit::NotFound { e } else { e.with_note(format!("`welkin operations wait {name}` waits for it")) })
}

async fn follow(api: &Api, mut operation: DynamicMessage, timeout: Duration, progress: &Progress) -> Result<Ended, Failure> {
    let (name, begin) = (text(&operation, "name"), Instant::now());
    let method = api.method(SERVICE, "WaitOperation")?;
    while !is_true(&operation, "done") {
        progress.show(&operation);
        let left = timeout.saturating_sub(begin.elapsed());
        if left.is_zero() {
            return Err(Failure::failed(format!("{name} has not ended within {} s; it goes on in the server", timeout.as_secs())));
        }
        let request = with(&method.input(), [("name", Value::String(name.clone())), ("timeout", duration(&method.input(), left.min(WAIT_STEP)))]);
        operation = api.call(&method, request).await?;
    }
    Ok(operation)
}

fn duration(request: &MessageDescriptor, length: Duration) -> Value {
    let Some(descriptor) = request.get_field_by_name("timeout").and_then(|f| f.kind().as_message().cloned()) else { return Value::Bool(false) };
    let seconds = Value::I64(i64::try_from(length.as_secs()).unwrap_or(i64::MAX));
    let nanos = Value::I32(i32::try_from(length.subsec_nanos()).unwrap_or_default());
    Value::Message(with(&descriptor, [("seconds", seconds), ("nanos", nanos)]))
}

/// What an ended operation came to: the resource where it has one.
pub(crate) fn outcome(api: &Api, operation: &Ended) -> Result<Option<DynamicMessage>, Failure> {
    match nested(operation, "error") {
        Some(error) => Err(Failure::of_operation(&api.endpoint, &error)),
        None => Ok(unpacked(operation, "response").filter(|r| r.get_field_by_name("name").is_some())),
    }
}

/// What a verb answers of its own.
pub(crate) fn answer(operation: &Ended) -> Option<DynamicMessage> {
    unpacked(operation, "response").filter(|r| r.descriptor().fields().len() > 0 && r.get_field_by_name("name").is_none())
}

/// A moving line on a terminal, one line for each change elsewhere.
struct Progress {
    bar: Option<ProgressBar>,
    last: std::cell::RefCell<String>,
}
impl Progress {
    fn new() -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner().with_style(ProgressStyle::with_template("{spinner} {msg} ({elapsed})").unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self { bar, last: std::cell::RefCell::default() }
    }
    fn show(&self, operation: &DynamicMessage) {
        let line = line(operation);
        match &self.bar {
            Some(bar) => bar.set_message(line),
            None if *self.last.borrow() != line => {
                note(&line);
                *self.last.borrow_mut() = line;
            }
            None => {}
        }
    }
    fn close(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// `create locations/r/instances/web: RUNNING, waiting for it to start`
fn line(operation: &DynamicMessage) -> String {
    let Some(metadata) = unpacked(operation, "metadata") else { return text(operation, "name") };
    let target = text(&metadata, "target");
    let below = target.find("locations/").and_then(|at| target.get(at..)).unwrap_or(&target);
    let progress = text(&metadata, "progress");
    let (verb, phase) = (text(&metadata, "verb"), cell(&metadata, "phase"));
    if progress.is_empty() { format!("{verb} {below}: {phase}") } else { format!("{verb} {below}: {phase}, {progress}") }
}

/// What `welkin operations` is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    List { filter: String },
    Get(String),
    Wait(String, Duration),
    Cancel(String),
    Delete(String),
}

/// `welkin operations`.
pub(crate) async fn run(api: &Api, place: &Place, format: Format, request: Request) -> Result<(), Failure> {
    match request {
        Request::List { filter } => list(api, place, format, &filter).await,
        Request::Get(id) => show(api, format, &get(api, "GetOperation", &full_name(api, place, &id).await?).await?),
        Request::Wait(id, timeout) => {
            let operation = get(api, "GetOperation", &full_name(api, place, &id).await?).await?;
            let ended = wait(api, operation, timeout).await?;
            show(api, format, &ended)?;
            outcome(api, &ended).map(|_| ())
        }
        Request::Cancel(id) => {
            let name = full_name(api, place, &id).await?;
            get(api, "CancelOperation", &name).await?;
            let ended = is_true(&get(api, "GetOperation", &name).await?, "done");
            let what = if ended { ("has ended", "get", "shows how") } else { ("is being cancelled", "wait", "waits for its end") };
            note(&format!("{name} {}; `welkin operations {} {name}` {}", what.0, what.1, what.2));
            Ok(())
        }
        Request::Delete(id) => {
            let name = full_name(api, place, &id).await?;
            get(api, "DeleteOperation", &name).await?;
            note(&format!("{name} is forgotten"));
            Ok(())
        }
    }
}

async fn get(api: &Api, method: &str, name: &str) -> Result<DynamicMessage, Failure> {
    let method = api.method(SERVICE, method)?;
    api.call(&method, with(&method.input(), [("name", Value::String(name.to_owned()))])).await
}
async fn full_name(api: &Api, place: &Place, id: &str) -> Result<String, Failure> {
    if id.starts_with("clouds/") {
        return Ok(id.to_owned());
    }
    Ok(format!("clouds/{}/operations/{id}", place.cloud(api).await?))
}

async fn list(api: &Api, place: &Place, format: Format, filter: &str) -> Result<(), Failure> {
    let clouds = match &place.cloud {
        Some(cloud) => vec![format!("clouds/{cloud}")],
        None => api.list(&api.method("welkin.v1.Clouds", "ListClouds")?, ("parent", ""), "").await?.items.iter().map(|c| text(c, "name")).collect(),
    };
    let method = api.method(SERVICE, "ListOperations")?;
    let mut items = Vec::new();
    for cloud in clouds {
        items.extend(several(&api.list(&method, ("name", &cloud), filter).await?.response, "operations"));
    }
    let whole = with(&method.output(), [("operations", Value::List(items.iter().cloned().map(Value::Message).collect()))]);
    show_all(api, format, &items, &whole)
}
fn show(api: &Api, format: Format, operation: &DynamicMessage) -> Result<(), Failure> {
    show_all(api, format, std::slice::from_ref(operation), operation)
}

/// Operations in the form that was asked for.
pub(crate) fn show_all(api: &Api, format: Format, items: &[DynamicMessage], whole: &DynamicMessage) -> Result<(), Failure> {
    let text = match format {
        Format::Json | Format::Yaml => output::document(format, whole)?,
        Format::Name => items.iter().map(|o| text(o, "name") + "\n").collect(),
        Format::Table | Format::Wide => table(api, items, format == Format::Wide),
    };
    output::print(&text)
}

fn table(api: &Api, items: &[DynamicMessage], wide: bool) -> String {
    let mut head = vec!["ID", "VERB", "TARGET", "RESULT", "STEPS", "AGE"];
    if wide {
        head.extend(["PROGRESS", "NAME"]);
    }
    let rows = items.iter().map(|operation| {
        let name = text(operation, "name");
        let metadata = unpacked(operation, "metadata");
        let of = |path: &str| metadata.as_ref().map(|m| cell(m, path)).unwrap_or_default();
        let target = metadata.as_ref().map(|m| text(m, "target")).unwrap_or_default();
        let result = match (is_true(operation, "done"), outcome(api, operation)) {
            (false, _) => of("phase"),
            (true, Ok(_)) => "OK".to_owned(),
            (true, Err(_)) => format!("FAILED: {}", nested(operation, "error").map(|e| text(&e, "message")).unwrap_or_default()),
        };
        let mut row = vec![last_part(&name).to_owned(), of("verb"), target, result, of("steps_done"), of("create_time")];
        if wide {
            row.extend([of("progress"), name]);
        }
        row
    });
    output::table(head, rows)
}
