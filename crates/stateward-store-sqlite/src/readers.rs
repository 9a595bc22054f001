//! The threads that read, each with a connection of its own.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use stateward_store::{Result, StoreError};
use tokio::sync::oneshot;

use crate::error::{Halt, closed};

type Job = Box<dyn FnOnce(&Connection) + Send>;

/// Hands reads to whichever thread is free.
pub(crate) struct Readers {
    jobs: Mutex<Option<Sender<Job>>>,
}

impl Readers {
    /// Starts one thread for each connection.
    pub(crate) fn start(connections: Vec<Connection>) -> std::io::Result<(Self, Vec<JoinHandle<()>>)> {
        let (sender, receiver) = mpsc::channel();
        let receiver = Arc::new(Mutex::new(receiver));
        let mut threads = Vec::new();
        for connection in connections {
            let receiver = Arc::clone(&receiver);
            let thread = std::thread::Builder::new().name("sqlite-reader".into());
            threads.push(thread.spawn(move || work(&connection, &receiver))?);
        }
        Ok((Self { jobs: Mutex::new(Some(sender)) }, threads))
    }

    /// Reads, off the threads of the async runtime.
    pub(crate) async fn ask<T, F>(&self, read: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Halt> + Send + 'static,
    {
        let (answer, receiver) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // Whoever asked may have gone away.
            drop(answer.send(read(connection).map_err(StoreError::from)));
        });
        {
            let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            jobs.as_ref().and_then(|jobs| jobs.send(job).ok()).ok_or_else(closed)?;
        }
        receiver.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Takes no more reads; the threads end when they have done those that wait.
    pub(crate) fn close(&self) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

fn work(connection: &Connection, jobs: &Mutex<Receiver<Job>>) {
    loop {
        // Only one thread waits at the channel, the others for the lock: each job wakes one.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(job) => job(connection),
            Err(mpsc::RecvError) => return,
        }
    }
}
