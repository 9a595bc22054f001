//! A directory with a store, or with a server over it, and commands run there.

use serde_json::Value;
use stateward_testkit::{Cli, Filters, Output, ServerProcess, TestDir, lock_info};

/// Runs a test on a store of this machine and by a server: both have to tell the same.
#[track_caller]
pub(crate) fn everywhere(test: impl Fn(World) -> String) -> String {
    let (local, served) = (test(World::local()), test(World::served()));
    assert_eq!(local, served, "a server tells something else");
    local
}

/// Where commands are run.
pub(crate) struct World {
    pub(crate) dir: TestDir,
    server: Option<ServerProcess>,
}

impl World {
    /// Commands open the store themselves.
    pub(crate) fn local() -> Self {
        Self { dir: TestDir::new(), server: None }
    }

    /// Commands ask a server.
    pub(crate) fn served() -> Self {
        let mut world = Self::local();
        world.server = Some(world.serve(&[]));
        world
    }

    /// Starts a server over the world's store.
    pub(crate) fn serve(&self, arguments: &[&str]) -> ServerProcess {
        Cli::new(env!("CARGO_BIN_EXE_stateward"), &self.dir).env("STATEWARD_STORE", "sqlite:s.db").serve(arguments)
    }

    /// Damages the store where the states' own bytes are; the file's pages stay whole.
    pub(crate) fn damage(&self) {
        let path = self.dir.join("s.db");
        let mut bytes = std::fs::read(&path).unwrap();
        let needle = b"\"hash\":\"";
        let at = bytes.windows(needle.len()).rposition(|window| window == needle).expect("a version's record");
        let at = at + needle.len();
        bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
        std::fs::write(&path, bytes).unwrap();
    }

    pub(crate) fn server(&self) -> &ServerProcess {
        self.server.as_ref().expect("a world that is served")
    }

    pub(crate) fn cli(&self) -> Cli<'_> {
        let cli = Cli::new(env!("CARGO_BIN_EXE_stateward"), &self.dir).env("STATEWARD_WHO", "ana@laptop");
        match &self.server {
            Some(server) => cli.env("STATEWARD_SERVER", server.url("")),
            None => cli.env("STATEWARD_STORE", "sqlite:s.db"),
        }
    }

    /// Runs a command; its words are separated by blanks.
    #[track_caller]
    pub(crate) fn run(&self, line: &str) -> Output {
        self.cli().run(&words(line))
    }

    /// Runs a command that succeeds, and gives what it says on standard output.
    #[track_caller]
    pub(crate) fn ok(&self, line: &str) -> String {
        self.run(line).expect_success().stdout
    }

    /// Runs a command with `--json`.
    #[track_caller]
    pub(crate) fn json(&self, line: &str) -> Value {
        let output = self.run(&format!("{line} --json")).expect_success();
        assert_eq!(output.stderr, "");
        serde_json::from_str(&output.stdout).expect("one JSON document")
    }

    /// Runs commands and tells what they printed, without what differs from run to run.
    #[track_caller]
    pub(crate) fn told(&self, lines: &[&str]) -> String {
        lines.iter().map(|line| self.transcript(line, &self.run(line))).collect::<Vec<_>>().join("\n")
    }

    /// A command, what it printed, and its exit code unless that is 0.
    pub(crate) fn transcript(&self, line: &str, output: &Output) -> String {
        let Output { stdout, stderr, .. } = output;
        let stderr: String = stderr.lines().map(|line| format!("! {line}\n")).collect::<Vec<_>>().concat();
        let code = match output.code() {
            Some(0) => String::new(),
            code => format!("[exit {}]\n", code.map_or_else(|| "by signal".to_owned(), |code| code.to_string())),
        };
        self.filtered(&format!("$ {line}\n{stdout}{stderr}{code}"))
    }

    pub(crate) fn filtered(&self, text: &str) -> String {
        let filters = Filters::new().dir(&self.dir);
        // A table's last cell may be empty.
        filters.apply(text).lines().map(|line| format!("{}\n", line.trim_end())).collect::<Vec<_>>().concat()
    }

    /// Takes a lock as Terraform does.
    pub(crate) fn lock(&self, state: &str, id: &str) {
        self.server()
            .http()
            .request("LOCK", &format!("/state/{state}"), &[], &lock_info(id, "OperationTypeApply"))
            .expect_status(200);
    }

    /// Three versions of the state `net/prod`, each with something to see.
    pub(crate) fn with_versions(self) -> Self {
        for (serial, state) in [
            State::new(1).instance("a", "one", "hunter-one"),
            State::new(2).instance("a", "two", "hunter-two").instance("b", "b", "hunter-b"),
            State::new(3).instance("a", "two", "hunter-two"),
        ]
        .iter()
        .enumerate()
        {
            let file = format!("v{}.tfstate", serial + 1);
            self.dir.write(&file, state.text());
            self.ok(&format!("state push net/prod {file}"));
        }
        self
    }
}

pub(crate) fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// A state file of `terraform_data` resources.
pub(crate) struct State {
    serial: u64,
    lineage: u8,
    resources: Vec<String>,
}

impl State {
    pub(crate) fn new(serial: u64) -> Self {
        Self { serial, lineage: 1, resources: Vec::new() }
    }

    pub(crate) fn lineage(mut self, lineage: u8) -> Self {
        self.lineage = lineage;
        self
    }

    pub(crate) fn instance(mut self, name: &str, input: &str, secret: &str) -> Self {
        self.resources.push(format!(
            r#"{{"mode":"managed","type":"terraform_data","name":"{name}","provider":"provider[\"terraform.io/builtin/terraform\"]","instances":[{{"schema_version":0,"attributes":{{"id":"id-{name}","input":"{input}","secret":"{secret}"}},"sensitive_attributes":[[{{"type":"get_attr","value":"secret"}}]]}}]}}"#
        ));
        self
    }

    pub(crate) fn text(&self) -> String {
        format!(
            "{{\"version\":4,\"terraform_version\":\"1.15.5\",\"serial\":{},\"lineage\":\"lineage-{}\",\"outputs\":{{}},\"resources\":[{}],\"check_results\":null}}\n",
            self.serial,
            self.lineage,
            self.resources.join(",")
        )
    }
}
