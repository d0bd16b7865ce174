//! The same again: pushes that are repeated, and requests of one device that are under way at once.

use super::ledger::{Violation, violation};
use super::story::{Fate, PERSON, Story, short};
use super::wire::{Answer, Ask, Entry, Pull, Push, Pushed, Status, Winner};
use super::world::{Backend, Trouble};

impl Story {
    /// The same push again changes nothing.
    pub(super) async fn push_twice(&mut self, at: usize) -> Result<(), Violation> {
        let most = self.random.pick(&[20, 20, 200]);
        let sent = self.devices[at].push(most);
        if sent.changes.is_empty() {
            return Ok(());
        }
        let (user, device) = (self.devices[at].user.clone(), self.devices[at].id.clone());
        let before = self.ledgers[&user].known();
        let ask = Ask::Push(sent.push.clone());
        let answer = self.exchange(&user, &device, ask.clone(), Fate::Delivered, Trouble::None).await?;
        self.heard_push(at, &before, &sent, &answer)?;
        self.deletions_were_seen(at, &sent, &answer).await?;
        if !matches!(answer, Answer::Pushed(_)) {
            return Ok(());
        }
        let once = self.status(&user).await?;
        self.exchange(&user, &device, ask, Fate::Delivered, Trouble::None).await?;
        let twice = self.status(&user).await?;
        if once == twice {
            Ok(())
        } else {
            Err(violation("push twice is push once", format!("{once:?}, then {twice:?}")))
        }
    }

    /// A device has two requests under way: a push and its repetition, a push and a pull, or the push of before it was
    /// wiped, whose answer it will not hear, and the pull by which it begins anew. Or it has one that it forgot.
    pub(super) async fn overlap(&mut self, at: usize) -> Result<(), Violation> {
        let (user, device) = (self.devices[at].user.clone(), self.devices[at].id.clone());
        if self.devices[at].is_within_pages() && self.random.chance(50) {
            // The first page of its full pull is asked for once more, and nobody listens; what was told on it has changed.
            let other = self.random.below(self.devices.len());
            self.edit(other, 1);
            self.push(other, 200, Fate::Delivered, Trouble::None).await?;
            self.world.advance(30).await;
            let limit = self.random.pick(&[1, 2, 7]);
            let first = Pull { device_id: device.clone(), last_sync_at: None, cursor: None, limit };
            self.exchange(&user, &device, Ask::Pull(first), Fate::AnswerLost, Trouble::None).await?;
            return Ok(());
        }
        let sent = self.devices[at].push(100);
        if sent.changes.is_empty() {
            return Ok(());
        }
        let wiped = self.random.chance(40);
        if wiped {
            self.devices[at].wiped();
            // Nobody can tell an older request of the same device from one of now: none comes later than this push.
            self.late.retain(|(_, sender, _)| *sender != device);
        }
        let push = Ask::Push(sent.push.clone());
        let second = if wiped || self.random.chance(60) {
            let limit = self.random.pick(&[1, 7, 1_000]);
            Ask::Pull(self.devices[at].pull(limit))
        } else {
            push.clone()
        };
        let mut asks = vec![push, second];
        if self.random.chance(50) {
            asks.reverse();
        }
        let seed = self.random.draw();
        let trouble = match (self.world.is_real(), seed % 4) {
            (false, _) | (true, 0) => Trouble::None,
            (true, 1) => Trouble::Flaky(seed >> 8),
            (true, _) => Trouble::Torn(seed >> 8),
        };
        let before = self.ledgers[&user].known();
        let asked: Vec<_> = asks.iter().map(|ask| (user.clone(), device.clone(), ask.clone())).collect();
        for ask in &asks {
            self.arrives(&user, ask);
        }
        let answers = self.world.ask(&asked, trouble).await?;
        self.requests += asked.len();
        let mut heard: Vec<(Ask, Answer)> = asks.into_iter().zip(answers).collect();
        if self.random.chance(50) {
            heard.reverse();
        }
        for (ask, answer) in &heard {
            let lost = if wiped && matches!(ask, Ask::Push(_)) { " (of before it was wiped)" } else { "" };
            let what = super::exchange::describe(ask);
            self.note(format!("at once ({trouble:?}): {} {what}{lost}: {}", short(&device), answer.brief()));
            self.judge(&user, ask, answer, trouble)?;
            match (ask, answer) {
                (Ask::Push(_), _) if wiped => {}
                (Ask::Push(_), _) => {
                    self.heard_push(at, &before, &sent, answer)?;
                    self.deletions_were_seen(at, &sent, answer).await?;
                }
                (_, Answer::Pulled(page)) => {
                    self.heard_page(at, &before, page)?;
                }
                (_, Answer::Refused { status: 410, .. }) => self.devices[at].resync(),
                _ => {}
            }
        }
        Ok(())
    }

    /// So many versions that lose, and go to history once, that they fill several chunks: pushed again and again.
    pub(super) async fn losers(&mut self) -> Result<(), Violation> {
        let is_large = self.plan.backend == Backend::Real && self.random.chance(30);
        let count = if is_large { 3 } else { self.random.between(48, 130) };
        let size = if is_large { 200_000 } else { 10 };
        let (name, now) = (self.random.draw() % 100_000, self.world.now());
        let clock =
            if self.random.chance(50) { [("clone".to_owned(), 1)].into_iter().collect() } else { Default::default() };
        let probe = self.probes.get(PERSON).cloned().unwrap_or_default();
        let push = |word: &str, updated_at: i64| {
            let entry = |number: usize| Entry {
                id: format!("l-{name}-{number:03}"),
                device_id: probe.clone(),
                encrypted_data: format!("{word}-{name}-{number}{}", "~".repeat(size)),
                vector_clock: Clone::clone(&clock),
                is_deleted: false,
                updated_at,
            };
            Push {
                device_id: probe.clone(),
                entries: (0..count).map(entry).collect(),
                deleted_ids: Vec::new(),
                base_cursor: None,
                conflict_policy: "merge",
            }
        };
        let (winners, losers) = (push("wins", now), push("loses", now - 1_000));
        if let Some(ledger) = self.ledgers.get_mut(PERSON) {
            for entry in winners.entries.iter().chain(&losers.entries) {
                ledger.made(&entry.id, &entry.device_id, &entry.encrypted_data, Vec::new());
            }
        }
        self.taken(&winners).await?;
        let mut statuses = Vec::new();
        for _ in 0..3 {
            let pushed = self.taken(&losers).await?;
            let loses = |status, winner| {
                status == Status::ClockReuse || (status == Status::Conflict && winner == Some(Winner::Server))
            };
            if let Some(other) = pushed.results.iter().find(|verdict| !loses(verdict.status, verdict.winner)) {
                return Err(violation("what loses is named a conflict", format!("{other:?}")));
            }
            statuses.push(self.status(PERSON).await?);
        }
        if statuses.windows(2).any(|pair| pair[0] != pair[1]) {
            return Err(violation("push twice is push once", format!("{statuses:?}")));
        }
        for entry in losers.entries.iter().step_by(20).chain(losers.entries.last()) {
            let versions = self.history(PERSON, &entry.id).await?;
            let kept = versions.iter().filter(|version| version.encrypted_data == entry.encrypted_data).count();
            if kept != 1 {
                let text = format!("{} was pushed three times, and stands in history {kept} times", entry.id);
                return Err(violation("what loses goes to history once", text));
            }
        }
        Ok(())
    }

    async fn taken(&mut self, push: &Push) -> Result<Pushed, Violation> {
        match self.look(PERSON, Ask::Push(push.clone())).await? {
            Answer::Pushed(pushed) => Ok(pushed),
            other => Err(violation("a push is answered", other.brief())),
        }
    }
}
