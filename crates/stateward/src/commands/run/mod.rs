//! `stateward run`.
//!
//! A run: [`place`] finds out which state and whether the tool would come to it, [`detour`] puts our backend in the place of another
//! one, the tool is started with the address of a server of its own, and [`ending`] tells what it did not see.

mod detour;
mod ending;
mod place;
mod session;

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use stateward_client::{Session, Terms};
use stateward_core::{Entropy, Error, Kind, StateId};
use stateward_server::Loopback;
use stateward_terraform::{Addresses, Changes, Child, Invocation, Need, OverrideFile, REMOVED, Signals, Terminal};

use self::detour::Detour;
use self::ending::Errored;
use self::place::Place;
use self::session::RunSession;
use super::Context;
use crate::cli::RunArgs;
use crate::exit::Exit;
use crate::failure::{Failure, Result, plain};
use crate::output;
use crate::output::human;
use crate::store::Missing;
use crate::system::SystemEntropy;

pub(super) async fn run(context: &Context, args: &RunArgs) -> Result<Exit> {
    let mut signals = Signals::listen().map_err(|error| not_started(args, &error))?;
    let invocation = Invocation::of(&args.command);
    let need = invocation.as_ref().map_or(Need::State, Invocation::need);
    if need == Need::Nothing {
        return alone(args, &args.command, &mut signals).await;
    }
    let place = Place::find(&context.environment, args, invocation.as_ref())?;
    sweep(&place)?;
    place.check(args.override_backend, need)?;
    if let (true, Need::Init, Some(invocation)) = (args.override_backend, need, &invocation) {
        // Modules and providers are all that is to be done: the run's backend needs no preparation.
        return alone(args, &invocation.with_option(&args.command, "-backend=false"), &mut signals).await;
    }
    let session = Arc::new(Session::new(context.connect(Missing::Make).await?, terms(args, &place.state), {
        let state = place.state.clone();
        move |event| output::note(&session::told(&state, &event))
    }));
    let exit = with_state(context, args, &place, &session, &mut signals).await;
    ending::close(&session, &place.state).await;
    exit
}

fn terms(args: &RunArgs, state: &StateId) -> Terms {
    Terms { state: state.clone(), wait: args.wait, lease: args.lease }
}

/// Runs a command that has nothing to do with the state.
async fn alone(args: &RunArgs, command: &[std::ffi::OsString], signals: &mut Signals) -> Result<Exit> {
    let child = Child::start(command, &Changes::default(), Terminal::find());
    let ended = child.map_err(|error| not_started(args, &error))?.wait(signals, |_| {}).await;
    Ok(Exit::Command(ended.map_err(|error| not_started(args, &error))?))
}

async fn with_state(
    context: &Context,
    args: &RunArgs,
    place: &Place,
    session: &Arc<Session>,
    signals: &mut Signals,
) -> Result<Exit> {
    let served = Arc::new(RunSession::new(Arc::clone(session), context.who()));
    let limit = context.settings().core.limits.body_bytes;
    let loopback = Loopback::start(served, secret(), limit).await.map_err(|error| not_started(args, &error))?;
    let addresses = Addresses { state: loopback.state_url(), lock: loopback.lock_url() };
    let mut changes =
        Changes { set: environment(context, &addresses), removed: REMOVED.iter().map(Into::into).collect() };
    let detour = match args.override_backend {
        false => None,
        true => {
            let nowhere = Addresses { state: loopback.empty_url(), lock: loopback.lock_url() };
            let detour = tokio::select! {
                detour = Detour::make(place, &args.command[0], &nowhere) => detour?,
                signal = signals.next() => return Ok(Exit::Command(u8::try_from(128 + signal).unwrap_or(1))),
            };
            changes.set.push(("TF_DATA_DIR".into(), detour.data_dir().into()));
            Some(detour)
        }
    };
    let errored = Errored::look(&place.directory);
    let child = Child::start(&args.command, &changes, Terminal::find()).map_err(|error| not_started(args, &error))?;
    let ended = tokio::select! {
        ended = child.wait(signals, |_| session.leave()) => ended,
        () = session.keep_alive() => Ok(1),
    };
    drop((detour, loopback));
    // What was still being stored when the command ended has to be known before it is told of.
    ending::close(session, &place.state).await;
    let code = ended.map_err(|error| not_started(args, &error))?;
    ending::tell(session, place, &errored, code)
}

fn environment(context: &Context, addresses: &Addresses) -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
    let variables = stateward_terraform::variables(addresses, |name| context.environment.get(name).is_some());
    variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// What only this run and its command know.
fn secret() -> String {
    let mut bytes = [0_u8; 16];
    SystemEntropy.fill(&mut bytes);
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Removes what a run has left that was killed.
fn sweep(place: &Place) -> Result<()> {
    let path = place.directory.join(OverrideFile::NAME);
    let swept = OverrideFile::sweep(&place.directory);
    let swept =
        swept.map_err(|error| Failure::file("the command was not started", &path, &error, "remove the file"))?;
    if swept {
        output::note(&format!("removed `{}`, which a run had left that was killed\n", path.display()));
    }
    Ok(())
}

fn not_started(args: &RunArgs, error: &std::io::Error) -> Failure {
    let program = PathBuf::from(&args.command[0]);
    let next = "check the command behind `--`";
    let what = format!("`{}` was not started", human::one_line(&program.display().to_string()));
    Error::new(Kind::Invalid, what, plain(error), next).into()
}
