//! Rows that a local stack begins with: the client of a back office, which on AWS is made by `make client`.

use aws_sdk_dynamodb::error::DisplayErrorContext;
use aws_sdk_dynamodb::types::AttributeValue;
use satchel_domain::access::Scope;
use sha2::{Digest, Sha256};

use crate::local::{ACCOUNTS, Local};

/// Client id of the local back office.
pub const CLIENT_ID: &str = "local-backoffice";
/// Its secret, which is none.
pub const CLIENT_SECRET: &str = "local-backoffice-secret";

/// Puts the back office's client, with every scope a client may hold.
///
/// # Errors
/// A sentence, where the row cannot be written.
pub(crate) async fn backoffice(client: &aws_sdk_dynamodb::Client, accounts: &str, now: i64) -> Result<(), String> {
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let secret = Sha256::digest(format!("{CLIENT_ID}:{CLIENT_SECRET}"));
    let secret: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let scopes = Scope::OF_CLIENTS.iter().map(|scope| text(scope.as_str())).collect();
    client
        .put_item()
        .table_name(accounts)
        .item("pk", text(&format!("CLI#{CLIENT_ID}")))
        .item("sk", text("CLIENT"))
        .item("id", text("cli_localbackoffice"))
        .item("client_id", text(CLIENT_ID))
        .item("name", text("Back office of the local stack"))
        .item("scopes", AttributeValue::L(scopes))
        .item("secrets", AttributeValue::L(vec![text(&secret)]))
        .item("created_at", AttributeValue::N(now.to_string()))
        .send()
        .await
        .map_err(|error| format!("the back office's client cannot be put: {}", DisplayErrorContext(error)))?;
    Ok(())
}

/// Makes `user` an admin, as `make admin` does on AWS; false where there is no such account.
///
/// # Errors
/// A sentence, where the row cannot be written.
pub(crate) async fn admin(local: &Local, user: &str) -> Result<bool, String> {
    let accounts = local.template().table(ACCOUNTS).map(|table| table.name.clone()).unwrap_or_default();
    let update = local.aws().dynamodb().update_item();
    let outcome = update
        .table_name(accounts)
        .key("pk", AttributeValue::S(format!("USR#{user}")))
        .key("sk", AttributeValue::S("ACCOUNT".to_owned()))
        .update_expression("SET #admin = :true")
        .condition_expression("attribute_exists(pk)")
        .expression_attribute_names("#admin", "admin")
        .expression_attribute_values(":true", AttributeValue::Bool(true))
        .send()
        .await;
    match outcome.map_err(|error| error.into_service_error()) {
        Ok(_) => Ok(true),
        Err(error) if error.is_conditional_check_failed_exception() => Ok(false),
        Err(error) => Err(DisplayErrorContext(error).to_string()),
    }
}
