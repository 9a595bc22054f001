use super::*;
use crate::rights::is_there;

fn write(directory: &Path, path: &str, text: &str) {
    let path = directory.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn names(directory: &Path, backend: Option<&Backend>) -> Vec<(String, String)> {
    let relative = |path: &Path| path.strip_prefix(directory).unwrap().display().to_string();
    let states = local_states(directory, backend).unwrap();
    states.into_iter().map(|state| (state.workspace, relative(&state.path))).collect()
}

#[test]
fn workspaces_lie_where_the_local_backend_keeps_them() {
    let directory = tempfile::tempdir().unwrap();
    assert!(names(directory.path(), None).is_empty());
    write(directory.path(), "terraform.tfstate", "{}");
    write(directory.path(), "terraform.tfstate.d/prod/terraform.tfstate", "{}");
    write(directory.path(), "terraform.tfstate.d/dev/terraform.tfstate", "{}");
    write(directory.path(), "terraform.tfstate.d/empty/terraform.tfstate", "");
    write(directory.path(), "terraform.tfstate.d/none/x", "");
    let pair = |workspace: &str, path: &str| (workspace.to_owned(), path.to_owned());
    let (dev, prod) = ("terraform.tfstate.d/dev/terraform.tfstate", "terraform.tfstate.d/prod/terraform.tfstate");
    assert_eq!(
        names(directory.path(), None),
        [pair("default", "terraform.tfstate"), pair("dev", dev), pair("prod", prod)]
    );
    write(directory.path(), "state/main.json", "{}");
    write(directory.path(), "spaces/dev/terraform.tfstate", "{}");
    let config = serde_json::json!({ "path": "state/main.json", "workspace_dir": "spaces" });
    let backend = Backend { kind: "local".into(), config };
    assert_eq!(
        names(directory.path(), Some(&backend)),
        [pair("default", "state/main.json"), pair("dev", "spaces/dev/terraform.tfstate")]
    );
}

/// It would be taken for nothing, and a block be written for no state at all.
#[test]
fn what_is_in_the_place_of_a_state_and_is_none_is_not_passed_over() {
    use std::os::unix::ffi::OsStrExt;
    let refused = |make: &dyn Fn(&Path)| {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), "terraform.tfstate.d/prod/terraform.tfstate", "{}");
        make(directory.path());
        local_files(directory.path(), None).map(|files| files.len()).map_err(|error| error.to_string())
    };
    let link = |to: &'static str, name: &'static str| {
        move |directory: &Path| std::os::unix::fs::symlink(to, directory.join(name)).unwrap()
    };
    for name in ["terraform.tfstate", "terraform.tfstate.d/dev", "terraform.tfstate.d/prod/terraform.tfstate.d"] {
        let is_looked_for = name.split('/').count() < 3;
        let told = refused(&link("away/state", name));
        let expected = told.as_ref().is_err_and(|told| told.contains(name) && told.contains("leads nowhere"));
        assert_eq!(expected, is_looked_for, "{name}: {told:?}");
    }
    let told = refused(&|directory| fs::create_dir(directory.join("terraform.tfstate")).unwrap()).unwrap_err();
    assert!(told.contains("terraform.tfstate`") && told.contains("no file"), "{told}");
    // Two files for one workspace, of which Terraform reads one.
    let second = "terraform.tfstate.d/default/terraform.tfstate";
    let told = refused(&|directory| write(directory, second, "{}")).unwrap_err();
    assert!(told.contains(second) && told.contains("does not look here"), "{told}");
    let named = |directory: &Path| {
        let name = directory.join("terraform.tfstate.d").join(std::ffi::OsStr::from_bytes(b"\xff"));
        // Not every file system has such names.
        let _made = fs::create_dir(&name);
        if !name.is_dir() {
            fs::create_dir(directory.join("terraform.tfstate")).unwrap();
        }
    };
    refused(&named).unwrap_err();
    assert_eq!(refused(&|directory| write(directory, "terraform.tfstate.d/README", "")), Ok(1), "a file beside them");
}

#[test]
fn a_file_that_is_empty_may_be_held_and_is_no_state() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "terraform.tfstate", "");
    assert!(names(directory.path(), None).is_empty());
    let files = local_files(directory.path(), None).unwrap();
    let [file] = files.as_slice() else { panic!("{files:?}") };
    let held = file.hold().unwrap().unwrap();
    assert!(file.is_empty && !held.is_replaced());
    write(directory.path(), "other", "{}");
    fs::rename(directory.path().join("other"), &file.path).unwrap();
    assert!(held.is_replaced());
    fs::remove_file(&file.path).unwrap();
    assert!(held.is_replaced());
}

fn hold_all(directory: &Path) -> Vec<HeldState> {
    local_files(directory, None).unwrap().iter().map(|file| file.hold().unwrap().unwrap()).collect()
}

#[track_caller]
fn put_aside(directory: &Path) {
    let held = hold_all(directory);
    let aside = Aside::plan(directory, &held).unwrap();
    aside.check().unwrap();
    aside.run().unwrap();
}

#[test]
fn what_was_put_aside_is_still_there_and_no_state_of_the_local_backend() {
    let directory = tempfile::tempdir().unwrap();
    let read = |name: &str| fs::read_to_string(directory.path().join(name)).ok();
    for (n, suffix) in [("1", "migrated"), ("2", "migrated-2"), ("2", "migrated-2")] {
        write(directory.path(), "terraform.tfstate", n);
        write(directory.path(), "terraform.tfstate.d/dev/terraform.tfstate", n);
        write(directory.path(), "terraform.tfstate.d/dev/terraform.tfstate.backup", n);
        write(directory.path(), "terraform.tfstate.d/empty/terraform.tfstate", "");
        put_aside(directory.path());
        assert_eq!(read(&format!("terraform.tfstate.{suffix}")).as_deref(), Some(n));
        assert_eq!(read(&format!("terraform.tfstate.d.{suffix}/dev/terraform.tfstate")).as_deref(), Some(n));
        assert_eq!(read(&format!("terraform.tfstate.d.{suffix}/dev/terraform.tfstate.backup")).as_deref(), Some(n));
        assert!(names(directory.path(), None).is_empty());
    }
    assert!(!directory.path().join("terraform.tfstate.migrated-3").exists());
    Aside::plan(directory.path(), &[]).unwrap().run().unwrap();
}

/// It has the file open, and goes on with it as soon as it gets the lock.
#[test]
fn who_waits_for_a_state_that_was_put_aside_finds_none() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "terraform.tfstate", "{}");
    let path = directory.path().join("terraform.tfstate");
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let found_before = fs::metadata(&path).unwrap();
    // Opened by a descriptor of its own, which stays open: the lock stays, too.
    let waiting = File::options().read(true).write(true).open(&path).unwrap();
    let held = hold_all(directory.path());
    Aside::plan(directory.path(), &held).unwrap().run().unwrap();
    let mut found = vec![0; 100];
    let read = waiting.read_at(&mut found, 0).unwrap();
    assert_eq!(&found[..read], RETIRED);
    assert!(held[0].is_retired() && !path.exists());
    let copy = fs::metadata(directory.path().join("terraform.tfstate.migrated")).unwrap();
    assert_eq!((copy.mode() & 0o777, copy.uid()), (0o600, found_before.uid()), "as it was");
}

#[test]
fn putting_aside_that_was_cut_off_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let read = |name: &str| fs::read_to_string(directory.path().join(name)).ok();
    // Copied, and emptied: torn, as a process may be killed in between.
    write(directory.path(), "terraform.tfstate.migrated", "{\"serial\":1}");
    let torn = [RETIRED, b"and the end of the state"].concat();
    write(directory.path(), "terraform.tfstate", std::str::from_utf8(&torn).unwrap());
    // Copied, and as it was.
    write(directory.path(), "terraform.tfstate.d.migrated/dev/terraform.tfstate", "{}");
    write(directory.path(), "terraform.tfstate.d/dev/terraform.tfstate", "{}");
    put_aside(directory.path());
    assert_eq!(read("terraform.tfstate.migrated").as_deref(), Some("{\"serial\":1}"));
    assert_eq!(read("terraform.tfstate.d.migrated/dev/terraform.tfstate").as_deref(), Some("{}"));
    assert!(local_files(directory.path(), None).unwrap().is_empty());
    assert!(!directory.path().join("terraform.tfstate.migrated-2").exists());
}

/// The states have their new names, and what lies beside them, or the default one, has not: it comes to them.
#[test]
fn what_lies_beside_states_that_were_put_aside_comes_to_them() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let read = |name: &str| fs::read_to_string(at(name)).ok();
    write(directory.path(), "terraform.tfstate.d.migrated/dev/terraform.tfstate", "1");
    write(directory.path(), "terraform.tfstate.d/dev/terraform.tfstate.backup", "0");
    put_aside(directory.path());
    assert_eq!(read("terraform.tfstate.d.migrated/dev/terraform.tfstate.backup").as_deref(), Some("0"));
    assert!(!is_there(&at("terraform.tfstate.d")) && !is_there(&at("terraform.tfstate.d.migrated-2")));
    // Where it would have to stay behind, all of it gets a name of its own; so where that leads through a link.
    write(directory.path(), "terraform.tfstate.d/dev/terraform.tfstate.backup", "2");
    put_aside(directory.path());
    assert_eq!(read("terraform.tfstate.d.migrated-2/dev/terraform.tfstate.backup").as_deref(), Some("2"));
    fs::create_dir(at("elsewhere")).unwrap();
    fs::create_dir(at("terraform.tfstate.d.migrated-3")).unwrap();
    std::os::unix::fs::symlink("../elsewhere", at("terraform.tfstate.d.migrated-3/dev")).unwrap();
    write(directory.path(), "terraform.tfstate.d/dev/terraform.tfstate.backup", "3");
    put_aside(directory.path());
    assert_eq!(read("terraform.tfstate.d.migrated-4/dev/terraform.tfstate.backup").as_deref(), Some("3"));
    assert_eq!(fs::read_dir(at("elsewhere")).unwrap().count(), 0);
}

#[test]
fn a_copy_that_was_only_begun_is_begun_anew() {
    for (begun, is_left) in [("", false), ("1234", false), ("1234567", false), ("1235", true), ("12345678", true)] {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        write(directory.path(), "terraform.tfstate", "1234567");
        write(directory.path(), "terraform.tfstate.migrated.part", begun);
        put_aside(directory.path());
        assert_eq!(fs::read_to_string(at("terraform.tfstate.migrated")).unwrap(), "1234567");
        assert_eq!(is_there(&at("terraform.tfstate.migrated.part")), is_left, "{begun}: somebody's own stays");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1 + usize::from(is_left), "{begun}");
    }
}

/// Somebody came back by a link to what was put aside, or keeps it by another name: nothing is taken from under them.
#[test]
fn what_others_have_by_a_link_is_only_renamed() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let read = |name: &str| fs::read_to_string(at(name)).ok();
    write(directory.path(), "terraform.tfstate.migrated", "{}");
    std::os::unix::fs::symlink("terraform.tfstate.migrated", at("terraform.tfstate")).unwrap();
    write(directory.path(), "shared/dev/terraform.tfstate", "{}");
    write(directory.path(), "terraform.tfstate.d/prod/terraform.tfstate", "{}");
    write(directory.path(), "terraform.tfstate.d.migrated/dev/terraform.tfstate", "older");
    std::os::unix::fs::symlink("../shared/dev", at("terraform.tfstate.d/dev")).unwrap();
    put_aside(directory.path());
    assert_eq!(read("terraform.tfstate.migrated").as_deref(), Some("{}"));
    assert!(is_link(&at("terraform.tfstate.migrated-2")) && !is_there(&at("terraform.tfstate")));
    assert_eq!(read("shared/dev/terraform.tfstate").as_deref(), Some("{}"));
    assert_eq!(read("terraform.tfstate.d.migrated/dev/terraform.tfstate").as_deref(), Some("older"));
    assert_eq!(read("terraform.tfstate.d.migrated-2/dev/terraform.tfstate").as_deref(), Some("{}"));
    assert_eq!(read("terraform.tfstate.d.migrated-2/prod/terraform.tfstate").as_deref(), Some("{}"));
    assert!(!is_there(&at("terraform.tfstate.d")));
    // Two workspaces by one file.
    write(directory.path(), "terraform.tfstate.d/prod/terraform.tfstate", "{}");
    std::os::unix::fs::symlink("prod", at("terraform.tfstate.d/test")).unwrap();
    put_aside(directory.path());
    assert_eq!(read("terraform.tfstate.d.migrated/test/terraform.tfstate").as_deref(), Some("{}"));
    // Two names of one file.
    fs::hard_link(at("terraform.tfstate.migrated"), at("terraform.tfstate")).unwrap();
    put_aside(directory.path());
    assert_eq!(read("terraform.tfstate.migrated-3").as_deref(), Some("{}"));
    assert!(!is_there(&at("terraform.tfstate")));
}

/// Backups that share the file's bytes, and a link to where others look, too.
#[test]
fn a_file_with_other_names_keeps_its_state() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    write(directory.path(), "terraform.tfstate", "1");
    fs::hard_link(at("terraform.tfstate"), at("backup")).unwrap();
    write(directory.path(), "elsewhere/dev/terraform.tfstate", "2");
    std::os::unix::fs::symlink("elsewhere", at("terraform.tfstate.d")).unwrap();
    put_aside(directory.path());
    for (name, text) in [
        ("terraform.tfstate.migrated", "1"),
        ("backup", "1"),
        ("elsewhere/dev/terraform.tfstate", "2"),
        ("terraform.tfstate.d.migrated/dev/terraform.tfstate", "2"),
    ] {
        assert_eq!(fs::read_to_string(at(name)).unwrap(), text, "{name}");
    }
    assert!(names(directory.path(), None).is_empty());
}

/// They may be made for a run in a container, and lead nowhere outside of it.
#[test]
fn names_that_are_links_are_not_free() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let read = |name: &str| fs::read_to_string(at(name)).ok();
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, at(name)).unwrap();
    write(directory.path(), "terraform.tfstate", "1");
    link("no/such", "terraform.tfstate.migrated");
    for workspace in ["dev", "prod"] {
        write(directory.path(), &format!("terraform.tfstate.d/{workspace}/terraform.tfstate"), "2");
    }
    link("no/such", "terraform.tfstate.d.migrated");
    // What it leads to is somebody's, and would be taken for our copy.
    write(directory.path(), "shared/dev/terraform.tfstate", "2");
    fs::create_dir(at("terraform.tfstate.d.migrated-2")).unwrap();
    link("../shared/dev", "terraform.tfstate.d.migrated-2/dev");
    write(directory.path(), "terraform.tfstate.d.migrated-3", "a file");
    put_aside(directory.path());
    assert_eq!(read("terraform.tfstate.migrated-2").as_deref(), Some("1"));
    for workspace in ["dev", "prod"] {
        let there = read(&format!("terraform.tfstate.d.migrated-4/{workspace}/terraform.tfstate"));
        assert_eq!(there.as_deref(), Some("2"), "{workspace}");
    }
    assert!(is_link(&at("terraform.tfstate.migrated")) && is_link(&at("terraform.tfstate.d.migrated")));
    assert_eq!(read("shared/dev/terraform.tfstate").as_deref(), Some("2"));
    assert!(local_files(directory.path(), None).unwrap().is_empty());
}

/// It would be taken for a file that others have by another name, and only be renamed: who waits for its lock would write there.
#[test]
fn a_second_name_that_a_killed_run_has_left() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    write(directory.path(), "terraform.tfstate", "{}");
    fs::hard_link(at("terraform.tfstate"), at("terraform.tfstate.stateward-link")).unwrap();
    let held = hold_all(directory.path());
    Aside::plan(directory.path(), &held).unwrap().run().unwrap();
    assert!(held[0].is_retired() && !is_there(&at("terraform.tfstate")));
    assert!(!is_there(&at("terraform.tfstate.stateward-link")));
    assert_eq!(fs::read_to_string(at("terraform.tfstate.migrated")).unwrap(), "{}");
}

/// The directory around a volume may go with its container.
#[test]
fn what_lies_on_a_mount_stays_on_it() {
    for mounted in ["terraform.tfstate.d", "terraform.tfstate.d/dev"] {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for (name, text) in
            [("dev/terraform.tfstate", "1"), ("dev/terraform.tfstate.backup", "0"), ("prod/terraform.tfstate", "2")]
        {
            write(directory.path(), &format!("terraform.tfstate.d/{name}"), text);
        }
        let held = hold_all(directory.path());
        let aside = Aside::with(directory.path(), &held, Mounts::at(&[&at(mounted)])).unwrap();
        aside.check().unwrap();
        aside.run().unwrap();
        let is_whole = mounted == "terraform.tfstate.d";
        let prod = if is_whole {
            "terraform.tfstate.d/prod/terraform.tfstate.migrated"
        } else {
            "terraform.tfstate.d.migrated/prod/terraform.tfstate"
        };
        for (name, text) in [("terraform.tfstate.d/dev/terraform.tfstate.migrated", "1"), (prod, "2")] {
            assert_eq!(fs::read_to_string(at(name)).ok().as_deref(), Some(text), "{mounted}: {name}");
        }
        assert_eq!(is_there(&at("terraform.tfstate.d.migrated")), !is_whole, "{mounted}");
        assert!(local_files(directory.path(), None).unwrap().is_empty());
    }
}

#[test]
fn what_cannot_be_put_aside_is_known_before() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let check = |mount: &Path| {
        let held = hold_all(directory.path());
        let checked = Aside::with(directory.path(), &held, Mounts::at(&[mount])).unwrap().check();
        checked.map_err(|error| error.to_string())
    };
    write(directory.path(), "terraform.tfstate", "{}");
    write(directory.path(), "terraform.tfstate.d/dev/terraform.tfstate", "{}");
    assert_eq!(check(directory.path()), Ok(()), "the directory itself may be one");
    for file in ["terraform.tfstate", "terraform.tfstate.d/dev/terraform.tfstate"] {
        let refused = check(&at(file)).unwrap_err();
        assert!(refused.contains(file) && refused.contains("a mount of its own"), "{refused}");
    }
    fs::create_dir(at("elsewhere")).unwrap();
    std::os::unix::fs::symlink("../elsewhere", at("terraform.tfstate.d/test")).unwrap();
    let refused = check(&at("terraform.tfstate.d")).unwrap_err();
    assert!(refused.contains("terraform.tfstate.d/test") && refused.contains("cannot be renamed"), "{refused}");
}

#[test]
fn what_was_put_aside_and_what_was_not_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    write(directory.path(), "terraform.tfstate", "1");
    for workspace in ["dev", "prod"] {
        write(directory.path(), &format!("terraform.tfstate.d/{workspace}/terraform.tfstate"), "2");
    }
    let held = hold_all(directory.path());
    let aside = Aside::plan(directory.path(), &held).unwrap();
    // It comes while it works.
    write(directory.path(), "terraform.tfstate.d.migrated/prod/terraform.tfstate", "somebody's");
    let failed = aside.run().unwrap_err();
    let [dev, prod] = ["dev", "prod"].map(|name| at(&format!("terraform.tfstate.d/{name}/terraform.tfstate")));
    assert_eq!(failed.done, [(dev.clone(), at("terraform.tfstate.d.migrated/dev/terraform.tfstate"))]);
    assert_eq!((&failed.left, &failed.path), (&vec![prod.clone(), at("terraform.tfstate")], &prod));
    assert_eq!(failed.emptied, None);
    assert!(!is_there(&dev) && is_there(&prod) && is_there(&at("terraform.tfstate")));
    drop(held);
    put_aside(directory.path());
    assert!(local_files(directory.path(), None).unwrap().is_empty());
}

#[test]
fn the_backend_is_what_init_recorded() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(Backend::of(directory.path(), None).unwrap(), None);
    let recorded = r#"{"version":3,"serial":1,"lineage":"x","backend":{"type":"http","config":{"address":"http://h/s","lock_address":null},"hash":1}}"#;
    write(directory.path(), ".terraform/terraform.tfstate", recorded);
    let backend = Backend::of(directory.path(), None).unwrap().unwrap();
    assert_eq!((backend.kind.as_str(), backend.text("address")), ("http", Some("http://h/s")));
    assert_eq!((backend.text("lock_address"), backend.text("username")), (None, None));
    write(directory.path(), "elsewhere/terraform.tfstate", r#"{"version":3}"#);
    assert_eq!(Backend::of(directory.path(), Some(Path::new("elsewhere"))).unwrap(), None);
    for none in [
        "{",
        "",
        "[]",
        "null",
        "[{\"type\":\"s3\",\"config\":{}}]",
        r#"{"backend":[]}"#,
        r#"{"backend":["s3",{}]}"#,
        r#"{"backend":{"config":{}}}"#,
        r#"{"backend":{"type":"s3","config":[]}}"#,
    ] {
        write(directory.path(), ".terraform/terraform.tfstate", none);
        let found = Backend::of(directory.path(), None);
        assert!(matches!(found, Err(WorkdirError::Malformed { .. })), "{none}: {found:?}");
    }
}
