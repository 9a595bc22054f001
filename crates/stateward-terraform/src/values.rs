//! Which variables of a configuration have values, wherever those are given.

use std::fs;
use std::path::Path;

use crate::apply::{Apply, Whose};
use crate::backend::Ephemeral;
use crate::hcl;
use crate::json;

/// The values of a configuration's variables that an `apply` finds by itself; what they are is not kept.
#[derive(Debug)]
pub struct Values {
    names: Vec<String>,
}

impl Values {
    /// Looks at the options of an `apply`, and at the files in its directory that are read unasked.
    ///
    /// A file that cannot be read has none here: the tool says what is wrong with it.
    pub fn find(apply: &Apply, directory: &Path) -> Self {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let unasked = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_read_unasked));
        let mut names: Vec<String> = unasked.flat_map(|entry| names_in(&entry.path())).collect();
        for given in &apply.values {
            match &given.whose {
                Whose::Variable(name) => names.push(name.clone()),
                Whose::File(file) => names.extend(names_in(&directory.join(file))),
            }
        }
        Self { names }
    }

    /// The ephemeral variable for whose value the tool would ask, or else fail; `is_set` says which variables of the environment are set.
    pub fn missing<'e>(&self, ephemeral: &'e [Ephemeral], is_set: impl Fn(&str) -> bool) -> Option<&'e str> {
        let is_given = |name: &String| self.names.contains(name) || is_set(&format!("TF_VAR_{name}"));
        let mut asked = ephemeral.iter().filter(|variable| !variable.has_default && !is_given(&variable.name));
        asked.next().map(|variable| variable.name.as_str())
    }
}

fn is_read_unasked(name: &str) -> bool {
    let plain = name.strip_suffix(".json").unwrap_or(name);
    plain == "terraform.tfvars" || plain.ends_with(".auto.tfvars")
}

fn names_in(file: &Path) -> Vec<String> {
    let Ok(text) = fs::read_to_string(file) else { return Vec::new() };
    let is_json = file.extension().is_some_and(|extension| extension == "json");
    let names = if is_json { json::names(&text) } else { hcl::names(&text) };
    names.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::tool::Invocation;

    #[track_caller]
    fn check(directory: &Path, line: &str, set: &str, expected: Option<&str>) {
        let ephemeral = ["a", "b"].map(|name| Ephemeral { name: name.into(), has_default: false });
        let optional = [Ephemeral { name: "c".into(), has_default: true }];
        let command: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let apply = Apply::of(&Invocation::of(&command).unwrap(), &command).unwrap().unwrap();
        let values = Values::find(&apply, directory);
        let all = [&ephemeral[..], &optional].concat();
        assert_eq!(values.missing(&all, |name| name == set), expected, "{line}");
    }

    #[test]
    fn a_value_counts_wherever_it_is_given() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
        let check = |line: &str, set: &str, expected: Option<&str>| check(directory.path(), line, set, expected);
        check("terraform apply", "", Some("a"));
        check("terraform apply -var a=1", "", Some("b"));
        check("terraform apply -var a=1", "TF_VAR_b", None);
        write("some.tfvars", "b = { inner = 1 }\n");
        check("terraform apply -var=a=1", "", Some("b"));
        check("terraform apply -var=a=1 -var-file some.tfvars", "", None);
        check("terraform apply -var=a=1 -var-file=not-there.tfvars", "", Some("b"));
        write("x.auto.tfvars.json", r#"{"b": ["x"]}"#);
        check("terraform apply -var a=1", "", None);
        write("terraform.tfvars", "a = file(\"x\")\n");
        check("terraform apply", "", None);
    }
}
