//! `docs/gitops/health_test.yaml`: objects as the API server holds them, and what Argo CD and Flux are to make of each.

use headgate_e2e::workspace;
use serde::Deserialize;
use serde_json::Value;

use crate::argo_cd::Health;
use crate::{kstatus, yaml};

/// One object and the two verdicts on it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Case {
    /// The file with the object, from `docs/gitops`.
    pub input_path: String,
    /// Argo CD's verdict.
    pub health_status: Health,
    /// Flux's.
    pub kstatus: kstatus::Reading,
}

impl Case {
    /// The object.
    pub fn object(&self) -> Value {
        let mut documents = yaml::documents(&folder().join(&self.input_path));
        assert_eq!(documents.len(), 1, "{}", self.input_path);
        documents.remove(0)
    }
}

/// All cases. Every file of the folder is one of them.
pub fn cases() -> Vec<Case> {
    #[derive(Deserialize)]
    struct Tests {
        tests: Vec<Case>,
    }
    let text = yaml::text(&folder().join("health_test.yaml"));
    let Tests { tests } = serde_yaml::from_str(&text).expect("health_test.yaml is a list of tests");
    let files = workspace::yaml_files(&folder().join("health_test"));
    assert_eq!(tests.len(), files.len(), "each file of health_test/ has one test");
    tests
}

fn folder() -> std::path::PathBuf {
    workspace::root().join("docs/gitops")
}
