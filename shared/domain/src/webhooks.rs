//! Outgoing webhooks as Standard Webhooks has them (<https://www.standardwebhooks.com>): how one is signed, what an answer
//! means, and when it is sent again.
//!
//! | header | value |
//! | --- | --- |
//! | `webhook-id` | the message's id, the same at every try |
//! | `webhook-timestamp` | when this try was made, Unix seconds |
//! | `webhook-signature` | `v1,<base64>` of HMAC-SHA256 over `<id>.<timestamp>.<body>`, one a key, separated by blanks |
//!
//! # Limits
//! Symmetric signatures (`v1`) alone. `Retry-After` is read in seconds, not as a date.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::refresh::hex;

/// Header of the message's id.
pub const ID: &str = "webhook-id";
/// Header of the moment of the try.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// Header of the signatures.
pub const SIGNATURE: &str = "webhook-signature";

/// What a signing key is written with before its base64.
const PREFIX: &str = "whsec_";
/// Sizes of a signing key, in bytes.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Pauses after the first failed try, the second and so on, in seconds: tries after 5 s, 5 min, 30 min and 2, 5, 10, 14,
/// 20 and 24 hours.
const PAUSES: [u64; 9] = [5, 295, 1_500, 5_400, 10_800, 18_000, 14_400, 21_600, 14_400];
/// Longest pause that a receiver can ask for.
const LONGEST_WISH: Duration = Duration::from_secs(21_600);

/// A key that webhooks are signed with. Its `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Vec<u8>);

/// A text that is no signing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not `whsec_` and the base64 of 24 to 64 bytes")]
pub struct KeyError;

impl FromStr for Key {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bytes = text.strip_prefix(PREFIX).and_then(|text| STANDARD.decode(text).ok()).ok_or(KeyError)?;
        if KEY_BYTES.contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(KeyError) }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    fn sign(&self, signed: &[&[u8]]) -> Option<String> {
        // HMAC takes keys of any length, so there is always one.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        for part in signed {
            mac.update(part);
        }
        Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    }
}

/// The value of [`SIGNATURE`]: by each of `keys`, two while one is being replaced. `id` must have no `.` in it, at
/// `timestamp`, Unix seconds.
pub fn signature(keys: &[Key], id: &str, timestamp: i64, body: &[u8]) -> String {
    let timestamp = timestamp.to_string();
    let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
    keys.iter().filter_map(|key| key.sign(&signed)).collect::<Vec<_>>().join(" ")
}

/// An id of 32 characters that is the same whenever `of` is, for a message that may be made twice. It has no `.`, which
/// parts what is signed.
pub fn stable_id(of: &str) -> String {
    hex(&Sha256::digest(of.as_bytes())[..16])
}

/// What a receiver's answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It took the message.
    Taken,
    /// It wants no messages any more.
    Gone,
    /// It is to be tried again.
    Failed,
}

/// What an answer with `status` means. A redirect is a failure: the message would be sent where nobody wanted it.
pub fn judge(status: u16) -> Verdict {
    match status {
        200..=299 => Verdict::Taken,
        410 => Verdict::Gone,
        _ => Verdict::Failed,
    }
}

/// How long to wait after the `failures`th failed try; none where that was the last. The receiver may ask for more
/// (`Retry-After`), up to six hours; `chance` is any number, by which up to a tenth is added, so that what failed together
/// does not come again together.
pub fn pause(failures: usize, retry_after: Option<Duration>, chance: u64) -> Option<Duration> {
    let planned = Duration::from_secs(*PAUSES.get(failures.checked_sub(1)?)?);
    let pause = planned.max(retry_after.unwrap_or_default().min(LONGEST_WISH));
    let tenth = u64::try_from(pause.as_millis() / 10).unwrap_or(0);
    Some(pause + Duration::from_millis(chance % (tenth + 1)))
}

/// The pause that the header `Retry-After` asks for.
pub fn retry_after(header: &str) -> Option<Duration> {
    header.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Standard Webhooks' own libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNED: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn key(text: &str) -> Key {
        text.parse().unwrap()
    }

    #[test]
    fn the_example_of_the_specification_is_signed_as_it_says() {
        assert_eq!(signature(&[key(SECRET)], ID, AT, BODY), SIGNED);
    }

    #[test]
    fn every_part_counts() {
        let keys = [key(SECRET)];
        let another = [key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx")];
        for other in [
            signature(&another, ID, AT, BODY),
            signature(&keys, "msg_p5jXN8AQM9LWM0D4loKWxJel", AT, BODY),
            signature(&keys, ID, AT + 1, BODY),
            signature(&keys, ID, AT, br#"{"test": 2432232315}"#),
        ] {
            assert_ne!(other, SIGNED);
        }
    }

    #[test]
    fn two_keys_make_two_signatures() {
        let new = key(&format!("whsec_{}", STANDARD.encode([7; 32])));
        let both = signature(&[new.clone(), key(SECRET)], ID, AT, BODY);
        let parts: Vec<&str> = both.split(' ').collect();
        assert_eq!(parts, [&signature(&[new], ID, AT, BODY), SIGNED]);
    }

    #[test]
    fn a_key_is_its_prefix_and_24_to_64_bytes() {
        let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![1; bytes])).parse::<Key>();
        assert!(of(24).is_ok() && of(64).is_ok());
        assert_eq!((of(23), of(65)), (Err(KeyError), Err(KeyError)));
        for text in
            ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!"]
        {
            assert_eq!(text.parse::<Key>(), Err(KeyError), "{text}");
        }
        assert_eq!(format!("{:?}", key(SECRET)), "Key(..)");
    }

    #[test]
    fn only_a_2xx_is_taken_and_only_a_410_is_the_end() {
        for (status, verdict) in [
            (200, Verdict::Taken),
            (204, Verdict::Taken),
            (301, Verdict::Failed),
            (307, Verdict::Failed),
            (400, Verdict::Failed),
            (404, Verdict::Failed),
            (410, Verdict::Gone),
            (429, Verdict::Failed),
            (500, Verdict::Failed),
            (503, Verdict::Failed),
        ] {
            assert_eq!(judge(status), verdict, "{status}");
        }
    }

    #[test]
    fn ten_tries_in_a_day() {
        let mut total = Duration::ZERO;
        for failures in 1..=9 {
            let planned = pause(failures, None, 0).unwrap();
            total += planned;
            // However the dice fall, at most a tenth is added.
            for chance in [1, u64::MAX, 4_711] {
                let pause = pause(failures, None, chance).unwrap();
                assert!((planned..=planned + planned / 10).contains(&pause), "{failures}: {pause:?}");
            }
        }
        assert_eq!(total, Duration::from_secs(86_400));
        assert_eq!(pause(10, None, 0), None);
        assert_eq!(pause(0, None, 0), None);
    }

    #[test]
    fn a_receiver_may_ask_for_more_time_but_not_for_less_and_not_for_ever() {
        let of = |seconds| pause(1, Some(Duration::from_secs(seconds)), 0).unwrap().as_secs();
        assert_eq!((of(1), of(60), of(1_000_000)), (5, 60, 21_600));
        assert_eq!(retry_after(" 120 "), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Wed, 21 Oct 2026 07:28:00 GMT"), None);
    }

    #[test]
    fn a_stable_id_is_stable_and_has_no_dot() {
        assert_eq!(stable_id("usr_a.b sync 1"), stable_id("usr_a.b sync 1"));
        assert_ne!(stable_id("usr_a.b sync 1"), stable_id("usr_a.b sync 2"));
        assert_eq!(stable_id("x").len(), 32);
        assert!(stable_id("usr_a.b sync 1").bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
