//! Secrets, read at init by their ARN and never put into a variable of the environment.

use std::fmt;

use satchel_domain::{Error, Result};
use serde::de::DeserializeOwned;

/// A value that must not be seen: its `Debug` hides it.
#[derive(Clone)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Hides `value`.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself; the word a reviewer looks for.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The JSON secret `arn`, current version.
///
/// # Errors
/// [`Error::Unavailable`] where it cannot be had, [`Error::Internal`] where it has another shape; neither quotes it.
pub async fn read<T: DeserializeOwned>(client: &aws_sdk_secretsmanager::Client, arn: &str) -> Result<Secret<T>> {
    let answer = client.get_secret_value().secret_id(arn).send().await.map_err(Error::unavailable)?;
    let text = answer.secret_string().ok_or_else(|| Error::internal("the secret has no text"))?;
    let value =
        serde_json::from_str(text).map_err(|_| Error::internal(format!("the secret {arn} has another shape")))?;
    Ok(Secret(value))
}
