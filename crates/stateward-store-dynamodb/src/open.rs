//! Opening: the tables are looked at, and the home is found.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use aws_config::SdkConfig;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::commit::Committer;
use crate::connect::clients;
use crate::home::{Epoch, FORMAT, Fence, latest};
use crate::options::Options;
use crate::places::Layout;
use crate::records::Records;
use crate::refusal::OpenError;
use crate::rounds::Rounds;
use crate::schema::{self, Kind};
use crate::shared::{BUCKET_UPLOADS_MAX, Shared, UPLOADS_MAX};
use crate::shelf::Shelf;
use crate::store::Now;
use crate::table::{Table, Unwritten};
use stateward_store_aws::{Counter, Fault, Ids, configuration};

/// How often the trail of homes is followed from Region to Region.
const HOMES_MAX: usize = 5;

/// What is needed to open a store, once more where its home has moved.
pub(crate) struct Opener {
    options: Options,
    configuration: SdkConfig,
    /// The Region that is near.
    region: String,
    counter: Counter,
    ids: Arc<Ids>,
    now: Now,
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener").field("options", &self.options).field("region", &self.region).finish_non_exhaustive()
    }
}

/// An epoch, and the table in its home Region.
pub(crate) struct Home {
    pub(crate) epoch: Epoch,
    pub(crate) table: Table,
    /// When it was asked whether there was a later one.
    pub(crate) seen: Instant,
}

impl Opener {
    pub(crate) async fn new(options: &Options, now: Now, seed: [u8; 32]) -> Result<Self, OpenError> {
        let configuration = configuration(&options.access).await;
        let region = configuration.region().map(|region| region.as_ref().to_owned());
        let region = region.ok_or_else(|| OpenError::NoRegion { table: options.state_table.clone() })?;
        let ids = Arc::new(Ids::new(seed));
        Ok(Self { options: options.clone(), configuration, region, counter: Counter::default(), ids, now })
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn counter(&self) -> &Counter {
        &self.counter
    }

    pub(crate) fn configuration(&self) -> &SdkConfig {
        &self.configuration
    }

    /// The Region that is near.
    pub(crate) fn region(&self) -> &str {
        &self.region
    }

    pub(crate) fn next_id(&self) -> String {
        self.ids.next()
    }

    /// Begins the name of every partition, also of those that tell where the home is.
    pub(crate) fn prefix(&self) -> String {
        if self.options.region_suffix { format!("{}/", self.region) } else { String::new() }
    }

    /// The state table in a Region, without a fence.
    pub(crate) fn table_in(&self, region: &str) -> Table {
        Table {
            name: self.options.state_table.clone(),
            clients: clients(&self.options, &self.configuration, region, &self.counter),
            counter: self.counter.clone(),
            ids: Arc::clone(&self.ids),
            retries: self.options.access.max_retries,
            fence: None,
        }
    }

    pub(crate) async fn open(&self) -> Result<Shared, OpenError> {
        let regions = self.look().await?;
        let is_replica = self.options.read_replica;
        let Home { epoch, mut table, seen } = if is_replica {
            self.nearest().await?
        } else {
            let home = self.home(&regions).await?;
            self.check_epoch(&home.epoch)?;
            home
        };
        // Where the table was not looked at, it may be in several Regions.
        if regions.len() > 1 || epoch.number > 1 || !self.looks() {
            let fence = Fence::new(&epoch, &self.prefix(), self.options.home_lease, seen);
            table.fence = Some(Arc::new(fence));
        }
        let layout = Layout(format!("{}{}", self.prefix(), epoch.space));
        let depot = self.depot(&table, &layout, &epoch).await?;
        let uploads = if depot.is_some() { BUCKET_UPLOADS_MAX } else { UPLOADS_MAX };
        let records = Records { table, layout, now: Arc::clone(&self.now) };
        Ok(Shared {
            epoch,
            is_replica,
            committer: Committer::new(records),
            rounds: Rounds::default(),
            shelf: Shelf::new(),
            depot,
            uploads: Arc::new(Semaphore::new(uploads)),
        })
    }

    fn looks(&self) -> bool {
        !self.options.skip_table_check || self.options.create_tables
    }

    /// Looks at the tables, makes them if that was asked for, and gives the Regions in which they are.
    pub(crate) async fn look(&self) -> Result<BTreeSet<String>, OpenError> {
        let mut regions: BTreeSet<String> = self.options.endpoints.keys().cloned().collect();
        regions.insert(self.region.clone());
        if !self.looks() {
            return Ok(regions);
        }
        let client = self.table_in(&self.region).clients.reads;
        let tables = [(Some(&self.options.state_table), Kind::State), (self.options.lock_table.as_ref(), Kind::Lock)];
        for (name, kind) in tables.into_iter().filter_map(|(name, kind)| Some((name?, kind))) {
            let found = schema::check(&client, name, kind, &self.region, self.options.create_tables).await?;
            if kind == Kind::State {
                regions.extend(found.replicas);
            }
        }
        Ok(regions)
    }

    /// What the near Region knows, which may be old.
    async fn nearest(&self) -> Result<Home, OpenError> {
        let table = self.table_in(&self.region);
        let seen = Instant::now();
        let epoch = latest(&table, &self.prefix()).await.map_err(|fault| self.failed(&self.region, fault))?;
        let epoch = epoch.unwrap_or_else(|| Epoch::first(&self.region));
        self.check_format(&epoch)?;
        Ok(Home { epoch, table, seen })
    }

    /// Follows what each Region says about the home, until one says that it is it.
    pub(crate) async fn home(&self, regions: &BTreeSet<String>) -> Result<Home, OpenError> {
        let mut region = self.region.clone();
        let mut known: Option<Epoch> = None;
        for _ in 0..HOMES_MAX {
            let table = self.table_in(&region);
            let seen = Instant::now();
            let found = latest(&table, &self.prefix()).await.map_err(|fault| self.failed(&region, fault))?;
            let epoch = match (found, &known) {
                (Some(found), _) => found,
                // The first Region in order, so that all who begin at once agree.
                (None, None) if regions.first().is_some_and(|first| *first != region) => {
                    known = Some(Epoch::first(regions.first().map_or("", String::as_str)));
                    region = known.as_ref().map(|known| known.region.clone()).unwrap_or_default();
                    continue;
                }
                // Another Region may have a home already that this one has not heard of.
                (None, _) if !self.looks() => {
                    return Err(OpenError::NoStore { table: self.options.state_table.clone() });
                }
                (None, _) => self.begin(&table, &region).await?,
            };
            self.check_format(&epoch)?;
            if epoch.region == region {
                return Ok(Home { epoch, table, seen });
            }
            region.clone_from(&epoch.region);
            known = Some(epoch);
        }
        Err(OpenError::Unavailable {
            table: self.options.state_table.clone(),
            reason: "the Regions do not agree yet on which of them is home".into(),
        })
    }

    /// Begins the first epoch, or finds that somebody else did.
    async fn begin(&self, table: &Table, region: &str) -> Result<Epoch, OpenError> {
        let first = Epoch::first(region);
        match table.write(&[first.put(&self.prefix(), &self.ids.next())]).await {
            Ok(()) => Ok(first),
            Err(Unwritten::Conditions(_)) => {
                let found = latest(table, &self.prefix()).await.map_err(|fault| self.failed(region, fault))?;
                Ok(found.unwrap_or(first))
            }
            Err(Unwritten::Store(error)) => Err(OpenError::of_store(&self.options.state_table, error)),
        }
    }

    fn check_format(&self, epoch: &Epoch) -> Result<(), OpenError> {
        if epoch.format <= FORMAT {
            return Ok(());
        }
        Err(OpenError::Newer { table: self.options.state_table.clone(), found: epoch.format, known: FORMAT })
    }

    fn check_epoch(&self, epoch: &Epoch) -> Result<(), OpenError> {
        if !epoch.opening {
            return Ok(());
        }
        Err(OpenError::Moving { table: self.options.state_table.clone(), region: epoch.region.clone() })
    }

    pub(crate) fn failed(&self, region: &str, fault: Fault) -> OpenError {
        OpenError::new(
            &self.options.state_table,
            region,
            &schema::command(&self.options.state_table, Kind::State, region),
            fault,
        )
    }
}
