//! `stateward serve`.

use std::fmt::Write;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, SystemTime};

use stateward_core::{Backend, Caller, Error, Kind};
use stateward_server::{App, Auth, Options};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind};

use super::interruption::{Interruption, listen_for};
use super::{Context, token};
use crate::config::{Settings, StoreUrl};
use crate::exit::Exit;
use crate::failure::{Failure, Result, plain};
use crate::output;
use crate::store::{self, Missing};

/// How often the tokens file is looked at.
const LOOK: Duration = Duration::from_secs(1);

pub(super) async fn run(context: &Context) -> Result<Exit> {
    let settings = context.settings();
    if context.config.is_from_flag("server") {
        let why = "it is a server itself, over a store of this machine";
        return Err(Failure::usage("`serve` takes no `--server`", why, "give the store with `--store`"));
    }
    refuse_open_door(settings)?;
    let mut interrupts = Interrupts::listen()?;
    let mut interruption = Interruption::new()?;
    let (auth, stamp) = auth(settings)?;
    let backend = store::open_backend(settings, Missing::Make).await?;
    let listener = bind("serve", settings.listen).await?;
    let address = listener.local_addr().map_err(|error| not_bound("serve", settings.listen, &error))?;
    let app = App::new(backend.clone(), auth, Options { grace: settings.drain, ..Options::default() });

    let reload = settings.tokens.clone().map(|path| tokio::spawn(keep_tokens_current(app.clone(), path, stamp)));
    let prune = settings.prune_every.map(|every| tokio::spawn(prune_now_and_then(backend, every)));
    let store = settings.store.clone().anchored(&context.environment.current_dir);
    output::note(&format!("listening on http://{address}\n{}", welcome(settings, &store, address)));
    let served = {
        let served = pin!(stateward_server::serve(listener, app, async move { interruption.comes().await }));
        tokio::select! {
            served = served => served,
            // Whoever presses Ctrl-C again does not want to wait.
            () = interrupts.second() => return Ok(Exit::Failed),
        }
    };
    for task in reload.into_iter().chain(prune) {
        task.abort();
        // Ended by us, or by itself: either way its hold on the store is gone.
        let _ended = task.await;
    }
    served.map_err(|error| Error::new(Kind::Unavailable, "the server stopped", plain(&error), "start it again"))?;
    Ok(Exit::Done)
}

/// Anybody who reaches the server may do everything unless there are tokens: that has to be meant.
fn refuse_open_door(settings: &Settings) -> Result<()> {
    if is_loopback(settings.listen) || settings.tokens.is_some() || settings.insecure_no_auth {
        return Ok(());
    }
    Err(Failure::usage(
        format!("`serve` does not listen on {} without tokens", settings.listen),
        "everybody who reaches this address could read and write every state",
        "make a tokens file (`stateward token new NAME --file tokens.toml`) and give it with `--tokens tokens.toml`; or, where \
         something else keeps strangers out, add `--insecure-no-auth`",
    ))
}

pub(super) fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

fn auth(settings: &Settings) -> Result<(Auth, Option<Stamp>)> {
    let Some(path) = &settings.tokens else {
        return Ok((if settings.insecure_no_auth { Auth::Open } else { Auth::Local }, None));
    };
    // The stamp is taken first: a change in between is then seen at the first look.
    let stamp = Stamp::of(path);
    let tokens = token::read_tokens(path)?;
    if tokens.is_empty() {
        let path = path.display();
        output::note(&format!(
            "warning: `{path}` holds no tokens, so everybody is turned away; `stateward token new NAME --file {path}` adds one, and it is \
             in force a second later\n"
        ));
    }
    Ok((Auth::Tokens(tokens), stamp))
}

pub(super) async fn bind(command: &str, address: SocketAddr) -> Result<TcpListener> {
    Ok(TcpListener::bind(address).await.map_err(|error| not_bound(command, address, &error))?)
}

pub(super) fn not_bound(command: &str, address: SocketAddr, error: &io::Error) -> Error {
    let next = match error.kind() {
        io::ErrorKind::AddrInUse => "stop the program that listens there, or choose another port with `--listen`",
        io::ErrorKind::PermissionDenied => "choose a port from 1024 on with `--listen`",
        _ => "choose an address of this machine with `--listen`",
    };
    Error::new(Kind::Unavailable, format!("`{command}` cannot listen on {address}"), plain(error), next)
}

/// What a newcomer needs next: a block to paste, and what there is to know about tokens.
fn welcome(settings: &Settings, store: &StoreUrl, address: SocketAddr) -> String {
    let mut host = address;
    let mut text = String::from("\n");
    if address.ip().is_unspecified() {
        text += "# 127.0.0.1 stands for the name of this machine:\n";
        host.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let state = format!("http://{host}/state/NAME");
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "\
terraform {{
  backend \"http\" {{
    address        = \"{state}\"
    lock_address   = \"{state}\" # with ?wait=10m it waits its turn in the queue
    unlock_address = \"{state}\"
  }}
}}

"
    );
    let _ = writeln!(text, "# States are kept in {store}");
    if settings.tokens.is_some() {
        text += "# The token goes into the environment: TF_HTTP_USERNAME=anything TF_HTTP_PASSWORD=sw_…\n";
    } else if is_loopback(address) {
        text += "# No tokens: everybody on this machine may read and write every state (see --tokens).\n";
    } else {
        text += "# WARNING: no tokens: everybody who reaches this address may read and write every state.\n";
    }
    text
}

/// What tells one content of a file from another without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    inode: u64,
    size: u64,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        Some(Self { modified: found.modified().ok(), inode: found.ino(), size: found.size() })
    }
}

/// Takes over the tokens file whenever it changes. One that is wrong changes nothing.
async fn keep_tokens_current(app: App, path: PathBuf, mut known: Option<Stamp>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let stamp = Stamp::of(&path);
        if stamp == known {
            continue;
        }
        known = stamp;
        match token::read_tokens(&path) {
            Ok(tokens) => {
                tracing::info!(tokens = tokens.len(), "the tokens file was read again");
                app.set_tokens(tokens);
            }
            Err(error) => {
                tracing::error!(why = error.why, "the tokens file is wrong: the tokens from before stay in force");
            }
        }
    }
}

async fn prune_now_and_then(backend: Backend, every: Duration) {
    let caretaker = Caller::trusted("stateward serve");
    loop {
        tokio::time::sleep(every).await;
        match backend.prune(&caretaker).await {
            Ok(pruned) => tracing::info!(
                versions = pruned.versions,
                blobs = pruned.blobs,
                freed_bytes = pruned.freed_bytes,
                "pruned"
            ),
            Err(error) => tracing::error!(%error, "pruning failed; it is tried again"),
        }
    }
}

/// SIGINT, counted.
struct Interrupts(Signal);

impl Interrupts {
    fn listen() -> Result<Self> {
        Ok(Self(listen_for(SignalKind::interrupt())?))
    }

    async fn second(&mut self) {
        for _ in 0..2 {
            self.0.recv().await;
        }
    }
}
