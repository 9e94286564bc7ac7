//! The volumes of a pod, as folders of this machine: empty ones, and Secrets kept in step with the cluster.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::Api;

use super::container::container;

/// A pod's place on disk.
pub(super) struct Place {
    pub(super) folder: PathBuf,
    /// Mounted path -> folder that stands for it.
    mounts: BTreeMap<String, PathBuf>,
    /// Volumes that are Secrets, with their folders.
    pub(super) secrets: Vec<(String, PathBuf)>,
}

impl Place {
    /// Makes the folders of a pod's volumes, all of them empty.
    pub(super) fn of(pod: &Pod, folder: PathBuf) -> Self {
        let spec = pod.spec.as_ref().expect("a stored pod has a spec");
        let (mut mounts, mut secrets) = (BTreeMap::new(), Vec::new());
        for volume in spec.volumes.iter().flatten() {
            let place = folder.join(&volume.name);
            std::fs::create_dir_all(&place).expect("a folder for a volume");
            if let Some(name) = volume.secret.as_ref().and_then(|secret| secret.secret_name.clone()) {
                secrets.push((name, place.clone()));
            }
            for mount in container(pod)
                .volume_mounts
                .iter()
                .flatten()
                .filter(|m| m.name == volume.name)
            {
                mounts.insert(mount.mount_path.clone(), place.clone());
            }
        }
        Self {
            folder,
            mounts,
            secrets,
        }
    }

    /// The value with a mounted path at its beginning replaced by the folder that stands for it.
    pub(super) fn translate(&self, value: &str) -> String {
        for (mounted, place) in &self.mounts {
            if let Some(rest) = value.strip_prefix(mounted.as_str())
                && (rest.is_empty() || rest.starts_with('/'))
            {
                return format!("{}{rest}", place.display());
            }
        }
        value.to_owned()
    }
}

/// Puts the entries of a Secret into its folder; `false`: it is not there (what is mounted stays).
pub(super) async fn mount(secrets: &Api<Secret>, name: &str, folder: &Path) -> bool {
    let Ok(Some(secret)) = secrets.get_opt(name).await else {
        return false;
    };
    let entries: BTreeMap<_, _> = secret.data.unwrap_or_default();
    for file in std::fs::read_dir(folder).expect("a volume can be listed").flatten() {
        if !entries.contains_key(file.file_name().to_string_lossy().as_ref()) {
            std::fs::remove_file(file.path()).expect("a mounted file can be removed");
        }
    }
    for (entry, value) in entries {
        let path = folder.join(&entry);
        if std::fs::read(&path).ok().as_ref() != Some(&value.0) {
            // Aside and renamed, as a kubelet swaps a link: nobody sees half a key.
            let aside = folder.with_extension("aside");
            std::fs::write(&aside, &value.0).expect("write a mounted file");
            std::fs::rename(&aside, &path).expect("move a mounted file into place");
        }
    }
    true
}
