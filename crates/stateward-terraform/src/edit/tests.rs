use proptest::prelude::*;
use stateward_testkit::TestDir;

use super::*;
use crate::backend::Backend;

fn s3() -> Written {
    let texts = |name: &str, text: &str| (name.to_owned(), Value::from(text));
    let endpoints = Value::Texts(vec![("s3".into(), "http://s3".into()), ("dynamodb".into(), "http://db".into())]);
    let arguments = vec![
        texts("bucket", "b"),
        texts("key", "net/prod"),
        ("use_lockfile".into(), Value::Flag(true)),
        ("endpoints".into(), endpoints),
    ];
    Written { kind: "s3".into(), arguments }
}

fn replaced(text: &str) -> String {
    changed(text, &Change::Replace(s3())).unwrap().unwrap()
}

fn arguments(text: &str, changes: &[(&str, Option<Value>)]) -> String {
    let changes = changes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    changed(text, &Change::Arguments(changes)).unwrap().unwrap()
}

/// What a text declares, by name.
fn declares(text: &str, name: &str) -> Option<String> {
    let said = hcl::read(text).unwrap();
    said.backends.last().unwrap().backend.argument(name).map(str::to_owned)
}

const OLD: &str = "\
# Where the state is.
terraform {
  required_version = \">= 1.10\" # for lock files

  # The old place.
  backend \"s3\" {
    bucket         = \"acme\" # ours
    key            = \"net/prod\"
    # Taken since 2019.
    dynamodb_table = \"locks\" // on demand
    region         = \"eu-west-1\"
  }
}

resource \"terraform_data\" \"x\" {}
";

#[test]
fn an_argument_comes_and_goes_and_all_else_stays() {
    let both = arguments(OLD, &[("use_lockfile", Some(Value::Flag(true)))]);
    let line = "    region         = \"eu-west-1\"\n";
    assert_eq!(both, OLD.replace(line, &format!("{line}    use_lockfile   = true\n")));
    let file = arguments(&both, &[("dynamodb_table", None)]);
    assert_eq!(file, both.replace("    dynamodb_table = \"locks\" // on demand\n", ""));
    assert_eq!(arguments(&file, &[("dynamodb_table", None)]), file, "it is gone already");
    let again = arguments(&file, &[("use_lockfile", None), ("dynamodb_table", Some("locks-2".into()))]);
    assert_eq!(
        again,
        file.replace("    use_lockfile   = true\n", "    dynamodb_table = \"locks-2\"\n"),
        "in the place of the last one"
    );
    let set = arguments(OLD, &[("dynamodb_table", Some("other".into()))]);
    assert_eq!(set, OLD.replace("\"locks\" //", "\"other\" //"));
}

#[test]
fn blocks_on_one_line_get_lines() {
    let text = "terraform {\n  backend \"s3\" { bucket = \"b\" }\n}\n";
    let expected = "terraform {\n  backend \"s3\" {\n    bucket       = \"b\"\n    use_lockfile = true\n  }\n}\n";
    assert_eq!(arguments(text, &[("use_lockfile", Some(Value::Flag(true)))]), expected);
    let empty = "terraform {\n\tbackend \"s3\" {}\n}\n";
    let expected = "terraform {\n\tbackend \"s3\" {\n\t  dynamodb_table = \"t\"\n\t}\n}\n";
    assert_eq!(arguments(empty, &[("dynamodb_table", Some("t".into())), ("use_lockfile", None)]), expected);
    let lines = "terraform {\n  backend \"s3\" {\n  }\n}\n";
    let expected = "terraform {\n  backend \"s3\" {\n    dynamodb_table = \"t\"\n  }\n}\n";
    assert_eq!(arguments(lines, &[("dynamodb_table", Some("t".into()))]), expected);
}

#[test]
fn a_block_takes_the_place_of_another() {
    let new = replaced(OLD);
    let (before, behind) = (OLD.split("  backend").next().unwrap(), "\n}\n\nresource \"terraform_data\" \"x\" {}\n");
    let block = "  backend \"s3\" {\n    bucket       = \"b\"\n    key          = \"net/prod\"\n    use_lockfile = true\n    \
                 endpoints = {\n      s3       = \"http://s3\"\n      dynamodb = \"http://db\"\n    }\n  }";
    assert_eq!(new, format!("{before}{block}{behind}"));
    let cloud = replaced("terraform {\n  cloud {\n    organization = \"o\"\n  }\n}\n");
    assert_eq!(cloud, format!("terraform {{\n{block}\n}}\n"));
    assert_eq!(declares(&new, "endpoints.dynamodb").as_deref(), Some("http://db"));
}

#[test]
fn a_block_comes_into_a_terraform_block_or_a_file_of_its_own() {
    let inserted = |text: &str| inserted(text, &Written { kind: "local".into(), arguments: Vec::new() }).unwrap();
    for (text, expected) in [
        ("terraform {}\n", Some("terraform {\n  backend \"local\" {}\n}\n")),
        ("terraform {\n}\n", Some("terraform {\n  backend \"local\" {}\n}\n")),
        (
            "# x\nterraform {\n  required_version = \"1\"\n}\n",
            Some("# x\nterraform {\n  backend \"local\" {}\n\n  required_version = \"1\"\n}\n"),
        ),
        ("terraform { required_version = \"1\" }\n", None),
        ("locals {}\n", None),
    ] {
        assert_eq!(inserted(text).as_deref(), expected, "{text}");
    }
    let plan = |files: &[(&str, &str)]| {
        let dir = TestDir::new();
        files.iter().for_each(|(name, text)| drop(dir.write(name, text)));
        let configuration = Configuration::read(dir.path(), Tool::Terraform).unwrap();
        let edit = Edit::plan(dir.path(), &configuration, &Change::Replace(s3())).unwrap();
        edit.write().unwrap();
        let read = Configuration::read(dir.path(), Tool::Terraform).unwrap();
        assert_eq!(read.declared.as_ref().unwrap().backend.argument("key"), Some("net/prod"));
        assert!(Edit::plan(dir.path(), &read, &Change::Replace(s3())).unwrap().is_done());
        edit.path.file_name().unwrap().to_str().unwrap().to_owned()
    };
    assert_eq!(plan(&[("main.tf", "locals {}\n"), ("versions.tf", "terraform {\n}\n")]), "versions.tf");
    assert_eq!(plan(&[("main.tf", "locals {}\n")]), "backend.tf");
    assert_eq!(plan(&[("backend.tf", "locals {}")]), "backend.tf");
    // OpenTofu would not read it.
    assert_eq!(plan(&[("versions.tf", "terraform {\n}\n"), ("versions.tofu", "")]), "backend.tf");
    assert_eq!(plan(&[("main.tf", "locals {}\n"), ("backend.tofu", "")]), "state_backend.tf");
    assert_eq!(plan(&[("main.tf", OLD), ("a.tf", "terraform {\n}\n")]), "main.tf");
}

#[test]
fn what_cannot_be_written_is_told() {
    let dir = TestDir::new();
    let plan = |change: &Change| {
        let configuration = Configuration::read(dir.path(), Tool::Terraform).unwrap();
        Edit::plan(dir.path(), &configuration, change)
    };
    let locks = Change::Arguments(vec![("use_lockfile".into(), Some(Value::Flag(true)))]);
    dir.write("main.tf", "locals {}\n");
    assert!(matches!(plan(&locks), Err(EditError::NoBlock { .. })));
    dir.write("main.tf.json", r#"{"terraform": {"backend": {"s3": {"key": "k"}}}}"#);
    assert!(matches!(plan(&locks), Err(EditError::Json { .. })));
    fs::remove_file(dir.join("main.tf.json")).unwrap();
    dir.write("main.tf", OLD);
    let edit = plan(&locks).unwrap();
    dir.write("main.tf", "# mine\n");
    assert!(matches!(edit.write(), Err(EditError::Overtaken { .. })));
    assert_eq!(dir.read("main.tf"), "# mine\n");
}

#[test]
fn what_killed_runs_have_begun_goes_and_what_is_somebody_s_stays() {
    let dir = TestDir::new();
    dir.write("main.tf", OLD);
    let configuration = Configuration::read(dir.path(), Tool::Terraform).unwrap();
    let edit = Edit::plan(dir.path(), &configuration, &Change::Replace(s3())).unwrap();
    for (name, text) in [("a", ""), ("b", &edit.after[..10]), ("c", "mine")] {
        dir.write(format!("{UNFINISHED}{name}"), text);
    }
    edit.write().unwrap();
    let left = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut left: Vec<String> = left.filter(|name| name.starts_with(UNFINISHED)).collect();
    left.sort();
    assert_eq!(left, [format!("{UNFINISHED}c")]);
}

#[test]
fn a_file_keeps_its_mode_and_a_link_leads_to_what_is_written() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TestDir::new();
    let real = dir.write("real", OLD);
    fs::set_permissions(&real, PermissionsExt::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink(&real, dir.join("main.tf")).unwrap();
    let configuration = Configuration::read(dir.path(), Tool::Terraform).unwrap();
    Edit::plan(dir.path(), &configuration, &Change::Replace(s3())).unwrap().write().unwrap();
    assert!(fs::symlink_metadata(dir.join("main.tf")).unwrap().is_symlink());
    assert_eq!(declares(&dir.read("real"), "bucket").as_deref(), Some("b"));
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_file_that_others_share_or_write_is_left_alone() {
    let (dir, elsewhere) = (TestDir::new(), TestDir::new());
    let plan = |directory: &Path| {
        let configuration = Configuration::read(directory, Tool::Terraform).unwrap();
        Edit::plan(directory, &configuration, &Change::Replace(s3()))
    };
    std::os::unix::fs::symlink(elsewhere.write("real.tf", OLD), dir.join("main.tf")).unwrap();
    assert!(matches!(plan(dir.path()), Err(EditError::Shared { .. })));
    // The directory itself may be a link.
    std::os::unix::fs::symlink(elsewhere.path(), dir.join("link")).unwrap();
    plan(&dir.join("link")).unwrap();
    elsewhere.write("real.tf", format!("# Generated by Terragrunt. Sig: nIlQXj57tbuaRZEa\n{OLD}"));
    assert!(matches!(plan(elsewhere.path()), Err(EditError::Generated { .. })));
}

#[test]
fn the_ends_of_lines_stay_as_they_are() {
    let windows = |text: &str| text.replace('\n', "\r\n");
    let change =
        Change::Arguments(vec![("use_lockfile".to_owned(), Some(Value::Flag(true))), ("key".to_owned(), None)]);
    for change in [change, Change::Replace(s3())] {
        let expected = changed(OLD, &change).unwrap().unwrap();
        assert_eq!(changed(&windows(OLD), &change).unwrap().unwrap(), windows(&expected));
        let marked = format!("\u{feff}{OLD}");
        assert_eq!(changed(&marked, &change).unwrap().unwrap(), format!("\u{feff}{expected}"));
    }
    let text = "terraform {\n  required_version = \"> 1\"\n}\n";
    assert_eq!(inserted(&windows(text), &s3()).unwrap(), inserted(text, &s3()).unwrap().map(|text| windows(&text)));
}

proptest! {
    /// What is written is what is read, whatever is in it.
    #[test]
    fn what_is_written_is_read(texts in prop::collection::btree_map("[a-z][a-z_]{0,8}", "\\PC{0,16}", 1..5)) {
        let arguments = texts.iter().map(|(name, text)| (name.clone(), Value::Text(text.clone()))).collect();
        let text = Written { kind: "s3".into(), arguments }.to_file();
        let said = hcl::read(&text).unwrap();
        let Backend::Block { arguments, .. } = &said.backends[0].backend else { panic!("{text}") };
        let expected: crate::Arguments = texts.into_iter().map(|(name, text)| (name, Some(text))).collect();
        // A text with a template's sign in it reads as a template of one literal, which is not looked into.
        for (name, text) in expected {
            prop_assert!(arguments[&name] == text || text.unwrap().contains('{'), "{}", name);
        }
    }

    /// An argument that comes and goes again leaves the text as it was.
    #[test]
    fn there_and_back(names in prop::collection::btree_set("[a-f]{1,6}", 1..5), comment in "[ -~&&[^\\\\]]{0,10}") {
        let lines: Vec<String> = names.iter().map(|name| format!("    {name} = \"x\" # {comment}\n")).collect();
        let lines = lines.concat();
        let text = format!("terraform {{\n  backend \"s3\" {{\n{lines}  }} # {comment}\n}}\n");
        let with = arguments(&text, &[("use_lockfile", Some(Value::Flag(true)))]);
        prop_assert_eq!(declares(&with, "use_lockfile"), Some("true".to_owned()));
        prop_assert_eq!(arguments(&with, &[("use_lockfile", None)]), text);
    }
}

/// A comment that goes over lines takes in what is written behind its beginning.
#[test]
fn what_a_comment_would_swallow_is_not_written() {
    let text = "terraform {\n  backend \"s3\" {\n    bucket         = \"b\"\n    dynamodb_table = \"locks\" /* since\n    2019 */\n  }\n}\n";
    for change in
        [vec![("use_lockfile".to_owned(), Some(Value::Flag(true)))], vec![("dynamodb_table".to_owned(), None)]]
    {
        let refused = changed(text, &Change::Arguments(change)).expect_err("it would be a comment, or no HCL");
        assert!(refused.contains("cannot be changed safely"), "{refused}");
    }
}
