//! Writes metrics to a file for node_exporter, on a thread of its own: a disk that is slow must not delay the session.
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use probe_record::why;

use crate::report::output;

/// Time that the last file has at the end of the session.
const GRACE: Duration = Duration::from_secs(5);

/// What is to be written next. A text that was not written before the next one came is left out.
#[derive(Debug, Default)]
struct Desk {
    text: Option<Arc<str>>,
    over: bool,
    done: bool,
}

/// Writes the newest text to a file, aside and renamed.
#[derive(Debug)]
pub struct FileWriter {
    desk: Arc<(Mutex<Desk>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

fn lock(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FileWriter {
    /// Begins to write to `path`.
    ///
    /// # Errors
    /// There is no room for a thread.
    pub fn start(path: PathBuf) -> std::io::Result<Self> {
        let desk = Arc::<(Mutex<Desk>, Condvar)>::default();
        let for_thread = Arc::clone(&desk);
        let thread = std::thread::Builder::new()
            .name("probe-metrics".to_owned())
            .spawn(move || write(&path, &for_thread))?;
        Ok(Self { desk, thread: Some(thread) })
    }

    /// Writes this text as soon as possible.
    pub fn put(&self, text: Arc<str>) {
        lock(&self.desk.0).text = Some(text);
        self.desk.1.notify_all();
    }

    /// Writes the last text. Waits up to five seconds for that.
    pub fn close(mut self) {
        lock(&self.desk.0).over = true;
        self.desk.1.notify_all();
        let desk = lock(&self.desk.0);
        let waited = self.desk.1.wait_timeout_while(desk, GRACE, |desk| !desk.done);
        let done = waited.unwrap_or_else(PoisonError::into_inner).0.done;
        if !done {
            log::warn!("the last metrics could not be written in time");
        } else if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write(path: &Path, desk: &(Mutex<Desk>, Condvar)) {
    let mut said = false;
    loop {
        let (text, over) = {
            let desk_now = lock(&desk.0);
            let idle = |desk: &mut Desk| desk.text.is_none() && !desk.over;
            let mut desk_now = desk.1.wait_while(desk_now, idle).unwrap_or_else(PoisonError::into_inner);
            (desk_now.text.take(), desk_now.over)
        };
        if let Some(text) = &text {
            match output::replace_file(path, text.as_bytes()) {
                Ok(()) => said = false,
                // Once, until it works again.
                Err(error) if !said => {
                    said = true;
                    log::warn!("cannot write metrics to {}: {}", why::shown(path), why::unwritten(&error));
                }
                Err(_) => {}
            }
        } else if over {
            lock(&desk.0).done = true;
            desk.1.notify_all();
            return;
        }
    }
}
