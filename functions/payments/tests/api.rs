//! The routes of payments over a whole local stack.

use satchel_testkit::Stack;
use serde_json::{Value, json};

const NOW: i64 = 1_767_225_600;
const DAY: i64 = 86_400;

async fn ledger(stack: &Stack) -> Vec<Value> {
    let rows = stack.rows("EntitlementsTable").await;
    rows.into_iter().filter(|row| row["sk"].as_str().is_some_and(|sk| sk.starts_with("LEDGER#"))).collect()
}

#[tokio::test]
async fn a_grant_shows_in_the_persons_entitlements_and_ends() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    let empty = stack.get("/payments/entitlements").auth(&ada).send().await.ok();
    assert_eq!(empty["entitlements"], json!([]));
    let uuid = empty["store_account_token"].as_str().unwrap();
    assert_eq!((uuid.len(), uuid.to_lowercase().as_str()), (36, uuid));

    let token = stack.backoffice(&["entitlements:write"]).await;
    let grant =
        json!({ "user_id": ada.user_id, "add_on_type": "sync", "expires_at": NOW + 30 * DAY, "reason": "thanks" });
    let given = stack.post("/payments/grants").bearer(&token).json(&grant).send().await;
    assert_eq!(given.status, 200);
    let given = given.json();
    let mut shown = stack.get("/payments/entitlements").auth(&ada).send().await.ok()["entitlements"].clone();
    let shown = shown.as_array_mut().unwrap().remove(0);
    for (name, value) in shown.as_object().unwrap() {
        assert_eq!(&given[name], value, "{name}");
    }
    assert_eq!(given["user_id"], ada.user_id.as_str());
    let id = shown["transaction_id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("grt_"));
    assert_eq!(
        shown,
        json!({ "add_on_type": "sync", "status": "active", "is_active": true, "expires_at": NOW + 30 * DAY, "will_renew": false,
            "is_trial": false, "platform": "grant", "product_id": "grant.sync", "environment": "production",
            "transaction_id": id, "original_transaction_id": id, "purchase_date": NOW, "updated_at": NOW })
    );

    stack.advance(30 * 86_400).await;
    let ada = stack.sign_in_again(&ada).await;
    let over = stack.get("/payments/entitlements").auth(&ada).send().await.ok();
    assert_eq!(
        (&over["entitlements"][0]["status"], &over["entitlements"][0]["is_active"]),
        (&json!("expired"), &json!(false))
    );
}

#[tokio::test]
async fn a_new_grant_takes_the_place_of_the_old_one() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    let token = stack.backoffice(&["entitlements:write"]).await;
    let give = |expires_at: Value| {
        stack
            .post("/payments/grants")
            .bearer(&token)
            .json(json!({ "user_id": ada.user_id, "add_on_type": "sync", "expires_at": expires_at, "reason": "r" }))
            .send()
    };
    assert_eq!(give(Value::Null).await.ok()["expires_at"], Value::Null);
    assert_eq!(give(json!(NOW + DAY)).await.ok()["expires_at"], NOW + DAY);
    let over = give(json!(NOW - DAY)).await.ok();
    assert_eq!((&over["status"], &over["is_active"]), (&json!("expired"), &json!(false)));
    let lines = ledger(&stack).await;
    assert_eq!(lines.len(), 3);
    assert!(lines.iter().all(|line| line.get("reason").is_none()), "a written reason stands in the ledger");
}

#[tokio::test]
async fn taking_back_ends_it_and_repeats() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    let token = stack.backoffice(&["entitlements:write"]).await;
    let revoke = || {
        stack
            .post("/payments/grants")
            .bearer(&token)
            .json(json!({ "user_id": ada.user_id, "add_on_type": "ai", "revoke": true }))
            .send()
    };
    revoke().await.refused(404, "not_found");
    stack
        .post("/payments/grants")
        .bearer(&token)
        .json(json!({ "user_id": ada.user_id, "add_on_type": "ai", "reason": "r" }))
        .send()
        .await
        .ok();
    let gone = revoke().await.ok();
    assert_eq!((&gone["status"], &gone["is_active"]), (&json!("revoked"), &json!(false)));
    stack.advance(5).await;
    assert_eq!(revoke().await.ok(), gone);
    assert_eq!(ledger(&stack).await.len(), 2);
    // Granted anew, it is there again.
    let again = stack
        .post("/payments/grants")
        .bearer(&token)
        .json(json!({ "user_id": ada.user_id, "add_on_type": "ai", "reason": "r" }))
        .send()
        .await
        .ok();
    assert_eq!(again["is_active"], true);
}

#[tokio::test]
async fn wrong_grants_are_refused() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    let token = stack.backoffice(&["entitlements:write"]).await;
    let good = json!({ "user_id": ada.user_id, "add_on_type": "sync", "reason": "r" });
    for (field, value) in [
        ("user_id", json!("dev_1")),
        ("user_id", Value::Null),
        ("add_on_type", json!("gold")),
        ("expires_at", json!("tomorrow")),
        ("expires_at", json!(-1)),
        ("expires_at", json!(1_767_225_600_000_i64)),
        ("expires_at", json!(1.5)),
        ("reason", json!("")),
        ("reason", json!("  ")),
        ("reason", Value::Null),
        ("reason", json!("x".repeat(501))),
        ("revoke", json!("yes")),
    ] {
        let mut body = good.clone();
        body[field] = value.clone();
        let problem =
            stack.post("/payments/grants").bearer(&token).json(&body).send().await.refused(422, "invalid_input");
        assert_eq!(problem["errors"][0]["field"], field, "{value}");
    }
    assert!(stack.rows("EntitlementsTable").await.is_empty());
    stack.post("/payments/grants").auth(&ada).json(&good).send().await.refused(403, "insufficient_scope");
    let other = stack.backoffice(&["portal:write"]).await;
    stack.post("/payments/grants").bearer(&other).json(&good).send().await.refused(403, "insufficient_scope");
    stack.post("/payments/grants").json(&good).send().await.refused(401, "missing_token");
    stack.get("/payments/entitlements").send().await.refused(401, "missing_token");
    stack.get("/payments/entitlements").bearer(&token).send().await.refused(403, "not_for_services");
}

#[tokio::test]
async fn a_grant_reaches_its_person_only() {
    let stack = Stack::start().await;
    let (ada, bob) = (stack.sign_in("ada").await, stack.sign_in("bob").await);
    stack.grant(&ada.user_id, "sync", 30).await;
    assert_eq!(
        stack.get("/payments/entitlements").auth(&ada).send().await.ok()["entitlements"].as_array().unwrap().len(),
        1
    );
    let of_bob = stack.get("/payments/entitlements").auth(&bob).send().await.ok();
    assert_eq!(of_bob["entitlements"], json!([]));
}

#[tokio::test]
async fn one_key_grants_once() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    let token = stack.backoffice(&["entitlements:write"]).await;
    let give = |reason: &str| {
        stack
            .post("/payments/grants")
            .bearer(&token)
            .header("idempotency-key", "k-1")
            .json(json!({ "user_id": ada.user_id, "add_on_type": "sync", "reason": reason }))
            .send()
    };
    let first = give("r").await.ok();
    assert_eq!(give("r").await.ok(), first);
    give("another").await.refused(409, "idempotency_key_reused");
    assert_eq!(ledger(&stack).await.len(), 1);
    stack.advance(86_400).await;
    let token = stack.backoffice(&["entitlements:write"]).await;
    let later = stack
        .post("/payments/grants")
        .bearer(&token)
        .header("idempotency-key", "k-1")
        .json(json!({ "user_id": ada.user_id, "add_on_type": "sync", "reason": "another" }))
        .send()
        .await
        .ok();
    assert_ne!(later["transaction_id"], first["transaction_id"], "a receipt outlived its day");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_at_the_same_moment_grants_once() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    let token = stack.backoffice(&["entitlements:write"]).await;
    let calls = (0..6).map(|_| {
        stack
            .post("/payments/grants")
            .bearer(&token)
            .header("idempotency-key", "k")
            .json(json!({ "user_id": ada.user_id, "add_on_type": "sync", "reason": "r" }))
            .send()
    });
    let answers = futures_util::future::join_all(calls).await;
    let bodies: Vec<Value> = answers.iter().map(satchel_testkit::Answer::ok).collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    assert_eq!(ledger(&stack).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grants_at_the_same_moment_are_all_in_the_ledger() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    let token = stack.backoffice(&["entitlements:write"]).await;
    let calls = (1..=5).map(|days| {
        stack
            .post("/payments/grants")
            .bearer(&token)
            .json(
                json!({ "user_id": ada.user_id, "add_on_type": "sync", "expires_at": NOW + days * DAY, "reason": "r" }),
            )
            .send()
    });
    for answer in futures_util::future::join_all(calls).await {
        answer.ok();
    }
    assert_eq!(ledger(&stack).await.len(), 5);
    let rows = stack.rows("EntitlementsTable").await;
    let row = rows.iter().find(|row| row["sk"] == "ADDON#sync").unwrap();
    assert_eq!(row["version"], 5, "two changes were made of one version");
}

#[tokio::test]
async fn a_lost_answer_grants_once() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    let token = stack.backoffice(&["entitlements:write"]).await;
    stack.fault(json!({ "service": "dynamodb", "operation": "TransactWriteItems", "kind": "timeout", "probability": 1.0, "seed": 1, "count": 3 }));
    let give = || {
        stack
            .post("/payments/grants")
            .bearer(&token)
            .header("idempotency-key", "k")
            .json(json!({ "user_id": ada.user_id, "add_on_type": "sync", "reason": "r" }))
            .send()
    };
    let mut answer = give().await;
    while answer.status == 503 {
        answer = give().await;
    }
    answer.ok();
    assert_eq!(ledger(&stack).await.len(), 1);
}

#[tokio::test]
async fn an_erased_account_leaves_a_nameless_ledger() {
    let stack = Stack::start().await;
    let (ada, bob) = (stack.sign_in("ada").await, stack.sign_in("bob").await);
    for add_on in ["sync", "ai"] {
        stack.grant(&ada.user_id, add_on, 30).await;
        stack.grant(&bob.user_id, add_on, 30).await;
    }
    let before = ledger(&stack).await.len();
    for _ in 0..2 {
        let message = json!({ "user_id": ada.user_id, "pass": 2 }).to_string();
        let event = json!({ "Records": [{ "messageId": "1", "body": message }, { "messageId": "2", "body": "{}" }] });
        let answer = stack.invoke("payments-on-account-erased", event).await.unwrap();
        assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": "2" }] }));
        let rows = stack.rows("EntitlementsTable").await;
        assert!(!rows.iter().any(|row| row.to_string().contains(&ada.user_id)), "{rows:?}");
        assert_eq!(ledger(&stack).await.len(), before, "the ledger lost a line");
    }
    assert_eq!(
        stack.get("/payments/entitlements").auth(&bob).send().await.ok()["entitlements"].as_array().unwrap().len(),
        2
    );
}
