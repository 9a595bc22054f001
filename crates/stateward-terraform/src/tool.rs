//! What a command line runs: which tool, which of its subcommands, in which directory. Pure.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// The tools that keep their state in a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// Terraform.
    Terraform,
    /// `OpenTofu`.
    OpenTofu,
    /// Terragrunt, which runs one of the others in directories of its own choice.
    Terragrunt,
}

impl Tool {
    /// The tool that a program is, by its file name: `terraform`, `tofu`, `terragrunt`, also with a version behind
    /// (`terraform-1.9.8`, `tofu_1.12`).
    pub fn of(program: &OsStr) -> Option<Self> {
        let name = Path::new(program).file_name()?.to_str()?;
        let is = |tool: &str| {
            let Some(rest) = name.strip_prefix(tool) else { return false };
            let version = rest.trim_start_matches(['-', '_', '@']);
            rest.is_empty() || version.trim_start_matches('v').starts_with(|first: char| first.is_ascii_digit())
        };
        match () {
            () if is("terraform") => Some(Self::Terraform),
            () if is("tofu") || is("opentofu") => Some(Self::OpenTofu),
            () if is("terragrunt") => Some(Self::Terragrunt),
            () => None,
        }
    }
}

/// What a subcommand wants of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing: it does not look at the backend.
    Nothing,
    /// To find the backend and get the directory ready.
    Init,
    /// The state itself.
    State,
}

/// A tool's command line, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation<'a> {
    /// Which tool.
    pub tool: Tool,
    /// `-chdir=DIR`: the directory that it works in.
    pub chdir: Option<&'a Path>,
    /// `plan`, `apply`, `state`, …; `None` where there is none, which prints the help.
    pub subcommand: Option<&'a str>,
    /// What comes after the subcommand.
    pub arguments: &'a [OsString],
    /// Where the subcommand stands in the command line.
    at: usize,
}

/// Subcommands that never look at the backend.
const WITHOUT_STATE: &[&str] = &["fmt", "get", "login", "logout", "metadata", "rpcapi", "test", "validate", "version"];

impl<'a> Invocation<'a> {
    /// Takes a command line apart, the program first; `None` where the program is none of the tools.
    pub fn of(command: &'a [OsString]) -> Option<Self> {
        let (program, rest) = command.split_first()?;
        let tool = Tool::of(program)?;
        let options = rest.iter().take_while(|argument| argument.as_encoded_bytes().starts_with(b"-"));
        let chdir = options.clone().find_map(|option| Some(Path::new(option.to_str()?.strip_prefix("-chdir=")?)));
        let at = 1 + options.count();
        let subcommand = command.get(at).and_then(|word| word.to_str());
        Some(Self { tool, chdir, subcommand, arguments: command.get(at + 1..).unwrap_or_default(), at })
    }

    /// What it wants of the state. What is not known is taken to want it.
    pub fn need(&self) -> Need {
        let is_help = |argument: &OsString| ["-h", "-help", "--help"].iter().any(|help| argument == help);
        let Some(subcommand) = self.subcommand else { return Need::Nothing };
        let first = self.arguments.first().and_then(|word| word.to_str());
        match (subcommand, first) {
            _ if self.arguments.iter().any(is_help) => Need::Nothing,
            (subcommand, _) if WITHOUT_STATE.contains(&subcommand) => Need::Nothing,
            ("providers", Some("lock" | "mirror")) => Need::Nothing,
            ("init", _) => Need::Init,
            _ => Need::State,
        }
    }

    /// Whether Terragrunt is to run in many directories, each with a state of its own.
    pub fn is_for_many(&self) -> bool {
        let all = |argument: &OsString| argument == "--all" || argument == "-a" || argument == "--graph";
        self.tool == Tool::Terragrunt
            && match self.subcommand {
                Some("run-all" | "graph" | "stack") => true,
                Some(_) => self.arguments.iter().take_while(|argument| *argument != "--").any(all),
                None => false,
            }
    }

    /// The command line with one more option right after the subcommand.
    pub fn with_option(&self, command: &[OsString], option: &str) -> Vec<OsString> {
        let mut command = command.to_vec();
        command.insert((self.at + 1).min(command.len()), option.into());
        command
    }

    /// The value of an option of the subcommand, as in `-NAME=VALUE`; the last one counts.
    pub fn option(&self, name: &str) -> Option<&'a str> {
        let value = |argument: &'a OsString| {
            let text = argument.to_str()?;
            let text = text.strip_prefix("--").or(text.strip_prefix('-'))?;
            text.strip_prefix(name)?.strip_prefix('=')
        };
        self.arguments.iter().rev().find_map(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn tools_by_their_names() {
        for (program, tool) in [
            ("terraform", Some(Tool::Terraform)),
            ("/opt/bin/terraform", Some(Tool::Terraform)),
            ("./terraform-1.9.8", Some(Tool::Terraform)),
            ("terraform_v1.5.7", Some(Tool::Terraform)),
            ("terraform1.5", Some(Tool::Terraform)),
            ("tofu", Some(Tool::OpenTofu)),
            ("tofu-1.12.6", Some(Tool::OpenTofu)),
            ("opentofu", Some(Tool::OpenTofu)),
            ("terragrunt", Some(Tool::Terragrunt)),
            ("terraform-docs", None),
            ("terraform-provider-aws", None),
            ("make", None),
            ("myterraform", None),
            ("", None),
        ] {
            assert_eq!(Tool::of(program.as_ref()), tool, "{program}");
        }
    }

    #[test]
    fn what_is_wanted_of_the_state() {
        for (line, need) in [
            ("terraform", Need::Nothing),
            ("terraform -version", Need::Nothing),
            ("terraform fmt -check", Need::Nothing),
            ("terraform -chdir=x validate", Need::Nothing),
            ("terraform apply -help", Need::Nothing),
            ("terraform providers lock", Need::Nothing),
            ("terraform providers", Need::State),
            ("terraform init -upgrade", Need::Init),
            ("terraform -chdir=x init", Need::Init),
            ("tofu plan", Need::State),
            ("tofu state list", Need::State),
            ("tofu something-new", Need::State),
        ] {
            assert_eq!(Invocation::of(&words(line)).unwrap().need(), need, "{line}");
        }
        assert_eq!(Invocation::of(&words("make apply")), None);
        assert_eq!(Invocation::of(&[]), None);
    }

    #[test]
    fn the_directory_and_the_options() {
        let command = words("terraform -chdir=infra/net init -backend-config=a=b -plugin-dir=x --plugin-dir=y");
        let invocation = Invocation::of(&command).unwrap();
        assert_eq!(invocation.chdir, Some(Path::new("infra/net")));
        assert_eq!((invocation.option("plugin-dir"), invocation.option("plugin")), (Some("y"), None));
        let with = invocation.with_option(&command, "-backend=false");
        assert_eq!(with[2..4], words("init -backend=false"));
    }

    #[test]
    fn terragrunt_in_many_directories() {
        for (line, many) in [
            ("terragrunt apply", false),
            ("terragrunt run-all apply", true),
            ("terragrunt run --all -- plan", true),
            ("terragrunt run -- plan --all", false),
            ("terragrunt apply --all", true),
            ("terraform apply --all", false),
        ] {
            assert_eq!(Invocation::of(&words(line)).unwrap().is_for_many(), many, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_command_line_is_taken_apart_without_loss(rest in prop::collection::vec("-?[a-z=./-]{0,8}", 0..8)) {
            let command: Vec<OsString> = ["terraform"].into_iter().map(OsString::from).chain(rest.iter().map(OsString::from)).collect();
            let invocation = Invocation::of(&command).unwrap();
            let before = command.iter().skip(1).take_while(|word| word.as_encoded_bytes().starts_with(b"-")).count();
            let rebuilt = 1 + before + usize::from(invocation.subcommand.is_some()) + invocation.arguments.len();
            prop_assert_eq!(rebuilt, command.len());
            let _need = invocation.need();
            let with = invocation.with_option(&command, "-x");
            prop_assert_eq!(with.len(), command.len() + 1);
        }
    }
}
