//! The two locks of Terraform's `s3` backend, and how to get from one to the other while others work. Pure.
//!
//! Terraform takes both where both are named. So between the two there is a time in which the block names both: whoever has the block of
//! before, and whoever has that of afterwards, still keep each other out.

use crate::edit::Value;

/// Which locks a block names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct S3Locks {
    /// `dynamodb_table`.
    pub table: Option<String>,
    /// `use_lockfile`.
    pub file: bool,
}

/// Which lock is to be the only one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WantedLock {
    /// The object beside the state.
    File,
    /// The item in this table; without a name, in the one that the block names.
    Table(Option<String>),
}

/// What is next on the way to a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockStep {
    /// The block names this lock alone.
    There,
    /// The block is to name both, for a while.
    Both {
        /// The table among them.
        table: String,
        /// There is no other lock yet, so that nobody has to wait for anybody.
        is_first: bool,
    },
    /// The block names both; it is time to wait until everybody's does.
    Wait {
        /// The table among them.
        table: String,
    },
    /// The block is to name the wanted lock alone.
    Finish {
        /// The table that goes or stays.
        table: String,
    },
}

/// Why there is no way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoWay {
    /// No table is named.
    #[error("neither the block nor the command names a table")]
    NoTable,
    /// Another table is named already.
    #[error("the block names the table `{there}`, and the command `{wanted}`")]
    OtherTable {
        /// That of the block.
        there: String,
        /// That of the command.
        wanted: String,
    },
    /// To finish, both have to be named first.
    #[error("the block does not name both locks")]
    NotBoth,
}

impl S3Locks {
    /// What is next on the way to `wanted`. `finish`: everybody's block names both.
    pub fn step(&self, wanted: &WantedLock, finish: bool) -> Result<LockStep, NoWay> {
        let both = self.file && self.table.is_some();
        let table = match (wanted, &self.table) {
            (WantedLock::Table(Some(wanted)), Some(there)) if wanted != there => {
                return Err(NoWay::OtherTable { there: there.clone(), wanted: wanted.clone() });
            }
            (WantedLock::Table(Some(wanted)), _) => Some(wanted.clone()),
            (_, there) => there.clone(),
        };
        let is_there = match wanted {
            WantedLock::File => self.file && self.table.is_none(),
            WantedLock::Table(_) => !self.file && self.table.is_some(),
        };
        match (is_there, both, table) {
            (true, ..) => Ok(LockStep::There),
            (_, true, Some(table)) if finish => Ok(LockStep::Finish { table }),
            (_, true, Some(table)) => Ok(LockStep::Wait { table }),
            _ if finish => Err(NoWay::NotBoth),
            (_, _, Some(table)) => Ok(LockStep::Both { table, is_first: !self.file && self.table.is_none() }),
            // Without any lock there is none to keep for a while.
            (_, _, None) if *wanted == WantedLock::File => Ok(LockStep::Both { table: String::new(), is_first: true }),
            (_, _, None) => Err(NoWay::NoTable),
        }
    }
}

/// The arguments that a step sets, and takes away.
pub fn arguments(step: &LockStep, wanted: &WantedLock) -> Vec<(String, Option<Value>)> {
    let file = |set: bool| ("use_lockfile".to_owned(), set.then_some(Value::Flag(true)));
    let table = |name: Option<&str>| ("dynamodb_table".to_owned(), name.map(Value::from));
    match (step, wanted) {
        (LockStep::There | LockStep::Wait { .. }, _) => Vec::new(),
        (LockStep::Both { .. }, WantedLock::File) => vec![file(true)],
        (LockStep::Both { table: name, .. }, WantedLock::Table(_)) => vec![table(Some(name))],
        (LockStep::Finish { .. }, WantedLock::File) => vec![table(None)],
        (LockStep::Finish { .. }, WantedLock::Table(_)) => vec![file(false)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locks(table: Option<&str>, file: bool) -> S3Locks {
        S3Locks { table: table.map(str::to_owned), file }
    }

    fn to_table(name: &str) -> WantedLock {
        WantedLock::Table(Some(name.to_owned()))
    }

    #[test]
    fn the_way_from_one_lock_to_the_other() {
        let table = || "t".to_owned();
        let any = WantedLock::Table(None);
        for (table_of, file, wanted, finish, expected) in [
            (Some("t"), false, WantedLock::File, false, Ok(LockStep::Both { table: table(), is_first: false })),
            (Some("t"), true, WantedLock::File, false, Ok(LockStep::Wait { table: table() })),
            (Some("t"), true, WantedLock::File, true, Ok(LockStep::Finish { table: table() })),
            (None, true, WantedLock::File, true, Ok(LockStep::There)),
            (None, true, WantedLock::File, false, Ok(LockStep::There)),
            (Some("t"), false, WantedLock::File, true, Err(NoWay::NotBoth)),
            (None, true, to_table("t"), false, Ok(LockStep::Both { table: table(), is_first: false })),
            (Some("t"), true, to_table("t"), false, Ok(LockStep::Wait { table: table() })),
            (Some("t"), true, any.clone(), true, Ok(LockStep::Finish { table: table() })),
            (Some("t"), false, any.clone(), false, Ok(LockStep::There)),
            (None, true, any, false, Err(NoWay::NoTable)),
            (Some("t"), true, to_table("u"), true, Err(NoWay::OtherTable { there: table(), wanted: "u".to_owned() })),
            (None, false, WantedLock::File, false, Ok(LockStep::Both { table: String::new(), is_first: true })),
            (None, false, to_table("t"), false, Ok(LockStep::Both { table: table(), is_first: true })),
        ] {
            assert_eq!(
                locks(table_of, file).step(&wanted, finish),
                expected,
                "{table_of:?} {file} {wanted:?} {finish}"
            );
        }
    }

    #[test]
    fn the_locks_before_and_after_a_step_have_one_in_common() {
        for (mut has, wanted) in [(locks(Some("t"), false), WantedLock::File), (locks(None, true), to_table("t"))] {
            for finish in [false, true] {
                let before = has.clone();
                for (name, value) in arguments(&has.step(&wanted, finish).unwrap(), &wanted) {
                    match (name.as_str(), value) {
                        ("use_lockfile", value) => has.file = value.is_some(),
                        (_, Some(Value::Text(name))) => has.table = Some(name),
                        (_, _) => has.table = None,
                    }
                }
                assert!(before.file && has.file || before.table.is_some() && before.table == has.table, "{has:?}");
            }
            assert_eq!(has.step(&wanted, true), Ok(LockStep::There));
        }
    }
}
