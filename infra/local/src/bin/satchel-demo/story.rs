//! The story, scene by scene; every scene says what it expects and fails where something else happens.

use std::io::Write;

use axum::http::Method;
use serde_json::{Value, json};

use crate::Surprise;
use crate::device::Device;
use crate::door::{As, Door};

/// What is bought.
const PRODUCT: &str = "app.satchel.sync.monthly";

/// Fails the story where `holds` is false.
fn expect(holds: bool, what: impl Into<String>) -> Result<(), Surprise> {
    if holds { Ok(()) } else { Err(what.into().into()) }
}

/// Plays all scenes.
pub(crate) async fn play(door: &Door, told: &mut impl Write) -> Result<(), Surprise> {
    // New people each time: a stack that runs may have seen the story before.
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    let run = u32::from_be_bytes(bytes);

    writeln!(told, "\n1. Two people sign in on four devices")?;
    let (ada, ben) = (format!("ada-{run:08x}"), format!("ben-{run:08x}"));
    let mut phone = Device::sign_in(door, &ada, "Ada's phone", "ios").await?;
    let mut laptop = Device::sign_in(door, &ada, "Ada's laptop", "macos").await?;
    let mut stranger = Device::sign_in(door, &ben, "Ben's phone", "android").await?;
    let tablet = Device::sign_in(door, &ben, "Ben's tablet", "android").await?;
    expect(phone.user == laptop.user && stranger.user == tablet.user, "one person has two accounts")?;
    expect(phone.user != stranger.user, "two people have one account")?;
    for device in [&phone, &laptop, &stranger, &tablet] {
        writeln!(told, "   {:13} {} of {}", device.name, device.id, device.user)?;
    }

    let note = format!("note-{run:08x}");
    buys_sync(door, told, &mut phone, &note).await?;
    comes_together(door, told, &mut phone, &mut laptop, &note).await?;
    has_a_conflict(door, told, &mut phone, &mut laptop, &note).await?;
    agrees(told, &phone, &laptop).await?;
    gets_nothing(door, told, &mut stranger, &tablet, &note).await?;
    signs_out(door, told, &laptop).await?;
    writeln!(told, "\nAll as expected.")?;
    Ok(())
}

async fn now(door: &Door) -> Result<i64, Surprise> {
    let (_, clock) = door.call(Method::GET, "/_local/clock", As::Nobody, None).await?;
    clock["now"].as_i64().ok_or_else(|| "the stack has no clock".into())
}

/// Buys sync for who holds `token`: in the stand-in store, as the store's sheet in the app would, then at the API. What
/// the store has to tell of it arrives by webhook.
async fn buy(door: &Door, token: &str, store: &str, platform: &str, proof: &str) -> Result<Value, Surprise> {
    let (status, mine) = door.call(Method::GET, "/payments/entitlements", As::Token(token), None).await?;
    expect(status == 200, format!("the entitlements answered {status}: {mine}"))?;
    let wanted = json!({ "product_id": PRODUCT, "account_token": mine["store_account_token"] });
    let (status, bought) =
        door.call(Method::POST, &format!("/_local/stores/{store}/buy"), As::Nobody, Some(wanted)).await?;
    expect(status == 200, format!("the store answered {status}: {bought}"))?;
    let body = json!({ "platform": platform, "receipt_data": bought[proof], "product_id": PRODUCT });
    let (status, answer) = door.call(Method::POST, "/payments/verify", As::Token(token), Some(body)).await?;
    expect(status == 200 && answer["status"] == "success", format!("the purchase was refused: {status} {answer}"))?;
    Ok(bought)
}

/// The state of an add-on of who holds `token`.
async fn sync_of(door: &Door, token: &str) -> Result<Value, Surprise> {
    let (_, mine) = door.call(Method::GET, "/payments/entitlements", As::Token(token), None).await?;
    let all = mine["entitlements"].as_array().cloned().unwrap_or_default();
    all.into_iter().find(|it| it["add_on_type"] == "sync").ok_or_else(|| format!("no sync: {mine}").into())
}

async fn buys_sync(door: &Door, told: &mut impl Write, phone: &mut Device<'_>, note: &str) -> Result<(), Surprise> {
    writeln!(
        told,
        "\n2. Sync is an add-on: without it a push is refused; Ada buys it in the App Store, and it is not"
    )?;
    phone.write(note, "Buy milk");
    let (status, refusal) = phone.push(now(door).await?).await?;
    expect(status == 402, format!("a push without the add-on answered {status}: {refusal}"))?;
    let detail = &refusal["detail"];
    expect(detail["error"] == "sync_add_on_required", format!("the refusal has another shape: {refusal}"))?;
    writeln!(told, "   402 {} (product {})", detail["message"].as_str().unwrap_or("?"), detail["product_id"])?;
    let bought = buy(door, &phone.token, "apple", "ios", "signed_transaction").await?;
    let (status, answer) = phone.push(now(door).await?).await?;
    expect(status == 200, format!("a push with the add-on answered {status}: {answer}"))?;
    let sync = sync_of(door, &phone.token).await?;
    expect(sync["is_active"] == true && sync["platform"] == "ios", format!("sync is not Ada's: {sync}"))?;
    writeln!(
        told,
        "   transaction {} verified at the App Store; {} pushed its first note",
        bought["transaction_id"], phone.name
    )?;
    Ok(())
}

async fn comes_together(
    door: &Door,
    told: &mut impl Write,
    phone: &mut Device<'_>,
    laptop: &mut Device<'_>,
    note: &str,
) -> Result<(), Surprise> {
    writeln!(told, "\n3. What one device pushed, the other pulls")?;
    for number in 2..=4 {
        phone.write(&format!("{note}-{number}"), &format!("Note {number}"));
    }
    let (status, answer) = phone.push(now(door).await?).await?;
    expect(status == 200, format!("a push answered {status}: {answer}"))?;
    let accepted = answer["accepted"].as_array().map_or(0, Vec::len);
    expect(accepted == 3, format!("3 entries were pushed, these accepted: {answer}"))?;
    let came = laptop.pull().await?;
    expect(came == 4, format!("the laptop pulled {came} entries instead of 4"))?;
    expect(laptop.read(note).as_deref() == Some("Buy milk"), "the laptop reads something else")?;
    writeln!(told, "   {} pulled {came} notes; the first reads \"Buy milk\"", laptop.name)?;
    Ok(())
}

async fn has_a_conflict(
    door: &Door,
    told: &mut impl Write,
    phone: &mut Device<'_>,
    laptop: &mut Device<'_>,
    note: &str,
) -> Result<(), Surprise> {
    writeln!(told, "\n4. Both edit the same note offline: one version wins, the other is kept")?;
    let begun = now(door).await?;
    phone.write(note, "Buy oat milk");
    laptop.write(note, "Buy milk and bread");
    phone.push(begun).await?;
    let (status, answer) = laptop.push(begun + 1).await?;
    expect(status == 200, format!("a push answered {status}: {answer}"))?;
    let result = &answer["results"][0];
    expect(result["status"] == "conflict", format!("there was no conflict: {result}"))?;
    let (mine, theirs) = ("Buy milk and bread", "Buy oat milk");
    let (won, lost) = if result["winner"] == "client" { (mine, theirs) } else { (theirs, mine) };
    writeln!(told, "   conflict named to {}: \"{won}\" wins, \"{lost}\" goes to history", laptop.name)?;
    phone.pull().await?;
    laptop.pull().await?;
    for device in [&*phone, &*laptop] {
        expect(device.read(note).as_deref() == Some(won), format!("{} reads {:?}", device.name, device.read(note)))?;
    }
    let (status, history) = phone.call(Method::GET, &format!("/sync/entries/{note}/history"), None).await?;
    expect(status == 200, format!("the history answered {status}: {history}"))?;
    let versions = history["versions"].as_array().cloned().unwrap_or_default();
    let kept = versions.iter().any(|version| version["reason"] == "lost" && decoded(version).as_deref() == Some(lost));
    expect(kept, format!("the version that lost is gone: {history}"))?;
    writeln!(told, "   both devices read \"{won}\"; the history has {} version(s)", versions.len())?;
    Ok(())
}

fn decoded(version: &Value) -> Option<String> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(version["encrypted_data"].as_str()?).ok()?;
    String::from_utf8(bytes).ok()
}

async fn agrees(told: &mut impl Write, phone: &Device<'_>, laptop: &Device<'_>) -> Result<(), Surprise> {
    writeln!(told, "\n5. Equal digests mean equal copies")?;
    let (_, status) = phone.call(Method::GET, "/sync/status", None).await?;
    let server = status["digest"].as_str().unwrap_or_default();
    for device in [phone, laptop] {
        let digest = device.digest()?;
        expect(digest == server, format!("{} has {digest}, the server {server}", device.name))?;
    }
    let count = status["entry_count"].as_u64().unwrap_or(0);
    expect(usize::try_from(count)? == phone.count(), format!("the server counts {count} entries"))?;
    writeln!(told, "   {server} on both devices and on the server, {count} notes")?;
    Ok(())
}

async fn gets_nothing(
    door: &Door,
    told: &mut impl Write,
    stranger: &mut Device<'_>,
    tablet: &Device<'_>,
    note: &str,
) -> Result<(), Surprise> {
    writeln!(told, "\n6. Ben, who bought sync on Google Play, gets nothing of Ada's")?;
    let bought = buy(door, &stranger.token, "google", "android", "receipt_data").await?;
    let came = stranger.pull().await?;
    expect(came == 0 && stranger.count() == 0, "a stranger pulled entries")?;
    let (status, _) = tablet.call(Method::GET, &format!("/sync/entries/{note}/history"), None).await?;
    expect(status == 404, format!("a stranger's look at the history answered {status}"))?;
    let (status, _) = door.call(Method::GET, "/sync/status", As::Nobody, None).await?;
    expect(status == 401, format!("nobody's look at the status answered {status}"))?;
    writeln!(told, "   nothing to pull, 404 for the note's history; 401 for who has no token at all")?;
    takes_back(door, told, stranger, &bought).await
}

async fn takes_back(
    door: &Door,
    told: &mut impl Write,
    stranger: &mut Device<'_>,
    bought: &Value,
) -> Result<(), Surprise> {
    writeln!(told, "\n7. Google refunds Ben; the webhook comes three times, a forged one for Ada's comes too")?;
    let body = json!({ "purchase_token": bought["purchase_token"], "deliver": "hold" });
    let (status, voided) = door.call(Method::POST, "/_local/stores/google/void", As::Nobody, Some(body)).await?;
    expect(status == 200, format!("the store answered {status}: {voided}"))?;
    let ids: Vec<&Value> = voided["notifications"].as_array().into_iter().flatten().map(|it| &it["id"]).collect();
    let body = json!({ "ids": ids, "copies": 3 });
    let (status, told_of) = door.call(Method::POST, "/_local/stores/deliver", As::Nobody, Some(body)).await?;
    expect(status == 200, format!("the delivery answered {status}: {told_of}"))?;
    let forged = json!({ "signedPayload": "eyJhbGciOiJub25lIn0.e30." });
    let (status, _) = door.call(Method::POST, "/payments/webhook/apple", As::Nobody, Some(forged)).await?;
    expect(status == 400, format!("a forged notification answered {status}"))?;
    door.call(Method::POST, "/_local/drain", As::Nobody, Some(json!({}))).await?;
    let sync = sync_of(door, &stranger.token).await?;
    expect(sync["is_active"] == false, format!("a refunded purchase still gives sync: {sync}"))?;
    stranger.write("too-late", "Too late");
    let (status, _) = stranger.push(now(door).await?).await?;
    expect(status == 402, format!("a push after the refund answered {status}"))?;
    let (_, history) = door.call(Method::GET, "/payments/history", As::Token(&stranger.token), None).await?;
    let causes: Vec<&str> =
        history["changes"].as_array().into_iter().flatten().filter_map(|it| it["cause"].as_str()).collect();
    writeln!(told, "   sync is {}; a push answers 402; his history: {}", sync["status"], causes.join(", "))?;
    Ok(())
}

async fn signs_out(door: &Door, told: &mut impl Write, laptop: &Device<'_>) -> Result<(), Surprise> {
    writeln!(told, "\n8. {} signs out: its session is over", laptop.name)?;
    let (status, answer) = laptop.call(Method::POST, "/auth/logout", None).await?;
    expect((200..300).contains(&status), format!("signing out answered {status}: {answer}"))?;
    let body = json!({ "refresh_token": laptop.refresh });
    let (status, answer) = door.call(Method::POST, "/auth/refresh", As::Nobody, Some(body)).await?;
    expect(status == 401, format!("a refresh after signing out answered {status}: {answer}"))?;
    writeln!(told, "   its refresh token is refused: {}", answer["code"].as_str().unwrap_or("?"))?;
    let (status, drained) = door.call(Method::POST, "/_local/drain", As::Nobody, Some(json!({}))).await?;
    expect(status == 200 && drained["pending"] == 0, format!("something was left undone: {drained}"))?;
    writeln!(told, "   queues and streams are empty")?;
    Ok(())
}
