//! The command line. Parsing does no I/O.

mod doctor;
mod explain;
mod knowledge;
mod lab;
mod migrate;
mod policy;
mod recovery;
mod setup;
mod trail;
mod transfer;

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use stateward_core::{NameError, Right, StateId, Version, Workspace};

use crate::config::{self, Flags};

pub(crate) use doctor::DoctorArgs;
pub(crate) use explain::ExplainArgs;
pub(crate) use knowledge::{Format, KbCommand};
pub(crate) use lab::LabArgs;
pub(crate) use migrate::{MigrateArgs, MigrateTo};
pub(crate) use policy::{CheckArgs, EvaluateArgs, GenerateArgs, KeepingArgs, LayoutArg, LintArgs, PolicyCommand};
pub(crate) use recovery::{InspectArgs, RepairArgs, TerraformStateArgs};
pub(crate) use setup::{Emit, Engine, SetupAwsArgs, SetupCommand};
pub(crate) use trail::{Moment, TrailArgs};
pub(crate) use transfer::{CopyArgs, Ends, ExportArgs, ImportArgs, Selection};

/// What `--yes` means in every command that has it.
const YES: &str = "Do not ask: the answer is yes. What is refused without it is refused all the same";

/// A database for Terraform and OpenTofu state.
///
/// Serves Terraform's `http` backend, keeps every version of every state, and shows, compares and restores them.
#[derive(Debug, Parser)]
#[command(
    name = "stateward",
    version,
    propagate_version = false,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(after_help = "\
Exit codes: 0 done, 1 failed (the message says why), 2 usage, 3 conflict or locked, 4 denied, 5 corrupt, 70 a bug.
Settings can also stand in `STATEWARD_…` variables and in `stateward.toml`: see `stateward config show`.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The store to work on: `sqlite:PATH`, `s3://BUCKET/PREFIX`, `dynamodb://TABLE` or `memory:`.
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Make the tables of a `dynamodb:` store that are not there.
    #[arg(long, global = true)]
    pub(crate) create_tables: bool,
    /// The server to work on: `http(s)://HOST:PORT`; its token comes from `STATEWARD_TOKEN`.
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// Answer with one JSON document on standard output.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Who history and audit name, in place of `user@host`.
    #[arg(long, global = true, value_name = "WHO")]
    pub(crate) who: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve Terraform's http backend and API v1.
    Serve(ServeArgs),
    /// Run Terraform, OpenTofu, or a command that calls them, with its state here.
    Run(RunArgs),
    /// Look at states, and change them.
    #[command(subcommand)]
    State(StateCommand),
    /// Look at locks, and break them.
    #[command(subcommand)]
    Lock(LockCommand),
    /// Look at transactions: runs that hold single resources, side by side with others.
    #[command(subcommand)]
    Tx(TxCommand),
    /// Show the audit log: every change, lock, force-unlock and refusal, newest first.
    Audit(AuditArgs),
    /// Write a consistent copy of the whole store to a new file, also while a server uses it.
    Backup(BackupArgs),
    /// Check a backup and make it the store; refused where there is a store already.
    RestoreBackup(BackupArgs),
    /// Move the home of a `dynamodb:` store to another Region: writes go there from then on.
    Failover(FailoverArgs),
    /// Say what an error text means: what was refused, by which policy, what to do about it and what not.
    ///
    /// It takes the output of Terraform and OpenTofu, errors of the AWS command line and SDKs, records of CloudTrail and logs of CI,
    /// wrapped, coloured or cut, of any length. Nothing is asked of AWS.
    #[command(after_help = "Exit codes: 0 something is recognised, 1 nothing is.")]
    Explain(ExplainArgs),
    /// Look whether state can be kept on AWS, here and by this user, and what is in the way.
    ///
    /// Looks at the `backend "s3"` of a configuration (`--dir`), at a bucket (`--bucket`, `--key`) or at a store (`--store`): credentials, Region,
    /// clock, bucket, lock table, digest, locks, whether two clients can hold one lock, and each right that is needed. What it writes to try
    /// things out has names of its own and is removed.
    #[command(
        after_help = "Exit codes: 0 nothing fails, 1 something does, 2 it is not known where the state is, 4 a right that is needed is refused."
    )]
    Doctor(DoctorArgs),
    /// List the calls that AWS refused, from CloudTrail: who, what, by which policy, from where, how often.
    ///
    /// Sources are log files and directories of them, plain or compressed, what `aws cloudtrail lookup-events` prints, a trail's bucket
    /// (`s3://BUCKET/PREFIX`), standard input (`-`), or with `--lookup` what CloudTrail itself keeps.
    #[command(
        after_help = "Exit codes: 0 all was read, whatever it tells; 1 something could not be read; 4 AWS refused to have it read."
    )]
    Trail(TrailArgs),
    /// Make what state needs on AWS, or bring what is there up to it.
    #[command(subcommand)]
    Setup(SetupCommand),
    /// Take a configuration's state to another backend, or from one lock to another, with checks before and after.
    ///
    /// Reads the backend block, shows a plan, asks, copies what is not there yet, compares every byte, and writes the block. What
    /// was cut off goes on when the same command is run again. Nothing is deleted where the state was.
    #[command(
        after_help = "Exit codes: 0 done, or nothing to do; 1 it failed; 2 the block or the command line is wrong; 3 locked, or something else is there; 4 AWS refused."
    )]
    Migrate(MigrateArgs),
    /// Look up what is known of errors of Terraform state on AWS; needs no store.
    #[command(subcommand)]
    Kb(KbCommand),
    /// Try policies without an account: AWS's access control on this machine, in front of a server such as moto.
    ///
    /// It checks signatures, knows users, roles and sessions, asks every layer of policies, refuses in AWS's own words, and passes
    /// on what is allowed. `GET /lab/decisions` tells what was decided, and by which statements.
    Lab(LabArgs),
    /// Make tokens.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Make, check and explain AWS policies for state, without asking AWS.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a script that completes commands in a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write the pages of all commands.
    Man {
        /// The directory to write them to.
        dir: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The address to listen on; port 0 takes a free one [default: 127.0.0.1:7017].
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) listen: Option<String>,
    /// The tokens file: who may do what. It is read again whenever it changes.
    #[arg(long, value_name = "FILE")]
    pub(crate) tokens: Option<PathBuf>,
    /// Listen on any address, and for any host, without tokens: whoever reaches it may read and write every state.
    #[arg(long)]
    pub(crate) insecure_no_auth: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The state, `NAME` or `NAME@WORKSPACE`; unless told, what the configuration's own backend calls it.
    #[arg(long, value_name = "NAME")]
    pub(crate) state: Option<String>,
    /// The workspace; unless told, the one that is selected in the directory, or `default`.
    #[arg(long, value_name = "WORKSPACE")]
    pub(crate) workspace: Option<Workspace>,
    /// How long to wait while somebody else holds the state; `0s` not at all.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = config::duration)]
    pub(crate) wait: Duration,
    /// How long the lock stays when this run gives no sign of life, from `1s` to `1h`.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = lease)]
    pub(crate) lease: Duration,
    /// What `apply` and `destroy` hold: the resources that their plan reads and writes, or the whole state.
    #[arg(long, value_name = "SCOPE", default_value = "resources")]
    pub(crate) lock: LockScope,
    /// For the time of the run, use this store in place of whatever backend the configuration declares.
    #[arg(long = "override")]
    pub(crate) override_backend: bool,
    /// The command and its arguments, behind `--`.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// What a run holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LockScope {
    /// What its plan reads and writes; others go on beside it.
    Resources,
    /// The whole state.
    Whole,
}

#[derive(Debug, Args)]
pub(crate) struct FailoverArgs {
    /// The Region that becomes home; the table needs a replica there.
    #[arg(long, value_name = "REGION", required_unless_present = "left_behind")]
    pub(crate) to: Option<String>,
    /// The old home is out of reach: what it has not passed on yet stays behind. Stop those who still reach it first.
    #[arg(long, requires = "to")]
    pub(crate) force: bool,
    /// Only list what a forced move left behind at the old home, as far as it came over since.
    #[arg(long, conflicts_with = "to")]
    pub(crate) left_behind: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StateCommand {
    /// List states.
    List {
        /// Only those whose names start with this.
        #[arg(default_value = "", hide_default_value = true)]
        prefix: String,
        /// Deleted ones too.
        #[arg(long)]
        deleted: bool,
        /// At most so many.
        #[arg(long, value_name = "N", value_parser = count)]
        limit: Option<NonZeroUsize>,
        /// Go on where the list before ended: its `next`.
        #[arg(long, value_name = "PLACE")]
        after: Option<String>,
    },
    /// Show one state in short: size, serial, versions, locks.
    Show {
        #[arg(value_parser = state_id)]
        name: StateId,
    },
    /// Write a state's exact bytes to standard output.
    Pull {
        #[arg(value_parser = state_id)]
        name: StateId,
        /// An older version, such as `v3`.
        #[arg(long, short = 'V', value_parser = version)]
        version: Option<Version>,
        /// Write to this file instead; readable by its owner only.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Store a state file. Refused while somebody holds the state, or where its serial is not higher.
    Push {
        #[arg(value_parser = state_id)]
        name: StateId,
        /// The file; `-` for standard input.
        file: PathBuf,
        /// Store it all the same: under the next serial where its own is not higher, and also with another lineage. History stays.
        #[arg(long)]
        force: bool,
    },
    /// List a state's versions, newest first.
    History {
        #[arg(value_parser = state_id)]
        name: StateId,
        /// At most so many.
        #[arg(long, value_name = "N", value_parser = count)]
        limit: Option<NonZeroUsize>,
        /// Only versions before this one.
        #[arg(long, value_name = "VERSION", value_parser = version)]
        before: Option<Version>,
    },
    /// Compare versions: A with the current one, A with B, or the current one with the one before.
    Diff {
        #[arg(value_parser = state_id)]
        name: StateId,
        /// The version before.
        #[arg(value_parser = version)]
        a: Option<Version>,
        /// The version after.
        #[arg(value_parser = version)]
        b: Option<Version>,
    },
    /// Make an old version the current one again, under the next serial.
    Restore {
        #[arg(value_parser = state_id)]
        name: StateId,
        #[arg(value_parser = version)]
        version: Version,
        /// Bring back only this instance, resource, module or output; may be given several times.
        #[arg(long, value_name = "ADDRESS")]
        only: Vec<String>,
    },
    /// Show when an instance, resource, module or output came, changed and went.
    Timeline {
        #[arg(value_parser = state_id)]
        name: StateId,
        /// Its address, as `terraform state list` writes it.
        address: String,
    },
    /// Copy states with all their versions, within a store or to another.
    ///
    /// Every version keeps its serial, lineage, time and author, and is read back and compared. What is there already is not sent
    /// again: a copy that was cut off goes on when the same command is run again.
    Copy(CopyArgs),
    /// Move states with all their versions: copied, compared, and only then deleted where they were.
    ///
    /// Each is locked while it moves. Where it was it can be undeleted.
    Move(CopyArgs),
    /// Take in a state from a file, a directory of Terraform, an http backend, or an export.
    ///
    /// Serial and lineage stay, so that the next plan shows no changes and saved plans stay valid.
    Import(ImportArgs),
    /// Write a state to plain files, its current version or all of them.
    ///
    /// The bytes are exactly those that Terraform wrote. `state import` takes the directory back in, with the whole history.
    Export(ExportArgs),
    /// Delete a state. Its history stays, and `undelete` brings it back.
    Delete {
        #[arg(value_parser = state_id)]
        name: StateId,
        #[arg(long, short, help = YES)]
        yes: bool,
    },
    /// Bring a deleted state back as it was.
    Undelete {
        #[arg(value_parser = state_id)]
        name: StateId,
    },
    /// Check every blob, record and hash chain; exit code 5 where anything is wrong.
    Verify {
        /// Only this state.
        #[arg(value_parser = state_id)]
        name: Option<StateId>,
    },
    /// Apply the retention rule, and remove what nobody refers to any more.
    Prune,
    /// Put a state of Terraform's own `s3` backend right that contradicts its digest, or bring an old version of it back.
    ///
    /// Looks at the object, its versions in the bucket and the digest in the lock table, and says which side is right and why; where that
    /// cannot be known, it asks. Works under Terraform's own lock, and on nothing but what it looked at. Needs no store.
    #[command(
        after_help = "Exit codes: 0 all is right, 1 you have to choose, 3 locked or changed meanwhile, 4 denied."
    )]
    Repair(RepairArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum LockCommand {
    /// List the locks that are held.
    List,
    /// Show the locks of one state in full.
    Show {
        #[arg(value_parser = state_id)]
        name: StateId,
    },
    /// Break a lock: the one named, or with `--force` whatever is held.
    Release {
        #[arg(value_parser = state_id)]
        name: StateId,
        /// The lock's ID.
        #[arg(long, conflicts_with = "force")]
        id: Option<String>,
        /// Whatever is held.
        #[arg(long)]
        force: bool,
    },
    /// Look at the locks of a state of Terraform's own `s3` backend: who took them, and whether that run is gone.
    ///
    /// Looks at the lock file and at the item in the lock table. With `--release` they are removed, and only if they still are those that were
    /// looked at. Needs no store.
    #[command(after_help = "Exit codes: 0 done, 1 not asked for or not there, 3 the holder may be alive, 4 denied.")]
    Inspect(InspectArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum TxCommand {
    /// List the transactions that are open or wait.
    List {
        /// Only those of this state.
        #[arg(value_parser = state_id)]
        name: Option<StateId>,
        /// Those that ended in the last seven days, too.
        #[arg(long)]
        all: bool,
    },
    /// Show one in full: what it holds, whom it waits for, how it ended.
    Show {
        #[arg(value_parser = state_id)]
        name: StateId,
        /// Its ID, or the beginning of it.
        id: String,
    },
    /// Give one up: what it holds is free, what it has written stays, and what its run still writes is refused.
    Abort {
        #[arg(value_parser = state_id)]
        name: StateId,
        /// Its ID, or the beginning of it.
        id: String,
        #[arg(long, short, help = YES)]
        yes: bool,
    },
    /// Bring in the state that a run could not store any more, such as its `errored.tfstate`.
    Recover {
        #[arg(value_parser = state_id)]
        name: StateId,
        /// The file with that state; `-` reads standard input.
        file: PathBuf,
        /// The transaction that it was written in: its ID, or the beginning of it.
        #[arg(long, value_name = "ID")]
        tx: String,
        /// Write over what others have changed since of what the transaction held.
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// Only what concerns this state.
    #[arg(long, value_name = "NAME", value_parser = state_id)]
    pub(crate) state: Option<StateId>,
    /// At most so many.
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) limit: Option<NonZeroUsize>,
}

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// The backup's file.
    pub(crate) file: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token: its secret goes to standard output, once; its entry for the tokens file to standard error.
    New {
        /// What history and audit call its holder.
        name: String,
        /// What it may do.
        #[arg(long, value_name = "RIGHT,…", value_delimiter = ',', default_value = "read,write,lock")]
        allow: Vec<RightArg>,
        /// The states on which it may: globs, where `*` stays within a segment and `**` does not.
        #[arg(long, value_name = "GLOB,…", value_delimiter = ',', default_value = "**")]
        states: Vec<String>,
        /// Append the entry to this tokens file instead of printing it.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// List all settings with their values, and where each value comes from.
    Show,
}

/// [`Right`] as an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum RightArg {
    Outputs,
    Read,
    Write,
    Lock,
    ForceUnlock,
    Delete,
    Admin,
}

impl From<RightArg> for Right {
    fn from(right: RightArg) -> Self {
        match right {
            RightArg::Outputs => Self::Outputs,
            RightArg::Read => Self::Read,
            RightArg::Write => Self::Write,
            RightArg::Lock => Self::Lock,
            RightArg::ForceUnlock => Self::ForceUnlock,
            RightArg::Delete => Self::Delete,
            RightArg::Admin => Self::Admin,
        }
    }
}

impl Cli {
    /// The flags that are settings.
    pub(crate) fn flags(&self) -> Flags {
        let mut flags = Flags::new();
        let mut set = |key, text: Option<String>| text.map(|text| flags.insert(key, text));
        set("store", self.global.store.clone());
        set("create_tables", self.global.create_tables.then(|| true.to_string()));
        set("server", self.global.server.clone());
        set("who", self.global.who.clone());
        if let Command::Serve(serve) = &self.command {
            set("listen", serve.listen.clone());
            set("tokens", serve.tokens.as_ref().map(|path| path.display().to_string()));
            set("insecure_no_auth", serve.insecure_no_auth.then(|| true.to_string()));
        }
        flags
    }
}

fn state_id(text: &str) -> Result<StateId, String> {
    text.parse().map_err(|error: NameError| format!("{error}; {}", NameError::SHAPE))
}

fn lease(text: &str) -> Result<Duration, String> {
    let lease = config::duration(text)?;
    let bounds = Duration::from_secs(1)..=Duration::from_hours(1);
    if bounds.contains(&lease) { Ok(lease) } else { Err("is not from 1s to 1h".to_owned()) }
}

fn count(text: &str) -> Result<NonZeroUsize, &'static str> {
    text.parse().map_err(|_| "is no whole number from 1 on")
}

fn version(text: &str) -> Result<Version, &'static str> {
    text.parse()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn yes_means_the_same_in_every_command() {
        fn all(command: &clap::Command) -> Vec<(String, Option<char>, String)> {
            let own = command.get_arguments().filter(|argument| argument.get_id() == "yes").map(|argument| {
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                (command.get_name().to_owned(), argument.get_short(), help)
            });
            own.chain(command.get_subcommands().flat_map(all)).collect()
        }
        let found = all(&Cli::command());
        assert!(found.len() >= 6, "{found:?}");
        for (command, short, help) in found {
            assert_eq!((short, help.as_str()), (Some('y'), YES), "{command}");
        }
    }

    #[test]
    fn global_flags_stand_anywhere() {
        for line in ["stateward --json --store memory: state list", "stateward state --store memory: list --json"] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert!(cli.global.json && cli.flags()["store"] == "memory:", "{line}");
        }
    }
}
