//! Realistic states made up from a seed, the same on every machine.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::document::Style;
use crate::edit::restyle;

/// About how many bytes a resource takes in an indented state.
const RESOURCE_BYTES: usize = 1015;
/// Resources per module instance.
const MODULE: usize = 100;

/// What a state shall be like.
#[derive(Debug, Clone)]
pub struct Spec {
    /// How many resource blocks.
    pub resources: usize,
    /// What everything is drawn from.
    pub seed: u64,
    /// `serial`.
    pub serial: u64,
    /// `lineage`.
    pub lineage: String,
    /// Laid out as by Terraform, else as by `OpenTofu`.
    pub indented: bool,
    /// Bytes of filler text in each instance, on top of what it has anyway.
    pub attribute_bytes: usize,
    /// Numbers of the resources (from 0) that differ from those of the same spec without them.
    pub touched: BTreeSet<usize>,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            resources: 10,
            seed: 1,
            serial: 1,
            lineage: "3f1c6b1e-8a54-4c8f-9d0e-0b6f1f7d2a10".to_owned(),
            indented: true,
            attribute_bytes: 0,
            touched: BTreeSet::new(),
        }
    }
}

impl Spec {
    /// An indented state of about this many bytes.
    pub fn of_size(bytes: usize) -> Self {
        Self { resources: bytes / RESOURCE_BYTES, ..Self::default() }
    }

    /// The same state with one resource changed and the next serial.
    #[must_use]
    pub fn touch(mut self, resource: usize) -> Self {
        self.touched.insert(resource);
        self.serial += 1;
        self
    }
}

/// `SplitMix64`: small, and good enough to make data look different.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn hex(&mut self, digits: usize) -> String {
        let mut text = String::with_capacity(digits + 16);
        while text.len() < digits {
            let _ = write!(text, "{:016x}", self.next());
        }
        text.truncate(digits);
        text
    }
}

/// The state a spec describes.
pub fn state(spec: &Spec) -> Vec<u8> {
    let mut body = Vec::with_capacity(spec.resources * (RESOURCE_BYTES + spec.attribute_bytes) + 4096);
    let lineage = serde_json::Value::from(spec.lineage.as_str());
    let outputs = outputs(spec);
    if spec.indented {
        let start = format!(
            "{{\n  \"version\": 4,\n  \"terraform_version\": \"1.15.5\",\n  \"serial\": {},\n  \"lineage\": {lineage},\n  \"outputs\": ",
            spec.serial
        );
        body.extend_from_slice(start.as_bytes());
        body.extend(restyle(outputs.as_bytes(), Style::Indented, 1));
        body.extend_from_slice(b",\n  \"resources\": [");
    } else {
        let start = format!(
            "{{\"version\":4,\"terraform_version\":\"1.12.6\",\"serial\":{},\"lineage\":{lineage},\"outputs\":{outputs},\"resources\":[",
            spec.serial
        );
        body.extend_from_slice(start.as_bytes());
    }
    for index in 0..spec.resources {
        if index > 0 {
            body.push(b',');
        }
        let resource = resource(spec, index);
        if spec.indented {
            body.extend_from_slice(b"\n    ");
            body.extend(restyle(resource.as_bytes(), Style::Indented, 2));
        } else {
            body.extend_from_slice(resource.as_bytes());
        }
    }
    let checks = r#"[{"object_kind":"resource","config_addr":"aws_subnet.checked","status":"pass","objects":[{"object_addr":"aws_subnet.checked","status":"pass"}]}]"#;
    if spec.indented {
        body.extend_from_slice(if spec.resources > 0 {
            b"\n  ],\n  \"check_results\": "
        } else {
            b"],\n  \"check_results\": "
        });
        body.extend(restyle(checks.as_bytes(), Style::Indented, 1));
        body.extend_from_slice(b"\n}\n");
    } else {
        body.extend_from_slice(format!("],\"check_results\":{checks}}}\n").as_bytes());
    }
    body
}

fn outputs(spec: &Spec) -> String {
    let mut random = Random(spec.seed ^ 0x6f75_7470);
    let pin = random.next();
    format!(
        r#"{{"api_url":{{"value":"https://api-{}.example.com/?a=1\u0026b=2","type":"string"}},"db_password":{{"value":"{}","type":"string","sensitive":true}},"limits":{{"value":{{"max":1E+400,"min":-0.0,"pin":{pin},"ratio":1.50}},"type":["object",{{"max":"number","min":"number","pin":"number","ratio":"number"}}]}},"names":{{"value":["Zürich","東京","😀"],"type":["tuple",["string","string","string"]]}}}}"#,
        random.hex(8),
        random.hex(24),
    )
}

const DATA_TYPES: [&str; 2] = ["aws_iam_policy_document", "aws_region"];
const TYPES: [&str; 6] =
    ["aws_db_instance", "aws_iam_role", "aws_instance", "aws_s3_bucket", "aws_security_group", "aws_subnet"];

fn resource(spec: &Spec, index: usize) -> String {
    let mut random = Random(spec.seed.wrapping_mul(0x1_0000_0001).wrapping_add(index as u64));
    let (block, place) = (index / MODULE, index % MODULE);
    let module = match (block, block % 3) {
        (0, _) => String::new(),
        (_, 0) => format!("\"module\":\"module.service_{block:05}[\\\"eu-west-1\\\"]\","),
        (_, 1) => format!("\"module\":\"module.service_{block:05}\","),
        (_, _) => format!("\"module\":\"module.service_{block:05}.module.net[0]\","),
    };
    // Sorted as Terraform sorts them: data before managed, then by type and name.
    let (mode, r#type) =
        if place < 10 { ("data", DATA_TYPES.get(place / 5)) } else { ("managed", TYPES.get((place - 10) / 15)) };
    let r#type = r#type.copied().unwrap_or("aws_vpc");
    let each = match place % 10 {
        7 => Keys::Count(2),
        8 => Keys::Each,
        _ => Keys::None,
    };
    let mut instances = Vec::new();
    let mut add = |key: &str, deposed: bool, tainted: bool| {
        instances.push(instance(&mut random, spec, index, mode, key, deposed, tainted));
    };
    match each {
        Keys::None => {
            add("", false, place % 50 == 30);
            if mode == "managed" && place % 50 == 20 {
                add("", true, false);
            }
        }
        Keys::Count(count) => (0..count).for_each(|key| add(&format!("\"index_key\":{key},"), false, false)),
        Keys::Each => ["a\\\"quoted\\\\ ${key}", "prod/Zürich"]
            .iter()
            .for_each(|key| add(&format!("\"index_key\":\"{key}\","), false, false)),
    }
    format!(
        r#"{{{module}"mode":"{mode}","type":"{type}","name":"r_{index:07}","provider":"provider[\"registry.terraform.io/hashicorp/aws\"]","instances":[{}]}}"#,
        instances.join(",")
    )
}

enum Keys {
    None,
    Count(usize),
    Each,
}

fn instance(
    random: &mut Random,
    spec: &Spec,
    index: usize,
    mode: &str,
    key: &str,
    deposed: bool,
    tainted: bool,
) -> String {
    let id = random.hex(17);
    let size = random.next() % 1000;
    let touched = if spec.touched.contains(&index) { "after" } else { "before" };
    let filler = if spec.attribute_bytes > 0 {
        format!("\"user_data\":\"{}\",", random.hex(spec.attribute_bytes))
    } else {
        String::new()
    };
    let policy = if index.is_multiple_of(7) {
        format!(
            r#""policy":"{{\"Statement\":[{{\"Action\":\"s3:*\",\"Resource\":\"{}\",\"Note\":\"\u003ca\u003e\"}}]}}","#,
            random.hex(12)
        )
    } else {
        String::new()
    };
    let secret = if index.is_multiple_of(5) { format!("\"password\":\"{}\",", random.hex(20)) } else { String::new() };
    let marks = if secret.is_empty() { "" } else { r#"[{"type":"get_attr","value":"password"}]"# };
    let ratio = ["1.0", "0.50", "10e-1", "7", "1E+400", "-0.0", "12345678901234567890.5"]
        .get(index % 7)
        .copied()
        .unwrap_or("1");
    let status = if tainted { "\"status\":\"tainted\"," } else { "" };
    let deposed = if deposed { format!("\"deposed\":\"{}\",", random.hex(8)) } else { String::new() };
    let mut text = format!(
        r#"{{{key}{status}{deposed}"schema_version":1,"attributes":{{"arn":"arn:aws:ec2:eu-west-1:123456789012:thing/{id}","enabled":true,"id":"{id}",{secret}{policy}"ratio":{ratio},"size":{size},"tags":{{"Env":"{touched}","Name":"r-{index}"}},"timeouts":null{}{}}},"sensitive_attributes":[{marks}]"#,
        if filler.is_empty() { "" } else { "," },
        filler.trim_end_matches(','),
    );
    if mode == "managed" {
        let _ = write!(text, r#","private":"{}==","dependencies":["aws_subnet.r_{:07}"]"#, random.hex(30), index / 2);
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::scan;

    #[test]
    fn states_are_valid_and_of_the_size_asked_for() {
        let body = state(&Spec::of_size(400_000));
        let summary = scan(&body, [0; 32]).expect("valid");
        assert!((360_000..440_000).contains(&body.len()), "{}", body.len());
        assert!(summary.instances.len() > 400);
        assert_eq!(summary.outputs.len(), 4);
        let value: serde_json::Value = serde_json::from_slice(&body).expect("valid");
        let again = [serde_json::to_vec_pretty(&value).expect("serializable"), b"\n".to_vec()].concat();
        assert_eq!(body.len(), again.len() + body.windows(6).filter(|window| window.starts_with(b"\\u00")).count() * 5);
    }

    #[test]
    fn touching_changes_one_resource() {
        let spec = Spec { resources: 250, ..Spec::default() };
        let before = scan(&state(&spec), [0; 32]).expect("valid");
        let after = scan(&state(&spec.touch(123)), [0; 32]).expect("valid");
        let changed = crate::counts::changed_addresses(&before.instances, &after.instances);
        assert_eq!(changed.len(), 1, "{changed:?}");
        assert_eq!(after.serial, before.serial + 1);
    }

    #[test]
    fn layouts_mean_the_same() {
        let spec = Spec { resources: 120, ..Spec::default() };
        let compact = Spec { indented: false, ..spec.clone() };
        let (indented, compact) =
            (scan(&state(&spec), [7; 32]).expect("valid"), scan(&state(&compact), [7; 32]).expect("valid"));
        assert_eq!(indented.instances, compact.instances);
        assert_eq!(indented.outputs, compact.outputs);
        assert!(compact.size < indented.size);
    }
}
