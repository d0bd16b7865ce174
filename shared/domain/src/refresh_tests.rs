use proptest::prelude::*;

use super::*;
use crate::time::{DAY, from_unix};

const T0: i64 = 1_800_000_000;

fn keys() -> Keys {
    Keys::derive(&[7; 32])
}

fn first() -> Written {
    keys().first("usr_ada".parse().unwrap(), "dev_phone".parse().unwrap(), "ses_1".parse().unwrap(), [1; 32])
}

fn begun(token: &Written) -> Line {
    Line {
        session: token.token.session.clone(),
        generation: 0,
        current: token.hash(),
        previous: None,
        moved_at: T0,
        created_at: T0,
        ended: false,
    }
}

fn moved(line: &Line, next: &Written, at: i64) -> Line {
    Line {
        generation: next.token.generation,
        current: next.hash(),
        previous: Some(line.current.clone()),
        moved_at: at,
        ..line.clone()
    }
}

fn lifetimes() -> Lifetimes {
    Lifetimes::of_days(90, 365)
}

fn at(line: &Line, token: &Written, seconds: i64) -> Decision {
    present(Some(line), token, lifetimes(), from_unix(T0 + seconds))
}

#[test]
fn a_token_reads_back_as_it_was_written() {
    let token = first();
    assert_eq!(keys().read(token.expose()).unwrap().token, token.token);
    let next = keys().successor(&token);
    assert_eq!(next.token.generation, 1);
    assert_eq!(keys().read(next.expose()).unwrap().token, next.token);
}

#[test]
fn a_successor_is_always_the_same_and_of_the_servers_key() {
    let token = first();
    assert_eq!(keys().successor(&token).expose(), keys().successor(&token).expose());
    assert_ne!(keys().successor(&token).expose(), Keys::derive(&[8; 32]).successor(&token).expose());
    assert!(Keys::derive(&[8; 32]).read(token.expose()).is_err());
}

#[test]
fn the_previous_token_gets_the_same_successor_for_thirty_seconds() {
    let (zero, line) = (first(), begun(&first()));
    assert_eq!(at(&line, &zero, 0), Decision::Move);
    let one = keys().successor(&zero);
    let line = moved(&line, &one, T0);
    assert_eq!(at(&line, &zero, 30), Decision::Repeat);
    assert_eq!(at(&line, &zero, 31), Decision::Theft);
    assert_eq!(at(&line, &one, 31), Decision::Move);
}

#[test]
fn the_grace_ends_when_the_successor_is_used() {
    let zero = first();
    let one = keys().successor(&zero);
    let line = moved(&moved(&begun(&zero), &one, T0), &keys().successor(&one), T0 + 1);
    assert_eq!(at(&line, &zero, 2), Decision::Theft);
    assert_eq!(at(&line, &one, 2), Decision::Repeat);
}

#[test]
fn an_ended_or_replaced_session_is_revoked_and_never_theft() {
    let zero = first();
    let ended = Line { ended: true, ..begun(&zero) };
    assert_eq!(at(&ended, &zero, 0), Decision::Refused(Refusal::Ended));
    let replaced = Line { session: "ses_2".parse().unwrap(), generation: 9, ..begun(&zero) };
    assert_eq!(at(&replaced, &zero, 0), Decision::Refused(Refusal::Ended));
}

#[test]
fn age_ends_a_session() {
    let zero = first();
    let line = begun(&zero);
    assert_eq!(at(&line, &zero, 90 * DAY), Decision::Move);
    assert_eq!(at(&line, &zero, 90 * DAY + 1), Decision::Expired);
    let used = Line { moved_at: T0 + 360 * DAY, ..line };
    assert_eq!(at(&used, &zero, 365 * DAY + 1), Decision::Expired);
}

#[test]
fn a_token_the_row_does_not_know_yet_is_refused_without_ending_anything() {
    let zero = first();
    let one = keys().successor(&zero);
    assert_eq!(at(&begun(&zero), &one, 0), Decision::Refused(Refusal::Unknown));
    let other =
        keys().first("usr_ada".parse().unwrap(), "dev_phone".parse().unwrap(), "ses_1".parse().unwrap(), [2; 32]);
    assert_eq!(at(&begun(&zero), &other, 0), Decision::Refused(Refusal::Unknown));
    assert_eq!(present(None, &zero, lifetimes(), from_unix(T0)), Decision::Refused(Refusal::Unknown));
}

proptest! {
    #[test]
    fn no_altered_token_is_read(place in 0usize..240, byte in 0u8..=127) {
        let text = first().expose().to_owned();
        let place = place % text.len();
        let mut bytes = text.clone().into_bytes();
        prop_assume!(bytes[place] != byte);
        bytes[place] = byte;
        let altered = String::from_utf8(bytes).unwrap();
        prop_assert!(keys().read(&altered).is_err());
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,300}") {
        prop_assert!(keys().read(&text).is_err());
    }

    #[test]
    fn only_the_last_two_tokens_ever_get_an_answer(moves in 1u64..12, wait in 0i64..60) {
        let mut tokens = vec![first()];
        let mut line = begun(&tokens[0]);
        for step in 0..moves {
            let next = keys().successor(tokens.last().unwrap());
            line = moved(&line, &next, T0 + i64::try_from(step).unwrap());
            tokens.push(next);
        }
        let now = line.moved_at - T0 + wait;
        for token in &tokens {
            let age = line.generation - token.token.generation;
            let expected = match age {
                0 => Decision::Move,
                1 if wait <= GRACE => Decision::Repeat,
                _ => Decision::Theft,
            };
            prop_assert_eq!(at(&line, token, now), expected);
        }
    }
}
