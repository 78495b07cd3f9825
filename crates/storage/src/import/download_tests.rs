use super::*;
use crate::{
    room::tests::enough,
    testing::{body, serve},
};
use std::{
    io::{Read, Seek, Write},
    net::TcpListener,
    sync::Arc,
};

fn redirect(to: &str) -> String {
    format!(
        "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
}

/// The digest of "hello".
const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

struct Case<'a> {
    url: &'a str,
    checksum: &'a str,
    max_size: u64,
    permits: fn(IpAddr) -> bool,
}

fn case(url: &str) -> Case<'_> {
    Case { url, checksum: HELLO, max_size: 1000, permits: |_| true }
}

impl Case<'_> {
    async fn run(self) -> Result<String, Refusal> {
        self.run_until(&CancellationToken::new()).await
    }

    async fn run_until(self, cancel: &CancellationToken) -> Result<String, Refusal> {
        let mut file = tempfile::tempfile().unwrap();
        let on_progress: OnProgress = Arc::new(|_| ());
        let download = Download {
            url: self.url,
            checksum: self.checksum.parse().unwrap(),
            rules: &HttpRules { deadline: Duration::from_secs(20), ..HttpRules::default() },
            max_size: ByteSize(self.max_size),
            permits: self.permits,
            room: &enough(),
        };
        download.run(file.try_clone().unwrap(), &on_progress, cancel).await?;
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        Ok(text)
    }
}

#[tokio::test]
async fn a_file_is_fetched_and_its_checksum_compared() {
    let address = serve(vec![body("hello")]);
    let text = case(&format!("http://{address}/image")).run().await;
    assert_eq!(text.unwrap(), "hello");
}

#[tokio::test]
async fn another_checksum_is_refused() {
    let address = serve(vec![body("hullo")]);
    let refusal = case(&format!("http://{address}/")).run().await.unwrap_err();
    assert_eq!(refusal.field.as_deref(), Some("checksum"));
    assert!(refusal.message.contains(HELLO), "{}", refusal.message);
}

#[tokio::test]
async fn a_private_address_is_refused_however_it_is_written() {
    for url in [
        "http://127.0.0.1:1/",
        "http://localhost:1/",
        "http://[::1]:1/",
        "http://[::ffff:127.0.0.1]:1/",
        "http://2130706433:1/",
        "http://0x7f.1:1/",
        "http://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/",
    ] {
        let case = Case { permits: super::super::address::is_public, ..case(url) };
        let refusal = case.run().await.unwrap_err();
        assert!(refusal.message.contains("not a public address"), "{url}: {}", refusal.message);
        let is_named = url.contains("localhost");
        assert_eq!(refusal.message.contains(" is at "), is_named, "{url}: {}", refusal.message);
    }
}

#[tokio::test]
async fn a_redirect_is_followed_and_its_address_checked_again() {
    let target = serve(vec![body("hello")]);
    let address = serve(vec![redirect(&format!("http://{target}/moved"))]);
    assert_eq!(case(&format!("http://{address}/")).run().await.unwrap(), "hello");

    let address = serve(vec![redirect("http://127.0.0.2:1/secret")]);
    let url = format!("http://{address}/");
    let case = Case { permits: |address| address.to_string() == "127.0.0.1", ..case(&url) };
    let refusal = case.run().await.unwrap_err();
    assert!(refusal.message.contains("127.0.0.2"), "{}", refusal.message);
}

#[tokio::test]
async fn a_redirect_to_another_kind_of_address_is_refused() {
    for to in ["file:///etc/passwd", "ftp://example.org/", "gopher://x/", "http://u:p@127.0.0.1/"] {
        let address = serve(vec![redirect(to)]);
        let refusal = case(&format!("http://{address}/")).run().await.unwrap_err();
        assert_eq!(refusal.field.as_deref(), Some("url"), "{to}");
        assert!(!refusal.message.contains("u:p"), "{}", refusal.message);
    }
}

#[tokio::test]
async fn redirects_come_to_an_end() {
    let address = serve(vec![redirect("/again"); MAX_REDIRECTS + 1]);
    let refusal = case(&format!("http://{address}/")).run().await.unwrap_err();
    assert!(refusal.message.contains("redirects more than"), "{}", refusal.message);
}

#[tokio::test]
async fn too_large_a_file_is_refused_whether_it_says_so_or_not() {
    let silent = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}", "x".repeat(64));
    for answer in [body(&"x".repeat(64)), silent] {
        let address = serve(vec![answer]);
        let url = format!("http://{address}/");
        let case = Case { max_size: 63, ..case(&url) };
        let refusal = case.run().await.unwrap_err();
        assert_eq!(refusal.code, Code::TooLarge);
        assert_eq!(refusal.limit.as_deref(), Some("63B"));
    }
}

#[tokio::test]
async fn a_connection_that_breaks_off_is_a_failure() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nhello";
    let address = serve(vec![cut.into()]);
    assert!(case(&format!("http://{address}/")).run().await.is_err());
}

#[tokio::test]
async fn an_error_answer_is_told_without_what_may_be_secret() {
    let answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let address = serve(vec![answer.into()]);
    let url = format!("http://{address}/image?token=hunter2");
    let refusal = case(&url).run().await.unwrap_err();
    assert!(refusal.message.contains("404"), "{}", refusal.message);
    let all = serde_json::to_string(&refusal).unwrap();
    assert!(!all.contains("hunter2"), "{all}");
}

#[tokio::test]
async fn an_encrypted_connection_is_tried_as_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut hello = [0; 2];
        stream.read_exact(&mut hello).unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        hello
    });
    let refusal = case(&url).run().await.unwrap_err();
    assert!(refusal.message.contains("connection failed"), "{}", refusal.message);
    // A TLS handshake record, of any version 3.
    assert_eq!(server.join().unwrap(), [22, 3]);
}

#[tokio::test]
async fn a_download_can_be_cancelled() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let cancel = CancellationToken::new();
    let (ended, ()) = tokio::join!(case(&url).run_until(&cancel), async {
        let accepted = tokio::task::spawn_blocking(move || listener.accept().unwrap());
        let _held_open = accepted.await.unwrap();
        cancel.cancel();
    });
    assert_eq!(ended.unwrap_err().code, Code::Cancelled);
}
