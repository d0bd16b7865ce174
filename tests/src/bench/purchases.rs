//! What a purchase costs: the verification of what the App Store signs, the time from a webhook to its 200 and to the
//! changed entitlement, capacity units.

use std::hint::black_box;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use satchel_domain::Timestamp;
use satchel_domain::appstore::{App, Chain, Environment, Root, Source, Verifier};
use serde_json::{Value, json};

use crate::stage::{Session, Stage, StageError};

use super::capacity::{Cost, cost};
use super::report::{Bar, Section};
use super::space::call;
use super::stats::Samples;

/// The product that is bought.
const PRODUCT: &str = "app.satchel.sync.monthly";

/// A control call of the stand-in stores.
async fn control(stage: &Stage, path: &str, body: &Value) -> Result<Value, StageError> {
    let body = Some(("application/json", body.to_string()));
    match stage.call(Method::POST, &format!("/_local/stores/{path}"), None, body).await? {
        (200, answer) => Ok(answer),
        (status, answer) => Err(format!("{path} answered {status}: {answer}").into()),
    }
}

/// A purchase of `token`'s account, with the body of the webhook that tells of it.
async fn buy(stage: &Stage, store: &str, token: &Value) -> Result<(Value, Value), StageError> {
    let wanted = json!({ "product_id": PRODUCT, "account_token": token, "deliver": "hold" });
    let bought = control(stage, &format!("{store}/buy"), &wanted).await?;
    let body = bought["notifications"][0]["body"].clone();
    Ok((bought, body))
}

/// What verifying a notification takes, on one core, without a network.
#[derive(Debug, Clone, Default)]
pub struct Verifying {
    /// Every certificate read and every signature checked: notification, transaction and renewal info of one chain.
    pub uncached: Samples,
    /// With the chain known.
    pub cached: Samples,
    /// A transaction alone, uncached.
    pub transaction: Samples,
    /// A transaction alone, with its chain known.
    pub transaction_cached: Samples,
}

/// Verifies `notification` and `transaction` so many times.
///
/// # Errors
/// Where they are refused.
pub fn verifying(
    (verifier, now): (&Verifier, Timestamp),
    notification: &str,
    transaction: &str,
    rounds: usize,
) -> Result<Verifying, StageError> {
    let source = Source::Webhook { now };
    let known: Vec<Chain> = verifier.notification(notification, source, &[])?.chains;
    let timed = |work: &dyn Fn() -> bool| -> Result<Samples, StageError> {
        let mut times = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            let begun = Instant::now();
            if !black_box(work()) {
                return Err("what was believed is refused".into());
            }
            times.push(begun.elapsed());
        }
        Ok(Samples::of(times))
    };
    Ok(Verifying {
        uncached: timed(&|| verifier.notification(black_box(notification), source, &[]).is_ok())?,
        cached: timed(&|| verifier.notification(black_box(notification), source, &known).is_ok())?,
        transaction: timed(&|| verifier.transaction(black_box(transaction), Source::Device, &[]).is_ok())?,
        transaction_cached: timed(&|| verifier.transaction(black_box(transaction), Source::Device, &known).is_ok())?,
    })
}

/// The verifier of the stage's stand-in store.
///
/// # Errors
/// Where the stage has none.
pub fn verifier(stage: &Stage) -> Result<Verifier, StageError> {
    let settings = stage.local().environment();
    let read = |name: &str| settings.get(name).cloned().ok_or_else(|| format!("{name} is not set"));
    let root = Root::from_der(STANDARD.decode(read("APPLE_ROOT_CA")?)?).map_err(|reason| reason.as_str())?;
    let app_apple_id = read("APPLE_APP_ID")?.parse()?;
    Ok(Verifier::new(root, App::new(read("APPLE_BUNDLE_ID")?, Environment::Production { app_apple_id })))
}

/// A signed notification and transaction of the stage's stand-in store.
///
/// # Errors
/// Where it sells nothing.
pub async fn signed(stage: &Stage) -> Result<(String, String), StageError> {
    let (bought, body) = buy(stage, "apple", &Value::Null).await?;
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or("the stand-in signed nothing");
    Ok((text(&body["signedPayload"])?, text(&bought["signed_transaction"])?))
}

struct Webhooks {
    answered: Samples,
    changed: Samples,
    post: Cost,
    fold: Cost,
}

async fn webhooks(stage: &Stage, tokens: &[Value], rounds: usize) -> Result<Webhooks, StageError> {
    let (mut answered, mut changed) = (Vec::new(), Vec::new());
    let (mut post, mut fold) = (Cost::default(), Cost::default());
    for token in tokens.iter().cycle().take(rounds) {
        let (_, body) = buy(stage, "apple", token).await?;
        let begun = Instant::now();
        let body = Some(("application/json", body.to_string()));
        let (status, answer) = stage.call(Method::POST, "/payments/webhook/apple", None, body).await?;
        if status != 200 {
            return Err(format!("the webhook answered {status}: {answer}").into());
        }
        answered.push(begun.elapsed());
        stage.local().drain(Duration::from_secs(30)).await;
        changed.push(begun.elapsed());
    }
    // Units apart from times: counting is not free.
    for token in tokens.iter().rev().take(2) {
        let (_, body) = buy(stage, "apple", token).await?;
        let whole = cost(stage, async {
            let body = Some(("application/json", body.to_string()));
            let answer = stage.call(Method::POST, "/payments/webhook/apple", None, body).await?;
            let counters = stage.local().services().counters();
            let first = counters.total(satchel_local::services::Service::Dynamodb);
            stage.local().drain(Duration::from_secs(30)).await;
            Ok((answer, first))
        });
        let (((status, _), first), all) = whole.await?;
        if status != 200 {
            return Err(format!("the webhook answered {status}").into());
        }
        post = Cost { read: first.read_units, write: first.write_units, calls: first.calls };
        fold = Cost { read: all.read - post.read, write: all.write - post.write, calls: all.calls - post.calls };
    }
    Ok(Webhooks { answered: Samples::of(answered), changed: Samples::of(changed), post, fold })
}

async fn verify(stage: &Stage, who: &Session, platform: &str, receipt: &Value) -> Result<Cost, StageError> {
    let body = json!({ "platform": platform, "receipt_data": receipt, "product_id": PRODUCT });
    Ok(cost(stage, call(stage, who, "/payments/verify", Some(&body))).await?.1)
}

/// The part of the page.
///
/// # Errors
/// Where a call is refused.
pub async fn run(stage: &Stage, rounds: usize) -> Result<Section, StageError> {
    let mut section = Section::new(45, "Purchases");
    let (notification, transaction) = signed(stage).await?;
    let times = verifying((&verifier(stage)?, stage.local().clock().now()), &notification, &transaction, rounds)?;
    let micro = |samples: &Samples, share: f64| format!("{:.0} µs", samples.at(share) * 1_000.0);
    section.say(
        "What the App Store signs, verified on one core without a network (OCSP apart): a notification holds three signed \
         texts of one chain.",
    );
    let row = |what: &str, samples: &Samples| vec![what.to_owned(), micro(samples, 0.5), micro(samples, 0.99)];
    section.table(
        &["what", "p50", "p99"],
        &[
            row("notification, chain not seen before", &times.uncached),
            row("notification, chain known", &times.cached),
            row("transaction, chain not seen before", &times.transaction),
            row("transaction, chain known", &times.transaction_cached),
        ],
    );
    let met = |samples: &Samples, aim: f64| (format!("{:.2} ms", samples.median()), samples.median() <= aim);
    let (uncached, cached) = (met(&times.uncached, 4.0), met(&times.transaction_cached, 0.2));
    let what = "Apple verification, one core: a notification uncached";
    section.bars.push(Bar::judged(what, "≤ 4 ms", uncached.0, uncached.1));
    let what = "Apple verification, one core: a signed text with its chain known";
    section.bars.push(Bar::judged(what, "≤ 0.2 ms", cached.0, cached.1));

    // Several people, so that nobody ends with a hundred purchases; two more for what is counted.
    let (mut tokens, mut who) = (Vec::new(), None);
    for number in 0..12 {
        let session = stage.sign_in(&format!("buyer-{number}")).await?;
        tokens.push(call(stage, &session, "/payments/entitlements", None).await?["store_account_token"].clone());
        who = Some((session, tokens[number].clone()));
    }
    let (who, token) = who.ok_or("nobody buys")?;
    let Webhooks { answered, changed, post, fold } = webhooks(stage, &tokens, (rounds / 10).max(24)).await?;
    section.say(
        "From a webhook's first byte to its 200, and until the entitlement has changed and everything that follows is done \
         (in process, with the emulators, one at a time; the queue's own delay on AWS comes on top):",
    );
    let milli = |samples: &Samples, share: f64| format!("{:.1} ms", samples.at(share));
    let row = |what: &str, samples: &Samples| vec![what.to_owned(), milli(samples, 0.5), milli(samples, 0.99)];
    section
        .table(&["what", "p50", "p99"], &[row("to the 200", &answered), row("to the changed entitlement", &changed)]);

    let apple = buy(stage, "apple", &token).await?.0;
    let google = buy(stage, "google", &token).await?.0;
    let (signed, receipt) = (&apple["signed_transaction"], &google["receipt_data"]);
    let mut rows = Vec::new();
    let mut add = |what: &str, cost: Cost| {
        let read = format!("{:.1}", cost.read);
        rows.push(vec![what.to_owned(), format!("{:.0}", cost.write), read, cost.calls.to_string()]);
    };
    add("verify, App Store, first", verify(stage, &who, "ios", signed).await?);
    add("verify, App Store, again", verify(stage, &who, "ios", signed).await?);
    add("verify, Google Play, first", verify(stage, &who, "android", receipt).await?);
    add("verify, Google Play, again", verify(stage, &who, "android", receipt).await?);
    add("webhook to its 200", post);
    add("its fold, with what follows", fold);
    let read = cost(stage, call(stage, &who, "/payments/entitlements", None)).await?.1;
    add("read of the entitlements", read);
    section.say("DynamoDB capacity units of whole calls (the fold of a person with several purchases):");
    section.table(&["what", "write units", "read units", "calls"], &rows);
    Ok(section)
}
