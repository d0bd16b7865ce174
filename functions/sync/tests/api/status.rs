//! `GET /sync/status`.

use serde_json::{Value, json};

use crate::support::{assert_adds_up, delete_ids, entry, many, pull, pull_all, push, status, tombstone, two_devices};

#[tokio::test]
async fn an_empty_space_is_all_zeros() {
    let (stack, phone, _) = two_devices().await;
    let status = status(&stack, &phone).await;
    assert_eq!([&status["entry_count"], &status["bytes"], &status["tombstones"], &status["head"]], [0, 0, 0, 0]);
    assert_eq!((&status["digest"], &status["last_sync_at"]), (&json!("0".repeat(32)), &Value::Null));
    assert_eq!((&status["epoch"], &status["pending_pushes"]), (&json!("1.0"), &json!(0)));
}

#[tokio::test]
async fn counts_bytes_and_digest_are_what_a_full_pull_adds_up_to() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &many(40, 33)).await;
    assert_adds_up(&stack, &phone).await;
    push(&stack, &laptop, &[entry("e0001", "b", "plain text", json!({ "b": 1 }), 9_000_000_000)]).await;
    push(&stack, &laptop, &[entry("e0002", "b", "loses", json!({ "b": 1 }), 1)]).await;
    push(&stack, &laptop, &[entry("e0003", "b", "no clock", json!({}), 9_000_000_000)]).await;
    assert_adds_up(&stack, &phone).await;
    delete_ids(&stack, &phone, &["e0004", "e0005"]).await;
    push(&stack, &phone, &[tombstone("never", "a", json!({ "a": 1 }), 5)]).await;
    assert_adds_up(&stack, &phone).await;
    push(&stack, &phone, &[entry("e0004", "a", "back", json!({ "a": 5, "srv": 1 }), 5)]).await;
    assert_adds_up(&stack, &phone).await;
}

#[tokio::test]
async fn the_digest_of_one_entry_is_as_documented() {
    let (stack, phone, _) = two_devices().await;
    push(&stack, &phone, &[entry("e", "a", "aGVsbG8=", json!({ "b": 2, "a": 1 }), 5)]).await;
    // python3 -c "import hashlib as h; print(h.sha256(b'e\0'+b'{\"a\":1,\"b\":2}\0'+h.sha256(b'hello').digest()).hexdigest()[:32])"
    assert_eq!(status(&stack, &phone).await["digest"], "a808aa700fa4af4650e2c4a6b246ae8d");
}

#[tokio::test]
async fn limits_and_parameters_are_told() {
    let (stack, phone, _) = two_devices().await;
    let status = status(&stack, &phone).await;
    assert_eq!((&status["quota_bytes"], &status["retention_days"]), (&json!(1u64 << 30), &json!(180)));
    assert_eq!(
        status["limits"],
        json!({ "entry_bytes": 262_144, "entries_per_push": 1_000, "clock_keys": 64, "page": 1_000 })
    );
}

#[tokio::test]
async fn devices_are_named_and_say_where_they_stand() {
    let (stack, phone, laptop) = two_devices().await;
    for (device, name, platform) in [(&phone, "ada's phone", "ios"), (&laptop, "Ada's Mac", "macos")] {
        let body = json!({ "device_name": name, "platform": platform });
        stack.post("/devices").auth(device).json(body).send().await.ok();
    }
    push(&stack, &phone, &many(3, 5)).await;
    let at = pull(&stack, &laptop, json!({ "last_sync_at": null })).await["server_timestamp"].clone();
    pull(&stack, &laptop, json!({ "last_sync_at": at })).await;
    let status = status(&stack, &laptop).await;
    let device =
        |id: &str| status["devices"].as_array().unwrap().iter().find(|one| one["device_id"] == id).unwrap().clone();
    let (one, other) = (device(&phone.device_id), device(&laptop.device_id));
    assert_eq!((&one["device_name"], &one["platform"]), (&json!("ada's phone"), &json!("ios")));
    assert_eq!((&other["device_name"], &other["platform"]), (&json!("Ada's Mac"), &json!("macos")));
    assert_eq!((&other["last_acked"], &other["last_seen_at"]), (&at, &json!(stack.now())));
    assert_eq!(status["last_sync_at"], at);
}

#[tokio::test]
async fn a_full_pull_puts_a_device_back_to_0() {
    let (stack, phone, _) = two_devices().await;
    push(&stack, &phone, &many(3, 5)).await;
    pull_all(&stack, &phone).await;
    assert_eq!(status(&stack, &phone).await["last_sync_at"], 0);
}

async fn read_units(entries: usize) -> f64 {
    let (stack, phone, _) = two_devices().await;
    for part in many(entries, 100).chunks(1_000) {
        push(&stack, &phone, part).await;
    }
    stack.counters().watch_capacity(true);
    stack.counters().reset();
    status(&stack, &phone).await;
    stack.counters().snapshot().values().map(|count| count.read_units).sum()
}

#[tokio::test]
async fn its_cost_does_not_grow_with_the_account() {
    let (small, large) = (read_units(10).await, read_units(2_000).await);
    assert!(small > 0.0);
    assert_eq!(small, large);
}

#[tokio::test]
async fn a_deleted_device_is_left_out_when_it_was_not_heard_of_for_a_day() {
    let (stack, phone, laptop) = two_devices().await;
    for device in [&phone, &laptop] {
        let body = json!({ "device_name": "mine", "platform": "ios" });
        stack.post("/devices").auth(device).json(body).send().await.ok();
        pull(&stack, device, json!({})).await;
    }
    let listed = async |laptop: &satchel_testkit::Session| {
        let status = status(&stack, laptop).await;
        let devices = status["devices"].as_array().unwrap();
        devices.iter().map(|one| crate::support::text(&one["device_id"])).collect::<Vec<_>>()
    };
    stack.delete(&format!("/devices/{}", phone.device_id)).auth(&laptop).send().await;
    assert_eq!(listed(&laptop).await.len(), 2, "its token may live: it was here just now");
    stack.advance(86_400).await;
    let laptop = stack.sign_in_again(&laptop).await;
    assert_eq!(listed(&laptop).await, std::slice::from_ref(&laptop.device_id));
}
