//! Signing out, and ending sessions of other devices.

use satchel_testkit::Stack;
use serde_json::json;

#[tokio::test]
async fn signing_out_ends_the_session_at_once() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    for _ in 0..2 {
        assert_eq!(stack.post("/auth/logout").auth(&ada).send().await.status, 204);
    }
    stack
        .post("/auth/refresh")
        .json(json!({ "refresh_token": ada.refresh_token }))
        .send()
        .await
        .refused(401, "session_revoked");
    assert_eq!(stack.get("/auth/sessions").auth(&ada).send().await.ok()["sessions"], json!([]));
    stack.drain().await;
    let published = stack.published();
    let ended: Vec<_> = published.iter().filter(|one| one["name"] == "account.session-revoked.v1").collect();
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0]["event"]["data"]["reason"], "signed_out");
    assert_eq!(ended[0]["event"]["data"]["device_id"], ada.device_id.as_str());
}

#[tokio::test]
async fn a_late_logout_of_an_older_session_leaves_the_newer_one() {
    let stack = Stack::start().await;
    let older = stack.sign_in("ada").await;
    let newer = stack.sign_in_again(&older).await;
    assert_eq!(stack.post("/auth/logout").auth(&older).send().await.status, 204);
    stack.post("/auth/refresh").json(json!({ "refresh_token": newer.refresh_token })).send().await.ok();
}

#[tokio::test]
async fn sessions_are_listed_last_used_first() {
    let stack = Stack::start().await;
    let phone = stack.sign_in("ada").await;
    stack.advance(5).await;
    let laptop = stack.sign_in_on("ada", "macos", "Ada's Mac").await;
    let list = stack.get("/auth/sessions").auth(&phone).send().await.ok();
    assert_eq!((list["next_cursor"].clone(), list["has_more"].clone()), (json!(null), json!(false)));
    let sessions = list["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    let first = &sessions[0];
    assert_eq!(first["device_id"], laptop.device_id.as_str());
    assert_eq!((first["name"].as_str(), first["platform"].as_str()), (Some("Ada's Mac"), Some("macos")));
    assert_eq!(first["created_at"], "2026-01-01T00:00:05Z");
    assert_eq!((first["current"].clone(), sessions[1]["current"].clone()), (json!(false), json!(true)));
    assert!(!list.to_string().contains("hash"));
}

#[tokio::test]
async fn another_device_is_signed_out_from_here() {
    let stack = Stack::start().await;
    let phone = stack.sign_in("ada").await;
    let laptop = stack.sign_in_on("ada", "macos", "laptop").await;
    let path = format!("/auth/sessions/{}", laptop.device_id);
    assert_eq!(stack.delete(&path).auth(&phone).send().await.status, 204);
    stack
        .post("/auth/refresh")
        .json(json!({ "refresh_token": laptop.refresh_token }))
        .send()
        .await
        .refused(401, "session_revoked");
    stack.delete(&path).auth(&phone).send().await.refused(404, "not_found");
    stack.post("/auth/refresh").json(json!({ "refresh_token": phone.refresh_token })).send().await.ok();
}

#[tokio::test]
async fn a_stranger_ends_and_sees_nothing_of_anothers() {
    let stack = Stack::start().await;
    let (ada, eve) = (stack.sign_in("ada").await, stack.sign_in("eve").await);
    let theirs = stack.delete(&format!("/auth/sessions/{}", ada.device_id)).auth(&eve).send().await;
    let nobodys = stack.delete("/auth/sessions/dev_01ARZ3NDEKTSV4RRFFQ69G5FAV").auth(&eve).send().await;
    assert_eq!(theirs.refused(404, "not_found")["detail"], nobodys.refused(404, "not_found")["detail"]);
    stack.delete("/auth/sessions/nonsense").auth(&eve).send().await.refused(404, "not_found");
    stack.post("/auth/refresh").json(json!({ "refresh_token": ada.refresh_token })).send().await.ok();
    let list = stack.get("/auth/sessions").auth(&eve).send().await.ok();
    assert_eq!(list["sessions"].as_array().unwrap().len(), 1);
    assert!(!list.to_string().contains(&ada.device_id));
}

#[tokio::test]
async fn a_service_is_no_person_and_nobody_is_refused() {
    let stack = Stack::start().await;
    let service = stack.backoffice(&[]).await;
    for (method, path) in [
        ("POST", "/auth/logout"),
        ("GET", "/auth/sessions"),
        ("DELETE", "/auth/sessions/dev_1"),
        ("GET", "/auth/me"),
        ("PATCH", "/auth/me"),
        ("DELETE", "/auth/me"),
        ("POST", "/auth/me/export"),
        ("GET", "/auth/me/export/exp_1"),
        ("POST", "/auth/link"),
        ("DELETE", "/auth/link/apple"),
    ] {
        let method: http::Method = method.parse().unwrap();
        let answer = stack.request(method.clone(), path).json(json!({})).send().await;
        answer.refused(401, "missing_token");
        assert!(answer.header("www-authenticate").is_some(), "{path}");
        stack.request(method, path).bearer(&service).json(json!({})).send().await.refused(403, "not_for_services");
    }
}
