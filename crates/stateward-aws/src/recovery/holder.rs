//! Whether whoever holds a lock is gone, as far as can be known from here.
//!
//! A lock of Terraform's tells who took it, where and when, and nothing of whether that run is still alive. Only on the very machine
//! can that be seen; everywhere else what is known is told, and whoever knows more has to decide.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use stateward_store::outside::LockInfo;
use stateward_store_s3::{LockKind, StandingLock};

/// When a lock was taken, where its information says so.
pub fn taken_at(info: &LockInfo) -> Option<Timestamp> {
    info.created.parse().ok()
}

/// This machine.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Its name, as Terraform writes it into locks.
    pub host: String,
    /// Where the kernel shows its processes: `/proc`.
    pub processes: PathBuf,
}

/// What is known of a lock's holder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Weighed {
    /// What it comes to.
    pub verdict: Verdict,
    /// What it rests on.
    pub evidence: Vec<Evidence>,
}

/// What the evidence comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The holder is gone.
    Gone,
    /// It may be alive.
    MayLive,
}

/// Something that was found, or could not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Whether it shows that the holder is gone, or that it may be alive; null where it shows neither.
    pub shows: Option<Verdict>,
    /// What.
    pub what: String,
}

/// How much clocks may differ from what the kernel says of processes.
const SLACK: SignedDuration = SignedDuration::from_secs(5);
/// The two locks of one run are taken one after the other.
const BETWEEN: SignedDuration = SignedDuration::from_mins(2);
/// The namespace of processes that a machine starts with; a container has another.
const FIRST_NAMESPACE: &str = "pid:[4026531836]";
/// The kernel counts the starts of processes in these parts of a second.
const TICKS: i64 = 100;
/// Names that many machines have.
const COMMON_HOSTS: &[&str] = &["", "localhost", "localhost.localdomain", "runner", "ubuntu", "debian"];
/// What the names of programs that take Terraform's locks begin with.
const NAMES: &[&str] = &["terra", "tofu", "tf", "stateward"];
/// What their command lines hold, where they have other names.
const PROGRAMS: &[&str] = &["terraform", "tofu"];

/// Weighs what is known of who holds the locks of a state. `kinds` are the locks that the backend takes, `written` is when the state was
/// written last.
pub fn weigh(
    locks: &[StandingLock],
    kinds: &[LockKind],
    written: Option<Timestamp>,
    machine: &Machine,
    now: Timestamp,
) -> Weighed {
    let mut evidence = Vec::new();
    let mut infos: Vec<LockInfo> = locks.iter().map(StandingLock::lock_info).collect();
    infos.dedup_by(|one, other| one.id == other.id && one.created == other.created && one.who == other.who);
    let mut gone = !infos.is_empty();
    for info in &infos {
        let found = on_machine(info, machine);
        gone &= found.shows == Some(Verdict::Gone);
        evidence.push(found);
        evidence.extend(ahead(info, now));
        if let (Some(taken), Some(written)) = (taken_at(info), written) {
            evidence.push(written_since(taken, written));
        }
    }
    if let [lock] = locks
        && kinds.len() > 1
        && taken_at(&lock.lock_info()).is_none_or(|taken| now.duration_since(taken) > BETWEEN)
    {
        let (held, missing) = match lock.kind {
            LockKind::File => ("lock file", "item in the lock table"),
            LockKind::Item => ("item in the lock table", "lock file"),
        };
        let what = format!(
            "only the {held} stands and no {missing}: a run takes both, so one was cut off, or has other options"
        );
        evidence.push(Evidence { shows: None, what });
    }
    Weighed { verdict: if gone { Verdict::Gone } else { Verdict::MayLive }, evidence }
}

fn written_since(taken: Timestamp, written: Timestamp) -> Evidence {
    let what = if written < taken {
        format!("the state was written last at {written}, before the lock was taken: its holder has written nothing")
    } else {
        format!("the state was written at {written}, since the lock was taken: its holder got as far as that")
    };
    Evidence { shows: None, what }
}

/// A lock that is younger than now.
fn ahead(info: &LockInfo, now: Timestamp) -> Option<Evidence> {
    let taken = taken_at(info).filter(|taken| *taken > now + SLACK)?;
    let what = format!(
        "it says that it was taken at {taken}, and here it is {now}: the clocks differ, so its age is not known"
    );
    Some(Evidence { shows: None, what })
}

fn on_machine(info: &LockInfo, machine: &Machine) -> Evidence {
    let open = |what: String| Evidence { shows: None, what };
    if let Some(job) = ci::job(&info.who) {
        return open(job);
    }
    let host = info.who.rsplit_once('@').map_or("", |(_, host)| host);
    if host != machine.host {
        let whose = if host.is_empty() { "an unknown machine".to_owned() } else { format!("`{host}`") };
        return open(format!(
            "it was taken on {whose}, and this is `{}`: whether that run is alive cannot be seen from here, and a lock has no sign of life \
             by which its age would tell; ask {}, or look at its job where it ran in CI",
            machine.host,
            if info.who.is_empty() { "around" } else { &info.who }
        ));
    }
    if COMMON_HOSTS.contains(&host) {
        return open(format!("many machines are called `{host}`: this need not be the one that took it"));
    }
    let Some(taken) = taken_at(info) else { return open("it does not say when it was taken".to_owned()) };
    match running_since(&machine.processes, taken) {
        Ok(Found::Restarted(at)) => Evidence {
            shows: Some(Verdict::Gone),
            what: format!("it was taken on this machine, `{host}`, which was started since, at {at}"),
        },
        Ok(Found::Process(process)) => Evidence {
            shows: Some(Verdict::MayLive),
            what: format!(
                "it was taken on this machine, `{host}`, where process {process} has been running since before"
            ),
        },
        Ok(Found::Nothing) => Evidence {
            shows: Some(Verdict::Gone),
            what: format!(
                "it was taken on this machine, `{host}`, where nothing runs that is called after Terraform or OpenTofu and is as old as the lock"
            ),
        },
        Err(why) => open(format!("it was taken on this machine, `{host}`, but {why}")),
    }
}

/// What was found of runs that are as old as a lock.
enum Found {
    Restarted(Timestamp),
    Process(String),
    Nothing,
}

/// Looks for runs of Terraform that are as old as a lock; says why where that cannot be seen.
fn running_since(processes: &Path, taken: Timestamp) -> Result<Found, String> {
    let unseen = || "what runs on it cannot be seen".to_owned();
    let read = |name: &str| fs::read_to_string(processes.join(name)).map_err(|_| unseen());
    let stat = read("stat")?;
    let booted = stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok()).ok_or_else(unseen)?;
    let booted = Timestamp::from_second(booted).map_err(|_| unseen())?;
    if booted > taken + SLACK {
        return Ok(Found::Restarted(booted));
    }
    let namespace = fs::read_link(processes.join("self/ns/pid")).map_err(|_| unseen())?;
    if namespace != Path::new(FIRST_NAMESPACE) {
        return Err("this runs in a container, which does not show what else runs".to_owned());
    }
    // Others' processes may be hidden.
    read("1/comm")?;
    for entry in fs::read_dir(processes).map_err(|_| unseen())? {
        let Some(id) = entry.ok().and_then(|entry| entry.file_name().into_string().ok()) else { continue };
        if id.parse::<u32>().is_err() || Some(id.as_str()) == own(processes).as_deref() {
            continue;
        }
        // One that ends meanwhile holds no lock any more.
        let Some((name, started)) = run(&processes.join(&id), booted) else { continue };
        if started <= taken + SLACK {
            return Ok(Found::Process(format!("{id} ({name})")));
        }
    }
    Ok(Found::Nothing)
}

fn own(processes: &Path) -> Option<String> {
    fs::read_link(processes.join("self")).ok()?.to_str().map(str::to_owned)
}

/// A run of one of the programs: its name, and when it started. Its command line counts, too, for it may run in an interpreter; that is not
/// shown, since it may hold secrets.
fn run(directory: &Path, booted: Timestamp) -> Option<(String, Timestamp)> {
    let stat = fs::read_to_string(directory.join("stat")).ok()?;
    let (head, fields) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    let ticks: i64 = fields.split_ascii_whitespace().nth(19)?.parse().ok()?;
    let line = fs::read(directory.join("cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&line);
    let is_one = NAMES.iter().any(|beginning| name.starts_with(beginning))
        || PROGRAMS.iter().any(|program| line.contains(program));
    is_one.then(|| (name, booted + SignedDuration::from_millis(ticks.saturating_mul(1000) / TICKS)))
}

mod ci;
#[cfg(test)]
mod tests;
