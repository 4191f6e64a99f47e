//! A proxy that passes requests on to a server, counts them, and fails those that it is told to.

use super::http::Head;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// After this long without a byte a connection is given up, so that no thread stays for ever.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a request fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An answer with this status, and S3's XML with this code and message.
    Error { status: u16, code: &'static str, message: &'static str },
    /// The right answer, its body in pieces with a pause before each.
    Slow { piece: usize, pause: Duration },
    /// The right answer, but the connection ends after this many bytes of its body.
    Cut { after: usize },
    /// The connection ends without an answer.
    HangUp,
}

// Status, code and message as in S3's list of error responses.
impl Fault {
    /// S3 failed.
    pub const INTERNAL_ERROR: Self = Self::Error {
        status: 500,
        code: "InternalError",
        message: "We encountered an internal error. Please try again.",
    };
    /// Too many requests.
    pub const SLOW_DOWN: Self =
        Self::Error { status: 503, code: "SlowDown", message: "Please reduce your request rate." };
    /// Temporary credentials whose time is over. Asking again does not help.
    pub const EXPIRED_TOKEN: Self = Self::Error {
        status: 400,
        code: "ExpiredToken",
        message: "The provided token has expired.",
    };
}

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// How many requests came before it.
    pub number: usize,
    /// `GET`, `HEAD`, ...
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The `Range` field, such as `bytes=0-99` or `bytes=-8`.
    pub range: Option<String>,
    /// What it was failed with.
    pub fault: Option<Fault>,
    /// Bytes of the answer's body that went to the client, so far.
    pub bytes: u64,
}

type Rule = Box<dyn FnMut(&Request) -> Option<Fault> + Send>;

struct State {
    requests: Vec<Request>,
    rule: Rule,
}

/// The proxy; dropping it ends it.
pub struct Proxy {
    /// `http://127.0.0.1:PORT`.
    pub endpoint: String,
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    upstream: String,
    state: Mutex<State>,
    stop: AtomicBool,
}

impl Proxy {
    /// A proxy on a free port of loopback, before the server at `upstream` (`http://HOST:PORT`),
    /// that fails nothing yet.
    pub fn start(upstream: &str) -> Self {
        Self::start_at(0, upstream)
    }

    /// The same on a port of one's choice.
    pub fn start_at(port: u16, upstream: &str) -> Self {
        let upstream = upstream.strip_prefix("http://").expect("an http:// endpoint").to_owned();
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Mutex::new(State { requests: Vec::new(), rule: Box::new(|_| None) });
        let shared = Arc::new(Shared { upstream, state, stop: AtomicBool::new(false) });
        let accepting = std::thread::spawn({
            let shared = shared.clone();
            move || {
                for client in listener.incoming() {
                    if shared.stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let (Ok(client), shared) = (client, shared.clone()) else { continue };
                    // An error is the client's, who went away, or a fault at work.
                    std::thread::spawn(move || drop(shared.serve(client)));
                }
            }
        });
        let endpoint = format!("http://{address}");
        Self { endpoint, address, shared, accepting: Some(accepting) }
    }

    /// Decides from now on how each request fails, if it does.
    pub fn rule(&self, rule: impl FnMut(&Request) -> Option<Fault> + Send + 'static) {
        self.shared.state().rule = Box::new(rule);
    }

    /// Fails every request from now on.
    pub fn fault(&self, fault: Fault) {
        self.rule(move |_| Some(fault));
    }

    /// Fails the next `count` requests.
    pub fn fault_next(&self, count: usize, fault: Fault) {
        let mut left = count;
        self.rule(move |_| {
            left = left.checked_sub(1)?;
            Some(fault)
        });
    }

    /// Fails nothing from now on.
    pub fn heal(&self) {
        self.rule(|_| None);
    }

    /// The requests since the start, or since the last call of [`Proxy::forget`].
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    /// Bytes of bodies that went to clients.
    pub fn bytes(&self) -> u64 {
        self.shared.state().requests.iter().map(|request| request.bytes).sum()
    }

    /// Counts from nothing again. No request may be under way.
    pub fn forget(&self) {
        self.shared.state().requests.clear();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address); // wakes the thread that accepts
        if let Some(thread) = self.accepting.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One request of one connection, which then ends: so a fault hits the request it is meant for.
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_read_timeout(Some(PATIENCE))?;
        client.set_write_timeout(Some(PATIENCE))?;
        let Some((head, mut body)) = Head::read(&mut client)? else { return Ok(()) };
        let mut left = head.content_length().unwrap_or(0).saturating_sub(body.len() as u64);
        while left > 0 {
            let mut piece = vec![0; left.min(1 << 16) as usize];
            client.read_exact(&mut piece)?;
            left -= piece.len() as u64;
            body.extend(piece);
        }

        let (number, fault) = self.note(&head);
        match fault {
            Some(Fault::HangUp) => client.shutdown(Shutdown::Both),
            Some(Fault::Error { status, code, message }) => {
                let sent = refuse(&mut client, &head, status, code, message)?;
                self.count(number, sent);
                Ok(())
            }
            Some(Fault::Slow { .. } | Fault::Cut { .. }) | None => {
                let mut server = TcpStream::connect(&self.upstream)?;
                server.set_read_timeout(Some(PATIENCE))?;
                server.write_all(head.closing().as_bytes())?;
                server.write_all(&body)?;
                self.pass_on(server, client, number, fault)
            }
        }
    }

    /// Writes a request down and asks the rule about it.
    fn note(&self, head: &Head) -> (usize, Option<Fault>) {
        let mut state = self.state();
        let mut words = head.start.split(' ').map(str::to_owned);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (number, range) = (state.requests.len(), head.get("range").map(str::to_owned));
        let mut request = Request { number, method, target, range, fault: None, bytes: 0 };
        request.fault = (state.rule)(&request);
        let fault = request.fault;
        state.requests.push(request);
        (number, fault)
    }

    fn count(&self, number: usize, bytes: usize) {
        if let Some(request) = self.state().requests.get_mut(number) {
            request.bytes += bytes as u64;
        }
    }

    /// Sends the server's answer to the client, as well as the fault lets it.
    fn pass_on(
        &self,
        mut server: TcpStream,
        mut client: TcpStream,
        number: usize,
        fault: Option<Fault>,
    ) -> io::Result<()> {
        let Some((head, mut piece)) = Head::read(&mut server)? else { return Ok(()) };
        client.write_all(head.closing().as_bytes())?;
        let (size, pause) = match fault {
            Some(Fault::Slow { piece, pause }) => (piece.max(1), pause),
            _ => (1 << 16, Duration::ZERO),
        };
        let mut left = if let Some(Fault::Cut { after }) = fault { after } else { usize::MAX };
        loop {
            for part in piece.chunks(size) {
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                std::thread::sleep(pause);
                let part = &part[..part.len().min(left)];
                client.write_all(part)?;
                self.count(number, part.len());
                left -= part.len();
            }
            if left == 0 {
                return client.shutdown(Shutdown::Both);
            }
            piece.resize(size, 0);
            let read = server.read(&mut piece)?;
            if read == 0 {
                return Ok(());
            }
            piece.truncate(read);
        }
    }
}

/// Answers with an error of S3's. Bytes of its body.
fn refuse(
    client: &mut TcpStream,
    head: &Head,
    status: u16,
    code: &str,
    message: &str,
) -> io::Result<usize> {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
         <Message>{message}</Message><RequestId>4442587FB7D0A2F9</RequestId></Error>"
    );
    // The answer to HEAD has no body.
    let body = if head.start.starts_with("HEAD ") { "" } else { &body };
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    );
    client.write_all(answer.as_bytes())?;
    Ok(length)
}
