//! Secrets Manager: `GetSecretValue` and `PutSecretValue` on the template's secrets, seeded by the local process.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::ServicesError;
use super::journal::Journal;
use super::request::{Request, Response, Service};
use super::wire;
use crate::template::{Secret, Template};

/// Secrets and their current values.
#[derive(Debug)]
pub struct Secrets {
    known: Vec<Secret>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// By ARN: the value and how often it was put.
    values: BTreeMap<String, (String, u64)>,
    journal: Journal,
}

impl Secrets {
    pub(super) fn start(template: &Template, data: Option<&Path>) -> Result<Self, ServicesError> {
        let (journal, values) = Journal::open(data, "secrets.jsonl")?;
        let secrets = Self { known: template.secrets().to_vec(), state: Mutex::new(State { values, journal }) };
        for secret in template.secrets() {
            if let Some(value) = &secret.value
                && secrets.get(&secret.arn).is_none()
            {
                secrets.put(&secret.arn, value);
            }
        }
        Ok(secrets)
    }

    /// Sets the value of a secret, by its name or ARN. A name no template knows becomes a secret too.
    pub fn put(&self, id: &str, value: &str) {
        let arn = self.arn(id).unwrap_or(id).to_owned();
        let mut state = self.lock();
        let version = state.values.get(&arn).map_or(1, |(_, version)| version + 1);
        let entry = (value.to_owned(), version);
        state.journal.put(&arn, &entry);
        state.values.insert(arn, entry);
    }

    /// The value of a secret, by its name or ARN.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<String> {
        let arn = self.arn(id).unwrap_or(id);
        self.lock().values.get(arn).map(|(value, _)| value.clone())
    }

    pub(super) fn call(&self, request: &Request) -> Response {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let id = body["SecretId"].as_str().unwrap_or_default();
        let missing = || {
            let message = "Secrets Manager can't find the specified secret.";
            wire::error(Service::Secretsmanager, 400, "ResourceNotFoundException", message)
        };
        let arn = self.arn(id).unwrap_or(id).to_owned();
        let name = self.known.iter().find(|secret| secret.arn == arn).map_or(id, |secret| &secret.name);
        match request.operation {
            "GetSecretValue" => {
                let Some((value, version)) = self.lock().values.get(&arn).cloned() else { return missing() };
                let answer = json!({
                    "ARN": arn, "Name": name, "SecretString": value, "VersionId": version_id(version),
                    "VersionStages": ["AWSCURRENT"],
                });
                Response::json(200, answer.to_string())
            }
            "PutSecretValue" => {
                let Some(value) = body["SecretString"].as_str() else { return wire::unknown() };
                if self.arn(id).is_none() && self.get(id).is_none() {
                    return missing();
                }
                self.put(id, value);
                let version = self.lock().values.get(&arn).map_or(1, |(_, version)| *version);
                let answer = json!({
                    "ARN": arn, "Name": name, "VersionId": version_id(version), "VersionStages": ["AWSCURRENT"],
                });
                Response::json(200, answer.to_string())
            }
            _ => wire::unknown(),
        }
    }

    /// ARN of the secret that `id` names, by its name or ARN.
    pub(super) fn arn(&self, id: &str) -> Option<&str> {
        let known = self.known.iter().find(|secret| secret.arn == id || secret.name == id);
        known.map(|secret| secret.arn.as_str())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn version_id(version: u64) -> String {
    format!("00000000-0000-4000-8000-{version:012x}")
}
