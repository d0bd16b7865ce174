//! What the rules need of `template.yaml`: functions, their settings and event sources, queues, who may do what.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::ReadError;

/// One function of the template.
#[derive(Debug, Clone, Default)]
pub struct Function {
    /// Its logical id.
    pub logical_id: String,
    /// `Metadata.BuildProperties.Binary`.
    pub binary: String,
    /// `CodeUri`.
    pub code: String,
    /// Names of its variables, those of `Globals` included.
    pub settings: BTreeSet<String>,
    /// Its time-out in seconds.
    pub timeout: u64,
    /// Method and path of its routes.
    pub routes: BTreeSet<(String, String)>,
    /// Its queues and streams.
    pub sources: Vec<EventSource>,
}

/// A queue or a stream that invokes a function.
#[derive(Debug, Clone, Default)]
pub struct EventSource {
    /// Its name in the template.
    pub id: String,
    /// Logical id of the queue, for a queue.
    pub queue: Option<String>,
    /// Whether it says `ReportBatchItemFailures`.
    pub reports_failures: bool,
    /// For a stream: whether a failing batch is halved, tries and age are bounded, and a queue hears of what is given up.
    pub bounded: bool,
}

/// One queue.
#[derive(Debug, Clone, Default)]
pub struct Queue {
    /// Visibility time-out in seconds.
    pub visibility: u64,
    /// Logical id of its dead-letter queue.
    pub dead_letter: Option<String>,
    /// Whether an alarm watches how many messages lie in it.
    pub alarmed: bool,
}

/// What somebody may do.
#[derive(Debug, Clone, Default)]
pub struct Permission {
    /// Logical id of the role or the policy.
    pub owner: String,
    /// Actions.
    pub actions: Vec<String>,
    /// Resources, as they stand there.
    pub resources: Vec<String>,
}

/// A template.
#[derive(Debug, Clone, Default)]
pub struct Template {
    /// Functions.
    pub functions: Vec<Function>,
    /// Queues by logical id.
    pub queues: BTreeMap<String, Queue>,
    /// `Allow` statements.
    pub permissions: Vec<Permission>,
}

impl Template {
    /// Reads a template; intrinsic functions stay as they are, whatever their conditions say.
    ///
    /// # Errors
    /// Where it is no YAML.
    pub fn parse(text: &str) -> Result<Self, ReadError> {
        let document = plain(serde_yaml_ng::from_str(text)?);
        let globals = &document["Globals"]["Function"];
        let mut template = Self::default();
        let mut alarmed = BTreeSet::new();
        for (id, body) in entries(&document["Resources"]) {
            let properties = &body["Properties"];
            match body["Type"].as_str().unwrap_or_default() {
                "AWS::Serverless::Function" => {
                    template.functions.push(function(id, body, globals));
                    for policy in items(&properties["Policies"]) {
                        template.permissions.extend(permissions(id, policy));
                    }
                }
                "AWS::SQS::Queue" => {
                    let dead_letter = refers(&properties["RedrivePolicy"]["deadLetterTargetArn"]);
                    let visibility = properties["VisibilityTimeout"].as_u64().unwrap_or(30);
                    template.queues.insert(id.to_owned(), Queue { visibility, dead_letter, alarmed: false });
                }
                "AWS::CloudWatch::Alarm" => alarmed.extend(watched_queues(body)),
                "AWS::IAM::Role" => {
                    for policy in items(&properties["Policies"]) {
                        template.permissions.extend(permissions(id, &policy["PolicyDocument"]));
                    }
                }
                "AWS::IAM::Policy"
                | "AWS::IAM::RolePolicy"
                | "AWS::IAM::ManagedPolicy"
                | "AWS::S3::BucketPolicy"
                | "AWS::SQS::QueuePolicy"
                | "AWS::SNS::TopicPolicy" => {
                    template.permissions.extend(permissions(id, &properties["PolicyDocument"]));
                }
                _ => {}
            }
        }
        for (id, queue) in &mut template.queues {
            queue.alarmed = alarmed.contains(id);
        }
        Ok(template)
    }

    /// The functions of the family in `functions/<family>`.
    pub fn of_family<'a>(&'a self, family: &'a str) -> impl Iterator<Item = &'a Function> {
        self.functions
            .iter()
            .filter(move |function| function.code.trim_end_matches('/') == format!("functions/{family}"))
    }
}

/// YAML with CloudFormation's short tags as the JSON they stand for.
fn plain(value: serde_yaml_ng::Value) -> Value {
    use serde_yaml_ng::Value as Yaml;
    match value {
        Yaml::Tagged(tagged) => {
            let name = tagged.tag.to_string();
            let name = name.trim_start_matches('!');
            let key = if name == "Ref" || name == "Condition" { name.to_owned() } else { format!("Fn::{name}") };
            json!({ key: plain(tagged.value) })
        }
        Yaml::Mapping(mapping) => {
            let key = |key: Yaml| match key {
                Yaml::String(text) => text,
                other => plain(other).to_string(),
            };
            Value::Object(mapping.into_iter().map(|(name, value)| (key(name), plain(value))).collect::<Map<_, _>>())
        }
        Yaml::Sequence(sequence) => sequence.into_iter().map(plain).collect(),
        other => serde_json::to_value(other).unwrap_or_default(),
    }
}

fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The logical id that a `Ref` or a `GetAtt` names.
fn refers(value: &Value) -> Option<String> {
    if let Some(id) = value["Ref"].as_str() {
        return Some(id.to_owned());
    }
    match &value["Fn::GetAtt"] {
        Value::String(text) => text.split('.').next().map(str::to_owned),
        Value::Array(parts) => parts.first().and_then(Value::as_str).map(str::to_owned),
        _ => None,
    }
}

fn function(id: &str, body: &Value, globals: &Value) -> Function {
    let properties = &body["Properties"];
    let settings = [globals, properties]
        .into_iter()
        .flat_map(|source| entries(&source["Environment"]["Variables"]))
        .map(|(name, _)| name.to_owned())
        .collect();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut function = Function {
        logical_id: id.to_owned(),
        binary: text(&body["Metadata"]["BuildProperties"]["Binary"]),
        code: text(&properties["CodeUri"]),
        settings,
        timeout: properties["Timeout"].as_u64().or(globals["Timeout"].as_u64()).unwrap_or(3),
        ..Function::default()
    };
    for (event_id, event) in entries(&properties["Events"]) {
        let properties = &event["Properties"];
        let reports_failures =
            items(&properties["FunctionResponseTypes"]).any(|kind| kind == "ReportBatchItemFailures");
        match event["Type"].as_str().unwrap_or_default() {
            "HttpApi" => {
                let method = text(&properties["Method"]).to_uppercase();
                let path = properties["Path"].as_str().unwrap_or("$default").to_owned();
                function.routes.insert((method, path));
            }
            "SQS" => {
                let queue = refers(&properties["Queue"]);
                function.sources.push(EventSource { id: event_id.to_owned(), queue, reports_failures, bounded: true });
            }
            "DynamoDB" => {
                let bounded = properties["BisectBatchOnFunctionError"] == true
                    && properties["MaximumRetryAttempts"].is_u64()
                    && properties["MaximumRecordAgeInSeconds"].is_u64()
                    && !properties["DestinationConfig"]["OnFailure"]["Destination"].is_null();
                function.sources.push(EventSource { id: event_id.to_owned(), queue: None, reports_failures, bounded });
            }
            _ => {}
        }
    }
    function
}

/// Logical ids of the queues whose messages an alarm counts.
fn watched_queues(alarm: &Value) -> Vec<String> {
    let properties = &alarm["Properties"];
    if properties["MetricName"] != "ApproximateNumberOfMessagesVisible" {
        return Vec::new();
    }
    let queue = items(&properties["Dimensions"]).filter(|dimension| dimension["Name"] == "QueueName");
    queue.filter_map(|dimension| refers(&dimension["Value"])).collect()
}

/// The `Allow` statements of a policy document, those inside of `If` too.
fn permissions(owner: &str, document: &Value) -> Vec<Permission> {
    let mut found = Vec::new();
    for statement in one_or_many(&document["Statement"]) {
        for statement in branches(statement) {
            if statement["Effect"] == "Allow" {
                let texts = |value: &Value| {
                    one_or_many(value).into_iter().flat_map(branches).map(text_of).collect::<Vec<String>>()
                };
                found.push(Permission {
                    owner: owner.to_owned(),
                    actions: texts(&statement["Action"]),
                    resources: texts(&statement["Resource"]),
                });
            }
        }
    }
    found
}

fn one_or_many(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values.iter().collect(),
        one => vec![one],
    }
}

/// Both branches of an `If`; the value itself otherwise.
fn branches(value: &Value) -> Vec<&Value> {
    match &value["Fn::If"] {
        Value::Array(parts) => parts.iter().skip(1).flat_map(one_or_many).flat_map(branches).collect(),
        _ => vec![value],
    }
}

/// A value as a text: `${Table.Arn}/index/*`.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(object) => match object.iter().next() {
            Some((name, inner)) if name == "Fn::Sub" => match inner {
                Value::Array(parts) => parts.first().map(text_of).unwrap_or_default(),
                inner => text_of(inner),
            },
            Some((_, Value::Array(parts))) => {
                format!("${{{}}}", parts.iter().map(text_of).collect::<Vec<_>>().join("."))
            }
            Some((_, inner)) => format!("${{{}}}", text_of(inner)),
            None => String::new(),
        },
        other => other.to_string(),
    }
}
