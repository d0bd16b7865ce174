//! Whose a purchase is (design: payments, Owner).
//!
//! | the purchase names | it is | verify | restore |
//! | --- | --- | --- | --- |
//! | the caller | whosever | the caller's | the caller's |
//! | another live account | whosever | 409 | 409 |
//! | none, or none that lives | nobody's | the caller's: the first claim wins | the same |
//! | | the caller's | stays | stays |
//! | | somebody else's | 409 | moves, at most [`MOVES`] times in [`MOVES_SPAN`]; 409 where the policy is `bound` |

use serde::{Deserialize, Serialize};

use crate::ids::UserId;
use crate::time::DAY;
use crate::{Error, Result};

/// How often a purchase may move in [`MOVES_SPAN`].
pub const MOVES: usize = 3;
/// The span in which moves are counted, in seconds.
pub const MOVES_SPAN: i64 = 30 * DAY;

/// Whether a purchase that names no account may move to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// By `POST /payments/restore`.
    #[default]
    Transfer,
    /// Never: the first account keeps it.
    Bound,
}

impl std::str::FromStr for Policy {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "transfer" => Ok(Self::Transfer),
            "bound" => Ok(Self::Bound),
            _ => Err(()),
        }
    }
}

/// What is known of whose a purchase is.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The account that it counts for now.
    pub owner: Option<&'a UserId>,
    /// The live account that it names by our token.
    pub named: Option<&'a UserId>,
    /// When it moved from one account to another, Unix seconds.
    pub moves: &'a [i64],
}

/// Who asks, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim<'a> {
    /// `POST /payments/verify` with a proof of possession.
    Verify(&'a UserId),
    /// `POST /payments/restore` with a proof of possession.
    Restore(&'a UserId, Policy),
    /// A bare transaction id, which is a number one can guess: it only refreshes what is the caller's already, or takes
    /// what names the caller.
    Bare(&'a UserId),
    /// Nobody: an event of the store, or a look at it.
    Nobody,
}

/// Whose the purchase is after `claim` at `now`, and whether it moved there from somebody else. `None`: nobody's.
///
/// # Errors
/// 409 `purchase_belongs_to_another_account` or `transfer_limit`, 403 `proof_required`.
pub fn decide(known: Known<'_>, claim: Claim<'_>, now: i64) -> Result<(Option<UserId>, bool)> {
    let (caller, restore, bare) = match claim {
        Claim::Nobody => {
            // Our token outranks who came first: it is what the buyer's own app said.
            let owner = known.named.or(known.owner);
            return Ok((owner.cloned(), known.owner.is_some() && owner != known.owner));
        }
        Claim::Verify(caller) => (caller, None, false),
        Claim::Restore(caller, policy) => (caller, Some(policy), false),
        Claim::Bare(caller) => (caller, None, true),
    };
    let taken = |moved| Ok((Some(caller.clone()), moved));
    match (known.named, known.owner) {
        (Some(named), owner) if named == caller => taken(owner.is_some_and(|owner| owner != caller)),
        (_, Some(owner)) if bare && owner != caller => Err(proof_required()),
        (Some(_), _) if bare => Err(proof_required()),
        (Some(_), _) => Err(belongs_to_another()),
        (None, Some(owner)) if owner == caller => taken(false),
        (None, None) if bare => Err(proof_required()),
        (None, None) => taken(false),
        (None, Some(_)) => match restore {
            Some(Policy::Transfer) if recent(known.moves, now) < MOVES => taken(true),
            Some(Policy::Transfer) => Err(Error::conflict(
                "transfer_limit",
                "this purchase has moved between accounts too often; try again in some weeks",
            )),
            Some(Policy::Bound) | None => Err(belongs_to_another()),
        },
    }
}

fn recent(moves: &[i64], now: i64) -> usize {
    moves.iter().filter(|at| now.saturating_sub(**at) < MOVES_SPAN).count()
}

/// 403 for a bare transaction id of what is not the caller's.
pub fn proof_required() -> Error {
    Error::Forbidden {
        code: "proof_required",
        message: "a transaction id alone proves nothing: send the signed transaction of the device",
    }
}

fn belongs_to_another() -> Error {
    Error::conflict("purchase_belongs_to_another_account", "this purchase belongs to another account")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn outcome(owner: Option<&str>, named: Option<&str>, moves: &[i64], claim: &str) -> String {
        let user = |name: &str| -> UserId { format!("usr_{name}").parse().unwrap() };
        let (owner, named, me) = (owner.map(user), named.map(user), user("me"));
        let claim = match claim {
            "verify" => Claim::Verify(&me),
            "restore" => Claim::Restore(&me, Policy::Transfer),
            "bound" => Claim::Restore(&me, Policy::Bound),
            "bare" => Claim::Bare(&me),
            _ => Claim::Nobody,
        };
        match decide(Known { owner: owner.as_ref(), named: named.as_ref(), moves }, claim, NOW) {
            Ok((owner, moved)) => {
                let owner = owner.map_or("nobody".to_owned(), |owner| owner.as_str()[4..].to_owned());
                format!("{owner}{}", if moved { " moved" } else { "" })
            }
            Err(Error::Conflict { code, .. } | Error::Forbidden { code, .. }) => code.to_owned(),
            Err(other) => other.to_string(),
        }
    }

    #[test]
    fn the_table_of_owners() {
        let (other, limit, proof) = ("purchase_belongs_to_another_account", "transfer_limit", "proof_required");
        let often = [NOW - 1, NOW - 2 * DAY, NOW - MOVES_SPAN + 1];
        let long_ago = [NOW - 1, NOW - 2 * DAY, NOW - MOVES_SPAN];
        type Case<'a> = (Option<&'a str>, Option<&'a str>, &'a [i64], &'a str, &'a str);
        let table: &[Case<'_>] = &[
            (None, None, &[], "verify", "me"),
            (None, None, &[], "restore", "me"),
            (None, None, &[], "bare", proof),
            (None, None, &[], "event", "nobody"),
            (Some("me"), None, &[], "verify", "me"),
            (Some("me"), None, &[], "bare", "me"),
            (Some("me"), None, &[], "event", "me"),
            (Some("eve"), None, &[], "verify", other),
            (Some("eve"), None, &[], "bare", proof),
            (Some("eve"), None, &[], "restore", "me moved"),
            (Some("eve"), None, &often, "restore", limit),
            (Some("eve"), None, &long_ago, "restore", "me moved"),
            (Some("eve"), None, &[], "bound", other),
            (None, Some("me"), &[], "bare", "me"),
            (None, Some("me"), &[], "event", "me"),
            (Some("eve"), Some("me"), &often, "verify", "me moved"),
            (Some("eve"), Some("me"), &[], "bare", "me moved"),
            (Some("eve"), Some("me"), &[], "event", "me moved"),
            (None, Some("eve"), &[], "verify", other),
            (None, Some("eve"), &[], "restore", other),
            (None, Some("eve"), &[], "bare", proof),
            (Some("eve"), Some("eve"), &[], "restore", other),
            (Some("me"), Some("eve"), &[], "verify", other),
        ];
        for (owner, named, moves, claim, wanted) in table {
            assert_eq!(outcome(*owner, *named, moves, claim), *wanted, "{owner:?} {named:?} {claim}");
        }
    }
}
