//! Several writes that happen all or none.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{ConditionCheck, Delete, Put, ReturnConsumedCapacity, TransactWriteItem, Update};
use satchel_domain::{Error, Result};
use serde::Serialize;

use crate::capacity;
use crate::expr::Expr;
use crate::keys::Key;
use crate::table::{Item, Table, fail, is_transient, item};

/// Why a transaction did not happen.
#[derive(Debug)]
pub enum Cancelled {
    /// The conditions of these writes (by their place) did not hold; nothing was written.
    Condition(Vec<usize>),
    /// Another transaction or a throttle was in the way; nothing was written, and a new try may succeed.
    Contention(Error),
    /// The answer is unknown (time-out, lost connection): only the same token finds out.
    Unknown(Error),
    /// Anything else.
    Failed(Error),
}

impl From<Cancelled> for Error {
    /// For who has no better answer: a condition that nobody expected to fail is a lost race, so try again.
    fn from(cancelled: Cancelled) -> Self {
        match cancelled {
            Cancelled::Condition(at) => Self::unavailable(format!("lost a race at writes {at:?}")),
            Cancelled::Contention(error) | Cancelled::Unknown(error) | Cancelled::Failed(error) => error,
        }
    }
}

/// Writes to be done together, at most 100.
#[derive(Debug, Clone, Default)]
pub struct Transaction {
    writes: Vec<TransactWriteItem>,
    token: Option<String>,
}

impl Transaction {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many writes it has: the place of the next.
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// Whether it has no write.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Names the transaction, so that a repetition within 10 minutes is the same (`ClientRequestToken`, 1 to 36
    /// characters).
    pub fn token(&mut self, token: impl Into<String>) -> &mut Self {
        self.token = Some(token.into());
        self
    }

    /// Puts `value` at `key`.
    pub fn put<T: Serialize>(&mut self, table: &Table, key: &Key, value: &T, expr: Expr) -> Result<&mut Self> {
        self.put_item(table, key, item(key, value)?, expr)
    }

    /// Puts attributes made by hand at `key`; the key's are added.
    pub fn put_item(&mut self, table: &Table, key: &Key, mut item: Item, expr: Expr) -> Result<&mut Self> {
        item.extend(key.attributes());
        let put = Put::builder()
            .table_name(table.name())
            .set_item(Some(item))
            .set_condition_expression(expr.condition)
            .set_expression_attribute_names(expr.names)
            .set_expression_attribute_values(expr.values)
            .build()
            .map_err(Error::internal)?;
        self.writes.push(TransactWriteItem::builder().put(put).build());
        Ok(self)
    }

    /// Updates the row at `key`.
    pub fn update(&mut self, table: &Table, key: &Key, expr: Expr) -> Result<&mut Self> {
        let update = Update::builder()
            .table_name(table.name())
            .set_key(Some(key.attributes()))
            .set_update_expression(expr.update)
            .set_condition_expression(expr.condition)
            .set_expression_attribute_names(expr.names)
            .set_expression_attribute_values(expr.values)
            .build()
            .map_err(Error::internal)?;
        self.writes.push(TransactWriteItem::builder().update(update).build());
        Ok(self)
    }

    /// Deletes the row at `key`.
    pub fn delete(&mut self, table: &Table, key: &Key, expr: Expr) -> Result<&mut Self> {
        let delete = Delete::builder()
            .table_name(table.name())
            .set_key(Some(key.attributes()))
            .set_condition_expression(expr.condition)
            .set_expression_attribute_names(expr.names)
            .set_expression_attribute_values(expr.values)
            .build()
            .map_err(Error::internal)?;
        self.writes.push(TransactWriteItem::builder().delete(delete).build());
        Ok(self)
    }

    /// Asks that the condition of `expr` holds of the row at `key`.
    pub fn check(&mut self, table: &Table, key: &Key, expr: Expr) -> Result<&mut Self> {
        let check = ConditionCheck::builder()
            .table_name(table.name())
            .set_key(Some(key.attributes()))
            .set_condition_expression(expr.condition)
            .set_expression_attribute_names(expr.names)
            .set_expression_attribute_values(expr.values)
            .build()
            .map_err(Error::internal)?;
        self.writes.push(TransactWriteItem::builder().condition_check(check).build());
        Ok(self)
    }

    /// Does all of it, or nothing. The SDK repeats a lost attempt with the same token by itself.
    ///
    /// # Errors
    /// [`Cancelled`], which says what a new try would have to do.
    pub async fn run(self, through: &Table) -> Result<(), Cancelled> {
        let answer = through
            .client()
            .transact_write_items()
            .set_transact_items(Some(self.writes))
            .set_client_request_token(self.token)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        match answer {
            Ok(answer) => {
                capacity::write(answer.consumed_capacity());
                Ok(())
            }
            Err(error) => Err(why(error)),
        }
    }

    /// [`Self::run`], again while another transaction is in the way, and, where the transaction has a name
    /// ([`Self::token`]), while its outcome is unknown: for writes whose decision does not depend on what was read.
    ///
    /// # Errors
    /// [`Cancelled`], after six tries.
    pub async fn settle(self, through: &Table) -> Result<(), Cancelled> {
        let mut pause = std::time::Duration::from_millis(10);
        for _ in 0..5 {
            match self.clone().run(through).await {
                Err(Cancelled::Contention(_)) => {}
                Err(Cancelled::Unknown(_)) if self.token.is_some() => {}
                settled => return settled,
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.run(through).await
    }
}

fn why(error: SdkError<TransactWriteItemsError>) -> Cancelled {
    if let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error() {
        let reasons: Vec<&str> =
            cancelled.cancellation_reasons().iter().map(|reason| reason.code().unwrap_or("None")).collect();
        let failed: Vec<usize> = reasons
            .iter()
            .enumerate()
            .filter(|(_, code)| **code == "ConditionalCheckFailed")
            .map(|(at, _)| at)
            .collect();
        if !failed.is_empty() {
            return Cancelled::Condition(failed);
        }
        let busy = ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];
        if reasons.iter().any(|code| busy.contains(code)) {
            return Cancelled::Contention(Error::unavailable(error));
        }
        return Cancelled::Failed(Error::internal(error));
    }
    match error {
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => {
            Cancelled::Unknown(Error::unavailable(error))
        }
        // A 500 may have happened after the write (the developer guide: 'might have succeeded').
        SdkError::ServiceError(ref service) if service.raw().status().is_server_error() => {
            Cancelled::Unknown(Error::unavailable(error))
        }
        _ if is_transient(&error) => Cancelled::Contention(fail(error)),
        _ => Cancelled::Failed(fail(error)),
    }
}
