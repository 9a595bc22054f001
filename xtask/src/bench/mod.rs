//! Speed and size against their goals, by the shipped binary over its own protocol.
//!
//! Figures of one machine cannot be judged on another, so each is compared with something measured in the same run: the
//! disk's own speed, the local backend, another server.

mod clock;
mod crew;
mod disk;
mod document;
mod options;
mod others;
mod report;
mod sections;
mod stats;
mod target;
mod wire;

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cargo_metadata::MetadataCommand;
use stateward_testkit::{Cli, ServerProcess, TestDir};

use options::Options;
use report::Line;
use sections::{SECTIONS, Section};
use target::Target;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What stands before the arguments when the optimised build is called; not for people.
const MEASURE: &str = "--measure";
/// More than this in use by others makes figures worthless.
const OTHERS_MAX: f64 = 0.1;
const STOP_LIMIT: Duration = Duration::from_mins(2);

/// Builds the binary and itself for speed, and lets that measure.
pub(crate) fn run(arguments: &[String]) -> std::result::Result<(), String> {
    if let [flag, binary, rest @ ..] = arguments
        && flag == MEASURE
    {
        return measure(Path::new(binary), &parse(rest)?).map_err(|error| error.to_string());
    }
    let options = parse(arguments)?;
    if options.help {
        print!("{}", help());
        return Ok(());
    }
    let target = MetadataCommand::new().current_dir(crate::root()).no_deps().exec();
    let target = target.map_err(|error| format!("cargo metadata: {error}"))?.target_directory.into_std_path_buf();
    cargo(&["build", "--release", "--package", "stateward"])?;
    cargo(&["build", "--release", "--package", "xtask"])?;
    let release = target.join("release");
    let dir = target.join("bench");
    fs::create_dir_all(&dir).map_err(|error| format!("cannot make {}: {error}", dir.display()))?;

    let mut measuring = Command::new(release.join("xtask"));
    measuring.args(["bench", MEASURE]).arg(release.join("stateward")).args(arguments);
    // Beside what is built, because `/tmp` may be in memory, where a sync costs nothing.
    measuring.env("TMPDIR", &dir);
    if options.keep {
        measuring.env("STATEWARD_TEST_KEEP", "1");
    }
    Err(format!("cannot start {}: {}", release.join("xtask").display(), measuring.exec()))
}

fn parse(arguments: &[String]) -> std::result::Result<Options, String> {
    let names: Vec<&str> = SECTIONS.iter().map(|section| section.name).collect();
    Options::parse(arguments, &names).map_err(|error| format!("{error}; see `cargo xtask bench --help`"))
}

fn cargo(arguments: &[&str]) -> std::result::Result<(), String> {
    let status = Command::new("cargo").args(arguments).current_dir(crate::root()).status();
    let status = status.map_err(|error| format!("cannot run cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`cargo {}` failed", arguments.join(" "))) }
}

fn help() -> String {
    let line = |section: &Section| format!("  {:8} {}\n", section.name, section.about);
    let sections: String = SECTIONS.iter().map(line).collect();
    format!(
        "\
usage: cargo xtask bench [SECTION…] [--peer URL] [--runs N] [--keep] [--strict]

Builds stateward for release, serves from a SQLite store beside the build, and measures over HTTP. A line says: what, its
value, from how many samples, compared with what, the ratio, the goal, and `ok` or `MISSED`. Run it on a machine that does
nothing else; the clients share its cores with the server. Only `large` sends `Content-MD5`: computed before the clock starts,
and in a second line added to the time, because Terraform computes it before it sends. A store's key is random and moves the
cuts between chunks, so sizes on disk differ by some percent from run to run.

{sections}
  --peer URL  a state on another http backend, such as http://user:password@127.0.0.1:8080/state/a/b, to compare `large` with;
              it gets the same requests, taking turns with stateward (where it knows no LOCK, it is written without)
  --runs N    how often what medians are taken of is repeated [default: 5]
  --keep      leave the directory with the stores, and say where it is
  --strict    exit with 1 when a goal is missed
"
    )
}

fn measure(binary: &Path, options: &Options) -> Result<()> {
    let peer = options.peer.as_deref().map(Target::parse).transpose()?;
    let mut bench =
        Bench { dir: TestDir::new(), binary: binary.to_owned(), peer, runs: options.runs, section: "", missed: 0 };
    for Section { name, run, .. } in SECTIONS.iter().filter(|section| options.includes(section.name)) {
        bench.section = name;
        if let Some(share) = others::share_in_use().filter(|share| *share > OTHERS_MAX) {
            bench.note(&format!(
                "note: other programs use {:.0} % of the machine, so do not trust what follows",
                share * 100.0
            ));
        }
        run(&mut bench).map_err(|error| format!("{name}: {error}"))?;
    }
    match bench.missed {
        0 => Ok(()),
        missed if options.strict => Err(format!("goals missed: {missed}").into()),
        _ => Ok(()),
    }
}

/// What sections work with.
struct Bench {
    dir: TestDir,
    binary: PathBuf,
    peer: Option<Target>,
    runs: usize,
    section: &'static str,
    missed: usize,
}

impl Bench {
    fn report(&mut self, line: &Line) {
        println!("{}", line.render(self.section));
        self.missed += usize::from(line.is_met() == Some(false));
    }

    /// Something that is no measurement.
    fn note(&self, text: &str) {
        println!("{:8} {text}", self.section);
    }

    /// A server on the store of this name, which is made if it is not there.
    fn serve(&self, store: &str) -> Served {
        let cli = Cli::new(&self.binary, &self.dir);
        let store = self.dir.subdir(store);
        let server = cli.serve(&["--store".to_owned(), format!("sqlite:{}", store.join("stateward.db").display())]);
        Served { server, store }
    }
}

/// A server under measurement; dropping it kills it.
struct Served {
    server: ServerProcess,
    store: PathBuf,
}

impl Served {
    fn target(&self, path: &str) -> Target {
        Target::new(self.server.address(), path)
    }

    fn state(&self, name: &str) -> Target {
        self.target(&format!("/state/{name}"))
    }

    /// Stops it in order; gives the size of all that it leaves.
    fn stop(self) -> Result<u64> {
        self.server.terminate(STOP_LIMIT).expect_success();
        Ok(disk::size(&self.store)?)
    }
}
