//! The plan for the trail: without data events a refused lock is recorded nowhere.

use aws_sdk_cloudtrail::types::{
    AdvancedEventSelector, AdvancedFieldSelector, DataResource, EventSelector, ReadWriteType,
};
use serde_json::{Value, json};

use super::item::EXISTENCE;
use super::{Act, Item, Resource, Trail, TrailSettings, Wanted};

const DATA: &str = "Reads and writes of objects and items are recorded by no trail that is not told to, and so neither is a lock that was refused.";
const OTHERS: &str = "Management events are left to other trails and to the event history, \
                      where they are free of charge: a second copy is paid for.";
const RECORDS: &str = "A trail that was made records nothing before it is started.";
/// Of a trail that is made: whether its files can be checked for changes, whether it records services without a Region, and other
/// Regions.
pub(super) const CHECKED: bool = true;
pub(super) const GLOBAL: bool = false;
pub(super) const ALL_REGIONS: bool = false;
const OBJECTS: &str = "AWS::S3::Object";
const ITEMS: &str = "AWS::DynamoDB::Table";

impl Trail {
    /// Whether its files go to this bucket, or would once it is made.
    pub(super) fn writes_to(&self, bucket: &str) -> bool {
        match self {
            Self::Missing => true,
            Self::There(found) => found.bucket == bucket,
        }
    }
}

pub(super) fn plan(wanted: &Wanted, name: &str, found: &Trail) -> Vec<Item> {
    let of = Resource { kind: "trail", name };
    let into = wanted.log_bucket.as_deref().unwrap_or_default();
    let watched = watched(wanted);
    let said = json!(watched.iter().map(|(_, arn)| arn).collect::<Vec<_>>());
    let fresh = TrailSettings { is_ours: true, ..TrailSettings::default() };
    let (first, found) = match found {
        Trail::Missing => {
            let why =
                "There is no trail of this name. It records this Region, and its files can be checked for changes.";
            (of.put(EXISTENCE, (Value::Null, json!(into)), why, Act::CreateTrail), &fresh)
        }
        Trail::There(found) => {
            let first = match found.bucket == into {
                true => of.keep(EXISTENCE, json!(into), "The trail is there, and its files go to this bucket."),
                false => {
                    let why = "The trail is there, and where its files go is its owner's choice.";
                    of.stays(EXISTENCE, (json!(found.bucket), json!(into)), why)
                }
            };
            (first, found)
        }
    };
    let missing: Vec<_> = watched.iter().filter(|watched| !records(found, watched)).collect();
    vec![
        first,
        match missing.as_slice() {
            [] => of.keep("data-events", said, DATA),
            missing => {
                let why = if found.is_ours { format!("{DATA} {OTHERS}") } else { DATA.to_owned() };
                of.put("data-events", (Value::Null, said), why, selected(found, missing))
            }
        },
        match found.logging {
            true => of.keep("recording", json!(true), RECORDS),
            false => of.put("recording", (Value::Null, json!(true)), RECORDS, Act::StartLogging),
        },
    ]
}

/// What shall be recorded: the kind, and the ARN.
fn watched(wanted: &Wanted) -> Vec<(&'static str, String)> {
    let bucket = wanted.bucket.iter().map(|name| (OBJECTS, format!("{}/", wanted.bucket_arn(name))));
    let tables = wanted.tables().map(|(_, name)| (ITEMS, wanted.table_arn(name)));
    bucket.chain(tables).collect()
}

fn records(found: &TrailSettings, (kind, arn): &(&'static str, String)) -> bool {
    let plain =
        found.selectors.iter().filter(|one| one.read_write_type.as_ref().is_none_or(|of| *of == ReadWriteType::All));
    let mut resources = plain.flat_map(EventSelector::data_resources);
    let plainly = resources.any(|resource| {
        // Objects go by the start of their ARN; `arn:aws:dynamodb` is every table.
        let holds =
            |value: &String| arn == value || (*kind == OBJECTS || !value.contains('/')) && arn.starts_with(value);
        resource.r#type() == Some(*kind) && resource.values().iter().any(holds)
    });
    plainly || found.advanced.iter().any(|selector| selects(selector, kind, arn))
}

/// Whether a selector takes all of what stands under the ARN, by no more conditions than we know.
fn selects(selector: &AdvancedEventSelector, kind: &str, arn: &str) -> bool {
    selector.field_selectors.iter().all(|field| match field.field.as_str() {
        "eventCategory" => field.equals().contains(&"Data".to_owned()),
        "resources.type" => field.equals().contains(&kind.to_owned()),
        "resources.ARN" => {
            field.starts_with().iter().any(|start| arn.starts_with(start)) || field.equals().contains(&arn.to_owned())
        }
        _ => false,
    }) && selector.field_selectors.iter().any(|field| field.field == "resources.type")
}

/// Whether it is what a trail records that was just made: management events, and nothing else.
fn is_first(selector: &EventSelector) -> bool {
    selector.data_resources().is_empty() && selector.include_management_events() == Some(true)
}

/// What is there, and one selector more for each.
fn selected(found: &TrailSettings, missing: &[&(&'static str, String)]) -> Act {
    if found.advanced.is_empty() {
        let added = EventSelector::builder()
            .read_write_type(ReadWriteType::All)
            .include_management_events(false)
            .set_data_resources(Some(
                missing.iter().map(|(kind, arn)| DataResource::builder().r#type(*kind).values(arn).build()).collect(),
            ))
            .build();
        let kept = found.selectors.iter().filter(|selector| !(found.is_ours && is_first(selector)));
        return Act::Select(kept.cloned().chain([added]).collect());
    }
    let field = |name: &str| AdvancedFieldSelector::builder().field(name);
    let added = missing.iter().filter_map(|(kind, arn)| {
        let exactly = field("resources.ARN");
        let of = if *kind == OBJECTS { exactly.starts_with(arn) } else { exactly.equals(arn) };
        let fields = [field("eventCategory").equals("Data"), field("resources.type").equals(*kind), of];
        let fields = fields.into_iter().map(|one| one.build().ok()).collect::<Option<Vec<_>>>()?;
        AdvancedEventSelector::builder().name(format!("state: {arn}")).set_field_selectors(Some(fields)).build().ok()
    });
    Act::SelectAdvanced(found.advanced.iter().cloned().chain(added).collect())
}

#[cfg(test)]
mod tests {
    use super::super::Action;
    use super::*;

    fn wanted() -> Wanted {
        let [region, account, partition] = ["eu-west-1", "111122223333", "aws"].map(str::to_owned);
        let [bucket, lock_table, log_bucket] = ["states", "locks", "logs"].map(|name| Some(name.to_owned()));
        Wanted { bucket, lock_table, log_bucket, region, account, partition, ..Wanted::default() }
    }

    fn actions(found: &Trail) -> Vec<(&'static str, Action)> {
        plan(&wanted(), "states", found).iter().map(|item| (item.property, item.action)).collect()
    }

    fn act(found: &Trail) -> Option<Act> {
        plan(&wanted(), "states", found).into_iter().find_map(|item| match item.call?.act {
            act @ (Act::Select(_) | Act::SelectAdvanced(_)) => Some(act),
            _ => None,
        })
    }

    const DONE: [(&str, Action); 3] =
        [("existence", Action::Keep), ("data-events", Action::Keep), ("recording", Action::Keep)];

    #[test]
    fn what_the_plan_puts_is_kept_by_the_next_one() {
        let expected = ["existence", "data-events", "recording"].map(|property| (property, Action::Create));
        assert_eq!(actions(&Trail::Missing), expected);
        let Some(Act::Select(selectors)) = act(&Trail::Missing) else { panic!("plain selectors") };
        let found = TrailSettings { logging: true, selectors, ..TrailSettings::default() };
        assert_eq!(actions(&Trail::There(found)), DONE);
    }

    #[test]
    fn where_the_files_of_a_trail_go_stays() {
        for (bucket, why) in [("logs", "to this bucket"), ("others", "its owner's choice")] {
            let found = Trail::There(TrailSettings { bucket: bucket.to_owned(), ..TrailSettings::default() });
            let item = plan(&wanted(), "states", &found).remove(0);
            assert_eq!((item.action, &item.current, &item.wanted), (Action::Keep, &json!(bucket), &json!("logs")));
            assert!(item.why.contains(why), "{}", item.why);
        }
    }

    #[test]
    fn management_events_are_recorded_only_where_their_owner_said_so() {
        let first =
            EventSelector::builder().read_write_type(ReadWriteType::All).include_management_events(true).build();
        for is_ours in [true, false] {
            let found = TrailSettings { is_ours, selectors: vec![first.clone()], ..TrailSettings::default() };
            let Some(Act::Select(selectors)) = act(&Trail::There(found)) else { panic!("plain selectors") };
            assert_eq!(selectors.contains(&first), !is_ours, "{selectors:?}");
            assert_eq!(selectors.len(), if is_ours { 1 } else { 2 });
        }
    }

    #[test]
    fn what_a_trail_records_already_stays() {
        let field = |name: &str, value: &str| {
            AdvancedFieldSelector::builder().field(name).equals(value).build().expect("a field")
        };
        let theirs = AdvancedEventSelector::builder()
            .name("management")
            .field_selectors(field("eventCategory", "Management"))
            .build()
            .expect("a selector");
        let found = TrailSettings { logging: true, advanced: vec![theirs.clone()], ..TrailSettings::default() };
        let Some(Act::SelectAdvanced(advanced)) = act(&Trail::There(found.clone())) else { panic!("in the same way") };
        assert_eq!((advanced.len(), &advanced[0]), (3, &theirs));
        assert_eq!(actions(&Trail::There(TrailSettings { advanced, ..found })), DONE);
    }

    #[test]
    fn all_objects_and_all_tables_are_enough() {
        for (objects, items, done) in [
            ("arn:aws:s3", "arn:aws:dynamodb", true),
            ("arn:aws:s3:::", "arn:aws:dynamodb:eu-west-1:111122223333:table/locks", true),
            ("arn:aws:s3:::states/", "arn:aws:dynamodb:eu-west-1:111122223333:table/lock", false),
            ("arn:aws:s3:::states/dev/", "arn:aws:dynamodb", false),
        ] {
            let of = |kind: &str, value: &str| DataResource::builder().r#type(kind).values(value).build();
            let selector =
                EventSelector::builder().data_resources(of(OBJECTS, objects)).data_resources(of(ITEMS, items)).build();
            let found = TrailSettings { logging: true, selectors: vec![selector.clone()], ..TrailSettings::default() };
            assert_eq!(actions(&Trail::There(found)) == DONE, done, "{objects} {items}");
            let mut reads = selector;
            reads.read_write_type = Some(ReadWriteType::ReadOnly);
            let found = TrailSettings { logging: true, selectors: vec![reads], ..TrailSettings::default() };
            assert_ne!(actions(&Trail::There(found)), DONE, "reads alone are not all");
        }
    }
}
