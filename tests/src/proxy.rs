//! A TCP proxy on loopback that counts the bytes of both directions and can cut the line.
//!
//! It counts what TCP carries: payload bytes of the stream, without the headers of TCP, IP and Ethernet.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::port;

/// Stands before one server until dropped.
pub struct Proxy {
    port: u16,
    line: Arc<Line>,
}

#[derive(Default)]
struct Line {
    bytes: AtomicU64,
    cut: AtomicBool,
    closed: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// A proxy for the server that listens, or will listen, on `target` of this machine.
    #[must_use]
    pub fn new(target: u16) -> Self {
        let port = port::free();
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
        let line = Arc::new(Line::default());
        let accepting = Arc::clone(&line);
        thread::spawn(move || accept(&listener, target, &accepting));
        Self { port, line }
    }

    /// Where to connect instead of the server's own port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Bytes carried so far, both directions together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.line.bytes.load(Ordering::SeqCst)
    }

    /// Breaks every connection and refuses new ones until [`mend`](Self::mend).
    pub fn cut(&self) {
        self.line.cut.store(true, Ordering::SeqCst);
        self.line.hang_up();
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.line.cut.store(false, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.line.closed.store(true, Ordering::SeqCst);
        self.line.hang_up();
        let _ = TcpStream::connect(("127.0.0.1", self.port)); // wakes the accepting thread
    }
}

impl Line {
    fn hang_up(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn keep(&self, stream: &TcpStream) {
        self.open.lock().unwrap().push(stream.try_clone().expect("a second handle"));
    }
}

fn accept(listener: &TcpListener, target: u16, line: &Arc<Line>) {
    for client in listener.incoming().map_while(Result::ok) {
        if line.closed.load(Ordering::SeqCst) {
            return;
        }
        if line.cut.load(Ordering::SeqCst) {
            continue;
        }
        if let Ok(server) = TcpStream::connect(("127.0.0.1", target)) {
            join(&client, &server, line);
        }
    }
}

fn join(client: &TcpStream, server: &TcpStream, line: &Arc<Line>) {
    for stream in [client, server] {
        stream.set_nodelay(true).expect("a TCP socket");
        line.keep(stream);
    }
    for (from, to) in [(client, server), (server, client)] {
        let (from, to) = (from.try_clone().expect("a second handle"), to.try_clone().expect("a second handle"));
        let line = Arc::clone(line);
        thread::spawn(move || carry(from, to, &line));
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, line: &Line) {
    let mut buffer = [0; 16 * 1024];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        // Counted first: whoever has received a byte finds it counted.
        line.bytes.fetch_add(count as u64, Ordering::SeqCst);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_both_directions_and_breaks_the_line_on_request() {
        let echo = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = echo.local_addr().unwrap().port();
        thread::spawn(move || {
            for mut stream in echo.incoming().map_while(Result::ok) {
                let mut word = [0; 5];
                while stream.read_exact(&mut word).is_ok() {
                    stream.write_all(&word).unwrap();
                }
            }
        });
        let proxy = Proxy::new(target);
        let mut answer = [0; 5];

        let mut client = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
        client.write_all(b"hello").unwrap();
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"hello");

        proxy.cut();
        assert!(client.read_exact(&mut answer).is_err(), "a cut line carries nothing");
        let mut refused = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
        assert!(refused.read_exact(&mut answer).is_err(), "no new connection while cut");

        proxy.mend();
        let mut client = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
        client.write_all(b"again").unwrap();
        client.read_exact(&mut answer).unwrap();
        assert_eq!(proxy.bytes(), 20);
    }
}
