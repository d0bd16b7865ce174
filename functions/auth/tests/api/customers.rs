//! The portal's customers and their members.

use satchel_testkit::Stack;
use serde_json::json;

fn path(customer: &str, user: &str) -> String {
    format!("/auth/customers/{customer}/members/{user}")
}

#[tokio::test]
async fn a_member_carries_the_customer_from_the_next_refresh() {
    let stack = Stack::start().await;
    let token = stack.backoffice(&["portal:write"]).await;
    let ada = stack.sign_in("ada").await;
    let member = stack.put(&path("C-1", &ada.user_id)).bearer(&token).send().await.ok();
    assert_eq!(member, json!({ "customer_id": "C-1", "user_id": ada.user_id, "linked_at": "2026-01-01T00:00:00Z" }));
    stack.advance(60).await;
    assert_eq!(stack.put(&path("C-1", &ada.user_id)).bearer(&token).send().await.ok(), member);
    assert_eq!(stack.get("/auth/me").auth(&ada).send().await.ok()["customer_id"], "C-1");
    let body = stack.post("/auth/refresh").json(json!({ "refresh_token": ada.refresh_token })).send().await.ok();
    assert_eq!(claim(body["access_token"].as_str().unwrap()), json!("C-1"));
    assert_eq!(claim(&ada.access_token), json!(null));

    assert_eq!(stack.delete(&path("C-1", &ada.user_id)).bearer(&token).send().await.status, 204);
    stack.delete(&path("C-1", &ada.user_id)).bearer(&token).send().await.refused(404, "not_found");
    let body = stack.post("/auth/refresh").json(json!({ "refresh_token": body["refresh_token"] })).send().await.ok();
    assert_eq!(claim(body["access_token"].as_str().unwrap()), json!(null));
}

#[tokio::test]
async fn a_person_is_one_customers_member() {
    let stack = Stack::start().await;
    let token = stack.backoffice(&["portal:write"]).await;
    let ada = stack.sign_in("ada").await;
    stack.put(&path("C-1", &ada.user_id)).bearer(&token).send().await.ok();
    stack.put(&path("C-2", &ada.user_id)).bearer(&token).send().await.refused(409, "member_elsewhere");
    stack.delete(&path("C-2", &ada.user_id)).bearer(&token).send().await.refused(404, "not_found");
    stack.put(&path("C-1", "usr_nobody")).bearer(&token).send().await.refused(404, "not_found");
    stack.put(&path("C-1", "dev_1")).bearer(&token).send().await.refused(404, "not_found");
}

#[tokio::test]
async fn members_come_in_pages_by_a_cursor_of_their_list() {
    let stack = Stack::with(satchel_testkit::Options::default().param("SignInLimitAddress", 100)).await;
    let token = stack.backoffice(&["portal:write"]).await;
    let mut wanted = Vec::new();
    for number in 0..5 {
        let person = stack.sign_in(&format!("person{number}")).await;
        stack.put(&path("C-1", &person.user_id)).bearer(&token).send().await.ok();
        wanted.push(person.user_id);
    }
    wanted.sort();
    let page = async |cursor: Option<&str>| {
        let mut fields = vec![("limit", "2")];
        fields.extend(cursor.map(|cursor| ("cursor", cursor)));
        stack.get("/auth/customers/C-1/members").query(&fields).bearer(&token).send().await
    };
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let body = page(cursor.as_deref()).await.ok();
        seen.extend(body["members"].as_array().unwrap().iter().map(|one| one["user_id"].as_str().unwrap().to_owned()));
        assert_eq!(body["has_more"], !body["next_cursor"].is_null());
        match body["next_cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(seen, wanted);
    let cursor = cursor.unwrap();
    page(Some(&cursor[1..])).await.refused(400, "invalid_cursor");
    let foreign = stack.get("/auth/customers/C-2/members").query(&[("cursor", &cursor)]).bearer(&token).send().await;
    foreign.refused(400, "invalid_cursor");
    for limit in ["0", "101", "x"] {
        let answer = stack.get("/auth/customers/C-1/members").query(&[("limit", limit)]).bearer(&token).send().await;
        answer.refused(422, "invalid_input");
    }
    stack.get("/auth/customers/a%23b/members").bearer(&token).send().await.refused(404, "not_found");
}

#[tokio::test]
async fn only_a_service_with_the_scope_links_customers() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    let other = stack.backoffice(&["entitlements:write"]).await;
    for method in ["PUT", "DELETE"] {
        let method: http::Method = method.parse().unwrap();
        let call = || stack.request(method.clone(), &path("C-1", &ada.user_id));
        call().send().await.refused(401, "missing_token");
        call().auth(&ada).send().await.refused(403, "insufficient_scope");
        call().bearer(&other).send().await.refused(403, "insufficient_scope");
    }
    stack.get("/auth/customers/C-1/members").auth(&ada).send().await.refused(403, "insufficient_scope");
}

fn claim(token: &str) -> serde_json::Value {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice::<serde_json::Value>(&body).unwrap()["cid"].clone()
}
