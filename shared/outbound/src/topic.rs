//! Events out to an SNS topic.

use satchel_domain::{Error, Result};
use serde::Serialize;

/// The topic that the stack's events leave by; cheap to clone.
#[derive(Clone, Debug)]
pub struct Topic {
    client: aws_sdk_sns::Client,
    arn: String,
}

impl Topic {
    /// A handle of the topic `arn`.
    pub fn new(client: aws_sdk_sns::Client, arn: impl Into<String>) -> Self {
        Self { client, arn: arn.into() }
    }

    /// Publishes `event` as JSON under the name `name` (such as `account.linked.v1`), which subscribers filter by
    /// (message attribute `name`). At least once: subscribers go by the event's own id.
    pub async fn publish<T: Serialize>(&self, name: &str, event: &T) -> Result<()> {
        let attribute = aws_sdk_sns::types::MessageAttributeValue::builder()
            .data_type("String")
            .string_value(name)
            .build()
            .map_err(Error::internal)?;
        self.client
            .publish()
            .topic_arn(&self.arn)
            .message(serde_json::to_string(event).map_err(Error::internal)?)
            .message_attributes("name", attribute)
            .send()
            .await
            .map_err(Error::unavailable)?;
        Ok(())
    }
}
