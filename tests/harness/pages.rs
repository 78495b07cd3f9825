//! The files of a folder, as any web server hands them out.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

/// A web server on the loopback, until it is dropped.
pub(crate) struct Pages {
    pub(crate) address: SocketAddr,
    ended: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl Pages {
    pub(crate) fn of(folder: &Path) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let (folder, until) = (folder.to_owned(), ended.clone());
        let server = thread::spawn(move || {
            for visitor in listener.incoming().flatten() {
                if until.load(Ordering::Relaxed) {
                    return;
                }
                let folder = folder.clone();
                // One each: a browser opens connections before it has anything to say. Ends with them.
                thread::spawn(move || hand_out(&folder, visitor));
            }
        });
        Self { address, ended, server: Some(server) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // So that it looks.
        drop(TcpStream::connect(self.address));
        self.server.take().map(JoinHandle::join);
    }
}

/// Answers one request.
fn hand_out(folder: &Path, visitor: TcpStream) -> Option<()> {
    let mut to = visitor.try_clone().ok()?;
    let mut lines = BufReader::new(visitor).lines();
    let first = lines.next()?.ok()?;
    // The rest of the head; a reader that hangs up on what it was sent is told of an error.
    let _head: Vec<String> =
        lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let path = first.split(' ').nth(1)?.split(['?', '#']).next()?;
    let file: PathBuf = folder.join(path.trim_start_matches('/'));
    let (status, body) = match fs::read(&file) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    let kind = match file.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript",
        Some("css") => "text/css",
        _ => "application/octet-stream",
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    to.write_all(head.as_bytes()).and_then(|()| to.write_all(&body)).ok()
}
