//! `satchel-local`: the stack on this machine's ports. `make dev` runs it.

mod settings;

use std::process::ExitCode;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use clap::Parser as _;
use satchel_local::gateway::{self, Listener, Served};
use satchel_local::{Local, LocalOptions, StartError, control};

use settings::{Args, Settings};

fn main() -> ExitCode {
    let outcome = Settings::read(Args::parse()).and_then(|settings| {
        settings.log();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        runtime.map_err(|error| StartError(vec![error.to_string()]))?.block_on(serve(settings))
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(StartError(complaints)) => {
            let mut text = String::from("satchel-local cannot start:\n");
            for complaint in complaints {
                text.push_str(&format!("  - {complaint}\n"));
            }
            say(&mut std::io::stderr(), &text);
            ExitCode::FAILURE
        }
    }
}

/// Writes to a person; where nobody listens there is nobody to tell.
fn say(to: &mut impl std::io::Write, text: &str) {
    to.write_all(text.as_bytes()).and_then(|()| to.flush()).ok();
}

async fn serve(settings: Settings) -> Result<(), StartError> {
    // All ports before all work, so that a taken one costs no time, and both complaints are heard at once.
    let (api, aws) = (Listener::bind(settings.port, "--port").await, bind_aws(&settings).await);
    let (api, aws) = match (api, aws) {
        (Ok(api), Ok(aws)) => (api, aws),
        (api, aws) => return Err(StartError([api.err(), aws.err()].into_iter().flatten().collect())),
    };
    let (port, aws_port) = (api.port(), aws.as_ref().map(Listener::port));
    let options = settings.options();
    let options = LocalOptions { port, aws_port: aws_port.unwrap_or(options.aws_port), ..options };
    let local = Local::start(options).await?;
    let stop = signal()?;
    let mut served: Vec<Served> = vec![api.serve(router(&local))];
    served.extend(aws.map(|aws| aws.serve(local.services().router())));
    if let Some(aws_port) = aws_port {
        settings.write_environment(local.environment(), aws_port)?;
    }
    say(&mut std::io::stdout(), &settings.greeting(port, aws_port, local.clock().moved_by()));

    stop.await;
    say(&mut std::io::stdout(), "\nstopping\n");
    for served in served {
        served.stop().await;
    }
    local.stop().await;
    Ok(())
}

async fn bind_aws(settings: &Settings) -> Result<Option<Listener>, String> {
    match settings.aws_endpoint {
        Some(_) => Ok(None),
        None => Listener::bind(settings.aws_port, "--aws-port").await.map(Some),
    }
}

/// The control API, and the gateway for everything else.
fn router(local: &Local) -> Router {
    Router::new().fallback(through_gateway).with_state(local.clone()).merge(control::router(local.clone()))
}

async fn through_gateway(State(local): State<Local>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, gateway::MAX_REQUEST).await else {
        return gateway::too_large().map(Body::from);
    };
    // On a task of its own: a caller who hangs up does not stop a function, as in Lambda.
    let call = tokio::spawn(async move { local.call(axum::http::Request::from_parts(head, body)).await });
    call.await.unwrap_or_else(|_| gateway::failed()).map(|body: Bytes| Body::from(body))
}

/// Ends with Ctrl-C or SIGTERM.
fn signal() -> Result<impl Future<Output = ()>, StartError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| StartError(vec![error.to_string()]))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| StartError(vec![error.to_string()]))?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
