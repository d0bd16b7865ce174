//! The cursor of a push's answer, and which cursors are believed.

use satchel_testkit::{Session, Stack};
use serde_json::{Value, json};

use crate::support::{delete_ids, entry, many, pull, pull_all, push, text, try_pull, try_push, two_devices};

async fn push_from(stack: &Stack, device: &Session, base: &str, entries: Vec<Value>) -> Value {
    try_push(stack, device, json!({ "entries": entries, "base_cursor": base })).await.ok()
}

fn one(id: &str) -> Vec<Value> {
    vec![entry(id, "a", "x", json!({ "a": 1 }), 5)]
}

#[tokio::test]
async fn a_push_at_the_head_moves_the_cursor_to_its_last_commit() {
    let (stack, phone, _) = two_devices().await;
    let base = pull_all(&stack, &phone).await.cursor;
    let pushed = push_from(&stack, &phone, &base, many(300, 10)).await;
    let cursor = text(&pushed["cursor"]);
    let page = pull(&stack, &phone, json!({ "cursor": cursor })).await;
    assert_eq!((&page["entries"], &page["complete"]), (&json!([]), &json!(true)));
    assert_eq!(page["cursor"], pushed["cursor"]);
}

#[tokio::test]
async fn pushes_can_go_on_from_each_others_cursors() {
    let (stack, phone, laptop) = two_devices().await;
    let mut cursor = pull_all(&stack, &phone).await.cursor;
    for id in ["e1", "e2", "e3"] {
        let next = text(&push_from(&stack, &phone, &cursor, one(id)).await["cursor"]);
        assert_ne!(next, cursor);
        cursor = next;
    }
    push(&stack, &laptop, &one("theirs")).await;
    let page = pull(&stack, &phone, json!({ "cursor": cursor })).await;
    assert_eq!(page["entries"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_push_behind_anothers_write_gives_the_base_cursor_back() {
    let (stack, phone, laptop) = two_devices().await;
    let base = pull_all(&stack, &phone).await.cursor;
    push(&stack, &laptop, &one("theirs")).await;
    let pushed = push_from(&stack, &phone, &base, one("mine")).await;
    assert_eq!(pushed["cursor"], json!(base));
    let page = pull(&stack, &phone, json!({ "cursor": base })).await;
    assert_eq!(page["entries"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_push_without_base_cursor_answers_none() {
    let (stack, phone, _) = two_devices().await;
    assert_eq!(push(&stack, &phone, &one("e")).await["cursor"], Value::Null);
}

#[tokio::test]
async fn a_push_that_writes_nothing_gives_the_base_cursor_back() {
    let (stack, phone, _) = two_devices().await;
    push(&stack, &phone, &one("e")).await;
    let base = pull_all(&stack, &phone).await.cursor;
    assert_eq!(push_from(&stack, &phone, &base, one("e")).await["cursor"], json!(base));
}

#[tokio::test]
async fn a_cursor_from_the_middle_of_a_full_pull_is_given_back() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &many(20, 10)).await;
    let middle = text(&pull(&stack, &laptop, json!({ "limit": 7 })).await["cursor"]);
    let pushed = push_from(&stack, &laptop, &middle, one("mine")).await;
    assert_eq!(pushed["cursor"], json!(middle));
}

#[tokio::test]
async fn a_cursor_inside_a_commit_is_given_back() {
    let (stack, phone, laptop) = two_devices().await;
    let start = pull_all(&stack, &laptop).await.cursor;
    push(&stack, &phone, &many(20, 10)).await;
    let inside = text(&pull(&stack, &laptop, json!({ "cursor": start, "limit": 7 })).await["cursor"]);
    let pushed = push_from(&stack, &laptop, &inside, one("mine")).await;
    assert_eq!(pushed["cursor"], json!(inside));
    let page = pull(&stack, &laptop, json!({ "cursor": inside })).await;
    assert_eq!(page["entries"].as_array().unwrap().len(), 14);
}

#[tokio::test]
async fn an_altered_or_cut_cursor_is_400() {
    let (stack, phone, _) = two_devices().await;
    push(&stack, &phone, &one("e")).await;
    let cursor = pull_all(&stack, &phone).await.cursor;
    let mut altered = cursor.clone();
    altered.replace_range(5..6, if &cursor[5..6] == "A" { "B" } else { "A" });
    for bad in [
        altered.as_str(),
        &cursor[..cursor.len() - 4],
        "",
        "x",
        "é",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        &"A".repeat(5_000),
    ] {
        try_pull(&stack, &phone, json!({ "cursor": bad })).await.refused(400, "invalid_cursor");
        try_push(&stack, &phone, json!({ "entries": one("f"), "base_cursor": bad }))
            .await
            .refused(400, "invalid_cursor");
    }
    assert_eq!(pull_all(&stack, &phone).await.ids(), ["e"], "nothing was pushed");
}

#[tokio::test]
async fn another_persons_cursor_is_400() {
    let (stack, phone, _) = two_devices().await;
    push(&stack, &phone, &one("e")).await;
    let eve = stack.sign_in("eve").await;
    stack.grant(&eve.user_id, "sync", 30).await;
    push(&stack, &eve, &one("hers")).await;
    let foreign = pull_all(&stack, &eve).await.cursor;
    try_pull(&stack, &phone, json!({ "cursor": foreign })).await.refused(400, "invalid_cursor");
    try_push(&stack, &phone, json!({ "base_cursor": foreign })).await.refused(400, "invalid_cursor");
}

#[tokio::test]
async fn a_cursor_of_a_history_is_none_of_a_pull_and_the_other_way_round() {
    let (stack, phone, _) = two_devices().await;
    for at in 1..=3 {
        push(&stack, &phone, &[entry("e", "a", &format!("v{at}"), json!({ "a": at }), 5)]).await;
        delete_ids(&stack, &phone, &["e"]).await;
        push(&stack, &phone, &[entry("e", "a", &format!("w{at}"), json!({ "a": 10 * at, "srv": at }), 5)]).await;
    }
    let page = stack.get("/sync/entries/e/history?limit=1").auth(&phone).send().await.ok();
    let of_history = text(&page["next_cursor"]);
    try_pull(&stack, &phone, json!({ "cursor": of_history })).await.refused(400, "invalid_cursor");
    let of_pull = pull_all(&stack, &phone).await.cursor;
    let call = stack.get("/sync/entries/e/history").auth(&phone).query(&[("cursor", &of_pull)]);
    call.send().await.refused(400, "invalid_cursor");
    let call = stack.get("/sync/entries/other/history").auth(&phone).query(&[("cursor", &of_history)]);
    call.send().await.refused(400, "invalid_cursor");
}

#[tokio::test]
async fn a_cursor_of_the_other_device_of_the_same_person_is_a_position_like_any() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &one("e")).await;
    let cursor = pull_all(&stack, &phone).await.cursor;
    push(&stack, &phone, &one("f")).await;
    let page = pull(&stack, &laptop, json!({ "cursor": cursor })).await;
    assert_eq!(page["entries"][0]["id"], "f");
}
