//! Requests on their way, and what their answers do: to the device, to the ledger, to the trace.

use std::collections::BTreeSet;

use super::device::{Kind, Sent};
use super::ledger::{Known, Violation, violation};
use super::story::{ENDLESS, Fate, Story, short};
use super::wire::{Answer, Ask, Pull, Pulled};
use super::world::Trouble;

impl Story {
    /// Sends a request and hears, perhaps, its answer.
    pub(super) async fn exchange(
        &mut self,
        user: &str,
        device: &str,
        ask: Ask,
        fate: Fate,
        trouble: Trouble,
    ) -> Result<Answer, Violation> {
        self.requests += 1;
        let what = describe(&ask);
        match fate {
            Fate::RequestLost => {
                self.note(format!("{} {what}: the request is lost", short(device)));
                return Ok(Answer::Lost);
            }
            Fate::Late => {
                self.note(format!("{} {what}: the request is late", short(device)));
                self.late.push((user.to_owned(), device.to_owned(), ask));
                return Ok(Answer::Lost);
            }
            Fate::Twice => self.late.push((user.to_owned(), device.to_owned(), ask.clone())),
            Fate::Delivered | Fate::AnswerLost => {}
        }
        self.arrives(user, &ask);
        let mut answers = self.world.ask(&[(user.to_owned(), device.to_owned(), ask.clone())], trouble).await?;
        let answer = answers.pop().unwrap_or(Answer::Lost);
        let how = if trouble == Trouble::None { String::new() } else { format!(" in trouble ({trouble:?})") };
        if !is_in_the_middle(&ask, &answer) {
            self.note(format!("{} {what}{how}: {fate:?}, {}", short(device), answer.brief()));
        }
        self.judge(user, &ask, &answer, trouble)?;
        Ok(if fate == Fate::AnswerLost { Answer::Lost } else { answer })
    }

    /// A device pushes, at most so many changes.
    pub(super) async fn push(&mut self, at: usize, most: usize, fate: Fate, trouble: Trouble) -> Result<(), Violation> {
        let sent = self.devices[at].push(most);
        if sent.changes.is_empty() {
            return Ok(());
        }
        let device = &self.devices[at];
        // Without clocks a repetition is an edit: who goes on from a push's answer has a network that repeats nothing.
        let repeats = matches!(fate, Fate::Late | Fate::Twice) && device.kind == Kind::SeedBare && device.trusts_push;
        let fate = if repeats { Fate::Delivered } else { fate };
        let (user, device) = (device.user.clone(), device.id.clone());
        let before = self.ledgers[&user].known();
        let answer = self.exchange(&user, &device, Ask::Push(sent.push.clone()), fate, trouble).await?;
        self.heard_push(at, &before, &sent, &answer)?;
        self.deletions_were_seen(at, &sent, &answer).await
    }

    /// A device pulls, page by page, at most so many.
    pub(super) async fn pull(
        &mut self,
        at: usize,
        limit: usize,
        pages: usize,
        fate: Fate,
        trouble: Trouble,
    ) -> Result<(), Violation> {
        let (user, device) = (self.devices[at].user.clone(), self.devices[at].id.clone());
        for page in 0..pages {
            let before = self.ledgers[&user].known();
            let pull = self.devices[at].pull(limit);
            // Only the first page has bad luck, or a pull of many pages would never end.
            let (fate, trouble) = if page == 0 { (fate, trouble) } else { (Fate::Delivered, Trouble::None) };
            let answer = self.exchange(&user, &device, Ask::Pull(pull.clone()), fate, trouble).await?;
            match answer {
                Answer::Pulled(answer) => {
                    if self.heard_page(at, &before, &answer)? {
                        return Ok(());
                    }
                }
                Answer::Refused { status: 410, .. } => self.devices[at].resync(),
                _ => return Ok(()),
            }
        }
        if pages == ENDLESS {
            return Err(violation("every pull ends", format!("{} had {ENDLESS} pages", short(&device))));
        }
        Ok(())
    }

    pub(super) fn arrives(&mut self, user: &str, ask: &Ask) {
        let now = self.world.now();
        if let (Ask::Push(push), Some(ledger)) = (ask, self.ledgers.get_mut(user)) {
            ledger.arrived(push, now);
        }
    }

    /// What any answer to any request is judged by.
    pub(super) fn judge(&mut self, user: &str, ask: &Ask, answer: &Answer, trouble: Trouble) -> Result<(), Violation> {
        expected(ask, answer, trouble)?;
        if let (Ask::Pull(pull), Answer::Pulled(page)) = (ask, answer) {
            page_is_sound(pull, page)?;
        }
        self.promises.answered(user, ask, answer, self.world.now())
    }

    /// Takes a page; whether it was the last.
    pub(super) fn heard_page(&mut self, at: usize, before: &Known, page: &Pulled) -> Result<bool, Violation> {
        let user = self.devices[at].user.clone();
        let Some(ledger) = self.ledgers.get_mut(&user) else { return Ok(true) };
        ledger.pulled(before, page)?;
        self.devices[at].pulled(page);
        if page.has_more {
            return Ok(false);
        }
        // A push's answer moves a trusting client past its own commits, also past one whose answer it has not heard yet.
        let device = &self.devices[at];
        let mut owed = before.clone();
        owed.retain(|id, _| !(device.trusts_push && device.waits_for(id)));
        ledger.complete(&owed, short(&device.id), &device.synced)?;
        Ok(true)
    }

    /// Takes the answer to a push.
    pub(super) fn heard_push(
        &mut self,
        at: usize,
        before: &Known,
        sent: &Sent,
        answer: &Answer,
    ) -> Result<(), Violation> {
        let user = self.devices[at].user.clone();
        match answer {
            Answer::Pushed(pushed) => {
                let Some(ledger) = self.ledgers.get_mut(&user) else { return Ok(()) };
                ledger.pushed(before, sent, pushed)?;
                let (seed, mut contents) = (self.plan.seed, self.contents);
                let mut merges = || {
                    contents += 1;
                    format!("m{seed}-{contents}")
                };
                let made = self.devices[at].pushed(sent, pushed, &mut merges);
                self.contents = contents;
                for (id, data, parents) in made {
                    ledger.made(&id, &self.devices[at].id, &data, parents);
                }
                Ok(())
            }
            Answer::Refused { status: 410, .. } => {
                self.devices[at].resync();
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

pub(super) fn describe(ask: &Ask) -> String {
    match ask {
        Ask::Push(push) => {
            let entries = push.entries.iter().map(|entry| {
                let mark = if entry.is_deleted { "-" } else { "" };
                format!("{mark}{}{}", entry.id, entry.vector_clock.compact_json())
            });
            let words: Vec<String> = entries.chain(push.deleted_ids.iter().map(|id| format!("--{id}"))).collect();
            let more = if words.len() > 6 { ", …" } else { "" };
            format!("pushes {} [{}{more}]", words.len(), words[..words.len().min(6)].join(", "))
        }
        Ask::Pull(pull) => {
            let from = match (&pull.cursor, pull.last_sync_at) {
                (Some(_), _) => "from its cursor".to_owned(),
                (None, Some(at)) => format!("since {at}"),
                (None, None) => "in full".to_owned(),
            };
            format!("pulls {from}, {} a page", pull.limit)
        }
        Ask::Status => "asks for the status".to_owned(),
        Ask::History(id) => format!("asks for the history of {id}"),
        Ask::Erase => "erases the space".to_owned(),
    }
}

/// Histories, and pages between the first and the last of a pull, would fill the trace.
fn is_in_the_middle(ask: &Ask, answer: &Answer) -> bool {
    matches!(ask, Ask::History(_))
        || matches!((ask, answer), (Ask::Pull(pull), Answer::Pulled(page)) if pull.cursor.is_some() && page.has_more)
}

/// Only what `design/sync.md` allows may be answered.
fn expected(ask: &Ask, answer: &Answer, trouble: Trouble) -> Result<(), Violation> {
    let in_trouble = trouble != Trouble::None;
    let allowed = match (ask, answer) {
        (_, Answer::Refused { status: 503, .. } | Answer::Lost) => in_trouble,
        (Ask::Pull(pull), Answer::Refused { status: 410, .. }) => pull.cursor.is_some(),
        (Ask::Push(push), Answer::Refused { status: 410, .. }) => push.base_cursor.is_some(),
        (_, Answer::Refused { .. }) => false,
        _ => true,
    };
    if allowed { Ok(()) } else { Err(violation("a request is answered 200, or 503 in trouble", answer.brief())) }
}

fn page_is_sound(pull: &Pull, page: &Pulled) -> Result<(), Violation> {
    let limit = if pull.cursor.is_none() && pull.last_sync_at.is_some() { 1_000 } else { pull.limit };
    let ids: Vec<&String> = page.tombstones.iter().map(|dead| &dead.id).collect();
    let mut told = BTreeSet::new();
    let mut all_ids = page.entries.iter().map(|entry| &entry.id).chain(ids.iter().copied());
    let twice = all_ids.find(|id| !told.insert(*id));
    let stuck = page.items() == 0 && page.has_more && pull.cursor.as_ref() == Some(&page.cursor);
    let is_position = |at: u64| at >= 1_000_000;
    let back = pull.cursor.is_none()
        && !page.snapshot
        && pull
            .last_sync_at
            .is_some_and(|at| is_position(at) && is_position(page.server_timestamp) && page.server_timestamp < at);
    let what = if page.items() > limit {
        "a page holds no more than its limit"
    } else if ids != page.deleted_ids.iter().collect::<Vec<_>>() {
        "deleted_ids are the tombstones"
    } else if twice.is_some() {
        "an id stands once on a page"
    } else if page.complete == page.has_more {
        "a page is the last or has more"
    } else if stuck {
        "a page is never empty with has_more unless the cursor moved"
    } else if back {
        "monotonic reads"
    } else {
        return Ok(());
    };
    let found = Answer::Pulled(page.clone()).brief();
    Err(violation(what, format!("asked {pull:?}, answered {found}")))
}
