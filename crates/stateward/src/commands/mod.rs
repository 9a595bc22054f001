//! The commands, one file a group. Each calls the core or a server, and prints what came of it.

mod audit;
mod backup;
mod config;
mod doctor;
mod explain;
mod failover;
mod generate;
mod interruption;
mod kb;
mod lab;
mod lock;
mod migrate;
mod policy;
mod run;
mod serve;
mod setup;
mod state;
mod terraform_state;
mod token;
mod trail;
mod tx;

use std::io::{BufRead, IsTerminal};

use stateward_client::{Connection, Local, Remote, Secret};
use stateward_core::{Caller, Clock};

use crate::cli::{Command, SetupCommand};
use crate::config::{Config, Environment, Settings, Target};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output;
use crate::output::Output;
use crate::output::human::Times;
use crate::output::progress::Progress;
use crate::store::{self, Missing};
use crate::system::SystemClock;
use crate::who;

/// How we name ourselves to a server, and in history.
const TOOL: &str = concat!("stateward/", env!("CARGO_PKG_VERSION"));

/// What every command has at hand.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) config: Config,
    environment: Environment,
    pub(crate) out: Output,
}

impl Context {
    pub(crate) fn new(config: Config, environment: Environment, json: bool) -> Self {
        Self { config, environment, out: Output::new(json) }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.config.settings
    }

    fn who(&self) -> String {
        self.settings().who.clone().unwrap_or_else(|| who::who(&self.environment))
    }

    /// Whoever can open the store may do everything with it.
    fn operator(&self) -> Caller {
        Caller::trusted(self.who()).from(None, Some(TOOL.to_owned()))
    }

    /// The store or server to work on.
    async fn connect(&self, missing: Missing) -> Result<Box<dyn Connection>> {
        // A storage that does not answer is tried for a while.
        let _progress = Progress::work("opening the store");
        self.connect_to(&self.config.target, self.settings().token.as_ref(), missing).await
    }

    /// Any store or server; `token` is for a server whose URL has none.
    async fn connect_to(
        &self,
        target: &Target,
        token: Option<&Secret>,
        missing: Missing,
    ) -> Result<Box<dyn Connection>> {
        Ok(match target {
            Target::Server(server) => Box::new(Remote::new(server.clone(), token, &self.who(), TOOL)?),
            Target::Store(store) => {
                let settings = Settings { store: store.clone(), ..self.settings().clone() };
                Box::new(Local::new(store::open_backend(&settings, missing).await?, self.operator()))
            }
        })
    }

    /// What there is; a store that is not there is not made.
    async fn open(&self) -> Result<Box<dyn Connection>> {
        self.connect(Missing::Refuse).await
    }

    fn times(&self) -> Times {
        if self.out.terminal { Times::Since(SystemClock.now()) } else { Times::Exact }
    }
}

/// Asks on a terminal; elsewhere the flag that answers has to be there.
fn confirm(question: &str, flag: &str) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        let next = format!("if you are sure, say so with `{flag}`");
        let why = format!("this asks first ({question}), and standard input is no terminal");
        return Err(Failure::usage("nothing was done", why, next));
    }
    output::note(&format!("{question} [y/N] "));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(["y", "yes"].iter().any(|yes| answer.trim().eq_ignore_ascii_case(yes)))
}

/// Runs a command.
pub(crate) async fn run(context: &Context, command: &Command) -> Result<Exit> {
    match command {
        Command::Serve(_) => serve::run(context).await,
        Command::Run(args) => run::run(context, args).await,
        Command::State(command) => state::run(context, command).await,
        Command::Lock(command) => lock::run(context, command).await,
        Command::Tx(command) => Box::pin(tx::run(context, command)).await,
        Command::Audit(args) => audit::run(context, args).await,
        Command::Backup(args) => backup::backup(context, &args.file).await,
        Command::RestoreBackup(args) => backup::restore(context, &args.file).await,
        Command::Failover(args) => Box::pin(failover::run(context, args)).await,
        Command::Explain(args) => explain::run(context, args),
        Command::Doctor(args) => Box::pin(doctor::run(context, args)).await,
        Command::Trail(args) => Box::pin(trail::run(context, args)).await,
        Command::Setup(SetupCommand::Aws(args)) => Box::pin(setup::run(context, args)).await,
        Command::Migrate(args) => Box::pin(migrate::run(context, args)).await,
        Command::Kb(command) => kb::run(context, command),
        Command::Lab(args) => Box::pin(lab::run(context, args)).await,
        Command::Token(command) => token::run(context, command),
        Command::Policy(command) => policy::run(context, command),
        Command::Config(crate::cli::ConfigCommand::Show) => config::show(context),
        Command::Completions { shell } => generate::completions(*shell),
        Command::Man { dir } => generate::manual(dir.as_deref()),
    }
}
