//! Event filtering of mappings: EventBridge-style patterns over a record.
//!
//! A pattern names leaves; a leaf's list is an "or", and all leaves named must agree. `$or` at any level takes a list
//! of patterns of which one must agree.

use serde_json::{Map, Value};

/// The patterns of one mapping; a record is wanted when any of them agrees, or when there is none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filters(Vec<Value>);

impl Filters {
    /// Reads `FilterCriteria`.
    ///
    /// # Errors
    /// A pattern that is no JSON object, or holds a comparison that Lambda does not know.
    pub fn read(criteria: &Value) -> Result<Self, String> {
        let mut patterns = Vec::new();
        for filter in criteria["Filters"].as_array().into_iter().flatten() {
            let text = filter["Pattern"].as_str().ok_or("a filter has no Pattern")?;
            let pattern = serde_json::from_str(text).map_err(|error| format!("filter `{text}`: {error}"))?;
            check(&pattern).map_err(|error| format!("filter `{text}`: {error}"))?;
            patterns.push(pattern);
        }
        Ok(Self(patterns))
    }

    /// Whether a function with these filters wants `record`.
    #[must_use]
    pub fn matches(&self, record: &Value) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| agrees(pattern, Some(record)))
    }

    /// [`Filters::matches`] for a queue's record, whose `body` is matched as the JSON it holds.
    #[must_use]
    pub fn matches_sqs(&self, record: &Value) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let mut record = record.clone();
        if let Some(body) = record["body"].as_str().and_then(|body| serde_json::from_str(body).ok()) {
            record["body"] = body;
        }
        self.matches(&record)
    }
}

fn check(pattern: &Value) -> Result<(), String> {
    let entries = pattern.as_object().ok_or("a pattern is an object")?;
    for (key, value) in entries {
        match value {
            Value::Object(_) => check(value)?,
            Value::Array(patterns) if key == "$or" => patterns.iter().try_for_each(check)?,
            Value::Array(tests) => tests.iter().try_for_each(check_test)?,
            _ => return Err(format!("`{key}` must be a list or an object")),
        }
    }
    Ok(())
}

fn check_test(test: &Value) -> Result<(), String> {
    let Value::Object(entries) = test else {
        return if test.is_array() { Err(format!("{test} within a list")) } else { Ok(()) };
    };
    let known = |(name, argument): (&String, &Value)| match name.as_str() {
        "prefix" | "suffix" | "equals-ignore-case" => argument.is_string(),
        "exists" => argument.is_boolean(),
        "anything-but" => !argument.is_null(),
        "numeric" => numeric(argument, 0.0).is_some(),
        _ => false,
    };
    if entries.len() == 1 && entries.iter().all(known) { Ok(()) } else { Err(format!("{test} is not a comparison")) }
}

fn agrees(pattern: &Value, data: Option<&Value>) -> bool {
    let empty = Map::new();
    let entries = pattern.as_object().unwrap_or(&empty);
    entries.iter().all(|(key, value)| match value {
        Value::Array(patterns) if key == "$or" => patterns.iter().any(|pattern| agrees(pattern, data)),
        Value::Array(tests) => leaf(tests, data.and_then(|data| data.get(key))),
        nested => agrees(nested, data.and_then(|data| data.get(key))),
    })
}

fn leaf(tests: &[Value], data: Option<&Value>) -> bool {
    match data {
        Some(Value::Array(items)) => items.iter().any(|item| leaf(tests, Some(item))),
        // A pattern's leaf speaks of leaves: an object in its place is as good as absent.
        None | Some(Value::Object(_)) => tests.iter().any(|test| test["exists"] == false),
        Some(value) => tests.iter().any(|test| holds(test, value)),
    }
}

fn holds(test: &Value, value: &Value) -> bool {
    let Value::Object(entries) = test else { return same(test, value) };
    let text = value.as_str();
    entries.iter().all(|(name, argument)| match name.as_str() {
        "exists" => argument == true,
        "prefix" => text.zip(argument.as_str()).is_some_and(|(text, prefix)| text.starts_with(prefix)),
        "suffix" => text.zip(argument.as_str()).is_some_and(|(text, suffix)| text.ends_with(suffix)),
        "equals-ignore-case" => {
            text.zip(argument.as_str()).is_some_and(|(text, other)| text.eq_ignore_ascii_case(other))
        }
        "anything-but" => match argument {
            Value::Array(items) => !items.iter().any(|item| same(item, value)),
            other => !holds(other, value),
        },
        "numeric" => value.as_f64().is_some_and(|number| numeric(argument, number) == Some(true)),
        _ => false,
    })
}

/// Numbers are the same by value: a pattern's `1` agrees with a record's `1.0`.
fn same(left: &Value, right: &Value) -> bool {
    left == right || left.as_f64().zip(right.as_f64()).is_some_and(|(left, right)| left == right)
}

/// `["operator", number, …]` applied to `value`; `None` where that is no such list.
fn numeric(argument: &Value, value: f64) -> Option<bool> {
    let parts = argument.as_array().filter(|parts| !parts.is_empty() && parts.len() % 2 == 0)?;
    let mut all = true;
    for pair in parts.chunks_exact(2) {
        let bound = pair[1].as_f64()?;
        all &= match pair[0].as_str()? {
            "=" => value == bound,
            "<" => value < bound,
            "<=" => value <= bound,
            ">" => value > bound,
            ">=" => value >= bound,
            _ => return None,
        };
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filters(pattern: Value) -> Filters {
        Filters::read(&json!({"Filters": [{"Pattern": pattern.to_string()}]})).unwrap()
    }

    fn record() -> Value {
        json!({"eventName": "INSERT", "dynamodb": {"Keys": {"pk": {"S": "EVT#1"}}, "NewImage": {"n": {"N": 5}}}})
    }

    #[test]
    fn no_filter_wants_everything() {
        assert!(Filters::default().matches(&record()));
    }

    #[test]
    fn each_leaf_must_agree_and_a_list_is_an_or() {
        assert!(filters(json!({"eventName": ["MODIFY", "INSERT"]})).matches(&record()));
        assert!(!filters(json!({"eventName": ["INSERT"], "eventSource": ["aws:dynamodb"]})).matches(&record()));
    }

    #[test]
    fn comparisons_are_those_of_lambda() {
        let on_key = |test: Value| filters(json!({"dynamodb": {"Keys": {"pk": {"S": [test]}}}})).matches(&record());
        assert!(on_key(json!({"prefix": "EVT#"})));
        assert!(!on_key(json!({"prefix": "USR#"})));
        assert!(on_key(json!({"suffix": "#1"})));
        assert!(on_key(json!({"equals-ignore-case": "evt#1"})));
        assert!(on_key(json!({"anything-but": ["EVT#2"]})));
        assert!(!on_key(json!({"anything-but": {"prefix": "EVT"}})));
        assert!(on_key(json!({"exists": true})));
        assert!(filters(json!({"dynamodb": {"OldImage": {"pk": {"S": [{"exists": false}]}}}})).matches(&record()));
        assert!(
            filters(json!({"dynamodb": {"NewImage": {"n": {"N": [{"numeric": [">", 4, "<=", 5]}]}}}}))
                .matches(&record())
        );
        assert!(filters(json!({"$or": [{"eventName": ["REMOVE"]}, {"eventName": ["INSERT"]}]})).matches(&record()));
    }

    #[test]
    fn a_queue_record_is_matched_by_the_json_in_its_body() {
        let wanted = filters(json!({"body": {"pass": [1]}}));
        assert!(wanted.matches_sqs(&json!({"body": "{\"pass\": 1}"})));
        assert!(!wanted.matches_sqs(&json!({"body": "not json"})));
    }

    #[test]
    fn an_unknown_comparison_is_refused() {
        let criteria = json!({"Filters": [{"Pattern": "{\"a\": [{\"like\": \"x\"}]}"}]});
        assert!(Filters::read(&criteria).unwrap_err().contains("not a comparison"));
    }
}
