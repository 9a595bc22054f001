//! Files that are not opened, and stay as they are.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use stateward_store::{Expect, Key, Store, StoreError};
use stateward_store_sqlite::{OpenError, Options, SqliteStore};
use tempfile::TempDir;

use crate::{blob, open_in, value, write};

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("stateward.db");
    (directory, path)
}

/// Opens, and expects a refusal that says what to do and leaves the file as it is.
fn refusal(options: &Options) -> OpenError {
    let before = fs::read(&options.path).ok();
    let error = SqliteStore::open(options).unwrap_err();
    assert_eq!(fs::read(&options.path).ok(), before, "the file was changed");
    assert!(!error.advice().is_empty());
    let text = error.to_string();
    assert!(text.starts_with("there is no database at") || text.starts_with('`'), "{text}");
    error
}

fn existing(path: &Path) -> Options {
    Options { create: false, ..Options::new(path) }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_new_file_belongs_to_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("not/there/yet/stateward.db");
    let store = SqliteStore::open(&Options::new(&path)).unwrap();
    store.commit(vec![write("a", "secret", Expect::Absent)]).await.unwrap();
    for end in ["", "-wal", "-shm"] {
        let file = PathBuf::from(format!("{}{end}", path.display()));
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    store.close();
    assert!(!fs::exists(format!("{}-wal", path.display())).unwrap(), "a clean close leaves one file");
    let store = SqliteStore::open(&existing(&path)).unwrap();
    assert_eq!(value(&store, "a").await.as_deref(), Some("secret"));
}

#[test]
fn a_file_that_is_missing() {
    let (directory, path) = place();
    assert!(matches!(refusal(&existing(&path)), OpenError::Missing { .. }));
    let deeper = directory.path().join("no/such/directory/stateward.db");
    assert!(matches!(refusal(&existing(&deeper)), OpenError::Missing { .. }));
    // Where no directory can be made, none is missing: it is the system that does not let us.
    #[cfg(target_os = "linux")]
    assert!(matches!(refusal(&Options::new("/proc/none/here.db")), OpenError::NotWritable { .. }));
    assert!(!directory.path().join("no").exists(), "nothing was created");
    assert!(matches!(StoreError::from(refusal(&existing(&path))), StoreError::NotFound { .. }));
}

#[test]
fn a_path_that_is_no_file() {
    let (directory, path) = place();
    assert!(matches!(refusal(&Options::new(directory.path())), OpenError::NotAFile { .. }));
    fs::write(&path, "a file").unwrap();
    assert!(matches!(refusal(&Options::new(path.join("below.db"))), OpenError::NotAFile { .. }));
}

#[test]
fn a_file_that_is_no_database() {
    let (_directory, path) = place();
    fs::write(&path, "{\"version\": 4, \"terraform_version\": \"1.15.5\"}").unwrap();
    let error = refusal(&Options::new(&path));
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
    assert!(matches!(StoreError::from(error), StoreError::Unsupported { .. }));
}

#[test]
fn a_database_of_another_program() {
    let (directory, path) = place();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE record (key)").unwrap();
    assert!(matches!(refusal(&Options::new(&path)), OpenError::Foreign { .. }));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing lies beside it");
}

#[test]
fn an_empty_file_is_filled_only_where_one_may_be_made() {
    let (_directory, path) = place();
    fs::write(&path, "").unwrap();
    assert!(matches!(refusal(&existing(&path)), OpenError::Blank { .. }));
    SqliteStore::open(&Options::new(&path)).unwrap().close();
    SqliteStore::open(&existing(&path)).unwrap().close();
}

#[test]
fn a_database_of_a_newer_version() {
    let (directory, path) = place();
    open_in(directory.path()).close();
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 2).unwrap();
    let error = refusal(&Options::new(&path));
    assert!(matches!(error, OpenError::Newer { found: 2, known: 1, .. }));
    assert!(error.to_string().contains("written by a newer stateward"), "{error}");
    assert!(error.advice().contains("upgrade"));
}

#[tokio::test]
async fn a_database_that_was_cut_short() {
    let (directory, path) = place();
    let store = open_in(directory.path());
    let mut session = store.session(&Key::new("a"));
    session.put((0..20).map(|n| blob(n, 500_000)).collect()).await.unwrap();
    session.commit(vec![write("a", "published", Expect::Absent)]).await.unwrap();
    store.close();
    let whole = fs::metadata(&path).unwrap().len();
    fs::File::options().write(true).open(&path).unwrap().set_len(whole / 2).unwrap();
    let error = refusal(&Options::new(&path));
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
    assert!(matches!(StoreError::from(error), StoreError::Corrupt { .. }));
}

#[tokio::test]
async fn a_small_database_that_is_damaged_inside() {
    let (directory, path) = place();
    let store = open_in(directory.path());
    for n in 0..200 {
        store.commit(vec![write(&format!("key {n}"), &"v".repeat(500), Expect::Absent)]).await.unwrap();
    }
    store.close();
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xFF);
    fs::write(&path, bytes).unwrap();
    let error = refusal(&Options::new(&path));
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
}

#[test]
fn a_schema_that_is_not_ours() {
    let (directory, path) = place();
    open_in(directory.path()).close();
    Connection::open(&path).unwrap().execute_batch("DROP TABLE blob").unwrap();
    assert!(matches!(refusal(&Options::new(&path)), OpenError::Corrupt { .. }));
}

/// The administrator may write everywhere, so this shows nothing when the tests run as root.
#[test]
fn a_file_or_directory_that_cannot_be_written() {
    if rustix::process::geteuid().is_root() {
        stateward_testkit::did_not_run("root may write everywhere; to run it too: run the tests as somebody else");
        return;
    }
    let (directory, path) = place();
    open_in(directory.path()).close();
    let chmod = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    chmod(&path, 0o400);
    assert!(matches!(refusal(&Options::new(&path)), OpenError::NotWritable { .. }));
    chmod(&path, 0o600);
    chmod(directory.path(), 0o500);
    assert!(matches!(refusal(&Options::new(&path)), OpenError::NotWritable { .. }));
    chmod(directory.path(), 0o700);
    open_in(directory.path()).close();
}
