//! The settings: one [`table`], four layers (flags, variables, files, defaults), and where each value comes from.

mod environment;
mod file;
#[cfg(test)]
mod reference;
mod settings;
mod store_url;
mod table;
#[cfg(test)]
mod tests;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) use environment::Environment;
pub(crate) use settings::{LogFormat, Settings};
use stateward_client::ServerUrl;
pub(crate) use store_url::{StoreUrl, shown as shown_store};
pub(crate) use table::{Fallback, SETTINGS, Setting};
pub(crate) use value::duration;

use crate::failure::{Message, plain};

const FILE_NAME: &str = "stateward.toml";

/// Values from the command line, by the setting's name.
pub(crate) type Flags = BTreeMap<&'static str, String>;

/// Where a value comes from. Later ones are stronger.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    Default,
    /// The user's own file.
    UserFile(Place),
    /// The nearest file from the working directory upward.
    ProjectFile(Place),
    Variable(String),
    Flag(&'static str),
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    path: PathBuf,
    line: usize,
}

impl Source {
    /// One word for scripts.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::UserFile(_) | Self::ProjectFile(_) => "file",
            Self::Variable(_) => "environment",
            Self::Flag(_) => "flag",
        }
    }

    /// How strong it is: of two sources of one rank neither goes first.
    fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::UserFile(_) => 1,
            Self::ProjectFile(_) => 2,
            Self::Variable(_) => 3,
            Self::Flag(_) => 4,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::UserFile(place) | Self::ProjectFile(place) => write!(f, "{}:{}", place.path.display(), place.line),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// The value of a setting.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    pub(crate) setting: &'static Setting,
    /// Nothing where it is not set.
    pub(crate) text: Option<String>,
    pub(crate) source: Source,
}

impl Value {
    /// As it may be shown.
    pub(crate) fn shown(&self) -> Option<String> {
        self.text.as_deref().map(|text| self.setting.kind.shown(text))
    }
}

/// What a command works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Store(StoreUrl),
    Server(ServerUrl),
}

/// The settings in force.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) settings: Settings,
    /// In the order of the table.
    pub(crate) values: Vec<Value>,
    pub(crate) target: Target,
    /// Variables that look like settings and are none.
    pub(crate) unknown_variables: Vec<String>,
}

impl Config {
    /// Whether a setting was given on the command line.
    pub(crate) fn is_from_flag(&self, key: &str) -> bool {
        self.values.iter().any(|value| value.setting.key == key && matches!(value.source, Source::Flag(_)))
    }

    /// Whether the environment gives a setting.
    pub(crate) fn is_from_variable(&self, key: &str) -> bool {
        self.values.iter().any(|value| value.setting.key == key && matches!(value.source, Source::Variable(_)))
    }
}

/// Reads the files and puts the layers together, the weakest first.
pub(crate) fn resolve(environment: &Environment, flags: &Flags) -> Result<Config, Message> {
    let mut layers = Layers { settings: Settings::default(), values: Vec::with_capacity(SETTINGS.len()) };
    layers.defaults(environment)?;
    let project = file::find_upward(&environment.current_dir);
    let user = environment.config_home().map(|home| home.join("stateward").join(FILE_NAME));
    if let Some(path) = user.filter(|user| file::is_there(user) && project.as_ref() != Some(user)) {
        layers.file(&path, Source::UserFile)?;
    }
    if let Some(path) = project {
        layers.file(&path, Source::ProjectFile)?;
    }
    let variables: Vec<String> = SETTINGS.iter().map(Setting::variable).collect();
    for (setting, name) in SETTINGS.iter().zip(&variables) {
        if let Some(text) = environment.get(name) {
            layers.set(setting, text.to_owned(), Source::Variable(name.clone()))?;
        }
    }
    for (key, text) in flags {
        if let Some((setting, flag)) = Setting::named(key).and_then(|setting| Some((setting, setting.flag?))) {
            layers.set(setting, text.clone(), Source::Flag(flag))?;
        }
    }
    let target = layers.target()?;
    let unknown = environment.with_prefix("STATEWARD_").filter(|name| !variables.iter().any(|known| known == name));
    let unknown_variables = unknown.map(str::to_owned).collect();
    Ok(Config { settings: layers.settings, values: layers.values, target, unknown_variables })
}

struct Layers {
    settings: Settings,
    values: Vec<Value>,
}

impl Layers {
    fn defaults(&mut self, environment: &Environment) -> Result<(), Message> {
        for setting in SETTINGS {
            self.values.push(Value { setting, text: None, source: Source::Default });
            let text = match setting.default {
                Fallback::Unset => continue,
                Fallback::Text(text) => text.to_owned(),
                Fallback::UserStore => {
                    let Some(home) = environment.data_home() else { continue };
                    StoreUrl::Sqlite(home.join("stateward").join("stateward.db")).to_string()
                }
            };
            self.set(setting, text, Source::Default)?;
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, source: fn(Place) -> Source) -> Result<(), Message> {
        let text = fs::read_to_string(path).map_err(|error| {
            let why = format!("`{}`: {}", path.display(), plain(&error));
            Message::new("the configuration cannot be read", why, "make the file readable, or move it away")
        })?;
        let directory = path.parent().unwrap_or(Path::new(""));
        for entry in file::parse(path, &text)? {
            if let Some(setting) = Setting::named(entry.key) {
                let place = Place { path: path.to_path_buf(), line: entry.line };
                self.set(setting, setting.kind.anchored(&entry.text, directory), source(place))?;
            }
        }
        Ok(())
    }

    fn set(&mut self, setting: &'static Setting, text: String, source: Source) -> Result<(), Message> {
        (setting.apply)(&mut self.settings, &text).map_err(|fault| {
            let shown = setting.kind.shown(&text);
            let why = format!("`{shown}`, from {source}, {fault}");
            Message::new(
                format!("the setting `{}` is wrong", setting.key),
                why,
                "put it right; `stateward config show` lists all settings",
            )
        })?;
        if let Some(value) = self.values.iter_mut().find(|value| value.setting.key == setting.key) {
            (value.text, value.source) = (Some(text), source);
        }
        Ok(())
    }

    fn source(&self, key: &str) -> &Source {
        self.values.iter().find(|value| value.setting.key == key).map_or(&Source::Default, |value| &value.source)
    }

    fn target(&self) -> Result<Target, Message> {
        let store = || Target::Store(self.settings.store.clone());
        let Some(server) = self.settings.server.clone() else { return Ok(store()) };
        match (self.source("store"), self.source("server")) {
            (Source::Flag(_), Source::Flag(_)) => Err(Message::new(
                "`--store` and `--server` were both given",
                "a command works on a store of this machine or on a server, not on both",
                "leave one of them out",
            )),
            (store_from, server_from) if store_from.rank() > server_from.rank() => Ok(store()),
            _ => Ok(Target::Server(server)),
        }
    }
}
