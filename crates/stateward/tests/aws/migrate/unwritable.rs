//! What cannot be written in a directory: it is known before anything is copied or locked.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use stateward_testkit::{AwsEnv, Cli, FaultProxy, Moto, Output, TestDir, Workdir};

use super::meanwhile::{at_first, writes};
use super::{KEY, Place, answer, workdir};
use crate::{LIMIT, state};

/// The administrator may write everywhere, unless that right is taken away.
const LESS: [&str; 2] = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"];

/// Runs a migration behind other programs, which are to run it.
fn behind(dir: &TestDir, env: &AwsEnv, before: &[&str], arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_stateward");
    let words = [before, &[program, "migrate", "--json", "--dir", "work"], arguments].concat();
    let (first, rest) = words.split_first().unwrap();
    let path = OsString::from("/usr/sbin:/usr/bin:/sbin:/bin");
    Cli::new(first, dir).env("PATH", path).envs(env.pairs()).limit(LIMIT).run(rest)
}

/// Without the administrator's right to write everywhere.
fn migrate(dir: &TestDir, env: &AwsEnv, arguments: &[&str]) -> Output {
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    behind(dir, env, if is_root { &LESS } else { &[] }, arguments)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A directory whose state is in files, with a workspace and a block.
fn in_files(dir: &TestDir, block: &str) -> Workdir {
    let work = workdir(dir);
    work.write("terraform.tfstate", state(3, "x"));
    work.write("terraform.tfstate.d/dev/terraform.tfstate", state(4, "y"));
    work.write(block, "terraform {\n  backend \"local\" {}\n}\n");
    fs::create_dir(work.path().join(".terraform")).unwrap();
    work
}

#[test]
fn what_cannot_be_written_is_known_before_anything_is_copied_or_locked() {
    let (dir, place) = (TestDir::new(), Place::new());
    let proxy = FaultProxy::to(Moto::shared().url());
    let to = place.url(proxy.url());
    for (block, name, mode, is_printed) in [
        ("backend.tf", "backend.tf", 0o444, true),
        ("z_override.tf", "z_override.tf", 0o444, true),
        ("backend.tf", "", 0o555, true),
        ("backend.tf", "terraform.tfstate", 0o444, false),
        ("backend.tf", "terraform.tfstate.d/dev", 0o555, true),
        ("backend.tf", "terraform.tfstate.d/dev/terraform.tfstate", 0o444, false),
        ("backend.tf", ".terraform", 0o555, false),
    ] {
        let work = in_files(&dir, block);
        let path = work.path().join(name);
        set_mode(&path, mode);
        for flag in ["--yes", "--dry-run"] {
            let refused = migrate(&dir, &AwsEnv::new(), &["--to", &to, flag]);
            assert_ne!(refused.code(), Some(0), "{name}: {}", refused.report());
            assert!(refused.stderr.contains("nothing was moved"), "{name}: {}", refused.report());
            let said = refused.stderr.to_lowercase();
            assert!(said.contains(&name.to_lowercase()) && said.contains("permission denied"), "{}", refused.report());
        }
        let writes: Vec<_> = proxy.requests().into_iter().filter(stateward_testkit::SeenRequest::writes).collect();
        assert!(writes.is_empty(), "{name}: {writes:?}");
        assert!(!work.path().join(".terraform/stateward-migrate").exists(), "{name}");
        if is_printed {
            let printed = migrate(&dir, &AwsEnv::new(), &["--to", &to, "--print", "--dry-run"]);
            printed.expect_success();
        }
        set_mode(&path, 0o755);
        fs::remove_dir_all(work.path()).unwrap();
        proxy.forget_requests();
    }
}

#[test]
fn a_block_that_cannot_be_written_keeps_its_lock() {
    let (dir, place) = (TestDir::new(), Place::new());
    let proxy = FaultProxy::to(Moto::shared().url());
    let work = workdir(&dir);
    work.write_s3_backend(&place.table_backend(proxy.url()));
    Moto::shared().put_object(&place.bucket, KEY, state(3, "x"));
    set_mode(&work.path().join("backend.tf"), 0o444);
    let refused = migrate(&dir, &AwsEnv::new(), &["--to", "lockfile", "--yes"]).expect_code(4);
    assert!(refused.stderr.contains("work/backend.tf") && refused.stderr.contains("--print"), "{}", refused.report());
    assert!(!proxy.requests().iter().any(stateward_testkit::SeenRequest::writes), "{:?}", proxy.counts());
}

/// The directory in which locks are noted, and the store that is to be made.
#[test]
fn places_that_cannot_be_made() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = in_files(&dir, "backend.tf");
    let to = place.url(moto.url());
    fs::create_dir(dir.join("closed")).unwrap();
    set_mode(&dir.join("closed"), 0o555);
    let store = format!("sqlite:{}", dir.join("closed/here.db").display());
    let refused = migrate(&dir, &moto.env(), &["--to", &store, "--state", "a", "--yes"]).expect_code(4);
    assert!(refused.stderr.contains("closed` cannot be written"), "{}", refused.report());
    set_mode(&dir.join("closed"), 0o755);

    let data = work.path().join(".terraform");
    fs::remove_dir(&data).unwrap();
    symlink("no/such", &data).unwrap();
    let refused = migrate(&dir, &moto.env(), &["--to", &to, "--yes"]);
    assert!(refused.code() != Some(0) && refused.stderr.contains("leads nowhere"), "{}", refused.report());
    fs::remove_file(&data).unwrap();
    work.write(".terraform/stateward-migrate", "");
    set_mode(&data.join("stateward-migrate"), 0o444);
    let refused = migrate(&dir, &moto.env(), &["--to", &to, "--yes"]);
    assert!(refused.code() != Some(0) && refused.stderr.contains("stateward-migrate"), "{}", refused.report());
    assert!(moto.objects(&place.bucket).is_empty());
    assert!(work.path().join("terraform.tfstate").exists());
}

/// The rights go while it works: the state is at the new place by then.
#[test]
fn files_that_were_not_put_aside_are_named() {
    let (dir, place) = (TestDir::new(), Place::new());
    let work = in_files(&dir, "backend.tf");
    work.write("terraform.tfstate.d/prod/terraform.tfstate", state(5, "z"));
    let proxy = FaultProxy::to(Moto::shared().url());
    let closed = work.path().join("terraform.tfstate.d/prod");
    let closes = closed.clone();
    at_first(&proxy, writes, move || set_mode(&closes, 0o555));
    let arguments = ["--to", &place.url(proxy.url()), "--yes"];
    let cut = migrate(&dir, &AwsEnv::new(), &arguments).expect_code(2);
    for told in [
        "the state is at the new place, and not all of its files were put aside",
        "`work/terraform.tfstate.d/dev/terraform.tfstate` is now `work/terraform.tfstate.d.migrated/dev/terraform.tfstate`",
        "`work/terraform.tfstate.d/prod/terraform.tfstate` is as it was",
        "`work/terraform.tfstate` is as it was",
    ] {
        assert!(cut.stderr.contains(told), "{told}: {}", cut.report());
    }
    assert_eq!(place.object("prod"), state(5, "z"));
    place.expect_no_lock("after it was cut off");
    set_mode(&closed, 0o755);
    migrate(&dir, &AwsEnv::new(), &arguments).expect_success();
    for (name, text) in [
        ("terraform.tfstate.migrated", state(3, "x")),
        ("terraform.tfstate.d.migrated/dev/terraform.tfstate", state(4, "y")),
        ("terraform.tfstate.d.migrated/prod/terraform.tfstate", state(5, "z")),
    ] {
        assert_eq!(dir.read(format!("work/{name}")), text, "{name}");
    }
    assert!(!work.path().join("terraform.tfstate").exists() && !work.path().join("terraform.tfstate.d").exists());
}

/// How a process gets mounts of its own; `None` where that is not allowed, as in some containers.
fn mounts() -> Option<&'static str> {
    let can = |flags: &&str| {
        let mut tried = Command::new("unshare");
        tried.args([*flags, "sh", "-c", "mount --bind /tmp /tmp"]).stderr(std::process::Stdio::null());
        tried.status().is_ok_and(|status| status.success())
    };
    ["-m", "-rm"].into_iter().find(can)
}

/// With these names mounted on themselves, as containers have what comes from outside.
fn migrate_mounted(dir: &TestDir, unshare: &str, mounted: &[&str], arguments: &[&str]) -> Output {
    let binds: Vec<String> = mounted.iter().map(|name| format!("mount --bind work/{name} work/{name} && ")).collect();
    let script = format!("{}exec \"$@\"", binds.concat());
    behind(dir, &Moto::shared().env(), &["unshare", unshare, "sh", "-c", &script, "sh"], arguments)
}

#[test]
fn what_is_a_mount_of_its_own() {
    let Some(unshare) = mounts() else {
        eprintln!("mounts are not tried: `unshare -m` is not allowed here");
        return;
    };
    let moto = Moto::shared();
    // A single file can be neither renamed nor replaced.
    for (file, is_dev) in
        [("backend.tf", false), ("terraform.tfstate", false), ("terraform.tfstate.d/dev/terraform.tfstate", true)]
    {
        let (dir, place) = (TestDir::new(), Place::new());
        let work = in_files(&dir, "backend.tf");
        let arguments = ["--to", &place.url(moto.url()), "--yes"];
        let refused = migrate_mounted(&dir, unshare, &[file], &arguments);
        assert_ne!(refused.code(), Some(0), "{file}: {}", refused.report());
        for told in [file, "is a mount of its own", "--print"] {
            assert!(refused.stderr.contains(told), "{told}: {}", refused.report());
        }
        assert!(moto.objects(&place.bucket).is_empty() && work.path().join("terraform.tfstate").exists());
        let printed = migrate_mounted(&dir, unshare, &[file], &[&arguments[..], &["--print"]].concat());
        printed.expect_success();
        assert_eq!(
            place.object(if is_dev { "dev" } else { "default" }),
            state(if is_dev { 4 } else { 3 }, if is_dev { "y" } else { "x" })
        );
        assert!(work.path().join(file).exists());
    }
    // What lies on a volume stays on it, with its backups.
    for mounted in [
        &["terraform.tfstate.d"][..],
        &["terraform.tfstate.d/dev"],
        &["terraform.tfstate.d/dev", "terraform.tfstate.d/dev/terraform.tfstate.backup"],
        &["terraform.tfstate.d/prod/terraform.tfstate.backup"],
    ] {
        let (dir, place) = (TestDir::new(), Place::new());
        let work = in_files(&dir, "backend.tf");
        work.write("terraform.tfstate.d/prod/terraform.tfstate", state(5, "z"));
        for workspace in ["dev", "prod"] {
            work.write(&format!("terraform.tfstate.d/{workspace}/terraform.tfstate.backup"), state(1, "old"));
        }
        let arguments = ["--to", &place.url(moto.url()), "--yes"];
        let done = migrate_mounted(&dir, unshare, mounted, &arguments).expect_success();
        assert_eq!(answer(&done)["outcome"], "done", "{mounted:?}");
        let is_whole = mounted == ["terraform.tfstate.d"];
        for (workspace, text) in [("dev", state(4, "y")), ("prod", state(5, "z"))] {
            let stays = is_whole || mounted.contains(&format!("terraform.tfstate.d/{workspace}").as_str());
            let (directory, suffix) =
                if stays { ("terraform.tfstate.d", ".migrated") } else { ("terraform.tfstate.d.migrated", "") };
            let aside = dir.read(format!("work/{directory}/{workspace}/terraform.tfstate{suffix}"));
            assert_eq!(aside, text, "{mounted:?}: {workspace}");
            let backup = format!("terraform.tfstate.d/{workspace}/terraform.tfstate.backup");
            let stays = stays || mounted.contains(&backup.as_str());
            let directory = if stays { "terraform.tfstate.d" } else { "terraform.tfstate.d.migrated" };
            let there = format!("work/{directory}/{workspace}/terraform.tfstate.backup");
            assert_eq!(dir.read(there), state(1, "old"), "{mounted:?}: {workspace}");
        }
        let again = migrate_mounted(&dir, unshare, mounted, &arguments).expect_success();
        assert_eq!(answer(&again)["outcome"], "unchanged", "{mounted:?}");
    }
}
