//! What a function is given at init: settings, time, chance, and ways out.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use satchel_domain::Timestamp;
use satchel_domain::ids::Id;
use satchel_outbound::{Aws, Http};
use ulid::Ulid;

/// Everything from outside that a function is built of.
#[derive(Clone)]
pub struct Env {
    /// Settings by name.
    pub settings: Settings,
    /// What time it is.
    pub clock: Clock,
    /// New ids and random bytes.
    pub ids: Ids,
    /// AWS.
    pub aws: Aws,
    /// Other people's servers.
    pub http: Http,
}

/// The injected clock; the machine's in Lambda, one that tests move elsewhere.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that asks `now`.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The machine's clock.
    #[expect(clippy::disallowed_methods, reason = "the one place where the machine's clock is read")]
    pub fn system() -> Self {
        Self::new(Timestamp::now)
    }

    /// The moment it is.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }

    /// The moment it is, in Unix seconds.
    pub fn unix(&self) -> i64 {
        self.now().as_second()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

type Fill = dyn Fn(&mut [u8]) + Send + Sync;

/// The source of ids and random bytes.
#[derive(Clone)]
pub struct Ids(Arc<Fill>, Clock);

impl Ids {
    /// Ids made of `clock`'s time and of what `fill` fills in.
    pub fn new(clock: Clock, fill: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(fill), clock)
    }

    /// Ids of the system's randomness.
    #[expect(clippy::expect_used, reason = "a machine without randomness cannot serve anybody")]
    pub fn system(clock: Clock) -> Self {
        Self::new(clock, |bytes| getrandom::fill(bytes).expect("the system has randomness"))
    }

    /// A new id, ordered by time.
    pub fn next<T: Id>(&self) -> T {
        let millis = u64::try_from(self.1.now().as_millisecond()).unwrap_or(0);
        T::from_ulid(Ulid::from_parts(millis, u128::from_be_bytes(self.bytes())))
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.0)(&mut bytes);
        bytes
    }
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ids")
    }
}

/// What is wrong with the settings, all of it at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaints(pub Vec<String>);

impl fmt::Display for Complaints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "settings: {}", self.0.join("; "))
    }
}

impl std::error::Error for Complaints {}

/// Both, or the complaints of both.
///
/// # Errors
/// All complaints.
pub fn both<A, B>(one: Result<A, Complaints>, other: Result<B, Complaints>) -> Result<(A, B), Complaints> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (Err(Complaints(mut complaints)), Err(Complaints(more))) => {
            complaints.extend(more);
            Err(Complaints(complaints))
        }
        (Err(complaints), _) | (_, Err(complaints)) => Err(complaints),
    }
}

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Settings by name: the environment's in Lambda, a map elsewhere.
#[derive(Clone)]
pub struct Settings(Arc<Lookup>);

impl Settings {
    /// Settings that `lookup` finds.
    pub fn new(lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(lookup))
    }

    /// The environment's variables.
    #[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
    pub fn environment() -> Self {
        Self::new(|name| std::env::var(name).ok())
    }

    /// The value of `name`; an empty one is none.
    pub fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    /// Reads settings and collects every complaint: `read` gets a reader whose answers are defaults after a complaint.
    ///
    /// # Errors
    /// All complaints.
    pub fn read<T>(&self, read: impl FnOnce(&mut Reader<'_>) -> T) -> Result<T, Complaints> {
        let mut reader = Reader { settings: self, complaints: Vec::new() };
        let value = read(&mut reader);
        if reader.complaints.is_empty() { Ok(value) } else { Err(Complaints(reader.complaints)) }
    }
}

fn split(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// Reads settings one by one and remembers what is wrong.
pub struct Reader<'a> {
    settings: &'a Settings,
    complaints: Vec<String>,
}

impl Reader<'_> {
    /// A text that must be there.
    pub fn text(&mut self, name: &str) -> String {
        self.settings.get(name).unwrap_or_else(|| {
            self.complaints.push(format!("{name} is not set"));
            String::new()
        })
    }

    /// A text that may be missing.
    pub fn optional(&mut self, name: &str) -> Option<String> {
        self.settings.get(name)
    }

    /// A value that must be readable, or `default` where it is not set.
    pub fn value<T: FromStr>(&mut self, name: &str, default: T) -> T {
        match self.settings.get(name).map(|text| text.parse()) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(_)) => {
                self.complaints.push(format!("{name} cannot be read as {}", std::any::type_name::<T>()));
                default
            }
        }
    }

    /// A list, separated by commas, that must have an entry.
    pub fn list(&mut self, name: &str) -> Vec<String> {
        split(&self.text(name))
    }

    /// A list, separated by commas, that may be empty.
    pub fn list_or_none(&mut self, name: &str) -> Vec<String> {
        split(&self.optional(name).unwrap_or_default())
    }

    /// Complains of something read elsewhere.
    pub fn complain(&mut self, complaint: impl Into<String>) {
        self.complaints.push(complaint.into());
    }
}
