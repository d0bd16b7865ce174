//! The queue of outgoing webhooks: each message is one call of the receiver, signed as Standard Webhooks has it, and
//! repeated for a day where the receiver does not take it.
//!
//! A queue delays by 15 minutes at most, so a message that waits for longer is sent on until its time has come; it carries
//! the count of its tries. A message may be delivered twice: the receiver goes by `webhook-id`, which stays.
//!
//! # Limits
//! Webhooks overtake one another; the receiver goes by `data.version`. A receiver that answers 410 is not asked again for
//! that message, but for the next one it is: only who changes the parameter ends them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, Request, StatusCode, Uri, header};
use satchel_domain::webhooks::{self, Key, Verdict};
use satchel_domain::{Error, Result, Timestamp};
use satchel_inbound::{Clock, Complaints, Entry, Env, Ids, batch};
use satchel_outbound::http::is_loopback;
use satchel_outbound::secret::{self, Secret};
use satchel_outbound::{Http, Queue};
use serde::{Deserialize, Serialize};

/// How long a receiver may take for its answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// A webhook on its way.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Message {
    id: String,
    /// What is signed and sent, the same at every try.
    body: String,
    /// Tries that failed.
    #[serde(default)]
    failures: usize,
    /// When it is tried next, Unix milliseconds.
    #[serde(default)]
    due_at: i64,
}

impl Message {
    /// The webhook of the kind `kind` that tells of `data`, which happened `at`.
    pub(crate) fn new<T: Serialize>(id: &str, kind: &str, at: Timestamp, data: &T) -> Result<Self> {
        #[derive(Serialize)]
        struct Body<'a, T> {
            #[serde(rename = "type")]
            kind: &'a str,
            timestamp: Timestamp,
            data: &'a T,
        }
        let body = serde_json::to_string(&Body { kind, timestamp: at, data }).map_err(Error::internal)?;
        Ok(Self { id: id.to_owned(), body, failures: 0, due_at: 0 })
    }
}

struct OnWebhook {
    clock: Clock,
    ids: Ids,
    http: Http,
    queue: Queue,
    /// None where no address is set.
    receiver: Option<Receiver>,
}

struct Receiver {
    url: Uri,
    keys: Secret<Vec<Key>>,
}

#[derive(Deserialize)]
struct Keys {
    current: String,
    /// The one before, while receivers learn the new one.
    previous: Option<String>,
}

pub(crate) async fn build(env: Env) -> Result<Entry, Complaints> {
    let (queue, url, arn, is_local) = env.settings.read(|settings| {
        let queue = settings.text("QUEUE_ENTITLEMENT_WEBHOOK");
        let (url, arn) =
            (settings.optional("ENTITLEMENT_WEBHOOK_URL"), settings.optional("ENTITLEMENT_WEBHOOK_SECRET_ARN"));
        if url.is_some() && arn.is_none() {
            settings.complain("ENTITLEMENT_WEBHOOK_SECRET_ARN is not set");
        }
        (queue, url, arn, settings.optional("STAGE").as_deref() == Some("local"))
    })?;
    let receiver = match url.zip(arn) {
        Some((url, arn)) => Some(Receiver { url: address(&url, is_local)?, keys: keys(&env, &arn).await? }),
        None => None,
    };
    let consumer = Arc::new(OnWebhook {
        queue: Queue::new(env.aws.sqs(), queue),
        clock: env.clock,
        ids: env.ids,
        http: env.http,
        receiver,
    });
    Ok(Entry::event(move |event| {
        let consumer = consumer.clone();
        async move { batch::queue(event, |message: Message| consumer.on(message)).await }
    }))
}

/// The receiver's address: HTTPS, or this machine where the stage is local.
fn address(url: &str, is_local: bool) -> Result<Uri, Complaints> {
    let wrong = || Complaints(vec!["ENTITLEMENT_WEBHOOK_URL is no address like https://example.com/hooks".to_owned()]);
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        Some("http") if is_local && is_loopback(&uri) => Ok(uri),
        _ => Err(wrong()),
    }
}

async fn keys(env: &Env, arn: &str) -> Result<Secret<Vec<Key>>, Complaints> {
    let complain = |error: String| Complaints(vec![format!("ENTITLEMENT_WEBHOOK_SECRET_ARN: {error}")]);
    let found: Secret<Keys> = secret::read(&env.aws.secretsmanager(), arn)
        .await
        .map_err(|error| complain(satchel_inbound::http::error::causes(&error)))?;
    let Keys { current, previous } = found.expose();
    let keys = std::iter::once(current).chain(previous).map(|text| text.parse()).collect::<Result<Vec<Key>, _>>();
    keys.map(Secret::new).map_err(|error| complain(error.to_string()))
}

/// What came of one try.
struct Outcome {
    verdict: Verdict,
    /// The answer, where there was one.
    status: Option<StatusCode>,
    retry_after: Option<Duration>,
}

impl OnWebhook {
    async fn on(&self, message: Message) -> Result<()> {
        let Some(receiver) = &self.receiver else {
            tracing::warn!(message.id = %message.id, "a webhook has no receiver any more");
            return Ok(());
        };
        let now = self.clock.now();
        if message.due_at > now.as_millisecond() {
            return self.wait(&message, now).await;
        }
        let outcome = self.send(receiver, &message, now).await?;
        match outcome.verdict {
            Verdict::Taken => Ok(()),
            Verdict::Gone => self.give_up(&message, &outcome),
            Verdict::Failed => self.again(message, &outcome, now).await,
        }
    }

    async fn send(&self, receiver: &Receiver, message: &Message, now: Timestamp) -> Result<Outcome> {
        let (id, body) = (&message.id, message.body.as_bytes());
        let signature = webhooks::signature(receiver.keys.expose(), id, now.as_second(), body);
        let request = Request::post(&receiver.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, "satchel")
            .header(webhooks::ID, id)
            .header(webhooks::TIMESTAMP, now.as_second())
            .header(webhooks::SIGNATURE, signature)
            .body(Bytes::copy_from_slice(body))
            .map_err(Error::internal)?;
        Ok(match self.http.answer(request, PATIENCE).await {
            Ok(answer) => Outcome {
                verdict: webhooks::judge(answer.status().as_u16()),
                status: Some(answer.status()),
                retry_after: asked_for(answer.headers()),
            },
            Err(error) => {
                tracing::warn!(message.id = %id, error = %satchel_inbound::http::error::causes(&error), "no answer to a webhook");
                Outcome { verdict: Verdict::Failed, status: None, retry_after: None }
            }
        })
    }

    /// A failed try: the next one is planned, or there is none.
    async fn again(&self, message: Message, outcome: &Outcome, now: Timestamp) -> Result<()> {
        let failures = message.failures + 1;
        let chance = u64::from_be_bytes(self.ids.bytes());
        let Some(pause) = webhooks::pause(failures, outcome.retry_after, chance) else {
            return self.give_up(&message, outcome);
        };
        let status = outcome.status.map_or(0, |status| status.as_u16());
        tracing::warn!(message.id = %message.id, failures, status, wait_s = pause.as_secs(), "a webhook was not taken");
        let pause = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
        let due_at = now.as_millisecond().saturating_add(pause);
        self.wait(&Message { failures, due_at, ..message }, now).await
    }

    /// Sends `message` on, towards its time.
    async fn wait(&self, message: &Message, now: Timestamp) -> Result<()> {
        let left = u64::try_from(message.due_at.saturating_sub(now.as_millisecond())).unwrap_or(0);
        // A queue counts seconds: rounded up, or the last of them would be spent in a loop.
        self.queue.send_after(message, Duration::from_secs(left.div_ceil(1_000))).await
    }

    fn give_up(&self, message: &Message, outcome: &Outcome) -> Result<()> {
        tracing::error!(
            message.id = %message.id,
            failures = message.failures + 1,
            status = outcome.status.map_or(0, |status| status.as_u16()),
            metric = "EntitlementWebhookGivenUp",
            "a webhook is given up"
        );
        Ok(())
    }
}

fn asked_for(headers: &HeaderMap) -> Option<Duration> {
    webhooks::retry_after(headers.get(header::RETRY_AFTER)?.to_str().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_or_this_machine_in_the_local_stage() {
        for (url, is_local, taken) in [
            ("https://example.com/hooks?a=b", false, true),
            ("http://example.com/hooks", false, false),
            ("http://example.com/hooks", true, false),
            ("http://127.0.0.1:9000/hooks", true, true),
            ("http://localhost:9000", true, true),
            ("http://[::1]:9000/", true, true),
            ("http://127.0.0.1:9000/hooks", false, false),
            ("http://127.0.0.1.example.com/", true, false),
            ("ftp://example.com/", true, false),
            ("/hooks", true, false),
            ("", true, false),
        ] {
            assert_eq!(address(url, is_local).is_ok(), taken, "{url} {is_local}");
        }
    }
}
