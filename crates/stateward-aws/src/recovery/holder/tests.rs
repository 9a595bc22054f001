use std::os::unix::fs::symlink;

use super::*;

const BOOT: i64 = 1_700_000_000;

/// A machine that was started at [`BOOT`], with processes that were started so many seconds later.
fn machine(namespace: &str, processes: &[(u32, &str, i64)]) -> (tempfile::TempDir, Machine) {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    fs::write(at("stat"), format!("cpu 1 2 3\nbtime {BOOT}\n")).unwrap();
    fs::create_dir_all(at("77/ns")).unwrap();
    symlink("77", at("self")).unwrap();
    symlink(namespace, at("77/ns/pid")).unwrap();
    for (id, name, started) in [&[(1, "init", 0), (77, "stateward", 50)], processes].concat() {
        fs::create_dir_all(at(&id.to_string())).unwrap();
        let ticks = started * TICKS;
        let stat = format!("{id} ({name}) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 {ticks} 0 0");
        fs::write(at(&format!("{id}/stat")), stat).unwrap();
        fs::write(at(&format!("{id}/comm")), name).unwrap();
    }
    let machine = Machine { host: "vm7".to_owned(), processes: root.path().to_owned() };
    (root, machine)
}

fn lock(kind: LockKind, who: &str, taken: i64) -> StandingLock {
    let created = Timestamp::from_second(BOOT + taken).unwrap();
    let info = format!(r#"{{"ID":"x","Operation":"OperationTypeApply","Who":"{who}","Created":"{created}"}}"#);
    StandingLock::new(kind, info.into())
}

#[track_caller]
fn check(machine: &Machine, lock: &StandingLock, verdict: Verdict, words: &str) {
    let now = Timestamp::from_second(BOOT + 10_000).unwrap();
    let weighed = weigh(std::slice::from_ref(lock), &[lock.kind], None, machine, now);
    assert_eq!(weighed.verdict, verdict, "{weighed:?}");
    assert!(weighed.evidence.iter().any(|evidence| evidence.what.contains(words)), "{weighed:?}");
}

#[test]
fn a_holder_is_gone_where_no_run_on_its_machine_is_as_old_as_the_lock() {
    let later = [(80, "terraform", 2000), (81, "nginx", 3)];
    let (_root, machine) = machine(FIRST_NAMESPACE, &later);
    check(&machine, &lock(LockKind::File, "ana@vm7", 1000), Verdict::Gone, "nothing runs that is called after");
    check(&machine, &lock(LockKind::File, "ana@vm7", -1000), Verdict::Gone, "which was started since");
    check(&machine, &lock(LockKind::File, "ana@vm7", 2010), Verdict::MayLive, "process 80 (terraform)");
}

#[test]
fn a_holder_may_be_alive_where_it_cannot_be_seen() {
    let (_root, container) = machine("pid:[4026532001]", &[]);
    check(&container, &lock(LockKind::File, "ana@vm7", 1000), Verdict::MayLive, "container");
    let (_root, machine) = machine(FIRST_NAMESPACE, &[(80, "tofu", 10)]);
    check(&machine, &lock(LockKind::File, "ana@vm8", 1000), Verdict::MayLive, "taken on `vm8`");
    check(&machine, &lock(LockKind::File, "runner", 1000), Verdict::MayLive, "an unknown machine");
    check(&machine, &lock(LockKind::File, "ana@vm7", 1000), Verdict::MayLive, "process 80 (tofu)");
    check(&machine, &StandingLock::new(LockKind::Item, "no information".into()), Verdict::MayLive, "unknown machine");
    let hidden = Machine { processes: machine.processes.join("nowhere"), ..machine.clone() };
    check(&hidden, &lock(LockKind::File, "ana@vm7", 1000), Verdict::MayLive, "cannot be seen");
    fs::write(
        machine.processes.join("80/stat"),
        fs::read_to_string(machine.processes.join("80/stat")).unwrap().replace("tofu", "python3"),
    )
    .unwrap();
    fs::write(machine.processes.join("80/cmdline"), "python3\0/usr/bin/terraform\0apply\0").unwrap();
    check(&machine, &lock(LockKind::File, "ana@vm7", 1000), Verdict::MayLive, "process 80 (python3)");
    let common = Machine { host: "localhost".to_owned(), ..machine };
    check(&common, &lock(LockKind::File, "ana@localhost", 1000), Verdict::MayLive, "many machines");
}

#[test]
fn a_job_of_ci_is_named_and_a_clock_that_differs_is_told() {
    let (_root, machine) = machine(FIRST_NAMESPACE, &[]);
    check(&machine, &lock(LockKind::File, "ana (GitHub Actions o/r 7)", 1000), Verdict::MayLive, "actions/runs/7");
    check(&machine, &lock(LockKind::File, "runner@fv-az1-2", 1000), Verdict::MayLive, "GitHub's own runners");
    check(&machine, &lock(LockKind::File, "ana@vm8", 20_000), Verdict::MayLive, "the clocks differ");
}

#[test]
fn all_holders_have_to_be_gone() {
    let (_root, machine) = machine(FIRST_NAMESPACE, &[]);
    let (gone, alive) = (lock(LockKind::File, "ana@vm7", 1000), lock(LockKind::Item, "bo@vm8", 1000));
    let now = Timestamp::from_second(BOOT + 10_000).unwrap();
    let kinds = [LockKind::File, LockKind::Item];
    let weighed = |locks: &[StandingLock]| weigh(locks, &kinds, Some(now), &machine, now);
    assert_eq!(weighed(&[gone.clone(), alive]).verdict, Verdict::MayLive);
    let half = weighed(&[gone]);
    assert_eq!(half.verdict, Verdict::Gone);
    let told: Vec<&str> = half.evidence.iter().map(|evidence| evidence.what.as_str()).collect();
    assert!(told.iter().any(|what| what.contains("only the lock file stands")), "{told:?}");
    assert!(told.iter().any(|what| what.contains("got as far as that")), "{told:?}");
    assert_eq!(weighed(&[]).verdict, Verdict::MayLive, "nobody is not somebody who is gone");
}
