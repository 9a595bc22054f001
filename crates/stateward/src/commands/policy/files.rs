//! Files of policies.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};

use stateward_denial::Utf8;
use stateward_iam::{Named, Policy, PolicyKind, endpoint_policies};

use crate::failure::{Failure, Result};

/// The details of a large account have some ten megabytes; what is longer is no JSON of AWS.
const LONGEST: u64 = 256 << 20;

/// Reads a file, or standard input for `-`.
pub(super) fn read(path: &Path) -> Result<String> {
    let failed = "a file cannot be read";
    match path == Path::new("-") {
        true => text(path, Ok(io::stdin().lock()), failed),
        false => file(path, failed),
    }
}

/// Reads a file; `failed` says what did not happen, if it cannot be read.
pub(in crate::commands) fn file(path: &Path, failed: &str) -> Result<String> {
    text(path, File::open(path), failed)
}

/// A file's text, in UTF-8 or as PowerShell writes it.
pub(in crate::commands) fn text_of(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    Utf8::new(File::open(path)?).read_to_string(&mut text)?;
    Ok(text)
}

fn text(path: &Path, from: io::Result<impl Read>, failed: &str) -> Result<String> {
    let mut bytes = Vec::new();
    let read = from.and_then(|from| Utf8::new(from).take(LONGEST + 1).read_to_end(&mut bytes));
    read.map_err(|error| Failure::file(failed, path, &error, "check its path, and that you may read it"))?;
    if bytes.len() as u64 > LONGEST {
        return Err(malformed(path, "it is longer than 256 MiB, which nothing of AWS is"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        malformed(path, &format!("byte {at} is no UTF-8: save the file as text in UTF-8"))
    })
}

/// What somebody gave is not what it should be.
pub(super) fn malformed(path: &Path, why: &str) -> Failure {
    Failure::usage(
        format!("`{}` is malformed", path.display()),
        why,
        "put it right; nothing is said about what cannot be read exactly",
    )
}

/// Reads a policy, alone or as AWS's command line prints it.
pub(super) fn policy(path: &Path, kind: PolicyKind) -> Result<Named> {
    parse(path, &read(path)?, kind)
}

pub(super) fn parse(path: &Path, text: &str, kind: PolicyKind) -> Result<Named> {
    match Policy::parse_printed(text, kind) {
        Ok(policy) => Ok(Named { name: path.display().to_string(), policy }),
        Err(error) => Err(malformed(path, &error.to_string())),
    }
}

/// Reads policies; `None` where there are no files.
pub(super) fn optional<P: AsRef<Path>>(paths: &[P], kind: PolicyKind) -> Result<Option<Vec<Named>>> {
    if paths.is_empty() {
        return Ok(None);
    }
    paths.iter().map(|path| policy(path.as_ref(), kind)).collect::<Result<_>>().map(Some)
}

/// Reads the policies of endpoints that requests to these services go through; `None` where there are no files.
pub(in crate::commands) fn endpoints(paths: &[PathBuf], services: &[&str]) -> Result<Option<Vec<Named>>> {
    if paths.is_empty() {
        return Ok(None);
    }
    let read = |path: &PathBuf| Ok((path.display().to_string(), read(path)?));
    let files = paths.iter().map(read).collect::<Result<Vec<_>>>()?;
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    endpoint_policies(&files, services).map(Some).map_err(|error| {
        Failure::usage("it is not known what the VPC endpoint allows", error.to_string(), error.advice())
    })
}

/// Reads a line that may be no longer than 16 MiB; `Ok(None)` at the end of the input.
pub(super) fn line(from: &mut impl BufRead) -> Result<Option<Result<String, String>>> {
    const LONGEST: u64 = 16 << 20;
    let failed = |error: io::Error| {
        Failure::file("standard input cannot be read", Path::new("-"), &error, "check where it comes from")
    };
    let mut bytes = Vec::new();
    if from.by_ref().take(LONGEST).read_until(b'\n', &mut bytes).map_err(failed)? == 0 {
        return Ok(None);
    }
    if bytes.last() != Some(&b'\n') && bytes.len() as u64 == LONGEST {
        from.skip_until(b'\n').map_err(failed)?;
        return Ok(Some(Err("the line is longer than 16 MiB".to_owned())));
    }
    Ok(Some(String::from_utf8(bytes).map_err(|_| "the line is no UTF-8".to_owned())))
}
