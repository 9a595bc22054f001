//! `stateward lab`: AWS's access control on loopback.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use stateward_core::{Clock, Entropy, Error, Kind};
use stateward_lab::{Config, Lab, Surroundings, Upstream, World};

use super::Context;
use super::interruption::Interruption;
use super::policy::files;
use super::serve::{bind, is_loopback, not_bound};
use crate::cli::LabArgs;
use crate::exit::Exit;
use crate::failure::{Failure, Result, plain};
use crate::output;
use crate::system::{SystemClock, SystemEntropy};

const NEXT: &str = "see docs/how-to/try-policies.md for all that the file may say";

pub(super) async fn run(_context: &Context, args: &LabArgs) -> Result<Exit> {
    if !is_loopback(args.listen) {
        return Err(Failure::usage(
            format!("`lab` does not listen on {}", args.listen),
            "its keys are no secrets: whoever reaches it could be anybody",
            "choose a port of 127.0.0.1 with `--listen`",
        ));
    }
    let world = world(args)?;
    let mut interruption = Interruption::new()?;
    let listener = bind("lab", args.listen).await?;
    let address = listener.local_addr().map_err(|error| not_bound("lab", args.listen, &error))?;
    let welcome = welcome(&world, &format!("http://{address}"));
    let mut seed = [0; 32];
    SystemEntropy.fill(&mut seed);
    let lab = Lab::new(
        world,
        Surroundings {
            now: Arc::new(|| SystemClock.now()),
            seed,
            on_decision: Arc::new(|decision| output::note(&format!("{decision}\n"))),
        },
    );
    output::note(&format!("listening on http://{address}\n{welcome}"));
    let served = stateward_lab::serve(Arc::new(lab), listener, async move { interruption.comes().await }).await;
    served.map_err(|error| Error::new(Kind::Unavailable, "the lab stopped", plain(&error), "start it again"))?;
    Ok(Exit::Done)
}

fn world(args: &LabArgs) -> Result<World> {
    let path = args.config.as_path();
    let text = files::text_of(path).map_err(|error| {
        Failure::file("the lab's file cannot be read", path, &error, "check its path, and that you may read it")
    })?;
    let what = || format!("the lab's file `{}` is wrong", path.display());
    let wrong = |error: stateward_lab::ConfigError| Failure::usage(what(), error.to_string(), NEXT);
    let mut config: Config = text.parse().map_err(wrong)?;
    if let Some(url) = &args.upstream {
        match &mut config.upstream {
            Some(upstream) => upstream.url.clone_from(url),
            none => *none = Some(Upstream::new(url)),
        }
    }
    let Some(upstream) = &mut config.upstream else {
        return Err(Failure::usage(
            "the lab has no server that does what it allows",
            "neither `--upstream` nor `upstream.url` of the file names one",
            "start one (`pip install 'moto[server]'`, `moto_server --port 5000`) and give `--upstream http://127.0.0.1:5000`",
        ));
    };
    if let Some(url) = &args.upstream_dynamodb {
        upstream.dynamodb = Some(url.clone());
    }
    for url in [Some(&upstream.url), upstream.dynamodb.as_ref()].into_iter().flatten() {
        if !url.starts_with("http://") {
            let why = format!("`{url}` does not begin with `http://`: the lab speaks no TLS");
            return Err(Failure::usage("the lab cannot use its upstream", why, "give `http://HOST:PORT`"));
        }
    }
    if let Some(url) = upstream.elsewhere().filter(|_| !args.upstream_elsewhere) {
        return Err(Failure::usage(
            "the lab does not use a server on another machine unless it is asked to",
            format!("`{url}` is not on loopback: whatever the lab allows would be done there"),
            "name a server on 127.0.0.1, or add `--upstream-elsewhere` if that one is meant",
        ));
    }
    let beside = path.parent().unwrap_or(Path::new(""));
    config.compile(&|file| files::text_of(&beside.join(file))).map_err(wrong)
}

/// The environment of each principal, to be pasted. Keys that the lab did not make up itself are not repeated.
fn welcome(world: &World, url: &str) -> String {
    let mut text = format!("\nexport AWS_ENDPOINT_URL={url} AWS_REGION=us-east-1\n");
    for (arn, credentials) in world.credentials() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n# {arn}");
        let _ = write!(text, "export AWS_ACCESS_KEY_ID={}", credentials.access_key);
        if credentials.is_made_up() {
            let _ = write!(text, " AWS_SECRET_ACCESS_KEY={}", credentials.secret_key);
            if let Some(token) = &credentials.token {
                let _ = write!(text, " AWS_SESSION_TOKEN={token}");
            }
        } else {
            text.push_str(" # and what goes with it in the lab's file");
        }
        text.push('\n');
    }
    text.push_str(
        "\n# Buckets in the path: `use_path_style = true` in a backend block. Decisions follow, one a line.\n",
    );
    text
}
