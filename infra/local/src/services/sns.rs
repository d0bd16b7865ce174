//! SNS in its query protocol: `Publish` and `PublishBatch`, kept in the outbox.
//!
//! # Limits
//! Topics have no subscriptions here; what the template's topics deliver to stands outside this stack.

use std::collections::BTreeMap;

use super::outbox::{Outbox, Target};
use super::request::{Request, Response, Service};
use super::wire::{self, escape, pairs};
use crate::template::Template;

/// The largest message, and the largest batch of them.
const LIMIT: usize = 256 * 1024;

/// The topics that exist.
#[derive(Debug)]
pub(super) struct Topics(Vec<String>);

impl Topics {
    pub(super) fn new(template: &Template) -> Self {
        Self(template.topics().iter().map(|topic| topic.arn.clone()).collect())
    }
}

type Form = BTreeMap<String, String>;

pub(super) fn call(request: &Request, topics: &Topics, outbox: &Outbox) -> Response {
    let form: Form = pairs(&String::from_utf8_lossy(&request.body)).collect();
    let answer = match request.operation {
        "Publish" => publish(&form, topics, outbox),
        "PublishBatch" => publish_batch(&form, topics, outbox),
        _ => return wire::unknown(),
    };
    match answer {
        Ok(result) => {
            let name = request.operation;
            let body = format!(
                "<{name}Response xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><{name}Result>{result}</{name}Result>\
                 <ResponseMetadata><RequestId>local</RequestId></ResponseMetadata></{name}Response>"
            );
            Response::xml(200, body)
        }
        Err((status, code, message)) => wire::error(Service::Sns, status, code, message),
    }
}

type Refusal = (u16, &'static str, &'static str);

fn publish(form: &Form, topics: &Topics, outbox: &Outbox) -> Result<String, Refusal> {
    let target = if let Some(arn) = form.get("TopicArn").or_else(|| form.get("TargetArn")) {
        if arn.contains(":endpoint/") { Target::Endpoint(arn.clone()) } else { Target::Topic(known(arn, topics)?) }
    } else if let Some(number) = form.get("PhoneNumber") {
        Target::Phone(number.clone())
    } else {
        return Err((
            400,
            "InvalidParameter",
            "Invalid parameter: TopicArn or TargetArn Reason: no value for required parameter",
        ));
    };
    let message = message(form, "")?;
    let id = outbox.publish(target, message, form.get("Subject").cloned(), attributes(form, ""));
    Ok(format!("<MessageId>{id}</MessageId>"))
}

fn publish_batch(form: &Form, topics: &Topics, outbox: &Outbox) -> Result<String, Refusal> {
    let topic = known(form.get("TopicArn").map_or("", String::as_str), topics)?;
    let prefix = |index: usize| format!("PublishBatchRequestEntries.member.{index}.");
    let count = (1..).take_while(|index| form.contains_key(&format!("{}Id", prefix(*index)))).count();
    if count == 0 {
        return Err((400, "EmptyBatchRequest", "The batch request doesn't contain any entries."));
    }
    if count > 10 {
        return Err((400, "TooManyEntriesInBatchRequest", "The batch request contains more entries than permissible."));
    }
    let mut entries = Vec::new();
    for index in 1..=count {
        let prefix = prefix(index);
        entries.push((form[&format!("{prefix}Id")].clone(), message(form, &prefix)?, prefix));
    }
    if entries.iter().map(|(_, message, _)| message.len()).sum::<usize>() > LIMIT {
        return Err((
            400,
            "BatchRequestTooLong",
            "The length of all the batch messages put together is more than the limit.",
        ));
    }
    if entries.iter().enumerate().any(|(at, (id, ..))| entries[..at].iter().any(|(other, ..)| other == id)) {
        return Err((400, "BatchEntryIdsNotDistinct", "Two or more batch entries in the request have the same Id."));
    }
    let mut successful = String::new();
    for (id, message, prefix) in entries {
        let subject = form.get(&format!("{prefix}Subject")).cloned();
        let message_id = outbox.publish(Target::Topic(topic.clone()), message, subject, attributes(form, &prefix));
        let id = escape(&id);
        successful.push_str(&format!("<member><Id>{id}</Id><MessageId>{message_id}</MessageId></member>"));
    }
    Ok(format!("<Successful>{successful}</Successful><Failed/>"))
}

fn known(arn: &str, topics: &Topics) -> Result<String, Refusal> {
    let known = topics.0.iter().find(|topic| *topic == arn).cloned();
    known.ok_or((404, "NotFound", "Topic does not exist"))
}

fn message(form: &Form, prefix: &str) -> Result<String, Refusal> {
    match form.get(&format!("{prefix}Message")) {
        Some(message) if message.len() > LIMIT => Err((400, "InvalidParameter", "Invalid parameter: Message too long")),
        Some(message) if !message.is_empty() => Ok(message.clone()),
        _ => Err((400, "InvalidParameter", "Invalid parameter: Empty message")),
    }
}

fn attributes(form: &Form, prefix: &str) -> BTreeMap<String, String> {
    let entry = |index: usize| {
        let at = format!("{prefix}MessageAttributes.entry.{index}.");
        let name = form.get(&format!("{at}Name"))?;
        let value = form.get(&format!("{at}Value.StringValue")).or_else(|| form.get(&format!("{at}Value.BinaryValue")));
        Some((name.clone(), value.cloned().unwrap_or_default()))
    };
    (1..).map_while(entry).collect()
}
