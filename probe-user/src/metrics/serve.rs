//! Serves metrics over HTTP: `GET /metrics`, and nothing else.
//!
//! A thread of its own. A request asks the session for a fresh text and waits a moment for it; then it gets the last one. Nobody who is
//! slow, or sends much, holds up more than his own connection.
use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ACCEPT, ALLOW, CONTENT_TYPE},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{Notify, Semaphore, watch};

/// Where it listens unless told otherwise.
pub const DEFAULT_ADDRESS: &str = "127.0.0.1:9977";

/// Connections at a time.
const MOST_CONNECTIONS: usize = 16;
/// Bytes of a request's head.
const MOST_HEAD: usize = 8 << 10;
/// Time for a request's head.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// Time for a connection.
const CONNECTION_TIME: Duration = Duration::from_secs(10);
/// Time that a request waits for a fresh text.
const FRESH: Duration = Duration::from_secs(2);

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The newest text, and whether somebody wants a newer one.
#[derive(Debug)]
struct Shared {
    text: watch::Receiver<Arc<str>>,
    wanted: Arc<AtomicBool>,
}

/// Serves until it is dropped.
#[derive(Debug)]
pub struct Server {
    text: watch::Sender<Arc<str>>,
    wanted: Arc<AtomicBool>,
    over: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
    address: SocketAddr,
}

impl Server {
    /// Listens.
    ///
    /// # Errors
    /// The address is taken or not of this machine, or there is no room for a thread.
    pub fn start(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let listener = {
            let _context = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (text, newest) = watch::channel(Arc::from("# EOF\n"));
        let wanted = Arc::<AtomicBool>::default();
        let over = Arc::<Notify>::default();
        let shared = Arc::new(Shared { text: newest, wanted: Arc::clone(&wanted) });
        let stop = Arc::clone(&over);
        let thread = std::thread::Builder::new().name("probe-http".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(&listener, &shared) => {}
                    () = stop.notified() => {}
                }
            });
            // Connections that are open end with it.
            runtime.shutdown_background();
        })?;
        Ok(Self { text, wanted, over, thread: Some(thread), address })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether somebody asked for a text since the last call.
    pub fn is_wanted(&self) -> bool {
        self.wanted.swap(false, Ordering::Relaxed)
    }

    /// The newest text.
    pub fn put(&self, text: Arc<str>) {
        self.text.send_replace(text);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: &tokio::net::TcpListener, shared: &Arc<Shared>) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        // Without room they wait in the kernel's queue, which is short.
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // No file descriptors, perhaps.
                log::debug!("a connection for metrics could not be taken: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, Infallible>(answer(&request, &shared).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIME)
                .max_buf_size(MOST_HEAD)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            let _ = tokio::time::timeout(CONNECTION_TIME, connection).await;
            drop(place);
        });
    }
}

async fn answer(request: &Request<Incoming>, shared: &Shared) -> Response<Full<Bytes>> {
    if request.uri().path() != "/metrics" {
        return said(StatusCode::NOT_FOUND, "the metrics are at /metrics\n");
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = said(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
        response.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let mut newest = shared.text.clone();
    newest.mark_unchanged();
    shared.wanted.store(true, Ordering::Relaxed);
    let _ = tokio::time::timeout(FRESH, newest.changed()).await;
    let text = newest.borrow().to_string();
    let accepted = request.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let open = accepted.into_iter().any(|value| value.contains("application/openmetrics-text"));
    let mut response = Response::new(Full::new(Bytes::from(text)));
    let kind = hyper::header::HeaderValue::from_static(if open { OPEN_METRICS } else { PLAIN });
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn said(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("text/plain"));
    response
}
