//! Apple's token endpoint: an authorization code becomes a refresh token, which is kept sealed and revoked when the
//! account is erased (App Review guideline 5.1.1(v); Sign in with Apple REST API, *Generate and validate tokens*).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Request, StatusCode, header};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use satchel_domain::identity::Identity;
use satchel_domain::ids::UserId;
use satchel_domain::seal::Sealer;
use satchel_domain::{Error, Result, Timestamp};
use satchel_inbound::{Complaints, Env};
use satchel_outbound::{Http, secret};
use serde::{Deserialize, Serialize};

/// Audience of a client secret.
const AUDIENCE: &str = "https://appleid.apple.com";
/// How long a client secret is good for, in seconds: one call.
const LIFETIME: i64 = 300;

/// Calls Apple's token endpoint.
pub struct Apple {
    http: Http,
    token_url: String,
    team_id: String,
    key_id: String,
    key: EncodingKey,
    sealer: Sealer,
}

#[derive(Deserialize)]
struct AppleSecret {
    team_id: String,
    key_id: String,
    private_key: String,
}

/// What is kept of Apple's answer, sealed. The token belongs to the client id it was made for.
#[derive(Serialize, Deserialize)]
pub(crate) struct Granted {
    client_id: String,
    refresh_token: String,
}

impl Apple {
    /// Where `APPLE_CLIENT_SECRET_ARN` is set.
    pub(crate) async fn from_env(env: &Env, sealer: Sealer) -> Result<Option<Self>, Complaints> {
        let Some(arn) = env.settings.get("APPLE_CLIENT_SECRET_ARN") else { return Ok(None) };
        let token_url = env.settings.read(|settings| settings.text("APPLE_TOKEN_URL"))?;
        let complain = |error: String| Complaints(vec![format!("APPLE_CLIENT_SECRET_ARN: {error}")]);
        let secret: secret::Secret<AppleSecret> = secret::read(&env.aws.secretsmanager(), &arn)
            .await
            .map_err(|error| complain(satchel_inbound::http::error::causes(&error)))?;
        let AppleSecret { team_id, key_id, private_key } = secret.expose();
        let key = EncodingKey::from_ec_pem(private_key.as_bytes())
            .map_err(|_| complain("private_key is no P-256 key in PKCS#8 PEM".to_owned()))?;
        Ok(Some(Self {
            http: env.http.clone(),
            token_url,
            team_id: team_id.clone(),
            key_id: key_id.clone(),
            key,
            sealer,
        }))
    }

    /// What `code`, which was made for `identity`, is exchanged for. Asked once: a code is good for one exchange within
    /// five minutes, and a repetition after a lost answer would be refused.
    ///
    /// # Errors
    /// Whatever is in the way; also a code of another person than `identity`.
    pub(crate) async fn exchange(&self, identity: &Identity, code: &str, now: Timestamp) -> Result<Granted> {
        #[derive(Deserialize)]
        struct Answer {
            refresh_token: String,
            id_token: String,
        }
        let client_id = &identity.audience;
        let form = [("grant_type", "authorization_code"), ("code", code)];
        let answer = self.http.once(self.request(&self.token_url, client_id, &form, now)?).await?;
        let status = answer.status();
        if !status.is_success() {
            return Err(Error::internal(format!("Apple answered {status} to an authorization code")));
        }
        let Answer { refresh_token, id_token } = serde_json::from_slice(answer.body())
            .map_err(|_| Error::internal("Apple's answer to a code has another shape"))?;
        // It came from Apple over TLS, so its signature need not be looked at (OpenID Connect Core 1.0, 3.1.3.7).
        if subject(&id_token).as_deref() != Some(identity.subject.as_str()) {
            return Err(Error::internal("Apple's answer is about another person than the ID token"));
        }
        Ok(Granted { client_id: client_id.clone(), refresh_token })
    }

    /// Revokes what was sealed for `user`. Repeatable: a token that is revoked already is revoked.
    ///
    /// # Errors
    /// 503 where Apple cannot be reached, 500 where it refuses for another reason than that the token is void: then a
    /// setting is wrong, and nothing was revoked.
    pub(crate) async fn revoke(&self, user: &UserId, sealed: &str, now: Timestamp) -> Result<()> {
        #[derive(Deserialize)]
        struct Refusal {
            error: String,
        }
        let granted: Granted =
            serde_json::from_slice(&self.sealer.open(user.as_str(), sealed)?).map_err(Error::internal)?;
        let form = [("token", granted.refresh_token.as_str()), ("token_type_hint", "refresh_token")];
        let answer = self.http.call(self.request(&self.revoke_url(), &granted.client_id, &form, now)?).await?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Err(Error::unavailable("Apple throttles revocations"));
        }
        match serde_json::from_slice::<Refusal>(answer.body()) {
            // The person took the app's access away before us.
            Ok(Refusal { error }) if error == "invalid_grant" => Ok(()),
            Ok(Refusal { error }) => Err(Error::internal(format!("Apple refused to revoke a token: {status} {error}"))),
            Err(_) => Err(Error::internal(format!("Apple refused to revoke a token: {status}"))),
        }
    }

    /// `granted`, sealed for `user`.
    pub(crate) fn seal(&self, user: &UserId, granted: &Granted, nonce: [u8; 12]) -> Result<String> {
        self.sealer.seal(user.as_str(), &serde_json::to_vec(granted).map_err(Error::internal)?, nonce)
    }

    /// The revocation endpoint lies beside the token endpoint: `/auth/token`, `/auth/revoke`.
    fn revoke_url(&self) -> String {
        let base = self.token_url.strip_suffix("/token").unwrap_or(&self.token_url);
        format!("{base}/revoke")
    }

    fn request(
        &self,
        url: &str,
        client_id: &str,
        form: &[(&str, &str)],
        now: Timestamp,
    ) -> Result<Request<axum::body::Bytes>> {
        let secret = self.client_secret(client_id, now)?;
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", client_id)
            .append_pair("client_secret", &secret)
            .extend_pairs(form)
            .finish();
        Request::post(url)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .body(body.into())
            .map_err(Error::internal)
    }

    /// The JWT by which Apple knows us.
    fn client_secret(&self, client_id: &str, now: Timestamp) -> Result<String> {
        #[derive(Serialize)]
        struct Claims<'a> {
            iss: &'a str,
            iat: i64,
            exp: i64,
            aud: &'a str,
            sub: &'a str,
        }
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.key_id.clone());
        let iat = now.as_second();
        let claims =
            Claims { iss: &self.team_id, iat, exp: iat.saturating_add(LIFETIME), aud: AUDIENCE, sub: client_id };
        jsonwebtoken::encode(&header, &claims, &self.key).map_err(Error::internal)
    }
}

/// `sub` of a compact JWT, unverified.
fn subject(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        sub: String,
    }
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    Some(serde_json::from_slice::<Claims>(&payload).ok()?.sub)
}
