//! `kb`: the knowledge base on the command line and at `/kb`.

use std::fs;

use insta::assert_snapshot;
use serde_json::Value;

use crate::world::World;

const ENTRY: &str = "policy/terraform-state-lock-dynamodb-permission-denied";
const REFUSED: &str = "Error: Error acquiring the state lock: AccessDeniedException: User: arn:aws:iam::123456789012:user/ci-bot is not authorized to perform: dynamodb:PutItem on resource: my-terraform-lock-table";

#[test]
fn entries_are_listed_and_found() {
    let world = World::local();
    assert_snapshot!(world.told(&["kb list lock/force", "kb list nothing/", "kb search zebra", "kb search stale plan"]), @r"
    $ kb list lock/force
    ID                          TITLE
    lock/force-unlock-nothing   force-unlock: there is no such lock
    lock/force-unlock-wrong-id  force-unlock: the lock in place is not the one given

    $ kb list nothing/
    ! no entry has such an ID

    $ kb search zebra
    ! no entry tells of this
    [exit 1]

    $ kb search stale plan
    ID                TITLE
    state/stale-plan  The saved plan no longer fits the state
    ");
    let json = world.json("kb list");
    let item = json["items"].as_array().unwrap().iter().find(|item| item["id"] == ENTRY).unwrap();
    assert_eq!((item["domain"].as_str(), item["languages"].to_string().as_str()), (Some("policy"), r#"["en","zh"]"#));
    assert!(!world.dir.join("s.db").exists(), "the knowledge base needs no store");
}

#[test]
fn an_error_text_is_searched_for_by_what_it_says() {
    let world = World::local();
    let found = world.cli().run(&["kb", "search", REFUSED, "--json"]).expect_success();
    let found: Value = serde_json::from_str(&found.stdout).unwrap();
    let ids: Vec<&str> = found["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [ENTRY]);
}

#[test]
fn an_entry_is_shown_in_every_format_and_language() {
    let world = World::local();
    let english = world.ok(&format!("kb show {ENTRY}"));
    assert!(english.starts_with("# The lock table refuses, and AWS does not say why\n"), "{english}");
    let chinese = world.ok(&format!("kb show {ENTRY} --lang zh"));
    assert!(chinese.contains("## 无用的做法"), "{chinese}");
    assert!(world.ok(&format!("kb show {ENTRY} --format html --lang zh")).contains("<html lang=\"zh\">"));
    assert_eq!(world.json(&format!("kb show {ENTRY}"))["id"], ENTRY);
    let json: Value = serde_json::from_str(&world.ok(&format!("kb show {ENTRY} --format json"))).unwrap();
    assert_eq!((json["schema"].as_u64(), json["title"]["zh"].is_string()), (Some(1), true));
    assert_snapshot!(world.told(&["kb show policy", "kb show a/b --lang de"]), @r"
    $ kb show policy
    ! error: there is no entry `policy`
    !   why: IDs are DOMAIN/SLUG, in full
    !   next: `stateward kb list` lists them, `stateward kb search TEXT` finds them by words or by an error
    [exit 1]

    $ kb show a/b --lang de
    ! error: invalid value 'de' for '--lang <LANG>'
    !   [possible values: en, zh]
    !
    ! For more information, try '--help'.
    [exit 2]
    ");
}

#[test]
fn a_site_is_written_and_the_server_has_the_same() {
    let world = World::served();
    world.ok("kb build site");
    world.ok("kb build site");
    let http = world.server().http();
    for path in [
        "index.html",
        "llms.txt",
        "schema.json",
        "kb.css",
        "search.js",
        &format!("{ENTRY}.json"),
        &format!("{ENTRY}.md"),
        &format!("{ENTRY}/index.html"),
        &format!("zh/{ENTRY}/index.html"),
    ] {
        let written = fs::read(world.dir.join("site").join(path)).unwrap();
        let served = http.request("GET", &format!("/kb/{path}"), &[], "").expect_status(200);
        assert_eq!(served.body, written, "{path}");
        assert!(served.header("content-security-policy").is_some_and(|policy| policy.contains("default-src 'none'")));
    }
    let directory = http.request("GET", &format!("/kb/{ENTRY}/"), &[], "").expect_status(200);
    assert_eq!(directory.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(http.request("GET", "/kb", &[], "").expect_status(308).header("location"), Some("kb/"));
    for path in ["/kb/none", "/kb/../state", "/kb/policy"] {
        http.request("GET", path, &[], "").expect_status(404);
    }
    http.request("POST", "/kb/", &[], "").expect_status(405);
    world.dir.write("file", "");
    assert_snapshot!(world.told(&["kb build file"]), @r"
    $ kb build file
    ! error: the site was not written
    !   why: `file/credentials/bad-signature.json`: not a directory
    !   next: name a directory that can be written
    [exit 1]
    ");
}
