//! The simulation's short form: a few seeds on the model and on the real server, and every planted bug.

use satchel_testkit::{Options, Stack};
use satchel_tests::simulation::bug::Bug;
use satchel_tests::simulation::planted::hunt;
use satchel_tests::simulation::world::Backend;
use satchel_tests::simulation::{Plan, plans, run, run_all};
use serde_json::{Value, json};

#[test]
fn every_property_holds_in_a_few_stories() {
    let plans: Vec<_> = (1..=12).flat_map(plans).collect();
    let summary = run_all(&plans);
    if let Some(failure) = summary.failure {
        panic!("{failure}");
    }
    assert_eq!(summary.stories, 24);
}

#[test]
fn the_same_seed_is_the_same_story() {
    let plan = Plan { seed: 5, steps: 40, backend: Backend::Twin, bug: None };
    let requests = |plan| run(plan).unwrap_or_else(|failure| panic!("{failure}")).requests;
    assert_eq!(requests(plan), requests(plan));
}

#[test]
fn every_planted_bug_is_caught() {
    let free = Bug::ALL.into_iter().map(hunt).filter(|hunt| hunt.caught.is_none());
    assert_eq!(free.map(|hunt| hunt.line()).collect::<Vec<_>>(), Vec::<String>::new());
}

/// A first page that is asked for once more later begins another full pull: the one that goes on by number must not go on
/// from there, or it would skip what has changed in between on the pages it has.
#[tokio::test]
async fn a_late_first_page_does_not_move_a_full_pull_that_goes_on_by_number() {
    let stack = Stack::with(Options::default()).await;
    let (phone, laptop) = (stack.sign_in("ada").await, stack.sign_in("ada").await);
    stack.grant(&phone.user_id, "sync", 30).await;
    let push = async |id: &str, data: &str, count: u64| {
        let clock = json!({ "laptop": count });
        let entry = json!({
            "id": id, "device_id": laptop.device_id, "encrypted_data": data, "vector_clock": clock, "updated_at": stack.now(),
        });
        let body = json!({ "device_id": laptop.device_id, "entries": [entry] });
        stack.post("/sync/push").auth(&laptop).json(body).send().await.ok();
    };
    let pull = async |last_sync_at: Value, limit: u64| {
        let body = json!({ "device_id": phone.device_id, "last_sync_at": last_sync_at, "limit": limit });
        stack.post("/sync/pull").auth(&phone).json(body).send().await.ok()
    };
    for id in ["a", "b", "c"] {
        push(id, "old", 1).await;
    }
    stack.advance(60).await;
    let first = pull(Value::Null, 1).await;
    push("a", "new", 2).await;
    stack.advance(60).await;
    pull(Value::Null, 1).await;

    let mut heard = String::new();
    let mut at = first["server_timestamp"].clone();
    loop {
        let page = pull(at, 1_000).await;
        for entry in page["entries"].as_array().into_iter().flatten().filter(|entry| entry["id"] == "a") {
            entry["encrypted_data"].as_str().unwrap_or_default().clone_into(&mut heard);
        }
        if page["has_more"] == json!(false) {
            break;
        }
        at = page["server_timestamp"].clone();
    }
    assert_eq!(heard, "new");
}
