//! The `welkin` command: `serve`, and the commands of its client.

mod call;
mod column;
mod command_line;
mod config;
mod describe;
mod failure;
mod flag;
mod input;
mod kind;
mod message;
mod mutation;
mod operation;
mod output;
mod place;
mod read;
mod registry;
mod serve;
mod watch;
mod word;

use call::Api;
use clap::ArgMatches;
use failure::Failure;
use kind::{Kind, Kinds};
use output::Format;
use place::Place;
use std::{process::ExitCode, time::Duration};

fn main() -> ExitCode {
    let kinds = Kinds::new();
    // Wrong usage ends here, with status 2.
    let matches = command_line::command(&kinds).get_matches();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            output::note(&format!("error: the runtime cannot be started: {e}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(kinds, &matches)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::note(failure.to_string().trim_end());
            ExitCode::from(failure.exit as u8)
        }
    }
}

async fn run(kinds: Kinds, matches: &ArgMatches) -> Result<(), Failure> {
    if let Some(why) = command_line::misplaced(matches) {
        return Err(Failure::usage(why));
    }
    match matches.subcommand() {
        Some(("serve", m)) => serve::run(one(m, "config"), one(m, "data-dir"), one(m, "listen").unwrap_or_default()).await,
        Some(("completion", m)) => completion(&kinds, m),
        Some((verb @ ("create" | "update"), m)) => match m.subcommand() {
            Some((word, m)) => mutate_fields(kinds, verb, word, m).await,
            None => Err(Failure::usage("which kind?")),
        },
        Some(("get", m)) => {
            let kind = kind_of(&kinds, m)?;
            let (api, place) = (connect(kinds, m).await?, place_of(m));
            let filter = one(m, "filter").unwrap_or_default();
            match one(m, "id") {
                id if is_given(m, "watch") => {
                    let watched = id.map_or(watch::Watched::All { filter }, |id| watch::Watched::One { id });
                    let interval = m.get_one::<Duration>("interval").copied().unwrap_or_default();
                    watch::run(&api, &place, format_of(m), &kind, watched, interval).await
                }
                Some(id) => read::one(&api, &place, format_of(m), &kind, id).await,
                None => read::list(&api, &place, format_of(m), &kind, filter).await,
            }
        }
        Some(("describe", m)) => {
            let kind = kind_of(&kinds, m)?;
            describe::one(&connect(kinds, m).await?, &place_of(m), &kind, one(m, "id").unwrap_or_default()).await
        }
        Some(("operations", m)) => operations(kinds, m).await,
        Some(("clouds", m)) => read::clouds(&connect(kinds, m).await?, format_of(m)).await,
        Some(("capabilities", m)) => {
            let cloud = one(m, "name").or_else(|| given(m, "cloud")).map(str::to_owned);
            read::capabilities(&connect(kinds, m).await?, &Place { cloud, ..Place::default() }, format_of(m)).await
        }
        Some((verb, m)) => {
            let kind = kind_of(&kinds, m)?;
            kinds.method(&kind, verb).map_err(Failure::usage)?;
            if let Some(method) = kind.question(verb) {
                return read::ask(&connect(kinds, m).await?, &place_of(m), format_of(m), &kind, &method, one(m, "id").unwrap_or_default()).await;
            }
            mutation::act(&connect(kinds, m).await?, &kind, verb, one(m, "id").unwrap_or_default(), one(m, "file"), m, &options(m)).await
        }
        None => Err(Failure::usage("which command?")),
    }
}

async fn mutate_fields(kinds: Kinds, verb: &str, word: &str, m: &ArgMatches) -> Result<(), Failure> {
    let kind = kinds.find(word).map_err(Failure::usage)?.clone();
    kinds.method(&kind, verb).map_err(Failure::usage)?;
    if m.try_contains_id("id").is_err() {
        // A word that only we understand came without the kind's flags.
        return Err(Failure::usage(format!("write the kind as {}", kind.singular())));
    }
    let (api, options, file) = (connect(kinds, m).await?, options(m), one(m, "file"));
    if verb == "create" {
        return mutation::create(&api, &kind, one(m, "id"), file, m, &options).await;
    }
    let clear: Vec<String> = m.get_many::<String>("clear").into_iter().flatten().cloned().collect();
    mutation::update(&api, &kind, one(m, "id").unwrap_or_default(), file, &clear, m, &options).await
}

async fn operations(kinds: Kinds, m: &ArgMatches) -> Result<(), Failure> {
    let id = |m: &ArgMatches| one(m, "id").unwrap_or_default().to_owned();
    let (m, request) = match m.subcommand() {
        Some(("get", m)) => (m, operation::Request::Get(id(m))),
        Some(("wait", m)) => (m, operation::Request::Wait(id(m), wait_timeout(m))),
        Some(("cancel", m)) => (m, operation::Request::Cancel(id(m))),
        Some(("delete", m)) => (m, operation::Request::Delete(id(m))),
        _ => (m, operation::Request::List { filter: one(m, "filter").unwrap_or_default().to_owned() }),
    };
    operation::run(&connect(kinds, m).await?, &place_of(m), format_of(m), request).await
}

fn completion(kinds: &Kinds, m: &ArgMatches) -> Result<(), Failure> {
    let Some(shell) = m.get_one::<clap_complete::Shell>("shell").copied() else { return Err(Failure::usage("which shell?")) };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command_line::completed(kinds), "welkin", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}

async fn connect(kinds: Kinds, m: &ArgMatches) -> Result<Api, Failure> {
    Api::connect(given(m, "endpoint").unwrap_or(command_line::DEFAULT_ENDPOINT), kinds).await
}
fn kind_of(kinds: &Kinds, m: &ArgMatches) -> Result<Kind, Failure> {
    kinds.find(one(m, "kind").unwrap_or_default()).cloned().map_err(Failure::usage)
}
/// A text that the command may not have at all.
fn one<'a>(m: &'a ArgMatches, name: &str) -> Option<&'a str> {
    m.try_get_one::<String>(name).ok().flatten().map(String::as_str)
}
/// A text that can come from a variable, where an empty one means none.
fn given<'a>(m: &'a ArgMatches, name: &str) -> Option<&'a str> {
    one(m, name).filter(|text| !text.is_empty())
}
fn is_given(m: &ArgMatches, name: &str) -> bool {
    m.try_get_one::<bool>(name).ok().flatten().copied().unwrap_or_default()
}
fn format_of(m: &ArgMatches) -> Format {
    m.get_one::<Format>("output").copied().unwrap_or(Format::Table)
}
fn place_of(m: &ArgMatches) -> Place {
    Place { cloud: given(m, "cloud").map(str::to_owned), location: given(m, "location").map(str::to_owned), within: given(m, "in").map(str::to_owned) }
}
fn wait_timeout(m: &ArgMatches) -> Duration {
    m.get_one::<Duration>("wait-timeout").copied().unwrap_or_default()
}
fn options(m: &ArgMatches) -> mutation::Options {
    mutation::Options {
        format: format_of(m),
        place: place_of(m),
        detached: is_given(m, "async"),
        wait_timeout: wait_timeout(m),
        dry_run: is_given(m, "dry-run"),
        request_id: one(m, "request-id").unwrap_or_default().to_owned(),
        etag: one(m, "etag").unwrap_or_default().to_owned(),
        allow_missing: is_given(m, "allow-missing"),
        adopt: one(m, "adopt").unwrap_or_default().to_owned(),
        release: is_given(m, "release"),
    }
}
