//! `stateward state copy` and `stateward state move`.

use std::sync::Arc;

use stateward_client::transfer::{Copied, Held, Relocation, copy as copy_versions, relocate as relocate_versions};
use stateward_client::{Connection, Secret};
use stateward_core::{Clock, NameError, StateId, StateName, StatesQuery};

use super::id_of;
use super::transfer::{Doing, Report, follow, nothing_there};
use crate::cli::{CopyArgs, Ends, Selection};
use crate::commands::interruption::Interruption;
use crate::commands::{Context, TOOL};
use crate::config::{Target, shown_store};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::progress::Progress;
use crate::store::Missing;
use crate::system::SystemClock;

pub(super) async fn copy(context: &Context, args: &CopyArgs) -> Result<Exit> {
    let route = Route::new(context, args)?;
    let (from, to) = route.connect(context).await?;
    let pairs = route.pairs(&*from).await?;
    let mut report = Report::new(context, Doing::Copy, pairs.len());
    for (source, target) in pairs {
        let outcome = copy_one(&*from, &source, &*to, &target).await;
        report.add(format!("{source} in {}", from.place()), &target, outcome)?;
    }
    report.end()
}

async fn copy_one(from: &dyn Connection, source: &StateId, to: &dyn Connection, target: &StateId) -> Result<Copied> {
    let (progress, name) = (Progress::work("copying"), source.to_string());
    let mut follow = follow(&progress, Doing::Copy, &name);
    Ok(copy_versions(&Held::new(from, source), to, target, &mut follow).await?)
}

pub(super) async fn relocate(context: &Context, args: &CopyArgs) -> Result<Exit> {
    let route = Route::new(context, args)?;
    let (from, to) = route.connect(context).await?;
    let pairs = route.pairs(&*from).await?;
    let mut report = Report::new(context, Doing::Move, pairs.len());
    let mut interruption = Interruption::new()?;
    for (source, target) in &pairs {
        let outcome = {
            let (progress, name, who) = (Progress::work("moving"), source.to_string(), context.who());
            let mut follow = follow(&progress, Doing::Move, &name);
            let relocation = Relocation {
                from: &*from,
                source,
                to: &*to,
                target,
                who: &who,
                tool: TOOL.split_once('/').map_or(TOOL, |(_, version)| version),
                now: SystemClock.now(),
            };
            relocate_versions(relocation, interruption.comes(), &mut follow).await
        };
        report.add(
            format!("{source} in {}", from.place()),
            target,
            outcome.map(|moved| moved.copied).map_err(Failure::from),
        )?;
        if interruption.came {
            break;
        }
    }
    report.end()
}

/// From where to where, under which names.
struct Route {
    from: Target,
    to: Target,
    from_token: Option<Secret>,
    to_token: Option<Secret>,
    which: Which,
}

/// Which states, and what they are called at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Which {
    One(StateId, StateId),
    /// Those whose names begin with the first text; there it is replaced by the second.
    Below(String, String),
}

impl Route {
    fn new(context: &Context, args: &CopyArgs) -> Result<Self> {
        let (here, settings) = (&context.config.target, context.settings());
        let Ends { from_store, from_server, to_store, to_server } = &args.ends;
        let from = end("--from", from_store.as_deref(), from_server.as_deref())?;
        let to = end("--to", to_store.as_deref(), to_server.as_deref())?;
        // A token is for one server: never shown to the other.
        let token = |end: &Option<Target>, own: &Option<Secret>| match end {
            Some(end) if end != here => own.clone(),
            _ => settings.token.clone(),
        };
        let (from_token, to_token) = (token(&from, &settings.from_token), token(&to, &settings.to_token));
        let (from, to) = (from.unwrap_or_else(|| here.clone()), to.unwrap_or_else(|| here.clone()));
        let which = Which::of(args)?;
        if from == to && which.is_same_names() {
            let next = "name another state as TO, or another place with `--to-store` or `--to-server`";
            return Err(Failure::usage("nothing was done", "FROM and TO are the same", next));
        }
        if from == to && which.is_within() {
            let why = "TO lies within FROM: when it is run again, it would take what it has brought there too";
            return Err(Failure::usage("nothing was done", why, "choose a TO that does not begin as FROM does"));
        }
        Ok(Self { from, to, from_token, to_token, which })
    }

    async fn connect(&self, context: &Context) -> Result<(Arc<dyn Connection>, Arc<dyn Connection>)> {
        let from: Arc<dyn Connection> =
            context.connect_to(&self.from, self.from_token.as_ref(), Missing::Refuse).await?.into();
        let to = match self.from == self.to {
            true => from.clone(),
            false => context.connect_to(&self.to, self.to_token.as_ref(), Missing::Make).await?.into(),
        };
        Ok((from, to))
    }

    /// Each state with its name at the other end.
    async fn pairs(&self, from: &dyn Connection) -> Result<Vec<(StateId, StateId)>> {
        let (prefix, new_prefix) = match &self.which {
            Which::One(source, target) => return Ok(vec![(source.clone(), target.clone())]),
            Which::Below(prefix, new_prefix) => (prefix, new_prefix),
        };
        let query = StatesQuery { prefix: prefix.clone(), ..StatesQuery::default() };
        let states: Vec<StateId> = from.states(&query).await?.items.iter().map(id_of).collect();
        if states.is_empty() {
            let why = if prefix.is_empty() { "there are no states" } else { "no state's name begins so" };
            return Err(nothing_there(
                "there is nothing to do".to_owned(),
                why,
                "`stateward state list` shows the states there are",
            ));
        }
        let pair = |state: StateId| renamed(&state, prefix, new_prefix).map(|target| (state, target));
        states.into_iter().map(pair).collect()
    }
}

impl Which {
    fn of(args: &CopyArgs) -> Result<Self> {
        Ok(match (&args.from, &args.to) {
            (Some(Selection::One(source)), None) => Self::One(source.clone(), source.clone()),
            (Some(Selection::One(source)), Some(Selection::One(target))) => Self::One(source.clone(), target.clone()),
            (Some(Selection::Below(prefix)), None) => Self::Below(prefix.clone(), prefix.clone()),
            (Some(Selection::Below(prefix)), Some(Selection::Below(new))) => Self::Below(prefix.clone(), new.clone()),
            (None, _) => Self::Below(String::new(), String::new()),
            (Some(Selection::One(source)), Some(Selection::Below(below))) => {
                let next = format!("write its new name in full, such as `{below}{}`", source.name);
                return Err(Failure::usage("nothing was done", "FROM is one state, and TO ends with `/`", next));
            }
            (Some(Selection::Below(_)), Some(Selection::One(target))) => {
                let next = format!("write TO as `{}/`", target.name);
                return Err(Failure::usage("nothing was done", "FROM is several states, and TO is one", next));
            }
        })
    }

    /// Whether what it makes is among what it takes.
    fn is_within(&self) -> bool {
        matches!(self, Self::Below(prefix, new_prefix) if new_prefix.starts_with(prefix))
    }

    fn is_same_names(&self) -> bool {
        match self {
            Self::One(source, target) => source == target,
            Self::Below(prefix, new_prefix) => prefix == new_prefix,
        }
    }
}

/// The state with another beginning of its name.
fn renamed(state: &StateId, prefix: &str, new_prefix: &str) -> Result<StateId> {
    let rest = state.name.as_str().strip_prefix(prefix).unwrap_or(state.name.as_str());
    let name = format!("{new_prefix}{rest}").parse::<StateName>().map_err(|error: NameError| {
        Failure::usage(
            "nothing was done",
            format!("`{new_prefix}{rest}` can be no name: {error}"),
            "choose a shorter TO",
        )
    })?;
    Ok(StateId { name, workspace: state.workspace.clone() })
}

/// The store or server that a pair of flags names.
fn end(flag: &str, store: Option<&str>, server: Option<&str>) -> Result<Option<Target>> {
    let wrong = |kind: &str, why: String| {
        Failure::usage(format!("`{flag}-{kind}` cannot be used"), why, "see `stateward state copy --help`")
    };
    if let Some(store) = store {
        let store =
            store.parse().map_err(|fault: String| wrong("store", format!("`{}` {fault}", shown_store(store))))?;
        return Ok(Some(Target::Store(store)));
    }
    let Some(server) = server else { return Ok(None) };
    // Not repeated: it may hold a token.
    let server =
        server.parse().map_err(|error: stateward_client::ServerUrlError| wrong("server", error.to_string()))?;
    Ok(Some(Target::Server(server)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn which(from: Option<&str>, to: Option<&str>) -> Result<Which> {
        let parse = |text: Option<&str>| text.map(|text| text.parse().unwrap());
        let ends = Ends { from_store: None, from_server: None, to_store: None, to_server: None };
        Which::of(&CopyArgs { from: parse(from), to: parse(to), all: from.is_none(), ends })
    }

    #[test]
    fn one_goes_to_one_and_several_to_several() {
        let one = |source: &str, target: &str| Which::One(source.parse().unwrap(), target.parse().unwrap());
        let below = |prefix: &str, new: &str| Which::Below(prefix.to_owned(), new.to_owned());
        assert_eq!(which(Some("a"), None).unwrap(), one("a", "a"));
        assert_eq!(which(Some("a@dev"), Some("b")).unwrap(), one("a@dev", "b"));
        assert_eq!(which(Some("a/"), Some("b/c/")).unwrap(), below("a/", "b/c/"));
        assert_eq!(which(Some("a/"), None).unwrap(), below("a/", "a/"));
        assert_eq!(which(None, None).unwrap(), below("", ""));
        assert!(which(Some("a"), Some("b/")).is_err() && which(Some("a/"), Some("b")).is_err());
    }

    #[test]
    fn the_beginning_of_a_name_is_replaced() {
        let new =
            |name: &str, prefix: &str, with: &str| renamed(&name.parse().unwrap(), prefix, with).unwrap().to_string();
        assert_eq!(new("net/prod@dev", "net/", "team/net/"), "team/net/prod@dev");
        assert_eq!(new("net/net/x", "net/", "a/"), "a/net/x");
        assert_eq!(new("x", "", ""), "x");
        assert!(renamed(&"a/x".parse().unwrap(), "a/", &format!("{}/", "y".repeat(511))).is_err());
    }
}
