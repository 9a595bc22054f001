//! Which bucket is a store's: noted in the table and marked in the bucket the first time, and found again whenever the store is opened.

use stateward_store::{Result, StoreError};
use stateward_store_aws::{BucketError, Location};

use crate::depot::{Depot, Mark};
use crate::home::Epoch;
use crate::item::{Action, Change, Condition, Item, WRITE, number, text, text_in};
use crate::open::Opener;
use crate::options::Blobs;
use crate::places::{At, Layout};
use crate::refusal::OpenError;
use crate::table::{Table, Unwritten};

/// Where the bytes were to go when they first went to a bucket, for people.
const PLACE: &str = "P";
/// The bucket has been marked.
const MARKED: &str = "C";

/// What the table says of the bucket.
struct Noted {
    /// The store's id; the mark in the bucket has the same.
    id: String,
    place: String,
    marked: bool,
}

impl Noted {
    fn read(item: &Item) -> Option<Self> {
        let text = |name| text_in(item, name).map(str::to_owned);
        Some(Self { id: text(WRITE)?, place: text(PLACE)?, marked: item.contains_key(MARKED) })
    }
}

fn at(layout: &Layout) -> At {
    layout.meta("blobs")
}

impl Opener {
    /// The bucket for the bytes of packs, if the store has one. `table` is where the store is opened, in this epoch.
    pub(crate) async fn depot(
        &self,
        table: &Table,
        layout: &Layout,
        epoch: &Epoch,
    ) -> Result<Option<Depot>, OpenError> {
        let noted = self.noted(table, layout).await?;
        let Some(options) = &self.options().blobs else {
            return match noted.filter(|noted| noted.marked) {
                None => Ok(None),
                Some(noted) => Err(self.elsewhere(noted, None)),
            };
        };
        let depot = self.bucket(options)?;
        // Before anything is written: what cannot be used is noted nowhere.
        let mark = depot.owner().await.map_err(|error| self.unusable(error))?;
        let is_replica = self.options().read_replica;
        let noted = match noted {
            Some(noted) => noted,
            // Replication may bring the note later.
            None if is_replica => return Ok(Some(depot)),
            None if mark.is_some() => return Err(self.taken(&depot, mark.as_ref())),
            None => self.note(table, layout, &depot).await?,
        };
        match mark {
            Some(mark) if mark.id == noted.id => {}
            Some(mark) => return Err(self.taken(&depot, Some(&mark))),
            None if noted.marked || is_replica => return Err(self.elsewhere(noted, Some(&depot))),
            None => {
                let mark =
                    Mark { id: noted.id.clone(), epoch: epoch.number, table: self.options().state_table.clone() };
                let there = depot.claim(&mark).await.map_err(|error| self.unusable(error))?;
                if there.id != noted.id {
                    return Err(self.taken(&depot, Some(&there)));
                }
            }
        }
        if !noted.marked && !is_replica {
            self.confirm(table, layout, &depot, &noted).await?;
        }
        Ok(Some(depot.in_epoch(epoch.number, table.fence.is_some())))
    }

    /// Sees to it that no former home deletes objects, before a new one begins without having asked it.
    pub(crate) async fn take_over_blobs(&self, table: &Table, next: &Epoch) -> Result<()> {
        let layout = Layout(format!("{}{}", self.prefix(), next.old_space.as_deref().unwrap_or_default()));
        let Some(noted) = self.noted(table, &layout).await?.filter(|noted| noted.marked) else { return Ok(()) };
        let Some(options) = &self.options().blobs else { return Err(self.elsewhere(noted, None).into()) };
        let depot = self.bucket(options)?;
        match depot.owner().await.map_err(|error| self.unusable(error))? {
            Some(mark) if mark.id != noted.id => Err(self.taken(&depot, Some(&mark)).into()),
            None => Err(self.elsewhere(noted, Some(&depot)).into()),
            Some(mark) if mark.epoch >= next.number => Ok(()),
            Some(mark) => {
                depot.renew(&Mark { epoch: next.number, ..mark }).await?;
                // Whoever looked before may be deleting yet.
                tokio::time::sleep(self.options().home_lease).await;
                Ok(())
            }
        }
    }

    fn bucket(&self, options: &Blobs) -> Result<Depot, OpenError> {
        let at = Location {
            bucket: &options.place.bucket,
            region: options.region.as_deref(),
            endpoint: options.endpoint.as_deref(),
        };
        let bucket = stateward_store_aws::bucket(at, &options.objects, self.configuration(), self.counter());
        Ok(Depot::new(bucket.map_err(|error| self.unusable(error))?, options.place.clone()))
    }

    async fn noted(&self, table: &Table, layout: &Layout) -> Result<Option<Noted>, OpenError> {
        let item = table.get(&at(layout)).await.map_err(|fault| self.failed(self.region(), fault))?;
        Ok(item.as_ref().and_then(Noted::read))
    }

    /// Gives the store an id for its bucket, or finds that somebody else did.
    async fn note(&self, table: &Table, layout: &Layout, depot: &Depot) -> Result<Noted, OpenError> {
        let (id, place) = (self.next_id(), depot.url());
        let item: Item = [(WRITE.to_owned(), text(&id)), (PLACE.to_owned(), text(&place))].into();
        let put = Action::put(at(layout), item).when(Condition::new("attribute_not_exists(W)"));
        match table.write(&[put]).await {
            Ok(()) => Ok(Noted { id, place, marked: false }),
            Err(Unwritten::Conditions(_)) => match self.noted(table, layout).await? {
                Some(noted) => Ok(noted),
                None => Err(OpenError::Unavailable {
                    table: self.options().state_table.clone(),
                    reason: "what was noted of the bucket is gone again".into(),
                }),
            },
            Err(Unwritten::Store(error)) => Err(self.failed_to_write(error)),
        }
    }

    /// From here on the store is not opened without the bucket.
    async fn confirm(&self, table: &Table, layout: &Layout, depot: &Depot, noted: &Noted) -> Result<(), OpenError> {
        let same = Condition::new("W = :id").with(":id", text(&noted.id));
        let change = Change::default().set(PLACE, text(depot.url())).set(MARKED, number(1));
        match table.write(&[Action::update(at(layout), change).when(same)]).await {
            // Unknown: whoever opens the store next does it again.
            Ok(()) | Err(Unwritten::Conditions(_) | Unwritten::Store(StoreError::OutcomeUnknown { .. })) => Ok(()),
            Err(Unwritten::Store(error)) => Err(self.failed_to_write(error)),
        }
    }

    fn failed_to_write(&self, error: StoreError) -> OpenError {
        OpenError::of_store(&self.options().state_table, error)
    }

    fn unusable(&self, error: BucketError) -> OpenError {
        OpenError::Bucket { table: self.options().state_table.clone(), error }
    }

    fn taken(&self, depot: &Depot, by: Option<&Mark>) -> OpenError {
        let table = by.map(|mark| mark.table.as_str()).unwrap_or_default();
        self.unusable(depot.taken(&format!("the blobs of another store in DynamoDB (table `{table}`)")))
    }

    fn elsewhere(&self, noted: Noted, named: Option<&Depot>) -> OpenError {
        let table = self.options().state_table.clone();
        OpenError::Blobs { table, place: noted.place, named: named.map(Depot::url) }
    }
}
