//! The resources the local stack stands in for, and the names and ARNs they have here.

use serde_json::Value;

use super::intrinsic::{Scope, scalar};
use super::{ACCOUNT, REGION, STACK};

/// Host part of local queue URLs. A stable name, not a socket: requests are told apart by the last path segment, and
/// the SDK sends them to the endpoint of its client whatever the URL of the queue says.
const QUEUE_HOST: &str = "http://127.0.0.1:9324";
/// A fixed stream label, so that ARNs in settings survive a restart.
const STREAM_LABEL: &str = "2026-01-01T00:00:00.000";

/// A key attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Attribute name.
    pub name: String,
    /// `S`, `N` or `B`.
    pub kind: String,
}

/// A secondary index, local or global, as `CreateTable` takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Index {
    /// Index name.
    pub name: String,
    /// The definition in the JSON of `CreateTable`.
    pub definition: Value,
}

/// A DynamoDB table.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Logical id in the template.
    pub logical_id: String,
    /// Table name, which `Ref` gives.
    pub name: String,
    /// Partition key.
    pub hash: Key,
    /// Sort key.
    pub range: Option<Key>,
    /// Attribute definitions in the JSON of `CreateTable`.
    pub attributes: Value,
    /// Local secondary indexes.
    pub local_indexes: Vec<Index>,
    /// Global secondary indexes.
    pub global_indexes: Vec<Index>,
    /// View type of its stream, where it has one.
    pub stream: Option<String>,
    /// Attribute with the Unix second a row ends at.
    pub ttl: Option<String>,
    /// ARN of the table.
    pub arn: String,
    /// ARN of its stream.
    pub stream_arn: String,
}

/// Where messages go that were received too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redrive {
    /// ARN of the dead-letter queue.
    pub target_arn: String,
    /// Receives before a message is moved.
    pub max_receives: u32,
}

/// An SQS queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Logical id in the template.
    pub logical_id: String,
    /// Queue name.
    pub name: String,
    /// Queue URL, which `Ref` gives.
    pub url: String,
    /// Queue ARN.
    pub arn: String,
    /// Visibility time-out in seconds.
    pub visibility_s: u32,
    /// Delay of each message in seconds.
    pub delay_s: u32,
    /// Seconds a message is kept.
    pub retention_s: u32,
    /// Dead-letter queue.
    pub redrive: Option<Redrive>,
}

/// An SNS topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Logical id in the template.
    pub logical_id: String,
    /// Topic name.
    pub name: String,
    /// Topic ARN, which `Ref` gives.
    pub arn: String,
}

/// An S3 bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Logical id in the template.
    pub logical_id: String,
    /// Bucket name, which `Ref` gives.
    pub name: String,
    /// Bucket ARN.
    pub arn: String,
}

/// A secret in Secrets Manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Logical id in the template.
    pub logical_id: String,
    /// Secret name.
    pub name: String,
    /// Secret ARN, which `Ref` gives.
    pub arn: String,
    /// Its value, where the template holds one.
    pub value: Option<String>,
}

/// Whether this module reads resources of the type `body` has.
pub(super) fn is_read(body: &Value) -> bool {
    matches!(
        body["Type"].as_str().unwrap_or_default(),
        "AWS::DynamoDB::Table"
            | "AWS::SQS::Queue"
            | "AWS::SNS::Topic"
            | "AWS::S3::Bucket"
            | "AWS::SecretsManager::Secret"
            | "AWS::IAM::Role"
            | "AWS::IAM::RolePolicy"
            | "AWS::IAM::Policy"
            | "AWS::Serverless::HttpApi"
            | "AWS::Serverless::Function"
    )
}

/// The name the template gives a resource, or one made from its logical id.
pub(super) fn physical_name(scope: &Scope<'_>, id: &str, body: &Value) -> Result<String, String> {
    let properties = &body["Properties"];
    let property = match body["Type"].as_str().unwrap_or_default() {
        "AWS::DynamoDB::Table" => "TableName",
        "AWS::SQS::Queue" => "QueueName",
        "AWS::SNS::Topic" => "TopicName",
        "AWS::S3::Bucket" => "BucketName",
        "AWS::SecretsManager::Secret" => "Name",
        "AWS::Serverless::Function" => "FunctionName",
        _ => return Ok(id.to_owned()),
    };
    let named = match properties.get(property) {
        Some(name) => scope.resolve(name)?.as_ref().and_then(scalar),
        None => None,
    };
    let name = named.unwrap_or_else(|| format!("{STACK}-{id}"));
    Ok(if property == "BucketName" { name.to_lowercase() } else { name })
}

/// What `Ref` gives for a resource of type `kind`.
pub(super) fn reference(kind: &str, name: &str) -> String {
    match kind {
        "AWS::SQS::Queue" => format!("{QUEUE_HOST}/{ACCOUNT}/{name}"),
        "AWS::SNS::Topic" | "AWS::SecretsManager::Secret" => arn(kind, name),
        _ => name.to_owned(),
    }
}

/// What `Fn::GetAtt` gives, where the type has such an attribute.
pub(super) fn attribute(kind: &str, name: &str, attribute: &str) -> Option<String> {
    let value = match (kind, attribute) {
        ("AWS::DynamoDB::Table", "StreamArn") => format!("{}/stream/{STREAM_LABEL}", arn(kind, name)),
        ("AWS::SQS::Queue", "QueueName") | ("AWS::SNS::Topic", "TopicName") => name.to_owned(),
        ("AWS::SQS::Queue", "QueueUrl") => reference(kind, name),
        ("AWS::SNS::Topic", "TopicArn") | ("AWS::SecretsManager::Secret", "Id") | (_, "Arn") => arn(kind, name),
        ("AWS::S3::Bucket", "DomainName") => format!("{name}.s3.amazonaws.com"),
        ("AWS::S3::Bucket", "RegionalDomainName") => format!("{name}.s3.{REGION}.amazonaws.com"),
        (
            "AWS::DynamoDB::Table"
            | "AWS::SQS::Queue"
            | "AWS::SNS::Topic"
            | "AWS::S3::Bucket"
            | "AWS::SecretsManager::Secret",
            _,
        ) => return None,
        (_, other) => format!("{name}.{other}"),
    };
    Some(value)
}

fn arn(kind: &str, name: &str) -> String {
    let (service, prefix) = match kind {
        "AWS::S3::Bucket" => return format!("arn:aws:s3:::{name}"),
        "AWS::IAM::Role" => return format!("arn:aws:iam::{ACCOUNT}:role/{name}"),
        "AWS::DynamoDB::Table" => ("dynamodb", "table/"),
        "AWS::SQS::Queue" => ("sqs", ""),
        "AWS::SNS::Topic" => ("sns", ""),
        "AWS::SecretsManager::Secret" => ("secretsmanager", "secret:"),
        "AWS::Serverless::Function" | "AWS::Lambda::Function" => ("lambda", "function:"),
        "AWS::Logs::LogGroup" => ("logs", "log-group:"),
        "AWS::KMS::Key" => ("kms", "key/"),
        _ => ("local", ""),
    };
    format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{prefix}{name}")
}

impl Table {
    pub(super) fn read(id: &str, scope: &Scope<'_>, properties: &Value) -> Result<Self, String> {
        let attributes = properties["AttributeDefinitions"].clone();
        let kinds = attributes.as_array().ok_or("AttributeDefinitions is missing")?;
        let key = |role: &str| -> Result<Option<Key>, String> {
            let schema = properties["KeySchema"].as_array().ok_or("KeySchema is missing")?;
            let Some(entry) = schema.iter().find(|entry| entry["KeyType"] == role) else { return Ok(None) };
            let name = entry["AttributeName"].as_str().ok_or("a key has no AttributeName")?;
            let kind = kinds.iter().find(|kind| kind["AttributeName"] == name);
            let kind = kind.and_then(|kind| kind["AttributeType"].as_str());
            let kind = kind.ok_or_else(|| format!("key `{name}` is not among AttributeDefinitions"))?;
            Ok(Some(Key { name: name.to_owned(), kind: kind.to_owned() }))
        };
        let indexes = |list: &str| -> Vec<Index> {
            let all = properties[list].as_array().into_iter().flatten();
            all.map(|definition| Index {
                name: definition["IndexName"].as_str().unwrap_or_default().to_owned(),
                definition: definition.clone(),
            })
            .collect()
        };
        let ttl = &properties["TimeToLiveSpecification"];
        let kind = "AWS::DynamoDB::Table";
        Ok(Self {
            logical_id: id.to_owned(),
            name: scope.name(id).to_owned(),
            hash: key("HASH")?.ok_or("KeySchema has no HASH key")?,
            range: key("RANGE")?,
            attributes: attributes.clone(),
            local_indexes: indexes("LocalSecondaryIndexes"),
            global_indexes: indexes("GlobalSecondaryIndexes"),
            stream: properties["StreamSpecification"]["StreamViewType"].as_str().map(str::to_owned),
            ttl: truthy(&ttl["Enabled"]).then(|| ttl["AttributeName"].as_str().map(str::to_owned)).flatten(),
            arn: arn(kind, scope.name(id)),
            stream_arn: attribute(kind, scope.name(id), "StreamArn").unwrap_or_default(),
        })
    }
}

impl Queue {
    pub(super) fn read(id: &str, scope: &Scope<'_>, properties: &Value) -> Result<Self, String> {
        let name = scope.name(id);
        let redrive = match &properties["RedrivePolicy"] {
            Value::Null => None,
            policy => Some(Redrive {
                target_arn: policy["deadLetterTargetArn"].as_str().ok_or("RedrivePolicy names no queue")?.to_owned(),
                max_receives: number(policy, "maxReceiveCount")?.ok_or("RedrivePolicy has no maxReceiveCount")?,
            }),
        };
        Ok(Self {
            logical_id: id.to_owned(),
            name: name.to_owned(),
            url: reference("AWS::SQS::Queue", name),
            arn: arn("AWS::SQS::Queue", name),
            visibility_s: number(properties, "VisibilityTimeout")?.unwrap_or(30),
            delay_s: number(properties, "DelaySeconds")?.unwrap_or(0),
            retention_s: number(properties, "MessageRetentionPeriod")?.unwrap_or(345_600),
            redrive,
        })
    }
}

impl Topic {
    pub(super) fn read(id: &str, scope: &Scope<'_>) -> Result<Self, String> {
        let name = scope.name(id).to_owned();
        Ok(Self { logical_id: id.to_owned(), arn: arn("AWS::SNS::Topic", &name), name })
    }
}

impl Bucket {
    pub(super) fn read(id: &str, scope: &Scope<'_>) -> Result<Self, String> {
        let name = scope.name(id).to_owned();
        Ok(Self { logical_id: id.to_owned(), arn: arn("AWS::S3::Bucket", &name), name })
    }
}

impl Secret {
    pub(super) fn read(id: &str, scope: &Scope<'_>, properties: &Value) -> Result<Self, String> {
        let name = scope.name(id).to_owned();
        let value = properties["SecretString"].as_str().map(str::to_owned);
        Ok(Self { logical_id: id.to_owned(), arn: arn("AWS::SecretsManager::Secret", &name), name, value })
    }
}

/// A whole number that may stand in the template as a number or as the text of a parameter.
pub(super) fn number(properties: &Value, name: &str) -> Result<Option<u32>, String> {
    match &properties[name] {
        Value::Null => Ok(None),
        value => {
            let number = scalar(value).and_then(|text| text.parse().ok());
            number.map(Some).ok_or_else(|| format!("{name} must be a whole number, not {value}"))
        }
    }
}

/// A flag that may stand in the template as a boolean or as a text.
pub(super) fn truthy(value: &Value) -> bool {
    scalar(value).is_some_and(|text| text == "true")
}
