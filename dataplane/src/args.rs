//! The command line of `headgate`: what can be asked for, with which defaults, and what the environment adds.
//!
//! This is the only file that reads the environment (besides clap's `HEADGATE_*` twins, which it declares): everything
//! else gets values or a look-up function as arguments. Secrets have no flag on purpose, since a command line is visible
//! to every process of the machine; the admin token comes from `HEADGATE_ADMIN_TOKEN` alone.

mod cluster;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use zeroize::Zeroizing;

pub use self::cluster::{ClusterArgs, StatusArgs};
use crate::identity::clouds::Clouds;

/// What a short admin token would invite: guessing. 16 characters is what the shortest password generators give.
const ADMIN_TOKEN_CHARACTERS_MIN: usize = 16;

const EXAMPLES: &str = "\
Examples:
  headgate serve                                  serve what the environment offers, Echo always
  OPENAI_API_KEY=sk-… headgate serve              … and OpenAI as well
  headgate serve --manifests examples/quickstart  serve a folder; saving a file reloads it
  headgate check examples/quickstart              the same findings, without serving
  headgate serve --snapshot-namespace NAMESPACE   in a pod: serve what the operator publishes
  headgate status                                 what each data plane of a cluster serves, and what is held";

const SERVE_EXAMPLES: &str = "\
Examples:
  headgate serve --manifests ./gateway
      Serves the LLMProviders, RoutePolicies and VirtualKeys of a folder and reloads on each save. A bad save keeps
      the last good state and prints what is wrong, with file, line and column.

  OPENAI_API_KEY=sk-… headgate serve
      Without a folder: a provider for each well-known key set (OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY,
      GROQ_API_KEY, MISTRAL_API_KEY, DEEPSEEK_API_KEY, TOGETHER_API_KEY, OPENROUTER_API_KEY,
      AZURE_OPENAI_API_KEY with AZURE_OPENAI_ENDPOINT, AWS_BEARER_TOKEN_BEDROCK with AWS_REGION), a local Ollama if it
      answers, Echo always, and one virtual key, printed once. HEADGATE_VIRTUAL_KEY (32 characters or more) sets that
      key; without it only loopback addresses are listened on.

  headgate serve --snapshot-namespace headgate-snapshots --sealing-keys /run/sealing-keys --state-dir /state \
      --pod-name \"$POD_NAME\" --installation headgate.gateway.headgate
      In a pod: follows the snapshots that the operator publishes. The chart sets all of this.

The admin token is read from HEADGATE_ADMIN_TOKEN only; a command line is no place for secrets.";

const CHECK_EXAMPLES: &str = "\
Examples:
  headgate check gateway/                 for people: file, line, column and a caret
  headgate check gateway/ --output json   for machines: one JSON document on standard output

Exit codes: 0 nothing wrong (warnings allowed, unless --deny-warnings), 1 findings, 2 the folder cannot be read or
the command is wrong. Nothing is contacted and no environment variable is expanded.";

/// A Kubernetes-native LLM gateway: one OpenAI-compatible endpoint before every model you use.
#[derive(Debug, Parser)]
#[command(name = "headgate", version, about, after_help = EXAMPLES, propagate_version = true, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs of `headgate`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve: from a folder of manifests, or from what the environment offers
    Serve(Box<ServeArgs>),
    /// Check a folder of manifests without serving it: schema, rules, references, conflicts
    Check(CheckArgs),
    /// Show what a cluster publishes, what each data plane serves of it, and what is held
    Status(StatusArgs),
    /// Print the completions of a shell, to be sourced by it
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// How to serve.
#[derive(Debug, Args)]
#[command(after_help = SERVE_EXAMPLES)]
pub struct ServeArgs {
    /// Folder of manifests to serve and to watch; without it: what the environment offers
    #[arg(long, value_name = "DIR", env = "HEADGATE_MANIFESTS", help_heading = "What to serve", value_parser = folder())]
    pub manifests: Option<PathBuf>,

    /// Where minted virtual keys, in a cluster the last good snapshot, are kept, mode 0600 [default without a cluster:
    /// `$XDG_STATE_HOME/headgate`, else `~/.local/state/headgate`]
    #[arg(long, value_name = "DIR", env = "HEADGATE_STATE_DIR", help_heading = "What to serve", value_parser = folder())]
    pub state_dir: Option<PathBuf>,

    /// What to follow in a cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,

    /// Whether providers may be on loopback addresses [default: false in a cluster, true without]
    #[arg(long, value_name = "BOOL", env = "HEADGATE_ALLOW_LOOPBACK", help_heading = "What to serve",
          num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = clap::builder::BoolishValueParser::new())]
    pub allow_loopback: Option<bool>,

    /// Whether providers may be on private addresses, services of the cluster among them
    #[arg(long, value_name = "BOOL", env = "HEADGATE_ALLOW_PRIVATE", help_heading = "What to serve",
          num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true",
          action = clap::ArgAction::Set, value_parser = clap::builder::BoolishValueParser::new())]
    pub allow_private: bool,

    /// Address for clients: /v1/* and the probes
    #[arg(long, value_name = "ADDR", env = "HEADGATE_LISTEN", help_heading = "Where to listen",
          default_value_t = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080))]
    pub listen: SocketAddr,

    /// Address for operations: probes, /metrics, /snapshot
    #[arg(long, value_name = "ADDR", env = "HEADGATE_ADMIN_LISTEN", help_heading = "Where to listen",
          default_value_t = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090))]
    pub admin_listen: SocketAddr,

    /// Most client connections at once; further ones wait in the kernel's queue
    #[arg(long, value_name = "COUNT", env = "HEADGATE_MAX_CONNECTIONS", help_heading = "Where to listen",
          default_value_t = 10_000, value_parser = at_least_one)]
    pub max_connections: usize,

    /// How long running requests may take to finish after SIGTERM (as in `30s`, `2m`)
    #[arg(long, value_name = "DURATION", env = "HEADGATE_DRAIN_TIMEOUT", help_heading = "Where to listen",
          default_value = "30s", value_parser = duration)]
    pub drain_timeout: Duration,

    /// How long to go on accepting after SIGTERM, not ready any more, until load balancers have noticed
    #[arg(long, value_name = "DURATION", env = "HEADGATE_SHUTDOWN_DELAY", help_heading = "Where to listen",
          default_value = "0s", value_parser = duration)]
    pub shutdown_delay: Duration,

    /// How long the head of a request may take from its first byte
    #[arg(long, value_name = "DURATION", env = "HEADGATE_HEAD_TIMEOUT", help_heading = "Slow clients",
          default_value = "15s", value_parser = positive_duration)]
    pub head_timeout: Duration,

    /// How long the body of a request may be silent
    #[arg(long, value_name = "DURATION", env = "HEADGATE_BODY_IDLE_TIMEOUT", help_heading = "Slow clients",
          default_value = "30s", value_parser = positive_duration)]
    pub body_idle_timeout: Duration,

    /// How long a connection may be idle between requests; longer than clients keep theirs
    #[arg(long, value_name = "DURATION", env = "HEADGATE_KEEP_ALIVE_TIMEOUT", help_heading = "Slow clients",
          default_value = "75s", value_parser = positive_duration)]
    pub keep_alive_timeout: Duration,

    /// What to log: error, warn, info, debug, trace, or directives such as `info,headgate=debug`
    #[arg(
        long,
        value_name = "LEVEL",
        env = "HEADGATE_LOG_LEVEL",
        help_heading = "Logs",
        default_value = "info"
    )]
    pub log_level: String,

    /// How to log
    #[arg(
        long,
        value_name = "FORMAT",
        env = "HEADGATE_LOG_FORMAT",
        help_heading = "Logs",
        default_value = "auto"
    )]
    pub log_format: LogFormat,

    /// What opens the admin listener to peers beyond loopback; from `HEADGATE_ADMIN_TOKEN`, see [`parse`].
    #[arg(skip)]
    pub admin_token: Option<AdminToken>,

    /// Who this process is at the clouds, in the variables of their own webhooks and SDKs; see [`parse`].
    #[arg(skip)]
    pub clouds: Clouds,
}

/// What to check, and for whom.
#[derive(Debug, Args)]
#[command(after_help = CHECK_EXAMPLES)]
pub struct CheckArgs {
    /// Folder of manifests
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,

    /// For whom the findings are written
    #[arg(long, value_name = "FORMAT", env = "HEADGATE_CHECK_OUTPUT", default_value = "text")]
    pub output: Output,

    /// Exit with 1 on warnings, too
    #[arg(long, env = "HEADGATE_CHECK_DENY_WARNINGS", value_parser = clap::builder::BoolishValueParser::new())]
    pub deny_warnings: bool,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere
    Auto,
    /// One line of text an event
    Text,
    /// One JSON object an event
    Json,
}

/// For whom findings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people: file, line, column, caret
    Text,
    /// For machines: one JSON document
    Json,
}

/// The admin token. Prints as redacted and is wiped when dropped.
#[derive(Clone)]
pub struct AdminToken(Zeroizing<String>);

impl AdminToken {
    /// The token itself, for the comparison.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(redacted)")
    }
}

/// Parses the command line and the environment of this process. A wrong one ends the process with exit code 2 and says
/// what is expected; `--help` and `--version` end it with 0.
pub fn parse() -> Cli {
    let cli = Cli::parse();
    complete(cli, &environment).unwrap_or_else(|wrong| {
        <Cli as clap::CommandFactory>::command()
            .error(clap::error::ErrorKind::ValueValidation, wrong)
            .exit()
    })
}

/// Looks a variable up in the environment of this process; what is empty or not UTF-8 counts as unset.
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Adds what comes from the environment alone. The error is one sentence without the value.
pub fn complete(mut cli: Cli, environment: &dyn Fn(&str) -> Option<String>) -> Result<Cli, String> {
    match &mut cli.command {
        Command::Serve(serve) => complete_serve(serve, environment)?,
        Command::Status(status) => {
            status.snapshot_namespace = non_empty(status.snapshot_namespace.take());
        }
        Command::Check(_) | Command::Completions { .. } => {}
    }
    Ok(cli)
}

fn complete_serve(serve: &mut ServeArgs, environment: &dyn Fn(&str) -> Option<String>) -> Result<(), String> {
    // An empty variable counts as unset, as everywhere.
    let is_named = |dir: &PathBuf| !dir.as_os_str().is_empty();
    serve.manifests = serve.manifests.take().filter(is_named);
    serve.state_dir = serve.state_dir.take().filter(is_named);
    serve.cluster.sealing_keys = serve.cluster.sealing_keys.take().filter(is_named);
    for text in [
        &mut serve.cluster.snapshot_namespace,
        &mut serve.cluster.pod_name,
        &mut serve.cluster.installation,
    ] {
        *text = non_empty(text.take());
    }
    if serve.cluster.snapshot_namespace.is_some() {
        cluster::check(serve)?;
    } else if serve.state_dir.is_none() {
        serve.state_dir = default_state_dir(environment);
    }
    serve.clouds = Clouds::of(environment);
    if let Some(token) = environment("HEADGATE_ADMIN_TOKEN").map(Zeroizing::new) {
        if token.chars().count() < ADMIN_TOKEN_CHARACTERS_MIN {
            return Err(format!(
                "HEADGATE_ADMIN_TOKEN is shorter than {ADMIN_TOKEN_CHARACTERS_MIN} characters; use a longer one"
            ));
        }
        serve.admin_token = Some(AdminToken(token));
    }
    Ok(())
}

fn non_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// Prints the completions of `shell` to standard output.
pub fn print_completions(shell: clap_complete::Shell) {
    let mut command = <Cli as clap::CommandFactory>::command();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "headgate", &mut script);
    // A reader that has seen enough (`| head`) is no error.
    let _ = std::io::Write::write_all(&mut std::io::stdout(), &script);
}

/// The XDG base directory rules: `$XDG_STATE_HOME`, which must be absolute to count, else `~/.local/state`.
fn default_state_dir(environment: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    environment("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| environment("HOME").map(|home| PathBuf::from(home).join(".local/state")))
        .map(|state| state.join("headgate"))
}

/// The duration spelling of the manifests (`1h30m`).
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "not a duration; write it as `30s`, `2m` or `1h30m`".to_owned();
    let signed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(signed).map_err(|_| wrong())
}

/// A path that may be empty: an empty variable counts as unset, which [`complete`] sees to.
fn folder() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// A duration that is none would close every connection at once.
fn positive_duration(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|parsed| match parsed {
        Duration::ZERO => Err("must be longer than nothing; write it as `15s`".to_owned()),
        positive => Ok(positive),
    })
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count >= 1 => Ok(count),
        _ => Err("not a number of at least 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn serve(line: &[&str], variables: &[(&str, &str)]) -> Result<ServeArgs, String> {
        let cli = Cli::try_parse_from(["headgate", "serve"].iter().chain(line)).map_err(|error| error.to_string())?;
        let lookup = |name: &str| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        };
        match complete(cli, &lookup)?.command {
            Command::Serve(serve) => Ok(*serve),
            other => panic!("parsed as {other:?}"),
        }
    }

    #[test]
    fn the_command_is_well_formed() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn without_flags_it_listens_on_loopback_only() {
        let args = serve(&[], &[]).unwrap();
        assert_eq!(
            (args.listen.to_string(), args.admin_listen.to_string()),
            ("127.0.0.1:8080".into(), "127.0.0.1:9090".into())
        );
        assert_eq!(args.drain_timeout, Duration::from_secs(30));
        assert!(args.manifests.is_none() && args.admin_token.is_none() && args.state_dir.is_none());
    }

    #[test]
    fn a_deadline_of_nothing_is_refused() {
        for flag in ["--head-timeout", "--body-idle-timeout", "--keep-alive-timeout"] {
            assert!(
                serve(&[flag, "0s"], &[]).unwrap_err().contains("longer than nothing"),
                "{flag}"
            );
        }
        assert!(serve(&["--shutdown-delay", "0s", "--drain-timeout", "0s"], &[]).is_ok());
    }

    #[test]
    fn state_goes_where_xdg_says_else_below_home() {
        let of = |variables: &[(&str, &str)]| serve(&[], variables).unwrap().state_dir.unwrap();
        assert_eq!(
            of(&[("XDG_STATE_HOME", "/state"), ("HOME", "/home/a")]),
            PathBuf::from("/state/headgate")
        );
        assert_eq!(
            of(&[("XDG_STATE_HOME", "relative"), ("HOME", "/home/a")]),
            PathBuf::from("/home/a/.local/state/headgate")
        );
        assert_eq!(
            serve(&["--state-dir", "/x"], &[("HOME", "/home/a")])
                .unwrap()
                .state_dir
                .unwrap(),
            PathBuf::from("/x")
        );
    }

    #[test]
    fn an_admin_token_is_never_printed_and_never_short() {
        let args = serve(&[], &[("HEADGATE_ADMIN_TOKEN", "canary-0123456789")]).unwrap();
        assert_eq!(args.admin_token.as_ref().unwrap().expose(), "canary-0123456789");
        assert!(!format!("{args:?}").contains("canary"));
        let refusal = serve(&[], &[("HEADGATE_ADMIN_TOKEN", "canary")]).unwrap_err();
        assert!(
            refusal.contains("HEADGATE_ADMIN_TOKEN is shorter than 16") && !refusal.contains("canary"),
            "{refusal}"
        );
    }

    #[test]
    fn durations_are_spelled_as_in_manifests() {
        assert_eq!(duration("1h30m").unwrap(), Duration::from_secs(5400));
        for wrong in ["", "30", "-5s", "soon"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert!(
            serve(&["--max-connections", "0"], &[])
                .unwrap_err()
                .contains("at least 1")
        );
    }
}
