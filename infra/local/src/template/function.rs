//! A function of the template: its binary, settings, event sources and role.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::event::{self, Event};
use super::intrinsic::scalar;
use super::resource::number;
use super::{Role, Template};

/// One Lambda function.
#[derive(Debug, Clone)]
pub struct Function {
    /// Logical id in the template.
    pub logical_id: String,
    /// Cargo binary it runs.
    pub binary: String,
    /// Environment variables, resolved against the local stack.
    pub env: BTreeMap<String, String>,
    /// How long one invocation may take.
    pub timeout: Duration,
    /// Memory in megabytes.
    pub memory_mb: u32,
    /// What invokes it.
    pub events: Vec<Event>,
    /// What it may do.
    pub role: Role,
}

impl Function {
    pub(super) fn read(
        id: &str,
        body: &Value,
        globals: &Value,
        properties: &Value,
        template: &Template,
    ) -> Result<Self, Vec<String>> {
        let mut complaints = Vec::new();
        let mut env = BTreeMap::new();
        for source in [globals, properties] {
            for (name, value) in source["Environment"]["Variables"].as_object().into_iter().flatten() {
                match scalar(value) {
                    Some(value) => {
                        env.insert(name.clone(), value);
                    }
                    None => complaints.push(format!("variable `{name}` is not a text but {value}")),
                }
            }
        }
        let mut setting = |name: &str, default: u32| {
            let own =
                number(properties, name).and_then(|own| own.map_or_else(|| number(globals, name), |own| Ok(Some(own))));
            own.map(|value| value.unwrap_or(default)).unwrap_or_else(|error| {
                complaints.push(error);
                default
            })
        };
        let timeout = setting("Timeout", 3);
        let memory_mb = setting("MemorySize", 128);
        let mut events = Vec::new();
        for (event_id, event) in properties["Events"].as_object().into_iter().flatten() {
            match event::read(event_id, event, template) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => {}
                Err(error) => complaints.push(format!("event {event_id}: {error}")),
            }
        }
        let role = match properties["Role"].as_str().or(globals["Role"].as_str()) {
            Some(arn) => match template.roles.of_arn(arn) {
                Some(role) => {
                    let told_of_failures =
                        &properties["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]["Destination"];
                    complaints.extend(role.lacks(&events, told_of_failures.as_str(), template));
                    role.clone()
                }
                None => {
                    complaints.push(format!("`{arn}` is not a role of this template"));
                    Role::that_may_do_nothing(arn)
                }
            },
            // SAM makes one, which may read the event sources and nothing else.
            None => Role::that_may_do_nothing(&format!("{id}Role")),
        };
        let binary = match body["Metadata"]["BuildProperties"]["Binary"].as_str() {
            Some(binary) => binary.to_owned(),
            None => kebab(id.strip_suffix("Function").unwrap_or(id)),
        };
        if complaints.is_empty() {
            let timeout = Duration::from_secs(timeout.into());
            Ok(Self { logical_id: id.to_owned(), binary, env, timeout, memory_mb, events, role })
        } else {
            Err(complaints)
        }
    }
}

/// `AuthOnSession` as `auth-on-session`, which is how cargo-lambda derives a binary's name in this workspace.
fn kebab(name: &str) -> String {
    let mut result = String::with_capacity(name.len() + 4);
    for (index, letter) in name.chars().enumerate() {
        if letter.is_ascii_uppercase() && index > 0 {
            result.push('-');
        }
        result.push(letter.to_ascii_lowercase());
    }
    result
}
