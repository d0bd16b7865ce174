//! How large an answer may be as it leaves.

/// Bytes of an answer, at most: Lambda's 6 MB less what the envelope and a client's own limits take.
pub const MAX_ANSWER: usize = 4_500_000;
/// Kept back for the fields around the lists.
const ENVELOPE: usize = 4_096;

/// What is left of an answer.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    left: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: MAX_ANSWER - ENVELOPE }
    }
}

impl Budget {
    /// Takes `text`, a piece of JSON, with its comma, where it fits.
    pub fn take(&mut self, text: &str) -> bool {
        let cost = escaped(text) + 1;
        if cost > self.left {
            return false;
        }
        self.left -= cost;
        true
    }

    /// Bytes that are left.
    pub fn left(&self) -> usize {
        self.left
    }
}

/// Length of `text` inside a JSON string, as Lambda carries a body: quotes and backslashes count twice, control
/// characters six times.
pub fn escaped(text: &str) -> usize {
    text.bytes()
        .map(|byte| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
            0..=0x1f => 6,
            _ => 1,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_escaped_length_is_what_a_json_string_takes() {
        for text in ["", "plain", "{\"a\":\"b\\n\"}", "tab\tnew\nline", "\u{1}\u{1f}", "é🦀"] {
            assert_eq!(escaped(text), serde_json::to_string(text).unwrap().len() - 2, "{text:?}");
        }
    }
}
