//! Pages: the same set in any size, stable under writers, never too large.

use satchel_testkit::{Session, Stack};
use serde_json::json;

use crate::support::{
    Held, delete_ids, entry, escaped, many, pull, pull_all, pull_on, push, text, tombstone, try_pull, two_devices,
};

/// 90 entries and 10 tombstones, in several commits.
async fn filled() -> (Stack, Session, Session) {
    let (stack, phone, laptop) = two_devices().await;
    for part in many(100, 50).chunks(30) {
        push(&stack, &phone, part).await;
    }
    let ids: Vec<String> = (0..10).map(|at| format!("e{:04}", at * 7)).collect();
    delete_ids(&stack, &phone, &ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    (stack, phone, laptop)
}

#[tokio::test]
async fn a_full_pull_is_the_same_in_pages_of_1_and_7_and_1000() {
    let (stack, _, laptop) = filled().await;
    let whole = pull_all(&stack, &laptop).await;
    assert_eq!((whole.entries.len(), whole.tombstones.len(), whole.pages), (90, 10, 1));
    for limit in [1, 7] {
        let mut held = Held::default();
        pull_on(&stack, &laptop, &mut held, json!({}), limit).await;
        assert_eq!((&held.entries, &held.tombstones), (&whole.entries, &whole.tombstones), "pages of {limit}");
        assert_eq!(held.cursor, whole.cursor);
    }
}

#[tokio::test]
async fn a_delta_pull_is_the_same_in_pages_of_1_and_7_and_1000() {
    let (stack, phone, laptop) = filled().await;
    let start = pull_all(&stack, &laptop).await;
    let more: Vec<_> = (0..60).map(|at| entry(&format!("n{at:03}"), "a", "new", json!({ "a": 1 }), 5)).collect();
    push(&stack, &phone, &more).await;
    push(&stack, &phone, &[entry("e0001", "a", "changed", json!({ "a": 2 }), 5)]).await;
    delete_ids(&stack, &phone, &["e0002", "n000"]).await;
    let mut whole = start.clone();
    pull_on(&stack, &laptop, &mut whole, json!({ "cursor": start.cursor }), 1_000).await;
    for limit in [1, 7] {
        let mut held = start.clone();
        pull_on(&stack, &laptop, &mut held, json!({ "cursor": start.cursor }), limit).await;
        assert_eq!((&held.entries, &held.tombstones), (&whole.entries, &whole.tombstones), "pages of {limit}");
        assert_eq!(held.cursor, whole.cursor);
    }
    assert_eq!(whole.entries, pull_all(&stack, &laptop).await.entries);
}

#[tokio::test]
async fn an_id_is_told_once_on_a_page() {
    let (stack, _, laptop) = filled().await;
    let page = pull(&stack, &laptop, json!({})).await;
    let told = page["entries"].as_array().unwrap().iter().chain(page["tombstones"].as_array().unwrap());
    let ids: Vec<_> = told.map(|one| text(&one["id"])).collect();
    let once: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(ids.len(), once.len());
}

#[tokio::test]
async fn an_old_space_is_told_once_in_any_pages() {
    let (stack, _, laptop) = filled().await;
    stack.advance(60).await;
    let mut told = 0;
    let mut body = json!({ "limit": 7 });
    loop {
        let page = pull(&stack, &laptop, body).await;
        told += page["entries"].as_array().unwrap().len() + page["tombstones"].as_array().unwrap().len();
        if page["has_more"] == false {
            break;
        }
        body = json!({ "limit": 7, "cursor": page["cursor"] });
    }
    assert_eq!(told, 100);
}

#[tokio::test]
async fn a_full_pull_under_writers_ends_at_what_is_there() {
    let (stack, phone, laptop) = filled().await;
    let mut held = Held::default();
    let mut body = json!({ "limit": 10 });
    for at in 0.. {
        let page = pull(&stack, &laptop, body).await;
        held.take(&page);
        if page["has_more"] == false {
            break;
        }
        if at < 8 {
            // In front of the walk and behind it.
            push(&stack, &phone, &[entry("e0001", "a", &format!("v{at}"), json!({ "a": 2 + at }), 5)]).await;
            push(&stack, &phone, &[entry(&format!("a{at}"), "a", "early", json!({ "a": 1 }), 5)]).await;
            push(&stack, &phone, &[tombstone(&format!("e009{at}"), "a", json!({ "a": 2 }), 5)]).await;
        }
        body = json!({ "limit": 10, "cursor": page["cursor"] });
    }
    let now = pull_all(&stack, &phone).await;
    assert_eq!((held.entries, held.tombstones), (now.entries, now.tombstones));
}

#[tokio::test]
async fn has_more_and_complete_are_opposites_and_snapshot_is_a_full_pulls() {
    let (stack, phone, laptop) = filled().await;
    let first = pull(&stack, &laptop, json!({ "limit": 99 })).await;
    assert_eq!([&first["has_more"], &first["complete"], &first["snapshot"]], [true, false, true]);
    let cursor = pull_all(&stack, &laptop).await.cursor;
    push(&stack, &phone, &many(3, 5)).await;
    push(&stack, &phone, &[entry("z1", "a", "x", json!({ "a": 1 }), 5), entry("z2", "a", "x", json!({ "a": 1 }), 5)])
        .await;
    let delta = pull(&stack, &laptop, json!({ "cursor": cursor, "limit": 1 })).await;
    assert_eq!([&delta["has_more"], &delta["complete"], &delta["snapshot"]], [true, false, false]);
}

#[tokio::test]
async fn a_later_commit_tells_an_entry_once() {
    let (stack, phone, laptop) = two_devices().await;
    let start = pull_all(&stack, &laptop).await.cursor;
    for at in 1..=5 {
        push(&stack, &phone, &[entry("e", "a", &format!("v{at}"), json!({ "a": at }), 5)]).await;
    }
    let page = pull(&stack, &laptop, json!({ "cursor": start })).await;
    assert_eq!(page["entries"].as_array().unwrap().len(), 1);
    assert_eq!(page["entries"][0]["encrypted_data"], "v5");
}

#[tokio::test]
async fn a_cursor_stays_valid_and_brings_what_came_since() {
    let (stack, phone, laptop) = filled().await;
    let cursor = pull_all(&stack, &laptop).await.cursor;
    for _ in 0..2 {
        push(&stack, &phone, &[entry("new", "a", "x", json!({ "a": 1 }), 5)]).await;
        let page = pull(&stack, &laptop, json!({ "cursor": cursor })).await;
        assert_eq!(page["entries"][0]["id"], "new");
    }
}

#[tokio::test]
async fn pages_of_256_kib_entries_fit_the_answer_and_bring_all() {
    let (stack, phone, laptop) = two_devices().await;
    let start = pull_all(&stack, &laptop).await.cursor;
    let entries = many(40, 262_144);
    for part in entries.chunks(11) {
        push(&stack, &phone, part).await;
    }
    stack.advance(60).await;
    for first in [json!({}), json!({ "cursor": start })] {
        let (mut held, mut body) = (Held::default(), first);
        loop {
            let answer = try_pull(&stack, &laptop, body).await;
            assert!(escaped(&answer) <= 4_500_000, "{}", escaped(&answer));
            let page = answer.ok();
            assert!(!page["entries"].as_array().unwrap().is_empty());
            held.take(&page);
            if page["has_more"] == false {
                break;
            }
            body = json!({ "cursor": held.cursor });
        }
        assert_eq!(held.entries.len(), 40);
        assert!(held.pages <= 4, "{} pages", held.pages);
    }
}

#[tokio::test]
async fn text_that_escapes_badly_fits_the_answer_too() {
    let (stack, phone, laptop) = two_devices().await;
    let nasty = "\u{1}".repeat(100_000);
    for at in 0..12 {
        push(&stack, &phone, &[entry(&format!("e{at}"), "a", &nasty, json!({ "a": 1 }), 5)]).await;
    }
    let mut held = Held::default();
    let mut body = json!({});
    loop {
        let answer = try_pull(&stack, &laptop, body).await;
        assert!(escaped(&answer) <= 4_500_000, "{}", escaped(&answer));
        let page = answer.ok();
        held.take(&page);
        if page["has_more"] == false {
            break;
        }
        body = json!({ "cursor": held.cursor });
    }
    assert_eq!(held.entries.len(), 12);
    assert!(held.pages > 1);
}

#[tokio::test]
async fn a_page_of_one_reads_few_entries() {
    let (stack, phone, laptop) = two_devices().await;
    let start = pull_all(&stack, &laptop).await.cursor;
    push(&stack, &phone, &many(60, 3_000)).await;
    stack.counters().watch_capacity(true);
    stack.counters().reset();
    let page = pull(&stack, &laptop, json!({ "cursor": start, "limit": 1 })).await;
    assert_eq!(page["entries"].as_array().unwrap().len(), 1);
    let units: f64 = stack.counters().snapshot().values().map(|count| count.read_units).sum();
    assert!(units <= 16.0, "{units} read units");
}
