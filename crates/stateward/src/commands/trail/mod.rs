//! `stateward trail`: the calls that AWS refused, as `CloudTrail` recorded them.

mod live;
mod told;

use std::io;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use stateward_aws::trail::{self, Content, Fix, Refusal, Tally, Unreadable, Wanted};
use stateward_core::Clock;

use super::Context;
use crate::cli::{Moment, TrailArgs};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output;
use crate::system::SystemClock;

/// For what is no log of `CloudTrail`.
const FOR_OTHERS: &str = "error texts and logs of other kinds are for `stateward explain`";
/// How far back AWS is asked, unless told.
const BACK: SignedDuration = SignedDuration::from_hours(24);

/// The answer.
#[derive(Debug, Serialize)]
struct Answer {
    items: Vec<Refusal>,
    /// How many refused calls no item stands for: there are too many different ones.
    left_out: u64,
    /// How many records were read.
    records: u64,
    /// What the records cannot tell, and what could not be read.
    warnings: Vec<String>,
    /// With `--fix`: what would have allowed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<Fix>,
}

/// What is being read.
struct Reading {
    wanted: Wanted,
    now: Timestamp,
    tally: Tally,
    content: Content,
    warnings: Vec<String>,
    /// Something was not read to its end.
    is_short: bool,
}

pub(super) async fn run(context: &Context, args: &TrailArgs) -> Result<Exit> {
    let now = SystemClock.now();
    let wanted = wanted(args, now)?;
    let mut reading = Reading {
        wanted,
        now,
        tally: Tally::default(),
        content: Content::default(),
        warnings: Vec::new(),
        is_short: false,
    };
    if args.lookup {
        live::lookup(&mut reading, args).await?;
    }
    for source in &args.source {
        if source.starts_with("s3://") {
            live::bucket(&mut reading, args, source).await?;
        } else {
            reading.files(source)?;
        }
    }
    reading.answer(context, args.fix)
}

fn wanted(args: &TrailArgs, now: Timestamp) -> Result<Wanted> {
    let time = |moment: Option<Moment>| match moment {
        None => Ok(None),
        Some(Moment::At(time)) => Ok(Some(time)),
        Some(Moment::Ago(length)) => now.checked_sub(length).map(Some).map_err(|error| {
            let next = "give a time, such as `2026-03-01T10:00:00Z`";
            Failure::usage("so long ago there were no times", error.to_string(), next)
        }),
    };
    let (since, until) = (time(args.since)?, time(args.until)?);
    if let Some(since) = since.filter(|since| *since > now) {
        let why = format!("`--since` is {since}, and it is {now} now");
        return Err(Failure::usage(
            "nothing is recorded yet of what is to come",
            why,
            "give `--since` a time before now",
        ));
    }
    if let (Some(since), Some(until)) = (since, until)
        && since >= until
    {
        let why = format!("`--since` is {since}, and `--until` is {until}");
        return Err(Failure::usage(
            "there is no time between these",
            why,
            "give `--until` a later time than `--since`",
        ));
    }
    Ok(Wanted { since, until, principal: args.principal.clone(), action: args.action.clone() })
}

impl Reading {
    /// What is asked of AWS is limited, where nobody has said how.
    fn recent(&self) -> Wanted {
        let since = || self.wanted.until.unwrap_or(self.now).checked_sub(BACK).ok();
        Wanted { since: self.wanted.since.or_else(since), ..self.wanted.clone() }
    }

    /// A file, a directory, or standard input.
    fn files(&mut self, source: &str) -> Result<()> {
        if source == "-" {
            let (wanted, tally) = (&self.wanted, &mut self.tally);
            let outcome = trail::read(io::stdin().lock(), &mut |record| take(wanted, tally, record));
            self.took("standard input", outcome);
            return Ok(());
        }
        let files = trail::files_below(Path::new(source)).map_err(|failed| {
            let next = "check its path, and that you may read it";
            Failure::file("the logs cannot be read", &failed.path, &failed.error, next)
        })?;
        if files.is_empty() {
            self.warnings.push(format!("`{source}` is a directory without files: hidden ones are left out"));
            self.is_short = true;
        }
        for path in files {
            let (wanted, tally) = (&self.wanted, &mut self.tally);
            let outcome = trail::read_file(&path, &mut |record| take(wanted, tally, record));
            self.took(&format!("`{}`", path.display()), outcome);
        }
        Ok(())
    }

    fn took(&mut self, name: &str, (content, outcome): (Content, Result<(), Unreadable>)) {
        self.content = self.content.and(content);
        if let Err(why) = outcome {
            let before = match content.records {
                0 => String::new(),
                records => format!("; the {} before count", output::human::counted(records, "record")),
            };
            let next = match why {
                Unreadable::NotJson { .. } if content.records == 0 => format!(": {FOR_OTHERS}"),
                Unreadable::CutOff => "; fetch it again".to_owned(),
                _ => String::new(),
            };
            self.warnings.push(format!("{name}: {why}{next}{before}"));
        } else if content.is_blank() {
            self.warnings.push(format!("{name} is empty: there is nothing in it, not even a list without records"));
        } else if content.is_foreign() {
            self.warnings.push(format!("{name} holds no records of CloudTrail: {FOR_OTHERS}"));
        } else {
            return;
        }
        self.is_short = true;
    }

    /// Something could not be read, and nothing else was there to be read.
    fn is_bad_input(&self) -> bool {
        self.is_short && self.content.records == 0 && self.content.digests == 0
    }

    fn answer(mut self, context: &Context, fix: bool) -> Result<Exit> {
        let is_bad_input = self.is_bad_input();
        if self.content.digests > 0 {
            let digests = output::human::counted(self.content.digests, "digest file");
            self.warnings.push(format!("{digests} left out: digests hold no records of calls"));
        }
        let (items, left_out) = self.tally.finish();
        if left_out > 0 {
            let left_out = output::human::counted(left_out, "further refused call");
            self.warnings.push(format!("{left_out} are in no line: narrow the time, `--principal` or `--action`"));
        }
        let fix = fix.then(|| trail::fix(&items));
        let answer = Answer { items, left_out, records: self.content.records, warnings: self.warnings, fix };
        if !context.out.json {
            answer.warnings.iter().for_each(|warning| output::note(&told::warning(warning)));
        }
        if answer.items.is_empty() && !context.out.json {
            output::note(&if is_bad_input { told::unread() } else { told::nothing(answer.records) });
        } else {
            context.out.answer(&answer, || {
                let fix = answer.fix.as_ref().map(told::fix).unwrap_or_default();
                told::table(&answer.items, context.times()) + &fix
            })?;
        }
        Ok(match (is_bad_input, self.is_short) {
            (true, _) => Exit::Usage,
            (false, true) => Exit::Failed,
            (false, false) => Exit::Done,
        })
    }
}

fn take(wanted: &Wanted, tally: &mut Tally, record: &serde_json::Value) {
    if let Some(denied) = wanted.denied(record) {
        tally.add(denied);
    }
}
