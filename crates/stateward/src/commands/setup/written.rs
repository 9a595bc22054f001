//! The environments as they are, for `policy check --isolation`.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::{Access, access};
use stateward_aws::Services;
use stateward_aws::setup::{self, Found, IsolationFile, KeysInUse, Wanted};

use super::refused;
use crate::failure::{Failure, Result};
use crate::output;

pub(super) const FAILED: &str = "all is there, and the policies were not written";

/// That the directory can be written, before anything is made on AWS. Nothing is written yet.
pub(super) fn check(dir: &Path) -> Result<()> {
    let next = "name a directory that can be written";
    let failed = |path: &Path, error: io::Error| Failure::file("nothing was done", path, &error, next);
    let there = dir.ancestors().find(|path| path.as_os_str().is_empty() || path.exists()).unwrap_or(dir);
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    if !there.is_dir() {
        return Err(failed(there, io::ErrorKind::NotADirectory.into()));
    }
    access(there, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| failed(there, error.into()))
}

pub(super) async fn write(services: &Services, wanted: &Wanted, found: &Found, dir: &Path) -> Result<()> {
    let keys = KeysInUse::of(wanted, found);
    let (key_policies, unread) =
        setup::key_policies(services, &keys).await.map_err(|failed| refused(FAILED, &failed))?;
    let files = setup::isolation_files(wanted, found, &key_policies);
    let next = "check the directory, and run it again: of what is there nothing is done twice";
    fs::create_dir_all(dir).map_err(|error| Failure::file(FAILED, dir, &error, next))?;
    for IsolationFile { name, text } in &files {
        let path = dir.join(name);
        fs::write(&path, text).map_err(|error| Failure::file(FAILED, &path, &error, next))?;
    }
    let names: Vec<&str> =
        files.iter().map(|file| file.name.as_str()).filter(|name| name.rsplit('.').next() == Some("toml")).collect();
    let of_keys = match unread {
        0 => "",
        _ => " The key's policy may not be read (kms:GetKeyPolicy): whom it lets in is not in there.",
    };
    let dir = dir.display();
    output::note(&format!("Written to {dir}: {} and the policies that they name.{of_keys}\n", names.join(", ")));
    Ok(())
}
