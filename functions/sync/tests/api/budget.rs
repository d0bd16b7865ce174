//! A push's answer is at most 4,500,000 bytes as Lambda carries it.

use satchel_testkit::Answer;
use serde_json::{Map, Value, json};

use crate::support::{Held, entry, escaped, pull_all, pull_on, push, text, try_push, two_devices};

const MOST: usize = 4_500_000;

fn results(answer: &Answer) -> Vec<Value> {
    answer.ok()["results"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_thousand_tiny_stale_entries_against_200_kib_ones_get_an_answer_that_fits() {
    let (stack, phone, laptop) = two_devices().await;
    // 60 large ones are enough to fill the answer thrice; all thousand are stale.
    let ids: Vec<String> = (0..1_000).map(|at| format!("e{at:04}")).collect();
    let of = |at: usize| if at < 60 { "x".repeat(200 * 1024) } else { "small".to_owned() };
    let stored: Vec<Value> =
        ids.iter().enumerate().map(|(at, id)| entry(id, "a", &of(at), json!({ "a": 2 }), 5)).collect();
    for part in [&stored[..20], &stored[20..40], &stored[40..60], &stored[60..]] {
        push(&stack, &phone, part).await;
    }
    let stale: Vec<Value> = ids.iter().map(|id| entry(id, "a", "o", json!({ "a": 1 }), 5)).collect();
    let answer = try_push(&stack, &laptop, json!({ "entries": stale })).await;
    assert!(escaped(&answer) <= MOST, "{}", escaped(&answer));
    let results = results(&answer);
    assert_eq!(results.len(), 1_000);
    assert!(results.iter().all(|result| result["status"] == "stale"));
    let told = results.iter().position(|result| result["server_entry_omitted"] == true).unwrap();
    assert!((15..30).contains(&told), "{told} entries fit");
    for (at, result) in results.iter().enumerate() {
        assert_eq!(result["server_entry"].is_object(), at < told, "{at}");
        assert_eq!(result.get("server_entry_omitted").is_some(), at >= told, "{at}");
        assert_eq!(result["vector_clock"], json!({ "a": 2 }), "clocks still fit: {at}");
    }
}

#[tokio::test]
async fn clocks_of_256_long_keys_in_a_thousand_results_fit_or_are_left_out() {
    let (stack, phone, laptop) = two_devices().await;
    let keys: Vec<String> = (0..256).map(|at| format!("{at:0>64}")).collect();
    let clock = |keys: &[String], count: u64| {
        Value::Object(keys.iter().map(|key| (key.clone(), json!(count))).collect::<Map<_, _>>())
    };
    // The first 250 entries get full clocks, 64 new keys at a time.
    let ids: Vec<String> = (0..250).map(|at| format!("e{at:04}")).collect();
    for step in 1..=4 {
        for part in ids.chunks(125) {
            let clock = clock(&keys[..64 * step], 9_007_199_254_740_000);
            let entries: Vec<Value> =
                part.iter().map(|id| entry(id, "a", &format!("v{step}"), clock.clone(), 5)).collect();
            push(&stack, &phone, &entries).await;
        }
    }
    let stale: Vec<Value> = (0..1_000).map(|at| entry(&ids[at % 250], "a", "old", clock(&keys[..1], 1), 5)).collect();
    let answer = try_push(&stack, &laptop, json!({ "entries": stale })).await;
    assert!(escaped(&answer) <= MOST, "{}", escaped(&answer));
    let results = results(&answer);
    assert_eq!(results.len(), 1_000);
    let without = results.iter().position(|result| result.get("vector_clock").is_none()).unwrap();
    assert!(
        results[without..]
            .iter()
            .all(|result| result.get("vector_clock").is_none() && result["server_entry_omitted"] == true)
    );
    assert!(without > 150, "{without}");
}

#[tokio::test]
async fn what_was_left_out_of_the_answer_comes_with_the_next_pull() {
    let (stack, phone, laptop) = two_devices().await;
    let large = "x".repeat(250 * 1024);
    let stored: Vec<Value> =
        (0..24).map(|at| entry(&format!("e{at:02}"), "a", &large, json!({ "a": 1 }), 1_000)).collect();
    for part in stored.chunks(12) {
        push(&stack, &phone, part).await;
    }
    let start: Held = pull_all(&stack, &laptop).await;
    let earlier: Vec<Value> = (0..24).map(|at| entry(&format!("e{at:02}"), "b", "y", json!({ "b": 1 }), 5)).collect();
    let answer = try_push(&stack, &laptop, json!({ "entries": earlier, "base_cursor": start.cursor })).await.ok();
    let omitted: Vec<String> = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|result| result["server_entry_omitted"] == true)
        .map(|result| text(&result["id"]))
        .collect();
    assert!(!omitted.is_empty());
    let mut held = Held::default();
    pull_on(&stack, &laptop, &mut held, json!({ "cursor": answer["cursor"] }), 1_000).await;
    for id in omitted {
        assert_eq!(held.entries[&id]["vector_clock"], json!({ "a": 1, "b": 1 }), "{id}");
    }
}

#[tokio::test]
async fn a_thousand_results_with_the_longest_ids_fit() {
    let (stack, phone, _) = two_devices().await;
    let entries: Vec<Value> = (0..1_000)
        .map(|at| {
            entry(&format!("{at:0>128}"), &"a".repeat(128), "x", json!({ "k".repeat(64): 9_007_199_254_740_991u64 }), 5)
        })
        .collect();
    let answer = try_push(&stack, &phone, json!({ "entries": entries })).await;
    assert!(escaped(&answer) <= MOST);
    assert!(results(&answer).iter().all(|result| result["status"] == "applied" && result["vector_clock"].is_object()));
}

#[tokio::test]
async fn invalid_ids_of_megabytes_come_back_cut() {
    let (stack, phone, _) = two_devices().await;
    let (long, dangerous) = ("x".repeat(2_000_000), "\u{1}".repeat(200_000));
    let short = "no/id";
    let entries = [&*long, &dangerous, short].map(|id| entry(id, "a", "x", json!({ "a": 1 }), 5));
    let answer = try_push(&stack, &phone, json!({ "entries": entries })).await;
    assert!(escaped(&answer) <= 10_000, "{}", escaped(&answer));
    let rejected = crate::support::texts(&answer.ok()["rejected"]);
    assert!(rejected.iter().all(|id| id.chars().count() <= 128));
    assert!(rejected[0].starts_with("xxx") && rejected[0].ends_with('…'), "no id that another entry could have");
    assert_eq!(rejected[2], short);
}

#[tokio::test]
async fn a_thousand_invalid_ids_fit() {
    let (stack, phone, _) = two_devices().await;
    let entries: Vec<Value> =
        (0..1_000).map(|at| entry(&format!("{at}{}", "\u{1}".repeat(400)), "a", "x", json!({}), 5)).collect();
    let answer = try_push(&stack, &phone, json!({ "entries": entries })).await;
    assert!(escaped(&answer) <= MOST, "{}", escaped(&answer));
    assert_eq!(results(&answer).len(), 1_000);
}
