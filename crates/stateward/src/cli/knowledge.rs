//! The command line of the knowledge base.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum KbCommand {
    /// List the entries.
    List {
        /// Only those whose IDs start with this.
        #[arg(default_value = "", hide_default_value = true)]
        prefix: String,
    },
    /// Show an entry.
    Show {
        /// Its ID, `DOMAIN/SLUG`.
        id: String,
        /// The language.
        #[arg(long, value_enum, default_value_t = Lang::En)]
        lang: Lang,
        /// The format; `--json` is `--format json`, which has all languages.
        #[arg(long, value_enum, default_value_t = Format::Md)]
        format: Format,
    },
    /// Find the entries for an error text, or for words.
    Search {
        /// The text or words; `-` reads standard input.
        #[arg(required = true, value_name = "TEXT")]
        text: Vec<String>,
    },
    /// Write all entries as a static site.
    Build {
        /// The directory; what is there already is written over, all else in it stays.
        dir: PathBuf,
    },
}

/// A language of the entries.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Lang {
    /// English.
    En,
    /// 中文.
    Zh,
}

/// A format of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Markdown.
    Md,
    /// JSON, in the shape of the site's `schema.json`.
    Json,
    /// A page of HTML.
    Html,
}

impl From<Lang> for stateward_knowledge::Language {
    fn from(lang: Lang) -> Self {
        match lang {
            Lang::En => Self::En,
            Lang::Zh => Self::Zh,
        }
    }
}
