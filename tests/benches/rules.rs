//! Pure rules, one by one: what a decision costs without a table, a socket or a runtime. `cargo bench -p satchel-tests`.

#![expect(clippy::expect_used, reason = "a helper of a test or a benchmark tells by a panic")]

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use p256::pkcs8::{EncodePrivateKey as _, LineEnding};
use satchel_domain::Timestamp;
use satchel_domain::access::Verifier;
use satchel_domain::appstore::Source;
use satchel_domain::refresh::{self, Keys, Line};
use satchel_domain::session::Lifetimes;
use satchel_domain::sync::chunk::Fill;
use satchel_domain::sync::totals::{Part, Totals};
use satchel_domain::sync::{Content, Form, Incoming, Policy, Rank, Stored, VectorClock, decide};
use satchel_local::template::Template;
use satchel_tests::bench::purchases;
use satchel_tests::stage::Stage;
use serde_json::json;

const NOW: i64 = 1_800_000_000;

fn clock(keys: u64, ahead: u64) -> VectorClock {
    (0..keys).map(|key| (format!("dev_01ARZ3NDEKTSV4RRFFQ69G5F{key:02}"), 10 + (key % 2) * ahead)).collect()
}

fn incoming(clock: VectorClock) -> Incoming {
    let content = Content { bytes: vec![7; 512], form: Form::Base64 };
    let hash = content.hash();
    Incoming { clock, content: Some(content), hash, author: "dev_a".to_owned(), updated_at: NOW, seen: None }
}

fn stored(clock: VectorClock) -> Stored {
    let rank = Rank { at: NOW - 60, author: "dev_b".to_owned(), hash: [1; 32], form: Form::Base64 };
    let content_clock = clock.clone();
    let hash = [1; 32];
    let (form, written_by) = (Form::Base64, "dev_b".to_owned());
    Stored { clock, content_clock, rank, deleted: false, hash, form, size: 512, written_by, seq: 7 }
}

fn sync(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sync");
    for keys in [2, 8, 64] {
        let (ours, theirs) = (clock(keys, 0), clock(keys, 5));
        let mut other: VectorClock = theirs.clone();
        other = other.merged(&[("dev_other", 3)].into_iter().collect());
        let ahead = ours.merged(&[("dev_mine", 1)].into_iter().collect());
        group.bench_function(format!("clock relation, {keys} keys"), |b| {
            b.iter(|| black_box(&ours).relation(black_box(&theirs)))
        });
        group.bench_function(format!("clock merge, {keys} keys"), |b| {
            b.iter(|| black_box(&ours).merged(black_box(&theirs)))
        });
        let (row, new, conflict) = (stored(ours.clone()), incoming(theirs.clone()), incoming(ahead));
        group.bench_function(format!("decide, replaces, {keys} keys"), |b| {
            b.iter(|| decide(Some(black_box(&row)), black_box(&new), Policy::Merge, NOW))
        });
        let row = stored(other);
        group.bench_function(format!("decide, concurrent, {keys} keys"), |b| {
            b.iter(|| decide(Some(black_box(&row)), black_box(&conflict), Policy::Merge, NOW))
        });
    }
    let new = incoming(clock(2, 0));
    group.bench_function("decide, created", |b| b.iter(|| decide(None, black_box(&new), Policy::Merge, NOW)));
    let text = Content { bytes: vec![7; 512], form: Form::Base64 }.text();
    group.bench_function("content of 512 bytes, read and hashed", |b| {
        b.iter(|| Content::parse(black_box(&text)).hash())
    });
    let vector_clock = clock(2, 0);
    let part = Part {
        id: "0190a0e0-0000-7000-8000-000000000001",
        clock: &vector_clock,
        hash: &[7; 32],
        size: 512,
        deleted: false,
    };
    group.bench_function("digest, one entry changes", |b| {
        b.iter(|| black_box(Totals::default()).after(Some(black_box(part)), black_box(part)))
    });
    group.bench_function("chunks of a push of 1,000", |b| {
        b.iter(|| {
            let (mut fill, mut chunks) = (Fill::default(), 1);
            for _ in 0..1_000 {
                if !fill.admit(1, black_box(1_024)) {
                    (fill, chunks) = (Fill::default(), chunks + 1);
                    fill.admit(1, 1_024);
                }
            }
            chunks
        });
    });
    group.finish();
}

fn tokens(criterion: &mut Criterion) {
    let key = p256::SecretKey::from_slice(&[7; 32]).expect("a scalar");
    let pem = key.to_pkcs8_pem(LineEnding::LF).expect("a PEM");
    let signing = EncodingKey::from_ec_pem(pem.as_bytes()).expect("a key");
    let mut jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&signing, Algorithm::ES256).expect("a JWK");
    jwk.common.key_id = Some("k1".to_owned());
    let verifier =
        Verifier::from_jwks(&json!({ "keys": [jwk] }).to_string(), "satchel", "satchel-app").expect("a JWKS");
    let claims = json!({
        "iss": "satchel", "aud": "satchel-app", "sub": "usr_01ARZ3NDEKTSV4RRFFQ69G5FAV", "did": "dev_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "sid": "ses_01ARZ3NDEKTSV4RRFFQ69G5FAV", "auth_time": NOW, "scope": "user", "iat": NOW, "nbf": NOW, "exp": NOW + 900,
        "jti": "tok_01ARZ3NDEKTSV4RRFFQ69G5FAV",
    });
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some("k1".to_owned());
    let token = jsonwebtoken::encode(&header, &claims, &signing).expect("a token");
    let now = Timestamp::from_second(NOW).expect("a time");
    verifier.claims(&token, now).expect("the token is believed");
    let mut group = criterion.benchmark_group("auth");
    group.bench_function("access token, verified", |b| b.iter(|| verifier.claims(black_box(&token), now)));
    group.bench_function("access token, signed", |b| {
        b.iter(|| jsonwebtoken::encode(&header, black_box(&claims), &signing))
    });

    let keys = Keys::derive(&[3; 32]);
    let id = |prefix: &str| format!("{prefix}01ARZ3NDEKTSV4RRFFQ69G5FAV");
    let (user, device, session) = (id("usr_").parse(), id("dev_").parse(), id("ses_").parse());
    let (Ok(user), Ok(device), Ok(session)) = (user, device, session) else { panic!("ids") };
    let first = keys.first(user, device, session, [9; 32]);
    let line = Line {
        session: first.token.session.clone(),
        generation: 0,
        current: first.hash(),
        previous: None,
        moved_at: NOW,
        created_at: NOW,
        ended: false,
    };
    let lifetimes = Lifetimes::of_days(90, 365);
    group.bench_function("refresh step: read, decide, successor", |b| {
        b.iter(|| {
            let presented = keys.read(black_box(first.expose())).expect("our token");
            let decision = refresh::present(Some(&line), &presented, lifetimes, now);
            (decision, keys.successor(&presented))
        });
    });
    group.finish();
}

fn template(criterion: &mut Criterion) {
    let text = include_str!("../../template.yaml");
    criterion.bench_function("template, read", |b| b.iter(|| Template::parse(black_box(text), &BTreeMap::new())));
}

/// What the App Store signs: the stand-in store's own texts, which are as long and as many as Apple's.
fn store_purchases(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let (verifier, now, notification, transaction) = runtime.block_on(async {
        let stage = Stage::start(&[]).await.expect("a stage");
        let (notification, transaction) = purchases::signed(&stage).await.expect("the stand-in store signs");
        let verifier = purchases::verifier(&stage).expect("a verifier");
        let now = stage.local().clock().now();
        stage.stop().await;
        (verifier, now, notification, transaction)
    });
    let source = Source::Webhook { now };
    let known = verifier.notification(&notification, source, &[]).expect("it is believed").chains;
    let mut group = criterion.benchmark_group("purchases");
    group.bench_function("notification, chain not seen before", |b| {
        b.iter(|| verifier.notification(black_box(&notification), source, &[]))
    });
    group.bench_function("notification, chain known", |b| {
        b.iter(|| verifier.notification(black_box(&notification), source, &known))
    });
    group.bench_function("transaction, chain not seen before", |b| {
        b.iter(|| verifier.transaction(black_box(&transaction), Source::Device, &[]))
    });
    group.bench_function("transaction, chain known", |b| {
        b.iter(|| verifier.transaction(black_box(&transaction), Source::Device, &known))
    });
    group.finish();
}

criterion_group!(benches, sync, tokens, store_purchases, template);
criterion_main!(benches);
