//! Services whose key says nothing of where the account is: their own clients read that from another variable.

use std::fmt::Write as _;

use headgate_snapshot::origin_of;
use serde_json::Value;

use super::super::Environment;
use super::provider;
use crate::diagnostic::{Report, Severity};

/// A service, found by the two.
struct Placed {
    name: &'static str,
    key: &'static str,
    /// Where it is; the first one that is set counts.
    places: &'static [&'static str],
    /// Whether a place is one, and what it looks like.
    is_place: fn(&str) -> bool,
    looks_like: &'static str,
    /// Its manifest up to the place, and what closes it.
    spec: (&'static str, &'static str),
}

const PLACED: [Placed; 2] = [
    Placed {
        name: "azure",
        key: "AZURE_OPENAI_API_KEY",
        places: &["AZURE_OPENAI_ENDPOINT"],
        is_place: |text| origin_of(text).is_some() && !text.contains(['?', '#']),
        looks_like: "https://NAME.openai.azure.com",
        spec: ("type: AzureOpenAI\n  baseURL: ", ""),
    },
    Placed {
        name: "bedrock",
        key: "AWS_BEARER_TOKEN_BEDROCK",
        places: &["AWS_REGION", "AWS_DEFAULT_REGION"],
        is_place: is_region,
        looks_like: "eu-central-1",
        spec: ("type: Bedrock\n  bedrock: {region: ", "}"),
    },
];

/// Appends their manifests. A key without its place is named and not served.
pub(super) fn write(environment: &Environment, text: &mut String) -> Vec<Report> {
    let mut findings = Vec::new();
    for placed in PLACED.iter().filter(|placed| environment(placed.key).is_some()) {
        let Placed {
            name,
            key,
            spec: (before, after),
            ..
        } = placed;
        let place = placed.places.iter().find_map(|variable| environment(variable));
        let Some(place) = place.filter(|place| (placed.is_place)(place)) else {
            let message = format!(
                "{key} is set, but {} is not, or not as {}: nothing says where that account is, and it is not served; set it",
                placed.places[0], placed.looks_like
            );
            findings.push(Report::new(Severity::Warning, "Invalid", message));
            continue;
        };
        // JSON is YAML, and its quotes keep whatever stands in the variable in its place.
        let place = Value::from(place);
        let _ = write!(
            text,
            "---\n{}  {before}{place}{after}\n  credential: {{secretRef: {{name: {name}, key: api-key}}}}\n  discover: Any\n\
             ---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{api-key: \"${{{key}}}\"}}\n",
            provider(name)
        );
    }
    findings
}

/// As the schema has it; one that it refuses would keep everything else from being served.
fn is_region(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    match parts[..] {
        [country, .., number] if parts.len() >= 3 => {
            country.len() == 2
                && parts[..parts.len() - 1].iter().all(is_word)
                && number.len() == 1
                && number.bytes().all(|byte| byte.is_ascii_digit())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn written(variables: &'static [(&str, &str)]) -> (String, Vec<String>) {
        let environment: Environment = Arc::new(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        });
        let mut text = String::new();
        let findings = write(&environment, &mut text);
        (text, findings.into_iter().map(|finding| finding.message).collect())
    }

    #[test]
    fn an_account_with_a_place_is_written_down_without_its_key() {
        let (text, findings) = written(&[
            ("AZURE_OPENAI_API_KEY", "canary"),
            ("AZURE_OPENAI_ENDPOINT", "https://ours.openai.azure.com/"),
            ("AWS_BEARER_TOKEN_BEDROCK", "canary"),
            ("AWS_DEFAULT_REGION", "eu-central-1"),
        ]);
        for part in [
            "baseURL: \"https://ours.openai.azure.com/\"",
            "{region: \"eu-central-1\"}",
            "${AZURE_OPENAI_API_KEY}",
            "${AWS_BEARER_TOKEN_BEDROCK}",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("canary") && findings.is_empty());
    }

    #[test]
    fn a_key_without_a_place_is_named_and_spoils_nothing() {
        for variables in [
            &[("AWS_BEARER_TOKEN_BEDROCK", "canary")][..],
            &[("AWS_BEARER_TOKEN_BEDROCK", "canary"), ("AWS_REGION", "Frankfurt\"}")],
            &[("AWS_BEARER_TOKEN_BEDROCK", "canary"), ("AWS_REGION", "-east-1")],
        ] {
            let (text, findings) = written(variables);
            assert_eq!(text, "");
            assert!(
                findings[0].starts_with("AWS_BEARER_TOKEN_BEDROCK is set, but AWS_REGION is not, "),
                "{findings:?}"
            );
        }
        let (text, findings) = written(&[
            ("AZURE_OPENAI_API_KEY", "canary"),
            ("AZURE_OPENAI_ENDPOINT", "ours.openai.azure.com"),
        ]);
        assert_eq!(text, "");
        assert!(findings[0].contains("AZURE_OPENAI_ENDPOINT") && !findings[0].contains("canary"));
        assert_eq!(written(&[]), (String::new(), Vec::new()));
    }

    #[test]
    fn regions_are_told_as_the_schema_tells_them() {
        for text in ["us-east-1", "us-gov-west-1", "ap-southeast-2"] {
            assert!(is_region(text), "{text}");
        }
        for text in [
            "",
            "us",
            "us-1",
            "us--1",
            "use-east-1",
            "us-east-10",
            "US-east-1",
            "us-east-x",
        ] {
            assert!(!is_region(text), "{text}");
        }
    }
}
