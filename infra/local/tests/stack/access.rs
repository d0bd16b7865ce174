//! What a function's role does not allow fails as it would on AWS, in this process and over the wire.

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::support::{drain, lying, options, seen, send, start};
use satchel_local::services::Denial;
use satchel_local::{Local, LocalOptions};

async fn without(permission: &str) -> Result<Local, satchel_local::StartError> {
    let params = [(permission.to_owned(), "false".to_owned())].into();
    Local::start(LocalOptions { params, ..options() }).await
}

#[tokio::test]
async fn a_permission_that_is_taken_away_fails_the_call_and_is_told_of() {
    let local = without("WorkerPublishes").await.unwrap();
    send(&local, json!({ "n": 1 }));
    assert_eq!(drain(&local).await.values().sum::<u64>(), 1, "the handler failed of it");
    assert_eq!((seen(&local).len(), lying(&local, "Queue").len()), (0, 1));
    let denial = Denial {
        function: "worker".to_owned(),
        action: "sns:Publish".to_owned(),
        resource: local.template().topics()[0].arn.clone(),
    };
    assert_eq!(local.services().denials(), [denial]);

    let local = start().await;
    send(&local, json!({ "n": 1 }));
    assert!(drain(&local).await.is_empty());
    assert_eq!((seen(&local), local.services().denials()), (vec![1], Vec::new()), "with the permission");
}

#[tokio::test]
async fn a_mapping_that_its_role_cannot_read_is_refused_at_the_start() {
    let complaint = without("WorkerReceives").await.unwrap_err().to_string();
    assert!(complaint.contains("WorkerRole does not allow sqs:ReceiveMessage on arn:aws:sqs:"), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
}

#[tokio::test]
async fn a_call_over_the_wire_is_judged_by_the_key_that_signed_it() {
    let local = start().await;
    let table = local.template().tables()[0].name.clone();
    let call = async |key: &str| {
        let body = json!({ "TableName": table, "Key": { "pk": { "S": "P" }, "sk": { "S": "S" } } });
        let signature = format!(
            "AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0"
        );
        let request = Request::post("http://127.0.0.1:3002/").header("host", "127.0.0.1:3002");
        let request = request.header("x-amz-target", "DynamoDB_20120810.GetItem").header("authorization", signature);
        let answer = local.services().router().oneshot(request.body(Body::from(body.to_string())).unwrap());
        let (head, body) = answer.await.unwrap().into_parts();
        let body = satchel_local::to_bytes(body, usize::MAX).await.unwrap();
        (head.status.as_u16(), serde_json::from_slice::<Value>(&body).unwrap())
    };
    for nobody in ["local", "someone"] {
        assert_eq!(call(nobody).await, (200, json!({})), "{nobody}");
    }
    for function in ["worker", "watcher", "web"] {
        let (status, answer) = call(function).await;
        assert_eq!(status, 400, "{answer}");
        assert!(answer["__type"].as_str().unwrap().ends_with("#AccessDeniedException"), "{answer}");
        let message = answer["message"].as_str().unwrap();
        assert!(message.contains(function) && message.contains("dynamodb:GetItem on resource: arn:aws:"), "{message}");
    }
    assert_eq!(local.services().denials().len(), 3);
}
