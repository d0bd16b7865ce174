//! The parameters of a template: values given and defaults, checked against what the template allows as CloudFormation
//! checks them before it makes anything.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Map, Value};

use super::intrinsic::scalar;

/// The value of each parameter that `document` declares, with complaints about what it does not allow.
pub(super) fn values(
    document: &Value,
    given: &BTreeMap<String, String>,
    complaints: &mut Vec<String>,
) -> BTreeMap<String, String> {
    let empty = Map::new();
    let declared = document["Parameters"].as_object().unwrap_or(&empty);
    for name in given.keys().filter(|name| !declared.contains_key(*name)) {
        complaints.push(format!("there is no parameter `{name}`"));
    }
    let mut values = BTreeMap::new();
    for (name, body) in declared {
        let Some(value) = given.get(name).cloned().or_else(|| body.get("Default").and_then(scalar)) else {
            complaints.push(format!("parameter `{name}` has no value"));
            continue;
        };
        let refused = refusals(body, &value).into_iter();
        complaints.extend(refused.map(|refused| format!("parameter `{name}` {refused}")));
        values.insert(name.clone(), value);
    }
    values
}

/// What the declaration `body` has against `value`: of a list, against each of its items.
fn refusals(body: &Value, value: &str) -> Vec<String> {
    let kind = body["Type"].as_str().unwrap_or_default();
    let items: Vec<&str> = match kind {
        "CommaDelimitedList" | "List<Number>" => value.split(',').map(str::trim).collect(),
        _ => vec![value],
    };
    let mut refused = Vec::new();
    for item in items {
        let allowed: Vec<_> = body["AllowedValues"].as_array().into_iter().flatten().filter_map(scalar).collect();
        if !allowed.is_empty() && !allowed.iter().any(|allowed| allowed == item) {
            refused.push(format!("must be one of {}, not `{item}`", allowed.join(", ")));
        }
        if matches!(kind, "Number" | "List<Number>") {
            refused.extend(number(body, item));
        } else {
            refused.extend(text(body, item));
        }
    }
    refused
}

fn number(body: &Value, value: &str) -> Vec<String> {
    let finite = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    let Some(number) = finite(value) else { return vec![format!("must be a number, not `{value}`")] };
    let mut refused = Vec::new();
    for (name, bound) in limits(body, ["MinValue", "MaxValue"]) {
        match finite(&bound) {
            Some(least) if name == "MinValue" && number < least => {
                refused.push(format!("must be at least {bound}, not `{value}`"));
            }
            Some(most) if name == "MaxValue" && number > most => {
                refused.push(format!("must be at most {bound}, not `{value}`"));
            }
            Some(_) => {}
            None => refused.push(format!("has the {name} `{bound}`, which is no number")),
        }
    }
    refused
}

fn text(body: &Value, value: &str) -> Vec<String> {
    let mut refused = Vec::new();
    let length = value.chars().count();
    for (name, bound) in limits(body, ["MinLength", "MaxLength"]) {
        match bound.parse::<usize>() {
            Ok(least) if name == "MinLength" && length < least => {
                refused.push(format!("must have {bound} or more characters, not {length}: `{value}`"));
            }
            Ok(most) if name == "MaxLength" && length > most => {
                refused.push(format!("must have {bound} or fewer characters, not {length}: `{value}`"));
            }
            Ok(_) => {}
            Err(_) => refused.push(format!("has the {name} `{bound}`, which is no length")),
        }
    }
    if let Some(pattern) = body["AllowedPattern"].as_str() {
        // The whole value must match, not a part of it.
        match Regex::new(&format!(r"\A(?:{pattern})\z")) {
            Ok(whole) if whole.is_match(value) => {}
            Ok(_) => refused.push(format!("must match {pattern}, and `{value}` does not")),
            Err(_) => refused.push(format!("has the AllowedPattern {pattern}, which cannot be read here")),
        }
    }
    refused
}

fn limits(body: &Value, names: [&'static str; 2]) -> impl Iterator<Item = (&'static str, String)> {
    names.into_iter().filter_map(|name| Some((name, scalar(body.get(name)?)?)))
}
