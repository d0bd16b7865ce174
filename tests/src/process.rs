//! A real function binary under a [`RuntimeApi`]: the process that Lambda would run, with the environment that Lambda
//! would give it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::runtime_api::{Outcome, Reply, RuntimeApi};

/// How much of what a function writes is kept, in bytes: the end of it.
const KEPT: usize = 256 * 1024;

/// Why a function gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The process or its Runtime API cannot be started.
    #[error("the function cannot be started: {0}")]
    Start(#[from] std::io::Error),
    /// It ended by itself.
    #[error("the function ended ({status}) and said:\n{output}")]
    Ended {
        /// How it ended.
        status: String,
        /// What it wrote.
        output: String,
    },
    /// It did not answer in time.
    #[error("the function did not answer within {0:?}; it said:\n{1}")]
    Late(Duration, String),
    /// It answered with something else than JSON.
    #[error("the answer is not JSON: {0}")]
    NoJson(#[from] serde_json::Error),
    /// It reported a failure of the invocation.
    #[error("the invocation failed ({kind}): {body}")]
    Failed {
        /// Type of the error.
        kind: String,
        /// The error as it was reported.
        body: String,
    },
}

/// How a function is started.
#[derive(Debug, Clone)]
pub struct Launch {
    name: String,
    binary: PathBuf,
    environment: BTreeMap<String, String>,
    timeout: Duration,
    cgroup: Option<PathBuf>,
}

impl Launch {
    /// The function `name` of `memory_mb` from `binary` with `settings`, and with the variables that Lambda sets itself
    /// (Lambda developer guide, *Defined runtime environment variables*). Nothing of this process's environment is
    /// handed on.
    pub fn new(
        name: &str,
        binary: &Path,
        memory_mb: u32,
        timeout: Duration,
        settings: &BTreeMap<String, String>,
    ) -> Self {
        let group = format!("/satchel/satchel-local/{name}");
        let lambda = [
            ("AWS_LAMBDA_FUNCTION_NAME", name),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory_mb.to_string()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", &group),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/01/01/[$LATEST]0123456789abcdef0123456789abcdef"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
            ("AWS_LAMBDA_LOG_LEVEL", "INFO"),
            ("_HANDLER", "bootstrap"),
            ("LAMBDA_TASK_ROOT", "/var/task"),
            ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            // By its key the emulators know which role calls.
            ("AWS_ACCESS_KEY_ID", name),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("TZ", ":UTC"),
            ("LANG", "en_US.UTF-8"),
            ("PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin"),
        ];
        let mut environment: BTreeMap<String, String> =
            lambda.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        environment.extend(settings.clone());
        Self { name: name.to_owned(), binary: binary.to_owned(), environment, timeout, cgroup: None }
    }

    /// Sets one more variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// Takes a variable away.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.environment.remove(name);
        self
    }

    /// Starts the process inside the control group `folder` (see [`crate::bench::cpu`]).
    #[must_use]
    pub fn inside(mut self, folder: &Path) -> Self {
        self.cgroup = Some(folder.to_owned());
        self
    }

    /// Starts the function.
    ///
    /// # Errors
    /// Where the process or its Runtime API cannot be started.
    pub async fn start(&self) -> Result<Process, ProcessError> {
        let api = RuntimeApi::serve(&self.name).await?;
        let mut command = match &self.cgroup {
            None => Command::new(&self.binary),
            Some(folder) => {
                // The shell joins the group and becomes the function, so that no instruction of it runs outside.
                let mut command = Command::new("/bin/sh");
                command
                    .args(["-c", "echo $$ > \"$0\" && exec \"$1\""])
                    .arg(folder.join("cgroup.procs"))
                    .arg(&self.binary);
                command
            }
        };
        command
            .env_clear()
            .envs(&self.environment)
            .env("AWS_LAMBDA_RUNTIME_API", api.address())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let started = Instant::now();
        let mut child = command.spawn()?;
        let output = Arc::new(Mutex::new(Vec::new()));
        let readers = [
            child.stdout.take().map(|pipe| tokio::spawn(keep(pipe, Arc::clone(&output)))),
            child.stderr.take().map(|pipe| tokio::spawn(keep(pipe, Arc::clone(&output)))),
        ];
        let readers = readers.into_iter().flatten().collect();
        Ok(Process { child, api, output, readers, started, timeout: self.timeout })
    }
}

/// A running function; it is killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    api: RuntimeApi,
    output: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
    started: Instant,
    timeout: Duration,
}

impl Process {
    /// When the process was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// What it wrote to standard output and error, the end of it.
    pub fn output(&self) -> String {
        let bytes = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What it posted to the Runtime API as its init error, where it did.
    pub fn init_error(&self) -> Option<Bytes> {
        self.api.init_error()
    }

    /// When its init phase ended.
    ///
    /// # Errors
    /// Where it ended before.
    pub async fn initialised(&mut self) -> Result<Instant, ProcessError> {
        let ended = tokio::select! {
            at = self.api.initialised() => return Ok(at),
            ended = self.child.wait() => ended,
        };
        Err(self.ended(ended).await)
    }

    /// Invokes the function with `event`.
    ///
    /// # Errors
    /// Where it ends or does not answer in time.
    pub async fn call(&mut self, event: impl Into<Bytes>) -> Result<Reply, ProcessError> {
        let ended = tokio::select! {
            reply = self.api.invoke(event.into(), self.timeout) => match reply {
                Some(reply) => return Ok(reply),
                None => Err(std::io::Error::other("the Runtime API ended")),
            },
            ended = self.child.wait() => ended,
            () = tokio::time::sleep(self.timeout) => return Err(ProcessError::Late(self.timeout, self.output())),
        };
        Err(self.ended(ended).await)
    }

    /// The JSON that the function answers `event` with.
    ///
    /// # Errors
    /// Where it ends, is late, reports a failure or answers no JSON.
    pub async fn invoke(&mut self, event: &Value) -> Result<Value, ProcessError> {
        match self.call(event.to_string()).await?.outcome {
            Outcome::Answer(body) => Ok(serde_json::from_slice(&body)?),
            Outcome::Failure(kind, body) => {
                Err(ProcessError::Failed { kind, body: String::from_utf8_lossy(&body).into_owned() })
            }
        }
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// Where it is still there after `timeout`.
    pub async fn ends(&mut self, timeout: Duration) -> Result<(ExitStatus, String), ProcessError> {
        match tokio::time::timeout(timeout, self.child.wait()).await {
            Ok(status) => {
                self.drain().await;
                Ok((status?, self.output()))
            }
            Err(_) => Err(ProcessError::Late(timeout, self.output())),
        }
    }

    async fn drain(&mut self) {
        for reader in self.readers.drain(..) {
            // A reader ends with the pipe; one that was cancelled has nothing more to say.
            drop(reader.await);
        }
    }

    async fn ended(&mut self, status: std::io::Result<ExitStatus>) -> ProcessError {
        self.drain().await;
        match status {
            Ok(status) => ProcessError::Ended { status: status.to_string(), output: self.output() },
            Err(error) => ProcessError::Start(error),
        }
    }
}

async fn keep(mut pipe: impl AsyncRead + Unpin, output: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
        let mut kept = output.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(buffer.get(..read).unwrap_or_default());
        if kept.len() > 2 * KEPT {
            let cut = kept.len() - KEPT;
            kept.drain(..cut);
        }
    }
}
