//! Exports.

use std::collections::HashMap;
use std::io::Read as _;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use satchel_testkit::{Session, Stack};
use serde_json::{Value, json};

async fn request(stack: &Stack, person: &Session) -> String {
    let answer = stack.post("/auth/me/export").auth(person).send().await;
    assert_eq!(answer.status, 202, "{answer}");
    answer.json()["export_id"].as_str().unwrap().to_owned()
}

async fn read(stack: &Stack, person: &Session, id: &str) -> satchel_testkit::Answer {
    stack.get(&format!("/auth/me/export/{id}")).auth(person).send().await
}

fn file(archive: &[u8], name: &str) -> String {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(archive)).unwrap();
    let mut text = String::new();
    zip.by_name(name).unwrap().read_to_string(&mut text).unwrap();
    text
}

fn list(archive: &[u8], name: &str) -> Vec<Value> {
    serde_json::from_str(&file(archive, name)).unwrap()
}

/// `count` entries of `bytes` random bytes each, as sync keeps them.
async fn entries(stack: &Stack, user: &str, count: usize, bytes: usize) {
    let put = async |pk: String, sk: String, mut item: HashMap<String, AttributeValue>| {
        item.insert("pk".into(), AttributeValue::S(pk));
        item.insert("sk".into(), AttributeValue::S(sk));
        stack.dynamodb().put_item().table_name(stack.table("SyncTable")).set_item(Some(item)).send().await.unwrap();
    };
    let number = |n: usize| AttributeValue::N(n.to_string());
    let mut meta: HashMap<String, AttributeValue> =
        ["head_seq", "head_time", "base", "store_epoch", "live", "tombs", "bytes"]
            .map(|name| (name.to_owned(), number(1)))
            .into();
    meta.insert("gen".into(), number(3));
    meta.insert("cursor_key".into(), AttributeValue::B(Blob::new([7; 32])));
    meta.insert("digest".into(), AttributeValue::B(Blob::new([0; 16])));
    put(format!("S#{user}"), "META".into(), meta).await;
    put(format!("S#{user}#2"), "E#of-an-erased-generation".into(), HashMap::new()).await;
    let mut state = 1u64;
    for at in 0..count {
        // Random enough that nothing is won by compressing it.
        let body: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        })
        .take(bytes)
        .collect();
        let item =
            HashMap::from([("content".to_owned(), AttributeValue::B(Blob::new(body))), ("seq".to_owned(), number(at))]);
        put(format!("S#{user}#3"), format!("E#entry-{at:05}"), item).await;
    }
}

#[tokio::test]
async fn an_export_has_everything_of_the_person_and_no_secrets() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    stack.patch("/auth/me").auth(&ada).json(json!({ "name": "Ada L." })).send().await.ok();
    stack.sign_in("eve").await;
    entries(&stack, &ada.user_id, 3, 20).await;
    let id = request(&stack, &ada).await;
    assert_eq!(read(&stack, &ada, &id).await.ok()["status"], "pending");
    assert_eq!(request(&stack, &ada).await, id, "one that is being made is not made twice");
    stack.drain().await;

    let view = read(&stack, &ada, &id).await.ok();
    assert_eq!(
        (view["status"].as_str(), view["url_expires_at"].as_str()),
        (Some("ready"), Some("2026-01-01T00:15:00Z"))
    );
    let url = view["url"].as_str().unwrap();
    let answer = stack.get_url(url).await;
    assert_eq!(answer.status, 200, "{url}: {answer}");
    let archive = answer.body.to_vec();
    let account = list(&archive, "account.json");
    assert_eq!((account.len(), account[0]["name"].as_str()), (1, Some("Ada L.")));
    assert_eq!(list(&archive, "sessions.json")[0]["device_id"], ada.device_id.as_str());
    assert!(list(&archive, "devices.json").len() <= 1);
    assert!(list(&archive, "entitlements.json").is_empty());
    let lines = file(&archive, "sync/entries.ndjson");
    let ids: Vec<String> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids, ["entry-00000", "entry-00001", "entry-00002"]);
    for name in ["account.json", "sessions.json", "devices.json", "entitlements.json", "sync/entries.ndjson"] {
        let text = file(&archive, name);
        for secret in ["hash", "apple_token", "cursor_key", "USR#", "eve"] {
            assert!(!text.contains(secret), "{name} has {secret}");
        }
    }
    stack.advance(901).await;
    assert_eq!(stack.get_url(url).await.status, 403);
    let ada = stack.sign_in_again(&ada).await;
    let url = read(&stack, &ada, &id).await.ok()["url"].as_str().unwrap().to_owned();
    assert_eq!(stack.get_url(&url).await.status, 200);
}

#[tokio::test]
async fn an_export_is_the_persons_alone() {
    let stack = Stack::start().await;
    let (ada, eve) = (stack.sign_in("ada").await, stack.sign_in("eve").await);
    let id = request(&stack, &ada).await;
    stack.drain().await;
    read(&stack, &eve, &id).await.refused(404, "not_found");
    read(&stack, &eve, "exp_01ARZ3NDEKTSV4RRFFQ69G5FAV").await.refused(404, "not_found");
    read(&stack, &eve, "nonsense").await.refused(404, "not_found");
}

#[tokio::test]
async fn a_large_export_leaves_in_parts() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    entries(&stack, &ada.user_id, 60, 300_000).await;
    let id = request(&stack, &ada).await;
    stack.drain().await;
    let url = read(&stack, &ada, &id).await.ok()["url"].as_str().unwrap().to_owned();
    let archive = stack.get_url(&url).await.body.to_vec();
    assert!(archive.len() > 15_000_000, "{}", archive.len());
    assert_eq!(file(&archive, "sync/entries.ndjson").lines().count(), 60);
    let counters = format!("{:?}", stack.counters().snapshot());
    assert!(counters.contains("UploadPart"), "{counters}");
}

#[tokio::test]
async fn a_failed_export_is_made_at_the_next_try() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    stack.fault(json!({ "service": "s3", "operation": "UploadPart", "kind": "error", "count": 3 }));
    let id = request(&stack, &ada).await;
    // The queue shows the message again after its visibility timeout, which is longer than the function may run.
    for _ in 0..4 {
        stack.settle().await;
        stack.advance(3_600).await;
    }
    stack.settle().await;
    let ada = stack.sign_in_again(&ada).await;
    assert_eq!(read(&stack, &ada, &id).await.ok()["status"], "ready");
}

#[tokio::test]
async fn exports_are_limited_a_day_and_gone_after_a_week() {
    let stack = Stack::with(satchel_testkit::Options::default().param("ExportLimitDay", 1)).await;
    let ada = stack.sign_in("ada").await;
    let id = request(&stack, &ada).await;
    stack.drain().await;
    stack.post("/auth/me/export").auth(&ada).send().await.refused(429, "too_many_requests");
    stack.advance(7 * 86_400).await;
    let ada = stack.sign_in_again(&ada).await;
    assert!(matches!(read(&stack, &ada, &id).await.status, 404 | 410));
    request(&stack, &ada).await;
}
