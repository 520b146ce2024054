//! The command line: fixed commands, and for each kind of the API a place under each verb that it has.

use crate::{
    flag,
    kind::{Kind, Kinds, comment},
    output::Format,
    word::kebab,
};
use clap::{
    Arg, ArgAction, ArgMatches, Command, ValueHint,
    builder::{EnumValueParser, PossibleValuesParser},
    parser::ValueSource,
    value_parser,
};

/// Where a server is looked for.
pub(crate) const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:7750";
/// How long a command waits for its operation; machines of some clouds take many minutes.
const DEFAULT_WAIT: &str = "30m";
/// How often `--watch` looks: a list of a far cloud costs the vendor's calls each time.
const DEFAULT_INTERVAL: &str = "5s";

/// The whole command line. The kinds' part of it comes from the API's descriptors.
pub(crate) fn command(kinds: &Kinds) -> Command {
    let mut command = Command::new("welkin")
        .about("One API over every cloud: the server, and its client")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .args(everywhere())
        .subcommand(serve())
        .subcommand(get(kinds))
        .subcommand(describe(kinds))
        .subcommand(per_kind(kinds, "create", "Create a resource", create_args))
        .subcommand(per_kind(kinds, "update", "Change the fields that are given", update_args))
        .subcommand(on_one("delete", "Delete a resource and everything that was made for it", kinds).arg(allow_missing()).arg(release()));
    for verb in own_verbs(kinds) {
        let about = format!("{} a resource", crate::word::capitalised(&verb));
        let arguments: Vec<Arg> = kinds.all.iter().flat_map(|k| flag::of(k.arguments(&verb))).flat_map(|flag| flag.args()).collect();
        let file = (!arguments.is_empty()).then(file);
        command = command.subcommand(on_one(&verb, &about, kinds).args(file.into_iter().chain(arguments)));
    }
    for (question, about) in questions(kinds) {
        command = command.subcommand(about_one(&question, &about, kinds));
    }
    command.subcommand(operations()).subcommand(clouds()).subcommand(capabilities()).subcommand(completion())
}

/// The command line as a shell completes it: with the words for the kinds, of which [`command`] takes more.
pub(crate) fn completed(kinds: &Kinds) -> Command {
    let mut command = command(kinds);
    let asked = questions(kinds).into_iter().map(|(question, _)| question);
    for verb in ["get", "describe", "delete"].into_iter().map(str::to_owned).chain(own_verbs(kinds)).chain(asked) {
        let words: Vec<String> = kinds.all.iter().filter(|k| k.method(&verb).is_some() || verb == "describe").flat_map(|k| [k.singular(), k.plural()]).collect();
        // What is mutated goes to the end, so that the id has to follow.
        command = command.mut_subcommand(verb, |c| c.mut_arg("kind", |kind| kind.value_parser(PossibleValuesParser::new(words))).mut_arg("id", |id| id));
    }
    command
}

/// What the commands of the client take, before the verb or after it.
fn everywhere() -> [Arg; 5] {
    let server = |arg: Arg| arg.global(true).help_heading("Server");
    [
        server(Arg::new("endpoint").long("endpoint").value_name("URL").env("WELKIN_ENDPOINT").default_value(DEFAULT_ENDPOINT).help("The server")),
        server(Arg::new("cloud").long("cloud").value_name("CLOUD").env("WELKIN_CLOUD").help("The cloud, as configured; the only one by default")),
        server(Arg::new("location").long("location").value_name("LOCATION").env("WELKIN_LOCATION").help("The region, or global; the only one by default")),
        server(Arg::new("in").long("in").value_name("ID").help("The resource that it lives in: of record sets the zone")),
        Arg::new("output")
            .short('o')
            .long("output")
            .value_name("FORMAT")
            .value_parser(EnumValueParser::<Format>::new())
            .default_value("table")
            .help("How results are shown")
            .global(true),
    ]
}
/// Takes a flag of all out of a command that has no use for it; [`misplaced`] refuses it there.
fn without(command: Command, ids: &[&str]) -> Command {
    let hidden = everywhere().into_iter().filter(|arg| ids.contains(&arg.get_id().as_str()));
    command.args(hidden.map(|arg| arg.global(false).hide(true)).collect::<Vec<_>>())
}
/// The flags of all that a command has no use for. From a variable they mean other commands.
const USELESS: &[(&str, &[&str])] = &[
    ("serve", &["endpoint", "cloud", "location", "in", "output"]),
    ("completion", &["endpoint", "cloud", "location", "in", "output"]),
    ("describe", &["output"]),
    ("operations", &["location", "in"]),
    ("clouds", &["cloud", "location", "in"]),
    ("capabilities", &["location", "in"]),
];
fn useless(verb: &str) -> &'static [&'static str] {
    USELESS.iter().find(|(of, _)| *of == verb).map_or(&[], |(_, ids)| ids)
}
/// What is wrong with the flags that stand before the verb, or behind one that does not have them.
pub(crate) fn misplaced(matches: &ArgMatches) -> Option<String> {
    let (verb, m) = matches.subcommand()?;
    let typed = |id: &&&str| m.value_source(id) == Some(ValueSource::CommandLine);
    useless(verb).iter().find(typed).map(|id| format!("--{id} means nothing to `welkin {verb}`"))
}

/// The verbs that some kind has beyond the standard ones.
pub(crate) fn own_verbs(kinds: &Kinds) -> Vec<String> {
    let mut verbs = Vec::new();
    for verb in kinds.all.iter().flat_map(Kind::own_verbs) {
        if !verbs.contains(&verb) {
            verbs.push(verb);
        }
    }
    verbs
}

/// What can be asked of some kind beyond a read, with what the API says of it.
fn questions(kinds: &Kinds) -> Vec<(String, String)> {
    let mut questions: Vec<(String, String)> = Vec::new();
    for (question, method) in kinds.all.iter().flat_map(Kind::questions) {
        if !questions.iter().any(|(known, _)| *known == question) {
            // "Reads what ...", and here as one is told to.
            let about = comment(&method.parent_file(), method.path());
            let what = about.split(['.', ',', ':']).next().unwrap_or_default().trim_start_matches("Reads ");
            questions.push((question, format!("Show {what}")));
        }
    }
    questions
}

fn serve() -> Command {
    without(Command::new("serve"), useless("serve"))
        .about("Serve the API on this machine")
        .arg(
            Arg::new("config")
                .long("config")
                .value_name("FILE")
                .env("WELKIN_CONFIG")
                .value_hint(ValueHint::FilePath)
                .help("The clouds; welkin.toml where there is one, else a simulated cloud"),
        )
        .arg(
            Arg::new("data-dir")
                .long("data-dir")
                .value_name("DIR")
                .env("WELKIN_DATA_DIR")
                .value_hint(ValueHint::DirPath)
                .help("Where operations are kept; welkin in the user's data folder by default"),
        )
        .arg(Arg::new("listen").long("listen").value_name("ADDRESS").default_value("127.0.0.1:7750").help("A loopback address; port 0 takes a free one"))
}

fn get(kinds: &Kinds) -> Command {
    let command = Command::new("get")
        .about("Show one resource, or all of a kind")
        .arg(kind_arg(kinds, |_| true))
        .arg(Arg::new("id").value_name("ID").help("An id or a name; all of them without one"));
    let watch = Arg::new("watch").short('w').long("watch").action(ArgAction::SetTrue).help("Go on, with a line for each change: added, changed, gone").help_heading("Watch");
    let interval = Arg::new("interval").long("interval").value_name("TIME").default_value(DEFAULT_INTERVAL).value_parser(interval).requires("watch");
    command.arg(filter()).arg(watch).arg(interval.help("How long to wait between two looks, at least 1s").help_heading("Watch"))
}
fn describe(kinds: &Kinds) -> Command {
    without(Command::new("describe"), useless("describe"))
        .about("Tell everything about one resource, for people")
        .arg(kind_arg(kinds, |_| true))
        .arg(Arg::new("id").value_name("ID").required(true).help("Its id or name"))
}

/// A verb whose flags differ from kind to kind.
fn per_kind(kinds: &Kinds, verb: &'static str, about: &'static str, args: fn(&Kind) -> Vec<Arg>) -> Command {
    let mut command = Command::new(verb)
        .about(about)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand_value_name("KIND")
        .subcommand_help_heading("Kinds")
        .disable_help_subcommand(true)
        .infer_subcommands(true)
        // Other words come to us, who can say what the kinds are.
        .allow_external_subcommands(true);
    for kind in kinds.all.iter().filter(|k| k.method(verb).is_some()) {
        let below = Command::new(kind.singular()).about(kind.about()).aliases(kind.other_words());
        command = command.subcommand(mutating(below.args(args(kind)), kind.takes_etag(verb)));
    }
    command
}
fn create_args(kind: &Kind) -> Vec<Arg> {
    let id = Arg::new("id").value_name("ID").help("Its id: 1 to 63 of a-z, 0-9 and '-', a letter first").required_unless_present("file");
    let adopt = Arg::new("adopt").long("adopt").value_name("PROVIDER_ID").help("Do not make it: manage what has this provider id or vendor's id, as it is, by the id given here");
    [id, file(), adopt.conflicts_with("file").help_heading("Operation")].into_iter().chain(flag::flags(kind).iter().flat_map(flag::Flag::args)).collect()
}
fn update_args(kind: &Kind) -> Vec<Arg> {
    let id = Arg::new("id").value_name("ID").help("Its id or name").required(true);
    let clear = Arg::new("clear").long("clear").value_name("FIELD").action(ArgAction::Append).help("Take this field's value away");
    [id, file(), clear].into_iter().chain(flag::flags(kind).iter().flat_map(flag::Flag::args)).collect()
}
fn file() -> Arg {
    Arg::new("file").short('f').long("file").value_name("FILE").value_hint(ValueHint::FilePath).help("The API's message as JSON or YAML (- for standard input); flags come on top")
}

/// A verb that takes a kind and one of its resources.
fn about_one(verb: &str, about: &str, kinds: &Kinds) -> Command {
    let has = |k: &Kind| k.method(verb).is_some();
    let command = Command::new(verb.to_owned()).about(about.to_owned()).arg(kind_arg(kinds, has));
    command.arg(Arg::new("id").value_name("ID").required(true).help("Its id or name"))
}
/// One that changes it.
fn on_one(verb: &str, about: &str, kinds: &Kinds) -> Command {
    mutating(about_one(verb, about, kinds), kinds.all.iter().any(|k| k.takes_etag(verb)))
}

fn kind_arg(kinds: &Kinds, has: impl Fn(&Kind) -> bool) -> Arg {
    let words: Vec<String> = kinds.all.iter().filter(|k| has(k)).map(Kind::plural).collect();
    Arg::new("kind").value_name("KIND").required(true).help(format!("The kind, singular, plural or short: {}", words.join(", ")))
}

fn mutating(command: Command, takes_etag: bool) -> Command {
    let etag = Arg::new("etag").long("etag").value_name("ETAG").help("Fail unless this is still the resource's etag").help_heading("Operation");
    command
        .arg(Arg::new("async").long("async").action(ArgAction::SetTrue).help("Answer the operation at once instead of waiting for its end").help_heading("Operation"))
        .arg(wait_timeout())
        .arg(Arg::new("dry-run").long("dry-run").action(ArgAction::SetTrue).help("Run every check and change nothing").help_heading("Operation"))
        .arg(Arg::new("request-id").long("request-id").value_name("TEXT").help("Makes a repetition of this very command safe").help_heading("Operation"))
        .args(takes_etag.then_some(etag))
}
fn wait_timeout() -> Arg {
    Arg::new("wait-timeout")
        .long("wait-timeout")
        .value_name("TIME")
        .default_value(DEFAULT_WAIT)
        .value_parser(duration)
        .help("How long to wait: 90s, 10m, 2h")
        .help_heading("Operation")
}
fn allow_missing() -> Arg {
    Arg::new("allow-missing").long("allow-missing").action(ArgAction::SetTrue).help("Succeed where it does not exist").help_heading("Operation")
}
fn release() -> Arg {
    Arg::new("release")
        .long("release")
        .action(ArgAction::SetTrue)
        .help("Leave the object as it is and only manage it no longer; it must have been adopted")
        .help_heading("Operation")
}
fn filter() -> Arg {
    Arg::new("filter").long("filter").value_name("FILTER").default_value("").hide_default_value(true).help("Only these: state=RUNNING, labels.env=prod")
}

fn operations() -> Command {
    let id = || Arg::new("id").value_name("ID").required(true).help("Its id or name");
    let on = |name: &'static str, about: &'static str| Command::new(name).about(about).arg(id());
    without(Command::new("operations"), useless("operations"))
        .about("Show mutations, wait for them, cancel them")
        .visible_alias("operation")
        .arg(filter())
        .subcommand(on("get", "Show one"))
        .subcommand(on("wait", "Wait for its end and answer how it ended").arg(wait_timeout()))
        .subcommand(on("cancel", "Ask for it to be stopped; what a create has made is removed"))
        .subcommand(on("delete", "Forget one that has ended"))
}
fn clouds() -> Command {
    without(Command::new("clouds"), useless("clouds")).about("List the clouds that the server is configured with")
}
fn capabilities() -> Command {
    let name = Arg::new("name").value_name("CLOUD").help("The cloud; the only one by default");
    without(Command::new("capabilities"), useless("capabilities")).about("Tell what a cloud can do").arg(name)
}
fn completion() -> Command {
    without(Command::new("completion"), useless("completion"))
        .about("Write a shell's completion script")
        .arg(Arg::new("shell").value_name("SHELL").required(true).value_parser(value_parser!(clap_complete::Shell)))
}

fn interval(text: &str) -> Result<std::time::Duration, String> {
    duration(text).and_then(|d| if d.is_zero() { Err("at least 1s".into()) } else { Ok(d) })
}
/// `90s`, `10m`, `2h`, or seconds.
fn duration(text: &str) -> Result<std::time::Duration, String> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let factor = match kebab(unit).as_str() {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err("write it 90s, 10m or 2h".into()),
    };
    let seconds = number.parse::<u64>().ok().and_then(|n| n.checked_mul(factor));
    seconds.map(std::time::Duration::from_secs).ok_or_else(|| "write it 90s, 10m or 2h".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<clap::ArgMatches, clap::Error> {
        command(&Kinds::new()).try_get_matches_from(line.split_ascii_whitespace())
    }
    #[test]
    fn the_command_line_is_sound() {
        command(&Kinds::new()).debug_assert();
    }
    #[test]
    fn commands_of_the_readme_are_understood() {
        for line in [
            "welkin serve",
            "welkin serve --config welkin.toml --data-dir d --listen 127.0.0.1:0",
            "welkin get networks",
            "welkin get machine-types --cloud c --location l -o wide",
            "welkin get instance web -o json",
            "welkin get instances --watch --interval 1s",
            "welkin --endpoint http://127.0.0.1:1 --cloud c --location l -o wide get instances",
            "welkin --endpoint http://127.0.0.1:1 create network n1 --cidr 10.0.0.0/16",
            "welkin --cloud c operations wait abc",
            "welkin operations --cloud c wait abc",
            "welkin describe instance web --cloud c",
            "welkin create network n1 --cidr 10.0.0.0/16",
            "welkin create net n1 --cidr 10.0.0.0/16 --cidr 2001:db8::/48 --internet-access --async",
            "welkin create subnet s1 --network n1 --cidr 10.0.1.0/24 --zone eu-west-1a",
            "welkin create instances web --subnet s1 --image debian-12 --machine-type t3.small --user-data-file boot.sh",
            "welkin create instance -f web.yaml",
            "welkin create instance web --adopt aws:///eu-west-1a/i-0abc",
            "welkin delete instance web --release",
            "welkin update instance web --label a=b --clear identity --etag x --wait-timeout 90s",
            "welkin stop instance web --dry-run",
            "welkin reboot inst web --request-id r1",
            "welkin console-output instance web",
            "welkin console-output instance web --cloud c -o json",
            "welkin delete instance web --allow-missing",
            "welkin operations",
            "welkin operations wait abc --wait-timeout 5m",
            "welkin operations cancel abc",
            "welkin operations delete clouds/c/operations/abc",
            "welkin clouds -o name",
            "welkin capabilities sim",
            "welkin completion bash",
        ] {
            parse(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        }
    }
    #[test]
    fn wrong_usage_is_refused() {
        for (line, word) in [
            ("welkin", "Usage"),
            ("welkin create network", "ID"),
            ("welkin create network n --colour red", "--colour"),
            ("welkin create network --adopt vpc-1", "ID"),
            ("welkin create network n --etag x", "--etag"),
            ("welkin update network", "ID"),
            ("welkin stop instance web --wait-timeout soon", "90s"),
            ("welkin get networks -o xml", "xml"),
            ("welkin console-output instance web --etag x", "--etag"),
            ("welkin get networks --interval 2s", "--watch"),
            ("welkin get networks --watch --interval 0s", "1s"),
        ] {
            let why = parse(line).unwrap_err();
            assert!(why.to_string().contains(word), "{line}: {why}");
            assert_eq!(why.exit_code(), 2, "{line}");
        }
    }
    #[test]
    fn a_flag_of_all_counts_on_either_side_of_the_verb() {
        for line in
            ["welkin --endpoint http://a --location l get networks", "welkin get --location l --endpoint http://a networks", "welkin --location l get networks --endpoint http://a"]
        {
            let matches = parse(line).unwrap();
            let (_, m) = matches.subcommand().unwrap();
            assert_eq!(["endpoint", "location"].map(|id| m.get_one::<String>(id).unwrap().as_str()), ["http://a", "l"], "{line}");
            assert_eq!(misplaced(&matches), None);
        }
        for line in ["welkin --endpoint http://a serve", "welkin serve --endpoint http://a", "welkin --endpoint http://a completion bash"] {
            assert!(misplaced(&parse(line).unwrap()).unwrap().contains("--endpoint"), "{line}");
        }
        let help = |verb: &str| parse(&format!("welkin {verb} --help")).unwrap_err().to_string();
        assert!(!help("serve").contains("--endpoint") && help("get").contains("--endpoint") && help("get").contains("--watch"));
        assert!(help("console-output").starts_with("Show what an instance has last written on its console\n"), "{}", help("console-output"));
    }
    #[test]
    fn durations() {
        assert_eq!([duration("90s"), duration("10m"), duration("2h"), duration("7")].map(|d| d.unwrap().as_secs()), [90, 600, 7200, 7]);
        assert!(duration("").is_err() && duration("5d").is_err() && duration("-1s").is_err());
    }
    #[test]
    fn completion_knows_the_kinds_flags() {
        let mut script = Vec::new();
        clap_complete::generate(clap_complete::Shell::Bash, &mut completed(&Kinds::new()), "welkin", &mut script);
        let script = String::from_utf8(script).unwrap();
        assert!(script.contains("--root-disk-size-gib"));
        // The kinds that can be got, and those that can be stopped.
        assert!(script.contains("machine-type machine-types nat-gateway nat-gateways") && script.contains(" instance instances\""), "{script}");
    }
}
