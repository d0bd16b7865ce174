//! Expressions of DynamoDB with their names and values.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

/// An update and a condition with what they refer to.
///
/// ```
/// # use satchel_store::Expr;
/// let renew = Expr::update("SET seen_at = :now").when("attribute_exists(pk) AND seen_at < :now").value(":now", 17);
/// # let _ = renew;
/// ```
#[derive(Debug, Clone, Default)]
pub struct Expr {
    pub(crate) update: Option<String>,
    pub(crate) condition: Option<String>,
    pub(crate) names: Option<HashMap<String, String>>,
    pub(crate) values: Option<HashMap<String, AttributeValue>>,
}

impl Expr {
    /// An update expression.
    pub fn update(expression: impl Into<String>) -> Self {
        Self { update: Some(expression.into()), ..Self::default() }
    }

    /// A condition alone, for a put, a delete or a check.
    pub fn condition(expression: impl Into<String>) -> Self {
        Self::default().when(expression)
    }

    /// The row must not exist yet.
    pub fn absent() -> Self {
        Self::condition("attribute_not_exists(pk)")
    }

    /// No condition at all.
    pub fn always() -> Self {
        Self::default()
    }

    /// Adds a condition to an update.
    #[must_use]
    pub fn when(mut self, expression: impl Into<String>) -> Self {
        self.condition = Some(expression.into());
        self
    }

    /// Names an attribute whose name is a reserved word, as `#name`.
    #[must_use]
    pub fn name(mut self, placeholder: &str, attribute: &str) -> Self {
        self.names.get_or_insert_default().insert(placeholder.to_owned(), attribute.to_owned());
        self
    }

    /// Gives `:placeholder` its value.
    #[must_use]
    pub fn value(mut self, placeholder: &str, value: impl Into<Value>) -> Self {
        self.values.get_or_insert_default().insert(placeholder.to_owned(), value.into().0);
        self
    }
}

/// A value of DynamoDB.
#[derive(Debug, Clone)]
pub struct Value(pub AttributeValue);

impl From<AttributeValue> for Value {
    fn from(value: AttributeValue) -> Self {
        Self(value)
    }
}
impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self(AttributeValue::S(text.to_owned()))
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self(AttributeValue::S(text))
    }
}
impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self(AttributeValue::S(text.clone()))
    }
}
impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self(AttributeValue::Bool(flag))
    }
}
impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self(AttributeValue::B(Blob::new(bytes)))
    }
}
macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl From<$number> for Value {
            fn from(number: $number) -> Self {
                Self(AttributeValue::N(number.to_string()))
            }
        }
    )*};
}
numbers!(i32, u32, i64, u64, usize);
