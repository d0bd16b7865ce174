//! The list of known exceptions; it may only shrink.

use super::Violation;

/// Exceptions, one a line: `rule | subject | why it is allowed`.
#[derive(Debug, Clone, Default)]
pub struct Exceptions(Vec<(String, String, String)>);

impl Exceptions {
    /// Reads a list; empty lines and those that begin with `#` say nothing.
    ///
    /// # Errors
    /// Lines without a reason.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut list = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let mut parts = line.splitn(3, '|').map(|part| part.trim().to_owned());
            match (parts.next(), parts.next(), parts.next()) {
                (Some(rule), Some(subject), Some(reason)) if !reason.is_empty() => list.push((rule, subject, reason)),
                _ => return Err(format!("an exception needs `rule | subject | reason`: {line}")),
            }
        }
        Ok(Self(list))
    }

    /// Only those of `rule`.
    #[must_use]
    pub fn only(&self, rule: &str) -> Self {
        Self(self.0.iter().filter(|(of, _, _)| of == rule).cloned().collect())
    }

    /// Those of other rules than `rule`.
    #[must_use]
    pub fn without(&self, rule: &str) -> Self {
        Self(self.0.iter().filter(|(of, _, _)| of != rule).cloned().collect())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The violations that no exception covers, and a complaint about each exception that nothing needs any more.
    pub fn judge(&self, violations: &[Violation]) -> Vec<String> {
        let covers = |(rule, subject, _): &(String, String, String), violation: &Violation| {
            rule == violation.rule && *subject == violation.subject
        };
        let open = violations
            .iter()
            .filter(|violation| !self.0.iter().any(|exception| covers(exception, violation)))
            .map(ToString::to_string);
        let stale =
            self.0.iter().filter(|exception| !violations.iter().any(|violation| covers(exception, violation))).map(
                |(rule, subject, _)| format!("the exception `{rule} | {subject}` is no longer needed: take it out"),
            );
        open.chain(stale).collect()
    }
}
