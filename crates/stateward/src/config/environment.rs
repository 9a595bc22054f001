//! The one place that reads the environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The process's variables and working directory, read once at the start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    vars: BTreeMap<String, String>,
    pub(crate) current_dir: PathBuf,
}

impl Environment {
    /// This process's own. Variables that are not UTF-8 count as unset.
    pub(crate) fn read() -> Self {
        let texts = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self {
            vars: std::env::vars_os().filter_map(texts).collect(),
            current_dir: std::env::current_dir().unwrap_or_default(),
        }
    }

    /// One made up for a test.
    #[cfg(test)]
    pub(crate) fn of(vars: &[(&str, &str)], current_dir: impl Into<PathBuf>) -> Self {
        let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { vars, current_dir: current_dir.into() }
    }

    /// A variable; one that is empty counts as unset.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Variables with this prefix.
    pub(crate) fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.vars.keys().map(String::as_str).filter(move |name| name.starts_with(prefix))
    }

    /// Where the user's own configuration lies.
    pub(crate) fn config_home(&self) -> Option<PathBuf> {
        self.xdg("XDG_CONFIG_HOME", ".config")
    }

    /// Where the user's own data lies.
    pub(crate) fn data_home(&self) -> Option<PathBuf> {
        self.xdg("XDG_DATA_HOME", ".local/share")
    }

    /// Relative paths do not count, as the specification of these variables says: what they name would depend on where a command is
    /// run.
    fn xdg(&self, name: &str, below_home: &str) -> Option<PathBuf> {
        let absolute = |name| self.get(name).map(Path::new).filter(|path| path.is_absolute());
        absolute(name).map(Path::to_path_buf).or_else(|| Some(absolute("HOME")?.join(below_home)))
    }
}
