//! Properties that are looked at from outside, while nobody is in trouble.

use std::collections::BTreeMap;

use super::copy::{self, Copy, differences};
use super::device::Sent;
use super::ledger::{Violation, violation};
use super::story::{ENDLESS, Fate, PERSON, Story, short};
use super::wire::{Answer, Ask, Pull, SpaceStatus, Status, Version};
use super::world::Trouble;

impl Story {
    pub(super) async fn look(&mut self, user: &str, ask: Ask) -> Result<Answer, Violation> {
        let probe = self.probes.get(user).cloned().unwrap_or_default();
        self.exchange(user, &probe, ask, Fate::Delivered, Trouble::None).await
    }

    /// Everything after `cursor`, in pages of `limit`, and the cursor at its end.
    async fn all(
        &mut self,
        user: &str,
        mut cursor: Option<String>,
        limit: usize,
    ) -> Result<Option<(Copy, String)>, Violation> {
        let mut copy = Copy::new();
        let probe = self.probes.get(user).cloned().unwrap_or_default();
        for _ in 0..ENDLESS {
            let pull = Pull { device_id: probe.clone(), last_sync_at: None, cursor: cursor.take(), limit };
            match self.look(user, Ask::Pull(pull)).await? {
                Answer::Pulled(page) => {
                    copy.extend(copy::items(&page));
                    if !page.has_more {
                        return Ok(Some((copy, page.cursor)));
                    }
                    cursor = Some(page.cursor);
                }
                _ => return Ok(None),
            }
        }
        Err(violation("every pull ends", format!("a probe had {ENDLESS} pages of {limit}")))
    }

    async fn full(&mut self, user: &str, limit: usize) -> Result<Copy, Violation> {
        let found = self.all(user, None, limit).await?;
        let (copy, cursor) = found.ok_or_else(|| violation("a full pull is answered", "it was not"))?;
        if user == PERSON {
            self.old_cursors.push(cursor);
        }
        Ok(copy)
    }

    pub(super) async fn status(&mut self, user: &str) -> Result<SpaceStatus, Violation> {
        match self.look(user, Ask::Status).await? {
            Answer::Status(status) => Ok(status),
            other => Err(violation("a status is answered", other.brief())),
        }
    }

    /// All devices of the person hold what the server holds.
    pub(super) async fn converged(&mut self) -> Result<(), Violation> {
        let copies: BTreeMap<String, Copy> = BTreeMap::from([
            (PERSON.to_owned(), self.full(PERSON, 1_000).await?),
            (super::story::STRANGER.to_owned(), self.full(super::story::STRANGER, 1_000).await?),
        ]);
        for device in &self.devices {
            let Some(copy) = copies.get(&device.user) else { continue };
            let apart = differences(&device.synced, copy);
            if !apart.is_empty() {
                let text =
                    format!("{} ({:?}) against the server: {}", short(&device.id), device.kind, apart.join("; "));
                return Err(violation("convergence", text));
            }
        }
        Ok(())
    }

    /// Counts, bytes and digest are what a full pull adds up to, and nothing acknowledged is lost. What is stored.
    pub(super) async fn audit(&mut self, user: &str) -> Result<Copy, Violation> {
        let stored = self.full(user, 1_000).await?;
        let status = self.status(user).await?;
        let sum = copy::sum(&stored, status.head, &status.epoch);
        if sum != status {
            return Err(violation(
                "counts, bytes and digest are what a full pull adds up to",
                format!("{status:?} against {sum:?}"),
            ));
        }
        let ids = self.ledgers.get(user).map(|ledger| ledger.histories.ids()).unwrap_or_default();
        let now = self.world.now();
        for id in ids {
            let versions = self.history(user, &id).await?;
            if let Some(ledger) = self.ledgers.get_mut(user) {
                ledger.history(&id, &versions, now)?;
            }
        }
        let Some(ledger) = self.ledgers.get(user) else { return Ok(stored) };
        match ledger.missing(&stored).first() {
            None => Ok(stored),
            Some((id, data)) => {
                let shown: String = data.chars().take(24).collect();
                let text = format!(
                    "{id}: {shown} ({}) was acknowledged, and is neither an ancestor of what is stored nor in history",
                    ledger.origin(data)
                );
                Err(violation("no silent loss", text))
            }
        }
    }

    pub(super) async fn history(&mut self, user: &str, id: &str) -> Result<Vec<Version>, Violation> {
        match self.look(user, Ask::History(id.to_owned())).await? {
            Answer::History(versions) => Ok(versions),
            other => Err(violation("a history is answered", other.brief())),
        }
    }

    /// A deletion by id with `base_cursor` deletes nothing but what its device wrote, or a pull had brought.
    pub(super) async fn deletions_were_seen(
        &mut self,
        at: usize,
        sent: &Sent,
        answer: &Answer,
    ) -> Result<(), Violation> {
        let Answer::Pushed(pushed) = answer else { return Ok(()) };
        let user = self.devices[at].user.clone();
        let results = sent.changes.iter().zip(&pushed.results).filter(|(change, verdict)| {
            sent.push.base_cursor.is_some() && change.is_by_id() && verdict.status == Status::Applied
        });
        for (change, verdict) in results {
            let versions = self.history(&user, &change.id).await?;
            let deleted = versions
                .iter()
                .find(|version| Some(version.seq) == verdict.seq && version.reason == "deleted")
                .map(|version| version.encrypted_data.as_str());
            let device = &self.devices[at];
            match deleted {
                Some(data) if device.seen.contains(data) => {}
                Some(data) => {
                    let shown: String = data.chars().take(24).collect();
                    let text = format!("{} deleted {} of {shown}, which it never pulled", short(&device.id), change.id);
                    return Err(violation("a deletion by id deletes what its device has seen", text));
                }
                None => return Err(violation("what is deleted goes to history", format!("{} does not", change.id))),
            }
        }
        Ok(())
    }

    /// Pages of 1, 7 and 1,000 bring the same, from the beginning and from a place in between.
    pub(super) async fn pages(&mut self) -> Result<(), Violation> {
        let whole = self.full(PERSON, 1_000).await?;
        let cursor = match self.old_cursors.len() {
            0 => None,
            count => Some(self.old_cursors[self.random.below(count)].clone()),
        };
        let since = match cursor.clone() {
            Some(cursor) => self.all(PERSON, Some(cursor), 1_000).await?,
            None => None,
        };
        for limit in [7, 1] {
            if limit == 1 && whole.len() > 40 {
                continue;
            }
            let apart = differences(&self.full(PERSON, limit).await?, &whole);
            if !apart.is_empty() {
                let text = format!("in full by {limit} against 1,000: {}", apart.join("; "));
                return Err(violation("pages of any size bring the same", text));
            }
            if let (Some(cursor), Some((since, _))) = (&cursor, &since) {
                let again =
                    self.all(PERSON, Some(cursor.clone()), limit).await?.map(|(copy, _)| copy).unwrap_or_default();
                let apart = differences(&again, since);
                if !apart.is_empty() {
                    let text = format!("from a cursor by {limit} against 1,000: {}", apart.join("; "));
                    return Err(violation("pages of any size bring the same", text));
                }
            }
        }
        Ok(())
    }

    /// Several devices ask at the same moment.
    pub(super) async fn together(&mut self) -> Result<(), Violation> {
        let mut chosen: Vec<usize> = (0..self.devices.len()).collect();
        self.random.shuffle(&mut chosen);
        chosen.truncate(self.random.between(2, 4));
        let seed = self.random.draw();
        let trouble = match seed % 4 {
            0 => Trouble::None,
            1 => Trouble::Flaky(seed >> 8),
            _ => Trouble::Torn(seed >> 8),
        };
        let mut asked = Vec::new();
        let mut sents = Vec::new();
        for at in &chosen {
            let limit = self.random.pick(&[1, 7, 1_000, 1_000]);
            let pushes = self.random.chance(60);
            let device = &mut self.devices[*at];
            let sent = pushes.then(|| device.push(100)).filter(|sent| !sent.changes.is_empty());
            let ask = sent.as_ref().map_or_else(|| Ask::Pull(device.pull(limit)), |sent| Ask::Push(sent.push.clone()));
            asked.push((device.user.clone(), device.id.clone(), ask));
            sents.push(sent);
        }
        let before: BTreeMap<String, super::ledger::Known> =
            self.ledgers.iter().map(|(user, ledger)| (user.clone(), ledger.known())).collect();
        for (user, _, ask) in &asked {
            self.arrives(user, ask);
        }
        let answers = self.world.ask(&asked, trouble).await?;
        self.requests += asked.len();
        for (((at, sent), (user, device, ask)), answer) in chosen.iter().zip(&sents).zip(&asked).zip(&answers) {
            self.note(format!("together ({trouble:?}): {} {}", short(device), answer.brief()));
            self.judge(user, ask, answer, trouble)?;
            let before = before.get(user).cloned().unwrap_or_default();
            match (sent, answer) {
                (Some(sent), answer) => {
                    self.heard_push(*at, &before, sent, answer)?;
                    self.deletions_were_seen(*at, sent, answer).await?;
                }
                (None, Answer::Pulled(page)) => {
                    self.heard_page(*at, &before, page)?;
                }
                (None, Answer::Refused { status: 410, .. }) => self.devices[*at].resync(),
                (None, _) => {}
            }
        }
        Ok(())
    }

    /// The same concurrent writes in several orders of arrival, each keeping its author's own: the outcome is the same.
    pub(super) async fn orders(&mut self) -> Result<(), Violation> {
        let writers = self.random.between(2, 3);
        let deletes = self.random.chance(30);
        let name = self.random.draw() % 100_000;
        let writes = super::orders::writes(&mut self.random, writers, deletes, self.world.now());
        let orders: Vec<Vec<usize>> = (0..6).map(|_| super::orders::order(&mut self.random, &writes)).collect();
        let probe = self.probes.get(PERSON).cloned().unwrap_or_default();
        let push = super::orders::push(&probe, name, &writes, &orders);
        if let Some(ledger) = self.ledgers.get_mut(PERSON) {
            for entry in &push.entries {
                ledger.made(&entry.id, &entry.device_id, &entry.encrypted_data, Vec::new());
            }
        }
        let answer = self.look(PERSON, Ask::Push(push)).await?;
        if !matches!(answer, Answer::Pushed(_)) {
            return Ok(());
        }
        let stored = self.full(PERSON, 1_000).await?;
        let mut outcomes = Vec::new();
        for order in 0..orders.len() {
            let id = super::orders::id(name, order);
            let history = self.history(PERSON, &id).await?;
            outcomes.push((stored.get(&id).cloned(), history));
        }
        super::orders::judge(&writes, &orders, &outcomes, deletes)
    }
}
