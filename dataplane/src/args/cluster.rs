//! What it takes to follow a cluster, and to look at one.

use std::path::PathBuf;

use clap::Args;

use super::{Output, ServeArgs, folder};

const STATUS_EXAMPLES: &str = "\
Examples:
  headgate status                                      of the installation in the namespace of your kubeconfig
  headgate status --snapshot-namespace llm-snapshots   of another one
  headgate status --output json                        for machines

Needs get on the pointer ConfigMap and list on Leases in the snapshot namespace. Exit codes: 0 every data plane that
reports serves the newest snapshot, 1 something is held, refused or behind, 2 it cannot be read.";

/// The longest installation id: it is the value of a label.
const INSTALLATION_CHARACTERS_MAX: usize = 63;

/// What to follow in a cluster. All of it is checked by [`complete`], with sentences that say what to do.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "In a cluster")]
pub struct ClusterArgs {
    /// Namespace of the snapshots that the operator publishes; naming it makes the cluster the source
    #[arg(long, value_name = "NAMESPACE", env = "HEADGATE_SNAPSHOT_NAMESPACE")]
    pub snapshot_namespace: Option<String>,

    /// Name of the pointer ConfigMap in there
    #[arg(
        long,
        value_name = "NAME",
        env = "HEADGATE_SNAPSHOT_NAME",
        default_value = "headgate"
    )]
    pub snapshot_name: String,

    /// Folder with the sealing keys, as their Secret is mounted
    #[arg(long, value_name = "DIR", env = "HEADGATE_SEALING_KEYS", value_parser = folder())]
    pub sealing_keys: Option<PathBuf>,

    /// Name of this pod, which its Lease has, too
    #[arg(long, value_name = "NAME", env = "HEADGATE_POD_NAME")]
    pub pod_name: Option<String>,

    /// Id of the installation whose snapshots are followed
    #[arg(long, value_name = "ID", env = "HEADGATE_INSTALLATION")]
    pub installation: Option<String>,

    /// Newest snapshot format to accept
    #[arg(long, value_name = "NUMBER", env = "HEADGATE_FORMAT_MAX", default_value_t = headgate_snapshot::FORMAT,
          value_parser = clap::value_parser!(u32).range(
              i64::from(headgate_snapshot::OLDEST_READABLE_FORMAT)..=i64::from(headgate_snapshot::FORMAT)))]
    pub format_max: u32,
}

/// Which installation to look at, and for whom.
#[derive(Debug, Args)]
#[command(after_help = STATUS_EXAMPLES)]
pub struct StatusArgs {
    /// Namespace of the snapshots [default: the namespace of the current context, followed by `-snapshots`]
    #[arg(long, value_name = "NAMESPACE", env = "HEADGATE_SNAPSHOT_NAMESPACE")]
    pub snapshot_namespace: Option<String>,

    /// Name of the pointer ConfigMap in there
    #[arg(
        long = "snapshot",
        value_name = "NAME",
        env = "HEADGATE_SNAPSHOT_NAME",
        default_value = "headgate"
    )]
    pub snapshot_name: String,

    /// For whom it is written
    #[arg(long, value_name = "FORMAT", env = "HEADGATE_STATUS_OUTPUT", default_value = "text")]
    pub output: Output,
}

/// Says what is missing to follow a cluster. Nothing of it is guessed: a wrong guess would be served.
pub(super) fn check(serve: &ServeArgs) -> Result<(), String> {
    let cluster = &serve.cluster;
    if serve.manifests.is_some() {
        return Err(
            "HEADGATE_SNAPSHOT_NAMESPACE (--snapshot-namespace) and HEADGATE_MANIFESTS (--manifests) are two sources; set \
             one of them"
                .to_owned(),
        );
    }
    let missing = |variable: &str, flag: &str, advice: &str| {
        Err(format!(
            "HEADGATE_SNAPSHOT_NAMESPACE makes the cluster the source, which needs {variable} ({flag}): {advice}"
        ))
    };
    if cluster.sealing_keys.is_none() {
        let advice = "mount the Secret with the sealing keys as a folder and name that folder";
        return missing("HEADGATE_SEALING_KEYS", "--sealing-keys", advice);
    }
    if serve.state_dir.is_none() {
        let advice = "mount an emptyDir, where the last good snapshot is kept for a restart, and name it";
        return missing("HEADGATE_STATE_DIR", "--state-dir", advice);
    }
    if cluster.pod_name.is_none() {
        let advice = "set it from the field metadata.name of the pod; the Lease by which the operator sees this pod has that name";
        return missing("HEADGATE_POD_NAME", "--pod-name", advice);
    }
    match cluster.installation.as_deref() {
        None => {
            let advice = "give it the id that the operator has, headgate.<namespace>.<release>";
            missing("HEADGATE_INSTALLATION", "--installation", advice)
        }
        Some(id) if id.len() > INSTALLATION_CHARACTERS_MAX => Err(format!(
            "HEADGATE_INSTALLATION is longer than {INSTALLATION_CHARACTERS_MAX} characters, and it is the value of a \
             label; shorten it here and for the operator"
        )),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::serve;

    const CLUSTER: [&str; 10] = [
        "--snapshot-namespace",
        "gateway-snapshots",
        "--sealing-keys",
        "/keys",
        "--state-dir",
        "/state",
        "--pod-name",
        "headgate-0",
        "--installation",
        "headgate.gateway.headgate",
    ];

    #[test]
    fn a_cluster_is_a_source_when_all_of_it_is_named() {
        let args = serve(&CLUSTER, &[("HOME", "/home/a")]).unwrap();
        assert_eq!(args.cluster.snapshot_name, "headgate");
        assert_eq!(args.cluster.format_max, headgate_snapshot::FORMAT);
        assert_eq!((args.allow_loopback, args.allow_private), (None, true));
        for missing in (2..CLUSTER.len()).step_by(2) {
            let mut line = CLUSTER.to_vec();
            line.drain(missing..missing + 2);
            // The state folder is not guessed here: HOME of a pod is no place that outlives a container.
            let refusal = serve(&line, &[("HOME", "/home/a")]).unwrap_err();
            assert!(refusal.contains(CLUSTER[missing]), "{refusal}");
            line.extend([CLUSTER[missing], ""]);
            assert_eq!(serve(&line, &[]).unwrap_err(), refusal, "an empty value counts as none");
        }
    }

    #[test]
    fn a_cluster_and_a_folder_are_two_sources() {
        let line = [&CLUSTER[..], &["--manifests", "/gateway"]].concat();
        assert!(serve(&line, &[]).unwrap_err().contains("two sources"));
        let line = [&CLUSTER[..], &["--manifests", ""]].concat();
        assert!(serve(&line, &[]).is_ok());
    }

    #[test]
    fn switches_take_a_value_or_none_and_formats_are_those_that_can_be_read() {
        let of = |flag: &str| serve(&[flag], &[]).unwrap();
        assert_eq!(of("--allow-loopback").allow_loopback, Some(true));
        assert_eq!(of("--allow-loopback=false").allow_loopback, Some(false));
        assert!(!of("--allow-private=no").allow_private);
        for (format, is_readable) in [("0", false), ("1", true), ("99", false)] {
            assert_eq!(serve(&["--format-max", format], &[]).is_ok(), is_readable, "{format}");
        }
    }

    #[test]
    fn an_installation_that_no_label_can_hold_is_refused() {
        let mut line = CLUSTER.to_vec();
        let long = "x".repeat(64);
        line[9] = &long;
        assert!(serve(&line, &[]).unwrap_err().contains("shorten it"));
    }
}
