//! `token new`, the tokens file, and rights.

use std::time::Duration;

use insta::assert_snapshot;

use crate::world::{State, World};

#[test]
fn a_new_token_is_printed_once_with_its_entry_apart() {
    let world = World::local();
    let output = world.run("token new ci").expect_success();
    let secret = output.stdout.trim_end();
    assert!(secret.starts_with("sw_") && secret.len() == 46, "{secret}");
    assert!(!output.stderr.contains(secret));
    let digest = output.stderr.lines().find(|line| line.starts_with("sha256")).unwrap();
    assert_snapshot!(output.stderr.replace(digest, "sha256 = …"), @r#"
    # Put this into the tokens file of `stateward serve --tokens FILE`:
    [[token]]
    name = "ci"
    sha256 = …

    [[token.rules]]
    allow = ["read", "write", "lock"]
    states = ["**"]
    "#);
    let json = world.json("token new ci --file t.toml --allow read,force_unlock --states prod/**,dev");
    assert_eq!(json["entry"]["rules"][0]["allow"], serde_json::json!(["read", "force_unlock"]));
    assert_eq!(json["entry"]["rules"][0]["states"], serde_json::json!(["prod/**", "dev"]));
    assert!(json["token"].as_str().is_some_and(|secret| secret.starts_with("sw_")));
    assert_snapshot!(world.told(&["token new ci --file t.toml", "token new x --allow fly", "token new x --file nowhere/t.toml"]), @"
    $ token new ci --file t.toml
    ! error: the tokens file `t.toml` is wrong
    !   why: token `ci`: the name stands twice
    !   next: put it right; `stateward token new NAME` prints an entry as it has to be
    [exit 2]

    $ token new x --allow fly
    ! error: invalid value 'fly' for '--allow <RIGHT,…>'
    !   [possible values: outputs, read, write, lock, force_unlock, delete, admin]
    !
    ! For more information, try '--help'.
    [exit 2]

    $ token new x --file nowhere/t.toml
    ! error: the tokens file was not changed
    !   why: `nowhere/t.toml`: no such file or directory
    !   next: name a file that can be written
    [exit 1]
    ");
}

#[test]
fn rights_decide_and_the_file_is_read_again() {
    let world = World::local();
    let reader = world.ok("token new reader --allow read --file t.toml").trim_end().to_owned();
    let server = world.serve(&["--tokens", "t.toml"]);
    let as_holder = |token: &str, line: &str| {
        let cli = world
            .cli()
            .env("STATEWARD_SERVER", server.url(""))
            .env("STATEWARD_STORE", "")
            .env("STATEWARD_TOKEN", token);
        cli.run(&crate::world::words(line))
    };
    world.dir.write("a.tfstate", State::new(1).text());
    let told =
        ["state list", "state push a a.tfstate", "audit"].map(|line| world.transcript(line, &as_holder(&reader, line)));
    assert_snapshot!(told.join("\n"), @"
    $ state list
    ! there are no states

    $ state push a a.tfstate
    ! error: token `reader` may not do this
    !   why: it lacks the right `write` on `a`
    !   next: ask whoever keeps the tokens file for a rule that allows it, or use another token
    [exit 4]

    $ audit
    ! error: token `reader` may not do this
    !   why: it lacks the right `admin` on the whole store
    !   next: ask whoever keeps the tokens file for a rule that allows it, or use another token
    [exit 4]
    ");
    let told = [("", "no token"), ("sw_wrong", "a wrong token"), ("sw_\u{7}", "no header")];
    let told = told.map(|(token, line)| world.transcript(line, &as_holder(token, "state list")));
    assert_snapshot!(told.join("\n"), @"
    $ no token
    ! error: http://127.0.0.1:[PORT] asks for a token
    !   why: none was given
    !   next: set `STATEWARD_TOKEN` to a token that it knows; `stateward token new` makes one
    [exit 4]

    $ a wrong token
    ! error: http://127.0.0.1:[PORT] asks for a token
    !   why: the token that was shown is not known there
    !   next: set `STATEWARD_TOKEN` to a token that it knows; `stateward token new` makes one
    [exit 4]

    $ no header
    ! error: the token cannot be sent
    !   why: it has characters that no token has, such as a line break
    !   next: set `STATEWARD_TOKEN` to the line that `stateward token new` printed
    [exit 1]
    ");

    let writer = world.ok("token new writer --allow read,write --file t.toml").trim_end().to_owned();
    wait_until(|| as_holder(&writer, "state push a a.tfstate").code() == Some(0));
    let history = as_holder(&writer, "state history a --json").expect_success().stdout;
    assert!(history.contains("\"who\": \"writer\""), "{history}");
    // The token may also stand in the URL.
    let url = server.url("").replace("http://", &format!("http://{reader}@"));
    let cli = world.cli().env("STATEWARD_STORE", "");
    let output = cli.run(&["--server", &url, "state", "list"]).expect_success();
    assert!(output.stdout.contains("writer"));

    // A file that is wrong changes nothing.
    world.dir.write("t.toml", "[[token]]\nname = 'x'\nsha256 = 'short'\n");
    wait_until(|| server.stderr().contains("the tokens from before stay in force"));
    as_holder(&reader, "state list").expect_success();
    let log = server.stderr();
    assert!(!log.contains(&reader) && !log.contains(&writer));
}

#[test]
fn a_wrong_tokens_file_keeps_the_server_from_starting() {
    let world = World::local();
    world.dir.write("t.toml", "[[token]]\nname = 'x'\nsecret = 'geheim'\n");
    world.dir.write("u.toml", "[[token]]\nname = 'x'\nsha256 = 'geheim'\n");
    let told = world.told(&["serve --tokens t.toml", "serve --tokens u.toml", "serve --tokens missing.toml"]);
    assert_snapshot!(told, @"
    $ serve --tokens t.toml
    ! error: the tokens file `t.toml` is wrong
    !   why: line 3: unknown field `secret`, expected one of `name`, `sha256`, `rules`
    !   next: put it right; `stateward token new NAME` prints an entry as it has to be
    [exit 2]

    $ serve --tokens u.toml
    ! error: the tokens file `u.toml` is wrong
    !   why: token `x`: `sha256` is not 64 hexadecimal digits: put in what `stateward token new` prints, not the token itself
    !   next: put it right; `stateward token new NAME` prints an entry as it has to be
    [exit 2]

    $ serve --tokens missing.toml
    ! error: the tokens file cannot be read
    !   why: `missing.toml`: no such file or directory
    !   next: check the path; `stateward token new NAME --file FILE` makes one
    [exit 2]
    ");
    assert!(!told.contains("geheim"));
}

#[track_caller]
fn wait_until(mut done: impl FnMut() -> bool) {
    for _ in 0..200 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("it did not happen in ten seconds");
}

#[test]
fn a_file_without_tokens_is_told_and_one_that_is_added_is_in_force() {
    let world = World::local();
    world.dir.write("t.toml", "# none yet\n");
    let server = world.serve(&["--tokens", "t.toml"]);
    let told = server.stderr();
    assert!(
        told.contains("`t.toml` holds no tokens") && told.contains("stateward token new NAME --file t.toml"),
        "{told}"
    );
}

#[test]
fn a_run_that_lacks_a_right_is_told_which() {
    let world = World::local();
    let none = world.ok("token new other --allow read --states other/** --file t.toml").trim_end().to_owned();
    let reader = world.ok("token new reader --allow read --file t.toml").trim_end().to_owned();
    let server = world.serve(&["--tokens", "t.toml"]);
    // As Terraform ends: it says of a 403 that the authentication is invalid.
    let script = |method: &str, address: &str| {
        format!("curl -sf -X {method} --data '{{\"ID\":\"x\",\"Who\":\"ana@laptop\"}}' \"${address}\" || exit 1")
    };
    for (token, script, right) in [
        (&none, script("GET", "TF_HTTP_ADDRESS"), "`read`"),
        (&reader, script("LOCK", "TF_HTTP_LOCK_ADDRESS"), "`lock`"),
    ] {
        let cli = world.cli().env("STATEWARD_TOKEN", token).env("PATH", "/usr/local/bin:/usr/bin:/bin");
        let url = server.url("");
        let output =
            cli.run(&["run", "--server", &url, "--state", "net/prod", "--", "sh", "-c", &script]).expect_code(4);
        assert!(output.stderr.contains(right) && output.stderr.contains("next:"), "{}", output.report());
    }
}
