//! `docs/reference/configuration.md`, made from the table.

use std::fmt::Write;

use super::{Fallback, SETTINGS};

const HEAD: &str = "\
# Configuration

<!-- Made from crates/stateward/src/config/table.rs: run `STATEWARD_UPDATE_DOCS=1 cargo test -p stateward reference` to renew it. -->

Every setting can stand in four places. The first of them that names it counts:

1. a flag on the command line;
2. a variable `STATEWARD_…` in the environment (one that is empty counts as not set);
3. a file `stateward.toml`: the nearest one from the working directory upward, then the user's own,
   `$XDG_CONFIG_HOME/stateward/stateward.toml` (`~/.config/stateward/stateward.toml`);
4. the default.

`stateward config show` lists the values in force and says where each comes from. A key that is not known, or a value of the wrong
type, is an error (exit code 2). A file that was found upward is trusted as your own is: it may name the server that is shown
your token.

```toml
# stateward.toml
store = \"sqlite:/var/lib/stateward/stateward.db\"
listen = \"10.0.0.5:7017\"
tokens = \"tokens.toml\"

[lock]
wait = \"10m\"

[retention]
keep_versions = 100
keep_days = 90
```

| name in `stateward.toml` | variable | flag | default |
|---|---|---|---|
";

fn reference() -> String {
    let mut text = HEAD.to_owned();
    let default = |fallback: Fallback| match fallback {
        Fallback::Unset => "not set".to_owned(),
        Fallback::Text(text) => format!("`{text}`"),
        Fallback::UserStore => "in the user's data directory".to_owned(),
    };
    for setting in SETTINGS {
        let flag = setting.flag.map_or_else(String::new, |flag| format!("`{flag}`"));
        let name =
            if setting.kind == super::table::Kind::Secret { String::new() } else { format!("`{}`", setting.key) };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {name} | `{}` | {flag} | {} |", setting.variable(), default(setting.default));
    }
    for setting in SETTINGS {
        let _ = write!(text, "\n## {}\n\n{}\n\nValue: {}.\n", setting.key, setting.help, setting.kind.describe());
    }
    text
}

#[test]
fn the_reference_is_current() {
    crate::docs::assert_current("docs/reference/configuration.md", &reference());
}
