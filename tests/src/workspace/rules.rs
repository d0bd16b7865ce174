//! The rules of the tree (`docs/architecture.md`). Each is a function over a [`Workspace`]; [`ALL`] is the list.

use std::collections::BTreeSet;

use super::crates::Layer;
use super::{Violation, Workspace};

/// A rule.
pub type Rule = fn(&Workspace) -> Vec<Violation>;

/// Every rule.
pub const ALL: [Rule; 12] = [
    direction,
    no_function_on_function,
    pure_domain,
    a_block_for_each_binary,
    a_binary_for_each_block,
    no_wildcard,
    queues_lose_nothing,
    streams_are_bounded,
    settings_stand_in_the_template,
    keys_are_built_in_one_place,
    families_list_their_functions,
    one_place_reads_the_environment,
];

/// What all rules find.
pub fn check(workspace: &Workspace) -> Vec<Violation> {
    let mut found: Vec<Violation> = ALL.iter().flat_map(|rule| rule(workspace)).collect();
    found.sort();
    found.dedup();
    found
}

/// `functions → inbound → {store, outbound} → domain`; local, testkit and tests above.
pub fn direction(workspace: &Workspace) -> Vec<Violation> {
    let layer =
        |name: &str| workspace.packages.iter().find(|package| package.name == name).and_then(super::Package::layer);
    let mut found = Vec::new();
    for package in &workspace.packages {
        let Some(own) = package.layer() else {
            let why = format!("{} is none of the tree's folders", package.folder.display());
            found.push(Violation::new("direction", &package.name, why));
            continue;
        };
        for dependency in &package.dependencies {
            // Function on function has a rule of its own.
            if let Some(other) = layer(dependency)
                && other >= own
                && (own, other) != (Layer::Function, Layer::Function)
            {
                let why = format!("depends on {dependency}, which does not stand below it");
                found.push(Violation::new("direction", &package.name, why));
            }
        }
    }
    found
}

/// A family hears of another by an event, or reads its rows through the store.
pub fn no_function_on_function(workspace: &Workspace) -> Vec<Violation> {
    let families: BTreeSet<&str> = workspace.families().map(|package| package.name.as_str()).collect();
    workspace
        .families()
        .flat_map(|package| {
            let both = package.dependencies.union(&package.dev_dependencies);
            both.filter(|name| families.contains(name.as_str())).map(|name| {
                Violation::new("no-function-on-function", &package.name, format!("depends on the function {name}"))
            })
        })
        .collect()
}

/// The rules of the business are plain functions.
pub fn pure_domain(workspace: &Workspace) -> Vec<Violation> {
    let foreign = |name: &&String| {
        name.starts_with("aws-")
            || name.starts_with("lambda")
            || ["tokio", "axum", "axum-core", "hyper", "hyper-util", "tower", "reqwest"].contains(&name.as_str())
    };
    let domain = workspace.packages.iter().filter(|package| package.layer() == Some(Layer::Domain));
    domain
        .flat_map(|package| {
            package.closure.union(&package.dependencies).filter(foreign).map(|name| {
                Violation::new("pure-domain", &package.name, format!("depends on {name}, directly or at a distance"))
            })
        })
        .collect()
}

/// Every binary of a family is deployed.
pub fn a_block_for_each_binary(workspace: &Workspace) -> Vec<Violation> {
    let blocks: Vec<&str> = workspace.template.functions.iter().map(|function| function.binary.as_str()).collect();
    let binaries = workspace.families().flat_map(|package| &package.binaries);
    binaries
        .filter_map(|binary| {
            match blocks.iter().filter(|block| *block == binary).count() {
                1 => None,
                0 => Some("no block of template.yaml builds it (`Metadata.BuildProperties.Binary`)"),
                _ => Some("several blocks of template.yaml build it"),
            }
            .map(|why| Violation::new("a-block-for-each-binary", binary, why))
        })
        .collect()
}

/// Every block runs a binary of the family whose folder it names.
pub fn a_binary_for_each_block(workspace: &Workspace) -> Vec<Violation> {
    let mut found = Vec::new();
    for function in &workspace.template.functions {
        let owner = workspace.families().find(|package| package.binaries.contains(&function.binary));
        let why = match owner {
            None => format!("its binary `{}` is no [[bin]] of a family", function.binary),
            Some(package)
                if !workspace.template.of_family(package.family()).any(|it| it.logical_id == function.logical_id) =>
            {
                format!("`CodeUri: {}` is not the folder of `{}`", function.code, function.binary)
            }
            Some(_) => continue,
        };
        found.push(Violation::new("a-binary-for-each-block", &function.logical_id, why));
    }
    found
}

/// No action with a `*`, no resource that begins with one.
pub fn no_wildcard(workspace: &Workspace) -> Vec<Violation> {
    let mut found = Vec::new();
    for permission in &workspace.template.permissions {
        for action in permission.actions.iter().filter(|action| action.contains('*')) {
            found.push(Violation::new("no-wildcard", &permission.owner, format!("allows the action `{action}`")));
        }
        for resource in permission.resources.iter().filter(|resource| is_wild(resource)) {
            found.push(Violation::new("no-wildcard", &permission.owner, format!("allows it on `{resource}`")));
        }
    }
    found
}

/// Whether nothing is named before the `*`: `*`, `arn:aws:sqs:*:*:*`. A part under a name, `${Bucket.Arn}/exports/*`,
/// is none.
fn is_wild(resource: &str) -> bool {
    match resource.split_once('*') {
        Some((before, _)) => !before.contains("${") && !before.contains('/') && before.matches(':').count() < 6,
        None => false,
    }
}

/// Each queue with a consumer: partial failures, a dead-letter queue with an alarm, visibility of six time-outs.
pub fn queues_lose_nothing(workspace: &Workspace) -> Vec<Violation> {
    let mut found = Vec::new();
    let template = &workspace.template;
    for function in &template.functions {
        for source in &function.sources {
            let Some(queue_id) = &source.queue else { continue };
            let mut complain =
                |why: String| found.push(Violation::new("queues-lose-nothing", &function.logical_id, why));
            if !source.reports_failures {
                complain(format!("event {} has no FunctionResponseTypes: [ReportBatchItemFailures]", source.id));
            }
            let Some(queue) = template.queues.get(queue_id) else {
                complain(format!("event {} names the queue {queue_id}, which is not there", source.id));
                continue;
            };
            if queue.visibility < 6 * function.timeout {
                let wanted = 6 * function.timeout;
                complain(format!(
                    "{queue_id} is visible again after {} s, less than {wanted} (6 time-outs)",
                    queue.visibility
                ));
            }
            match queue.dead_letter.as_ref().map(|id| (id, template.queues.get(id))) {
                None => complain(format!("{queue_id} has no dead-letter queue")),
                Some((id, None)) => complain(format!("the dead-letter queue {id} is not there")),
                Some((id, Some(dead))) if !dead.alarmed => {
                    complain(format!("no alarm watches the dead-letter queue {id}"))
                }
                Some(_) => {}
            }
        }
    }
    found
}

/// A poison record must not block its shard.
pub fn streams_are_bounded(workspace: &Workspace) -> Vec<Violation> {
    let mut found = Vec::new();
    for function in &workspace.template.functions {
        for source in function.sources.iter().filter(|source| source.queue.is_none()) {
            if !source.reports_failures || !source.bounded {
                let why = format!(
                    "event {} needs ReportBatchItemFailures, BisectBatchOnFunctionError, MaximumRetryAttempts, \
                     MaximumRecordAgeInSeconds and an OnFailure destination",
                    source.id
                );
                found.push(Violation::new("streams-are-bounded", &function.logical_id, why));
            }
        }
    }
    found
}

/// What a family's code asks for stands in the block of at least one of its functions; which function asks for which is
/// found by building them (`tests/tests/architecture.rs`).
pub fn settings_stand_in_the_template(workspace: &Workspace) -> Vec<Violation> {
    let mut found = Vec::new();
    for package in workspace.families() {
        let set: BTreeSet<&String> =
            workspace.template.of_family(package.family()).flat_map(|function| &function.settings).collect();
        let sources = workspace.sources.iter().filter(|source| source.is_in(package.folder.join("src")));
        let read: BTreeSet<String> = sources.flat_map(super::Source::settings).collect();
        for name in read.iter().filter(|name| !set.contains(name) && !is_lambdas_own(name)) {
            let why = format!("reads {name}, which no block of the family sets");
            found.push(Violation::new("settings-stand-in-the-template", &package.name, why));
        }
    }
    found
}

/// Whether Lambda sets the variable by itself, or only the local stack does.
pub fn is_lambdas_own(name: &str) -> bool {
    name.starts_with("AWS_") || name == "_HANDLER" || name.starts_with("LAMBDA_")
}

/// Keys are built in `shared/store/src/keys` and nowhere else.
pub fn keys_are_built_in_one_place(workspace: &Workspace) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in &workspace.sources {
        let ours = source.is_in("functions") || source.is_in("shared");
        let is_test =
            source.path.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs");
        if !ours || is_test || source.is_in("shared/store/src/keys") || source.is_in("shared/testkit") {
            continue;
        }
        let literal = source.text.split('"').skip(1).step_by(2).find(|text| is_key(text));
        if let Some(literal) = literal {
            let why = format!("builds the key \"{literal}\": keys are built in shared/store/src/keys");
            found.push(Violation::new("keys-are-built-in-one-place", source.path.display().to_string(), why));
        }
        if source.text.contains("Key {") && source.text.contains("pk:") && !source.is_in("shared/inbound/src/batch.rs")
        {
            let why = "makes a Key of its parts: keys are built in shared/store/src/keys";
            found.push(Violation::new("keys-are-built-in-one-place", source.path.display().to_string(), why));
        }
    }
    found
}

/// `USR#{id}`, `EVT#`: a word in upper case and a `#`.
fn is_key(text: &str) -> bool {
    text.split_once('#').is_some_and(|(word, rest)| {
        (1..=12).contains(&word.len())
            && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
            && (rest.is_empty() || rest.starts_with('{') || rest.starts_with("usr_"))
    })
}

/// The local process and the drift test find a family's functions by its `FUNCTIONS`.
pub fn families_list_their_functions(workspace: &Workspace) -> Vec<Violation> {
    let mut found = Vec::new();
    for package in workspace.families() {
        let lib = workspace.sources.iter().find(|source| source.path == package.folder.join("src/lib.rs"));
        if !lib.is_some_and(|source| source.text.contains("pub const FUNCTIONS: &[Function]")) {
            let why = "src/lib.rs has no `pub const FUNCTIONS: &[Function]`";
            found.push(Violation::new("families-list-their-functions", &package.name, why));
        }
    }
    found
}

/// The clock and the environment are read in `shared/inbound/src/env.rs`, by the local process and by tests.
pub fn one_place_reads_the_environment(workspace: &Workspace) -> Vec<Violation> {
    let calls = ["env::var", "SystemTime::now", "Timestamp::now", "getrandom::", "rand::rng", "thread_rng"];
    let mut found = Vec::new();
    for source in &workspace.sources {
        let ours = source.is_in("functions") || source.is_in("shared");
        let is_test = source.path.components().any(|part| part.as_os_str() == "tests");
        if !ours || is_test || source.is_in("shared/inbound/src/env.rs") || source.is_in("shared/testkit") {
            continue;
        }
        for call in calls.iter().filter(|call| source.text.contains(**call)) {
            let why = format!("calls {call}: time, chance and settings come in as values");
            found.push(Violation::new("one-place-reads-the-environment", source.path.display().to_string(), why));
        }
    }
    found
}
