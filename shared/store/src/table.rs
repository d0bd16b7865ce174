//! A table: the few accesses that every entity is made of.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnConsumedCapacity, ReturnValue, Select};
use satchel_domain::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::capacity;
use crate::expr::Expr;
use crate::keys::Key;

/// A row as DynamoDB has it.
pub type Item = HashMap<String, AttributeValue>;

/// The handle of one table; cheap to clone.
#[derive(Clone, Debug)]
pub struct Table {
    client: Client,
    name: String,
}

/// A page of rows and where the next begins.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// Rows in key order.
    pub rows: Vec<T>,
    /// Last key evaluated, where there may be more.
    pub next: Option<Key>,
}

/// Which rows of one partition, in which order.
#[derive(Debug, Clone)]
pub struct Range {
    pk: String,
    from: Option<String>,
    to: Option<String>,
    prefix: Option<String>,
    start: Option<Key>,
    limit: Option<i32>,
    backward: bool,
    index: Option<String>,
    projection: Option<String>,
}

impl Range {
    /// Every row of a partition.
    pub fn of(pk: impl Into<String>) -> Self {
        Self {
            pk: pk.into(),
            from: None,
            to: None,
            prefix: None,
            start: None,
            limit: None,
            backward: false,
            index: None,
            projection: None,
        }
    }

    /// Only rows whose sort key begins with `prefix`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// Only rows whose sort key lies between the two, both included.
    #[must_use]
    pub fn between(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.from = Some(from.into());
        self.to = Some(to.into());
        self
    }

    /// Goes on after `key`.
    #[must_use]
    pub fn after(mut self, key: Option<Key>) -> Self {
        self.start = key;
        self
    }

    /// At most `rows` are evaluated.
    #[must_use]
    pub fn limit(mut self, rows: i32) -> Self {
        self.limit = Some(rows);
        self
    }

    /// Last first.
    #[must_use]
    pub fn backward(mut self) -> Self {
        self.backward = true;
        self
    }

    /// Only these attributes (a projection expression without reserved words).
    #[must_use]
    pub fn only(mut self, projection: impl Into<String>) -> Self {
        self.projection = Some(projection.into());
        self
    }
}

impl Table {
    /// A handle of the table `name`.
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into() }
    }

    /// The SDK client, for accesses this module has no word for.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The row at `key`, read consistently.
    pub async fn get<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key.attributes()))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(fail)?;
        capacity::read(answer.consumed_capacity.as_ref());
        answer.item.map(row).transpose()
    }

    /// The rows at `keys`, read consistently, those that exist, in no order; what DynamoDB leaves unprocessed is asked
    /// again with a growing pause, and after five rounds it is a throttle. At most 100 keys, without repetition.
    pub async fn get_many<T: DeserializeOwned>(&self, keys: &[Key]) -> Result<Vec<T>> {
        self.get_items(keys, None).await?.into_iter().map(row).collect()
    }

    /// [`Self::get_many`] as attributes, of which `projection` names those that are wanted, with `#b` for `by`.
    pub async fn get_items(&self, keys: &[Key], projection: Option<&str>) -> Result<Vec<Item>> {
        let mut wanted: Vec<Item> = keys.iter().map(Key::attributes).collect();
        let mut rows = Vec::with_capacity(keys.len());
        for round in 0..5u32 {
            if wanted.is_empty() {
                return Ok(rows);
            }
            if round > 0 {
                tokio::time::sleep(Duration::from_millis(10 << round)).await;
            }
            let names = projection
                .filter(|projection| projection.contains("#b"))
                .map(|_| HashMap::from([("#b".to_owned(), "by".to_owned())]));
            let request = KeysAndAttributes::builder()
                .set_keys(Some(std::mem::take(&mut wanted)))
                .set_projection_expression(projection.map(str::to_owned))
                .set_expression_attribute_names(names)
                .consistent_read(true)
                .build()
                .map_err(Error::internal)?;
            let answer = self
                .client
                .batch_get_item()
                .request_items(&self.name, request)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(fail)?;
            capacity::read(answer.consumed_capacity());
            for item in answer.responses.into_iter().flat_map(|mut tables| tables.remove(&self.name)).flatten() {
                rows.push(item);
            }
            wanted = answer
                .unprocessed_keys
                .and_then(|mut tables| tables.remove(&self.name))
                .map_or_else(Vec::new, |left| left.keys);
        }
        if wanted.is_empty() { Ok(rows) } else { Err(Error::unavailable("keys left unprocessed five times")) }
    }

    /// One page of `range`, read consistently.
    pub async fn query<T: DeserializeOwned>(&self, range: Range) -> Result<Page<T>> {
        let page = self.query_items(range).await?;
        Ok(Page { rows: page.rows.into_iter().map(row).collect::<Result<_>>()?, next: page.next })
    }

    /// [`Self::query`] as attributes.
    pub async fn query_items(&self, range: Range) -> Result<Page<Item>> {
        let mut condition = "pk = :pk".to_owned();
        let mut values = HashMap::from([(":pk".to_owned(), AttributeValue::S(range.pk))]);
        if let Some(prefix) = range.prefix {
            condition.push_str(" AND begins_with(sk, :prefix)");
            values.insert(":prefix".to_owned(), AttributeValue::S(prefix));
        } else if let (Some(from), Some(to)) = (range.from, range.to) {
            condition.push_str(" AND sk BETWEEN :from AND :to");
            values.insert(":from".to_owned(), AttributeValue::S(from));
            values.insert(":to".to_owned(), AttributeValue::S(to));
        }
        let answer = self
            .client
            .query()
            .table_name(&self.name)
            .set_index_name(range.index)
            .key_condition_expression(condition)
            .set_expression_attribute_values(Some(values))
            .set_exclusive_start_key(range.start.as_ref().map(Key::attributes))
            .set_limit(range.limit)
            .scan_index_forward(!range.backward)
            .set_select(range.projection.as_ref().map(|_| Select::SpecificAttributes))
            .set_projection_expression(range.projection)
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(fail)?;
        capacity::read(answer.consumed_capacity.as_ref());
        let next = answer.last_evaluated_key.as_ref().and_then(Key::of);
        Ok(Page { rows: answer.items.unwrap_or_default(), next })
    }

    /// The keys of what lies in the partition `pk` of the index `index` with a number up to `until`, lowest first, after
    /// `after`. An index lags a little behind its table: each row is to be read again.
    pub async fn query_index(
        &self,
        index: &str,
        (hash, range): (&str, &str),
        (pk, until): (&str, i64),
        after: Option<Item>,
        limit: i32,
    ) -> Result<(Vec<Key>, Option<Item>)> {
        let answer = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(index)
            .key_condition_expression("#hash = :pk AND #range <= :until")
            .expression_attribute_names("#hash", hash)
            .expression_attribute_names("#range", range)
            .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()))
            .expression_attribute_values(":until", AttributeValue::N(until.to_string()))
            .set_exclusive_start_key(after)
            .limit(limit)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(fail)?;
        capacity::read(answer.consumed_capacity.as_ref());
        let keys = answer.items.unwrap_or_default().iter().filter_map(Key::of).collect();
        Ok((keys, answer.last_evaluated_key))
    }

    /// Every row of `range`, page by page; for partitions that are known to be small.
    pub async fn query_all<T: DeserializeOwned>(&self, range: Range) -> Result<Vec<T>> {
        let mut rows = Vec::new();
        let mut start = None;
        loop {
            let page = self.query(range.clone().after(start)).await?;
            rows.extend(page.rows);
            match page.next {
                Some(next) => start = Some(next),
                None => return Ok(rows),
            }
        }
    }

    /// Writes `value` at `key` where the condition of `expr` holds; `false` where it does not.
    pub async fn put<T: Serialize>(&self, key: &Key, value: &T, expr: Expr) -> Result<bool> {
        self.put_item(key, item(key, value)?, expr).await
    }

    /// [`Self::put`] of attributes made by hand; the key's are added.
    pub async fn put_item(&self, key: &Key, mut item: Item, expr: Expr) -> Result<bool> {
        item.extend(key.attributes());
        let answer = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item))
            .set_condition_expression(expr.condition)
            .set_expression_attribute_names(expr.names)
            .set_expression_attribute_values(expr.values)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        match answer {
            Ok(answer) => {
                capacity::write(answer.consumed_capacity.as_ref());
                Ok(true)
            }
            Err(error) => unless_condition(error).map(|()| false),
        }
    }

    /// Updates the row at `key` where the condition of `expr` holds, and returns the whole row as it is then; `None`
    /// where the condition does not hold.
    pub async fn update<T: DeserializeOwned>(&self, key: &Key, expr: Expr) -> Result<Option<T>> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key.attributes()))
            .set_update_expression(expr.update)
            .set_condition_expression(expr.condition)
            .set_expression_attribute_names(expr.names)
            .set_expression_attribute_values(expr.values)
            .return_values(ReturnValue::AllNew)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        match answer {
            Ok(answer) => {
                capacity::write(answer.consumed_capacity.as_ref());
                row(answer.attributes.unwrap_or_default()).map(Some)
            }
            Err(error) => unless_condition(error).map(|()| None),
        }
    }

    /// Deletes the row at `key` where the condition of `expr` holds; `false` where it does not. Deleting what is not
    /// there is `true` without a condition.
    pub async fn delete(&self, key: &Key, expr: Expr) -> Result<bool> {
        let answer = self
            .client
            .delete_item()
            .table_name(&self.name)
            .set_key(Some(key.attributes()))
            .set_condition_expression(expr.condition)
            .set_expression_attribute_names(expr.names)
            .set_expression_attribute_values(expr.values)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        match answer {
            Ok(answer) => {
                capacity::write(answer.consumed_capacity.as_ref());
                Ok(true)
            }
            Err(error) => unless_condition(error).map(|()| false),
        }
    }

    /// Deletes all rows at `keys` without a condition, 25 at a time; repeatable.
    pub async fn delete_many(&self, keys: &[Key]) -> Result<()> {
        use aws_sdk_dynamodb::types::{DeleteRequest, WriteRequest};
        for chunk in keys.chunks(25) {
            let mut wanted = chunk
                .iter()
                .map(|key| {
                    let delete =
                        DeleteRequest::builder().set_key(Some(key.attributes())).build().map_err(Error::internal)?;
                    Ok(WriteRequest::builder().delete_request(delete).build())
                })
                .collect::<Result<Vec<_>>>()?;
            for round in 0..6u32 {
                if round > 0 {
                    tokio::time::sleep(Duration::from_millis(10 << round)).await;
                }
                let answer = self
                    .client
                    .batch_write_item()
                    .request_items(&self.name, std::mem::take(&mut wanted))
                    .return_consumed_capacity(ReturnConsumedCapacity::Total)
                    .send()
                    .await
                    .map_err(fail)?;
                capacity::write(answer.consumed_capacity());
                wanted = answer.unprocessed_items.and_then(|mut tables| tables.remove(&self.name)).unwrap_or_default();
                if wanted.is_empty() {
                    break;
                }
            }
            if !wanted.is_empty() {
                return Err(Error::unavailable("deletes left unprocessed six times"));
            }
        }
        Ok(())
    }
}

/// The row that `item` holds.
///
/// # Errors
/// [`Error::Internal`] where it has another shape: a row is never taken for granted. What stands in it is not quoted, as
/// the reader's own message would.
pub fn row<T: DeserializeOwned>(item: Item) -> Result<T> {
    let key = Key::of(&item);
    serde_dynamo::aws_sdk_dynamodb_1::from_item(item).map_err(|_| {
        let kind = std::any::type_name::<T>();
        let sk = key.map(|key| key.sk.split('#').next().unwrap_or_default().to_owned());
        Error::internal(format!("a row `{}` is no {kind}", sk.unwrap_or_default()))
    })
}

/// The item that holds `value` under `key`.
///
/// # Errors
/// [`Error::Internal`] where `value` is no map.
pub fn item<T: Serialize>(key: &Key, value: &T) -> Result<Item> {
    let mut item: Item = serde_dynamo::aws_sdk_dynamodb_1::to_item(value).map_err(Error::internal)?;
    item.extend(key.attributes());
    Ok(item)
}

/// What a failed call means to who asked: throttling, time-outs and a dependency's own faults are temporary.
pub fn fail<E, R>(error: SdkError<E, R>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    if is_transient(&error) { Error::unavailable(error) } else { Error::internal(error) }
}

/// Codes by which DynamoDB says *not now*.
const BUSY: [&str; 8] = [
    "ThrottlingException",
    "ThrottledException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "InternalServerError",
    "ServiceUnavailable",
    "TransactionConflictException",
    "TransactionInProgressException",
];

/// Whether a later try may succeed.
pub fn is_transient<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    match error {
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => true,
        SdkError::ServiceError(service) => service.err().code().is_some_and(|code| BUSY.contains(&code)),
        _ => false,
    }
}

fn unless_condition<E, R>(error: SdkError<E, R>) -> Result<()>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match error.as_service_error().and_then(ProvideErrorMetadata::code) {
        Some("ConditionalCheckFailedException") => Ok(()),
        _ => Err(fail(error)),
    }
}
