//! Checks what the engine itself can check.

use futures::FutureExt;
use stateward_store::{Problem, Result, StoreError};
use stateward_store_aws::{LISTED_MAX, Names, together};

use crate::pack::{self, PackName};
use crate::records::{Home, Records};
use crate::store::Shared;
use crate::sweep::{Listed, read_index};

/// Reads every record, and the index of every pack.
pub(crate) async fn verify(shared: &Shared) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for records in [&shared.records, &shared.meta] {
        let directory = records.directory();
        let mut after = None;
        while let Some(names) = next_page(records, &directory, &mut after).await? {
            let check = |(name, _): (String, u64)| async move { check_record(records, &name).await }.boxed();
            gather(&mut problems, together::each(names.into_iter().map(check)).await)?;
        }
    }
    let (directory, mut after) = (pack::all(&shared.records.root), None);
    while let Some(names) = next_page(&shared.records, &directory, &mut after).await? {
        let check = |(name, size): (String, u64)| async move { check_pack(shared, &name, size).await }.boxed();
        gather(&mut problems, together::each(names.into_iter().map(check)).await)?;
    }
    Ok(problems)
}

/// Names and sizes after `after`; moves it.
async fn next_page(
    records: &Records,
    directory: &str,
    after: &mut Option<String>,
) -> Result<Option<Vec<(String, u64)>>> {
    let names = Names { prefix: directory.to_owned(), after: after.clone(), limit: LISTED_MAX };
    let page = records.bucket.list(&names).await?;
    *after = page.objects.last().map(|last| last.name.clone());
    let names: Vec<_> = page.objects.into_iter().map(|object| (object.name, object.size)).collect();
    Ok(Some(names).filter(|names| !names.is_empty()))
}

/// Damage is what was looked for; that something could not be looked at is an error.
fn gather(problems: &mut Vec<Problem>, checked: Vec<Result<Option<Problem>>>) -> Result<()> {
    for checked in checked {
        match checked {
            Ok(problem) => problems.extend(problem),
            Err(StoreError::Corrupt { what, reason } | StoreError::Unsupported { what, reason }) => {
                problems.push(Problem { what, why: reason });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn check_record(records: &Records, name: &str) -> Result<Option<Problem>> {
    let Some(found) = records.read_object(name).await? else { return Ok(None) };
    let key = &found.known.header.key;
    if records.name(key) == name {
        return Ok(None);
    }
    Ok(Some(Problem {
        what: name.to_owned(),
        why: format!("it holds the record `{key}`, which belongs elsewhere: it was copied by hand; remove it"),
    }))
}

async fn check_pack(shared: &Shared, name: &str, size: u64) -> Result<Option<Problem>> {
    let problem = |why: &str| Ok(Some(Problem { what: name.to_owned(), why: why.to_owned() }));
    let Some(pack) = PackName::parse(&shared.records.root, name) else {
        return problem("it lies among the packs and has not the name of one; remove it if you put it there");
    };
    match read_index(shared, &Listed { name: pack, size }).await? {
        Some(index) if Home::of(&index.key) != pack.home => problem("it belongs to another record's directory"),
        // Deleted meanwhile by a sweep.
        _ => Ok(None),
    }
}
