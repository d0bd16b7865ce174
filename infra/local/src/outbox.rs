//! What left the system, as the control API shows it.

use serde::Serialize;
use serde_json::{Value, json};

use crate::local::Local;
use crate::services::{Published, Target};

/// What lies in the outbox `kind`, oldest first, only what went `to` somebody where that is asked for; `None` where
/// there is no such outbox. Web Push and webhooks have none before their families exist: nothing was sent.
pub(crate) fn list(local: &Local, kind: &str, to: Option<&str>) -> Option<Vec<Value>> {
    let outbox = local.services().outbox();
    let list = match kind {
        "mail" => {
            let mails = outbox.mail().into_iter();
            mails.filter(|mail| to.is_none_or(|to| mail.to.iter().any(|one| one == to))).map(value).collect()
        }
        "mobile-push" => published(outbox.mobile_push(), to),
        "sms" => published(outbox.sms(), to),
        "events" => published(outbox.published().into_iter().filter(is_topic).collect(), to),
        "web-push" | "webhook" => Vec::new(),
        _ => return None,
    };
    Some(list)
}

fn is_topic(published: &Published) -> bool {
    matches!(published.target, Target::Topic(_))
}

fn published(list: Vec<Published>, to: Option<&str>) -> Vec<Value> {
    let went_to = |published: &Published| match &published.target {
        Target::Topic(address) | Target::Endpoint(address) | Target::Phone(address) => {
            to.is_none_or(|to| address == to || address.rsplit([':', '/']).next() == Some(to))
        }
    };
    list.into_iter().filter(went_to).map(decoded).collect()
}

/// With the message as JSON where it is some.
fn decoded(published: Published) -> Value {
    let body = serde_json::from_str(&published.message).unwrap_or_else(|_| json!(published.message));
    let mut item = value(published);
    item["message"] = body;
    item
}

fn value(item: impl Serialize) -> Value {
    serde_json::to_value(item).unwrap_or(Value::Null)
}
