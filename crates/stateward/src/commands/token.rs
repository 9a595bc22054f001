//! `stateward token`, and the tokens file.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use stateward_core::access::{Rule, TokenEntry, token_digest};
use stateward_core::{Entropy, Tokens};

use super::Context;
use crate::cli::{RightArg, TokenCommand};
use crate::exit::Exit;
use crate::failure::{Failure, Message, Result, plain};
use crate::output;
use crate::system::SystemEntropy;

/// Tells a secret of ours from others, for people and for scanners of repositories.
const SECRET_PREFIX: &str = "sw_";
const OWNER_ONLY: u32 = 0o600;

/// The tokens file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokensFile {
    #[serde(default)]
    token: Vec<TokenEntry>,
}

/// The answer of `token new --json`.
#[derive(Debug, Serialize)]
struct New<'a> {
    name: &'a str,
    token: &'a str,
    entry: &'a TokenEntry,
}

/// Reads and checks a tokens file.
pub(super) fn read_tokens(path: &Path) -> Result<Tokens, Message> {
    let text = fs::read_to_string(path).map_err(|error| {
        let why = format!("`{}`: {}", path.display(), plain(&error));
        Message::new(
            "the tokens file cannot be read",
            why,
            "check the path; `stateward token new NAME --file FILE` makes one",
        )
    })?;
    parse(path, &text)
}

fn parse(path: &Path, text: &str) -> Result<Tokens, Message> {
    let wrong = |why: String| {
        let next = "put it right; `stateward token new NAME` prints an entry as it has to be";
        Message::new(format!("the tokens file `{}` is wrong", path.display()), why, next)
    };
    let file: TokensFile = toml::from_str(text).map_err(|error: toml::de::Error| {
        let line = error
            .span()
            .map_or(1, |span| 1 + text.as_bytes().iter().take(span.start).filter(|byte| **byte == b'\n').count());
        wrong(format!("line {line}: {}", error.message()))
    })?;
    Tokens::new(file.token).map_err(wrong)
}

pub(super) fn run(context: &Context, command: &TokenCommand) -> Result<Exit> {
    let TokenCommand::New { name, allow, states, file } = command;
    let secret = new_secret();
    let entry = new_entry(name, &secret, allow, states);
    let text = render(&entry)?;
    // Checked as the server will.
    parse(Path::new("(new)"), &text)
        .map_err(|message| Failure::usage("no token was made", message.why, "choose another name or other rules"))?;
    match file {
        Some(path) => append(path, &text)?,
        None => {
            output::note(&format!("# Put this into the tokens file of `stateward serve --tokens FILE`:\n{text}"));
        }
    }
    context.out.answer(&New { name, token: &secret, entry: &entry }, || format!("{secret}\n"))
}

fn new_secret() -> String {
    let mut bytes = [0; 32];
    SystemEntropy.fill(&mut bytes);
    format!("{SECRET_PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

fn new_entry(name: &str, secret: &str, allow: &[RightArg], states: &[String]) -> TokenEntry {
    let rule =
        Rule { allow: allow.iter().copied().map(Into::into).collect(), deny: Vec::new(), states: states.to_vec() };
    TokenEntry { name: name.to_owned(), sha256: token_digest(secret), rules: vec![rule] }
}

fn render(entry: &TokenEntry) -> Result<String> {
    let text = toml::to_string(&TokensFile { token: vec![entry.clone()] });
    Ok(text.map_err(io::Error::other)?)
}

/// Appends an entry so that a server that reads the file meanwhile sees it with the entry or without, but never half.
fn append(path: &Path, entry: &str) -> Result<()> {
    let failed = |error: io::Error| {
        Failure::file("the tokens file was not changed", path, &error, "name a file that can be written")
    };
    let (before, mode) = match fs::read_to_string(path) {
        Ok(text) => (text, fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (String::new(), OWNER_ONLY),
        Err(error) => return Err(failed(error)),
    };
    let gap = if before.is_empty() || before.ends_with("\n\n") { "" } else { "\n" };
    let newline = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
    let after = format!("{before}{newline}{gap}{entry}");
    parse(path, &after)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&beside)?;
        file.write_all(after.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(failed)
}

#[cfg(test)]
mod tests {
    use stateward_testkit::TestDir;

    use super::*;

    #[test]
    fn an_entry_is_appended_to_what_is_there() {
        let dir = TestDir::new();
        let path = dir.write("tokens.toml", "# ours\n[[token]]\nname = 'a'\nsha256 = '0000000000000000000000000000000000000000000000000000000000000000'");
        let entry = |name| render(&new_entry(name, "sw_x", &[RightArg::Read], &["prod/**".into()])).unwrap();
        append(&path, &entry("b")).unwrap();
        let text = dir.read("tokens.toml");
        assert!(
            text.starts_with("# ours\n[[token]]\nname = 'a'") && text.contains("\n\n[[token]]\nname = \"b\"\n"),
            "{text}"
        );
        assert_eq!(read_tokens(&path).unwrap().len(), 2);
        assert_eq!(append(&path, &entry("b")).unwrap_err().message().unwrap().why, "token `b`: the name stands twice");
        assert_eq!(dir.read("tokens.toml"), text);
    }

    #[test]
    fn secrets_differ_and_are_long() {
        let (one, other) = (new_secret(), new_secret());
        assert!(one != other && one.len() == 46 && one.starts_with("sw_"), "{one}");
    }
}
