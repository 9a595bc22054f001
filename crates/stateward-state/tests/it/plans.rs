//! Plans that real Terraform made (`scripts/make-plan-fixtures`), and what applying them did.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Cursor, Write as _};
use std::path::PathBuf;

use proptest::prelude::*;
use stateward_state::plan::{Footprint, Place, Places, PlanError, PlanFile, Whole};
use zip::write::SimpleFileOptions;

use super::{parse, summary};

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/plans")
}

fn cases() -> Vec<String> {
    let entries = fs::read_dir(directory()).expect("fixtures");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

fn bytes(case: &str, file: &str) -> Option<Vec<u8>> {
    fs::read(directory().join(case).join(file)).ok()
}

fn plan(case: &str) -> PlanFile {
    PlanFile::read(&bytes(case, "plan.tfplan").expect("a plan")).expect("a plan file")
}

fn footprint(case: &str) -> Footprint {
    Footprint::of(&plan(case), &bytes(case, "show.json").expect("a description")).expect("a described plan")
}

/// The addresses in a state, outputs too, and what each means.
fn index(state: Option<&[u8]>) -> BTreeMap<String, [u8; 16]> {
    let Some(state) = state else { return BTreeMap::new() };
    let summary = summary(state);
    summary.instances.into_iter().chain(summary.outputs).map(|entry| (entry.address, entry.meaning)).collect()
}

fn texts(places: &Places) -> Vec<String> {
    places.iter().map(Place::to_string).collect()
}

fn check(case: &str, write: &[&str], read: &[&str], outputs: &[&str]) {
    let footprint = footprint(case);
    assert_eq!(footprint.whole, None);
    assert_eq!(texts(&footprint.write), write, "{case}: write");
    assert_eq!(texts(&footprint.read), read, "{case}: read");
    assert_eq!(
        footprint.outputs,
        outputs.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(),
        "{case}: outputs"
    );
}

#[test]
fn a_plan_writes_nothing_outside_its_write_set() {
    let mut changes = 0;
    for case in cases() {
        let Some(after) = bytes(&case, "after.tfstate") else { continue };
        let footprint = footprint(&case);
        assert_eq!(footprint.whole, None, "{case}");
        let (before, after) = (index(bytes(&case, "before.tfstate").as_deref()), index(Some(&after)));
        for address in before.keys().chain(after.keys()).filter(|address| before.get(*address) != after.get(*address)) {
            assert!(footprint.writes(address), "{case}: {address} was changed; {:?}", texts(&footprint.write));
            changes += 1;
        }
    }
    assert!(changes > 100, "{changes}");
}

/// The resources of a state, as places with any key, and what their instances depend on.
fn dependencies(state: &[u8]) -> BTreeMap<String, BTreeSet<String>> {
    let state = parse(state);
    let mut found = BTreeMap::<_, BTreeSet<_>>::new();
    for resource in state["resources"].as_array().expect("resources") {
        let text = |field: &str| resource[field].as_str().unwrap_or_default();
        let module = Some(text("module")).filter(|module| !module.is_empty()).map(|module| format!("{module}."));
        let data = if text("mode") == "data" { "data." } else { "" };
        let address = format!("{}{data}{}.{}", module.unwrap_or_default(), text("type"), text("name"));
        let instances = resource["instances"].as_array().expect("instances");
        let all = instances.iter().flat_map(|instance| instance["dependencies"].as_array().into_iter().flatten());
        let all = all.map(|address| address.as_str().expect("an address").to_owned());
        found.entry(address).or_default().extend(all);
    }
    found
}

fn overlaps(places: &Places, address: &str) -> bool {
    places.overlap(&[Place::parse(address).expect("an address")].into_iter().collect()).is_some()
}

#[test]
fn what_terraform_notes_as_a_dependency_is_read_or_stands_behind_what_is_read() {
    let mut direct = 0;
    for case in cases() {
        let Footprint { write, read, whole: None, .. } = footprint(&case) else { continue };
        for state in ["before.tfstate", "after.tfstate"].into_iter().filter_map(|file| bytes(&case, file)) {
            let known = dependencies(&state);
            for (address, needs) in known.iter().filter(|(address, _)| overlaps(&write, address)) {
                for need in needs {
                    let held = overlaps(&read, need) || overlaps(&write, need);
                    // Terraform notes what its dependencies depend on, too.
                    let behind = known.iter().any(|(other, theirs)| {
                        other != address && theirs.contains(need) && (overlaps(&read, other) || overlaps(&write, other))
                    });
                    assert!(held || behind, "{case}: {address} needs {need}; {:?}", texts(&read));
                    direct += usize::from(held);
                }
            }
        }
    }
    assert!(direct > 100, "{direct}");
}

/// Outside modules, what Terraform calls relevant is what the changes refer to.
#[test]
fn what_terraform_calls_relevant_is_read() {
    let mut found = 0;
    for case in cases() {
        let Footprint { write, read, whole: None, .. } = footprint(&case) else { continue };
        let show = parse(&bytes(&case, "show.json").expect("a description"));
        for relevant in show["relevant_attributes"].as_array().into_iter().flatten() {
            let address = relevant["resource"].as_str().expect("an address");
            if !address.starts_with("module.") {
                assert!(overlaps(&read, address) || overlaps(&write, address), "{case}: {address}");
                found += 1;
            }
        }
    }
    assert!(found > 20, "{found}");
}

#[test]
fn a_plan_file_tells_which_state_it_was_made_against() {
    for case in cases() {
        let plan = plan(&case);
        assert_eq!(plan.terraform_version(), Some("1.15.5"));
        match bytes(&case, "before.tfstate") {
            Some(before) => {
                let before = summary(&before);
                assert_eq!((plan.serial(), plan.lineage()), (before.serial, before.lineage.as_str()), "{case}");
            }
            None => assert_eq!((plan.serial(), plan.lineage()), (0, ""), "{case}"),
        }
    }
}

#[test]
fn a_change_of_one_thing_reads_what_it_refers_to_alone() {
    check("nothing", &[], &[], &[]);
    check("alone", &["terraform_data.alone"], &["terraform_data.alone"], &["alone"]);
    // Through a local and the output of one instance of a module.
    check("grow", &["terraform_data.each[\"c.d[\\\"]\"]"], &["module.m[\"a\"].terraform_data.r"], &[]);
    // A precondition and a check on what is written read the other things they compare.
    check(
        "target",
        &["terraform_data.base", "terraform_data.user"],
        &["terraform_data.base", "terraform_data.trigger", "terraform_data.user"],
        &[],
    );
    check(
        "nested",
        &[
            "module.o.module.inner[0].terraform_data.r",
            "module.o.module.inner[1].terraform_data.r",
            "terraform_data.base",
            "terraform_data.end",
        ],
        // The first is from the state, which does not say which instance.
        &["module.o.module.inner.terraform_data.r", "module.o.module.inner[0].terraform_data.r", "terraform_data.base"],
        &["all"],
    );
}

#[test]
fn the_language_of_configurations_is_understood() {
    // Those without a key that have some are from the state.
    let read = ["a", "b", "b[0]", "c", "d", "d[\"k.k\"]", "e", "f", "g", "h", "i"];
    let read = read.map(|name| format!("terraform_data.{name}"));
    check("syntax", &["terraform_data.written"], &read.each_ref().map(String::as_str), &[]);
}

#[test]
fn special_plans_write_what_they_say() {
    check("removed", &["terraform_data.r"], &[], &[]);
    check("import", &["terraform_data.r"], &[], &[]);
    check("tainted", &["terraform_data.r"], &[], &[]);
    check("deposed", &["terraform_data.other", "terraform_data.r"], &["terraform_data.r"], &[]);
    check(
        "refresh-only",
        &["data.terraform_remote_state.early", "data.terraform_remote_state.late"],
        &["terraform_data.r"],
        &[],
    );
    check(
        "replace",
        &["terraform_data.each[\"b\"]"],
        &["module.m.terraform_data.r", "module.m[\"a\"].terraform_data.r", "terraform_data.base"],
        &[],
    );
    let moved = footprint("moved");
    for address in ["terraform_data.alone", "terraform_data.moved", "module.m[\"a\"].terraform_data.r", "output.moved"]
    {
        assert!(moved.writes(address), "{address}");
    }
    assert_eq!(footprint("errored").whole, Some(Whole::Errored));
    // A local in a file in JSON is not followed.
    check("json", &["terraform_data.c"], &["*", "terraform_data.a"], &[]);
}

#[test]
fn two_plans_go_side_by_side_unless_one_reads_or_writes_what_the_other_writes() {
    let (alone, grow, trigger) = (footprint("alone"), footprint("grow"), footprint("trigger"));
    assert!(alone.write.overlap(&grow.read).is_none() && grow.write.overlap(&alone.read).is_none());
    assert!(alone.write.overlap(&trigger.read).is_some(), "`count` waits for what waits for `alone`");
}

/// A plan file of these members.
fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        writer.start_file(*name, SimpleFileOptions::default()).expect("a member");
        writer.write_all(content).expect("in memory");
    }
    writer.finish().expect("in memory").into_inner()
}

const STATE: &[u8] =
    br#"{"version":4,"terraform_version":"1.15.5","serial":0,"lineage":"","outputs":{},"resources":[]}"#;
const FORMAT_3: &[u8] = &[8, 3];

/// The read set of a plan that updates `a.a`, by a root module in HCL and its description.
fn read_set(source: &str, configuration: &serde_json::Value) -> Vec<String> {
    let members = [("tfplan", FORMAT_3), ("tfstate", STATE), ("tfconfig/m-/main.tf", source.as_bytes())];
    let show = serde_json::json!({
        "format_version": "1.2",
        "resource_changes": [{"address": "a.a", "mode": "managed", "change": {"actions": ["update"]}}],
        "configuration": configuration,
    });
    let file = PlanFile::read(&archive(&members)).expect("a plan file");
    let footprint = Footprint::of(&file, show.to_string().as_bytes()).expect("a described plan");
    assert_eq!((texts(&footprint.write), &footprint.whole), (vec!["a.a".to_owned()], &None));
    texts(&footprint.read)
}

#[test]
fn providers_and_ephemeral_resources_are_followed() {
    let read = read_set(
        "locals { region = b.region.name }
         ephemeral e secret { of = c.store.id }
         resource a a { token = ephemeral.e.secret.value }",
        &serde_json::json!({
            "provider_config": {"p.west": {"expressions": {
                "region": {"references": ["local.region"]},
                "assume": [{"role": {"references": ["d.role[0].arn", "d.role[0]", "d.role"]}}],
            }}},
            "root_module": {"resources": [
                {"address": "a.a", "provider_config_key": "p.west", "expressions": {"token": {"references": ["ephemeral.e.secret.value", "ephemeral.e.secret"]}}},
                {"address": "b.region"}, {"address": "c.store"}, {"address": "d.role"},
            ]},
        }),
    );
    assert_eq!(read, ["b.region", "c.store", "d.role[0]"]);
}

#[test]
fn what_configures_the_provider_of_a_data_source_is_read() {
    let read = read_set(
        "provider p { config = b.cluster.address }
         resource a a { token = data.p.d.value }",
        &serde_json::json!({
            "provider_config": {"p": {}, "q": {"expressions": {"x": {"references": ["c.other.id", "c.other"]}}}},
            "root_module": {"resources": [
                {"address": "a.a", "provider_config_key": "p"},
                {"address": "data.p.d", "provider_config_key": "p"},
                {"address": "b.cluster"}, {"address": "c.other"},
            ]},
        }),
    );
    assert_eq!(read, ["b.cluster", "data.p.d"]);
}

#[test]
fn what_a_module_is_given_is_followed_to_where_it_comes_from() {
    let inner = "variable in {}
        variable unused {}
        locals { in = var.in }
        resource a a { x = local.in }";
    let outer = "locals { each = b.keys.all }";
    let members = [
        ("tfplan", FORMAT_3),
        ("tfstate", STATE),
        ("tfconfig/m-/main.tf", outer.as_bytes()),
        ("tfconfig/m-m/main.tf", inner.as_bytes()),
    ];
    let show = serde_json::json!({
        "format_version": "1.2",
        "resource_changes": [{"address": "module.m[\"k\"].a.a", "change": {"actions": ["update"]}}],
        "configuration": {"root_module": {
            "resources": [
                {"address": "b.keys"}, {"address": "c.given"}, {"address": "d.unused"}, {"address": "e.waited"},
            ],
            "module_calls": {"m": {
                "for_each_expression": {"references": ["local.each"]},
                "expressions": {
                    "in": {"references": ["each.value", "c.given[0].x", "c.given[0]", "c.given"]},
                    "unused": {"references": ["d.unused.x", "d.unused"]},
                },
                "depends_on": ["e.waited"],
                "module": {"resources": [{"address": "a.a"}]},
            }},
        }},
    });
    let file = PlanFile::read(&archive(&members)).expect("a plan file");
    let footprint = Footprint::of(&file, show.to_string().as_bytes()).expect("a described plan");
    assert_eq!(texts(&footprint.write), ["module.m[\"k\"].a.a"]);
    assert_eq!(texts(&footprint.read), ["b.keys", "c.given[0]", "e.waited"]);
}

#[test]
fn what_for_and_dynamic_bind_is_no_resource() {
    let read = read_set(
        r#"resource a a {
             tags = { for b in c.list : b.name => "${b.value}-${d.each[b.name].id}" if length(e.e[*].id) > 0 }
             dynamic "b" {
               for_each = c.list
               content { x = b.value }
             }
             lifecycle { ignore_changes = [tags.x] }
           }"#,
        &serde_json::json!({"root_module": {"resources": [
            {"address": "a.a"}, {"address": "c.list"}, {"address": "d.each"}, {"address": "e.e"}, {"address": "f.f"},
        ]}}),
    );
    assert_eq!(read, ["c.list", "d.each", "e.e"]);
}

#[test]
fn a_configuration_that_is_not_understood_is_read_as_a_whole() {
    let configuration = serde_json::json!({"root_module": {"resources": [{"address": "a.a"}]}});
    for source in [
        "resource a a {",
        "invention x { y = 1 }\nresource a a {}",
        &"a = ".repeat(10),
        &format!("a = {}1{}", "(".repeat(9999), ")".repeat(9999)),
    ] {
        assert_eq!(read_set(source, &configuration), ["*"], "{source}");
    }
    assert_eq!(read_set("resource a a {}", &configuration), [""; 0]);
}

#[test]
fn what_is_no_plan_file_is_refused_with_the_reason() {
    let read = |file: &[u8]| PlanFile::read(file).expect_err("not a plan");
    assert_eq!(read(b""), PlanError::NotAPlan { why: "it is not a zip archive" });
    assert_eq!(read(b"{}"), PlanError::NotAPlan { why: "it is not a zip archive" });
    assert_eq!(read(br#"{"meta":{},"encrypted_data":"AA==","encryption_version":"v0"}"#), PlanError::Encrypted);
    assert_eq!(read(&archive(&[("x", b"")])), PlanError::NotAPlan { why: "it holds no `tfplan`" });
    assert_eq!(read(&archive(&[("tfplan", FORMAT_3)])), PlanError::NotAPlan { why: "it holds no `tfstate`" });
    assert_eq!(read(&archive(&[("tfplan", &[8, 0xac, 2])])), PlanError::UnknownFormat { version: 300 });
    assert_eq!(read(&archive(&[("tfplan", b"")])), PlanError::Damaged { member: "tfplan".into() });
    let opaque = br#"{"serial":1,"lineage":"l","encrypted_data":"AA==","encryption_version":"v0"}"#;
    assert_eq!(read(&archive(&[("tfplan", FORMAT_3), ("tfstate", opaque)])), PlanError::OpaqueState);
    let error = read(&archive(&[("tfplan", FORMAT_3), ("tfstate", b"{")]));
    assert!(matches!(error, PlanError::State { member: "tfstate", .. }), "{error}");
    let whole = bytes("base", "plan.tfplan").expect("a plan");
    assert_eq!(read(&whole[..whole.len() / 2]), PlanError::Damaged { member: "directory".into() });
}

#[test]
fn a_configuration_that_unpacks_to_too_much_is_refused() {
    let large = vec![b' '; (64 << 20) + 1];
    let file = archive(&[("tfplan", FORMAT_3), ("tfstate", STATE), ("tfconfig/m-/main.tf", &large)]);
    assert!(file.len() < 1 << 20);
    let limit = 64 << 20;
    assert_eq!(PlanFile::read(&file), Err(PlanError::TooLarge { member: "tfconfig".into(), limit }));
}

#[test]
fn what_cannot_be_held_to_resources_says_why() {
    let file = plan("alone");
    let whole = |show: &str| Footprint::of(&file, show.as_bytes()).expect("a plan").whole;
    let rest = r#""configuration":{"root_module":{}}"#;
    let plan = |part: &str| format!(r#"{{"format_version":"1.2",{part},{rest}}}"#);
    let change = |address: &str, action: &str| {
        plan(&format!(r#""resource_changes":[{{"address":"{address}","change":{{"actions":["{action}"]}}}}]"#))
    };
    assert_eq!(whole(r#"{"format_version":"2.0"}"#), Some(Whole::UnknownFormat { version: "2.0".into() }));
    assert_eq!(whole(&plan(r#""x":1"#)), Some(Whole::UnknownPart { part: "x".into() }));
    assert_eq!(whole(&plan(r#""errored":true"#)), Some(Whole::Errored));
    assert_eq!(whole(&plan(r#""deferred_changes":[{}]"#)), Some(Whole::Deferred));
    assert_eq!(whole(&plan(r#""action_invocations":[{}]"#)), Some(Whole::Actions));
    assert_eq!(whole(r#"{"format_version":"1.2"}"#), Some(Whole::NoConfiguration));
    let action = Whole::UnknownAction { address: "a.b".into(), action: "paint".into() };
    assert_eq!(whole(&change("a.b", "paint")), Some(action));
    assert_eq!(whole(&change("a", "update")), Some(Whole::UnknownAddress { address: "a".into() }));
    assert_eq!(whole(&change("a.b", "no-op")), None);
    for wrong in ["", "[]", r#"{"format_version":1}"#, "{}", r#"{"format_version":"1.0","values":{}}"#] {
        assert!(Footprint::of(&file, wrong.as_bytes()).is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn nothing_makes_a_plan_file_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = PlanFile::read(&bytes);
        let _ = PlanFile::read(&[b"PK\x03\x04", bytes.as_slice()].concat());
        let _ = PlanFile::read(&archive(&[("tfplan", FORMAT_3), ("tfstate", &bytes)]));
        let configured = archive(&[("tfplan", FORMAT_3), ("tfstate", STATE), ("tfconfig/m-/main.tf", &bytes)]);
        prop_assert!(PlanFile::read(&configured).is_ok());
    }

    #[test]
    fn nothing_makes_a_configuration_panic(
        text in r#"(resource a b|locals|check c|data d e|lifecycle|precondition|\{|\}|\[|\]|\(|\)|=|"|\$\{|<<E|E| |\n|a\.b|x|module\.m|0|\*|for |in |:|\?){0,40}"#,
    ) {
        let configured = archive(&[("tfplan", FORMAT_3), ("tfstate", STATE), ("tfconfig/m-/main.tf", text.as_bytes())]);
        let file = PlanFile::read(&configured).expect("a plan file");
        prop_assert!(Footprint::of(&file, &bytes("base", "show.json").expect("a fixture")).is_ok());
    }

    #[test]
    fn a_damaged_plan_is_refused_or_read(at in any::<prop::sample::Index>(), byte: u8, length in any::<prop::sample::Index>()) {
        for (name, cut) in [("plan.tfplan", false), ("plan.tfplan", true), ("show.json", false), ("show.json", true)] {
            let mut damaged = bytes("nested", name).expect("a fixture");
            let place = at.index(damaged.len());
            damaged[place] = byte;
            if cut {
                damaged.truncate(length.index(damaged.len()));
            }
            match name {
                "plan.tfplan" => drop(PlanFile::read(&damaged)),
                _ => drop(Footprint::of(&plan("nested"), &damaged)),
            }
        }
    }

    #[test]
    fn nothing_makes_an_address_panic(text in r#"(module|data|output|x|\.|\[|\]|"|\\|\*|0|é| \(deposed |\)){0,12}"#) {
        if let Ok(place) = Place::parse(&text) {
            prop_assert_eq!(Place::parse(&place.to_string()), Ok(place.clone()));
            prop_assert!(place.covers(&place) && place.overlaps(&place));
        }
    }
}
