//! Flags and variables of `satchel-local`, read all at once so that everything wrong is said in one go.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Parser;
use satchel_local::{LocalOptions, StartError};
use tracing_subscriber::EnvFilter;

/// Satchel on this machine: API, event sources, schedules and the AWS services they need, in one process.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 110)]
pub(crate) struct Args {
    /// Port of the API, `/docs` and the control API under `/_local/`; 0 takes any free one
    #[arg(long, env = "SATCHEL_PORT", default_value = "3000")]
    port: String,
    /// Port of the socket API. Reserved: nothing listens there before the template has a WebSocket API
    #[arg(long, env = "SATCHEL_WS_PORT", default_value = "3001")]
    ws_port: String,
    /// Port of the AWS services, for the SDK in other processes; 0 takes any free one
    #[arg(long, env = "SATCHEL_AWS_PORT", default_value = "3002")]
    aws_port: String,
    /// Folder of the data, or `memory`
    #[arg(long, env = "SATCHEL_DATA", default_value = ".satchel")]
    data: String,
    /// A template parameter, such as `SyncQuotaBytes=1000000`; may stand there again. `SATCHEL_PARAMS` takes several,
    /// separated by blanks
    #[arg(long = "param", value_name = "NAME=VALUE")]
    params: Vec<String>,
    /// Template parameters, separated by blanks
    #[arg(long, env = "SATCHEL_PARAMS", hide = true, default_value = "")]
    param_list: String,
    /// Only the AWS services and the control API, no functions
    #[arg(long, env = "SATCHEL_SERVICES_ONLY", value_parser = clap::builder::FalseyValueParser::new())]
    services_only: bool,
    /// Use the AWS services of another process (one started with --services-only). Routes work; queues, streams and
    /// schedules are not consumed, and the control API of the other process has the clock, the faults and the outbox
    #[arg(long, env = "SATCHEL_AWS_ENDPOINT", value_name = "URL", default_value = "")]
    aws_endpoint: String,
    /// A root certificate (PEM or DER) that is trusted for the App Store in the place of the stand-in's own
    #[arg(long, env = "SATCHEL_APPLE_ROOT", value_name = "FILE")]
    apple_root: Option<PathBuf>,
    /// What is logged, as `tracing` filters read it
    #[arg(long, env = "SATCHEL_LOG", default_value = "warn,satchel=info,satchel::request=off")]
    log: String,
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) port: u16,
    pub(crate) aws_port: u16,
    pub(crate) aws_endpoint: Option<String>,
    services_only: bool,
    data: Option<PathBuf>,
    params: BTreeMap<String, String>,
    apple_root: Option<Vec<u8>>,
    log: String,
}

impl Settings {
    /// Reads `args`.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub(crate) fn read(args: Args) -> Result<Self, StartError> {
        let mut complaints = Vec::new();
        let mut port = |flag: &str, text: &str| {
            text.parse::<u16>().unwrap_or_else(|_| {
                complaints.push(format!("{flag}: `{text}` is not a port"));
                0
            })
        };
        let ports = [port("--port", &args.port), port("--ws-port", &args.ws_port), port("--aws-port", &args.aws_port)];
        for (index, one) in ports.iter().enumerate() {
            if *one != 0 && ports[..index].contains(one) {
                complaints.push(format!("the port {one} is given twice"));
            }
        }
        let mut params = BTreeMap::new();
        for param in args.param_list.split_whitespace().chain(args.params.iter().map(String::as_str)) {
            match param.split_once('=') {
                Some((name, value)) if !name.is_empty() => {
                    params.insert(name.to_owned(), value.to_owned());
                }
                _ => complaints.push(format!("--param: `{param}` is not like NAME=VALUE")),
            }
        }
        let aws_endpoint = Some(args.aws_endpoint).filter(|url| !url.is_empty());
        if let Some(url) = &aws_endpoint {
            if !url.parse::<axum::http::Uri>().is_ok_and(|url| url.scheme().is_some() && url.authority().is_some()) {
                complaints.push(format!("--aws-endpoint: `{url}` is not an address like http://127.0.0.1:3002"));
            }
            if args.services_only {
                complaints.push("--services-only and --aws-endpoint contradict each other".to_owned());
            }
        }
        let apple_root = match args.apple_root.map(|path| certificate(&path)) {
            Some(Err(complaint)) => {
                complaints.push(complaint);
                None
            }
            read => read.and_then(Result::ok),
        };
        if let Err(error) = EnvFilter::try_new(&args.log) {
            complaints.push(format!("--log: {error}"));
        }
        let data = Some(args.data).filter(|data| data != "memory" && aws_endpoint.is_none());
        if data.as_deref() == Some("") {
            complaints.push("--data: a folder, or `memory`".to_owned());
        }
        if !complaints.is_empty() {
            return Err(StartError(complaints));
        }
        Ok(Self {
            port: ports[0],
            aws_port: ports[2],
            aws_endpoint,
            services_only: args.services_only,
            data: data.map(PathBuf::from),
            params,
            apple_root,
            log: args.log,
        })
    }

    /// How the stack is started.
    pub(crate) fn options(&self) -> LocalOptions {
        LocalOptions {
            data: self.data.clone(),
            params: self.params.clone(),
            aws_endpoint: self.aws_endpoint.clone(),
            services_only: self.services_only,
            apple_root: self.apple_root.clone(),
            ..LocalOptions::default()
        }
    }

    /// Writes what functions of other processes (`make dev-lambda`) find in their environment, where only the services
    /// run and there is a folder.
    ///
    /// # Errors
    /// A sentence, where the file cannot be written or a value cannot stand in one.
    pub(crate) fn write_environment(
        &self,
        mut environment: BTreeMap<String, String>,
        aws_port: u16,
    ) -> Result<(), String> {
        let Some(folder) = self.data.as_ref().filter(|_| self.services_only) else { return Ok(()) };
        environment.insert("AWS_ENDPOINT_URL".to_owned(), format!("http://127.0.0.1:{aws_port}"));
        let mut text = String::new();
        for (name, value) in environment {
            let value = quoted(&value).ok_or_else(|| format!("{name} cannot stand in lambda.env: {value}"))?;
            text.push_str(&format!("{name}={value}\n"));
        }
        let (path, draft) = (folder.join("lambda.env"), folder.join("lambda.env.new"));
        let written = std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, &path));
        written.map_err(|error| format!("{} cannot be written: {error}", path.display()))
    }

    /// Sets up the log, on standard error.
    pub(crate) fn log(&self) {
        let subscriber =
            tracing_subscriber::fmt().with_env_filter(EnvFilter::new(&self.log)).with_writer(std::io::stderr).compact();
        subscriber.try_init().unwrap_or_else(|error| tracing::warn!(%error, "logging was set up before"));
    }

    /// What is said once all is ready.
    pub(crate) fn greeting(&self, port: u16, aws_port: Option<u16>, moved_by: Duration) -> String {
        let mut lines = vec![format!("Satchel is ready on http://127.0.0.1:{port}")];
        if self.services_only {
            lines = vec![format!("The services of Satchel are ready; control API on http://127.0.0.1:{port}/_local/")];
        } else {
            lines.push(format!("  documentation  http://127.0.0.1:{port}/docs"));
        }
        if let Some(aws_port) = aws_port {
            lines.push(format!(
                "  AWS services   http://127.0.0.1:{aws_port}  (AWS_ENDPOINT_URL; key and secret: local)"
            ));
        }
        lines.push(match (&self.data, &self.aws_endpoint) {
            (Some(data), _) => format!("  data           {} (kept over restarts)", data.display()),
            (None, Some(endpoint)) => {
                format!("  data           {endpoint}; queues, streams and schedules stand still here")
            }
            (None, None) => "  data           in memory (gone when this stops)".to_owned(),
        });
        if !moved_by.is_zero() {
            lines.push(format!(
                "  clock          {} s ahead, as it was before; /_local/reset ends it",
                moved_by.as_secs()
            ));
        }
        if !self.services_only {
            lines.push("Next, in another terminal:".to_owned());
            lines.push(format!("  curl -s http://127.0.0.1:{port}/health"));
            lines.push(if port == 3000 {
                "  make demo".to_owned()
            } else {
                format!("  make demo ARGS=\"--url http://127.0.0.1:{port}\"")
            });
        }
        lines.push(String::new());
        lines.join("\n")
    }
}

/// The certificate in the file at `path`, DER: it holds that, or PEM.
fn certificate(path: &Path) -> Result<Vec<u8>, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("--apple-root: {}: {error}", path.display()))?;
    let pem = std::str::from_utf8(&bytes).ok().and_then(|text| {
        let (_, rest) = text.split_once("-----BEGIN CERTIFICATE-----")?;
        Some(rest.split_once("-----END CERTIFICATE-----")?.0.split_ascii_whitespace().collect::<String>())
    });
    let der = match pem {
        Some(pem) => STANDARD.decode(pem).ok(),
        // A sequence with a length of two bytes, as every certificate is.
        None => Some(bytes).filter(|bytes| bytes.starts_with(&[0x30, 0x82])),
    };
    der.ok_or_else(|| format!("--apple-root: {} holds no certificate in PEM or DER", path.display()))
}

/// `value` as `cargo lambda watch --env-file` reads it (its parser is the crate `env-file-reader`): in quotes, of a kind
/// that is not in it, for a JSON text without quotes is an error there. It knows no escape of a backslash, and takes `\n`
/// for a new line in quotes of any kind.
fn quoted(value: &str) -> Option<String> {
    let quote = ['\'', '`', '"'].into_iter().find(|quote| !value.contains(*quote))?;
    (!value.contains("\\n")).then(|| format!("{quote}{value}{quote}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_read_as_pem_and_as_der() {
        let folder = tempfile::tempdir().unwrap();
        let read = |bytes: &[u8]| {
            let path = folder.path().join("root");
            std::fs::write(&path, bytes).unwrap();
            certificate(&path)
        };
        let pem = "-----BEGIN CERTIFICATE-----\nMIIB\nAgM=\n-----END CERTIFICATE-----\n";
        assert_eq!(read(pem.as_bytes()), Ok(vec![0x30, 0x82, 1, 2, 3]));
        assert_eq!(read(&[0x30, 0x82, 9]), Ok(vec![0x30, 0x82, 9]));
        assert!(read(b"hello").is_err());
        assert!(certificate(&folder.path().join("absent")).is_err());
    }

    #[test]
    fn a_value_is_quoted_by_what_is_not_in_it() {
        for (value, wanted) in [
            ("http://127.0.0.1:3002", Some("'http://127.0.0.1:3002'")),
            ("", Some("''")),
            (r#"{"keys":[]}"#, Some(r#"'{"keys":[]}'"#)),
            ("it's", Some("`it's`")),
            ("it's `so`", Some(r#""it's `so`""#)),
            (r#"'`""#, None),
            (r"a\nb", None),
        ] {
            assert_eq!(quoted(value).as_deref(), wanted, "{value}");
        }
    }
}
