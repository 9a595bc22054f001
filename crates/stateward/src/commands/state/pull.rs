//! `stateward state pull`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use futures::TryStreamExt;
use stateward_client::Pulled;
use stateward_core::{StateId, Version};

use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output;
use crate::output::progress::Progress;

pub(super) async fn run(
    context: &Context,
    name: &StateId,
    version: Option<Version>,
    output: Option<&Path>,
) -> Result<Exit> {
    let Pulled { size, mut bytes } = context.open().await?.pull(name, version).await?;
    let progress = Progress::bytes("pulling", size);
    let mut target = output.map(Target::make).transpose()?;
    while let Some(piece) = bytes.try_next().await? {
        match &mut target {
            Some(target) => target.write(&piece)?,
            None => output::bytes(&piece)?,
        }
        progress.add(piece.len());
    }
    if let Some(target) = target {
        target.publish()?;
    }
    Ok(Exit::Done)
}

/// A file that gets its name when it is whole.
struct Target {
    path: PathBuf,
    partial: PathBuf,
    file: File,
    published: bool,
}

impl Target {
    fn make(path: &Path) -> Result<Self> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.partial", std::process::id()));
        let partial = path.with_file_name(name);
        // Readable by its owner only: states hold secrets.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial);
        let file = file.map_err(|error| not_written(path, &error))?;
        Ok(Self { path: path.to_path_buf(), partial, file, published: false })
    }

    fn write(&mut self, piece: &[u8]) -> Result<()> {
        self.file.write_all(piece).map_err(|error| not_written(&self.path, &error))
    }

    fn publish(mut self) -> Result<()> {
        let published = self.file.sync_all().and_then(|()| fs::rename(&self.partial, &self.path));
        published.map_err(|error| not_written(&self.path, &error))?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.published {
            // Half a state is of no use; that it cannot be removed changes nothing.
            drop(fs::remove_file(&self.partial));
        }
    }
}

fn not_written(path: &Path, error: &io::Error) -> Failure {
    Failure::file("the state was not written", path, error, "name a file that can be written, on a disk with room")
}
