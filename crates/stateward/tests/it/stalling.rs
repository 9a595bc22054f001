//! A way to a server that stops in the middle, so that whoever uses it can be killed there.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

const LIMIT: Duration = Duration::from_mins(1);

/// Passes requests on until so many of one kind went through; those that follow are held, until the way is opened.
pub(crate) struct Stalling {
    pub(crate) address: SocketAddr,
    stalled: Receiver<()>,
    open: Arc<AtomicBool>,
}

impl Stalling {
    /// In front of a server. `request` is how the requests that are counted begin.
    pub(crate) fn before(server: SocketAddr, request: &'static str, let_through: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (tell, stalled) = mpsc::channel();
        let open = Arc::new(AtomicBool::new(false));
        let passage = Passage {
            request,
            let_through,
            seen: Arc::new(AtomicUsize::new(0)),
            open: open.clone(),
            tell: Arc::new(Mutex::new(tell)),
        };
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (passage, server) = (passage.clone(), TcpStream::connect(server).expect("the server"));
                thread::spawn(move || passage.serve(client, server));
            }
        });
        Self { address, stalled, open }
    }

    /// Waits until a request is held.
    #[track_caller]
    pub(crate) fn wait(&self) {
        self.stalled.recv_timeout(LIMIT).expect("a request that is held");
    }

    /// Lets everything through that comes from now on.
    pub(crate) fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
    }
}

#[derive(Clone)]
struct Passage {
    request: &'static str,
    let_through: usize,
    seen: Arc<AtomicUsize>,
    open: Arc<AtomicBool>,
    tell: Arc<Mutex<Sender<()>>>,
}

impl Passage {
    fn serve(&self, mut client: TcpStream, mut server: TcpStream) {
        let (mut answers, mut back) = (server.try_clone().expect("a handle"), client.try_clone().expect("a handle"));
        thread::spawn(move || std::io::copy(&mut answers, &mut back));
        let mut piece = vec![0; 64 << 10];
        // Either side may end at any time.
        while let Ok(length @ 1..) = client.read(&mut piece) {
            // The client waits for each answer, so that a request begins a piece.
            if piece[..length].starts_with(self.request.as_bytes())
                && self.seen.fetch_add(1, Ordering::SeqCst) >= self.let_through
                && !self.open.load(Ordering::SeqCst)
            {
                self.tell.lock().expect("no panic under it").send(()).ok();
                thread::park();
            }
            if server.write_all(&piece[..length]).is_err() {
                return;
            }
        }
    }
}
