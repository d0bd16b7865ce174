//! The daily clean-up on a moved clock.

use satchel_domain::ids::{DeviceId, UserId};
use satchel_store::sessions::{self, EndReason};
use satchel_store::{Table, devices};
use satchel_testkit::{Session, Stack};
use serde_json::{Value, json};

const DAY: u64 = 86_400;

async fn rows_of(stack: &Stack, prefix: &str) -> Vec<Value> {
    let rows = stack.rows("DevicesTable").await;
    rows.into_iter().filter(|row| row["sk"].as_str().is_some_and(|sk| sk.starts_with(prefix))).collect()
}

async fn described(stack: &Stack, name: &str) -> Session {
    let who = stack.sign_in(name).await;
    stack.post("/devices").auth(&who).json(json!({ "token": format!("{name}-token") })).send().await.ok();
    who
}

async fn due(stack: &Stack) -> Vec<Value> {
    let rows = stack.rows("DevicesTable").await;
    rows.into_iter().filter(|row| row["pk"].as_str().is_some_and(|pk| pk.starts_with("DUE#"))).collect()
}

async fn run(stack: &Stack) -> Value {
    stack.run("devices-every-day-cleanup").await
}

fn table(stack: &Stack, logical_id: &str) -> Table {
    Table::new(stack.dynamodb(), stack.table(logical_id))
}

async fn session(stack: &Stack, who: &Session) -> sessions::Session {
    let user: UserId = who.user_id.parse().unwrap_or_else(|error| panic!("{error}"));
    let device: DeviceId = who.device_id.parse().unwrap_or_else(|error| panic!("{error}"));
    let found = sessions::get(&table(stack, "AccountsTable"), &user, &device).await;
    found.unwrap_or_else(|error| panic!("{error}")).unwrap_or_else(|| panic!("there is no session of {device}"))
}

/// What `auth-on-session` does of a sign-in.
async fn arrive(stack: &Stack, who: &Session) {
    let begun = session(stack, who).await;
    let arrived = devices::arrive(&table(stack, "DevicesTable"), &begun).await;
    arrived.unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test]
async fn an_unseen_device_goes_out_of_use() {
    let stack = Stack::start().await;
    let ada = described(&stack, "ada").await;
    stack.advance(90 * DAY - 1).await;
    assert_eq!(run(&stack).await["retired"], 0);
    assert_eq!(rows_of(&stack, "DEV#").await[0]["is_active"], true);
    stack.advance(1).await;
    run(&stack).await;
    let row = &rows_of(&stack, "DEV#").await[0];
    assert_eq!((&row["is_active"], row.get("push_token")), (&json!(false), None));
    assert!(rows_of(&stack, "TOK").await.is_empty());
    let refresh = stack.post("/auth/refresh").json(json!({ "refresh_token": ada.refresh_token })).send().await;
    assert_eq!(refresh.status, 401);
    assert_eq!(run(&stack).await, json!({ "retired": 0, "moved": 0, "finished": true }), "a second run did something");
}

#[tokio::test]
async fn a_device_in_use_stays_and_is_looked_at_again_in_time() {
    let stack = Stack::start().await;
    let ada = described(&stack, "ada").await;
    stack.advance(80 * DAY).await;
    // Only its session was used: a device that merely syncs is in use too.
    stack.post("/auth/refresh").json(json!({ "refresh_token": ada.refresh_token })).send().await.ok();
    stack.advance(11 * DAY).await;
    run(&stack).await;
    assert_eq!(rows_of(&stack, "DEV#").await[0]["is_active"], true);
    let places = due(&stack).await;
    assert_eq!(places.len(), 1, "a device stands on the list once");
    let day = 1_767_225_600 / DAY + 80 + 90;
    assert_eq!(places[0]["day"], day);
    stack.advance(79 * DAY).await;
    run(&stack).await;
    assert_eq!(rows_of(&stack, "DEV#").await[0]["is_active"], false);
}

#[tokio::test]
async fn a_retired_device_that_comes_back_is_in_use_again() {
    let stack = Stack::start().await;
    let ada = described(&stack, "ada").await;
    stack.advance(91 * DAY).await;
    run(&stack).await;
    stack.drain().await;
    let again = stack.sign_in_again(&ada).await;
    stack.post("/devices").auth(&again).json(json!({ "token": "new" })).send().await.ok();
    let rows = rows_of(&stack, "DEV#").await;
    assert!(rows.iter().any(|row| row["id"] == again.device_id.as_str() && row["is_active"] == true));
    assert_eq!(rows.len(), due(&stack).await.len(), "each device stands on the list once");
}

#[tokio::test]
async fn a_run_that_breaks_off_is_resumed() {
    let stack = Stack::start().await;
    for name in ["ada", "bob", "cleo", "dan", "eve", "fay"] {
        described(&stack, name).await;
    }
    // The last second before, so that the schedule itself finds nothing to do yet.
    stack.advance(90 * DAY - 1).await;
    stack.fault(json!({ "service": "dynamodb", "operation": "TransactWriteItems", "kind": "error", "probability": 0.8, "seed": 3 }));
    stack.advance(1).await;
    let mut broke_off = 0;
    for _ in 0..3 {
        // A run with failures says so, that it shows in the alarm.
        broke_off += u32::from(stack.invoke("devices-every-day-cleanup", json!({})).await.is_err());
    }
    assert!(broke_off > 0, "no run broke off");
    stack.faults().clear();
    run(&stack).await;
    let rows = rows_of(&stack, "DEV#").await;
    assert!(rows.iter().all(|row| row["is_active"] == false), "{rows:?}");
    assert!(rows_of(&stack, "TOK").await.is_empty());
    assert_eq!(due(&stack).await.len(), rows.len());
}

#[tokio::test]
async fn a_device_that_never_described_itself_is_cleaned_up() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    arrive(&stack, &ada).await;
    arrive(&stack, &ada).await;
    assert_eq!((rows_of(&stack, "DEV#").await.len(), due(&stack).await.len()), (1, 1));
    stack.advance(80 * DAY).await;
    let pair = stack.post("/auth/refresh").json(json!({ "refresh_token": ada.refresh_token })).send().await.ok();
    stack.advance(11 * DAY).await;
    run(&stack).await;
    assert!(session(&stack, &ada).await.is_live(), "a device that only syncs is in use");

    stack.advance(80 * DAY).await;
    run(&stack).await;
    stack.drain().await;
    assert_eq!(session(&stack, &ada).await.end_reason, Some(EndReason::Unseen));
    let body = json!({ "refresh_token": pair["refresh_token"] });
    stack.post("/auth/refresh").json(body).send().await.refused(401, "session_revoked");
    let told = stack.published().into_iter().filter(|event| event["event"]["data"]["reason"] == "unseen");
    assert_eq!(told.count(), 1);
    assert_eq!((rows_of(&stack, "DEV#").await.len(), due(&stack).await.len()), (1, 1));
}

#[tokio::test]
async fn an_unseen_device_is_not_shown_in_use() {
    let stack = Stack::start().await;
    let (described, silent) = (described(&stack, "ada").await, stack.sign_in("ada").await);
    let ids = async |who: &Session| {
        let list = stack.get("/devices").auth(who).send().await.ok();
        list["devices"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    stack.advance(90 * DAY - 1).await;
    let phone = stack.sign_in("ada").await;
    assert_eq!(ids(&phone).await.len(), 3);
    stack.advance(1).await;
    assert_eq!(ids(&phone).await, [phone.device_id.as_str()], "the clean-up need not have run for this");
    for gone in [&described, &silent] {
        let one = stack.get(&format!("/devices/{}", gone.device_id)).auth(&phone).send().await.ok();
        assert_eq!(one["is_active"], false);
    }
}

#[tokio::test]
async fn a_row_made_of_the_sign_in_is_no_description() {
    let stack = Stack::start().await;
    let ada = stack.sign_in_on("ada", "macos", "Ada's Mac").await;
    arrive(&stack, &ada).await;
    let row = rows_of(&stack, "DEV#").await.remove(0);
    assert_eq!((&row["device_name"], &row["platform"]), (&json!("Ada's Mac"), &json!("macos")));
    let first = stack.post("/devices").auth(&ada).json(json!({ "os_version": "26.1" })).send().await;
    let second = stack.post("/devices").auth(&ada).json(json!({ "os_version": "26.2" })).send().await;
    assert_eq!((first.status, second.status), (201, 200));
    assert_eq!((&first.json()["device_name"], &first.json()["os_version"]), (&json!("Ada's Mac"), &json!("26.1")));
    assert_eq!((rows_of(&stack, "DEV#").await.len(), due(&stack).await.len()), (1, 1));
}

#[tokio::test]
async fn a_late_word_of_a_sign_in_brings_no_deleted_device_back() {
    let stack = Stack::start().await;
    let (phone, other) = (stack.sign_in("ada").await, stack.sign_in("ada").await);
    let begun = session(&stack, &other).await;
    let path = format!("/devices/{}", other.device_id);
    assert_eq!(stack.delete(&path).auth(&phone).send().await.status, 204);
    devices::arrive(&table(&stack, "DevicesTable"), &begun).await.unwrap();
    assert!(rows_of(&stack, "DEV#").await.iter().all(|row| row["id"] != other.device_id.as_str()));
    stack.get(&path).auth(&phone).send().await.refused(404, "not_found");
}

#[tokio::test]
async fn a_session_used_at_the_last_moment_is_not_ended_for_disuse() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    let (accounts, read) = (table(&stack, "AccountsTable"), session(&stack, &ada).await);
    stack.advance(60).await;
    stack.post("/auth/refresh").json(json!({ "refresh_token": ada.refresh_token })).send().await.ok();
    let end = async |reason| sessions::end_this(&accounts, &read, reason, stack.timestamp()).await.unwrap();
    assert!(!end(EndReason::Unseen).await);
    assert!(!end(EndReason::Expired).await);
    assert!(session(&stack, &ada).await.is_live());
    assert!(end(EndReason::SignedOut).await, "who signs out means the session however often it was used");
    assert_eq!(session(&stack, &ada).await.end_reason, Some(EndReason::SignedOut));
}

#[tokio::test]
async fn what_the_registry_no_longer_knows_is_deleted() {
    let stack = Stack::start().await;
    let ada = described(&stack, "ada").await;
    stack.drain().await;
    let forgotten = session(&stack, &ada).await;
    let key = satchel_store::keys::accounts::device(&forgotten.user_id, &forgotten.device_id);
    table(&stack, "AccountsTable").delete(&key, satchel_store::Expr::always()).await.unwrap();
    stack.advance(90 * DAY).await;
    run(&stack).await;
    let left: Vec<Value> = stack.rows("DevicesTable").await;
    assert!(
        left.iter().all(|row| !row["pk"].as_str().is_some_and(|pk| pk.starts_with("TOK#") || pk.starts_with("DUE#")))
    );
    assert!(rows_of(&stack, "DEV#").await.is_empty(), "{left:?}");
}
