//! An issuer of tokens on this host, which does what a test tells it to.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use ring::{
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
        RsaKeyPair,
    },
};
use serde_json::{Value, json};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
};

/// How many may be answered at a time.
const PLACES: u32 = 1000;
/// A key of RSA for these tests alone: PKCS #8, in base64.
const RSA: &str = include_str!("rsa-key-of-tests.txt");

/// A key that signs tokens.
pub(super) enum SigningKey {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(RsaKeyPair),
}

impl SigningKey {
    pub(super) fn es256() -> Self {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self::Es256(EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap())
    }

    pub(super) fn ed25519() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::EdDsa(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap())
    }

    pub(super) fn rs256() -> Self {
        let pkcs8 = base64::engine::general_purpose::STANDARD.decode(RSA.trim()).unwrap();
        Self::Rs256(RsaKeyPair::from_pkcs8(&pkcs8).unwrap())
    }

    pub(super) const fn algorithm(&self) -> &'static str {
        match self {
            Self::Es256(_) => "ES256",
            Self::EdDsa(_) => "EdDSA",
            Self::Rs256(_) => "RS256",
        }
    }

    /// Its public half, as it is published.
    pub(super) fn published(&self, id: &str) -> Value {
        match self {
            Self::Es256(key) => {
                let point = key.public_key().as_ref();
                let [x, y] = [&point[1..33], &point[33..]].map(|part| BASE64.encode(part));
                json!({ "kty": "EC", "crv": "P-256", "kid": id, "use": "sig", "x": x, "y": y })
            }
            Self::EdDsa(key) => {
                let x = BASE64.encode(key.public_key());
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": id, "alg": "EdDSA", "x": x })
            }
            Self::Rs256(key) => {
                let PublicKeyComponents::<Vec<u8>> { n, e } = key.public().into();
                let [n, e] = [n, e].map(|part| BASE64.encode(part));
                json!({ "kty": "RSA", "kid": id, "alg": "RS256", "n": n, "e": e })
            }
        }
    }

    pub(super) fn sign(&self, text: &str) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Es256(key) => key.sign(&random, text.as_bytes()).unwrap().as_ref().to_vec(),
            Self::EdDsa(key) => key.sign(text.as_bytes()).as_ref().to_vec(),
            Self::Rs256(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature).unwrap();
                signature
            }
        }
    }

    /// A token of this key: what the header and the claims say is the test's to choose.
    pub(super) fn token(&self, header: &Value, claims: &Value) -> String {
        let text = unsigned(header, claims);
        let signature = BASE64.encode(self.sign(&text));
        format!("{text}.{signature}")
    }
}

/// A token but for its signature, and the dot before that.
pub(super) fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()))
}

/// What an issuer answers.
#[derive(Clone)]
pub(super) struct Answers {
    /// In place of the description; as it has to be where there is none.
    pub(super) description: Option<Answer>,
    pub(super) keys: Answer,
}

/// A status, more lines of the head, and a body.
#[derive(Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn json(body: &Value) -> Self {
        Self { status: 200, head: String::new(), body: body.to_string().into_bytes() }
    }

    pub(super) fn keys(keys: &[Value]) -> Self {
        Self::json(&json!({ "keys": keys }))
    }
}

/// An issuer that serves on a port of this host until it is dropped.
pub(super) struct TestIssuer {
    /// As `iss` has it.
    pub(super) issuer: String,
    inside: Arc<Inside>,
    serving: JoinHandle<()>,
}

struct Inside {
    answers: Mutex<Answers>,
    /// How many times its keys were asked for.
    asked: AtomicUsize,
    /// What a request for them waits for.
    may_answer: Semaphore,
}

impl TestIssuer {
    pub(super) async fn new(keys: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}/realm", listener.local_addr().unwrap());
        let answers = Answers { description: None, keys: Answer::keys(keys) };
        let inside = Arc::new(Inside {
            answers: Mutex::new(answers),
            asked: AtomicUsize::default(),
            may_answer: Semaphore::new(PLACES as usize),
        });
        let serving = tokio::spawn(serve(listener, issuer.clone(), Arc::clone(&inside)));
        Self { issuer, inside, serving }
    }

    pub(super) fn answer(&self, change: impl FnOnce(&mut Answers)) {
        change(&mut self.inside.answers.lock().unwrap());
    }

    pub(super) fn publishes(&self, keys: &[Value]) {
        self.answer(|answers| answers.keys = Answer::keys(keys));
    }

    /// How many times its keys were asked for.
    pub(super) fn asked(&self) -> usize {
        self.inside.asked.load(Ordering::Acquire)
    }

    /// Answers no more until that is let go of.
    pub(super) async fn held(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.inside.may_answer.acquire_many(PLACES).await.unwrap()
    }
}

impl Drop for TestIssuer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, issuer: String, inside: Arc<Inside>) {
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let (issuer, inside) = (issuer.clone(), Arc::clone(&inside));
        tokio::spawn(async move { respond(socket, &issuer, &inside).await });
    }
}

/// Answers one request, and ends the connection.
async fn respond(socket: TcpStream, issuer: &str, inside: &Inside) -> std::io::Result<()> {
    let mut socket = BufReader::new(socket);
    let mut first = String::new();
    socket.read_line(&mut first).await?;
    let mut line = String::new();
    while socket.read_line(&mut line).await? > 2 {
        line.clear();
    }
    let answers = inside.answers.lock().unwrap().clone();
    let answer = match first.split(' ').nth(1) {
        Some("/realm/.well-known/openid-configuration") => {
            let address = issuer.trim_end_matches("/realm");
            let usual = json!({ "issuer": issuer, "jwks_uri": format!("{address}/keys") });
            answers.description.unwrap_or_else(|| Answer::json(&usual))
        }
        Some("/keys") => {
            inside.asked.fetch_add(1, Ordering::AcqRel);
            drop(inside.may_answer.acquire().await);
            answers.keys
        }
        _ => Answer { status: 404, head: String::new(), body: Vec::new() },
    };
    let Answer { status, head, body } = answer;
    let head = format!(
        "HTTP/1.1 {status} x\r\n{head}Connection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).await?;
    // Who has read enough goes away.
    let _ = socket.write_all(&body).await;
    socket.flush().await
}
