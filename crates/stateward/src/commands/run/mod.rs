//! `stateward run`.
//!
//! A run: [`place`] finds out which state and whether the tool would come to it, [`detour`] puts our backend in the place of another
//! one, the tool is started with the address of a server of its own, and [`ending`] tells what it did not see. An `apply` goes [`beside`]
//! others, in a transaction.

mod approval;
mod beside;
mod detour;
mod ending;
mod place;
mod session;

use std::ffi::OsString;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use stateward_client::{Session, Terms};
use stateward_core::{Clock, Entropy, Error, Kind, StateId};
use stateward_server::Loopback;
use stateward_terraform::{
    Addresses, Apply, Changes, Child, Invocation, Need, OverrideFile, REMOVED, Signals, Terminal, Values,
};

use self::detour::Detour;
use self::ending::Errored;
use self::place::Place;
use self::session::RunSession;
use super::Context;
use crate::cli::{LockScope, RunArgs};
use crate::config::Environment;
use crate::exit::Exit;
use crate::failure::{Failure, Result, plain};
use crate::output;
use crate::output::human;
use crate::store::Missing;
use crate::system::{SystemClock, SystemEntropy};

pub(super) async fn run(context: &Context, args: &RunArgs) -> Result<Exit> {
    let mut signals = Signals::listen().map_err(|error| not_started(&args.command, &error))?;
    let invocation = Invocation::of(&args.command);
    let need = invocation.as_ref().map_or(Need::State, Invocation::need);
    if need == Need::Nothing {
        return alone(&args.command, &mut signals).await;
    }
    let place = Place::find(&context.environment, args, invocation.as_ref())?;
    sweep(&place)?;
    place.check(args.override_backend, need)?;
    if let (true, Need::Init, Some(invocation)) = (args.override_backend, need, &invocation) {
        // Modules and providers are all that is to be done: the run's backend needs no preparation.
        return alone(&invocation.with_option(&args.command, "-backend=false"), &mut signals).await;
    }
    let session = Arc::new(Session::new(context.connect(Missing::Make).await?, terms(args, &place.state), {
        let state = place.state.clone();
        move |event| output::note(&session::told(&state, &event, SystemClock.now()))
    }));
    let apply = apply_of(context, args, invocation.as_ref(), &place);
    let exit = with_state(context, args, apply.as_ref(), &place, &session, &mut signals).await;
    ending::close(&session, &place.state).await;
    exit
}

fn terms(args: &RunArgs, state: &StateId) -> Terms {
    Terms { state: state.clone(), wait: args.wait, lease: args.lease }
}

/// Runs a command that has nothing to do with the state.
async fn alone(command: &[OsString], signals: &mut Signals) -> Result<Exit> {
    let child = Child::start(command, &Changes::default(), Terminal::find());
    let ended = child.map_err(|error| not_started(command, &error))?.wait(signals, |_| {}).await;
    Ok(Exit::Command(ended.map_err(|error| not_started(command, &error))?))
}

async fn with_state(
    context: &Context,
    args: &RunArgs,
    apply: Option<&Apply>,
    place: &Place,
    session: &Arc<Session>,
    signals: &mut Signals,
) -> Result<Exit> {
    let served = Arc::new(RunSession::new(Arc::clone(session), context.who()));
    let limit = context.settings().core.limits.body_bytes;
    let loopback =
        Loopback::start(served, secret(), limit).await.map_err(|error| not_started(&args.command, &error))?;
    let addresses = Addresses { state: loopback.state_url(), lock: loopback.lock_url() };
    // An `apply` that plans by itself does not read what is meant for `plan`.
    let of_others = apply.map_or(&[][..], |_| &["TF_CLI_ARGS_plan", "TF_CLI_ARGS_show"]);
    let removed = REMOVED.iter().chain(of_others).map(Into::into).collect();
    let mut changes = Changes { set: environment(context, &addresses), removed };
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
    let mut commands = Commands { session, changes: &changes, signals, terminal: Terminal::find() };
    let run = async {
        match apply {
            Some(apply) => beside::run(&mut commands, args, apply, &place.directory, context.who()).await,
            None => commands.run(&args.command).await,
        }
    };
    let ended = tokio::select! {
        ended = Box::pin(run) => ended,
        () = session.keep_alive() => Ok(1),
    };
    drop((detour, loopback));
    // What was still being stored when the command ended has to be known before it is told of.
    ending::close(session, &place.state).await;
    let code = ended?;
    ending::tell(session, place, &errored, code)
}

/// The `apply` that can go beside others; none where the whole state is wanted.
fn apply_of(context: &Context, args: &RunArgs, invocation: Option<&Invocation<'_>>, place: &Place) -> Option<Apply> {
    if args.lock == LockScope::Whole {
        return None;
    }
    let apply = Apply::of(invocation?, &args.command)?;
    let environment = &context.environment;
    let is_set = |name: &str| environment.get(name).is_some();
    let apply = match ["TF_CLI_ARGS_apply", "TF_CLI_ARGS_destroy"].into_iter().find(|name| is_set(name)) {
        Some(name) => Err(format!("`{name}` is set, which says more of it")),
        None => apply.and_then(|apply| {
            let options = environment.get("TF_CLI_ARGS").map(String::from).unwrap_or_default();
            Apply::shares(&options).map_err(|option| format!("`TF_CLI_ARGS` has {option}"))?;
            with_configuration(apply, place, environment)
        }),
    };
    apply.inspect_err(|why| beside::note_whole(why)).ok()
}

/// The `apply` with what its configuration asks for; an error where that needs the whole state: why.
fn with_configuration(apply: Apply, place: &Place, environment: &Environment) -> Result<Apply, String> {
    const CANNOT: &str = "encrypted states cannot be merged";
    if environment.get("TF_ENCRYPTION").is_some() {
        return Err(format!("`TF_ENCRYPTION` is set, and {CANNOT}"));
    }
    let Some(configuration) = place.configuration() else { return Ok(apply) };
    if let Some(block) = &configuration.encryption {
        return Err(format!("{block} declares `encryption`, and {CANNOT}"));
    }
    let ephemeral = &configuration.ephemeral;
    if ephemeral.is_empty() || apply.plan.is_some() {
        return Ok(apply.repeat(ephemeral));
    }
    match Values::find(&apply, &place.directory).missing(ephemeral, |name| environment.get(name).is_some()) {
        Some(name) => Err(format!("the ephemeral variable `{name}` has no value, and would be asked for once only")),
        None => Ok(apply.repeat(ephemeral)),
    }
}

/// Runs commands in the environment of the run, one after the other.
struct Commands<'a> {
    session: &'a Session,
    changes: &'a Changes,
    signals: &'a mut Signals,
    terminal: Terminal,
}

impl Commands<'_> {
    /// Runs a command to its end. Gives its exit code.
    async fn run(&mut self, command: &[OsString]) -> Result<u8> {
        let child = Child::start(command, self.changes, self.terminal).map_err(|error| not_started(command, &error))?;
        let ended = child.wait(self.signals, |_| self.session.leave()).await;
        ended.map_err(|error| not_started(command, &error))
    }

    /// The exit code of who was asked to end.
    async fn asked_to_end(&mut self) -> u8 {
        let signal = self.signals.next().await;
        self.session.leave();
        u8::try_from(128 + signal).unwrap_or(1)
    }
}

fn environment(context: &Context, addresses: &Addresses) -> Vec<(OsString, OsString)> {
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

fn not_started(command: &[OsString], error: &std::io::Error) -> Failure {
    let program = PathBuf::from(command.first().cloned().unwrap_or_default());
    let next = "check the command behind `--`";
    let what = format!("`{}` was not started", human::one_line(&program.display().to_string()));
    Error::new(Kind::Invalid, what, plain(error), next).into()
}
