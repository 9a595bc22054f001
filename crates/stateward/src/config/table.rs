//! The table of all settings. Reading files, the names of variables, `config show` and the reference are made from it.

use std::path::{Path, PathBuf};

use stateward_client::{Secret, ServerUrl, ServerUrlError};
use stateward_core::{ForceUnlock, PlanLocks};

use super::settings::{LogFormat, Settings};
use super::store_url::{self, StoreUrl};
use super::value;

/// One setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its name in `stateward.toml`, dots standing for tables.
    pub(crate) key: &'static str,
    /// The flag that sets it.
    pub(crate) flag: Option<&'static str>,
    /// What its values look like.
    pub(crate) kind: Kind,
    /// The value without any other; nothing where there is none.
    pub(crate) default: Fallback,
    /// What it does.
    pub(crate) help: &'static str,
    /// Takes over a value, or says what is wrong with it.
    pub(crate) apply: fn(&mut Settings, &str) -> Result<(), String>,
}

/// What a setting is when nobody sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fallback {
    /// Nothing.
    Unset,
    /// This.
    Text(&'static str),
    /// The store in the user's data directory.
    UserStore,
}

/// What the values of a setting look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// Never shown, and never read from a file.
    Secret,
    /// The path of a file.
    Path,
    /// A store's URL.
    Store,
    /// A server's URL.
    Server,
    /// `true` or `false`.
    Switch,
    /// A number from 1 on.
    Count,
    /// A length of time.
    Duration,
    /// A size.
    Bytes,
    /// One of these.
    Choice(&'static [&'static str]),
}

impl Kind {
    /// How the reference and messages describe it.
    pub(crate) fn describe(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Secret => "text, from the environment only".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Store => "a store's URL".to_owned(),
            Self::Server => "a server's URL".to_owned(),
            Self::Switch => "`true` or `false`".to_owned(),
            Self::Count => "a number from 1 on".to_owned(),
            Self::Duration => "a length of time, such as `90s` or `1h30m`".to_owned(),
            Self::Bytes => "a size, such as `512MiB`, or a number of bytes".to_owned(),
            Self::Choice(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or "),
        }
    }

    /// A value as it may be shown.
    pub(crate) fn shown(self, text: &str) -> String {
        match self {
            Self::Secret => "(set)".to_owned(),
            Self::Server => {
                text.parse::<ServerUrl>().map_or_else(|_| "(not a URL)".to_owned(), |server| server.to_string())
            }
            Self::Store => store_url::shown(text),
            _ => text.to_owned(),
        }
    }

    /// A value from a file, where relative paths are meant from the file's directory.
    pub(crate) fn anchored(self, text: &str, directory: &Path) -> String {
        match self {
            Self::Path => directory.join(text).components().collect::<PathBuf>().display().to_string(),
            Self::Store => text.parse::<StoreUrl>().map_or_else(
                |_| text.to_owned(),
                |store| match store {
                    StoreUrl::Sqlite(_) => store.anchored(directory).to_string(),
                    _ => text.to_owned(),
                },
            ),
            _ => text.to_owned(),
        }
    }
}

impl Setting {
    /// The variable that sets it.
    pub(crate) fn variable(&self) -> String {
        format!("STATEWARD_{}", self.key.to_ascii_uppercase().replace('.', "_"))
    }

    /// The setting of that name.
    pub(crate) fn named(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }
}

/// All of them, in the order in which they are shown.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        key: "store",
        flag: Some("--store"),
        kind: Kind::Store,
        default: Fallback::UserStore,
        help: "Where states are kept: `sqlite:PATH`, `s3://BUCKET/PREFIX?…`, `dynamodb://TABLE?…` (each has a page of its own for what may \
               follow the `?`), or `memory:` for a store that ends with the process. In a file, a relative path is meant from the file's \
               directory. Without it: `stateward/stateward.db` in `$XDG_DATA_HOME` or `~/.local/share`; where neither variable names a \
               directory, a store has to be named.",
        apply: |settings, text| put(&mut settings.store, text.parse()),
    },
    Setting {
        key: "create_tables",
        flag: Some("--create-tables"),
        kind: Kind::Switch,
        default: Fallback::Text("false"),
        help: "Make the tables of a `dynamodb:` store that are not there: billed on demand, with the keys and the TTL that it needs.",
        apply: |settings, text| put(&mut settings.create_tables, value::switch(text)),
    },
    Setting {
        key: "server",
        flag: Some("--server"),
        kind: Kind::Server,
        default: Fallback::Unset,
        help: "The server that commands speak to instead of opening a store themselves: `http(s)://[TOKEN@]HOST[:PORT]`. Between `store` \
               and `server`, whichever stands in the stronger place counts; in one and the same place, `server`.",
        apply: |settings, text| {
            let server = text.parse().map_err(|error: ServerUrlError| format!("is no server: {error}"));
            put(&mut settings.server, server.map(Some))
        },
    },
    Setting {
        key: "token",
        flag: None,
        kind: Kind::Secret,
        default: Fallback::Unset,
        help: "The token to show to the server, as `stateward token new` printed it. One in the server's URL goes first.",
        apply: |settings, text| put(&mut settings.token, Ok(Some(Secret::new(text.trim())))),
    },
    Setting {
        key: "from_token",
        flag: None,
        kind: Kind::Secret,
        default: Fallback::Unset,
        help: "`state copy` and `state move`: the token to show to the server of `--from-server`. One in its URL goes first.",
        apply: |settings, text| put(&mut settings.from_token, Ok(Some(Secret::new(text.trim())))),
    },
    Setting {
        key: "to_token",
        flag: None,
        kind: Kind::Secret,
        default: Fallback::Unset,
        help: "`state copy` and `state move`: the token to show to the server of `--to-server`. One in its URL goes first.",
        apply: |settings, text| put(&mut settings.to_token, Ok(Some(Secret::new(text.trim())))),
    },
    Setting {
        key: "who",
        flag: Some("--who"),
        kind: Kind::Text,
        default: Fallback::Unset,
        help: "Who history and audit name for what is done to a store on this machine. Without it: `user@host`, or in CI who started the \
               run, and the run. A server without a lock to go by names the token instead.",
        apply: |settings, text| put(&mut settings.who, Ok(Some(text.to_owned()))),
    },
    Setting {
        key: "listen",
        flag: Some("--listen"),
        kind: Kind::Text,
        default: Fallback::Text("127.0.0.1:7017"),
        help: "`serve`: the address to listen on, `IP:PORT`; port 0 takes a free one. Any but a loopback address needs `tokens` or \
               `insecure_no_auth`.",
        apply: |settings, text| put(&mut settings.listen, listen(text)),
    },
    Setting {
        key: "tokens",
        flag: Some("--tokens"),
        kind: Kind::Path,
        default: Fallback::Unset,
        help: "`serve`: the tokens file: who may do what. It is read again whenever it changes. In a file, a relative path is meant from \
               the file's directory.",
        apply: |settings, text| put(&mut settings.tokens, Ok(Some(text.into()))),
    },
    Setting {
        key: "insecure_no_auth",
        flag: Some("--insecure-no-auth"),
        kind: Kind::Switch,
        default: Fallback::Text("false"),
        help: "`serve`: listen on any address, and for any host, without tokens: whoever reaches it may read and write every state.",
        apply: |settings, text| put(&mut settings.insecure_no_auth, value::switch(text)),
    },
    Setting {
        key: "lock.wait",
        flag: None,
        kind: Kind::Duration,
        default: Fallback::Text("0s"),
        help: "How long a LOCK without `?wait=` waits in the queue. With `0s` it is refused at once, and Terraform polls by itself.",
        apply: |settings, text| put(&mut settings.core.lock_wait, value::duration(text)),
    },
    Setting {
        key: "lock.force_unlock",
        flag: None,
        kind: Kind::Choice(&["allow", "refuse"]),
        default: Fallback::Text("allow"),
        help: "Whether Terraform's `force-unlock`, which does not say which lock it means, breaks the lock there is. Each use is audited.",
        apply: |settings, text| {
            let choices = [("allow", ForceUnlock::Allowed), ("refuse", ForceUnlock::Refused)];
            put(&mut settings.core.force_unlock, choice(text, &choices))
        },
    },
    Setting {
        key: "lock.plan",
        flag: None,
        kind: Kind::Choice(&["shared", "exclusive"]),
        default: Fallback::Text("shared"),
        help: "What a lock taken for a plan is: `shared` never waits and cannot write; `exclusive` is like any other.",
        apply: |settings, text| {
            let choices = [("shared", PlanLocks::Shared), ("exclusive", PlanLocks::Exclusive)];
            put(&mut settings.core.plan_locks, choice(text, &choices))
        },
    },
    Setting {
        key: "allow_force_push",
        flag: None,
        kind: Kind::Switch,
        default: Fallback::Text("false"),
        help: "Accept from Terraform a state with a lower serial or another lineage (`terraform state push -force`). History stays.",
        apply: |settings, text| put(&mut settings.core.allow_force_push, value::switch(text)),
    },
    Setting {
        key: "retention.keep_versions",
        flag: None,
        kind: Kind::Count,
        default: Fallback::Unset,
        help: "Keep the content of a state's newest so many versions. With neither this nor `keep_days`, everything is kept; with both, a \
               version stays if either keeps it.",
        apply: |settings, text| put(&mut settings.core.retention.keep_versions, value::count(text).map(Some)),
    },
    Setting {
        key: "retention.keep_days",
        flag: None,
        kind: Kind::Count,
        default: Fallback::Unset,
        help: "Keep the content of versions younger than this many days.",
        apply: |settings, text| put(&mut settings.core.retention.keep_days, value::count(text).map(Some)),
    },
    Setting {
        key: "retention.fold_snapshots",
        flag: None,
        kind: Kind::Switch,
        default: Fallback::Text("false"),
        help: "Of the snapshots that one run wrote under one lock, keep the content of the last only.",
        apply: |settings, text| put(&mut settings.core.retention.fold_snapshots, value::switch(text)),
    },
    Setting {
        key: "limits.body_bytes",
        flag: None,
        kind: Kind::Bytes,
        default: Fallback::Text("1GiB"),
        help: "The largest state that is accepted.",
        apply: |settings, text| put(&mut settings.core.limits.body_bytes, value::bytes(text)),
    },
    Setting {
        key: "limits.queue",
        flag: None,
        kind: Kind::Count,
        default: Fallback::Text("256"),
        help: "How many clients may wait for the lock of one state.",
        apply: |settings, text| {
            let count = usize::try_from(value::count(text)?);
            put(&mut settings.core.limits.queue, count.map_err(|_| "is too large".to_owned()))
        },
    },
    Setting {
        key: "serve.prune_every",
        flag: None,
        kind: Kind::Duration,
        default: Fallback::Text("1h"),
        help: "`serve`: how often retention is applied and unused space is given back; `0s` for never.",
        apply: |settings, text| {
            put(
                &mut settings.prune_every,
                value::duration(text).map(|every| Some(every).filter(|every| !every.is_zero())),
            )
        },
    },
    Setting {
        key: "serve.drain",
        flag: None,
        kind: Kind::Duration,
        default: Fallback::Text("30s"),
        help: "`serve`: how long requests under way may take to end after SIGTERM; at most `50s`.",
        apply: |settings, text| {
            let drain = value::duration(text)?;
            if drain > super::settings::DRAIN_MAX {
                return Err("is longer than 50s".to_owned());
            }
            let _: () = settings.drain = drain;
            Ok(())
        },
    },
    Setting {
        key: "store_max_bytes",
        flag: None,
        kind: Kind::Bytes,
        default: Fallback::Unset,
        help: "The file of a `sqlite:` store does not grow beyond this: writes are then refused, and reads go on.",
        apply: |settings, text| put(&mut settings.store_max_bytes, value::bytes(text).map(Some)),
    },
    Setting {
        key: "log",
        flag: None,
        kind: Kind::Text,
        default: Fallback::Unset,
        help: "What is logged on standard error: a level, or a filter such as `info,stateward_server=debug`. Without it `info` for `serve` \
               and `warn` for all other commands.",
        apply: |settings, text| put(&mut settings.log, Ok(Some(text.to_owned()))),
    },
    Setting {
        key: "log_format",
        flag: None,
        kind: Kind::Choice(&["text", "json"]),
        default: Fallback::Text("text"),
        help: "How it is logged.",
        apply: |settings, text| {
            let choices = [("text", LogFormat::Text), ("json", LogFormat::Json)];
            put(&mut settings.log_format, choice(text, &choices))
        },
    },
];

fn put<T>(place: &mut T, value: Result<T, String>) -> Result<(), String> {
    *place = value?;
    Ok(())
}

fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    let found = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let words: Vec<String> = choices.iter().map(|(word, _)| format!("`{word}`")).collect();
        format!("is none of {}", words.join(", "))
    })
}

fn listen(text: &str) -> Result<std::net::SocketAddr, String> {
    let numeric = text.replacen("localhost:", "127.0.0.1:", 1);
    numeric.parse().map_err(|_| "is no address: write it as `IP:PORT`, such as `127.0.0.1:7017`".to_owned())
}
