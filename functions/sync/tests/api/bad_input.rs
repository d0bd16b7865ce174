//! Bad requests: a clear problem, and nothing changes.

use satchel_testkit::{Answer, Session, Stack};
use serde_json::{Value, json};

use crate::support::{entry, status, try_pull, try_push, two_devices};

async fn raw(stack: &Stack, device: &Session, path: &str, body: impl Into<Vec<u8>>) -> Answer {
    let body: Vec<u8> = body.into();
    stack.post(path).auth(device).header("content-type", "application/json").body(body).send().await
}

const BODIES: [&str; 2] = ["/sync/push", "/sync/pull"];

#[tokio::test]
async fn another_content_type_is_415() {
    let (stack, phone, _) = two_devices().await;
    for path in BODIES {
        let body = json!({ "device_id": phone.device_id }).to_string();
        let call = stack.post(path).auth(&phone).header("content-type", "text/plain").body(body.clone());
        assert_eq!(call.send().await.status, 415);
        assert_eq!(stack.post(path).auth(&phone).body(body).send().await.status, 415, "without content type");
    }
}

#[tokio::test]
async fn truncated_json_is_400() {
    let (stack, phone, _) = two_devices().await;
    for path in BODIES {
        raw(&stack, &phone, path, "{\"device_id\": \"").await.refused(400, "malformed_json");
    }
}

#[tokio::test]
async fn invalid_utf8_is_400() {
    let (stack, phone, _) = two_devices().await;
    for path in BODIES {
        let answer = raw(&stack, &phone, path, b"{\"device_id\": \"\xff\xfe\"}".to_vec()).await;
        answer.refused(400, "malformed_json");
    }
}

#[tokio::test]
async fn deep_nesting_is_refused_where_it_is_read_and_ignored_where_it_is_not() {
    let (stack, phone, _) = two_devices().await;
    let nested = |field: &str, open: &str, close: &str| {
        format!("{{\"{field}\":{}{},\"device_id\":\"{}\"}}", open.repeat(50_000), close.repeat(50_000), phone.device_id)
    };
    for (path, field) in [("/sync/push", "entries"), ("/sync/push", "deleted_ids"), ("/sync/pull", "vector_clock")] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let answer = raw(&stack, &phone, path, nested(field, open, close)).await;
            assert!([400, 422].contains(&answer.status), "{answer}");
        }
    }
    for path in BODIES {
        raw(&stack, &phone, path, nested("unknown", "[", "]")).await.ok();
    }
    assert_eq!(status(&stack, &phone).await["head"], 0);
}

#[tokio::test]
async fn a_body_over_4_mib_is_413_and_changes_nothing() {
    let (stack, phone, _) = two_devices().await;
    let padding = "x".repeat(4 * 1024 * 1024);
    let body = json!({ "entries": [entry("e", "a", "x", json!({ "a": 1 }), 5)], "padding": padding });
    try_push(&stack, &phone, body).await.refused(413, "body_too_large");
    assert_eq!(status(&stack, &phone).await["head"], 0);
}

#[tokio::test]
async fn wrong_types_are_422() {
    let (stack, phone, _) = two_devices().await;
    let pushes = [
        json!({ "entries": {} }),
        json!({ "entries": [[]] }),
        json!({ "entries": [{ "id": 5 }] }),
        json!({ "deleted_ids": "e" }),
        json!({ "deleted_ids": [5] }),
        json!({ "base_cursor": 5 }),
        json!({ "conflict_policy": "maybe" }),
    ];
    for body in pushes {
        assert_eq!(try_push(&stack, &phone, body.clone()).await.status, 422, "{body}");
    }
    for body in [
        json!({ "last_sync_at": "now" }),
        json!({ "last_sync_at": -1 }),
        json!({ "cursor": 5 }),
        json!({ "limit": "7" }),
    ] {
        assert_eq!(try_pull(&stack, &phone, body.clone()).await.status, 422, "{body}");
    }
    for body in ["[]", "null", "\"x\"", "5"] {
        assert_eq!(raw(&stack, &phone, "/sync/push", body).await.status, 422, "{body}");
    }
}

#[tokio::test]
async fn a_limit_outside_1_to_1000_is_422() {
    let (stack, phone, _) = two_devices().await;
    for limit in [0, 1_001] {
        let answer = try_pull(&stack, &phone, json!({ "limit": limit })).await;
        assert_eq!(answer.status, 422);
        assert_eq!(answer.json()["errors"][0]["field"], "limit");
    }
}

#[tokio::test]
async fn a_missing_device_id_is_422() {
    let (stack, phone, _) = two_devices().await;
    for path in BODIES {
        assert_eq!(raw(&stack, &phone, path, "{}").await.status, 422);
    }
}

#[tokio::test]
async fn unknown_fields_are_ignored() {
    let (stack, phone, _) = two_devices().await;
    let mut new = entry("e", "a", "x", json!({ "a": 1 }), 5);
    new["colour"] = json!("green");
    let pushed = try_push(&stack, &phone, json!({ "entries": [new], "mood": "good" })).await.ok();
    assert_eq!(pushed["accepted"], json!(["e"]));
}

#[tokio::test]
async fn nulls_where_a_field_may_be_missing_are_as_missing() {
    let (stack, phone, _) = two_devices().await;
    try_pull(&stack, &phone, json!({ "last_sync_at": null, "cursor": null })).await.ok();
    try_push(&stack, &phone, json!({ "entries": [], "base_cursor": null })).await.ok();
}

#[tokio::test]
async fn a_push_of_1000_entries_is_taken_and_of_1001_is_413() {
    let (stack, phone, _) = two_devices().await;
    let mut entries = crate::support::many(1_001, 4);
    try_push(&stack, &phone, json!({ "entries": entries })).await.refused(413, "too_many_entries");
    assert_eq!(status(&stack, &phone).await["head"], 0, "nothing of it was taken");
    entries.pop();
    let body = json!({ "entries": entries, "deleted_ids": ["x"] });
    try_push(&stack, &phone, body).await.refused(413, "too_many_entries");
    try_push(&stack, &phone, json!({ "entries": entries })).await.ok();
    assert_eq!(status(&stack, &phone).await["entry_count"], 1_000);
}

#[tokio::test]
async fn an_empty_push_changes_nothing() {
    let (stack, phone, _) = two_devices().await;
    let pushed = try_push(&stack, &phone, json!({})).await.ok();
    assert_eq!(
        (&pushed["results"], &pushed["cursor"], &pushed["server_timestamp"]),
        (&json!([]), &Value::Null, &json!(0))
    );
}

#[tokio::test]
async fn a_history_of_what_is_no_id_is_404_and_a_bad_limit_422() {
    let (stack, phone, _) = two_devices().await;
    for id in ["%2E%2E%2Fx", "a%23b", "a%00b", "never", &"x".repeat(129)] {
        let answer = stack.get(&format!("/sync/entries/{id}/history")).auth(&phone).send().await;
        assert_eq!(answer.status, 404, "{answer}");
    }
    for limit in ["0", "101", "x"] {
        let answer = stack.get("/sync/entries/e/history").auth(&phone).query(&[("limit", limit)]).send().await;
        assert_eq!(answer.status, 422, "{answer}");
    }
}

#[tokio::test]
async fn no_token_or_a_cut_one_is_401() {
    let (stack, phone, _) = two_devices().await;
    let cut = &phone.access_token[..phone.access_token.len() - 5];
    for path in BODIES {
        let body = json!({ "device_id": phone.device_id });
        assert_eq!(stack.post(path).json(&body).send().await.status, 401);
        assert_eq!(stack.post(path).bearer(cut).json(&body).send().await.status, 401);
    }
}
