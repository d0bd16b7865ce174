//! Reads `template.yaml` the way CloudFormation and SAM would, for one stack in one account on this machine.
//!
//! The local process creates its tables, queues and functions from what this module returns, so a mistake in the
//! template shows on the first `make dev` instead of in a deployment.
//!
//! # Limits
//! Only the resource types the local stack stands in for are read; others keep their logical id as `Ref` and a made-up
//! ARN as `Arn`. Macros other than SAM's own shape, `Fn::ImportValue`, `Fn::Transform` and mappings are not evaluated.
//! An `AllowedPattern` with look-around cannot be read.

mod event;
mod filter;
mod function;
mod intrinsic;
mod parameter;
mod policy;
mod resource;

use std::collections::BTreeMap;

use serde_json::Value;

pub use event::{Event, Start};
pub use filter::Filters;
pub use function::Function;
pub use policy::Role;
pub use resource::{Bucket, Index, Key, Queue, Redrive, Secret, Table, Topic};

use intrinsic::Scope;
use policy::Roles;

/// The account every local ARN names.
pub const ACCOUNT: &str = "000000000000";
/// The region every local ARN names.
pub const REGION: &str = "us-east-1";
/// The name of the local stack.
pub const STACK: &str = "satchel-local";

/// Everything that is wrong with a template, so that one run shows all of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template: {}", .0.join("; "))]
pub struct TemplateError(pub Vec<String>);

/// A template with its parameters filled in and its conditions decided.
#[derive(Debug, Clone)]
pub struct Template {
    parameters: BTreeMap<String, String>,
    references: BTreeMap<String, String>,
    http_api: Option<Value>,
    tables: Vec<Table>,
    queues: Vec<Queue>,
    topics: Vec<Topic>,
    buckets: Vec<Bucket>,
    secrets: Vec<Secret>,
    roles: Roles,
    functions: Vec<Function>,
}

impl Template {
    /// Evaluates the template `yaml` under the parameter values `params`; what is not given takes its default.
    ///
    /// # Errors
    /// All complaints at once: unknown, missing or forbidden parameters, references to nothing, properties that cannot be read.
    pub fn parse(yaml: &str, params: &BTreeMap<String, String>) -> Result<Self, TemplateError> {
        Self::parse_with(yaml, params, &BTreeMap::new())
    }

    /// The same with `defaults` in the place of the template's own; those that it does not declare are passed over.
    ///
    /// # Errors
    /// As [`Template::parse`].
    pub fn parse_with(
        yaml: &str,
        params: &BTreeMap<String, String>,
        defaults: &BTreeMap<String, String>,
    ) -> Result<Self, TemplateError> {
        let document: serde_yaml_ng::Value =
            serde_yaml_ng::from_str(yaml).map_err(|error| TemplateError(vec![error.to_string()]))?;
        let document = intrinsic::long_form(document);
        let mut complaints = Vec::new();
        let declared = |name: &&String| document["Parameters"].get(name.as_str()).is_some();
        let mut given: BTreeMap<String, String> = defaults
            .iter()
            .filter(|(name, _)| declared(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        given.extend(params.clone());
        let scope = Scope::new(&document, &given, &mut complaints);

        let mut template = Self {
            parameters: scope.parameters().clone(),
            references: BTreeMap::new(),
            http_api: None,
            tables: Vec::new(),
            queues: Vec::new(),
            topics: Vec::new(),
            buckets: Vec::new(),
            secrets: Vec::new(),
            roles: Roles::default(),
            functions: Vec::new(),
        };
        let globals = &document["Globals"]["Function"];
        let mut functions = Vec::new();
        for (id, body) in scope.resources() {
            template.references.insert(id.to_owned(), scope.reference(id).unwrap_or_default());
            let properties = match scope.resolve(&body["Properties"]) {
                Ok(properties) => properties.unwrap_or(Value::Null),
                Err(error) => {
                    // Types nobody reads here may use what this evaluator does not know.
                    if resource::is_read(body) {
                        complaints.push(format!("{id}: {error}"));
                    }
                    continue;
                }
            };
            let result = match body["Type"].as_str().unwrap_or_default() {
                "AWS::DynamoDB::Table" => Table::read(id, &scope, &properties).map(|it| template.tables.push(it)),
                "AWS::SQS::Queue" => Queue::read(id, &scope, &properties).map(|it| template.queues.push(it)),
                "AWS::SNS::Topic" => Topic::read(id, &scope).map(|it| template.topics.push(it)),
                "AWS::S3::Bucket" => Bucket::read(id, &scope).map(|it| template.buckets.push(it)),
                "AWS::SecretsManager::Secret" => {
                    Secret::read(id, &scope, &properties).map(|it| template.secrets.push(it))
                }
                kind @ ("AWS::IAM::Role" | "AWS::IAM::RolePolicy" | "AWS::IAM::Policy") => {
                    template.roles.read(id, kind, &properties)
                }
                "AWS::Serverless::HttpApi" => {
                    template.http_api = Some(properties);
                    Ok(())
                }
                "AWS::Serverless::Function" => {
                    functions.push((id, body, properties));
                    Ok(())
                }
                _ => Ok(()),
            };
            if let Err(error) = result {
                complaints.push(format!("{id}: {error}"));
            }
        }
        // Functions last: their roles, and the tables and queues of their event sources, may stand below them.
        let globals = match scope.resolve(globals) {
            Ok(globals) => globals.unwrap_or(Value::Null),
            Err(error) => {
                complaints.push(format!("Globals: {error}"));
                Value::Null
            }
        };
        for (id, body, properties) in functions {
            match Function::read(id, body, &globals, &properties, &template) {
                Ok(function) => template.functions.push(function),
                Err(errors) => complaints.extend(errors.into_iter().map(|error| format!("{id}: {error}"))),
            }
        }
        if complaints.is_empty() { Ok(template) } else { Err(TemplateError(complaints)) }
    }

    /// Parameter values in effect.
    #[must_use]
    pub fn parameters(&self) -> &BTreeMap<String, String> {
        &self.parameters
    }

    /// What `Ref` gives for the resource `logical_id`.
    #[must_use]
    pub fn value(&self, logical_id: &str) -> Option<&str> {
        self.references.get(logical_id).map(String::as_str)
    }

    /// Properties of the HTTP API, for its CORS settings.
    #[must_use]
    pub fn http_api(&self) -> Option<&Value> {
        self.http_api.as_ref()
    }

    /// DynamoDB tables.
    #[must_use]
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// SQS queues.
    #[must_use]
    pub fn queues(&self) -> &[Queue] {
        &self.queues
    }

    /// SNS topics.
    #[must_use]
    pub fn topics(&self) -> &[Topic] {
        &self.topics
    }

    /// S3 buckets.
    #[must_use]
    pub fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    /// Secrets.
    #[must_use]
    pub fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// Functions.
    #[must_use]
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// The table with this logical id.
    #[must_use]
    pub fn table(&self, logical_id: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.logical_id == logical_id)
    }

    /// The queue with this logical id.
    #[must_use]
    pub fn queue(&self, logical_id: &str) -> Option<&Queue> {
        self.queues.iter().find(|queue| queue.logical_id == logical_id)
    }
}

#[cfg(test)]
mod tests;
