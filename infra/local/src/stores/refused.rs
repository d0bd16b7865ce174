//! Why a control call to the stores is refused: a sentence, and whose fault it is.

/// A refusal of a control call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such purchase or notification.
    #[error("{0}")]
    NotFound(String),
    /// The call cannot be read, or this store has no such thing.
    #[error("{0}")]
    Invalid(String),
    /// The purchase is not in a state in which the store would do this.
    #[error("{0}")]
    State(String),
    /// A key cannot be used.
    #[error("{0}")]
    Failed(String),
}

impl From<crate::keys::KeyError> for Refused {
    fn from(error: crate::keys::KeyError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl Refused {
    pub(super) fn state(text: impl Into<String>) -> Self {
        Self::State(text.into())
    }

    pub(super) fn invalid(text: impl Into<String>) -> Self {
        Self::Invalid(text.into())
    }
}
