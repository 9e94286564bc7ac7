//! The command line of `headgate-operator`: what it may watch, where it publishes, how patient it is.
//!
//! Each flag has a `HEADGATE_*` twin, since a chart sets variables and a person at a shell overrides one by a flag. An empty
//! variable counts as unset. [`Config`] is what everything else gets: the defaults that depend on other values are filled
//! in, and what would only fail later against the API server is refused here, with what to do instead.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Parser, ValueEnum};
use headgate_snapshot::{FORMAT, OLDEST_READABLE_FORMAT};

/// The most characters that a label value may have; the installation id is one.
const LABEL_VALUE_CHARACTERS_MAX: usize = 63;
/// A lease shorter than this would be lost to one slow answer of the API server.
const LEASE_DURATION_MIN: Duration = Duration::from_secs(3);

/// Reconciles the five kinds of headgate.dev into snapshots, and reports what data planes really serve.
#[derive(Debug, Parser)]
#[command(name = "headgate-operator", version, max_term_width = 110)]
pub struct Args {
    /// Namespace of this installation: operator, data plane, sealing keys, leader Lease
    #[arg(long, value_name = "NAME", env = "HEADGATE_NAMESPACE", help_heading = "Who am I")]
    pub namespace: String,

    /// Name of this pod: who holds the leader Lease
    #[arg(long, value_name = "NAME", env = "HEADGATE_POD_NAME", help_heading = "Who am I")]
    pub pod_name: String,

    /// Id of this installation, as in `headgate.<namespace>.<release>`; two installations never share one
    #[arg(long, value_name = "ID", env = "HEADGATE_INSTALLATION", help_heading = "Who am I")]
    pub installation: String,

    /// Namespaces whose objects are served, separated by commas [default: --namespace]
    #[arg(
        long,
        value_name = "NAMES",
        env = "HEADGATE_WATCH_NAMESPACES",
        value_delimiter = ',',
        help_heading = "What to watch"
    )]
    pub watch_namespaces: Vec<String>,

    /// Watch all namespaces; named Secrets are then polled, at most 20 a second
    #[arg(long, env = "HEADGATE_WATCH_ALL_NAMESPACES", help_heading = "What to watch", action = ArgAction::Set,
          num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true",
          value_parser = BoolishValueParser::new())]
    pub watch_all_namespaces: bool,

    /// Namespaces whose models and routes every namespace may find by name, in the order searched
    #[arg(
        long,
        value_name = "NAMES",
        env = "HEADGATE_SHARED_NAMESPACES",
        value_delimiter = ',',
        help_heading = "What to watch"
    )]
    pub shared_namespaces: Vec<String>,

    /// Read the labels of namespaces, for `allowedNamespaces.from: Selector`; needs a cluster role
    #[arg(long, env = "HEADGATE_READ_NAMESPACE_LABELS", help_heading = "What to watch", action = ArgAction::Set,
          num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true",
          value_parser = BoolishValueParser::new())]
    pub read_namespace_labels: bool,

    /// Label selector of the data plane's pods in --namespace
    #[arg(
        long,
        value_name = "SELECTOR",
        env = "HEADGATE_DATA_PLANE_SELECTOR",
        help_heading = "What to watch"
    )]
    pub data_plane_selector: String,

    /// Namespace of pointer, shards and the data plane's Leases [default: `<namespace>-snapshots`]
    #[arg(
        long,
        value_name = "NAME",
        env = "HEADGATE_SNAPSHOT_NAMESPACE",
        help_heading = "What to publish"
    )]
    pub snapshot_namespace: Option<String>,

    /// Name of the pointer ConfigMap
    #[arg(
        long,
        value_name = "NAME",
        env = "HEADGATE_SNAPSHOT_NAME",
        default_value = "headgate",
        help_heading = "What to publish"
    )]
    pub snapshot_name: String,

    /// Secret with the sealing keys, in --namespace
    #[arg(
        long,
        value_name = "NAME",
        env = "HEADGATE_SEALING_KEYS_SECRET",
        default_value = "headgate-sealing-keys",
        help_heading = "What to publish"
    )]
    pub sealing_keys_secret: String,

    /// Create the sealing keys once, while nothing was published yet
    #[arg(long, env = "HEADGATE_CREATE_SEALING_KEYS", help_heading = "What to publish", action = ArgAction::Set,
          num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true",
          value_parser = BoolishValueParser::new())]
    pub create_sealing_keys: bool,

    /// Newest snapshot format to write, also where all data planes read a newer one
    #[arg(long, value_name = "NUMBER", env = "HEADGATE_FORMAT_MAX", help_heading = "What to publish",
          default_value_t = FORMAT,
          value_parser = clap::value_parser!(u32).range(i64::from(OLDEST_READABLE_FORMAT)..=i64::from(FORMAT)))]
    pub format_max: u32,

    /// Removals of more than this share of the keys or routes at once are held
    #[arg(long, value_name = "PERCENT", env = "HEADGATE_GUARD_PERCENT", help_heading = "What to publish",
          default_value_t = 30, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub guard_percent: u32,

    /// … if they are at least so many
    #[arg(
        long,
        value_name = "COUNT",
        env = "HEADGATE_GUARD_MIN",
        default_value_t = 20,
        help_heading = "What to publish"
    )]
    pub guard_min: usize,

    /// How long a shard that nothing names is kept, for readers that are about to get it
    #[arg(long, value_name = "DURATION", env = "HEADGATE_SHARD_GRACE", help_heading = "What to publish",
          default_value = "10m", value_parser = duration)]
    pub shard_grace: Duration,

    /// How long a missing reference counts as on its way before the object counts as stalled
    #[arg(long, value_name = "DURATION", env = "HEADGATE_REFERENCE_GRACE", help_heading = "What to report",
          default_value = "5m", value_parser = duration)]
    pub reference_grace: Duration,

    /// How long data planes may lag before their names are told
    #[arg(long, value_name = "DURATION", env = "HEADGATE_LAG_GRACE", help_heading = "What to report",
          default_value = "30s", value_parser = duration)]
    pub lag_grace: Duration,

    /// Name of the Lease by which one of several operators leads
    #[arg(
        long,
        value_name = "NAME",
        env = "HEADGATE_LEADER_LEASE",
        default_value = "headgate-operator",
        help_heading = "Leading"
    )]
    pub leader_lease: String,

    /// How long a leader that went silent keeps the others waiting; it renews three times as often
    #[arg(long, value_name = "DURATION", env = "HEADGATE_LEASE_DURATION", help_heading = "Leading",
          default_value = "15s", value_parser = lease_duration)]
    pub lease_duration: Duration,

    /// Address for operations: /metrics, /livez, /readyz
    #[arg(long, value_name = "ADDR", env = "HEADGATE_ADMIN_LISTEN", help_heading = "Where to listen",
          default_value_t = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090))]
    pub admin_listen: SocketAddr,

    /// What to log: error, warn, info, debug, trace, or directives such as `info,headgate_operator=debug`
    #[arg(
        long,
        value_name = "LEVEL",
        env = "HEADGATE_LOG_LEVEL",
        default_value = "info",
        help_heading = "Logs"
    )]
    pub log_level: String,

    /// How to log
    #[arg(
        long,
        value_name = "FORMAT",
        env = "HEADGATE_LOG_FORMAT",
        default_value = "auto",
        help_heading = "Logs"
    )]
    pub log_format: LogFormat,
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

/// Which namespaces are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watch {
    /// These, sorted, each once, at least one.
    Namespaces(Vec<String>),
    /// All of the cluster; Secrets are then polled by name.
    All,
}

/// What the operator was told, complete.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // each is documented at its flag
pub struct Config {
    pub namespace: String,
    pub pod_name: String,
    pub installation: String,
    pub snapshot_namespace: String,
    pub snapshot_name: String,
    pub watch: Watch,
    pub shared_namespaces: Vec<String>,
    pub read_namespace_labels: bool,
    pub sealing_keys_secret: String,
    pub create_sealing_keys: bool,
    pub data_plane_selector: String,
    pub leader_lease: String,
    pub admin_listen: SocketAddr,
    pub format_max: u32,
    pub guard_percent: u32,
    pub guard_min: usize,
    pub shard_grace: Duration,
    pub lease_duration: Duration,
    pub reference_grace: Duration,
    pub lag_grace: Duration,
    pub log_level: String,
    pub log_format: LogFormat,
}

impl Config {
    /// Fills in what depends on other values. The error is one sentence that says what to do.
    pub fn from_args(args: Args) -> Result<Self, String> {
        let required = [
            ("HEADGATE_NAMESPACE", &args.namespace),
            ("HEADGATE_POD_NAME", &args.pod_name),
            ("HEADGATE_INSTALLATION", &args.installation),
            // An empty selector would count every pod of the namespace as a data plane.
            ("HEADGATE_DATA_PLANE_SELECTOR", &args.data_plane_selector),
        ];
        if let Some((name, _)) = required.iter().find(|(_, value)| value.is_empty()) {
            return Err(format!("{name} is empty; set it"));
        }
        if args.installation.len() > LABEL_VALUE_CHARACTERS_MAX {
            return Err(format!(
                "HEADGATE_INSTALLATION has {} characters, and labels hold {LABEL_VALUE_CHARACTERS_MAX}; use a shorter one",
                args.installation.len()
            ));
        }
        let mut namespaces = given(args.watch_namespaces);
        let watch = match (args.watch_all_namespaces, namespaces.is_empty()) {
            (true, true) => Watch::All,
            (true, false) => {
                return Err(
                    "HEADGATE_WATCH_ALL_NAMESPACES and HEADGATE_WATCH_NAMESPACES are both set; unset one".to_owned(),
                );
            }
            (false, true) => Watch::Namespaces(vec![args.namespace.clone()]),
            (false, false) => {
                namespaces.sort();
                namespaces.dedup();
                Watch::Namespaces(namespaces)
            }
        };
        let snapshot_namespace = args.snapshot_namespace.filter(|name| !name.is_empty());
        Ok(Self {
            snapshot_namespace: snapshot_namespace.unwrap_or_else(|| format!("{}-snapshots", args.namespace)),
            namespace: args.namespace,
            pod_name: args.pod_name,
            installation: args.installation,
            snapshot_name: args.snapshot_name,
            watch,
            shared_namespaces: given(args.shared_namespaces),
            read_namespace_labels: args.read_namespace_labels,
            sealing_keys_secret: args.sealing_keys_secret,
            create_sealing_keys: args.create_sealing_keys,
            data_plane_selector: args.data_plane_selector,
            leader_lease: args.leader_lease,
            admin_listen: args.admin_listen,
            format_max: args.format_max,
            guard_percent: args.guard_percent,
            guard_min: args.guard_min,
            shard_grace: args.shard_grace,
            lease_duration: args.lease_duration,
            reference_grace: args.reference_grace,
            lag_grace: args.lag_grace,
            log_level: args.log_level,
            log_format: args.log_format,
        })
    }

    /// Under which name the API server keeps what this operator wrote.
    pub fn field_manager(&self) -> String {
        format!("headgate-operator.{}", self.installation)
    }
}

/// Parses the command line and the environment of this process. A wrong one ends the process with exit code 2 and says
/// what is expected; `--help` and `--version` end it with 0.
pub fn parse() -> Config {
    Config::from_args(Args::parse()).unwrap_or_else(|wrong| {
        <Args as clap::CommandFactory>::command()
            .error(clap::error::ErrorKind::ValueValidation, wrong)
            .exit()
    })
}

/// A comma list without the holes that a template leaves.
fn given(names: Vec<String>) -> Vec<String> {
    let trimmed = names.into_iter().map(|name| name.trim().to_owned());
    trimmed.filter(|name| !name.is_empty()).collect()
}

/// The duration spelling of the manifests (`1h30m`).
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "not a duration; write it as `30s`, `2m` or `1h30m`".to_owned();
    let signed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(signed).map_err(|_| wrong())
}

/// A Lease counts in whole seconds.
fn lease_duration(text: &str) -> Result<Duration, String> {
    let parsed = duration(text)?;
    if parsed < LEASE_DURATION_MIN || parsed.subsec_nanos() != 0 || i32::try_from(parsed.as_secs()).is_err() {
        return Err("must be whole seconds, at least 3; write it as `15s`".to_owned());
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUIRED: [&str; 9] = [
        "headgate-operator",
        "--namespace",
        "gateway",
        "--pod-name",
        "operator-0",
        "--installation",
        "headgate.gateway.main",
        "--data-plane-selector",
        "app=headgate",
    ];

    fn config(line: &[&str]) -> Result<Config, String> {
        let args = Args::try_parse_from(REQUIRED.iter().chain(line)).map_err(|error| error.to_string())?;
        Config::from_args(args)
    }

    #[test]
    fn the_command_is_well_formed() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn by_default_it_watches_its_own_namespace_and_publishes_beside_it() {
        let config = config(&[]).unwrap();
        assert_eq!(config.watch, Watch::Namespaces(vec!["gateway".into()]));
        assert_eq!(config.snapshot_namespace, "gateway-snapshots");
        assert_eq!(config.field_manager(), "headgate-operator.headgate.gateway.main");
        assert!(config.create_sealing_keys && !config.read_namespace_labels);
        assert_eq!(config.lease_duration, Duration::from_secs(15));
        assert_eq!((config.guard_percent, config.guard_min), (30, 20));
    }

    #[test]
    fn a_comma_list_may_have_holes_and_repetitions() {
        let config = config(&["--watch-namespaces", "b, a,,b", "--shared-namespaces", ""]).unwrap();
        assert_eq!(config.watch, Watch::Namespaces(vec!["a".into(), "b".into()]));
        assert!(config.shared_namespaces.is_empty());
    }

    #[test]
    fn all_namespaces_and_some_namespaces_exclude_each_other() {
        assert_eq!(config(&["--watch-all-namespaces"]).unwrap().watch, Watch::All);
        assert_eq!(
            config(&["--watch-all-namespaces=true", "--watch-namespaces", ""])
                .unwrap()
                .watch,
            Watch::All
        );
        let refusal = config(&["--watch-all-namespaces", "--watch-namespaces", "a"]).unwrap_err();
        assert!(refusal.contains("unset one"), "{refusal}");
    }

    #[test]
    fn what_the_api_server_would_refuse_later_is_refused_at_once() {
        let too_long = "x".repeat(64);
        for (line, expected) in [
            (["--installation", &too_long], "labels hold 63"),
            (["--data-plane-selector", ""], "HEADGATE_DATA_PLANE_SELECTOR is empty"),
            (["--lease-duration", "2s"], "at least 3"),
            (["--lease-duration", "15500ms"], "whole seconds"),
            (["--guard-percent", "101"], "101"),
            (["--format-max", "9"], "9"),
            (["--shard-grace", "soon"], "not a duration"),
        ] {
            let args = REQUIRED.iter().filter(|word| {
                !REQUIRED_BY
                    .iter()
                    .any(|(flag, value)| line[0] == *flag && (*word == flag || *word == value))
            });
            let parsed = Args::try_parse_from(args.copied().chain(line)).map_err(|error| error.to_string());
            let refusal = parsed.and_then(Config::from_args).unwrap_err();
            assert!(refusal.contains(expected), "{line:?}: {refusal}");
        }
    }

    /// Flags that may be given once, with what stands in [`REQUIRED`].
    const REQUIRED_BY: [(&str, &str); 2] = [
        ("--installation", "headgate.gateway.main"),
        ("--data-plane-selector", "app=headgate"),
    ];
}
