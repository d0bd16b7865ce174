//! Devices: what may be said about one, when it counts as online, and when as gone.

use serde::{Deserialize, Serialize};

use crate::account::{self, plain};
use crate::session::Platform;
use crate::time::DAY;
use crate::{Error, FieldError, Result};

/// A device is online while its last heartbeat is at most this old, in seconds.
pub const ONLINE: i64 = 60;
/// A device that was not seen for so long, in seconds, is taken out of use.
pub const UNSEEN: i64 = 90 * DAY;
/// Models a device may offer.
pub const MAX_MODELS: usize = 64;
/// Longest name of a model, in characters.
pub const MAX_MODEL: usize = 128;
/// Longest name of a device, in characters.
pub const MAX_NAME: usize = account::MAX_NAME;
/// Longest model, system or app version, in characters.
pub const MAX_TEXT: usize = 100;
/// Longest push token, in characters; Apple's have 64, Google's about 160.
pub const MAX_TOKEN: usize = 4_096;

/// What a device says about itself; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// What kind it is.
    pub platform: Option<Platform>,
    /// What the person calls it.
    pub device_name: Option<String>,
    /// Model.
    pub device_model: Option<String>,
    /// Version of its system.
    pub os_version: Option<String>,
    /// Version of the app.
    pub app_version: Option<String>,
    /// Name of a time zone (IANA).
    pub timezone: Option<String>,
    /// Whether the person wants pushes on it.
    pub push_enabled: Option<bool>,
    /// Where the platform's push service reaches it.
    pub token: Option<String>,
}

impl Description {
    /// The same, read: texts without outer blanks, time zones as the IANA database spells them.
    ///
    /// # Errors
    /// 422 with every wrong field.
    pub fn checked(mut self) -> Result<Self> {
        let mut wrong = Vec::new();
        check(&mut wrong, "device_name", &mut self.device_name, |text| plain(text, MAX_NAME));
        check(&mut wrong, "device_model", &mut self.device_model, |text| plain(text, MAX_TEXT));
        check(&mut wrong, "os_version", &mut self.os_version, |text| plain(text, MAX_TEXT));
        check(&mut wrong, "app_version", &mut self.app_version, |text| plain(text, MAX_TEXT));
        check(&mut wrong, "timezone", &mut self.timezone, account::timezone);
        check(&mut wrong, "token", &mut self.token, token);
        if wrong.is_empty() { Ok(self) } else { Err(Error::Invalid(wrong)) }
    }
}

fn check(
    wrong: &mut Vec<FieldError>,
    field: &str,
    value: &mut Option<String>,
    read: impl FnOnce(&str) -> Result<String, String>,
) {
    if let Some(text) = value {
        match read(text) {
            Ok(good) => *text = good,
            Err(message) => wrong.push(FieldError { field: field.to_owned(), message }),
        }
    }
}

fn token(text: &str) -> Result<String, String> {
    let fits = (1..=MAX_TOKEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(text.to_owned()) } else { Err(format!("must have 1 to {MAX_TOKEN} visible ASCII characters")) }
}

/// The models a device offers: at most [`MAX_MODELS`] of 1 to [`MAX_MODEL`] characters, each once, in the order given.
///
/// # Errors
/// 422 with every wrong one.
pub fn models(given: Vec<String>) -> Result<Vec<String>> {
    if given.len() > MAX_MODELS {
        return Err(Error::invalid("inference_models", format!("at most {MAX_MODELS} models")));
    }
    let mut wrong = Vec::new();
    let mut models: Vec<String> = Vec::with_capacity(given.len());
    for (at, model) in given.iter().enumerate() {
        match plain(model, MAX_MODEL) {
            Ok(model) if models.contains(&model) => {}
            Ok(model) => models.push(model),
            Err(message) => wrong.push(FieldError { field: format!("inference_models[{at}]"), message }),
        }
    }
    if wrong.is_empty() { Ok(models) } else { Err(Error::Invalid(wrong)) }
}

/// Whether a device with this last heartbeat is online at `now`, both Unix seconds.
pub fn is_online(last_heartbeat_at: Option<i64>, now: i64) -> bool {
    last_heartbeat_at.is_some_and(|at| now.saturating_sub(at) <= ONLINE)
}

/// The day (since 1970) on which a device last seen at `seen` (Unix seconds) will not have been seen for [`UNSEEN`].
pub fn due_day(seen: i64) -> i64 {
    seen.saturating_add(UNSEEN).div_euclid(DAY)
}

/// Whether at `now` a device last seen at `seen`, both Unix seconds, was not seen for [`UNSEEN`].
pub fn is_unseen(seen: i64, now: i64) -> bool {
    now.saturating_sub(seen) >= UNSEEN
}

/// What the daily clean-up does with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is taken out of use.
    Retired,
    /// It is looked at again on this day.
    Later(i64),
}

/// What becomes at `now` of a device last seen at `seen`, both Unix seconds.
pub fn fate(seen: i64, now: i64) -> Fate {
    if is_unseen(seen, now) { Fate::Retired } else { Fate::Later(due_day(seen)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_device_is_online_for_sixty_seconds() {
        assert!(is_online(Some(100), 160));
        assert!(!is_online(Some(100), 161));
        assert!(!is_online(None, 0));
        assert!(is_online(Some(200), 100), "a heartbeat written by a clock a little ahead is no absence");
    }

    #[test]
    fn a_device_is_retired_after_ninety_days() {
        assert_eq!(fate(0, UNSEEN), Fate::Retired);
        assert_eq!(fate(1, UNSEEN), Fate::Later(90));
    }

    #[test]
    fn models_are_counted_measured_and_kept_once() {
        assert_eq!(models(vec![" a ".into(), "b".into(), "a".into()]).unwrap(), ["a", "b"]);
        assert!(models(vec!["m".into(); MAX_MODELS]).is_ok());
        assert!(models(vec!["m".into(); MAX_MODELS + 1]).is_err());
        let Err(Error::Invalid(wrong)) = models(vec!["ok".into(), "x".repeat(129), String::new()]) else {
            panic!("accepted")
        };
        let fields: Vec<_> = wrong.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["inference_models[1]", "inference_models[2]"]);
    }

    #[test]
    fn every_wrong_field_is_named() {
        let description = Description {
            device_name: Some("x".repeat(201)),
            timezone: Some("Mars/Olympus".into()),
            token: Some("with blank".into()),
            os_version: Some("17.1".into()),
            ..Description::default()
        };
        let Err(Error::Invalid(wrong)) = description.checked() else { panic!("accepted") };
        let fields: Vec<_> = wrong.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["device_name", "timezone", "token"]);
    }

    proptest! {
        #[test]
        fn a_device_is_never_looked_at_before_it_could_be_due(seen in 0i64..4_000_000_000, now in 0i64..5_000_000_000) {
            match fate(seen, now) {
                Fate::Retired => prop_assert!(now - seen >= UNSEEN),
                Fate::Later(day) => {
                    prop_assert!(now - seen < UNSEEN);
                    // The day holds the moment it falls due, so that day's or the next day's run finds it retired.
                    prop_assert!(day * DAY <= seen + UNSEEN && seen + UNSEEN < (day + 1) * DAY);
                    prop_assert!(day >= now.div_euclid(DAY));
                }
            }
        }
    }
}
