//! The tree keeps its rules (`docs/architecture.md`); the rules themselves stand in `satchel_tests::workspace::rules`.
//! Each rule is also shown to fail: a test plants what it forbids and expects the complaint.

use std::collections::BTreeSet;
use std::path::PathBuf;

use satchel_tests::workspace::template::{EventSource, Function, Permission, Queue};
use satchel_tests::workspace::{Exceptions, Package, Source, Template, Violation, Workspace, root, rules};

/// Exceptions there may be: lower it when one goes, never raise it.
const AT_MOST: usize = 1;
/// The rule that needs functions to be built, besides those of `rules::ALL`.
const BY_FUNCTION: &str = "settings-by-function";

#[test]
fn the_workspace_keeps_its_rules() {
    let workspace = Workspace::read(&root()).unwrap();
    let exceptions = Exceptions::parse(include_str!("../exceptions.txt")).unwrap();
    let complaints = exceptions.without(BY_FUNCTION).judge(&rules::check(&workspace));
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
    assert!(exceptions.len() <= AT_MOST, "the list of exceptions may only shrink: {} > {AT_MOST}", exceptions.len());
}

#[test]
fn the_real_workspace_is_what_the_rules_see() {
    let workspace = Workspace::read(&root()).unwrap();
    let families: Vec<&str> = workspace.families().map(Package::family).collect();
    for known in ["auth", "devices", "sync", "payments", "web"] {
        assert!(families.contains(&known), "{families:?}");
    }
    assert!(workspace.template.functions.len() > families.len(), "the template was not read");
    let domain = workspace.packages.iter().find(|package| package.name == "satchel-domain").unwrap();
    assert!(domain.closure.contains("serde"), "cargo tree was not read: {:?}", domain.closure);
    let permissions = &workspace.template.permissions;
    assert!(permissions.iter().any(|permission| permission.actions.iter().any(|it| it == "dynamodb:GetItem")));
    let queues = workspace.template.functions.iter().flat_map(|function| &function.sources);
    assert!(queues.filter(|source| source.queue.is_some()).count() >= 5);
}

#[test]
fn auth_asks_every_family_that_reports_erasures_to_erase() {
    let workspace = Workspace::read(&root()).unwrap();
    let mut reporters: BTreeSet<String> = BTreeSet::new();
    for function in &workspace.template.functions {
        let family = function.code.trim_start_matches("functions/").to_owned();
        if family != "auth" && function.settings.contains("QUEUE_ACCOUNT_ERASE") {
            reporters.insert(family);
        }
    }
    assert_eq!(reporters, names(satchel_auth::FAMILIES), "`FAMILIES` of functions/auth/src/on_erase.rs");
    let on_erase = workspace.template.functions.iter().find(|function| function.binary == "auth-on-erase").unwrap();
    for family in reporters {
        assert!(on_erase.settings.contains(&format!("QUEUE_{}_ERASE", family.to_uppercase())), "{family}");
    }
}

#[test]
fn every_error_code_stands_in_the_page_about_the_api() {
    let page = std::fs::read_to_string(root().join("docs/api.md")).unwrap();
    let (mut codes, mut stack) = (BTreeSet::new(), vec![root().join("functions"), root().join("shared")]);
    while let Some(folder) = stack.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !["tests", "assets", "testkit"].contains(&name.as_str()) {
                stack.push(path);
            } else if name.ends_with(".rs") && !name.contains("tests") {
                let text = std::fs::read_to_string(&path).unwrap();
                for mark in ["code: \"", "conflict(\"", "malformed(\"", "gone(\""] {
                    codes.extend(text.split(mark).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
                }
            }
        }
    }
    codes.retain(|code| code.chars().all(|it| it.is_ascii_lowercase() || it == '_'));
    assert!(codes.len() > 15, "{codes:?}");
    let missing: Vec<_> = codes.iter().filter(|code| !page.contains(&format!("`{code}`"))).collect();
    assert!(missing.is_empty(), "docs/api.md lacks {missing:?}");
}

// ------------------------------------------------------------------------------------------- planted violations

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

fn package(name: &str, folder: &str, dependencies: BTreeSet<String>) -> Package {
    Package { name: name.to_owned(), folder: PathBuf::from(folder), dependencies, ..Package::default() }
}

/// A small workspace that breaks no rule.
fn sound() -> Workspace {
    let mut notes =
        package("satchel-notes", "functions/notes", names(["satchel-domain", "satchel-store", "satchel-inbound"]));
    notes.binaries = names(["notes", "notes-on-erase"]);
    let http = Function {
        logical_id: "Notes".to_owned(),
        binary: "notes".to_owned(),
        code: "functions/notes".to_owned(),
        settings: names(["TABLE_NOTES"]),
        timeout: 15,
        ..Function::default()
    };
    let source = EventSource {
        id: "Queue".to_owned(),
        queue: Some("EraseQueue".to_owned()),
        reports_failures: true,
        bounded: true,
    };
    let stream = EventSource { id: "Stream".to_owned(), queue: None, reports_failures: true, bounded: true };
    let consumer = Function {
        logical_id: "NotesOnErase".to_owned(),
        binary: "notes-on-erase".to_owned(),
        sources: vec![source, stream],
        ..http.clone()
    };
    let queue = Queue { visibility: 90, dead_letter: Some("EraseDeadQueue".to_owned()), alarmed: true };
    let dead = Queue { visibility: 30, dead_letter: None, alarmed: true };
    let permission = Permission {
        owner: "NotesRole".to_owned(),
        actions: vec!["dynamodb:GetItem".to_owned()],
        resources: vec!["${NotesTable.Arn}".to_owned(), "${Bucket.Arn}/notes/*".to_owned()],
    };
    Workspace {
        packages: vec![
            package("satchel-domain", "shared/domain", names(["serde"])),
            package("satchel-store", "shared/store", names(["satchel-domain", "aws-sdk-dynamodb"])),
            package("satchel-outbound", "shared/outbound", names(["satchel-domain"])),
            package(
                "satchel-inbound",
                "shared/inbound",
                names(["satchel-store", "satchel-outbound", "satchel-domain"]),
            ),
            notes,
            package("satchel-other", "functions/other", names(["satchel-inbound"])),
            package("satchel-local", "infra/local", names(["satchel-notes"])),
        ],
        template: Template {
            functions: vec![http, consumer],
            queues: [("EraseQueue".to_owned(), queue), ("EraseDeadQueue".to_owned(), dead)].into(),
            permissions: vec![permission],
        },
        sources: vec![
            Source::new(
                "functions/notes/src/lib.rs",
                "pub const FUNCTIONS: &[Function] = &[];\nsettings.text(\"TABLE_NOTES\");",
            ),
            Source::new("functions/other/src/lib.rs", "pub const FUNCTIONS: &[Function] = &[];"),
            Source::new("shared/store/src/keys/notes.rs", "Key::new(format!(\"USR#{user}\"), \"NOTE#\")"),
        ],
    }
}

/// What the rules say to the sound workspace after `plant` spoiled it.
fn planted<T>(plant: impl FnOnce(&mut Workspace) -> T) -> Vec<Violation> {
    let mut workspace = sound();
    assert_eq!(rules::check(&workspace), [], "the sound workspace is not sound");
    plant(&mut workspace);
    rules::check(&workspace)
}

#[track_caller]
fn only(violations: &[Violation], rule: &str, subject: &str, words: &str) {
    assert_eq!(violations.len(), 1, "{violations:?}");
    let violation = &violations[0];
    assert_eq!((violation.rule, violation.subject.as_str()), (rule, subject), "{violation}");
    assert!(violation.why.contains(words), "{violation}");
}

#[test]
fn a_domain_that_uses_tokio_is_seen() {
    let found = planted(|it| it.packages[0].dependencies.insert("tokio".to_owned()));
    only(&found, "pure-domain", "satchel-domain", "tokio");
}

#[test]
fn a_domain_that_uses_aws_at_a_distance_is_seen() {
    let found = planted(|it| it.packages[0].closure.insert("aws-smithy-types".to_owned()));
    only(&found, "pure-domain", "satchel-domain", "aws-smithy-types");
}

#[test]
fn a_function_that_depends_on_a_function_is_seen_in_its_tests_too() {
    let found = planted(|it| it.packages[4].dependencies.insert("satchel-other".to_owned()));
    only(&found, "no-function-on-function", "satchel-notes", "satchel-other");
    let found = planted(|it| it.packages[4].dev_dependencies.insert("satchel-other".to_owned()));
    only(&found, "no-function-on-function", "satchel-notes", "satchel-other");
}

#[test]
fn a_layer_that_looks_up_is_seen() {
    let found = planted(|it| it.packages[1].dependencies.insert("satchel-inbound".to_owned()));
    only(&found, "direction", "satchel-store", "satchel-inbound");
    let found = planted(|it| it.packages[1].dependencies.insert("satchel-outbound".to_owned()));
    only(&found, "direction", "satchel-store", "satchel-outbound");
}

#[test]
fn a_crate_in_no_folder_of_the_tree_is_seen() {
    let found = planted(|it| it.packages.push(package("satchel-misc", "misc", BTreeSet::new())));
    only(&found, "direction", "satchel-misc", "none of the tree's folders");
}

#[test]
fn a_binary_without_a_block_is_seen() {
    let found = planted(|it| it.packages[4].binaries.insert("notes-every-day-tidy".to_owned()));
    only(&found, "a-block-for-each-binary", "notes-every-day-tidy", "no block");
}

#[test]
fn a_block_without_a_binary_is_seen() {
    let found = planted(|it| it.packages[4].binaries.remove("notes-on-erase"));
    only(&found, "a-binary-for-each-block", "NotesOnErase", "notes-on-erase");
}

#[test]
fn a_block_with_the_folder_of_another_family_is_seen() {
    let found = planted(|it| it.template.functions[1].code = "functions/other".to_owned());
    assert!(found.iter().any(|it| it.rule == "a-binary-for-each-block" && it.subject == "NotesOnErase"), "{found:?}");
}

#[test]
fn wildcards_are_seen_and_a_part_under_a_name_is_none() {
    for action in ["*", "dynamodb:*", "s3:Get*"] {
        let found = planted(|it| it.template.permissions[0].actions.push(action.to_owned()));
        only(&found, "no-wildcard", "NotesRole", action);
    }
    for resource in ["*", "arn:aws:sqs:*:*:*", "arn:aws:dynamodb:us-east-1:*"] {
        let found = planted(|it| it.template.permissions[0].resources.push(resource.to_owned()));
        only(&found, "no-wildcard", "NotesRole", resource);
    }
}

#[test]
fn a_queue_that_can_lose_a_message_is_seen() {
    let found = planted(|it| it.template.functions[1].sources[0].reports_failures = false);
    only(&found, "queues-lose-nothing", "NotesOnErase", "ReportBatchItemFailures");
    let spoil = |change: fn(&mut Queue)| planted(|it| it.template.queues.values_mut().for_each(change));
    only(&spoil(|queue| queue.dead_letter = None), "queues-lose-nothing", "NotesOnErase", "no dead-letter queue");
    only(&spoil(|queue| queue.visibility = 89), "queues-lose-nothing", "NotesOnErase", "less than 90");
    only(&spoil(|queue| queue.alarmed = false), "queues-lose-nothing", "NotesOnErase", "no alarm");
    let found = planted(|it| it.template.queues.remove("EraseDeadQueue"));
    only(&found, "queues-lose-nothing", "NotesOnErase", "EraseDeadQueue is not there");
}

#[test]
fn a_stream_that_a_poison_record_can_block_is_seen() {
    let found = planted(|it| it.template.functions[1].sources[1].bounded = false);
    only(&found, "streams-are-bounded", "NotesOnErase", "MaximumRetryAttempts");
}

#[test]
fn a_setting_that_no_block_has_is_seen() {
    let source = Source::new("functions/notes/src/state.rs", "let queue = read.text(\"QUEUE_NOTES\");");
    let found = planted(|it| it.sources.push(source));
    only(&found, "settings-stand-in-the-template", "satchel-notes", "QUEUE_NOTES");
}

#[test]
fn a_key_that_is_built_elsewhere_is_seen() {
    let path = "functions/notes/src/routes.rs";
    let found = planted(|it| it.sources.push(Source::new(path, "let pk = format!(\"USR#{user}\");")));
    only(&found, "keys-are-built-in-one-place", path, "USR#{user}");
    let found = planted(|it| it.sources.push(Source::new(path, "let key = Key { pk: one, sk: other };")));
    only(&found, "keys-are-built-in-one-place", path, "of its parts");
}

#[test]
fn a_family_that_does_not_list_its_functions_is_seen() {
    let found = planted(|it| it.sources[1].text.clear());
    only(&found, "families-list-their-functions", "satchel-other", "FUNCTIONS");
}

#[test]
fn a_clock_that_is_read_in_passing_is_seen() {
    let path = "functions/notes/src/routes.rs";
    let found = planted(|it| it.sources.push(Source::new(path, "let now = Timestamp::now();")));
    only(&found, "one-place-reads-the-environment", path, "Timestamp::now");
}

#[test]
fn an_exception_covers_its_violation_and_nothing_else_and_must_be_needed() {
    let found = planted(|it| it.packages[0].dependencies.insert("tokio".to_owned()));
    let exceptions = Exceptions::parse("pure-domain | satchel-domain | a reason").unwrap();
    assert_eq!(exceptions.judge(&found), Vec::<String>::new());
    let complaints = exceptions.judge(&[]);
    assert!(complaints[0].contains("no longer needed"), "{complaints:?}");
    let other = Exceptions::parse("direction | satchel-domain | a reason").unwrap();
    assert_eq!(other.judge(&found).len(), 2);
    Exceptions::parse("pure-domain | satchel-domain |").unwrap_err();
}

#[test]
fn a_template_is_read_with_its_short_tags_and_both_branches_of_its_conditions() {
    let template = Template::parse(
        "Globals: {Function: {Timeout: 20, Environment: {Variables: {STAGE: !Ref Stage}}}}\n\
         Resources:\n\
         \x20 Role:\n\
         \x20   Type: AWS::IAM::Role\n\
         \x20   Properties:\n\
         \x20     Policies:\n\
         \x20       - PolicyDocument:\n\
         \x20           Statement:\n\
         \x20             - !If [C, {Effect: Allow, Action: 's3:*', Resource: !Sub '${B.Arn}/x/*'}, !Ref AWS::NoValue]\n\
         \x20             - {Effect: Deny, Action: '*', Resource: '*'}\n\
         \x20 F:\n\
         \x20   Type: AWS::Serverless::Function\n\
         \x20   Metadata: {BuildProperties: {Binary: f}}\n\
         \x20   Properties:\n\
         \x20     CodeUri: functions/f\n\
         \x20     Events: {Q: {Type: SQS, Properties: {Queue: !GetAtt Queue.Arn}}}\n\
         \x20 Queue: {Type: AWS::SQS::Queue, Properties: {RedrivePolicy: {deadLetterTargetArn: !GetAtt Dead.Arn}}}\n\
         \x20 Alarm:\n\
         \x20   Type: AWS::CloudWatch::Alarm\n\
         \x20   Properties:\n\
         \x20     MetricName: ApproximateNumberOfMessagesVisible\n\
         \x20     Dimensions: [{Name: QueueName, Value: !GetAtt Dead.QueueName}]\n\
         \x20 Dead: {Type: AWS::SQS::Queue}\n",
    )
    .unwrap();
    assert_eq!(template.permissions.len(), 1);
    assert_eq!(template.permissions[0].actions, ["s3:*"]);
    assert_eq!(template.permissions[0].resources, ["${B.Arn}/x/*"]);
    assert_eq!(template.functions[0].timeout, 20);
    assert_eq!(template.functions[0].settings, names(["STAGE"]));
    assert_eq!(template.functions[0].sources[0].queue.as_deref(), Some("Queue"));
    assert_eq!(template.queues["Queue"].dead_letter.as_deref(), Some("Dead"));
    assert!(template.queues["Dead"].alarmed && !template.queues["Queue"].alarmed);
}

// ------------------------------------------------------------------------------------- settings, function by function

/// Builds each function with settings that note what they are asked for: exactly the variables of its own block, no
/// more (they would be missing in Lambda) and no less (nobody would know what they are for).
#[tokio::test]
async fn each_function_asks_for_the_variables_of_its_own_block_and_for_no_others() {
    use satchel_inbound::{Env, Settings};
    use std::sync::{Arc, Mutex};

    let stack = satchel_testkit::Stack::start().await;
    let exceptions = Exceptions::parse(include_str!("../exceptions.txt")).unwrap();
    let mut found = Vec::new();
    for block in stack.template().functions() {
        let function =
            satchel_local::registry::find(&block.binary).unwrap_or_else(|| panic!("no function {}", block.binary));
        let asked = Arc::new(Mutex::new(BTreeSet::new()));
        let (variables, note) = (block.env.clone(), Arc::clone(&asked));
        let settings = Settings::new(move |name| {
            note.lock().unwrap().insert(name.to_owned());
            variables.get(name).cloned()
        });
        let env = Env {
            settings,
            clock: stack.clock(),
            ids: stack.ids(),
            aws: stack.aws().clone(),
            http: satchel_outbound::Http::network(),
        };
        if let Err(error) = (function.build)(env).await {
            found.push(Violation { rule: BY_FUNCTION, subject: block.binary.clone(), why: error.to_string() });
        }
        let asked = asked.lock().unwrap();
        let mut complain = |name: &str, why: &str| {
            let subject = format!("{} {name}", block.binary);
            found.push(Violation { rule: BY_FUNCTION, subject, why: why.to_owned() });
        };
        for name in asked.iter().filter(|name| !block.env.contains_key(*name) && !rules::is_lambdas_own(name)) {
            complain(name, "is read and not set by its block");
        }
        for name in block.env.keys().filter(|name| !asked.contains(*name) && !FOR_ALL.contains(&name.as_str())) {
            let other = ONLY_WITH.iter().find(|(one, _)| one == name).map(|(_, other)| *other);
            // Read only where another one is set: that other one must at least have been asked for.
            if !other.is_some_and(|other| asked.contains(other)) {
                complain(name, "is set by its block and never read");
            }
        }
    }
    let complaints = exceptions.only(BY_FUNCTION).judge(&found);
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// Set for all functions; `STAGE` is for who reads a function's configuration.
const FOR_ALL: [&str; 2] = ["STAGE", "AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH"];
/// Read only where the other one is set.
const ONLY_WITH: [(&str, &str); 1] = [("APPLE_TOKEN_URL", "APPLE_CLIENT_SECRET_ARN")];
