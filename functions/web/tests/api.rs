//! What everybody may see, over a whole local stack.

use satchel_testkit::Stack;
use serde_json::json;

#[tokio::test]
async fn health_answers_without_a_token() {
    let stack = Stack::start().await;
    let health = stack.get("/health").send().await.ok();
    assert_eq!((&health["status"], &health["time"]), (&json!("ok"), &json!(1_767_225_600)));
}

#[tokio::test]
async fn the_document_is_served_and_known_again() {
    let stack = Stack::start().await;
    let answer = stack.get("/openapi.json").send().await;
    let document = answer.ok();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let tag = answer.header("etag").unwrap().to_owned();
    for known in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
        let again = stack.get("/openapi.json").header("if-none-match", &known).send().await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{known}");
        assert_eq!(again.header("etag"), Some(tag.as_str()));
    }
    assert_eq!(stack.get("/openapi.json").header("if-none-match", "\"other\"").send().await.status, 200);
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let stack = Stack::start().await;
    let page = stack.get("/docs").send().await;
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    let html = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(!html.contains("//"), "a link leads elsewhere");
    assert!(!html.contains("<style") && !html.contains(" style=") && !html.contains("onclick"));
    for script in html.split("<script").skip(1) {
        assert!(script.split("</script>").next().unwrap().ends_with('>'), "an inline script: {script}");
    }
    let mut files = 0;
    for attribute in ["src=\"", "href=\""] {
        for part in html.split(attribute).skip(1) {
            let file = part.split('"').next().unwrap();
            let answer = stack.get(&format!("/{file}")).send().await;
            assert_eq!(answer.status, 200, "{file}");
            files += 1;
        }
    }
    assert_eq!(files, 5);
    stack.get("/docs/nothing.js").send().await.refused(404, "not_found");
    stack.get("/docs/..%2fCargo.toml").send().await.refused(404, "not_found");
}

#[tokio::test]
async fn an_unknown_route_is_a_problem() {
    let stack = Stack::start().await;
    for path in ["/", "/nothing", "/devices/a/b/c", "/health/x"] {
        stack.get(path).send().await.refused(404, "not_found");
        stack.post(path).json(json!({})).send().await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn another_method_of_a_known_path_is_405_with_what_is_allowed() {
    let stack = Stack::start().await;
    for (path, allowed) in [
        ("/devices", "GET"),
        ("/devices/dev_1", "PATCH"),
        ("/devices/capable", "GET"),
        ("/sync/push", "POST"),
        ("/health", "GET"),
        ("/openapi.json", "GET"),
    ] {
        let answer = stack.put(path).json(json!({})).send().await;
        answer.refused(405, "method_not_allowed");
        let allow = answer.header("allow").unwrap();
        assert!(allow.contains(allowed) && !allow.contains("PUT"), "{path}: {allow}");
    }
}
