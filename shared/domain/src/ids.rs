//! Ids: each kind is a type of its own with a prefix, so that the compiler rejects swapped arguments and the door
//! rejects a foreign kind.
//!
//! ```
//! use satchel_domain::ids::UserId;
//! assert!("usr_01ARZ3NDEKTSV4RRFFQ69G5FAV".parse::<UserId>().is_ok());
//! assert!("dev_01ARZ3NDEKTSV4RRFFQ69G5FAV".parse::<UserId>().is_err());
//! assert!("usr_../x".parse::<UserId>().is_err());
//! ```

use std::fmt;

use ulid::Ulid;

/// Longest id that is read from a path, a query or a body, in characters.
pub const MAX_ID_CHARS: usize = 128;

/// Whether `text` is an id by its characters: 1 to 128 of `[A-Za-z0-9_.:-]`.
pub fn is_id(text: &str) -> bool {
    is_id_within(text, MAX_ID_CHARS)
}

/// Whether `text` is 1 to `max` characters of `[A-Za-z0-9_.:-]`.
pub fn is_id_within(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':' | b'-'))
}

/// A text that is not an id of the wanted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {kind}")]
pub struct IdError {
    kind: &'static str,
}

/// What every kind of id has in common.
pub trait Id: Sized + fmt::Display {
    /// The prefix with its underscore.
    const PREFIX: &'static str;
    /// The id made of `ulid`.
    fn from_ulid(ulid: Ulid) -> Self;
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Id for $name {
            const PREFIX: &'static str = $prefix;
            fn from_ulid(ulid: Ulid) -> Self {
                Self(format!("{}{}", $prefix, ulid))
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                match text.strip_prefix($prefix) {
                    Some(rest) if is_id(text) && !rest.is_empty() => Ok(Self(text.to_owned())),
                    _ => Err(IdError { kind: stringify!($name) }),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::schema::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .pattern(Some(concat!("^", $prefix, "[A-Za-z0-9_.:-]+$")))
                    .max_length(Some(MAX_ID_CHARS))
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}

id!(
    /// A person's account.
    UserId, "usr_"
);
id!(
    /// A back office's own service (OAuth 2.0 client).
    ClientId, "cli_"
);
id!(
    /// A device of a person.
    DeviceId, "dev_"
);
id!(
    /// A signed-in session: one a device.
    SessionId, "ses_"
);
id!(
    /// An event that tells others, or later a person, of a change.
    EventId, "evt_"
);
id!(
    /// An export of an account.
    ExportId, "exp_"
);
id!(
    /// A grant of an add-on.
    GrantId, "grt_"
);
id!(
    /// One access token (`jti`).
    TokenId, "tok_"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_refuse_separators_and_foreign_prefixes() {
        for bad in ["", "usr_", "usr_a/b", "usr_a#b", "usr_..%2f", "usr_\u{0}", "cli_1", "USR_1", "usr_é"] {
            assert!(bad.parse::<UserId>().is_err(), "{bad:?} was taken for a user id");
        }
        assert!(format!("usr_{}", "a".repeat(124)).parse::<UserId>().is_ok());
        assert!(format!("usr_{}", "a".repeat(125)).parse::<UserId>().is_err());
    }

    #[test]
    fn ids_of_later_moments_sort_later() {
        let earlier = DeviceId::from_ulid(Ulid::from_parts(1_700_000_000_000, u128::MAX));
        let later = DeviceId::from_ulid(Ulid::from_parts(1_700_000_000_001, 0));
        assert!(earlier < later);
    }
}
