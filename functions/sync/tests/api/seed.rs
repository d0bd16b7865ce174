//! The seed's own requests, answers and tests, and its defects: each has a test that fails on what the seed did.

use serde_json::{Value, json};

use crate::support::{delete_ids, entry, pull, pull_all, push, push_one, reasons, text, texts, try_push, two_devices};
use satchel_testkit::Stack;

#[tokio::test]
async fn sync_without_subscription_is_the_seeds_402() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    let body = json!({ "device_id": ada.device_id, "last_sync_at": null });
    let answer = stack.post("/sync/pull").auth(&ada).json(body).send().await;
    let problem = answer.refused(402, "sync_add_on_required");
    let detail = json!({
        "error": "sync_add_on_required",
        "message": "Sync add-on subscription required. Purchase in mobile app.",
        "product_id": "echolia.sync.monthly",
    });
    assert_eq!(problem["detail"], detail);
}

#[tokio::test]
async fn initial_sync_answers_entries_and_server_timestamp() {
    let (stack, phone, _) = two_devices().await;
    let page = pull(&stack, &phone, json!({ "last_sync_at": null, "vector_clock": {} })).await;
    assert_eq!(page["entries"], json!([]));
    assert_eq!(page["deleted_ids"], json!([]));
    assert_eq!(page["server_timestamp"], 0, "an empty space has no position yet");
    assert_eq!(page["has_more"], false);
}

#[tokio::test]
async fn push_and_pull_from_another_device() {
    let (stack, phone, laptop) = two_devices().await;
    let entry = json!({
        "id": "entry-123", "device_id": phone.device_id, "encrypted_data": "base64_encrypted_content",
        "vector_clock": { &phone.device_id: 1 }, "version": 1, "is_deleted": false,
        "created_at": 1_702_300_000, "updated_at": 1_702_300_000,
    });
    let pushed = push(&stack, &phone, std::slice::from_ref(&entry)).await;
    assert_eq!(pushed["accepted"], json!(["entry-123"]));
    let page = pull(&stack, &laptop, json!({ "last_sync_at": null, "vector_clock": {} })).await;
    let got = &page["entries"][0];
    for field in entry.as_object().unwrap().keys() {
        assert_eq!(got[field], entry[field], "{field}");
    }
}

#[tokio::test]
async fn conflict_goes_to_the_later_updated_at() {
    let (stack, phone, laptop) = two_devices().await;
    // As in the seed's test: without `version`, `is_deleted` and `created_at`.
    let version = |device: &str, data: &str, clock: Value, at: i64| json!({ "id": "entry-conflict", "device_id": device, "encrypted_data": data, "vector_clock": clock, "updated_at": at });
    push(&stack, &phone, &[version("device-a", "version_a", json!({ "device-a": 5 }), 1_702_300_000)]).await;
    let pushed =
        push(&stack, &laptop, &[version("device-b", "version_b", json!({ "device-b": 3 }), 1_702_300_100)]).await;
    assert_eq!(pushed["accepted"], json!(["entry-conflict"]));
    let held = pull_all(&stack, &phone).await;
    assert_eq!(held.entries["entry-conflict"]["encrypted_data"], "version_b");
    assert_eq!(held.entries["entry-conflict"]["vector_clock"], json!({ "device-a": 5, "device-b": 3 }));
}

#[tokio::test]
async fn every_field_of_the_seeds_answers_is_there() {
    let (stack, phone, _) = two_devices().await;
    let pushed = push(&stack, &phone, &[entry("e", "a", "x", json!({ "a": 1 }), 5)]).await;
    for field in ["accepted", "conflicts", "rejected", "server_timestamp"] {
        assert!(pushed.get(field).is_some(), "{field}: {pushed}");
    }
    let page = pull(&stack, &phone, json!({})).await;
    for field in ["entries", "deleted_ids", "server_timestamp", "has_more"] {
        assert!(page.get(field).is_some(), "{field}: {page}");
    }
    let status = stack.get("/sync/status").auth(&phone).send().await.ok();
    for field in ["last_sync_at", "entry_count", "pending_pushes", "devices"] {
        assert!(status.get(field).is_some(), "{field}: {status}");
    }
    for field in ["device_id", "device_name", "platform", "last_seen_at"] {
        assert!(status["devices"][0].get(field).is_some(), "{field}: {status}");
    }
}

// The seed updates whenever clocks do not conflict, so an older version replaces a newer one.
#[tokio::test]
async fn stale_writes_do_not_overwrite_newer_ones() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &[entry("e", "a", "new", json!({ "a": 2 }), 200)]).await;
    let result = push_one(&stack, &laptop, entry("e", "a", "old", json!({ "a": 1 }), 900)).await;
    assert_eq!(result["status"], "stale");
    assert_eq!(pull_all(&stack, &phone).await.entries["e"]["encrypted_data"], "new");
}

// The seed stores the winner's clock as it came, so what the loser had seen is forgotten.
#[tokio::test]
async fn a_conflict_merges_the_clocks() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &[entry("e", "a", "x", json!({ "a": 5 }), 100)]).await;
    let result = push_one(&stack, &laptop, entry("e", "b", "y", json!({ "b": 3 }), 200)).await;
    assert_eq!(result["vector_clock"], json!({ "a": 5, "b": 3 }));
}

// The seed drops the loser of a conflict.
#[tokio::test]
async fn the_loser_of_a_conflict_is_kept() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &[entry("e", "a", "later", json!({ "a": 1 }), 200)]).await;
    let pushed = push(&stack, &laptop, &[entry("e", "b", "earlier", json!({ "b": 1 }), 100)]).await;
    assert_eq!(pushed["conflicts"], json!(["e"]));
    assert_eq!(reasons(&stack, &phone, "e").await, [("earlier".to_owned(), "lost".to_owned())]);
}

// The seed selects `updated_at > last_sync_at`: what a slow clock wrote is never pulled.
#[tokio::test]
async fn pull_does_not_go_by_a_clients_clock() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &[entry("first", "a", "x", json!({ "a": 1 }), 1_702_300_000)]).await;
    let at = pull(&stack, &laptop, json!({ "last_sync_at": null })).await["server_timestamp"].clone();
    stack.advance(3_600).await;
    let phone = stack.sign_in_again(&phone).await;
    let laptop = stack.sign_in_again(&laptop).await;
    push(&stack, &phone, &[entry("slow", "a", "y", json!({ "a": 2 }), 946_684_800)]).await;
    let page = pull(&stack, &laptop, json!({ "last_sync_at": at })).await;
    assert_eq!(page["entries"][0]["id"], "slow");
}

// The seed answers its own time: what is committed in that second after the read is skipped for ever.
#[tokio::test]
async fn two_writes_within_one_second_are_two_positions() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &[entry("one", "a", "x", json!({ "a": 1 }), 100)]).await;
    let at = pull(&stack, &laptop, json!({ "last_sync_at": null })).await["server_timestamp"].clone();
    push(&stack, &phone, &[entry("two", "a", "y", json!({ "a": 2 }), 100)]).await;
    let page = pull(&stack, &laptop, json!({ "last_sync_at": at })).await;
    assert_eq!(texts(&json!([page["entries"][0]["id"]])), ["two"]);
}

// The seed cuts at 1,000 rows and answers the present time: a delta pull goes on behind what it never told.
#[tokio::test]
async fn a_page_of_a_thousand_is_not_the_end() {
    let (stack, phone, laptop) = two_devices().await;
    let entries = crate::support::many(1_000, 10);
    push(&stack, &phone, &entries).await;
    push(&stack, &phone, &[entry("last", "a", "x", json!({ "a": 1 }), 1)]).await;
    let mut held = crate::support::Held::default();
    crate::support::seed_pull(&stack, &laptop, &mut held, Value::Null).await;
    assert_eq!(held.entries.len(), 1_001);
}

// The seed marks a row deleted whatever was written since.
#[tokio::test]
async fn deletes_mind_clocks() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &[entry("e", "a", "x", json!({ "a": 1 }), 100)]).await;
    push(&stack, &phone, &[entry("e", "a", "y", json!({ "a": 2 }), 200)]).await;
    let stale = crate::support::tombstone("e", "b", json!({ "a": 1 }), 300);
    assert_eq!(push_one(&stack, &laptop, stale).await["status"], "stale");
    let concurrent = crate::support::tombstone("e", "b", json!({ "a": 1, "b": 1 }), 300);
    let result = push_one(&stack, &laptop, concurrent).await;
    assert_eq!((&result["status"], &result["winner"]), (&json!("conflict"), &json!("server")));
    assert_eq!(pull_all(&stack, &laptop).await.entries["e"]["encrypted_data"], "y");
}

#[tokio::test]
async fn deleted_ids_mind_what_the_device_had_seen() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &[entry("e", "a", "x", json!({ "a": 1 }), 100)]).await;
    let seen = text(&pull(&stack, &laptop, json!({})).await["cursor"]);
    push(&stack, &phone, &[entry("e", "a", "y", json!({ "a": 2 }), 200)]).await;
    let pushed = try_push(&stack, &laptop, json!({ "deleted_ids": ["e"], "base_cursor": seen })).await.ok();
    assert_eq!(pushed["conflicts"], json!(["e"]));
    assert_eq!(pushed["results"][0]["server_entry"]["encrypted_data"], "y");
    assert_eq!(pull_all(&stack, &laptop).await.entries["e"]["encrypted_data"], "y");
}

// The seed's initial pull leaves deleted rows out, its clients keep them.
#[tokio::test]
async fn a_deleted_entry_is_told_in_deleted_ids() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &[entry("e", "a", "x", json!({ "a": 1 }), 100)]).await;
    delete_ids(&stack, &phone, &["e"]).await;
    let page = pull(&stack, &laptop, json!({ "last_sync_at": null })).await;
    assert_eq!((&page["entries"], &page["deleted_ids"]), (&json!([]), &json!(["e"])));
}

// The seed accepts the deletion of what it never had, and a deletion twice moves its time.
#[tokio::test]
async fn an_unknown_or_deleted_id_is_deleted_without_a_write() {
    let (stack, phone, _) = two_devices().await;
    push(&stack, &phone, &[entry("e", "a", "x", json!({ "a": 1 }), 100)]).await;
    delete_ids(&stack, &phone, &["e"]).await;
    let head = crate::support::status(&stack, &phone).await["head"].clone();
    let pushed = delete_ids(&stack, &phone, &["e", "never"]).await;
    assert_eq!(pushed["accepted"], json!(["e", "never"]));
    assert_eq!([&pushed["results"][0]["status"], &pushed["results"][1]["status"]], ["unchanged", "unchanged"]);
    assert_eq!(crate::support::status(&stack, &phone).await["head"], head);
}

// The seed keeps the first `created_at` whatever an update says; here one that says nothing leaves it.
#[tokio::test]
async fn an_update_without_created_at_keeps_the_first() {
    let (stack, phone, laptop) = two_devices().await;
    let bare = |id: &str, data: &str, clock: Value, at: i64| json!({ "id": id, "device_id": "a", "encrypted_data": data, "vector_clock": clock, "updated_at": at });
    push(&stack, &phone, &[entry("given", "a", "x", json!({ "a": 1 }), 100), bare("never", "x", json!({}), 100)]).await;
    push(&stack, &phone, &[bare("given", "y", json!({ "a": 2 }), 200), bare("never", "y", json!({}), 200)]).await;
    delete_ids(&stack, &phone, &["given", "never"]).await;
    push(&stack, &laptop, &[bare("given", "z", json!({}), 1_800_000_000)]).await;
    push(&stack, &laptop, &[bare("never", "z", json!({}), 1_800_000_000)]).await;
    let held = pull_all(&stack, &phone).await;
    let created = |id: &str| (held.entries[id]["encrypted_data"].clone(), held.entries[id]["created_at"].clone());
    assert_eq!(created("given"), (json!("z"), json!(1_702_300_000)));
    assert_eq!(created("never"), (json!("z"), json!(100)));
}
