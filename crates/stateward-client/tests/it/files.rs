//! From files and places of other programs, to files, and back.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use async_trait::async_trait;
use stateward_client::transfer::{Copied, Export, Files, Place, Snapshot, Snapshots, copy, export};
use stateward_client::{Connection, Source};
use stateward_core::{BodyStream, Error, Kind, Result, Timestamp, Workspace};

use crate::world::{World, body, id, kept, kind};

struct Text(String);

#[async_trait]
impl Source for Text {
    async fn open(&self) -> Result<BodyStream> {
        Ok(BodyStream::of(self.0.clone()))
    }
}

/// A bucket that keeps old objects, oldest first.
struct Bucket(BTreeMap<String, Vec<String>>);

#[async_trait]
impl Place for Bucket {
    fn name(&self) -> String {
        "s3://bucket/key".to_owned()
    }

    async fn workspaces(&self) -> Result<Vec<Workspace>> {
        Ok(self.0.keys().map(|name| name.parse().unwrap()).collect())
    }

    async fn snapshots(&self, workspace: &Workspace) -> Result<Vec<Snapshot>> {
        let objects = self.0.get(workspace.as_str()).unwrap();
        let time = |n: usize| Timestamp::from_second(1_700_000_000 + i64::try_from(n).unwrap()).unwrap();
        Ok((0..objects.len()).map(|n| Snapshot { id: n.to_string(), created: Some(time(n)) }).collect())
    }

    async fn open(&self, workspace: &Workspace, snapshot: &Snapshot) -> Result<BodyStream> {
        let objects = self.0.get(workspace.as_str()).unwrap();
        Ok(BodyStream::of(objects[snapshot.id.parse::<usize>().unwrap()].clone()))
    }
}

async fn take_in(place: &dyn Place, all: bool, to: &World) -> Result<(Copied, Vec<String>), Error> {
    let looked = Snapshots::look(place, Workspace::default(), all, &mut |_| {}).await?;
    let left_out = looked.left_out.iter().map(|left_out| left_out.id.clone()).collect();
    Ok((copy(&looked, &to.local, &id("a"), &mut |_| {}).await?, left_out))
}

#[tokio::test]
async fn a_file_keeps_its_serial_and_lineage_and_is_taken_in_once() {
    let to = World::new(1).await;
    let file = |text: String, written| {
        Files::new("terraform.tfstate").with(Workspace::default(), written, Box::new(Text(text)))
    };
    let then = Timestamp::from_second(1_600_000_000).unwrap();
    let (copied, _) = take_in(&file(body(41), Some(then)), false, &to).await.unwrap();
    assert_eq!((copied.copied, copied.serial, copied.version.0), (1, 41, 1));
    assert_eq!(copied.lineage, "11111111-2222-3333-4444-555555555555");
    assert_eq!(to.get("a").await.unwrap(), body(41));
    let item = to.history("a").await.remove(0);
    assert_eq!((item.created, item.who.as_str(), item.operation.as_str()), (then, "unknown", "import"));
    assert_eq!(
        (item.tool.as_str(), item.imported.unwrap().from.as_str()),
        ("terraform_version 1.15.5", "terraform.tfstate")
    );
    // The same file, copied elsewhere meanwhile.
    assert_eq!(take_in(&file(body(41), None), false, &to).await.unwrap().0.copied, 0);
    assert_eq!(kind(take_in(&file(body(42), None), false, &to).await), Kind::Conflict);
    for text in ["", "{", "[]", "no state"] {
        let error = take_in(&file(text.to_owned(), None), false, &World::new(2).await).await.unwrap_err();
        assert_eq!((error.kind(), error.what()), (Kind::Invalid, "the state was not imported"), "{text}");
    }
}

#[tokio::test]
async fn old_objects_become_the_history() {
    let objects = vec![body(1), "garbage".to_owned(), body(2), body(2), body(5)];
    let bucket = Bucket(BTreeMap::from([("default".to_owned(), objects)]));
    let to = World::new(1).await;
    let (copied, left_out) = take_in(&bucket, true, &to).await.unwrap();
    assert_eq!((copied.versions, left_out), (4, vec!["1".to_owned()]));
    let history = to.history("a").await;
    assert_eq!(history.iter().map(|item| item.serial).collect::<Vec<_>>(), [5, 2, 2, 1]);
    assert!(history.iter().all(|item| item.created < item.imported.as_ref().unwrap().at && item.who == "unknown"));
    to.assert_sound("a history from a bucket").await;
    assert_eq!(take_in(&bucket, true, &to).await.unwrap().0.copied, 0);
    let current = World::new(2).await;
    assert_eq!(take_in(&bucket, false, &current).await.unwrap().0.versions, 1);
    assert_eq!(current.get("a").await.unwrap(), body(5));
    let broken = Bucket(BTreeMap::from([("default".to_owned(), vec![body(1), "garbage".to_owned()])]));
    assert_eq!(kind(take_in(&broken, true, &World::new(3).await).await), Kind::Invalid);
}

#[tokio::test]
async fn an_export_holds_everything_and_comes_back_byte_for_byte() {
    let from = World::keeping(2, 1).await.having("net/prod@dev", 3).await;
    from.local.prune().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out");
    let exported = export(&from.local, &id("net/prod@dev"), &path, true, &mut |_| {}).await.unwrap();
    assert_eq!((exported.versions, exported.pruned), (3, 1));
    assert_eq!(exported.bytes, (body(2).len() + body(3).len()) as u64);
    assert_eq!(fs::read_to_string(path.join("v3.tfstate")).unwrap(), body(3));
    assert_eq!(fs::metadata(path.join("v3.tfstate")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(!path.join("v1.tfstate").exists());
    let index: serde_json::Value = serde_json::from_slice(&fs::read(path.join("index.json")).unwrap()).unwrap();
    assert_eq!((&index["state"], &index["workspace"]), (&"net/prod".into(), &"dev".into()));
    assert_eq!(
        (&index["items"][2]["file"], &index["items"][0]["file"]),
        (&"v3.tfstate".into(), &serde_json::Value::Null)
    );

    let to = World::new(2).await;
    let read = Export::read(&path).await.unwrap().unwrap();
    assert_eq!(read.state, id("net/prod@dev"));
    copy(&read, &to.local, &id("b"), &mut |_| {}).await.unwrap();
    assert_eq!(kept(to.history("b").await), kept(from.history("net/prod@dev").await));
    assert_eq!((to.get("b").await, from.get("net/prod@dev").await), (Some(body(3)), Some(body(3))));
    assert_eq!(to.history("b").await[0].imported.as_ref().unwrap().from, "an export of net/prod@dev in memory:");
    to.assert_sound("what came back").await;
}

#[tokio::test]
async fn the_current_version_alone_is_an_export_too() {
    let from = World::new(1).await.having("a", 3).await;
    let directory = tempfile::tempdir().unwrap();
    let exported = export(&from.local, &id("a"), directory.path(), false, &mut |_| {}).await.unwrap();
    assert_eq!(exported.versions, 1);
    let to = World::new(2).await;
    copy(&Export::read(directory.path()).await.unwrap().unwrap(), &to.local, &id("a"), &mut |_| {}).await.unwrap();
    let item = to.history("a").await.remove(0);
    assert_eq!((item.version.0, item.imported.unwrap().version.map(|version| version.0)), (1, Some(3)));
}

#[tokio::test]
async fn nothing_is_written_over_and_what_was_cut_off_is_written_anew() {
    let from = World::new(1).await.having("a", 2).await;
    let directory = tempfile::tempdir().unwrap();
    let try_it = async || export(&from.local, &id("a"), directory.path(), true, &mut |_| {}).await;
    fs::write(directory.path().join("v1.tfstate"), "half").unwrap();
    fs::write(directory.path().join("v2.tfstate.partial"), "hal").unwrap();
    try_it().await.unwrap();
    assert_eq!(fs::read_to_string(directory.path().join("v1.tfstate")).unwrap(), body(1));
    assert_eq!(kind(try_it().await), Kind::Invalid, "it is whole");
    assert_eq!(kind(export(&from.local, &id("never"), directory.path(), true, &mut |_| {}).await), Kind::NotFound);
}

#[tokio::test]
async fn a_damaged_export_is_refused() {
    let from = World::new(1).await.having("a", 2).await;
    let directory = tempfile::tempdir().unwrap();
    export(&from.local, &id("a"), directory.path(), true, &mut |_| {}).await.unwrap();
    let come_back = async || {
        let to = World::new(2).await;
        let read = Export::read(directory.path()).await?.unwrap();
        let copied = copy(&read, &to.local, &id("a"), &mut |_| {}).await;
        assert!(to.get("a").await.is_none(), "half of it is current");
        copied
    };
    fs::write(directory.path().join("v2.tfstate"), body(2).replace("hunter2", "hunter3")).unwrap();
    assert_eq!(kind(come_back().await), Kind::Invalid);
    fs::remove_file(directory.path().join("v2.tfstate")).unwrap();
    assert_eq!(kind(come_back().await), Kind::Invalid);
    let index = directory.path().join("index.json");
    let text = fs::read_to_string(&index).unwrap();
    for wrong in [
        text.replace("v1.tfstate", "../v1.tfstate"),
        text.replace("\"schema\": 1", "\"schema\": 9"),
        text.replace("\"head\": true", "\"head\": false"),
        "{".into(),
    ] {
        fs::write(&index, wrong).unwrap();
        assert_eq!(kind(come_back().await), Kind::Invalid);
    }
    fs::write(&index, "{\"other\": 1}").unwrap();
    assert!(Export::read(directory.path()).await.unwrap().is_none(), "not ours");
}
