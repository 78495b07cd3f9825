//! The floor of an answer: a thread that writes the same bytes to the same kind of socket, and knows
//! no HTTP beyond where a request ends.

use crate::rig::http::Address;
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
};

/// Serves one connection on a loopback address with these bytes as each answer's body; ends when its
/// caller hangs up.
pub(crate) fn serve(body: &[u8]) -> anyhow::Result<Address> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let mut answer =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    thread::Builder::new().name("bare".into()).spawn(move || {
        if let Ok((stream, _)) = listener.accept() {
            // Ends with an error when the caller has hung up.
            let _hung_up = answer_all(stream, &answer);
        }
    })?;
    Ok(Address::Tcp(address, None))
}

fn answer_all(mut stream: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut request = [0; 4096];
    loop {
        let mut length = 0;
        while !request[..length].ends_with(b"\r\n\r\n") {
            match stream.read(&mut request[length..])? {
                0 => return Ok(()),
                count => length += count,
            }
        }
        stream.write_all(answer)?;
    }
}
