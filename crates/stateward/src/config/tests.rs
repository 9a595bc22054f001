//! Layers, as a whole.

use std::path::Path;

use stateward_testkit::TestDir;

use super::*;

fn config(dir: &TestDir, vars: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Result<Config, Message> {
    let home = dir.join("home").display().to_string();
    let mut vars = vars.to_vec();
    vars.push(("HOME", &home));
    let flags = flags.iter().map(|(key, text)| (*key, (*text).to_owned())).collect();
    resolve(&Environment::of(&vars, dir.join("work/project")), &flags)
}

/// A setting's value and where it comes from, the directory written as `DIR`.
fn shown(dir: &TestDir, config: &Config, key: &str) -> String {
    let value = config.values.iter().find(|value| value.setting.key == key).unwrap();
    let text = value.shown().unwrap_or_else(|| "-".to_owned());
    format!("{text} ({})", value.source).replace(&dir.path().display().to_string(), "DIR")
}

#[test]
fn without_anything_the_defaults_are_in_force() {
    let dir = TestDir::new();
    let config = config(&dir, &[], &[]).unwrap();
    assert_eq!(shown(&dir, &config, "store"), "sqlite:DIR/home/.local/share/stateward/stateward.db (default)");
    assert_eq!(shown(&dir, &config, "listen"), "127.0.0.1:7017 (default)");
    assert_eq!(shown(&dir, &config, "tokens"), "- (default)");
    assert!(matches!(config.target, Target::Store(StoreUrl::Sqlite(_))));
    let core = stateward_core::Settings::default();
    assert_eq!(config.settings.core.limits.body_bytes, core.limits.body_bytes);
    assert_eq!(config.settings.core.limits.queue, core.limits.queue);
    assert_eq!(config.settings.core.retention, core.retention);
}

#[test]
fn without_a_home_there_is_no_store_until_one_is_named() {
    let dir = TestDir::new();
    let of = |vars: &[(&str, &str)]| resolve(&Environment::of(vars, dir.path()), &Flags::new()).unwrap();
    for vars in [&[][..], &[("HOME", "")], &[("HOME", "relative")], &[("XDG_DATA_HOME", "relative")]] {
        let config = of(vars);
        assert_eq!(shown(&dir, &config, "store"), "- (default)", "{vars:?}");
        assert_eq!(config.target, Target::Store(StoreUrl::Nowhere), "{vars:?}");
    }
    assert_eq!(
        of(&[("XDG_DATA_HOME", "/x")]).target,
        Target::Store("sqlite:/x/stateward/stateward.db".parse().unwrap())
    );
    assert_eq!(of(&[("STATEWARD_STORE", "memory:")]).target, Target::Store(StoreUrl::Memory));
}

#[test]
fn what_stands_where_a_file_was_meant_is_not_passed_over() {
    for make in [
        |path: &Path| fs::create_dir_all(path).unwrap(),
        |path: &Path| std::os::unix::fs::symlink("nowhere", path).unwrap(),
    ] {
        for place in ["work/stateward.toml", "home/.config/stateward/stateward.toml"] {
            let dir = TestDir::new();
            dir.subdir("work/project");
            dir.subdir("home/.config/stateward");
            make(&dir.join(place));
            let error = config(&dir, &[], &[]).unwrap_err();
            assert_eq!(error.what, "the configuration cannot be read");
            assert!(error.why.contains("stateward.toml"), "{}", error.why);
        }
    }
}

#[test]
fn the_stronger_layer_counts() {
    let dir = TestDir::new();
    dir.write(
        "home/.config/stateward/stateward.toml",
        "listen = '127.0.0.1:1'\nlog = 'a'\nwho = 'user'\n[lock]\nwait = '1s'\n",
    );
    dir.write(
        "work/stateward.toml",
        "listen = '127.0.0.1:2'\nlog = 'b'\ntokens = './tokens.toml'\nstore = 'sqlite:x.db'\n",
    );
    let vars = [("STATEWARD_LISTEN", "127.0.0.1:3"), ("STATEWARD_LOCK_PLAN", "exclusive"), ("STATEWARD_LOG", "")];
    let config = config(&dir, &vars, &[("listen", "127.0.0.1:4")]).unwrap();
    for (key, expected) in [
        ("listen", "127.0.0.1:4 (--listen)"),
        ("lock.plan", "exclusive (STATEWARD_LOCK_PLAN)"),
        ("log", "b (DIR/work/stateward.toml:2)"),
        ("tokens", "DIR/work/tokens.toml (DIR/work/stateward.toml:3)"),
        ("store", "sqlite:DIR/work/x.db (DIR/work/stateward.toml:4)"),
        ("who", "user (DIR/home/.config/stateward/stateward.toml:3)"),
        ("lock.wait", "1s (DIR/home/.config/stateward/stateward.toml:5)"),
    ] {
        assert_eq!(shown(&dir, &config, key), expected);
    }
}

#[test]
fn a_file_nearer_hides_those_above() {
    let dir = TestDir::new();
    dir.write("work/stateward.toml", "log = 'above'\n");
    dir.write("work/project/stateward.toml", "who = 'near'\n");
    let config = config(&dir, &[], &[]).unwrap();
    assert_eq!(shown(&dir, &config, "log"), "- (default)");
    assert_eq!(shown(&dir, &config, "who"), "near (DIR/work/project/stateward.toml:1)");
}

#[test]
fn store_or_server() {
    let dir = TestDir::new();
    dir.write("work/stateward.toml", "server = 'http://file:1'\nstore = 'memory:'\n");
    let target = |vars: &[(&str, &str)], flags: &[(&'static str, &str)]| match config(&dir, vars, flags)
        .map(|config| config.target)
    {
        Ok(Target::Store(store)) => store.to_string(),
        Ok(Target::Server(server)) => server.to_string(),
        Err(message) => message.what,
    };
    assert_eq!(target(&[], &[]), "http://file:1");
    assert_eq!(target(&[("STATEWARD_STORE", "memory:")], &[]), "memory:");
    assert_eq!(target(&[("STATEWARD_STORE", "memory:")], &[("server", "http://flag:1")]), "http://flag:1");
    assert_eq!(target(&[("STATEWARD_SERVER", "http://var:1")], &[("store", "sqlite:a")]), "sqlite:a");
    assert_eq!(
        target(&[], &[("store", "memory:"), ("server", "http://flag:1")]),
        "`--store` and `--server` were both given"
    );
}

#[test]
fn secrets_are_not_shown() {
    let dir = TestDir::new();
    let vars = [("STATEWARD_TOKEN", "geheim"), ("STATEWARD_SERVER", "http://geheim@h:1")];
    let config = config(&dir, &vars, &[]).unwrap();
    assert_eq!(shown(&dir, &config, "token"), "(set) (STATEWARD_TOKEN)");
    assert_eq!(shown(&dir, &config, "server"), "http://h:1 (STATEWARD_SERVER)");
    assert!(!format!("{:?} {:?}", config.settings, config.target).contains("geheim"));
}

#[test]
fn wrong_values_say_where_they_come_from() {
    let dir = TestDir::new();
    let error = config(&dir, &[("STATEWARD_LOCK_WAIT", "soon")], &[]).unwrap_err();
    assert_eq!(error.what, "the setting `lock.wait` is wrong");
    assert_eq!(
        error.why,
        "`soon`, from STATEWARD_LOCK_WAIT, is no length of time: write it as `90s`, `10m` or `1h30m`"
    );
    for (name, text) in [
        ("STATEWARD_SERVER", "geheim@h"),
        ("STATEWARD_STORE", "s3://AKIA:ge/heim@bucket/p"),
        ("STATEWARD_STORE", "s3://bucket/p?secret_key=geheim"),
    ] {
        let error = config(&dir, &[(name, text)], &[]).unwrap_err();
        assert!(!error.why.contains("heim"), "{}", error.why);
    }
}

#[test]
fn unknown_variables_are_told_but_do_no_harm() {
    // Kubernetes sets such variables for a service of that name.
    let dir = TestDir::new();
    let config = config(&dir, &[("STATEWARD_SERVICE_HOST", "10.0.0.1")], &[]).unwrap();
    assert_eq!(config.unknown_variables, ["STATEWARD_SERVICE_HOST"]);
}

#[test]
fn every_default_is_a_good_value_and_every_name_is_there_once() {
    for setting in SETTINGS {
        if let Fallback::Text(text) = setting.default {
            (setting.apply)(&mut Settings::default(), text).unwrap();
        }
        assert_eq!(
            SETTINGS.iter().filter(|other| other.variable() == setting.variable()).count(),
            1,
            "{}",
            setting.key
        );
    }
    assert!(file::find_upward(Path::new("/")).is_none());
}
