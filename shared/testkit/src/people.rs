//! People who sign in, and the back office that grants them add-ons: all over the real routes.

use satchel_local::identity;
use satchel_local::seed::{CLIENT_ID, CLIENT_SECRET};
use serde_json::{Value, json};

use crate::stack::Stack;

/// A signed-in person on one device.
#[derive(Debug, Clone)]
pub struct Session {
    /// Access token, 15 minutes.
    pub access_token: String,
    /// Refresh token.
    pub refresh_token: String,
    /// The account.
    pub user_id: String,
    /// The device.
    pub device_id: String,
    /// Who it is for the identity provider.
    pub subject: String,
}

impl Stack {
    /// `subject` signs in by Google on a new phone. The same subject is the same person.
    pub async fn sign_in(&self, subject: &str) -> Session {
        self.sign_in_on(subject, "ios", &format!("{subject}'s phone")).await
    }

    /// `subject` signs in by Google on a new device.
    pub async fn sign_in_on(&self, subject: &str, platform: &str, name: &str) -> Session {
        self.sign_in_as(subject, json!({ "name": name, "platform": platform })).await
    }

    /// The person of `session` signs in again on the same device: a session with a sign-in of now.
    pub async fn sign_in_again(&self, session: &Session) -> Session {
        let device =
            json!({ "id": session.device_id, "name": format!("{}'s phone", session.subject), "platform": "ios" });
        self.sign_in_as(&session.subject, device).await
    }

    async fn sign_in_as(&self, subject: &str, device: Value) -> Session {
        let email = format!("{}@example.org", subject.to_lowercase());
        let id_token =
            self.id_token(json!({ "provider": "google", "subject": subject, "email": email, "name": subject })).await;
        let answer = self.post("/auth/google").json(json!({ "id_token": id_token, "device": device })).send().await;
        let body = answer.ok();
        let text =
            |name: &str| body[name].as_str().unwrap_or_else(|| panic!("{answer}: there is no {name}")).to_owned();
        Session {
            access_token: text("access_token"),
            refresh_token: text("refresh_token"),
            user_id: text("user_id"),
            device_id: text("device_id"),
            subject: subject.to_owned(),
        }
    }

    /// An ID token of the local issuer, which takes what `POST /_local/identity` takes.
    pub async fn id_token(&self, wanted: Value) -> String {
        let wanted: identity::IdentityIn =
            serde_json::from_value(wanted).unwrap_or_else(|error| panic!("this is no identity: {error}"));
        self.local().issuer().id_token(wanted).unwrap_or_else(|error| panic!("an ID token cannot be signed: {error}"))
    }

    /// An access token of the local back office with these scopes; all it has where none is named.
    pub async fn backoffice(&self, scopes: &[&str]) -> String {
        let scope = scopes.join(" ");
        let mut form = vec![("grant_type", "client_credentials")];
        if !scopes.is_empty() {
            form.push(("scope", &scope));
        }
        let answer = self.post("/auth/token").basic(CLIENT_ID, CLIENT_SECRET).form(&form).send().await;
        answer.ok()["access_token"].as_str().unwrap_or_else(|| panic!("{answer}: there is no token")).to_owned()
    }

    /// The back office grants `add_on` to `user_id` for `days`.
    pub async fn grant(&self, user_id: &str, add_on: &str, days: i64) {
        let token = self.backoffice(&["entitlements:write"]).await;
        let body = json!({
            "user_id": user_id,
            "add_on_type": add_on,
            "expires_at": self.now() + days * 86_400,
            "reason": "a test",
        });
        self.post("/payments/grants").bearer(&token).json(body).send().await.ok();
    }
}
