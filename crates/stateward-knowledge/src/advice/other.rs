//! What only looks like a refusal: locks, digests, Regions, networks, plans.

use stateward_denial::{Kind, Problem, Reason};
use stateward_iam::names;

use super::{Advice, Who, words};

pub(super) fn advise(problem: &Problem) -> Advice {
    match problem.kind {
        Kind::LockHeld => lock_held(problem),
        Kind::DigestMismatch => digest(problem),
        Kind::NotFound => not_found(problem),
        Kind::Region => region(problem),
        Kind::Network => network(problem),
        Kind::StalePlan => stale_plan(problem),
        Kind::Conflict => conflict(problem),
        Kind::Throttled => Advice::new("AWS limits how often it is asked", "Too many requests came at once.")
            .then(Who::You, "Wait and try again; the SDKs have tried a few times already.", "The limit is of a moment.")
            .then(
                Who::You,
                "For a large configuration, lower `-parallelism`; for a lock table, use on-demand capacity.",
                "Then fewer requests come at once, or more may.",
            )
            .but_not("Attaching policies", "Nobody refused it."),
        Kind::Other | Kind::AccessDenied | Kind::Authentication => rest(problem),
    }
}

fn reason(problem: &Problem) -> Option<Reason> {
    problem.failure.as_ref().and_then(|failure| failure.reason)
}

fn subject(problem: &Problem) -> String {
    let subject = problem.failure.as_ref().and_then(|failure| failure.subject.as_ref());
    subject.map(|subject| format!(" `{subject}`")).unwrap_or_default()
}

fn lock_held(problem: &Problem) -> Advice {
    let lock = problem.lock.clone().unwrap_or_default();
    let title = match &lock.who {
        Some(who) => format!("The state is locked by {who}"),
        None => "The state is locked".to_owned(),
    };
    let mut why = match (&lock.operation, &lock.created) {
        (Some(operation), Some(created)) => format!("Somebody holds the lock for `{operation}` since {created}."),
        (_, Some(created)) => format!("Somebody holds the lock since {created}."),
        _ => "Somebody holds the lock; the text does not say who.".to_owned(),
    };
    if !problem.certain {
        why.push_str(" It may have been given back meanwhile, or be the run's own: a request that was tried again can meet the lock that the first try took.");
    }
    let id = lock.id.as_deref().map_or_else(|| "ID".into(), words::in_shell);
    let mut advice = Advice::new(title, why).then(
        Who::You,
        "Find the run that holds it: who and since when stand in the text. Wait for it, or let it end.",
        "A lock is mostly a run that is still going on. `-lock-timeout=10m` waits; by itself Terraform does not.",
    );
    let may_be_s3 = lock.path.as_deref().is_none_or(|path| bucket_and_key(path).is_some());
    if may_be_s3 {
        advice = advice
            .then(
                Who::You,
                inspect(lock.path.as_deref()),
                "It shows both kinds of lock, how old they are, and whether their run is known to be over.",
            )
            .then(
                Who::You,
                format!("Where it says that the holder is gone: `stateward lock inspect . --release --id {id}`."),
                "It removes exactly that lock, and none that was taken since.",
            );
    }
    advice
        .then(
            Who::You,
            format!(
                "Only if that run is surely dead: `terraform force-unlock {id}`, after a look at what it has changed."
            ),
            "A lock whose run was killed stays for ever: nothing but this takes it away.",
        )
        .but_not(
            "`force-unlock` without having seen that the run is over",
            "If the other run is alive, both write, and one's changes are lost. Neither age nor haste is evidence.",
        )
        .but_not("`-lock=false`", "It does not wait for the other run: the same loss.")
        .but_not(
            "Attaching policies",
            "Nobody was refused: the request to take the lock was allowed, and found it taken.",
        )
}

/// The bucket and the key, where the path of a lock may be these.
fn bucket_and_key(path: &str) -> Option<(&str, &str)> {
    let (bucket, key) = path.split_once('/')?;
    (names::bucket_there(bucket).is_ok() && !key.is_empty()).then_some((bucket, key))
}

/// How to look at a lock of the `s3` backend.
fn inspect(path: Option<&str>) -> String {
    const THERE: &str =
        "If the backend is `s3`, look at the lock in the directory of the configuration: `stateward lock inspect .`";
    match path.and_then(bucket_and_key) {
        Some((bucket, key)) => {
            let url = format!("s3://{bucket}/{key}?use_lockfile=true");
            let url = words::in_shell(&url);
            format!("{THERE}; a lock file also from anywhere else: `stateward lock inspect {url}`.")
        }
        None => format!("{THERE}."),
    }
}

fn digest(problem: &Problem) -> Advice {
    let digest = problem.digest.clone().unwrap_or_default();
    let place = match (&digest.bucket, &digest.key) {
        (Some(bucket), Some(key)) => format!(" (`{bucket}/{key}`)"),
        _ => String::new(),
    };
    let found = digest.calculated.as_deref().or(digest.set_to.as_deref());
    let item = match (&digest.bucket, &digest.key) {
        (Some(bucket), Some(key)) => format!("`{bucket}/{key}-md5`"),
        _ => "`BUCKET/KEY-md5`".to_owned(),
    };
    Advice::new(
        format!("The state is not the one that the lock table knows{place}"),
        "The lock table holds the MD5 of the state that was written last, and the object in S3 has another. Somebody wrote one without \
         the other: a run that ended in between, or an object that was restored or uploaded by hand.",
    )
    .then(
        Who::You,
        "Wait a minute and try again, if a run has just ended.",
        "The object and the digest are written one after the other.",
    )
    .then(
        Who::You,
        "In the directory of the configuration, have both sides compared: `stateward state repair . --dry-run`; without `--dry-run` it asks, and puts right the side that is wrong.",
        "It looks at the versions of the object, at serials and lineage, before it says which side is right.",
    )
    .then(
        Who::You,
        "Or by hand: look at the versions of the object, and decide which one is right, mostly the newest with the highest serial.",
        "The digest is only a number: what it is to be follows from the state that is right.",
    )
    .then(
        Who::You,
        match found {
            Some(md5) => format!("If the object as it is now is right, set `Digest` of the item {item} to `{md5}`."),
            None => format!("If the object as it is now is right, set `Digest` of the item {item} to its MD5."),
        },
        "Otherwise restore the right version first, and set the digest to its MD5.",
    )
    .but_not(
        "Setting the digest before looking at the object",
        "If the object is an old or empty state, the next apply makes everything again.",
    )
    .but_not("`force-unlock`", "No lock is in the way.")
}

fn not_found(problem: &Problem) -> Advice {
    let subject = subject(problem);
    let (what, step, why) = match reason(problem) {
        Some(Reason::Bucket) => (
            "The bucket",
            "Check its name, and the account and profile of the run; make it if it was never made.",
            "Terraform's backend does not make its bucket.",
        ),
        Some(Reason::Object) => (
            "The object",
            "Check `key`, the workspace and its prefix (`env:/NAME/KEY`).",
            "A state that was never written does not exist; a lock file goes away when it is given back.",
        ),
        Some(Reason::Table) => (
            "The table",
            "Check its name, its Region and the account of the run; make it with the key `LockID` (string) if it was never made.",
            "A table is of one Region and account, and Terraform's backend does not make it.",
        ),
        Some(Reason::Key) => {
            ("The KMS key", "Check its ARN: Region, account, alias.", "A key is of one Region and account.")
        }
        Some(Reason::Entity) => (
            "The user, role or policy",
            "Check its name and path, and the account of the run.",
            "IAM was just changed? It takes some seconds until a new one is there.",
        ),
        _ => (
            "What was asked for",
            "Check its name, its Region and the account of the run.",
            "It is not where the run looks.",
        ),
    };
    Advice::new(
        format!("{what}{subject} does not exist"),
        "AWS knows who asked and would have answered; there is nothing there.",
    )
    .then(Who::You, made(problem).unwrap_or_else(|| step.to_owned()), why)
    .but_not("Attaching policies", "Nobody refused it.")
}

/// For a bucket whose name is known, with the command that makes it.
fn made(problem: &Problem) -> Option<String> {
    let bucket = problem.failure.as_ref()?.subject.as_deref()?;
    (reason(problem) == Some(Reason::Bucket) && names::bucket(bucket).is_ok()).then(|| {
        format!(
            "Check its name, and the account and profile of the run; if it was never made, `stateward setup aws --bucket {bucket}` makes it."
        )
    })
}

fn region(problem: &Problem) -> Advice {
    let failure = problem.failure.clone().unwrap_or_default();
    if failure.reason == Some(Reason::NoRegion) {
        return Advice::new("No Region is set", "The SDK does not know where to send the request.").then(
            Who::You,
            "Set `region` in the backend block, or `AWS_REGION`.",
            "The backend does not take the provider's Region.",
        );
    }
    let (title, step) = match &failure.region {
        Some(region) => (
            format!("It is in another Region: {region}"),
            format!("Set `region = \"{region}\"`, or `AWS_REGION={region}`."),
        ),
        None => (
            "It is in another Region".to_owned(),
            "Ask for the bucket's: `aws s3api head-bucket --bucket BUCKET` prints it, also where it refuses."
                .to_owned(),
        ),
    };
    Advice::new(title, "The request went to one Region, and what it is about is in another.")
        .then(Who::You, step, "A bucket has one Region, whatever its name says.")
        .but_not("Attaching policies", "Nobody refused it.")
}

fn network(problem: &Problem) -> Advice {
    let subject = subject(problem);
    let (title, step, why) = match reason(problem) {
        Some(Reason::Dns) => (
            format!("The name{subject} could not be resolved"),
            "Check the resolver, and the Region in the name; in a VPC its DNS settings and private endpoints.",
            "A Region that does not exist makes a name that does not exist.",
        ),
        Some(Reason::Timeout) => (
            format!("No answer from{}", if subject.is_empty() { " AWS" } else { &subject }),
            "Check the way out: a route, NAT or VPC endpoint, security groups, a proxy that has to be set.",
            "A subnet without a way out gives no error, only silence.",
        ),
        Some(Reason::Tls) => (
            "The certificate was not taken".to_owned(),
            "Give the SDK the authority of the proxy that opens TLS: `AWS_CA_BUNDLE`, `custom_ca_bundle`.",
            "Somebody between the run and AWS signs with a certificate of its own.",
        ),
        _ => (
            "AWS was not reached".to_owned(),
            "Check the way out, proxies, and the endpoint in the configuration.",
            "Nobody listens where the request went.",
        ),
    };
    Advice::new(title, "The request did not get to AWS, or the answer did not come back.")
        .then(Who::You, step, why)
        .but_not("Attaching policies", "AWS has not seen the request.")
}

fn stale_plan(problem: &Problem) -> Advice {
    if reason(problem) == Some(Reason::OtherLineage) {
        return Advice::new(
            "The plan was made for another state",
            "Plan and state have different lineages: the backend, the workspace or the directory is another one than when the plan was made.",
        )
        .then(Who::You, "Check backend, workspace and directory, and plan again there.", "A plan fits the one state that it was made from.");
    }
    Advice::new(
        "The plan is stale",
        "The state was changed after the plan was made, so that the plan may no longer be true.",
    )
    .then(
        Who::You,
        "Plan again, look at it, and apply that.",
        "Terraform applies a saved plan to exactly the state that it was made from.",
    )
    .then(
        Who::You,
        "If plans and applies of several people cross, keep the lock from plan to apply, or run them in one queue.",
        "Between plan and apply nobody holds the state.",
    )
}

fn conflict(problem: &Problem) -> Advice {
    match reason(problem) {
        Some(Reason::SerialNotNewer) => Advice::new(
            "The state that is there is not older",
            "What was to be written has a serial that is not higher than that of the state in the backend.",
        )
        .then(Who::You, "Pull the state that is there, compare, and decide which one is right.", "Somebody has written since.")
        .but_not("`state push -force` without comparing", "What the other run did would be forgotten."),
        Some(Reason::OtherLineage) => Advice::new(
            "The state that is there is another one",
            "It has another lineage: it did not come from what was to be written.",
        )
        .then(Who::You, "Check backend, key and workspace.", "Two states mostly got mixed up.")
        .but_not("`state push -force`", "It would replace a foreign state."),
        Some(Reason::LockId) => Advice::new(
            "The lock is not held under this ID",
            "It is held under another one, or not at all.",
        )
        .then(Who::You, "Take the ID from a fresh error text: run `terraform plan`.", "It may have been given back and taken again.")
        .but_not("Deleting the lock's item or object by hand", "If another run has taken it meanwhile, two runs write."),
        Some(Reason::ConditionFailed) => Advice::new(
            "A conditional write found something else",
            "What was written on a condition had been written or taken before: by somebody else, or by the same request that was tried again.",
        )
        .then(Who::You, "Look at what is there now, and try again.", "The condition says that somebody was first.")
        .but_not("Attaching policies", "The request was allowed, and came second."),
        Some(Reason::Exists) => {
            Advice::new(format!("It exists already{}", subject(problem)), "Something of this name was made before.")
                .then(Who::You, "Import it, or choose another name.", "Names of buckets are taken for the whole world.")
        }
        _ => Advice::new("Something else is under way there", "Another change of the same thing has not ended.")
            .then(Who::You, "Wait until it has ended, and try again.", "AWS makes one change after the other."),
    }
}

fn rest(problem: &Problem) -> Advice {
    match reason(problem) {
        Some(reason @ (Reason::KeySchema | Reason::KeyState | Reason::Archived | Reason::Unsupported)) => unfit(reason),
        Some(Reason::MalformedPolicy) => Advice::new(
            "AWS does not take the policy",
            "The document is no policy: an element, an ARN or a principal in it is not right.",
        )
        .then(
            Who::You,
            "Have it looked at: `stateward policy lint FILE`.",
            "It names the place. A principal that was deleted, or a role with another path, is refused so too.",
        ),
        Some(Reason::LockFailed) => Advice::new(
            "The lock could not be taken",
            "The text does not say why: it is cut, or the reason stands before or behind it.",
        )
        .then(
            Who::You,
            "Give the whole output to `stateward explain`, or run again with `TF_LOG=debug`.",
            "Held, refused and not reached are mended in different ways.",
        )
        .but_not("`force-unlock`", "Perhaps nobody holds it."),
        Some(Reason::TooLarge) => {
            Advice::new("It is larger than the service takes", "A request was refused for its size.").then(
                Who::You,
                "Split the state, or keep it where there is no such limit.",
                "The limit cannot be raised.",
            )
        }
        Some(Reason::NotSubscribed) => Advice::new(
            "The account does not have this service or Region",
            "It has to be enabled once, or the account is new.",
        )
        .then(Who::AccountAdmin, "Enable it in the account's settings.", "Then the same request goes through."),
        _ => {
            let code = problem.failure.as_ref().and_then(|failure| failure.code.clone());
            Advice::new(
                code.map_or_else(|| "An error of AWS or Terraform".to_owned(), |code| format!("AWS answered {code}")),
                "It is no refusal, and nothing more is known of it here.",
            )
            .then(Who::You, "Read the text around it.", "What it is about stands there.")
        }
    }
}

/// What is asked is there, and such that nobody could be served.
fn unfit(reason: Reason) -> Advice {
    match reason {
        Reason::KeySchema => Advice::new(
            "The lock table has another key",
            "Terraform writes items with the key `LockID` (a string), and the table has another key or a sort key besides.",
        )
        .then(
            Who::ResourceOwner,
            "Make a table whose partition key is `LockID`, a string, without a sort key, and name it in `dynamodb_table`.",
            "A table's key cannot be changed.",
        )
        .but_not("Attaching policies", "The request was allowed, and did not fit the table."),
        Reason::KeyState => Advice::new(
            "The KMS key cannot be used",
            "It is disabled, or waits for its deletion.",
        )
        .then(
            Who::KeyOwner,
            "Cancel the deletion (`aws kms cancel-key-deletion`) and enable it (`aws kms enable-key`).",
            "What it has encrypted can be read by it alone; when it is deleted that is lost.",
        )
        .but_not("Attaching policies", "Rights on a disabled key open nothing."),
        Reason::Archived => Advice::new(
            "The object lies in an archive",
            "A lifecycle rule, or whoever wrote it, put it into a storage class that cannot be read before a copy is restored.",
        )
        .then(
            Who::ResourceOwner,
            "Restore it (`aws s3api restore-object`), copy it over itself into `STANDARD`, and take states out of the lifecycle rule.",
            "A restored copy goes after some days, and the rule would take the state again.",
        )
        .but_not("Attaching policies", "S3 answers 403 here, and refuses nobody.")
        .but_not("Pushing an empty or old state in its place", "What the state knows is not lost: it only cannot be read yet."),
        _ => Advice::new(
            "The storage does not know this kind of request",
            "It speaks S3, but not all of it: mostly conditional writes or checksums are missing.",
        )
        .then(
            Who::You,
            "See whether a newer version knows conditional writes (`If-None-Match`); else keep the lock elsewhere.",
            "A lock file needs them: without them two runs can both take it.",
        )
        .but_not("`-lock=false`", "Two runs at once can overwrite each other's state."),
    }
}
