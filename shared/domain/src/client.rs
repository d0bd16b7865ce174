//! Clients: a back office's own services, by OAuth 2.0 client credentials (RFC 6749, section 4.4).

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use crate::access::Scope;
use crate::refresh::hex;

/// Secrets a client may have: two while one is being rotated.
pub const MAX_SECRETS: usize = 2;

/// What a client's row keeps of a secret: SHA-256 of `client_id:secret`, in hexadecimal digits. Secrets are 32 random
/// bytes, so a slow hash would add nothing.
pub fn secret_hash(client: &str, secret: &str) -> String {
    hex(&Sha256::digest(format!("{client}:{secret}")))
}

/// Whether `secret` is one of those whose hashes are kept; takes the same time whichever it is.
pub fn knows(kept: &[String], client: &str, secret: &str) -> bool {
    let hash = secret_hash(client, secret);
    let found = kept.iter().fold(Choice::from(0), |found, one| found | one.as_bytes().ct_eq(hash.as_bytes()));
    found.into()
}

/// The scopes of a token: what was asked for, or all the client has; `None` where it asked for more than it has.
pub fn grant(held: &[Scope], asked: Option<&str>) -> Option<Vec<Scope>> {
    let Some(asked) = asked.map(str::trim).filter(|asked| !asked.is_empty()) else {
        return (!held.is_empty()).then(|| held.to_vec());
    };
    let mut granted = Vec::new();
    for text in asked.split(' ').filter(|text| !text.is_empty()) {
        let scope = Scope::parse(text).filter(|scope| held.contains(scope))?;
        if !granted.contains(&scope) {
            granted.push(scope);
        }
    }
    Some(granted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_secret_is_known_while_one_is_rotated_and_no_other() {
        let kept = [secret_hash("shop", "old"), secret_hash("shop", "new")];
        assert!(knows(&kept, "shop", "old") && knows(&kept, "shop", "new"));
        assert!(!knows(&kept, "shop", "other") && !knows(&kept, "shop", ""));
        assert!(!knows(&kept, "other", "old"));
        assert!(!knows(&[], "shop", "old"));
    }

    #[test]
    fn a_client_gets_all_it_has_or_less_and_never_more() {
        let held = [Scope::PortalWrite, Scope::NotificationsSend];
        assert_eq!(grant(&held, None), Some(held.to_vec()));
        assert_eq!(grant(&held, Some("")), Some(held.to_vec()));
        assert_eq!(grant(&held, Some("portal:write portal:write")), Some(vec![Scope::PortalWrite]));
        assert_eq!(grant(&held, Some("portal:write admin")), None);
        assert_eq!(grant(&held, Some("user")), None);
        assert_eq!(grant(&[], None), None);
    }
}
