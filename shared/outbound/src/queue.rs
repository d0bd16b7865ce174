//! Messages into an SQS queue.

use std::time::Duration;

use satchel_domain::{Error, Result};
use serde::Serialize;

/// Longest delay of a message (SQS developer guide: 15 minutes).
pub const MAX_DELAY: Duration = Duration::from_secs(900);

/// The handle of one queue; cheap to clone.
#[derive(Clone, Debug)]
pub struct Queue {
    client: aws_sdk_sqs::Client,
    url: String,
}

impl Queue {
    /// A handle of the queue at `url`.
    pub fn new(client: aws_sdk_sqs::Client, url: impl Into<String>) -> Self {
        Self { client, url: url.into() }
    }

    /// Sends `message` as JSON.
    pub async fn send<T: Serialize>(&self, message: &T) -> Result<()> {
        self.send_after(message, Duration::ZERO).await
    }

    /// Sends `message` as JSON, to be received after `delay`, at most [`MAX_DELAY`] (a longer one is cut to it, so a
    /// consumer that needs more looks at the message's own time and sends it on).
    pub async fn send_after<T: Serialize>(&self, message: &T, delay: Duration) -> Result<()> {
        let body = serde_json::to_string(message).map_err(Error::internal)?;
        let seconds = i32::try_from(delay.min(MAX_DELAY).as_secs()).unwrap_or(900);
        let call = self.client.send_message().queue_url(&self.url).message_body(body);
        let call = if seconds > 0 { call.delay_seconds(seconds) } else { call };
        call.send().await.map_err(Error::unavailable)?;
        Ok(())
    }
}
