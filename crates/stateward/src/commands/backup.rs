//! `stateward backup` and `stateward restore-backup`.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use stateward_core::view::Verified;
use stateward_core::{Backend, Error, Kind};
use stateward_store::StoreError;

use super::Context;
use crate::config::Target;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::human;
use crate::output::progress::Progress;
use crate::store::{self, Missing};
use crate::system::{SystemClock, SystemEntropy};

/// The answer of `backup --json`.
#[derive(Debug, Serialize)]
struct BackedUp {
    file: PathBuf,
    size: u64,
}

/// The answer of `restore-backup --json`.
#[derive(Debug, Serialize)]
struct Restored {
    store: String,
    size: u64,
    states: u64,
    versions: u64,
}

pub(super) async fn backup(context: &Context, file: &Path) -> Result<Exit> {
    let from = own_file(context)?;
    let backend = store::open_backend(context.settings(), Missing::Refuse).await?;
    let _progress = Progress::work("copying the store");
    backend.store().backup(file).await.map_err(|error| not_backed_up(error, file))?;
    let size = size_of(file)?;
    context.out.answer(&BackedUp { file: file.to_path_buf(), size }, || {
        format!("copied {} to {}, {}\n", from.display(), file.display(), human::size(size))
    })
}

/// Backups are made where the store is.
fn own_file(context: &Context) -> Result<&Path> {
    if let Target::Server(server) = &context.config.target {
        let why = format!("a backup is a file beside the store, and {server} is reached over the network");
        let next = "run the command on the server's own machine, with its `--store`; the server may go on meanwhile";
        return Err(Error::new(Kind::Unsupported, "a server's store cannot be backed up from here", why, next).into());
    }
    store::file_of(context.settings())
}

fn not_backed_up(error: StoreError, file: &Path) -> Failure {
    let refusal = |kind, why: String, next: &str| Error::new(kind, "the backup was not made", why, next).into();
    match error {
        StoreError::Unsupported { reason, .. } => refusal(Kind::Invalid, reason, "a backup never replaces a file"),
        StoreError::NotFound { what } => {
            refusal(Kind::NotFound, format!("the directory `{what}` does not exist"), "make it, or choose another")
        }
        StoreError::Denied { denial } => refusal(Kind::Denied, denial, "choose a directory that you may write"),
        StoreError::Full { reason } => refusal(Kind::Full, reason, "make room, or choose another disk"),
        StoreError::Unavailable { reason, .. } => {
            refusal(Kind::Unavailable, format!("{reason} (`{}`)", file.display()), "try again")
        }
        error => Error::from(error).into(),
    }
}

pub(super) async fn restore(context: &Context, file: &Path) -> Result<Exit> {
    let to = own_file(context)?;
    refuse_present(to)?;
    refuse_in_use(file)?;
    let partial = Partial::beside(to)?;
    let size = copy(file, &partial.0).await?;
    let verified = check(&partial.0).await.map_err(|failure| no_backup(file, &partial.0, failure))?;
    if !verified.findings.is_empty() {
        return Err(damaged(file, &verified).into());
    }
    publish(&partial.0, to)?;
    let restored = Restored {
        store: format!("sqlite:{}", to.display()),
        size,
        states: verified.states,
        versions: verified.versions,
    };
    context.out.answer(&restored, || {
        let (states, versions) =
            (human::counted(restored.states, "state"), human::counted(restored.versions, "version"));
        format!("restored {} to {}: {states} with {versions}, all checked\n", file.display(), restored.store)
    })
}

fn refuse_present(to: &Path) -> Result<()> {
    let beside = |suffix: &str| {
        let mut name = to.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let present = [to.to_path_buf(), beside("-wal"), beside("-shm")].into_iter().find(|path| path.exists());
    let Some(present) = present else { return Ok(()) };
    let next = "to replace that store, stop its server and move the file away first, with the files `-wal` and `-shm` beside it";
    Err(Error::new(
        Kind::Conflict,
        "the backup was not restored",
        format!("`{}` exists, and is never overwritten", present.display()),
        next,
    )
    .into())
}

/// A copy of a store that is in use lacks what is still in its log.
fn refuse_in_use(file: &Path) -> Result<()> {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    if fs::metadata(log).is_ok_and(|log| log.len() > 0) {
        let why = format!("`{}` has a log beside it: it is a store in use, not a backup", file.display());
        return Err(Error::new(
            Kind::Invalid,
            "the backup was not restored",
            why,
            "make a backup of it with `stateward backup FILE`",
        )
        .into());
    }
    Ok(())
}

/// The copy under way; it is removed unless it became the store.
struct Partial(PathBuf);

impl Partial {
    fn beside(to: &Path) -> Result<Self> {
        let mut name = OsString::from(".");
        name.push(to.file_name().unwrap_or_default());
        name.push(format!(".restoring-{}", std::process::id()));
        let path = to.with_file_name(name);
        let make = || {
            fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
            // Readable by its owner only: states hold secrets.
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map(drop)
        };
        make().map_err(|error| {
            Failure::file("the backup was not restored", &path, &error, "choose a directory that can be written")
        })?;
        Ok(Self(path))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm"] {
            let mut name = self.0.as_os_str().to_owned();
            name.push(suffix);
            // Mostly there is nothing left to remove.
            drop(fs::remove_file(name));
        }
    }
}

async fn copy(file: &Path, partial: &Path) -> Result<u64> {
    let _progress = Progress::work("copying the backup");
    let (from, to) = (file.to_path_buf(), partial.to_path_buf());
    let copied = tokio::task::spawn_blocking(move || -> io::Result<u64> {
        let mut source = File::open(from)?;
        let mut target = OpenOptions::new().write(true).open(to)?;
        io::copy(&mut source, &mut target)
    });
    let copied = copied.await.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into()));
    copied.map_err(|error| {
        Failure::file(
            "the backup was not restored",
            file,
            &error,
            "check the backup's path, and that the disk has room",
        )
    })
}

/// Opens the copy and reads all that is in it.
async fn check(partial: &Path) -> Result<Verified> {
    let progress = Progress::work("checking the backup");
    let store = Arc::new(store::open_sqlite(partial, None, Missing::Refuse)?);
    let backend =
        Backend::open(store, Arc::new(SystemClock), Arc::new(SystemEntropy), stateward_core::Settings::default())
            .await?;
    let operator = stateward_core::Caller::trusted("restore-backup");
    let verified = backend.verify(&operator, None, |done| {
        progress.say(format!("checking the backup: {}", human::counted(done.states, "state")));
    });
    Ok(verified.await?)
}

/// Speaks of the backup where the copy of it was refused.
fn no_backup(file: &Path, partial: &Path, failure: Failure) -> Failure {
    let Failure::Refused(error) = failure else { return failure };
    let absolute = std::path::absolute(partial).unwrap_or_default().display().to_string();
    let why = error.why().replace(&absolute, &file.display().to_string());
    Error::new(error.kind(), "the backup was not restored", why, "use another backup; nothing was changed").into()
}

fn damaged(file: &Path, verified: &Verified) -> Error {
    let first =
        verified.findings.first().map(|finding| format!("{}: {}", finding.what, finding.why)).unwrap_or_default();
    let why = format!(
        "`{}` is damaged: {}, the first is {first}",
        file.display(),
        human::counted(verified.findings.len() as u64, "finding")
    );
    Error::new(Kind::Corrupt, "the backup was not restored", why, "use an older backup")
}

/// Gives the copy its name, unless that was taken meanwhile, and makes that durable.
fn publish(partial: &Path, to: &Path) -> Result<()> {
    let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let publish = || {
        File::open(partial)?.sync_all()?;
        fs::hard_link(partial, to)?;
        File::open(directory)?.sync_all()
    };
    publish().map_err(|error| {
        Failure::file("the backup was not restored", to, &error, "nothing was changed; move what is there away")
    })
}

fn size_of(file: &Path) -> Result<u64> {
    let size = fs::metadata(file).map(|found| found.len());
    size.map_err(|error| {
        Failure::file("the backup cannot be looked at", file, &error, "check it with `restore-backup`")
    })
}
