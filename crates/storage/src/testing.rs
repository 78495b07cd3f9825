//! What several tests need: images that are there without an import, the real `qemu-img`, and a small
//! web server.

use crate::{
    Storage,
    format::blank::blank,
    images::{DESCRIPTION, data_file},
};
use innkeeper_model::{ByteSize, DiskFormat, Image, ImageKind, Revision, Timestamp};
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    path::Path,
    process::Command,
};

/// Puts a blank disk image into the pool.
pub(crate) fn add_image(storage: &Storage, name: &str, format: DiskFormat, size: ByteSize) {
    let bytes = match format {
        DiskFormat::Qcow2 => {
            let blank = blank(size, None);
            let mut bytes = blank.bytes;
            bytes.resize(usize::try_from(blank.length).unwrap(), 0);
            bytes
        }
        DiskFormat::Raw => vec![0; usize::try_from(size.0).unwrap()],
    };
    add(storage, name, ImageKind::Disk, format, &bytes, size);
}

/// Puts an image with these bytes into the pool.
pub(crate) fn add(
    storage: &Storage,
    name: &str,
    kind: ImageKind,
    format: DiskFormat,
    bytes: &[u8],
    virtual_size: ByteSize,
) {
    let image = Image {
        name: name.parse().unwrap(),
        kind,
        format,
        size: ByteSize(bytes.len() as u64),
        virtual_size,
        digest: String::new(),
        initrd: false,
        source: "a test".into(),
        lineage: None,
        created: Timestamp::UNIX_EPOCH,
        problem: None,
        revision: Revision::default(),
    };
    let folder = storage.shared.pool.image(&image.name);
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join(data_file(kind, format)), bytes).unwrap();
    fs::write(folder.join(DESCRIPTION), serde_json::to_vec(&image).unwrap()).unwrap();
}

/// What the installed `qemu-img` prints with these arguments on this file; `None`, and a word about
/// it, where there is none.
pub(crate) fn qemu_img(arguments: &[&str], file: &Path) -> Option<String> {
    let output = Command::new("qemu-img").args(arguments).arg(file).output();
    let Ok(output) = output else {
        eprintln!("qemu-img is not installed: not tried with it");
        return None;
    };
    let said = [output.stdout, output.stderr].concat();
    Some(String::from_utf8_lossy(&said).into_owned())
}

/// A web server on this host that gives these answers, one a connection, and then ends.
pub(crate) fn serve(answers: Vec<String>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut request, mut byte) = (Vec::new(), [0]);
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                request.push(byte[0]);
            }
            // The client may have heard enough and be gone.
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    address
}

/// The answer that is this text.
pub(crate) fn body(text: &str) -> String {
    let length = text.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}")
}
