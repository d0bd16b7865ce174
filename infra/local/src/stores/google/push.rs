//! What Pub/Sub pushes: the message around a notification, and the bearer beside it (facts 2.7).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::payloads::time;
use crate::keys::KeyError;
use crate::stores::forge::Forge;
use crate::stores::notice::Notice;
use crate::stores::shops::Shops;

/// How long a bearer is good for, in seconds.
const LIFETIME_S: i64 = 3_600;

/// The body of the request that delivers `notice`.
pub(in crate::stores) fn body(shops: &Shops, notice: &Notice, forge: Option<Forge>) -> Value {
    let mut payload = notice.payload.clone();
    if forge == Some(Forge::Bundle) {
        payload["packageName"] = "com.example.other".into();
    }
    let data = match forge {
        Some(Forge::Garbage) => "%%%".to_owned(),
        _ => STANDARD.encode(payload.to_string()),
    };
    let subscription = match forge {
        Some(Forge::Subscription) => "projects/other/subscriptions/play",
        _ => &shops.settings().push_subscription,
    };
    let published = time(notice.at_ms);
    json!({
        "message": {
            "attributes": {}, "data": data, "messageId": notice.id, "message_id": notice.id,
            "publishTime": published, "publish_time": published,
        },
        "subscription": subscription,
    })
}

/// The bearer of a delivery; none where that is what is false about it.
pub(in crate::stores) fn bearer(shops: &Shops, forge: Option<Forge>) -> Result<Option<String>, KeyError> {
    let settings = shops.settings();
    let now = shops.now_ms().div_euclid(1_000);
    let issued = if forge == Some(Forge::Expired) { now - 86_400 } else { now };
    let text = |wanted: Forge, wrong: &str, right: &str| {
        if forge == Some(wanted) { wrong.to_owned() } else { right.to_owned() }
    };
    let claims = json!({
        "iss": text(Forge::Issuer, "https://issuer.example", "https://accounts.google.com"),
        "aud": text(Forge::Audience, "https://other.example/hook", &settings.push_audience),
        "azp": "100000000000000000001", "sub": "100000000000000000001",
        "email": text(Forge::Email, "attacker@other.iam.gserviceaccount.com", &settings.push_email),
        "email_verified": forge != Some(Forge::Unverified),
        "iat": issued, "exp": issued + LIFETIME_S,
    });
    match forge {
        Some(Forge::Missing) => Ok(None),
        Some(Forge::Alg) => {
            let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            Ok(Some(format!("{}.{}.", part(&json!({ "alg": "none", "typ": "JWT" })), part(&claims))))
        }
        _ => shops.issuer().sign(None, &claims, forge == Some(Forge::Signature)).map(Some),
    }
}
