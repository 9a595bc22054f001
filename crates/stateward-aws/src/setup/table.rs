//! The plan for the lock table.

use serde_json::{Value, json};

use super::{Call, Item, Table};

const RECOVERY: &str =
    "Digests of states stand in the table: with recovery it can be brought back to any second of the last weeks.";
const PROTECTED: &str = "Without the table every lock and digest is gone: deleting it takes a second, deliberate step.";
const PAID: &str =
    "A lock is a few requests a run: paid by request, nothing is throttled and nothing is paid for idle hours.";

pub(super) fn plan(name: &str, found: Option<&Table>) -> Vec<Item> {
    let resource = format!("table {name}");
    let key = json!([["LockID", "S", "HASH"]]);
    let Some(found) = found else {
        let on = "Set in the call that makes the table.";
        return vec![
            Item::put(&resource, "existence", Value::Null, key, "There is no table of this name.", Call::CreateTable),
            Item::keep(&resource, "billing", json!("PAY_PER_REQUEST"), on),
            Item::keep(&resource, "deletion-protection", json!(true), on),
            Item::put(&resource, "recovery", Value::Null, json!(true), RECOVERY, Call::PointInTimeRecovery),
        ];
    };
    if json!(found.key) != key {
        let why = "Terraform's lock table has the one key LockID, a string, and the key of a table cannot be changed. \
                   This table is something else's: choose another name.";
        return vec![Item::refuse(&resource, "existence", json!(found.key), key, why.to_owned())];
    }
    let on = |property, is: bool, why, call| match is {
        true => Item::keep(&resource, property, json!(true), why),
        false => Item::put(&resource, property, json!(false), json!(true), why, call),
    };
    let billing = if found.on_demand {
        Item::keep(&resource, "billing", json!("PAY_PER_REQUEST"), PAID)
    } else {
        Item::keep(
            &resource,
            "billing",
            json!("PROVISIONED"),
            "How the table is paid is its owner's choice, and locks work either way.",
        )
    };
    vec![
        Item::keep(&resource, "existence", key, "The table is there, with the key that Terraform wants."),
        billing,
        on("deletion-protection", found.protected, PROTECTED, Call::DeletionProtection),
        on("recovery", found.recovery, RECOVERY, Call::PointInTimeRecovery),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::Action;
    use super::*;

    fn table(attribute: &str) -> Table {
        let key = vec![(attribute.to_owned(), "S".to_owned(), "HASH".to_owned())];
        Table { key, recovery: true, protected: true, on_demand: false }
    }

    fn acting(items: &[Item]) -> Vec<(&'static str, Action)> {
        items.iter().filter(|item| item.action != Action::Keep).map(|item| (item.property, item.action)).collect()
    }

    #[test]
    fn a_table_that_is_missing_is_made() {
        assert_eq!(acting(&plan("locks", None)), [("existence", Action::Create), ("recovery", Action::Create)]);
    }

    #[test]
    fn a_table_with_another_key_is_refused() {
        let mut sorted = table("LockID");
        sorted.key.push(("Sort".to_owned(), "S".to_owned(), "RANGE".to_owned()));
        for other in [table("lockid"), sorted] {
            assert_eq!(acting(&plan("locks", Some(&other))), [("existence", Action::Refuse)]);
        }
    }

    #[test]
    fn a_table_that_is_well_set_stays() {
        assert_eq!(acting(&plan("locks", Some(&table("LockID")))), []);
    }

    #[test]
    fn a_half_made_table_goes_on() {
        let half = Table { recovery: false, protected: false, ..table("LockID") };
        let expected = [("deletion-protection", Action::Change), ("recovery", Action::Change)];
        assert_eq!(acting(&plan("locks", Some(&half))), expected);
    }
}
