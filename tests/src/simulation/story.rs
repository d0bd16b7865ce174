//! One story: devices that edit, push and pull over a bad network, step by step, as the seed draws them.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::Plan;
use super::device::{Device, Kind};
use super::ledger::{Ledger, Violation, violation};
use super::promises::Promises;
use super::random::Random;
use super::wire::{Answer, Ask};
use super::world::{Backend, Trouble, World};

/// The person whose devices the story is about.
pub(super) const PERSON: &str = "ada";
/// Somebody else, who uses the same entry ids.
pub(super) const STRANGER: &str = "eve";
/// Lines of the trace that are kept.
const TRACE: usize = 150;
/// Pages a pull may have before it is taken for endless.
pub(super) const ENDLESS: usize = 5_000;

/// What becomes of a request on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Delivered,
    AnswerLost,
    RequestLost,
    /// It arrives later, after newer ones; the device hears nothing.
    Late,
    /// It arrives, and once more later.
    Twice,
}

/// The last steps, oldest first; it outlives a story that panics.
pub(super) type Trace = Rc<RefCell<VecDeque<String>>>;

/// A story under way.
pub(super) struct Story {
    pub(super) plan: Plan,
    pub(super) random: Random,
    pub(super) world: World,
    pub(super) devices: Vec<Device>,
    pub(super) ledgers: BTreeMap<String, Ledger>,
    /// A device of each person that only looks.
    pub(super) probes: BTreeMap<String, String>,
    /// Cursors that a probe was given, to go on from later.
    pub(super) old_cursors: Vec<String>,
    pub(super) late: Vec<(String, String, Ask)>,
    pub(super) promises: Promises,
    /// What was known when the copy was made that may be put back.
    pub(super) backup: Option<BTreeMap<String, Ledger>>,
    trace: Trace,
    pub(super) requests: usize,
    pub(super) contents: u64,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Edit,
    Delete,
    Bulk,
    Push,
    Pull,
    Together,
    Late,
    Wait,
    Offline,
    Skew,
    Join,
    Erase,
    RaiseEpoch,
    Restore,
    Reinstall,
    Audit,
    Pages,
    Twice,
    Overlap,
    Orders,
}

impl Story {
    pub(super) async fn begin(plan: Plan, trace: Trace) -> Self {
        let world = World::start(plan.backend, plan.seed, plan.bug).await;
        let mut story = Self {
            plan,
            random: Random::new(plan.seed),
            world,
            devices: Vec::new(),
            ledgers: BTreeMap::new(),
            probes: BTreeMap::new(),
            old_cursors: Vec::new(),
            late: Vec::new(),
            promises: Promises::default(),
            backup: None,
            trace,
            requests: 0,
            contents: 0,
        };
        for user in [PERSON, STRANGER] {
            let probe = story.world.join(user).await;
            story.probes.insert(user.to_owned(), probe);
            story.ledgers.insert(user.to_owned(), Ledger::default());
        }
        for at in 0..story.random.between(2, 5) {
            story.join(PERSON, (at == 0).then_some(Kind::Modern)).await;
        }
        story.join(STRANGER, Some(Kind::Modern)).await;
        story
    }

    pub(super) fn note(&mut self, text: impl Into<String>) {
        let mut trace = self.trace.borrow_mut();
        if trace.len() == TRACE {
            trace.pop_front();
        }
        trace.push_back(text.into());
    }

    async fn join(&mut self, user: &str, kind: Option<Kind>) {
        let id = self.world.join(user).await;
        let modern = if self.begins_anew() { 1 } else { 6 };
        let drawn = self.random.weighted(&[(modern, Kind::Modern), (2, Kind::SeedClocked), (2, Kind::SeedBare)]);
        let mut device = Device::new(user, &id, kind.or(drawn).unwrap_or(Kind::Modern));
        device.trusts_push = device.kind != Kind::Modern && self.random.chance(50);
        device.rejects = device.kind == Kind::Modern && self.random.chance(15);
        device.deletes_by_id = device.kind == Kind::Modern && self.random.chance(35);
        self.note(format!("{} joins: {user}, {:?}, rejects {}", short(&id), device.kind, device.rejects));
        self.devices.push(device);
    }

    pub(super) fn content(&mut self, large: bool) -> String {
        self.contents += 1;
        let text = format!("v{}-{}", self.plan.seed, self.contents);
        let size =
            if large { self.random.between(20_000, 200_000) } else { self.random.pick(&[0, 0, 40, 400, 1_500, 2_500]) };
        if self.random.chance(50) {
            use base64::Engine as _;
            let padded = text + &"-".repeat(size);
            return base64::engine::general_purpose::STANDARD.encode(padded);
        }
        text + &"~".repeat(size)
    }

    /// Takes the next step.
    pub(super) async fn step(&mut self) -> Result<(), Violation> {
        let real = self.world.is_real();
        let twin = self.plan.backend == Backend::Twin;
        // Some stories have a theme: erased spaces and restores, or clients that begin anew again and again.
        let rare = |weight: usize| if self.plan.seed.is_multiple_of(4) { weight } else { 0 };
        let weights = [
            (300, Step::Edit),
            (70, Step::Delete),
            (6, Step::Bulk),
            (210, Step::Push),
            (190, Step::Pull),
            (if real && !twin { 50 } else { 0 }, Step::Together),
            (50, Step::Late),
            (40, Step::Wait),
            (4, Step::Offline),
            (15, Step::Skew),
            (6, Step::Join),
            (rare(30), Step::Erase),
            (rare(12), Step::RaiseEpoch),
            (rare(45), Step::Restore),
            (if self.begins_anew() { 60 } else { 4 }, Step::Reinstall),
            (12, Step::Audit),
            (8, Step::Pages),
            (25, Step::Twice),
            (if twin { 0 } else { 35 }, Step::Overlap),
            (8, Step::Orders),
        ];
        let step = self.random.weighted(&weights).unwrap_or(Step::Wait);
        let at = self.random.below(self.devices.len());
        if self.random.chance(50) {
            let seconds = self.random.pick(&[1, 1, 1, 2, 3, 5, 12]);
            self.world.advance(seconds).await;
        }
        match step {
            Step::Edit => self.edit(at, 1),
            Step::Bulk => self.edit(at, 130),
            Step::Delete => self.delete(at),
            Step::Push => {
                let (fate, trouble) = self.luck();
                let most = self.random.pick(&[1, 2, 5, 20, 200, 200]);
                self.push(at, most, fate, trouble).await?;
            }
            Step::Pull => {
                let (fate, trouble) = self.luck();
                // Where a pull of a few pages is left again and again, one goes on from a page for long.
                let limit = self.random.pick(&[1, 2, 7, 7, 1_000, 1_000]);
                let pages = if self.random.chance(if self.begins_anew() { 70 } else { 30 }) {
                    self.random.between(1, 3)
                } else {
                    ENDLESS
                };
                self.pull(at, limit, pages, fate, trouble).await?;
            }
            Step::Together => self.together().await?,
            Step::Late => self.deliver_late().await?,
            Step::Wait => {
                let seconds = self.random.between(1, 1_200);
                self.world.advance(seconds as u64).await;
            }
            Step::Offline => self.offline().await?,
            Step::Skew => {
                let skew = self.random.pick(&[0, -3, 3, 290, 7_200, -7_200, 259_200, -259_200]);
                self.devices[at].skew = skew;
                self.note(format!("{} has its clock wrong by {skew} s", short(&self.devices[at].id)));
            }
            Step::Join if self.devices.len() < 7 => self.join(PERSON, None).await,
            Step::Join => {}
            Step::Erase => self.erase().await?,
            Step::RaiseEpoch => {
                self.note("StoreEpoch is raised");
                self.world.raise_epoch().await?;
                self.epoch_ends();
            }
            Step::Restore => self.restore().await?,
            Step::Reinstall => {
                self.note(format!("{} has lost its place", short(&self.devices[at].id)));
                self.devices[at].resync();
            }
            Step::Audit => {
                self.audit(PERSON).await?;
            }
            Step::Pages => self.pages().await?,
            Step::Twice => self.push_twice(at).await?,
            Step::Overlap => self.overlap(at).await?,
            Step::Orders => self.orders().await?,
        }
        Ok(())
    }

    /// Nobody is in trouble any more: everybody brings up what they have and pulls to the head.
    pub(super) async fn end(&mut self) -> Result<(), Violation> {
        self.note("the end: the network is well");
        while !self.late.is_empty() {
            self.deliver_late().await?;
        }
        // Only a full pull tells a device what a restore has lost, and what it has to bring up again.
        for at in 0..self.devices.len() {
            self.pull(at, 1_000, ENDLESS, Fate::Delivered, Trouble::None).await?;
        }
        for at in 0..self.devices.len() {
            for _ in 0..40 {
                if self.devices[at].outbox.is_empty() {
                    break;
                }
                self.push(at, 200, Fate::Delivered, Trouble::None).await?;
            }
            if let Some(change) = self.devices[at].outbox.first() {
                let text = format!("{} cannot bring up its change of {}", short(&self.devices[at].id), change.id);
                return Err(violation("every push ends", text));
            }
        }
        for at in 0..self.devices.len() {
            self.pull(at, 1_000, ENDLESS, Fate::Delivered, Trouble::None).await?;
        }
        self.converged().await?;
        self.pages().await?;
        self.audit(PERSON).await?;
        self.audit(STRANGER).await?;
        if self.random.chance(30) { self.losers().await } else { Ok(()) }
    }

    /// Whether this is a story of clients that begin anew again and again.
    fn begins_anew(&self) -> bool {
        self.plan.seed.is_multiple_of(5)
    }

    fn luck(&mut self) -> (Fate, Trouble) {
        let fate = self.random.weighted(&[
            (70, Fate::Delivered),
            (9, Fate::AnswerLost),
            (5, Fate::RequestLost),
            (8, Fate::Late),
            (8, Fate::Twice),
        ]);
        let seed = self.random.draw();
        let trouble = match self.plan.backend {
            Backend::Twin => Trouble::None,
            Backend::Model if seed.is_multiple_of(10) => Trouble::Crash(seed >> 8),
            Backend::Model => Trouble::None,
            Backend::Real => match seed % 10 {
                0 => Trouble::Crash(seed >> 8),
                1 | 2 => Trouble::Torn(seed >> 8),
                3..=7 => Trouble::Flaky(seed >> 8),
                _ => Trouble::None,
            },
        };
        (fate.unwrap_or(Fate::Delivered), trouble)
    }

    pub(super) fn edit(&mut self, at: usize, count: usize) {
        let shown = self.devices[at].shown();
        let first = self.random.below(400);
        for number in 0..count {
            let fresh = count > 1 || shown.is_empty() || self.random.chance(25);
            let pool = if self.plan.seed.is_multiple_of(2) { 6 } else { 25 };
            let id = match fresh {
                true if count > 1 => format!("b-{:04}", first + number),
                true => format!("e-{:02}", self.random.below(pool)),
                false => shown[self.random.below(shown.len())].clone(),
            };
            let large = self.plan.backend == Backend::Real && self.random.chance(2);
            let data = self.content(large);
            let in_place = self.random.chance(50);
            let now = self.world.now();
            let user = self.devices[at].user.clone();
            let parents = self.devices[at].change(&id, Some(data.clone()), now, in_place);
            if count == 1 {
                self.note(format!("{} edits {id}: {}", short(&self.devices[at].id), brief(&data)));
            }
            if let Some(ledger) = self.ledgers.get_mut(&user) {
                ledger.made(&id, &self.devices[at].id, &data, parents);
            }
        }
        if count > 1 {
            self.note(format!("{} edits {count} entries from b-{first:04} on", short(&self.devices[at].id)));
        }
    }

    fn delete(&mut self, at: usize) {
        let shown = self.devices[at].shown();
        if shown.is_empty() {
            return;
        }
        let id = shown[self.random.below(shown.len())].clone();
        let now = self.world.now();
        self.devices[at].change(&id, None, now, false);
        self.note(format!("{} deletes {id}", short(&self.devices[at].id)));
    }

    async fn deliver_late(&mut self) -> Result<(), Violation> {
        if self.late.is_empty() {
            return Ok(());
        }
        let (user, device, ask) = self.late.remove(self.random.below(self.late.len()));
        self.arrives(&user, &ask);
        let answer = self.world.ask(&[(user.clone(), device.clone(), ask.clone())], Trouble::None).await?;
        self.requests += 1;
        let answer = answer.first().cloned().unwrap_or(Answer::Lost);
        self.note(format!("late: {} {}: {}", short(&device), super::exchange::describe(&ask), answer.brief()));
        self.judge(&user, &ask, &answer, Trouble::None)
    }

    async fn offline(&mut self) -> Result<(), Violation> {
        for user in [PERSON, STRANGER] {
            self.audit(user).await?;
        }
        let days = self.random.pick(&[8, 8, 20, 35, 185]);
        self.note(format!("{days} days pass"));
        self.world.advance(days * 86_400).await;
        Ok(())
    }

    pub(super) async fn erase(&mut self) -> Result<(), Violation> {
        let Some(at) = self.devices.iter().position(|device| device.user == PERSON) else { return Ok(()) };
        let device = self.devices[at].id.clone();
        self.exchange(PERSON, &device, Ask::Erase, Fate::Delivered, Trouble::None).await?;
        if let Some(ledger) = self.ledgers.get_mut(PERSON) {
            ledger.erased();
        }
        self.promises.void(PERSON);
        let ids = self.devices[at].shown();
        self.devices[at].synced.clear();
        self.devices[at].outbox.clear();
        for device in self.devices.iter_mut().filter(|device| device.user == PERSON) {
            device.erased();
        }
        self.old_cursors.clear();
        for id in ids {
            let data = self.content(false);
            let now = self.world.now();
            let parents = self.devices[at].change(&id, Some(data.clone()), now, false);
            if let Some(ledger) = self.ledgers.get_mut(PERSON) {
                ledger.made(&id, &device, &data, parents);
            }
        }
        Ok(())
    }
}

/// The last characters of a device id: the rest is alike.
pub(super) fn short(device: &str) -> &str {
    device.get(device.len().saturating_sub(4)..).unwrap_or(device)
}

pub(super) fn brief(data: &str) -> String {
    data.chars().take(24).collect()
}
