//! The key that outgoing webhooks are signed with here. It is everybody's, so that a receiver on this machine can check the
//! signatures: `--param EntitlementWebhookUrl=http://127.0.0.1:9000/hooks`.

use serde_json::json;

/// ARN of the secret that holds it.
pub const SECRET: &str = "arn:aws:secretsmanager:us-east-1:000000000000:secret:satchel-local-webhook";
/// The key as a receiver's library takes it.
pub const KEY: &str = "whsec_c2F0Y2hlbC1sb2NhbC13ZWJob29rLXNlY3JldA==";

/// What lies under [`SECRET`].
pub(crate) fn secret() -> String {
    json!({ "current": KEY }).to_string()
}
