//! Evaluates `Ref`, `Fn::GetAtt`, `Fn::Sub`, `Fn::If` and the rest against parameters and local names.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{ACCOUNT, REGION, STACK, parameter, resource};

/// Rewrites YAML's short tags (`!Sub`) to their long form (`{"Fn::Sub": …}`), so that there is one form to evaluate.
pub(super) fn long_form(value: serde_yaml_ng::Value) -> Value {
    use serde_yaml_ng::Value as Yaml;
    match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(flag) => Value::Bool(flag),
        Yaml::Number(number) => {
            if let Some(number) = number.as_i64() {
                number.into()
            } else {
                number.as_f64().map_or(Value::Null, Value::from)
            }
        }
        Yaml::String(text) => Value::String(text),
        Yaml::Sequence(items) => items.into_iter().map(long_form).collect(),
        Yaml::Mapping(entries) => entries
            .into_iter()
            .map(|(key, value)| {
                let key = match long_form(key) {
                    Value::String(key) => key,
                    other => other.to_string(),
                };
                (key, long_form(value))
            })
            .collect::<Map<_, _>>()
            .into(),
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let name = tag.trim_start_matches('!');
            let mut argument = long_form(tagged.value);
            let name = if matches!(name, "Ref" | "Condition") { name.to_owned() } else { format!("Fn::{name}") };
            if name == "Fn::GetAtt"
                && let Value::String(text) = &argument
                && let Some((resource, attribute)) = text.split_once('.')
            {
                argument = Value::from(vec![resource, attribute]);
            }
            Value::Object(Map::from_iter([(name, argument)]))
        }
    }
}

/// What names mean while a template is evaluated.
pub(super) struct Scope<'a> {
    document: &'a Value,
    parameters: BTreeMap<String, String>,
    resources: Vec<(&'a str, &'a Value)>,
    names: BTreeMap<&'a str, String>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(document: &'a Value, given: &BTreeMap<String, String>, complaints: &mut Vec<String>) -> Self {
        let mut scope = Self {
            document,
            parameters: parameter::values(document, given, complaints),
            resources: Vec::new(),
            names: BTreeMap::new(),
        };
        for (id, body) in document["Resources"].as_object().into_iter().flatten() {
            let wanted = match body["Condition"].as_str() {
                Some(condition) => scope.condition(condition, &mut BTreeSet::new()).unwrap_or_else(|error| {
                    complaints.push(format!("{id}: {error}"));
                    false
                }),
                None => true,
            };
            if wanted {
                scope.resources.push((id, body));
            }
        }
        if scope.resources.is_empty() {
            complaints.push("there is no resource".to_owned());
        }
        let mut names = BTreeMap::new();
        for (id, body) in &scope.resources {
            match resource::physical_name(&scope, id, body) {
                Ok(name) => {
                    names.insert(*id, name);
                }
                Err(error) => complaints.push(format!("{id}: {error}")),
            }
        }
        scope.names = names;
        scope
    }

    pub(super) fn parameters(&self) -> &BTreeMap<String, String> {
        &self.parameters
    }

    pub(super) fn resources(&self) -> impl Iterator<Item = (&'a str, &'a Value)> + '_ {
        self.resources.iter().copied()
    }

    pub(super) fn name(&self, id: &str) -> &str {
        self.names.get(id).map_or("", String::as_str)
    }

    fn kind(&self, id: &str) -> Option<&'a str> {
        self.resources.iter().find(|(other, _)| *other == id).map(|(_, body)| body["Type"].as_str().unwrap_or_default())
    }

    /// What `Ref` gives: a parameter, a pseudo parameter or a resource.
    pub(super) fn reference(&self, name: &str) -> Result<String, String> {
        if let Some(value) = self.parameters.get(name) {
            return Ok(value.clone());
        }
        let pseudo = match name {
            "AWS::StackName" => STACK,
            "AWS::Region" => REGION,
            "AWS::AccountId" => ACCOUNT,
            "AWS::Partition" => "aws",
            "AWS::URLSuffix" => "amazonaws.com",
            "AWS::StackId" => "arn:aws:cloudformation:us-east-1:000000000000:stack/satchel-local/local",
            _ => {
                let kind = self.kind(name).ok_or_else(|| format!("Ref to `{name}`, which is not there"))?;
                return Ok(resource::reference(kind, self.name(name)));
            }
        };
        Ok(pseudo.to_owned())
    }

    /// What `Fn::GetAtt` gives.
    fn attribute(&self, id: &str, attribute: &str) -> Result<String, String> {
        let kind = self.kind(id).ok_or_else(|| format!("GetAtt of `{id}`, which is not there"))?;
        resource::attribute(kind, self.name(id), attribute)
            .ok_or_else(|| format!("GetAtt of `{id}.{attribute}`, which {kind} does not have"))
    }

    /// Evaluates `value`; `None` is `AWS::NoValue`.
    pub(super) fn resolve(&self, value: &Value) -> Result<Option<Value>, String> {
        match value {
            Value::Array(items) => {
                let items: Result<Vec<_>, _> = items.iter().map(|item| self.resolve(item)).collect();
                Ok(Some(items?.into_iter().flatten().collect()))
            }
            Value::Object(entries) => {
                if let Some((name, argument)) = only(entries)
                    && (name == "Ref" || name.starts_with("Fn::"))
                {
                    return self.call(name, argument);
                }
                let mut resolved = Map::new();
                for (key, value) in entries {
                    if let Some(value) = self.resolve(value)? {
                        resolved.insert(key.clone(), value);
                    }
                }
                Ok(Some(Value::Object(resolved)))
            }
            scalar => Ok(Some(scalar.clone())),
        }
    }

    fn call(&self, name: &str, argument: &Value) -> Result<Option<Value>, String> {
        let value = match name {
            "Ref" => match argument.as_str().unwrap_or_default() {
                "AWS::NoValue" => return Ok(None),
                name => Value::String(self.reference(name)?),
            },
            "Fn::GetAtt" => {
                let parts = strings(&self.list(argument)?)?;
                let (id, attribute) = parts.split_first().ok_or("GetAtt without a resource")?;
                Value::String(self.attribute(id, &attribute.join("."))?)
            }
            "Fn::Sub" => Value::String(self.substitute(argument)?),
            "Fn::If" => {
                let [condition, yes, no] = array(argument, "If")?;
                let condition = condition.as_str().ok_or("If without the name of a condition")?;
                return self.resolve(if self.condition(condition, &mut BTreeSet::new())? { yes } else { no });
            }
            "Fn::Join" => {
                let [separator, parts] = array(argument, "Join")?;
                Value::String(strings(&self.list(parts)?)?.join(separator.as_str().unwrap_or_default()))
            }
            "Fn::Select" => {
                let [index, list] = array(argument, "Select")?;
                let index = self.text(index)?.parse::<usize>().map_err(|_| "Select without an index")?;
                self.list(list)?.into_iter().nth(index).ok_or("Select beyond the end of its list")?
            }
            "Fn::Split" => {
                let [separator, text] = array(argument, "Split")?;
                self.text(text)?.split(separator.as_str().unwrap_or_default()).map(Value::from).collect()
            }
            "Fn::Equals" | "Fn::Not" | "Fn::And" | "Fn::Or" => Value::Bool(
                self.test(&Value::Object(Map::from_iter([(name.to_owned(), argument.clone())])), &mut BTreeSet::new())?,
            ),
            "Fn::GetAZs" => Value::from(vec![format!("{REGION}a")]),
            other => return Err(format!("{other} is not known here")),
        };
        Ok(Some(value))
    }

    fn substitute(&self, argument: &Value) -> Result<String, String> {
        let (text, own) = match argument {
            Value::Array(parts) => (parts.first(), parts.get(1)),
            text => (Some(text), None),
        };
        let mut rest = text.and_then(Value::as_str).ok_or("Sub without a text")?;
        let mut result = String::with_capacity(rest.len());
        while let Some((before, after)) = rest.split_once("${") {
            result.push_str(before);
            let (name, after) = after.split_once('}').ok_or("Sub with a `${` that never ends")?;
            if let Some(literal) = name.strip_prefix('!') {
                result.push_str("${");
                result.push_str(literal);
                result.push('}');
            } else if let Some(value) = own.and_then(|own| own.get(name)) {
                result.push_str(&self.text(value)?);
            } else if let Some((id, attribute)) = name.split_once('.') {
                result.push_str(&self.attribute(id, attribute)?);
            } else {
                result.push_str(&self.reference(name)?);
            }
            rest = after;
        }
        result.push_str(rest);
        Ok(result)
    }

    fn text(&self, value: &Value) -> Result<String, String> {
        self.resolve(value)?.as_ref().and_then(scalar).ok_or_else(|| format!("{value} is not a text"))
    }

    fn list(&self, value: &Value) -> Result<Vec<Value>, String> {
        match self.resolve(value)? {
            Some(Value::Array(items)) => Ok(items),
            // A CommaDelimitedList parameter arrives as its text.
            Some(Value::String(text)) => Ok(text.split(',').map(|item| Value::from(item.trim())).collect()),
            _ => Err(format!("{value} is not a list")),
        }
    }

    /// Whether the condition `name` holds; `within` guards against conditions that name each other.
    fn condition(&self, name: &str, within: &mut BTreeSet<String>) -> Result<bool, String> {
        if !within.insert(name.to_owned()) {
            return Err(format!("condition `{name}` names itself"));
        }
        let body = self.document["Conditions"].get(name).ok_or_else(|| format!("condition `{name}` is not there"))?;
        let holds = self.test(body, within);
        within.remove(name);
        holds
    }

    fn test(&self, value: &Value, within: &mut BTreeSet<String>) -> Result<bool, String> {
        let (name, argument) = value.as_object().and_then(only).ok_or_else(|| format!("{value} is not a condition"))?;
        let many = || argument.as_array().ok_or_else(|| format!("{name} without a list"));
        match name {
            "Condition" => self.condition(argument.as_str().unwrap_or_default(), within),
            "Fn::Equals" => {
                let [left, right] = array(argument, "Equals")?;
                Ok(self.text(left)? == self.text(right)?)
            }
            "Fn::Not" => {
                let [inner] = array(argument, "Not")?;
                Ok(!self.test(inner, within)?)
            }
            "Fn::And" => many()?.iter().try_fold(true, |all, item| Ok(all & self.test(item, within)?)),
            "Fn::Or" => many()?.iter().try_fold(false, |any, item| Ok(any | self.test(item, within)?)),
            other => Err(format!("{other} is not a condition")),
        }
    }
}

/// A scalar as CloudFormation would write it into a string.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

fn only(entries: &Map<String, Value>) -> Option<(&str, &Value)> {
    match entries.len() {
        1 => entries.iter().next().map(|(name, value)| (name.as_str(), value)),
        _ => None,
    }
}

fn strings(items: &[Value]) -> Result<Vec<String>, String> {
    items.iter().map(|item| scalar(item).ok_or_else(|| format!("{item} is not a text"))).collect()
}

fn array<'v, const N: usize>(value: &'v Value, name: &str) -> Result<[&'v Value; N], String> {
    let items: Vec<_> = value.as_array().into_iter().flatten().collect();
    items.try_into().map_err(|_| format!("{name} takes {N} values"))
}
