//! Which app this is, by configuration and never by what a payload says (facts 2.1, 8). There is no mode without
//! signatures, and none that accepts Xcode's.

use super::reason::Reason;

/// The app whose purchases count, in one environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    bundle_id: String,
    environment: Environment,
}

/// The store's environment, with what must be known of the app in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// Real purchases; Apple's number of the app must fit too.
    Production {
        /// `appAppleId`.
        app_apple_id: u64,
    },
    /// Purchases of testers and of App Review.
    Sandbox,
}

impl Environment {
    /// The environment as Apple writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Production { .. } => "Production",
            Self::Sandbox => "Sandbox",
        }
    }
}

impl App {
    /// The app `bundle_id` in `environment`.
    pub fn new(bundle_id: impl Into<String>, environment: Environment) -> Self {
        Self { bundle_id: bundle_id.into(), environment }
    }

    /// The environment that is accepted.
    pub fn environment(&self) -> Environment {
        self.environment
    }

    pub(super) fn is_of_bundle(&self, bundle_id: &str) -> Result<(), Reason> {
        if self.bundle_id == bundle_id { Ok(()) } else { Err(Reason::Bundle) }
    }

    pub(super) fn is_of_environment(&self, environment: &str) -> Result<(), Reason> {
        if self.environment.as_str() == environment { Ok(()) } else { Err(Reason::Environment) }
    }

    /// In the sandbox an app may be new enough to have no number yet.
    pub(super) fn is_of_app_id(&self, claimed: Option<u64>) -> Result<(), Reason> {
        match self.environment {
            Environment::Production { app_apple_id } if claimed != Some(app_apple_id) => Err(Reason::AppId),
            _ => Ok(()),
        }
    }
}
