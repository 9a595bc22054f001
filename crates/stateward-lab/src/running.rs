//! A lab that runs on a thread of its own.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

use crate::lab::{Lab, Surroundings};
use crate::serve::serve;
use crate::world::World;

/// A lab that answers on a port of loopback until it is dropped.
#[derive(Debug)]
pub struct Running {
    lab: Arc<Lab>,
    url: String,
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Running {
    /// Starts it on a free port.
    pub fn start(world: World, surroundings: Surroundings) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address: SocketAddr = listener.local_addr()?;
        let lab = Arc::new(Lab::new(world, surroundings));
        let serving = Arc::clone(&lab);
        let (stop, stopped) = oneshot::channel::<Infallible>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                let dropped = async { drop(stopped.await) };
                serve(serving, listener, dropped).await
            })
        });
        Ok(Self { lab, url: format!("http://{address}"), stop: Some(stop), thread: Some(thread) })
    }

    /// `http://127.0.0.1:PORT`, for all services.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The lab, to look at its decisions and to change its world.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _its_panic_was_printed = thread.join();
        }
    }
}
