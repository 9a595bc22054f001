//! An `apply` or `destroy` taken apart into a plan and the apply of that plan. Pure.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::backend::Ephemeral;
use crate::tool::{Invocation, Tool};

/// What may come after `apply` and `destroy`, and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goes {
    /// To the plan alone.
    ToPlan,
    /// To the apply of the plan alone.
    ToApply,
    /// To both.
    ToBoth,
    /// To neither: it is answered here.
    Here,
}

/// The options, whether a value follows them where none stands behind `=`, and where they go.
const OPTIONS: &[(&str, bool, Goes)] = &[
    ("auto-approve", false, Goes::Here),
    ("compact-warnings", false, Goes::ToBoth),
    ("concise", false, Goes::ToBoth),
    ("consolidate-errors", false, Goes::ToBoth),
    ("consolidate-warnings", false, Goes::ToBoth),
    ("deprecation", true, Goes::ToBoth),
    ("destroy", false, Goes::ToPlan),
    ("exclude", true, Goes::ToPlan),
    ("exclude-file", true, Goes::ToPlan),
    ("input", false, Goes::ToBoth),
    ("json", false, Goes::ToBoth),
    ("lock", false, Goes::ToBoth),
    ("lock-timeout", true, Goes::ToBoth),
    ("no-color", false, Goes::ToBoth),
    ("parallelism", true, Goes::ToBoth),
    ("refresh", false, Goes::ToPlan),
    ("refresh-only", false, Goes::ToPlan),
    ("replace", true, Goes::ToPlan),
    ("show-sensitive", false, Goes::ToBoth),
    ("suppress-forget-errors", false, Goes::ToApply),
    ("target", true, Goes::ToPlan),
    ("target-file", true, Goes::ToPlan),
    ("var", true, Goes::ToPlan),
    ("var-file", true, Goes::ToPlan),
];

/// An option that gives values to variables, in its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenValues {
    /// Of which variable the value is, or which file has the values.
    pub whose: Whose,
    words: Vec<OsString>,
}

/// Which values an option gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// That of one variable: `-var NAME=VALUE`.
    Variable(String),
    /// Those in a file: `-var-file FILE`.
    File(String),
}

/// An `apply` or `destroy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apply {
    /// The program and its own options.
    head: Vec<OsString>,
    for_plan: Vec<OsString>,
    for_saved: Vec<OsString>,
    /// The values of variables among the options, and the files of them.
    pub values: Vec<GivenValues>,
    /// The plan file that the command names; without one, it plans itself.
    pub plan: Option<OsString>,
    /// Nobody is to be asked.
    pub auto_approve: bool,
    /// Somebody may be asked.
    pub input: bool,
    /// Progress is told in JSON.
    pub json: bool,
}

impl Apply {
    /// Takes an invocation apart. `None` where it is no `apply` or `destroy`, an error where it is one that cannot be taken apart: why.
    pub fn of(invocation: &Invocation<'_>, command: &[OsString]) -> Option<Result<Self, String>> {
        let destroys = match (invocation.tool, invocation.subcommand?) {
            (Tool::Terragrunt, _) => return None,
            (_, "apply") => false,
            (_, "destroy") => true,
            _ => return None,
        };
        let head = command.get(..command.len() - invocation.arguments.len() - 1).unwrap_or_default().to_vec();
        let mut apply = Self {
            head,
            for_plan: Vec::new(),
            for_saved: Vec::new(),
            values: Vec::new(),
            plan: None,
            auto_approve: false,
            input: true,
            json: false,
        };
        if destroys {
            apply.for_plan.push("-destroy".into());
        }
        Some(apply.take(invocation.arguments).and_then(|apply| match apply.plan {
            Some(_) if destroys => Err("`destroy` takes no plan file".to_owned()),
            _ => Ok(apply),
        }))
    }

    fn take(mut self, arguments: &[OsString]) -> Result<Self, String> {
        let mut rest = arguments.iter();
        let mut of_plan = None;
        while let Some(argument) = rest.next() {
            let text = argument.to_str().ok_or("an argument is not UTF-8")?;
            let Some(option) = text.strip_prefix("--").or(text.strip_prefix('-')).filter(|name| !name.is_empty())
            else {
                if self.plan.replace(argument.clone()).is_some() {
                    return Err("it names more than one plan file".to_owned());
                }
                continue;
            };
            let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
            let known = OPTIONS.iter().find(|(known, _, _)| *known == name);
            let (_, takes_value, goes) = *known.ok_or_else(|| format!("its option `-{name}` is not known"))?;
            let mut words = vec![argument.clone()];
            let mut value = value;
            if takes_value && value.is_none() {
                let word = rest.next().ok_or_else(|| format!("its option `-{name}` has no value"))?;
                value = word.to_str();
                words.push(word.clone());
            }
            let is_on = !matches!(value, Some("false" | "0" | "f" | "F" | "FALSE" | "False"));
            match name {
                "auto-approve" => self.auto_approve = is_on,
                "input" => self.input = is_on,
                "json" => self.json = is_on,
                "var" | "var-file" => self.values.push(GivenValues::new(name, value, &words)?),
                _ if goes == Goes::ToPlan => of_plan = Some(name),
                _ => {}
            }
            if matches!(goes, Goes::ToPlan | Goes::ToBoth) {
                self.for_plan.extend(words.clone());
            }
            if matches!(goes, Goes::ToApply | Goes::ToBoth) {
                self.for_saved.extend(words);
            }
        }
        match of_plan {
            // What it is worth there, the tool says.
            Some(name) if self.plan.is_some() => Err(format!("its option `-{name}` is for a plan, and it names one")),
            _ => Ok(self),
        }
    }

    /// Looks whether options that the environment gives to every command (`TF_CLI_ARGS`) can be given to the plan and to its apply.
    ///
    /// # Errors
    ///
    /// Which of them cannot.
    pub fn shares(options: &str) -> Result<(), String> {
        for word in options.split_whitespace().filter(|word| word.starts_with('-')) {
            let name = word.trim_start_matches('-').split('=').next().unwrap_or_default();
            if !OPTIONS.iter().any(|(known, _, goes)| *known == name && *goes == Goes::ToBoth) {
                return Err(format!("`-{name}`, which is not for both a plan and the apply of one"));
            }
        }
        Ok(())
    }

    /// Has the values of ephemeral variables given again when the plan is applied, which does not keep them. All that is given with a
    /// plan file is about them: the tool has the others from the plan.
    ///
    /// Files are given again whole. That is no matter to a tool that knows ephemeral variables: it only refuses other values.
    #[must_use]
    pub fn repeat(mut self, ephemeral: &[Ephemeral]) -> Self {
        let is_theirs = |given: &&GivenValues| match &given.whose {
            _ if self.plan.is_some() => true,
            Whose::Variable(name) => ephemeral.iter().any(|variable| variable.name == *name),
            Whose::File(_) => !ephemeral.is_empty(),
        };
        let again = self.values.iter().filter(is_theirs).flat_map(|given| given.words.clone());
        self.for_saved.extend(again.collect::<Vec<_>>());
        self
    }

    /// The command that makes the plan and saves it.
    pub fn plan_command(&self, file: &Path) -> Vec<OsString> {
        let mut out = OsString::from("-out=");
        out.push(file);
        self.command("plan", &self.for_plan, &[out])
    }

    /// The command that tells in JSON what is in a plan.
    pub fn show_command(&self, file: &OsStr) -> Vec<OsString> {
        self.command("show", &[], &["-json".into(), file.to_owned()])
    }

    /// The command that applies a plan.
    pub fn apply_command(&self, file: &OsStr) -> Vec<OsString> {
        self.command("apply", &self.for_saved, &[file.to_owned()])
    }

    fn command(&self, subcommand: &str, options: &[OsString], last: &[OsString]) -> Vec<OsString> {
        [&self.head[..], &[subcommand.into()], options, last].concat()
    }
}

impl GivenValues {
    fn new(option: &str, value: Option<&str>, words: &[OsString]) -> Result<Self, String> {
        let value = value.ok_or("an argument is not UTF-8")?;
        let whose = match value.split_once('=') {
            _ if option == "var-file" => Whose::File(value.to_owned()),
            Some((name, _)) => Whose::Variable(name.trim().to_owned()),
            None => return Err(format!("its option `-{option}` names no value")),
        };
        Ok(Self { whose, words: words.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    fn apply(line: &str) -> Option<Result<Apply, String>> {
        let command = words(line);
        Apply::of(&Invocation::of(&command)?, &command)
    }

    #[track_caller]
    fn check(line: &str, plan: &str, applied: &str) {
        let apply = apply(line).unwrap().unwrap();
        let text = |words: Vec<OsString>| words.join(" ".as_ref()).into_string().unwrap();
        assert_eq!(text(apply.plan_command(Path::new("F"))), plan);
        assert_eq!(text(apply.apply_command("F".as_ref())), applied);
    }

    #[test]
    fn options_go_where_they_belong() {
        check("terraform apply", "terraform plan -out=F", "terraform apply F");
        check(
            "terraform -chdir=x apply -auto-approve -var a=b -var-file=v -target m.x -no-color -parallelism=3 -input=false",
            "terraform -chdir=x plan -var a=b -var-file=v -target m.x -no-color -parallelism=3 -input=false -out=F",
            "terraform -chdir=x apply -no-color -parallelism=3 -input=false F",
        );
        check("tofu destroy --refresh=false", "tofu plan -destroy --refresh=false -out=F", "tofu apply F");
    }

    #[test]
    fn values_that_no_plan_keeps_are_given_again() {
        let token = [Ephemeral { name: "token".into(), has_default: false }];
        let applied = |line: &str, ephemeral: &[Ephemeral]| {
            let apply = apply(line).unwrap().unwrap().repeat(ephemeral);
            let file = apply.plan.clone().unwrap_or_else(|| "F".into());
            apply.apply_command(&file).join(" ".as_ref()).into_string().unwrap()
        };
        let line = "terraform apply -var a=b -var token=x -var=token=y -var-file v -no-color";
        assert_eq!(applied(line, &[]), "terraform apply -no-color F");
        assert_eq!(applied(line, &token), "terraform apply -no-color -var token=x -var=token=y -var-file v F");
        assert_eq!(applied("terraform apply -var a=b -var-file=v P", &[]), "terraform apply -var a=b -var-file=v P");
    }

    #[test]
    fn options_of_the_environment_go_to_both_or_nowhere() {
        for both in ["", "-no-color", "-input=false  --parallelism=3 -lock-timeout 5m"] {
            assert_eq!(Apply::shares(both), Ok(()), "{both}");
        }
        for (one, name) in
            [("-no-color -target=m.x", "`-target`"), ("-auto-approve", "`-auto-approve`"), ("-var a=b", "`-var`")]
        {
            assert!(Apply::shares(one).unwrap_err().starts_with(name), "{one}");
        }
    }

    #[test]
    fn what_it_says_of_itself() {
        let told = |line| {
            let Apply { plan, auto_approve, input, json, .. } = apply(line).unwrap().unwrap();
            (plan.map(|plan| plan.into_string().unwrap()), auto_approve, input, json)
        };
        assert_eq!(told("terraform apply -auto-approve"), (None, true, true, false));
        assert_eq!(
            told("terraform apply -auto-approve=false -input=0 p.tfplan"),
            (Some("p.tfplan".into()), false, false, false)
        );
        assert_eq!(told("terraform apply -json"), (None, false, true, true));
    }

    #[test]
    fn what_cannot_be_taken_apart_and_what_is_none() {
        for line in [
            "terraform apply -new-option",
            "terraform apply -state=x",
            "terraform apply a b",
            "terraform destroy a",
            "terraform apply -var",
            "terraform apply -target=m.x a",
            "terraform apply a -destroy",
        ] {
            assert!(apply(line).unwrap().is_err(), "{line}");
        }
        for line in ["terraform plan", "terraform state rm x", "terragrunt apply", "make apply", "terraform"] {
            assert_eq!(apply(line), None, "{line}");
        }
    }
}
