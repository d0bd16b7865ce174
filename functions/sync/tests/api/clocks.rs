//! Clocks as they are pushed: what is refused, what is lowered, what is full.

use serde_json::{Map, Value, json};

use crate::support::{delete_ids, entry, pull_all, push, push_one, two_devices};

fn clock(keys: impl IntoIterator<Item = usize>) -> Value {
    Value::Object(keys.into_iter().map(|key| (format!("k{key:03}"), json!(1))).collect::<Map<_, _>>())
}

async fn pushed_once(clock: Value) -> Value {
    let (stack, phone, _) = two_devices().await;
    push_one(&stack, &phone, entry("e", "a", "x", clock, 5)).await
}

#[tokio::test]
async fn a_clock_of_64_keys_is_taken() {
    assert_eq!(pushed_once(clock(0..64)).await["status"], "applied");
}

#[tokio::test]
async fn a_clock_of_65_keys_is_invalid() {
    assert_eq!(pushed_once(clock(0..65)).await["error"], "too_many_clock_keys");
}

#[tokio::test]
async fn counts_that_are_no_positive_integers_below_2_to_the_53_are_invalid() {
    for count in [json!(0), json!(-1), json!(1.5), json!(9_007_199_254_740_992u64), json!(1e300)] {
        let result = pushed_once(json!({ "a": count })).await;
        assert_eq!((&result["status"], &result["error"]), (&json!("invalid"), &json!("invalid_clock")), "{count}");
    }
}

#[tokio::test]
async fn a_count_of_2_to_the_53_less_one_is_taken() {
    let result = pushed_once(json!({ "a": 9_007_199_254_740_991u64 })).await;
    assert_eq!(
        (&result["status"], &result["vector_clock"]["a"]),
        (&json!("applied"), &json!(9_007_199_254_740_991u64))
    );
}

#[tokio::test]
async fn keys_with_other_characters_or_of_65_are_invalid() {
    for key in ["", "a/b", "a#b", "é", &"k".repeat(65)] {
        assert_eq!(pushed_once(json!({ key: 1 })).await["error"], "invalid_clock", "{key}");
    }
    assert_eq!(pushed_once(json!({ "k".repeat(64): 1 })).await["status"], "applied");
}

#[tokio::test]
async fn an_invalid_clock_is_invalid_alone() {
    let (stack, phone, laptop) = two_devices().await;
    let entries = [entry("bad", "a", "x", json!({ "a": -1 }), 5), entry("good", "a", "x", json!({ "a": 1 }), 5)];
    let pushed = push(&stack, &phone, &entries).await;
    assert_eq!((&pushed["accepted"], &pushed["rejected"]), (&json!(["good"]), &json!(["bad"])));
    assert_eq!(pull_all(&stack, &laptop).await.ids(), ["good"]);
}

#[tokio::test]
async fn a_merge_past_256_keys_is_clock_full_and_the_entry_can_still_be_deleted() {
    let (stack, phone, laptop) = two_devices().await;
    for step in 1..=4 {
        let result = push_one(&stack, &phone, entry("e", "a", &format!("{step}"), clock(0..64 * step), 5)).await;
        assert_eq!(result["status"], "applied", "{result}");
    }
    let concurrent = push_one(&stack, &laptop, entry("e", "b", "y", json!({ "one-more": 1 }), 9)).await;
    assert_eq!((&concurrent["status"], &concurrent["error"]), (&json!("invalid"), &json!("clock_full")));
    let dominating = push_one(&stack, &laptop, entry("e", "b", "y", clock(0..257), 9)).await;
    assert_eq!(dominating["error"], "clock_full");
    assert_eq!(pull_all(&stack, &laptop).await.entries["e"]["encrypted_data"], "4");
    let deleted = delete_ids(&stack, &laptop, &["e"]).await;
    assert_eq!(deleted["results"][0]["vector_clock"]["srv"], 1, "the server's key is not counted");
    let copy = push_one(&stack, &laptop, entry("copy", "b", "4", json!({ "b": 1 }), 9)).await;
    assert_eq!(copy["status"], "applied");
}

#[tokio::test]
async fn a_device_in_a_full_clock_can_go_on() {
    let (stack, phone, _) = two_devices().await;
    for step in 1..=4 {
        push_one(&stack, &phone, entry("e", "a", &format!("{step}"), clock(0..64 * step), 5)).await;
    }
    let mut next = clock(0..256);
    next["k000"] = json!(2);
    assert_eq!(push_one(&stack, &phone, entry("e", "a", "5", next, 5)).await["status"], "applied");
}

#[tokio::test]
async fn a_clients_srv_is_lowered_to_the_servers() {
    let (stack, phone, laptop) = two_devices().await;
    let first = push_one(&stack, &phone, entry("e", "a", "x", json!({ "a": 1, "srv": 50 }), 5)).await;
    assert_eq!(first["vector_clock"], json!({ "a": 1 }), "left out where there was none");
    delete_ids(&stack, &phone, &["e"]).await;
    let back = push_one(&stack, &laptop, entry("e", "b", "y", json!({ "a": 1, "b": 1, "srv": 50 }), 9)).await;
    assert_eq!(back["vector_clock"], json!({ "a": 1, "b": 1, "srv": 1 }));
    assert_eq!(back["status"], "applied");
}

#[tokio::test]
async fn a_clock_of_nothing_but_srv_is_no_clock() {
    let (stack, phone, laptop) = two_devices().await;
    let first = push_one(&stack, &phone, entry("e", "a", "x", json!({ "srv": 9 }), 5)).await;
    assert_eq!(first["vector_clock"], json!({ "srv": 1 }));
    let echoed = push_one(&stack, &laptop, entry("e", "b", "y", json!({ "srv": 1, "b": 1 }), 9)).await;
    assert_eq!((&echoed["status"], &echoed["vector_clock"]), (&json!("applied"), &json!({ "b": 1, "srv": 1 })));
}

#[tokio::test]
async fn a_text_as_a_count_is_422() {
    let (stack, phone, _) = two_devices().await;
    let body = json!({ "entries": [entry("e", "a", "x", json!({ "a": "1" }), 5)] });
    assert_eq!(crate::support::try_push(&stack, &phone, body).await.status, 422);
}

#[tokio::test]
async fn a_clock_never_goes_back_whatever_is_pushed() {
    let (stack, phone, laptop) = two_devices().await;
    let clocks = [
        json!({ "a": 3 }),
        json!({ "b": 2 }),
        json!({}),
        json!({ "a": 1, "b": 1 }),
        json!({ "a": 4 }),
        json!({ "c": 1, "srv": 7 }),
    ];
    let mut before: Map<String, Value> = Map::new();
    for (at, clock) in clocks.into_iter().enumerate() {
        let device = if at % 2 == 0 { &phone } else { &laptop };
        push_one(&stack, device, entry("e", "a", &format!("v{at}"), clock, 100 + at as i64)).await;
        let now = pull_all(&stack, &phone).await.entries["e"]["vector_clock"].as_object().unwrap().clone();
        for (key, count) in &before {
            assert!(now[key].as_u64() >= count.as_u64(), "{key}: {before:?} became {now:?}");
        }
        before = now;
    }
}
