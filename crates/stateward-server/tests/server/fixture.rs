//! A server on a port of its own, over a store in memory.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use serde_json::Value;
use stateward_core::access::{Rule, TokenEntry, token_digest};
use stateward_core::{Backend, Clock, Entropy, Right, Settings, Timestamp, Tokens};
use stateward_server::{App, Auth, Options, serve};
use stateward_store::{MemStore, Store};
use stateward_testkit::{Body, Connection, RawHttp, Response};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) use stateward_testkit::lock_info;

pub(crate) const APPLY: &str = "OperationTypeApply";
pub(crate) const PLAN: &str = "OperationTypePlan";

/// Stands still unless told.
#[derive(Debug)]
pub(crate) struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::Relaxed)).unwrap()
    }
}

/// The same sequence in every run.
#[derive(Debug)]
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        for piece in bytes.chunks_mut(16) {
            let number = self.0.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let digest = Md5::digest(number.to_le_bytes());
            piece.copy_from_slice(&digest[..piece.len()]);
        }
    }
}

pub(crate) struct Setup {
    pub(crate) settings: Settings,
    pub(crate) auth: Auth,
    pub(crate) options: Options,
    pub(crate) store: Arc<dyn Store>,
}

pub(crate) struct Server {
    pub(crate) app: App,
    pub(crate) http: RawHttp,
    clock: Arc<TestClock>,
    stop: Option<oneshot::Sender<()>>,
    served: Option<JoinHandle<io::Result<()>>>,
    runtime: Runtime,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Setup)) -> Self {
        keep_log();
        let mut setup = Setup {
            settings: Settings::default(),
            auth: Auth::Local,
            options: Options::default(),
            store: Arc::new(MemStore::new()),
        };
        change(&mut setup);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let clock = Arc::new(TestClock(AtomicI64::new(1_764_000_000)));
        let entropy = Arc::new(Counting(AtomicU64::new(1)));
        let backend = runtime.block_on(Backend::open(setup.store, clock.clone(), entropy, setup.settings)).unwrap();
        let app = App::new(backend, setup.auth, setup.options);
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = runtime.spawn(serve(listener, app.clone(), async move {
            let _told = stopped.await;
        }));
        let http = RawHttp::new(address).limit(Duration::from_secs(20));
        Self { app, http, clock, stop: Some(stop), served: Some(served), runtime }
    }

    /// Asks it to go down, and does not wait for that.
    pub(crate) fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits until it is down.
    pub(crate) fn down(&mut self) {
        self.runtime.block_on(self.served.take().unwrap()).unwrap().unwrap();
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds, Ordering::Relaxed);
    }

    pub(crate) fn connect(&self) -> Connection {
        self.http.connect().unwrap()
    }

    #[track_caller]
    pub(crate) fn send<'a>(&self, method: &str, target: &str, body: impl Into<Body<'a>>) -> Response {
        self.http.request(method, target, &[], body)
    }

    #[track_caller]
    pub(crate) fn get(&self, target: &str) -> Response {
        self.send("GET", target, Body::None)
    }

    #[track_caller]
    pub(crate) fn lock(&self, name: &str, id: &str) -> Response {
        self.send("LOCK", &format!("/state/{name}"), &lock_info(id, APPLY))
    }

    #[track_caller]
    pub(crate) fn unlock(&self, name: &str, id: &str) -> Response {
        self.send("UNLOCK", &format!("/state/{name}"), &lock_info(id, APPLY))
    }

    /// Stores a small state at this serial, under no lock.
    #[track_caller]
    pub(crate) fn store(&self, name: &str, serial: u64) {
        self.send("POST", &format!("/state/{name}"), &state(serial)).expect_status(200);
    }

    /// Who waits for a state, and whether it is held.
    pub(crate) fn queue(&self, name: &str) -> (bool, u64) {
        let locks = json(&self.get(&format!("/api/v1/locks?state={name}")).expect_status(200));
        let whole = locks["items"].as_array().unwrap().iter().find(|lock| lock["mode"] == "whole").cloned();
        (whole.is_some(), whole.map_or(0, |lock| lock["queue"].as_u64().unwrap()))
    }

    /// A connection whose LOCK waits in the queue.
    pub(crate) fn wait_for_lock(&self, name: &str, id: &str) -> Connection {
        let (_, before) = self.queue(name);
        let mut connection = self.connect();
        connection.send_request("LOCK", &format!("/state/{name}?wait=60s"), &[], &lock_info(id, APPLY)).unwrap();
        until("the client waits", || self.queue(name).1 == before + 1);
        connection
    }
}

/// A state that Terraform could have written.
pub(crate) fn state(serial: u64) -> Vec<u8> {
    state_of(serial, "11111111-2222-3333-4444-555555555555", "one")
}

pub(crate) fn state_of(serial: u64, lineage: &str, value: &str) -> Vec<u8> {
    format!(
        r#"{{
  "version": 4,
  "terraform_version": "1.15.5",
  "serial": {serial},
  "lineage": "{lineage}",
  "outputs": {{
    "greeting": {{ "value": "hello {serial}", "type": "string" }}
  }},
  "resources": [
    {{
      "mode": "managed",
      "type": "terraform_data",
      "name": "a",
      "provider": "provider[\"terraform.io/builtin/terraform\"]",
      "instances": [{{ "schema_version": 0, "attributes": {{ "id": "a", "input": "{value}", "output": 1.10 }} }}]
    }}
  ],
  "check_results": null
}}
"#
    )
    .into_bytes()
}

pub(crate) fn json(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_else(|error| panic!("{error} in {}", response.text()))
}

pub(crate) fn md5_of(bytes: &[u8]) -> String {
    STANDARD.encode(Md5::digest(bytes))
}

/// A token with these rights on states that meet the glob.
pub(crate) fn token(name: &str, allow: &[Right], glob: &str) -> TokenEntry {
    let rule = Rule { allow: allow.to_vec(), deny: Vec::new(), states: vec![glob.to_owned()] };
    TokenEntry { name: name.to_owned(), sha256: token_digest(&secret(name)), rules: vec![rule] }
}

pub(crate) fn secret(name: &str) -> String {
    format!("secret-of-{name}")
}

pub(crate) fn tokens(entries: &[TokenEntry]) -> Tokens {
    Tokens::new(entries.to_vec()).unwrap()
}

pub(crate) fn bearer(name: &str) -> String {
    format!("Bearer {}", secret(name))
}

/// Waits for something that takes a moment.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    #[expect(clippy::disallowed_methods, reason = "a test's own patience is measured in real time")]
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "it does not come about that {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// All that any server of these tests has logged.
pub(crate) fn logged() -> String {
    String::from_utf8(LOG.lock().unwrap().clone()).unwrap()
}

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct LogWriter;

impl io::Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn keep_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt().json().with_max_level(tracing::Level::DEBUG).with_writer(|| LogWriter).init();
    });
}
