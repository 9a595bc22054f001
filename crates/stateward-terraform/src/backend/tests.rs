use proptest::prelude::*;
use stateward_testkit::TestDir;

use super::*;

fn read(files: &[(&str, &str)]) -> Configuration {
    read_with(Tool::Terraform, files)
}

fn read_with(tool: Tool, files: &[(&str, &str)]) -> Configuration {
    let dir = TestDir::new();
    files.iter().for_each(|(name, text)| drop(dir.write(name, text)));
    Configuration::read(dir.path(), tool).unwrap()
}

/// `backend "s3" at main.tf:2`.
fn declared(configuration: &Configuration) -> Option<String> {
    configuration.declared.as_ref().map(|declared| format!("{} at {}", declared.backend.title(), declared.place))
}

const S3: &str =
    "terraform {\n  backend \"s3\" {\n    bucket = \"b\"\n    key    = \"net/prod\"\n    region = var.region\n  }\n}\n";

#[test]
fn a_string_that_is_not_closed() {
    for (text, expected) in [
        (
            "terraform {\n  backend \"s3\" {\n    bucket = \"b\n    key = \"k\"\n  }\n}\n",
            "line 3: a string is not closed",
        ),
        ("a = <<X\n\"\nX\nb = \"${f(\"x\")}\" # \"\nc = \"\\\"\"\nd = \"\n", "line 6: a string is not closed"),
    ] {
        assert_eq!(read(&[("main.tf", text)]).unreadable, [("main.tf".to_owned(), expected.to_owned())]);
    }
    let other = &read(&[("main.tf", "terraform {\n  a b c\n}\n")]).unreadable[0].1;
    assert!(other.starts_with("line 2: ") && !other.contains("string"), "{other}");
}

/// Terraform takes them, where nothing in them is to be computed.
#[test]
fn texts_in_other_ways_of_writing() {
    let of = |value: &str| {
        let text = format!("terraform {{\n  backend \"s3\" {{\n    key = {value}\n  }}\n}}\n");
        let found = read(&[("main.tf", &text)]);
        assert_eq!(found.unreadable, []);
        let declared = found.declared.unwrap();
        assert_eq!(declared.complaints, [], "{value}");
        declared.backend.arguments()["key"].clone()
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(of("<<EOT\n  {\"a\": 1}\n    b\nEOT"), text("  {\"a\": 1}\n    b\n"));
    assert_eq!(of("<<-EOT\n      {\"a\": 1}\n        b\n    EOT"), text("{\"a\": 1}\n  b\n"));
    assert_eq!(of("<<EOT\n$${a}\nEOT"), text("${a}\n"));
    assert_eq!(of("(\"k\")"), text("k"));
    assert_eq!(of("<<EOT\n${a}\nEOT"), None);
    assert_eq!(of("(a)"), None);
}

#[test]
fn a_second_backend() {
    let two = format!("{S3}{S3}");
    let cloud = "terraform {\n  cloud {}\n}\n";
    for (files, expected) in [
        (vec![("main.tf", S3)], None),
        (vec![("main.tf", two.as_str())], Some("main.tf:9")),
        (vec![("a.tf", S3), ("b.tf", cloud)], Some("b.tf:2")),
        (vec![("a.tf", S3), ("override.tf", S3)], None),
    ] {
        let found = read(&files).duplicate.map(|place| place.to_string());
        assert_eq!(found.as_deref(), expected, "{files:?}");
    }
}

#[test]
fn blocks_in_both_syntaxes() {
    for (name, text, expected) in [
        ("main.tf", S3, Some("backend \"s3\" at main.tf:2")),
        (
            "main.tf",
            "terraform {\n  required_version = \"1\"\n}\n\nterraform {\n backend http {}\n}",
            Some("backend \"http\" at main.tf:6"),
        ),
        ("main.tf", "terraform {\n  cloud {\n    organization = \"o\"\n  }\n}\n", Some("cloud at main.tf:2")),
        ("main.tf", "# terraform { backend \"s3\" {} }\nresource \"x\" \"backend\" {}\n", None),
        ("main.tf", "locals { backend = \"s3\" }", None),
        (
            "main.tf.json",
            r#"{"terraform": {"backend": {"s3": {"key": "k"}}}}"#,
            Some("backend \"s3\" at main.tf.json:1"),
        ),
        (
            "main.tf.json",
            r#"{"terraform": [{"backend": [{"s3": [{"key": "k"}]}]}]}"#,
            Some("backend \"s3\" at main.tf.json:1"),
        ),
        ("main.tf.json", r#"{"terraform": {"cloud": {}}}"#, Some("cloud at main.tf.json:1")),
        ("main.tf.json", r#"{"resource": {}}"#, None),
        ("notes.txt", S3, None),
        (".hidden.tf", S3, None),
        ("main.tf~", S3, None),
    ] {
        assert_eq!(declared(&read(&[(name, text)])).as_deref(), expected, "{name}: {text}");
    }
}

#[test]
fn arguments_that_are_written_out() {
    let backend = read(&[("a.tf", S3)]).declared.unwrap().backend;
    assert_eq!(
        (backend.argument("key"), backend.argument("region"), backend.argument("x")),
        (Some("net/prod"), None, None)
    );
    assert!(backend.arguments().contains_key("region"), "computed, but there");
    let json = r#"{"terraform": {"backend": {"s3": {"key": "a/${b}", "encrypt": true, "region": null, "assume_role": {"role_arn": "r"}}}}}"#;
    let backend = read(&[("a.tf.json", json)]).declared.unwrap().backend;
    let expected = [("assume_role.role_arn", Some("r")), ("encrypt", Some("true")), ("key", None)];
    let found: Vec<_> = backend.arguments().iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
    assert_eq!(found, expected);
}

#[test]
fn objects_within_and_files_of_arguments() {
    let dir = TestDir::new();
    dir.write(
        "prod.s3.tfbackend",
        "bucket = \"b\"\nuse_lockfile = true\nassume_role = { role_arn = \"r\", \"policy\" = var.p }\n",
    );
    let read = backend_config("prod.s3.tfbackend", dir.path()).unwrap();
    let found: Vec<_> = read.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
    let expected = [
        ("assume_role.policy", None),
        ("assume_role.role_arn", Some("r")),
        ("bucket", Some("b")),
        ("use_lockfile", Some("true")),
    ];
    assert_eq!(found, expected);
    assert_eq!(
        backend_config("key=a/b=c", dir.path()).unwrap(),
        Arguments::from([("key".into(), Some("a/b=c".into()))])
    );
    assert!(backend_config("none", dir.path()).unwrap_err().contains("none`: "));
}

#[test]
fn override_files_go_last_and_ours_does_not_count() {
    let local = "terraform {\n  backend \"local\" {}\n}\n";
    let two = read(&[("a_override.tf", local), ("z.tf", S3)]);
    assert_eq!(declared(&two).as_deref(), Some("backend \"local\" at a_override.tf:2"));
    assert_eq!(two.beyond_override(), None);
    assert!(read(&[("z_override.tf", local), ("z.tf", S3)]).beyond_override().is_some());
    assert!(read(&[("override.tf.json", r#"{"terraform":{"cloud":{}}}"#)]).beyond_override().is_none());
    let ours = read(&[(override_file::NAME, override_file::TEXT), ("z.tf", S3)]);
    assert_eq!(declared(&ours).as_deref(), Some("backend \"s3\" at z.tf:2"));
    let theirs = read(&[(override_file::NAME, local), ("z.tf", S3)]);
    assert_eq!(declared(&theirs).as_deref(), Some("backend \"local\" at stateward_override.tf:2"));
}

#[test]
fn opentofu_has_files_of_its_own() {
    let files = [("a.tofu", "terraform {\n backend \"http\" {}\n}"), ("a.tf", S3)];
    assert_eq!(declared(&read_with(Tool::OpenTofu, &files)).as_deref(), Some("backend \"http\" at a.tofu:2"));
    assert_eq!(declared(&read_with(Tool::Terraform, &files)).as_deref(), Some("backend \"s3\" at a.tf:2"));
    let json = r#"{"terraform": {"backend": {"http": {}}}}"#;
    for (name, found) in [
        ("z.tofu.json", "backend \"http\" at z.tofu.json:1"),
        ("override.tofu.json", "backend \"http\" at override.tofu.json:1"),
        // It is a file of Terraform's, and hides none.
        ("z.tofu.tf.json", "backend \"s3\" at z.tf.tf.json:1"),
    ] {
        let s3 = r#"{"terraform": {"backend": {"s3": {}}}}"#;
        let other = if name == "z.tofu.tf.json" { ("z.tf.tf.json", s3) } else { ("z.tf.json", s3) };
        let text = if name == "z.tofu.tf.json" { "{}" } else { json };
        assert_eq!(declared(&read_with(Tool::OpenTofu, &[(name, text), other])).as_deref(), Some(found), "{name}");
    }
    let overridden = [("a_override.tofu", files[0].1), ("a_override.tf", S3), ("b.tf", S3)];
    assert_eq!(
        declared(&read_with(Tool::OpenTofu, &overridden)).as_deref(),
        Some("backend \"http\" at a_override.tofu:2")
    );
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let found = read(&[("bad.tf", "terraform {\n"), ("worse.tf.json", "{\n\"a\":"), ("good.tf", S3)]);
    assert_eq!(found.unreadable.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["bad.tf", "worse.tf.json"]);
    assert!(found.unreadable.iter().all(|(_, why)| why.starts_with("line ")), "{:?}", found.unreadable);
    assert!(declared(&found).is_some() && !found.is_empty);
    assert!(read(&[("README.md", "")]).is_empty);
}

#[test]
fn mentions_of_the_workspace() {
    for (text, line) in [
        ("locals {\n  a = terraform.workspace\n}", Some(2)),
        ("locals {\n\n  a = \"x-${terraform.workspace}-y\"\n}", Some(3)),
        ("# terraform.workspace\nlocals { a = \"terraform.workspace\" }", None),
        ("locals { a = var.terraform.workspace }", None),
        ("resource \"x\" \"y\" {\n  z {\n    c = [for w in [terraform.workspace] : w]\n  }\n}", Some(3)),
    ] {
        assert_eq!(read(&[("a.tf", text)]).workspace.map(|place| place.line), line, "{text}");
    }
    let json = "{\n\"locals\": {\"a\": \"${terraform.workspace}\"}}";
    assert_eq!(read(&[("a.tf.json", json)]).workspace.unwrap().to_string(), "a.tf.json:2");
}

#[test]
fn the_state_s_name_in_each_backend_s_words() {
    for (block, name) in [
        ("backend \"s3\" { key = \"net/prod/terraform.tfstate\" }", Some("key net/prod/terraform.tfstate")),
        ("backend \"s3\" { bucket = \"b\" }", None),
        ("backend \"gcs\" { prefix = \"/net/prod/\" }", Some("prefix net/prod")),
        ("backend \"local\" { path = \"x\" }", None),
        (
            "backend \"http\" { address = \"https://h/base/state/net/prod?workspace=dev\" }",
            Some("address net/prod@dev"),
        ),
        ("backend \"http\" { address = \"https://gitlab/api/terraform/x\" }", None),
        ("cloud {\n workspaces { name = \"net-prod\" }\n}", Some("workspaces.name net-prod")),
        ("backend \"remote\" {\n workspaces { prefix = \"net-\" }\n}", None),
    ] {
        let backend = read(&[("a.tf", &format!("terraform {{\n{block}\n}}"))]).declared.unwrap().backend;
        let found = backend.state_name().map(|(argument, name)| format!("{argument} {name}"));
        assert_eq!(found.as_deref(), name, "{block}");
    }
}

#[test]
fn addresses_that_are_fixed() {
    let fixed =
        |text: &str| read(&[("a.tf", &format!("terraform {{\n{text}\n}}"))]).declared.unwrap().backend.fixed_address();
    assert_eq!(fixed("backend \"http\" {}"), None);
    assert_eq!(fixed("backend \"http\" { address = null }"), None);
    assert_eq!(fixed("backend \"http\" { lock_address = var.a }"), Some("lock_address"));
    assert_eq!(fixed("backend \"consul\" { address = \"a\" }"), None);
}

#[test]
fn what_init_has_noted() {
    let dir = TestDir::new();
    assert_eq!(cached(dir.path()).unwrap(), None);
    dir.write(
        "terraform.tfstate",
        r#"{"version":3,"terraform_version":"1.15.5","backend":{"type":"s3","config":{"key":"net/prod","region":null,"encrypt":true},"hash":7}}"#,
    );
    let backend = cached(dir.path()).unwrap().unwrap();
    assert_eq!((backend.kind(), backend.argument("key"), backend.arguments().len()), (Some("s3"), Some("net/prod"), 2));
    dir.write("terraform.tfstate", "{");
    assert!(cached(dir.path()).unwrap_err().to_string().contains("is not what `terraform init` writes"));
    assert_eq!(selected_workspace(dir.path()), None);
    for (text, name) in [("dev\n", Some("dev")), ("default", None), ("", None)] {
        dir.write("environment", text);
        assert_eq!(selected_workspace(dir.path()).as_deref(), name);
    }
}

proptest! {
    /// A block says the same in both syntaxes, whatever else stands around it.
    #[test]
    fn both_syntaxes_say_the_same(kind in "[a-z][a-z0-9]{0,8}", arguments in prop::collection::btree_map("[a-z][a-z_]{0,8}", "[ -~&&[^\"\\\\$%{]]{0,12}", 0..5)) {
        let lines: Vec<String> = arguments.iter().map(|(name, value)| format!("    {name} = \"{value}\"\n")).collect();
        let lines = lines.concat();
        let native = format!("locals {{\n  a = 1\n}}\nterraform {{\n  backend \"{kind}\" {{\n{lines}  }}\n}}\n");
        let json = serde_json::json!({"locals": {"a": 1}, "terraform": {"backend": {kind.as_str(): &arguments}}}).to_string();
        let (native, other) = (hcl::read(&native).unwrap(), json::read(&json).unwrap());
        prop_assert_eq!(native.backends.len(), 1);
        prop_assert_eq!(&native.backends[0].backend, &other.backends[0].backend);
    }

    #[test]
    fn no_text_is_too_odd(text in "\\PC{0,200}") {
        let _either = hcl::read(&text);
        let _either = json::read(&text);
    }
}

#[test]
fn encryption_and_ephemeral_variables_in_both_syntaxes() {
    let hcl = "variable \"a\" {\n  ephemeral = true\n}\nvariable b {\n  ephemeral = true\n  default = 1\n}\nvariable \"c\" {\n  \
               ephemeral = false\n}\nvariable \"d\" {}\nterraform {\n  encryption {\n    state {}\n  }\n}\n";
    let json = r#"{"terraform": {"encryption": {"state": {}}}, "variable": {"a": {"ephemeral": true}, "b": [{"ephemeral": true, "default": 1}],
        "c": {"ephemeral": false}, "d": {}}}"#;
    for (name, text, place) in [("main.tf", hcl, "main.tf:13"), ("main.tf.json", json, "main.tf.json:1")] {
        let found = read(&[(name, text)]);
        let variables: Vec<_> = found.ephemeral.iter().map(|one| (one.name.as_str(), one.has_default)).collect();
        assert_eq!(variables, [("a", false), ("b", true)], "{name}");
        assert_eq!(found.encryption.unwrap().to_string(), place);
    }
    let other = read(&[("main.tf", "encryption {}\nresource \"encryption\" \"a\" {\n  ephemeral = true\n}\n")]);
    assert_eq!((other.encryption, other.ephemeral), (None, Vec::new()));
}

#[test]
fn what_terragrunt_would_ask_for_beside_its_own_state() {
    let dir = TestDir::new();
    assert_eq!(terragrunt_dependency(dir.path()), None);
    dir.write(
        "terragrunt.hcl",
        "include \"root\" {\n  path = find_in_parent_folders(\"root.hcl\")\n}\ndependencies {\n  paths = []\n}\n",
    );
    assert_eq!(terragrunt_dependency(dir.path()), None);
    dir.write(
        "terragrunt.hcl",
        "inputs = { x = dependency.net.outputs.x }\n\ndependency \"net\" {\n  config_path = \"../net\"\n}\n",
    );
    assert_eq!(terragrunt_dependency(dir.path()).unwrap().to_string(), "terragrunt.hcl:3");
}

#[test]
fn two_backends_name_one_place_or_two() {
    let of = |kind: &str, arguments: &[(&str, &str)]| Backend::Block {
        kind: kind.to_owned(),
        arguments: arguments.iter().map(|(name, text)| ((*name).to_owned(), Some((*text).to_owned()))).collect(),
    };
    let s3 = |arguments: &[(&str, &str)]| of("s3", arguments);
    let differs = |here: &Backend, noted: &Backend| here.differs(noted).map(|found| found.argument);
    let noted = s3(&[("bucket", "b"), ("key", "k"), ("region", "r")]);
    for same in [
        s3(&[]),
        s3(&[("key", "k")]),
        s3(&[("bucket", "b"), ("key", "k"), ("region", "other"), ("workspace_key_prefix", "env:")]),
    ] {
        assert_eq!(differs(&same, &noted), None, "{same:?}");
    }
    for (other, argument) in
        [("bucket", "c"), ("key", "l"), ("workspace_key_prefix", "w")].map(|pair| (s3(&[pair]), pair.0))
    {
        assert_eq!(differs(&other, &noted), Some(Some(argument)));
    }
    assert_eq!(differs(&of("http", &[]), &noted), Some(None));
    let http = |address| of("http", &[("address", address)]);
    assert_eq!(differs(&of("http", &[]), &http("http://a/state/x")), None);
    assert_eq!(differs(&http("http://a/state/x"), &of("http", &[])), Some(Some("address")));
    assert_eq!(differs(&of("local", &[("path", "terraform.tfstate")]), &of("local", &[])), None);
    assert_eq!(workspace_in_address("http://a/state/x?ID=1&workspace=dev"), Some("dev"));
    for none in ["http://a/state/x", "http://a/x?workspace=dev", "http://a/state/x?workspaces=dev"] {
        assert_eq!(workspace_in_address(none), None, "{none}");
    }
}
