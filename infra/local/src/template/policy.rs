//! What the role of a function may do: the policies of `AWS::IAM::Role`, `AWS::IAM::RolePolicy` and `AWS::IAM::Policy`,
//! evaluated as IAM does it.
//!
//! # Limits
//! `Allow` alone, the condition `ForAllValues:StringLike` on `dynamodb:LeadingKeys` alone; anything else is a complaint, so
//! that nothing is allowed here for a reason that was not understood. Actions are compared as they are written, which IAM
//! does not mind. Managed policies are not read.

use std::collections::BTreeMap;
use std::str::Chars;

use serde_json::Value;

use super::{Event, Template};

/// What a role may do.
#[derive(Debug, Clone)]
pub struct Role {
    /// Name of the role, its logical id.
    pub name: String,
    statements: Vec<Statement>,
}

/// One `Allow`.
#[derive(Debug, Clone)]
struct Statement {
    actions: Vec<Pattern>,
    resources: Vec<Pattern>,
    /// What each partition key of a request must be like.
    leading_keys: Option<Vec<Pattern>>,
}

/// A text with `*` and `?`. The kinds that roles are made of are told apart, because every call is compared with them.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Exact(String),
    Prefix(String),
    Like(String),
}

impl Role {
    /// One without a statement.
    pub(super) fn that_may_do_nothing(name: &str) -> Self {
        Self { name: name.to_owned(), statements: Vec::new() }
    }

    /// Whether it may do `action` to `resource`. `keys` are the partition keys that the request names, `None` where they
    /// cannot be told; they are asked for only where a condition speaks of them.
    #[must_use]
    pub fn allows(&self, action: &str, resource: &str, keys: &dyn Fn() -> Option<Vec<String>>) -> bool {
        self.statements.iter().any(|statement| {
            let any = |patterns: &[Pattern], text: &str| patterns.iter().any(|pattern| pattern.matches(text));
            any(&statement.actions, action)
                && any(&statement.resources, resource)
                && statement.leading_keys.as_ref().is_none_or(|wanted| {
                    // `ForAllValues` holds where there is no value at all, as of a scan.
                    keys().is_some_and(|keys| keys.iter().all(|key| any(wanted, key)))
                })
        })
    }

    /// What this role lacks for the sources and destinations of a function, which Lambda asks for when it makes them.
    pub(super) fn lacks(&self, events: &[Event], told_of_failures: Option<&str>, template: &Template) -> Vec<String> {
        let queue = |id: &str| template.queue(id).map(|queue| queue.arn.clone());
        let mut needed: Vec<(&str, Option<String>)> = Vec::new();
        for event in events {
            match event {
                Event::Sqs { queue: id, .. } => {
                    let actions = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];
                    needed.extend(actions.map(|action| (action, queue(id))));
                }
                Event::Stream { table, on_failure, .. } => {
                    let actions = [
                        "dynamodb:DescribeStream",
                        "dynamodb:GetRecords",
                        "dynamodb:GetShardIterator",
                        "dynamodb:ListStreams",
                    ];
                    let stream = template.table(table).map(|table| table.stream_arn.clone());
                    needed.extend(actions.map(|action| (action, stream.clone())));
                    needed.extend(on_failure.iter().map(|id| ("sqs:SendMessage", queue(id))));
                }
                Event::Http { .. } | Event::Schedule { .. } => {}
            }
        }
        needed.extend(told_of_failures.map(|arn| ("sqs:SendMessage", Some(arn.to_owned()))));
        let needed = needed.into_iter().map(|(action, resource)| (action, resource.unwrap_or_default()));
        needed
            .filter(|(action, resource)| !self.allows(action, resource, &|| None))
            .map(|(action, resource)| format!("its role {} does not allow {action} on {resource}", self.name))
            .collect()
    }
}

/// All roles of a template, by name.
#[derive(Debug, Clone, Default)]
pub(super) struct Roles(BTreeMap<String, Role>);

impl Roles {
    /// Adds what the resource `id` of the type `kind` allows to whom.
    pub(super) fn read(&mut self, id: &str, kind: &str, properties: &Value) -> Result<(), String> {
        if kind == "AWS::IAM::Role" {
            self.role(id);
            for policy in many(&properties["Policies"]) {
                self.allow(id, &policy["PolicyDocument"])?;
            }
            return Ok(());
        }
        // A `RolePolicy` names one role, a `Policy` several.
        for name in many(&properties["RoleName"]).iter().chain(many(&properties["Roles"])) {
            let name = name.as_str().ok_or("RoleName is not a text")?;
            self.allow(name, &properties["PolicyDocument"])?;
        }
        Ok(())
    }

    /// The role that `arn` names.
    pub(super) fn of_arn(&self, arn: &str) -> Option<&Role> {
        self.0.get(arn.rsplit('/').next()?)
    }

    fn role(&mut self, name: &str) -> &mut Role {
        self.0.entry(name.to_owned()).or_insert_with(|| Role::that_may_do_nothing(name))
    }

    fn allow(&mut self, name: &str, document: &Value) -> Result<(), String> {
        for statement in many(&document["Statement"]) {
            let statement = Statement::read(statement)?;
            self.role(name).statements.push(statement);
        }
        Ok(())
    }
}

impl Statement {
    fn read(statement: &Value) -> Result<Self, String> {
        if statement["Effect"] != "Allow" {
            return Err(format!("a statement with the effect {} is not understood here", statement["Effect"]));
        }
        if let Some(name) = ["NotAction", "NotResource"].into_iter().find(|name| !statement[*name].is_null()) {
            return Err(format!("{name} is not understood here"));
        }
        let leading_keys = match &statement["Condition"] {
            Value::Null => None,
            condition => Some(leading_keys(condition)?),
        };
        let (actions, resources) = (patterns(&statement["Action"])?, patterns(&statement["Resource"])?);
        if actions.is_empty() || resources.is_empty() {
            return Err("a statement needs an action and a resource".to_owned());
        }
        Ok(Self { actions, resources, leading_keys })
    }
}

fn leading_keys(condition: &Value) -> Result<Vec<Pattern>, String> {
    let only = |value: &Value, name: &str| {
        let entries = value.as_object().filter(|entries| entries.len() == 1);
        entries.and_then(|entries| entries.get(name)).cloned()
    };
    let keys = only(condition, "ForAllValues:StringLike").and_then(|keys| only(&keys, "dynamodb:LeadingKeys"));
    patterns(&keys.ok_or_else(|| format!("the condition {condition} is not understood here"))?)
}

fn patterns(value: &Value) -> Result<Vec<Pattern>, String> {
    let texts = many(value).iter();
    texts.map(|text| text.as_str().map(Pattern::new).ok_or_else(|| format!("{text} is not a text"))).collect()
}

/// One value, or each of a list.
fn many(value: &Value) -> &[Value] {
    match value {
        Value::Null => &[],
        Value::Array(values) => values,
        one => std::slice::from_ref(one),
    }
}

impl Pattern {
    fn new(text: &str) -> Self {
        match text.find(['*', '?']) {
            None => Self::Exact(text.to_owned()),
            Some(at) if text.get(at..) == Some("*") => Self::Prefix(text.trim_end_matches('*').to_owned()),
            Some(_) => Self::Like(text.to_owned()),
        }
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(wanted) => wanted == text,
            Self::Prefix(start) => text.starts_with(start.as_str()),
            Self::Like(pattern) => like(pattern.chars(), text.chars()),
        }
    }
}

/// `*` is any number of characters, `?` is one.
fn like(mut pattern: Chars<'_>, mut text: Chars<'_>) -> bool {
    // The last `*`: what follows it, and the text it has not swallowed yet.
    let mut star: Option<(Chars<'_>, Chars<'_>)> = None;
    loop {
        match (pattern.clone().next(), text.clone().next()) {
            (Some('*'), _) => {
                pattern.next();
                star = Some((pattern.clone(), text.clone()));
            }
            (Some(wanted), Some(is)) if wanted == '?' || wanted == is => {
                pattern.next();
                text.next();
            }
            (None, None) => return true,
            _ => {
                let Some((after, rest)) = &mut star else { return false };
                if rest.next().is_none() {
                    return false;
                }
                pattern = after.clone();
                text = rest.clone();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NO_KEYS: &dyn Fn() -> Option<Vec<String>> = &|| Some(Vec::new());

    fn role(statements: Value) -> Result<Role, String> {
        let mut roles = Roles::default();
        let policies = json!({"Policies": [{"PolicyDocument": {"Statement": statements}}]});
        roles.read("R", "AWS::IAM::Role", &policies)?;
        Ok(roles.of_arn("arn:aws:iam::000000000000:role/R").cloned().unwrap())
    }

    #[test]
    fn actions_and_resources_stand_alone_or_in_lists_and_each_statement_by_itself() {
        let role = role(json!([
            {"Effect": "Allow", "Action": "sns:Publish", "Resource": "topic"},
            {"Effect": "Allow", "Action": ["sqs:SendMessage", "sqs:DeleteMessage"], "Resource": ["one", "two"]},
        ]));
        let role = role.unwrap();
        for (action, resource, allowed) in [
            ("sns:Publish", "topic", true),
            ("sqs:SendMessage", "one", true),
            ("sqs:DeleteMessage", "two", true),
            ("sqs:SendMessage", "topic", false),
            ("sns:Publish", "one", false),
            ("sqs:ReceiveMessage", "one", false),
            ("sqs:SendMessage", "one/more", false),
        ] {
            assert_eq!(role.allows(action, resource, NO_KEYS), allowed, "{action} on {resource}");
        }
        assert!(!Role::that_may_do_nothing("N").allows("sns:Publish", "topic", NO_KEYS));
    }

    #[test]
    fn a_star_is_any_text_and_a_question_mark_one_character() {
        for (pattern, text, matches) in [
            ("arn:aws:s3:::b/exports/*", "arn:aws:s3:::b/exports/a/b.zip", true),
            ("arn:aws:s3:::b/exports/*", "arn:aws:s3:::b/exports/", true),
            ("arn:aws:s3:::b/exports/*", "arn:aws:s3:::b/export", false),
            ("*", "", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-c-", false),
            ("*b", "ab", true),
            ("*ab", "aab", true),
            ("a**", "a", true),
            ("a?c", "aüc", true),
            ("a?c", "ac", false),
            ("?", "", false),
            ("dynamodb:*Item", "dynamodb:GetItem", true),
            ("dynamodb:*Item", "dynamodb:Query", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), matches, "{pattern} and {text}");
        }
    }

    #[test]
    fn all_leading_keys_must_be_like_what_the_condition_names() {
        let condition = json!({"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["USR#*", "NAME"]}});
        let role = role(json!({
            "Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "table", "Condition": condition,
        }));
        let role = role.unwrap();
        let allows = |keys: &[&str]| {
            let keys = || Some(keys.iter().map(|key| (*key).to_owned()).collect());
            role.allows("dynamodb:GetItem", "table", &keys)
        };
        assert!(allows(&["USR#1"]) && allows(&["USR#1", "NAME"]) && allows(&[]));
        assert!(!allows(&["DEV#1"]) && !allows(&["USR#1", "DEV#1"]) && !allows(&["NAMES"]));
        assert!(!role.allows("dynamodb:GetItem", "table", &|| None), "keys that cannot be told");
    }

    #[test]
    fn what_is_not_understood_is_a_complaint_and_no_permission() {
        let allow = json!({"Effect": "Allow", "Action": "a:b", "Resource": "c"});
        let with = |name: &str, value: Value| {
            let mut statement = allow.clone();
            statement[name] = value;
            role(statement)
        };
        assert!(role(allow.clone()).is_ok());
        for (name, value) in [
            ("Effect", json!("Deny")),
            ("NotAction", json!("a:c")),
            ("NotResource", json!("d")),
            ("Resource", json!([])),
            ("Action", Value::Null),
            ("Condition", json!({"StringEquals": {"aws:SourceAccount": "1"}})),
            (
                "Condition",
                json!({"ForAllValues:StringLike": {"dynamodb:LeadingKeys": "a", "dynamodb:Attributes": "b"}}),
            ),
        ] {
            assert!(with(name, value.clone()).is_err(), "{name}: {value}");
        }
    }

    #[test]
    fn a_policy_of_its_own_adds_to_the_roles_it_names() {
        let mut roles = Roles::default();
        let allow = |action: &str| json!({"Statement": [{"Effect": "Allow", "Action": action, "Resource": "c"}]});
        let more = json!({"RoleName": "R", "PolicyDocument": allow("a:more")});
        roles.read("Grant", "AWS::IAM::RolePolicy", &more).unwrap();
        roles.read("R", "AWS::IAM::Role", &json!({"Policies": [{"PolicyDocument": allow("a:own")}]})).unwrap();
        let both = json!({"Roles": ["R", "S"], "PolicyDocument": allow("a:both")});
        roles.read("Both", "AWS::IAM::Policy", &both).unwrap();
        let role = |name: &str| roles.of_arn(name).unwrap().clone();
        assert!(["a:own", "a:more", "a:both"].iter().all(|action| role("R").allows(action, "c", NO_KEYS)));
        assert!(role("S").allows("a:both", "c", NO_KEYS) && !role("S").allows("a:own", "c", NO_KEYS));
    }
}
