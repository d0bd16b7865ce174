//! Ciphertext in and out, and what an entry may be.

use serde_json::{Value, json};

use crate::support::{assert_adds_up, blob, entry, pull_all, push, push_one, try_push, two_devices};

async fn comes_back(data: &str) {
    let (stack, phone, laptop) = two_devices().await;
    assert_eq!(push_one(&stack, &phone, entry("e", "a", data, json!({ "a": 1 }), 5)).await["status"], "applied");
    assert_eq!(pull_all(&stack, &laptop).await.entries["e"]["encrypted_data"], data);
    assert_adds_up(&stack, &phone).await;
}

#[tokio::test]
async fn canonical_base64_comes_back_as_it_came() {
    comes_back("aGVsbG8=").await;
}

#[tokio::test]
async fn base64_without_padding_comes_back_as_it_came() {
    comes_back("aGVsbG8").await;
}

#[tokio::test]
async fn base64_with_loose_bits_comes_back_as_it_came() {
    comes_back("aGVsbG9=").await;
}

#[tokio::test]
async fn url_safe_base64_comes_back_as_it_came() {
    comes_back("_-_-").await;
}

#[tokio::test]
async fn other_text_comes_back_as_it_came() {
    comes_back("version_b \u{1}\u{7f}\"\\ é🦀\n").await;
}

#[tokio::test]
async fn an_empty_text_comes_back_as_it_came() {
    comes_back("").await;
}

#[tokio::test]
async fn a_nul_in_a_text_comes_back_as_it_came() {
    comes_back("a\u{0}b").await;
}

#[tokio::test]
async fn base64_is_stored_decoded() {
    let (stack, phone, _) = two_devices().await;
    push(&stack, &phone, &[entry("e", "a", &blob(1, 3_000), json!({ "a": 1 }), 5)]).await;
    let status = crate::support::status(&stack, &phone).await;
    assert_eq!(status["bytes"], 3_000 + r#"{"a":1}"#.len() + 200);
}

#[tokio::test]
async fn the_content_of_a_delete_is_ignored() {
    let (stack, phone, laptop) = two_devices().await;
    let mut delete = entry("e", "a", "left behind", json!({ "a": 1 }), 5);
    delete["is_deleted"] = json!(true);
    assert_eq!(push_one(&stack, &phone, delete.clone()).await["status"], "applied");
    delete["encrypted_data"] = json!("");
    assert_eq!(push_one(&stack, &phone, delete).await["status"], "unchanged");
    assert!(pull_all(&stack, &laptop).await.tombstones.contains_key("e"));
}

#[tokio::test]
async fn an_entry_of_256_kib_is_taken_and_comes_back() {
    let (stack, phone, laptop) = two_devices().await;
    let data = blob(1, 262_144);
    assert_eq!(push_one(&stack, &phone, entry("e", "a", &data, json!({ "a": 1 }), 5)).await["status"], "applied");
    assert_eq!(pull_all(&stack, &laptop).await.entries["e"]["encrypted_data"], data);
}

#[tokio::test]
async fn an_entry_of_256_kib_and_a_byte_is_invalid_alone() {
    let (stack, phone, laptop) = two_devices().await;
    let entries =
        [entry("large", "a", &blob(1, 262_145), json!({ "a": 1 }), 5), entry("small", "a", "x", json!({ "a": 1 }), 5)];
    let pushed = push(&stack, &phone, &entries).await;
    assert_eq!((&pushed["accepted"], &pushed["rejected"]), (&json!(["small"]), &json!(["large"])));
    assert_eq!(pushed["results"][0]["error"], "entry_too_large");
    assert_eq!(pull_all(&stack, &laptop).await.ids(), ["small"]);
}

#[tokio::test]
async fn replacing_and_deleting_entries_of_256_kib_keeps_them_in_history() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &[entry("e", "a", &blob(1, 262_144), json!({ "a": 1 }), 5)]).await;
    push(&stack, &laptop, &[entry("e", "b", &blob(2, 262_144), json!({ "b": 1 }), 6)]).await;
    crate::support::delete_ids(&stack, &phone, &["e"]).await;
    let reasons = crate::support::reasons(&stack, &phone, "e").await;
    assert_eq!(reasons, [(blob(2, 262_144), "deleted".to_owned()), (blob(1, 262_144), "lost".to_owned())]);
}

async fn is_invalid(entry: Value, error: &str) {
    let (stack, phone, laptop) = two_devices().await;
    let pushed = push(&stack, &phone, &[entry]).await;
    assert_eq!(pushed["results"][0]["status"], "invalid", "{pushed}");
    assert_eq!(pushed["results"][0]["error"], error);
    assert_eq!(pushed["rejected"].as_array().unwrap().len(), 1);
    assert_eq!(pull_all(&stack, &laptop).await.entries.len(), 0);
}

#[tokio::test]
async fn ids_with_slashes_dots_separators_or_none_are_invalid_or_harmless() {
    let long = "x".repeat(129);
    for id in ["a/b", "a#b", "E#a", "", " ", "a b", "é", "a\u{0}b", &long] {
        is_invalid(entry(id, "a", "x", json!({ "a": 1 }), 5), "invalid_id").await;
    }
}

#[tokio::test]
async fn ids_of_dots_and_of_128_characters_are_ids() {
    let (stack, phone, laptop) = two_devices().await;
    let long = "x".repeat(128);
    for id in ["..", ".", "META", "usr_01JGFJJZ00AAAAAAAAAAAAAAAA", &long] {
        assert_eq!(
            push_one(&stack, &phone, entry(id, "a", "x", json!({ "a": 1 }), 5)).await["status"],
            "applied",
            "{id}"
        );
    }
    assert_eq!(pull_all(&stack, &laptop).await.entries.len(), 5);
    assert_adds_up(&stack, &phone).await;
}

#[tokio::test]
async fn a_bad_id_in_deleted_ids_is_invalid_alone() {
    let (stack, phone, _) = two_devices().await;
    push(&stack, &phone, &[entry("e", "a", "x", json!({ "a": 1 }), 5)]).await;
    let pushed = crate::support::delete_ids(&stack, &phone, &["a/b", "e"]).await;
    assert_eq!((&pushed["rejected"], &pushed["accepted"]), (&json!(["a/b"]), &json!(["e"])));
}

#[tokio::test]
async fn an_author_that_is_no_id_is_invalid() {
    is_invalid(entry("e", "a/b", "x", json!({ "a": 1 }), 5), "invalid_device_id").await;
}

#[tokio::test]
async fn a_negative_time_is_invalid() {
    is_invalid(entry("e", "a", "x", json!({ "a": 1 }), -1), "out_of_range").await;
}

#[tokio::test]
async fn an_entry_may_be_authored_by_an_older_device() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &[entry("e", "the-phone-before", "x", json!({ "the-phone-before": 1 }), 5)]).await;
    assert_eq!(pull_all(&stack, &laptop).await.entries["e"]["device_id"], "the-phone-before");
}

#[tokio::test]
async fn version_and_created_at_come_back_or_have_their_defaults() {
    let (stack, phone, laptop) = two_devices().await;
    let mut full = entry("full", "a", "x", json!({ "a": 1 }), 9);
    full["version"] = json!(7);
    full["created_at"] = json!(3);
    let bare =
        json!({ "id": "bare", "device_id": "a", "encrypted_data": "x", "vector_clock": { "a": 1 }, "updated_at": 9 });
    push(&stack, &phone, &[full, bare]).await;
    let held = pull_all(&stack, &laptop).await.entries;
    assert_eq!((&held["full"]["version"], &held["full"]["created_at"]), (&json!(7), &json!(3)));
    assert_eq!((&held["bare"]["version"], &held["bare"]["created_at"]), (&json!(1), &json!(9)));
}

#[tokio::test]
async fn an_entry_with_a_missing_field_is_422_and_changes_nothing() {
    for field in ["id", "device_id", "encrypted_data", "updated_at"] {
        let (stack, phone, laptop) = two_devices().await;
        let mut bad = entry("bad", "a", "x", json!({ "a": 1 }), 5);
        bad.as_object_mut().unwrap().remove(field);
        let entries = [entry("good", "a", "x", json!({ "a": 1 }), 5), bad];
        let answer = try_push(&stack, &phone, json!({ "entries": entries })).await;
        assert_eq!(answer.status, 422, "{field}: {answer}");
        assert_eq!(pull_all(&stack, &laptop).await.entries.len(), 0);
    }
}
