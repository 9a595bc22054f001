//! Help, versions, completions, manual pages, pipes and colours.

use insta::assert_snapshot;

use crate::world::World;

#[test]
fn help_and_version_go_to_standard_output() {
    let world = World::local();
    assert_eq!(world.ok("--version"), concat!("stateward ", env!("CARGO_PKG_VERSION"), "\n"));
    assert_snapshot!(world.ok("--help"), @"
    A database for Terraform and OpenTofu state.

    Serves Terraform's `http` backend, keeps every version of every state, and shows, compares and
    restores them.

    Usage: stateward [OPTIONS] <COMMAND>

    Commands:
      serve           Serve Terraform's http backend and API v1
      run             Run Terraform, OpenTofu, or a command that calls them, with its state here
      state           Look at states, and change them
      lock            Look at locks, and break them
      tx              Look at transactions: runs that hold single resources, side by side with others
      audit           Show the audit log: every change, lock, force-unlock and refusal, newest first
      backup          Write a consistent copy of the whole store to a new file, also while a server uses
                      it
      restore-backup  Check a backup and make it the store; refused where there is a store already
      failover        Move the home of a `dynamodb:` store to another Region: writes go there from then
                      on
      explain         Say what an error text means: what was refused, by which policy, what to do about
                      it and what not
      doctor          Look whether state can be kept on AWS, here and by this user, and what is in the
                      way
      trail           List the calls that AWS refused, from CloudTrail: who, what, by which policy, from
                      where, how often
      setup           Make what state needs on AWS, or bring what is there up to it
      migrate         Take a configuration's state to another backend, or from one lock to another, with
                      checks before and after
      kb              Look up what is known of errors of Terraform state on AWS; needs no store
      lab             Try policies without an account: AWS's access control on this machine, in front of
                      a server such as moto
      token           Make tokens
      policy          Make, check and explain AWS policies for state, without asking AWS
      config          Look at the configuration
      completions     Print a script that completes commands in a shell
      man             Print the manual page, or write the pages of all commands
      help            Print this message or the help of the given subcommand(s)

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Global options:
          --store <URL>
              The store to work on: `sqlite:PATH`, `s3://BUCKET/PREFIX`, `dynamodb://TABLE` or `memory:`

          --create-tables
              Make the tables of a `dynamodb:` store that are not there

          --server <URL>
              The server to work on: `http(s)://HOST:PORT`; its token comes from `STATEWARD_TOKEN`

          --json
              Answer with one JSON document on standard output

          --who <WHO>
              Who history and audit name, in place of `user@host`

    Exit codes: 0 done, 1 failed (the message says why), 2 usage, 3 conflict or locked, 4 denied, 5
    corrupt, 70 a bug.
    Settings can also stand in `STATEWARD_…` variables and in `stateward.toml`: see `stateward config
    show`.
    ");
    for line in ["state --help", "state push --help", "help serve", "state help diff"] {
        assert!(world.ok(line).contains("Usage: stateward"), "{line}");
    }
}

#[test]
fn completions_and_manual_pages() {
    let world = World::local();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(world.ok(&format!("completions {shell}")).contains("restore-backup"), "{shell}");
    }
    assert!(world.ok("man").contains(".TH stateward 1"));
    world.ok("man pages");
    assert!(world.dir.read("pages/stateward-state-push.1").contains("force"));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let world = World::local().with_versions();
    let script =
        "\"$0\" state history net/prod --json | true; \"$0\" completions bash | head -c 1 >&2; echo ${PIPESTATUS[0]}";
    let bash = stateward_testkit::Cli::new("bash", &world.dir).env("STATEWARD_STORE", "sqlite:s.db");
    let output = bash.run(&["-c", script, env!("CARGO_BIN_EXE_stateward")]).expect_success();
    assert_eq!((output.stdout.as_str(), output.stderr.len()), ("0\n", 1), "{}", output.stderr);
}

#[test]
fn a_full_disk_is_a_failure() {
    let world = World::local().with_versions();
    let bash = stateward_testkit::Cli::new("bash", &world.dir).env("STATEWARD_STORE", "sqlite:s.db");
    let output = bash.run(&["-c", "\"$0\" state list >/dev/full", env!("CARGO_BIN_EXE_stateward")]).expect_code(1);
    assert!(output.stderr.starts_with("error: the output could not be written"), "{}", output.stderr);
}

#[test]
fn colours_are_for_terminals_only() {
    let world = World::local().with_versions();
    assert!(!world.ok("state diff net/prod").contains('\u{1b}'));
    let coloured = world.cli().env("CLICOLOR_FORCE", "1").run(&["state", "diff", "net/prod"]).expect_success().stdout;
    assert!(coloured.contains('\u{1b}'));
    let json = world.cli().env("CLICOLOR_FORCE", "1").run(&["state", "list", "--json"]).expect_success().stdout;
    assert!(!json.contains('\u{1b}'));
}

#[test]
fn what_others_wrote_does_not_steer_the_terminal() {
    let world = World::local();
    world.dir.write("a.tfstate", crate::world::State::new(1).instance("a", "\\u001b[2J", "x").text());
    world.cli().env("STATEWARD_WHO", "\u{1b}[31mmallory\n").run(&["state", "push", "a", "a.tfstate"]).expect_success();
    let forced = world.cli().env("CLICOLOR_FORCE", "1");
    for line in ["state history a", "state show a", "state diff a", "audit"] {
        let told = forced.run(&line.split(' ').collect::<Vec<_>>()).expect_success().stdout;
        assert!(!told.contains("\u{1b}[31mmallory") && !told.contains("\u{1b}[2J"), "{line}: {told:?}");
    }
}

#[test]
fn who_is_the_user_or_the_run() {
    let world = World::local();
    world.dir.write("a.tfstate", crate::world::State::new(1).text());
    let cli = world
        .cli()
        .env("STATEWARD_WHO", "")
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_ACTOR", "ana")
        .env("GITHUB_REPOSITORY", "o/r")
        .env("GITHUB_RUN_ID", "7");
    cli.run(&["state", "push", "a", "a.tfstate"]).expect_success();
    assert_eq!(world.json("state list")["items"][0]["updated_by"], "ana (GitHub Actions o/r 7)");
    world.dir.write("a.tfstate", crate::world::State::new(2).text());
    world.ok("state push a a.tfstate --who bo");
    assert_eq!(world.json("state list")["items"][0]["updated_by"], "bo");
}
