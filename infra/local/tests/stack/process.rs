//! The process itself: ports, folders, settings, and stopping.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use http::{Method, Request};
use satchel_local::Bytes;
use satchel_outbound::Http;
use serde_json::{Value, json};

struct Process {
    child: Child,
    port: u16,
    ready_after: Duration,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_satchel-local"));
    let variables = ["PORT", "WS_PORT", "AWS_PORT", "DATA", "PARAMS", "SERVICES_ONLY", "AWS_ENDPOINT", "LOG"];
    for name in variables {
        command.env_remove(format!("SATCHEL_{name}"));
    }
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Process {
    /// Starts one on free ports and waits until it says where it listens.
    fn start(data: &str, more: &[&str]) -> Self {
        let begun = Instant::now();
        let arguments = [&["--port", "0", "--aws-port", "0", "--data", data], more].concat();
        let mut child = command(&arguments).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = said.next().unwrap_or_else(|| {
            let mut complaint = String::new();
            child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
            panic!("it did not start: {complaint}")
        });
        let line = line.unwrap();
        let address = line.split("http://127.0.0.1:").nth(1).unwrap_or_else(|| panic!("it said `{line}`"));
        let port = address.trim_end_matches("/_local/").parse().unwrap();
        // What it says later must find a reader.
        std::thread::spawn(move || said.for_each(drop));
        Self { child, port, ready_after: begun.elapsed() }
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let request = Request::builder().method(method).uri(format!("http://127.0.0.1:{}{path}", self.port));
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let request = request.header("content-type", "application/json").body(body).unwrap();
        let answer = Http::network().call(request).await.unwrap();
        (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or_default())
    }

    /// Asks it to stop, as Ctrl-C or a service manager does.
    fn stop(mut self) -> ExitStatus {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.child.wait().unwrap()
    }
}

/// Runs one that must not start; its complaint.
fn refused(arguments: &[&str]) -> String {
    let output = command(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

async fn sign_in(process: &Process) -> Value {
    let identity = json!({ "provider": "google", "subject": "ada" });
    let (_, identity) = process.call(Method::POST, "/_local/identity", identity).await;
    let body = json!({ "id_token": identity["id_token"], "device": { "name": "phone", "platform": "ios" } });
    let (status, session) = process.call(Method::POST, "/auth/google", body).await;
    assert_eq!(status, 200, "{session}");
    session
}

#[tokio::test]
async fn a_restart_on_the_same_folder_continues_and_starts_quickly() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let process = Process::start(data, &[]);
    assert_eq!(process.call(Method::GET, "/health", Value::Null).await.0, 200);
    let first = sign_in(&process).await;
    assert!(process.stop().success());

    let process = Process::start(data, &[]);
    println!("a warm start took {:?}", process.ready_after);
    assert!(process.ready_after < Duration::from_secs(10), "{:?}", process.ready_after);
    let again = sign_in(&process).await;
    assert_eq!(again["user_id"], first["user_id"]);
    assert_eq!(again["is_new_user"], false);
    let (status, _) = process.call(Method::POST, "/_local/drain", json!({ "timeout_ms": 5_000 })).await;
    assert_eq!(status, 200);
    assert!(refused(&["--port", "0", "--aws-port", "0", "--data", data]).contains("in use by another process"));
    assert!(process.stop().success());
}

#[test]
fn taken_ports_are_named_both_at_once() {
    let held = [TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap()];
    let ports = held.map(|held| (held.local_addr().unwrap().port().to_string(), held));
    let complaint = refused(&["--port", &ports[0].0, "--aws-port", &ports[1].0, "--data", "memory"]);
    for (flag, (port, _)) in ["--port", "--aws-port"].iter().zip(&ports) {
        assert!(complaint.contains(&format!("port {port} is taken")) && complaint.contains(flag), "{complaint}");
    }
}

#[test]
fn bad_settings_are_complained_of_all_at_once() {
    let complaint = refused(&["--port", "many", "--param", "novalue", "--log", "a=b=c", "--aws-endpoint", "nowhere"]);
    for part in ["--port: `many`", "`novalue`", "--log", "--aws-endpoint: `nowhere`"] {
        assert!(complaint.contains(part), "`{part}` is not in: {complaint}");
    }
    let complaint =
        refused(&["--port", "0", "--aws-port", "0", "--data", "memory", "--param", "Unheard=1", "--param", "Of=2"]);
    assert!(complaint.contains("Unheard") && complaint.contains("Of"), "{complaint}");
    let complaint =
        refused(&["--port", "0", "--aws-port", "0", "--data", "memory", "--param", "SyncEntryBytes=500000"]);
    assert!(complaint.contains("parameter `SyncEntryBytes` must be at most 262144, not `500000`"), "{complaint}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_data_folder_and_what_holds_the_signing_key_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let temporary = tempfile::tempdir().unwrap();
    let data = temporary.path().join("data");
    let process = Process::start(data.to_str().unwrap(), &["--services-only"]);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for file in ["secrets.jsonl", "keys.json"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
    assert!(process.stop().success());
}

#[test]
fn a_folder_of_a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("schema"), "99\n").unwrap();
    let complaint = refused(&["--port", "0", "--aws-port", "0", "--data", folder.path().to_str().unwrap()]);
    assert!(complaint.contains("schema 99") && complaint.contains("--data"), "{complaint}");
}

#[tokio::test]
async fn functions_work_against_the_services_of_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let services = Process::start(folder.path().to_str().unwrap(), &["--services-only"]);
    assert_eq!(services.call(Method::GET, "/health", Value::Null).await.0, 404);
    let environment = read_environment(folder.path());
    // Each value in quotes: without them, the parser of `cargo lambda watch --env-file` refuses the JSON of TOKEN_KEYS.
    let values: BTreeMap<&str, &str> = environment
        .lines()
        .map(|line| {
            let (name, value) = line.split_once('=').unwrap();
            let inner = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\''));
            (name, inner.filter(|inner| !inner.contains('\'')).unwrap_or_else(|| panic!("{line}")))
        })
        .collect();
    assert!(values["TABLE_ACCOUNTS"].starts_with("satchel-local-") && values["TOKEN_KEYS"].starts_with("{\"keys\":[{"));
    let endpoint = values["AWS_ENDPOINT_URL"];

    let functions = Process::start("memory", &["--aws-endpoint", endpoint]);
    let session = sign_in(&functions).await;
    assert!(session["user_id"].as_str().unwrap().starts_with("usr_"));
    let (status, _) = functions.call(Method::POST, "/_local/reset", Value::Null).await;
    assert_eq!(status, 409, "the state is the other process's");
}

fn read_environment(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("lambda.env")).unwrap()
}
