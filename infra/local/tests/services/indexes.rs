//! Global indexes: what lies in a sparse one, who may read it, and a table that gets one later.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::AttributeValue;
use satchel_local::services::{Credentials, Position, Services, ServicesOptions};
use satchel_local::template::Template;

use crate::support::{NOWHERE, START_MS, Stack, client, s};

async fn put(client: &aws_sdk_dynamodb::Client, pk: &str, due_at: Option<i64>) {
    let put = client.put_item().table_name("jobs").item("pk", s(pk)).item("sk", s("JOB")).item("v", s("x"));
    let put = match due_at {
        Some(at) => put.item("due_pk", s("DUE")).item("due_at", AttributeValue::N(at.to_string())),
        None => put,
    };
    put.send().await.unwrap();
}

fn due(
    client: &aws_sdk_dynamodb::Client,
    until: i64,
) -> aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder {
    let query = client.query().table_name("jobs").index_name("due");
    let query = query.key_condition_expression("due_pk = :pk AND due_at <= :until");
    let until = AttributeValue::N(until.to_string());
    query.expression_attribute_values(":pk", s("DUE")).expression_attribute_values(":until", until)
}

async fn found(client: &aws_sdk_dynamodb::Client, until: i64) -> Vec<String> {
    let answer = due(client, until).send().await.unwrap();
    answer.items().iter().map(|item| item["pk"].as_s().unwrap().clone()).collect()
}

#[tokio::test]
async fn a_sparse_index_has_the_keys_of_what_is_due_in_order() {
    let stack = Stack::new();
    let client = stack.dynamodb();
    for (pk, due_at) in [("b", Some(2)), ("c", Some(30)), ("a", Some(10)), ("never", None)] {
        put(&client, pk, due_at).await;
    }
    assert_eq!(found(&client, 20).await, ["b", "a"]);
    let answer = due(&client, 20).limit(1).send().await.unwrap();
    assert_eq!(answer.items()[0].keys().filter(|name| *name == "v").count(), 0, "KEYS_ONLY");
    let next = due(&client, 20).set_exclusive_start_key(answer.last_evaluated_key).send().await.unwrap();
    assert_eq!(next.items()[0]["pk"], s("a"));
    put(&client, "b", None).await;
    assert_eq!(found(&client, 20).await, ["a"]);
}

#[tokio::test]
async fn who_may_read_an_index_may_not_read_its_table() {
    let stack = Stack::new();
    put(&stack.dynamodb(), "a", Some(1)).await;
    let clerk = client!(aws_sdk_dynamodb as "clerk", stack, NOWHERE);
    assert_eq!(found(&clerk, 20).await, ["a"]);
    let query = clerk.query().table_name("jobs").key_condition_expression("pk = :pk");
    let refused = query.expression_attribute_values(":pk", s("a")).send().await.unwrap_err();
    assert_eq!(refused.code(), Some("AccessDeniedException"));
}

const BEFORE: &str = "
Resources:
  Jobs:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: jobs
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}, {AttributeName: sk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}, {AttributeName: sk, KeyType: RANGE}]
";

const AFTER: &str = "
Resources:
  Jobs:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: jobs
      AttributeDefinitions:
        - {AttributeName: pk, AttributeType: S}
        - {AttributeName: sk, AttributeType: S}
        - {AttributeName: due_pk, AttributeType: S}
        - {AttributeName: due_at, AttributeType: N}
      KeySchema: [{AttributeName: pk, KeyType: HASH}, {AttributeName: sk, KeyType: RANGE}]
      GlobalSecondaryIndexes:
        - IndexName: due
          KeySchema: [{AttributeName: due_pk, KeyType: HASH}, {AttributeName: due_at, KeyType: RANGE}]
          Projection: {ProjectionType: KEYS_ONLY}
      StreamSpecification: {StreamViewType: NEW_AND_OLD_IMAGES}
";

fn services(folder: &Path, template: &str) -> (Services, aws_sdk_dynamodb::Client) {
    struct Owner {
        services: Services,
    }
    let template = Template::parse(template, &BTreeMap::new()).unwrap();
    let options = ServicesOptions {
        data: Some(folder.to_owned()),
        now: Arc::new(|| START_MS),
        credentials: Credentials::default(),
    };
    let owner = Owner { services: Services::start(&template, options).unwrap() };
    let client = client!(aws_sdk_dynamodb, owner, NOWHERE);
    (owner.services, client)
}

#[tokio::test]
async fn a_table_of_an_older_template_gets_its_index_and_its_stream_and_keeps_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let (before, client) = services(folder.path(), BEFORE);
    put(&client, "a", Some(1)).await;
    drop((before, client));
    for round in ["b", "c"] {
        let (after, client) = services(folder.path(), AFTER);
        put(&client, round, Some(2)).await;
        let records = after.dynamodb().poll("jobs", &Position::TrimHorizon, 10).unwrap().records;
        assert_eq!(records.last().unwrap().event["dynamodb"]["Keys"]["pk"]["S"], round);
        assert_eq!(found(&client, 20).await[0], "a", "what was there before lies in the index too");
        drop((after, client));
    }
    let (_after, client) = services(folder.path(), AFTER);
    assert_eq!(found(&client, 20).await, ["a", "b", "c"]);
}
